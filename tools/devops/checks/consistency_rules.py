"""The rules of the `consistency` gate."""

from __future__ import annotations

from tools.devops.checks.rules import Rule, Rules

RULES = Rules(
    "consistency",
    {
        "health-path": Rule(
            "error",
            "A probe on a path that the code does not serve fails for ever.",
            "Use the path that the code serves, everywhere.",
            "own",
        ),
        "port": Rule(
            "error",
            "Image, probe and manifests must mean the same port, or nothing is reached.",
            "Use one default port everywhere, read from PORT.",
            "own",
        ),
        "version": Rule(
            "error",
            "Tests then run on another version than production.",
            "Name the same major version everywhere.",
            "own",
        ),
        "runtime": Rule(
            "error",
            "Tests then run on another interpreter than the image.",
            "Use the same version in the Dockerfile and the workflow.",
            "own",
        ),
        "branch": Rule(
            "error",
            "The deployment never runs: the condition names a branch that is not the default one.",
            "Use the repository's default branch.",
            "own",
        ),
        "railway-service": Rule(
            "error",
            "`railway up` fails, or deploys another service.",
            "Use the service's name from .railway/railway.py.",
            "docs.railway.com/reference/cli-api",
        ),
        "migration-twice": Rule(
            "error",
            "Two runners migrate at the same time, or one migrates what the other expects untouched.",
            "Run the migration in exactly one place, before the new version starts.",
            "own: expand, deploy, contract",
        ),
        "migration-in-start": Rule(
            "error",
            "Each replica migrates when it starts, all at the same time, and a failed migration becomes a crash loop.",
            "Move it to the platform's pre-deploy step, or to a Job.",
            "own: expand, deploy, contract",
        ),
        "migration-missing": Rule(
            "warning",
            "The new version meets the old schema.",
            "Run it in the platform's pre-deploy step, or in a Job.",
            "own",
        ),
        "env-unknown": Rule(
            "error",
            "The code never reads this name, so the setting has no effect.",
            "Use the name that the code reads.",
            "own",
        ),
        "env-not-set": Rule(
            "warning",
            "The code reads it and this platform file does not set it.",
            "Add it there, as a reference or preserved secret where it is one.",
            "own",
        ),
        "service-host": Rule(
            "error",
            "The name does not resolve inside the compose network.",
            "Use the name of the compose service as host.",
            "docs.docker.com/compose/how-tos/networking",
        ),
        "image-name": Rule(
            "error",
            "The deployed image is not the one that the workflow builds.",
            "Use the same registry and name in both.",
            "own",
        ),
        "image-sha": Rule(
            "error",
            "Without the commit in the tag nobody can tell what runs, or go back to it.",
            "Add `type=sha` (docker/metadata-action) or `:sha-${{ github.sha }}`.",
            "own",
        ),
        "cors": Rule(
            "error",
            "Every site may act with the user's cookies; browsers refuse the pair.",
            "List the origins, read from a variable.",
            "fetch.spec.whatwg.org#cors-protocol-and-credentials",
        ),
        "region": Rule(
            "warning",
            "The SPEC names another country; latency, and the law on where data may be, depend on it.",
            "Choose a region there, or record the decision with its reason.",
            "own: SPEC regions against platform regions",
        ),
        "serverless-worker": Rule(
            "error",
            "Functions end after minutes: a worker that runs for ever cannot live there.",
            "Run the worker on a platform with long-lived processes, or make it a scheduled function.",
            "vercel.com/docs/functions/limitations",
        ),
    },
)
