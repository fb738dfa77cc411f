"""The rules of the `kubernetes` gate."""

from __future__ import annotations

from tools.devops.checks.rules import Rule, Rules

_DOCS = "kubernetes.io/docs/concepts"
_PSS = f"{_DOCS}/security/pod-security-standards, restricted"

RULES = Rules(
    "kubernetes",
    {
        "object": Rule("error", "The API server refuses the object.", "Give it a name.", _DOCS),
        "schema": Rule(
            "error", "The API server refuses the object.", "Correct the field.", "gateway-api.sigs.k8s.io v1"
        ),
        "removed-api": Rule(
            "error",
            "Current clusters do not know this version; kubernetes-validate's command line passes it with a warning.",
            "Use the current version.",
            "kubernetes.io/docs/reference/using-api/deprecation-guide",
        ),
        "selector": Rule(
            "error",
            "The API server refuses a workload whose selector does not match its own pods.",
            "Make `spec.selector.matchLabels` a part of the template's labels.",
            f"{_DOCS}/workloads/controllers/deployment",
        ),
        "no-pods": Rule(
            "error",
            "It selects no pod: traffic goes nowhere, or the protection does not exist.",
            "Use the labels of the pod template.",
            f"{_DOCS}/services-networking/service",
        ),
        "target-port": Rule(
            "error",
            "Connections are refused.",
            "Name a port that a container has.",
            f"{_DOCS}/services-networking/service",
        ),
        "probe-port": Rule(
            "error",
            "The probe fails for ever; the pod never becomes ready or is restarted again and again.",
            "Name a port that the container has.",
            f"{_DOCS}/configuration/liveness-readiness-startup-probes",
        ),
        "readiness": Rule(
            "error",
            "Pods receive traffic before they can answer it.",
            "Add a readinessProbe on the health path.",
            f"{_DOCS}/configuration/liveness-readiness-startup-probes",
        ),
        "liveness": Rule(
            "warning", "A hanging process is never restarted.", "Add a livenessProbe that needs no database.", _DOCS
        ),
        "liveness-dependency": Rule(
            "error",
            "The readiness path checks the database; as liveness it restarts every pod during a database outage.",
            "Give liveness a path of its own that checks the process only, for example /livez.",
            f"{_DOCS}/configuration/liveness-readiness-startup-probes",
        ),
        "hpa-target": Rule(
            "error", "There is nothing to scale.", "Name an existing workload.", f"{_DOCS}/workloads/autoscaling"
        ),
        "hpa-replicas": Rule(
            "error",
            "Each deployment sets the number back that the autoscaler chose.",
            "Remove `replicas` from the workload.",
            f"{_DOCS}/workloads/autoscaling",
        ),
        "pdb-blocks": Rule(
            "error",
            "No pod may ever be evicted: draining a node hangs.",
            "Set minAvailable below the number of replicas, or maxUnavailable to 1.",
            f"{_DOCS}/workloads/pods/disruptions",
        ),
        "replicas": Rule(
            "warning",
            "With one pod, each node drain or crash is an outage.",
            "Run at least 2, with a PodDisruptionBudget.",
            f"{_DOCS}/workloads/pods/disruptions",
        ),
        "image": Rule(
            "error",
            "A moving tag runs different code on different nodes, and cannot be rolled back.",
            "Use a digest, or a tag that never moves (a version or commit).",
            f"{_DOCS}/containers/images",
        ),
        "restricted": Rule(
            "error",
            "The namespace policy `restricted` refuses the pod; a break-out has more rights than it needs.",
            "Set runAsNonRoot, allowPrivilegeEscalation: false, capabilities.drop [ALL], seccompProfile.",
            _PSS,
        ),
        "host": Rule("error", "The pod shares the node's network, processes or files.", "Remove the setting.", _PSS),
        "read-only": Rule(
            "warning",
            "A writable root file system lets an intruder change the program.",
            "Set readOnlyRootFilesystem true, with an emptyDir at /tmp where the program writes.",
            "NSA/CISA Kubernetes hardening guide",
        ),
        "service-account": Rule(
            "warning",
            "Every pod gets a token for the cluster's API that most programs never use.",
            "Set automountServiceAccountToken: false.",
            f"{_DOCS}/security/service-accounts",
        ),
        "resources": Rule(
            "error",
            "Without requests the scheduler packs nodes blindly; without a memory limit one leak takes the node down.",
            "Set requests for cpu and memory, and a memory limit.",
            f"{_DOCS}/configuration/manage-resources-containers",
        ),
        "secret-literal": Rule(
            "error",
            "Base64 is no encryption: the value is in git.",
            "Use External Secrets, Sealed Secrets or `kubectl create secret`, and keep only references here.",
            f"{_DOCS}/configuration/secret",
        ),
        "backend": Rule("error", "Requests end in an error.", "Name an existing Service and port.", _DOCS),
        "config-missing": Rule(
            "error",
            "The container cannot start: the ConfigMap it reads does not exist.",
            "Add the ConfigMap or correct its name.",
            f"{_DOCS}/configuration/configmap",
        ),
        "kustomize-missing": Rule(
            "error", "`kubectl apply -k` stops.", "Correct the path, or add the file.", "kubectl.docs.kubernetes.io"
        ),
        "kustomize-remote": Rule(
            "warning",
            "What is deployed depends on another server at the time of deployment.",
            "Copy the files into the repository, or pin `?ref=` to a commit.",
            "kubectl.docs.kubernetes.io",
        ),
        "kustomize-orphan": Rule(
            "warning",
            "The file stands beside a kustomization that does not list it, so it is never applied.",
            "List it under `resources`, or remove it.",
            "kubectl.docs.kubernetes.io",
        ),
    },
)
