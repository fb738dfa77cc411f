"""Cloud Run and Container Apps: well-kept files are clean, look-alikes are left alone, junk does not break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.devops.checks import run_checks, to_text
from tools.devops.types import Project

EMPTY = Project("/", (), (), (), ())
EXPORTED_SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
  namespace: '123456789'
  labels:
    cloud.googleapis.com/location: europe-west1
  annotations:
    run.googleapis.com/client-name: gcloud
    run.googleapis.com/ingress: all
spec:
  template:
    metadata:
      labels:
        client.knative.dev/nonce: abc
      annotations:
        autoscaling.knative.dev/maxScale: '100'
        run.googleapis.com/cloudsql-instances: shop:europe-west1:db
    spec:
      containerConcurrency: 80
      timeoutSeconds: 300
      serviceAccountName: hello@shop.iam.gserviceaccount.com
      containers:
      - image: europe-docker.pkg.dev/shop/hello/hello:3f2c9d1
        ports:
        - name: http1
          containerPort: 8080
        env:
        - name: DB_PASSWORD
          valueFrom:
            secretKeyRef:
              key: '2'
              name: db-password
        resources:
          limits:
            cpu: 1000m
            memory: 512Mi
        startupProbe:
          timeoutSeconds: 240
          periodSeconds: 240
          failureThreshold: 1
          tcpSocket:
            port: 8080
  traffic:
  - percent: 100
    latestRevision: true
"""
EXPORTED_APP = """\
id: /subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/web
location: West Europe
name: web
type: Microsoft.App/containerApps
identity:
  type: SystemAssigned
properties:
  managedEnvironmentId: /subscriptions/s/resourceGroups/g/providers/Microsoft.App/managedEnvironments/e
  workloadProfileName: Consumption
  configuration:
    activeRevisionsMode: Single
    ingress:
      external: true
      allowInsecure: false
      targetPort: 8000
      transport: Auto
      traffic:
      - latestRevision: true
        weight: 100
    registries:
    - server: shop.azurecr.io
      identity: system
    secrets:
    - name: db-url
      keyVaultUrl: https://shop.vault.azure.net/secrets/db-url
      identity: system
  template:
    containers:
    - name: web
      image: shop.azurecr.io/web:3f2c9d1
      env:
      - name: DATABASE_URL
        secretRef: db-url
      resources:
        cpu: 0.5
        memory: 1Gi
      probes:
      - type: Readiness
        httpGet:
          path: /health
          port: 8000
    scale:
      minReplicas: null
      maxReplicas: 10
      rules:
      - name: http
        http:
          metadata:
            concurrentRequests: '50'
"""
KNATIVE_ON_A_CLUSTER = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
spec:
  template:
    spec:
      containers:
        - image: ghcr.io/knative/helloworld-go:latest
"""


def check(root: Path, files: dict[str, str], *kinds: str) -> Any:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return run_checks(root, kinds=kinds, project=EMPTY, linters=False)


def test_what_the_vendors_export_is_clean(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        {"service.yaml": EXPORTED_SERVICE, "app.yaml": EXPORTED_APP},
        "cloudrun",
        "containerapps",
        "kubernetes",
    )
    assert not report.findings, to_text(report)
    assert [c.files for c in report.checks] == [(), ("service.yaml",), ("app.yaml",)]


def test_a_service_for_a_cluster_is_not_judged_as_cloud_run(tmp_path: Path) -> None:
    report = check(tmp_path, {"knative/service.yaml": KNATIVE_ON_A_CLUSTER}, "cloudrun")
    assert report.status("cloudrun") == "not_applicable"


@pytest.mark.parametrize(("gate", "text"), [("cloudrun", EXPORTED_SERVICE), ("containerapps", EXPORTED_APP)])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_value_in_any_place_ends_in_a_report(
    tmp_path_factory: pytest.TempPathFactory, gate: str, text: str, data: st.DataObject
) -> None:
    document = yaml.safe_load(text)
    place = document
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(st.sampled_from([None, [], {}, "x", -1, 1.5, True, ["x"], {"name": None}]))
            break
        place = place[key]
    root = tmp_path_factory.mktemp("any")
    report = check(root, {f"{gate}/one.yaml": yaml.safe_dump(document)}, gate)
    assert report.status(gate) in ("passed", "failed", "not_applicable")
