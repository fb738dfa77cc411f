"""Platform signs by their anchors, existing deployment files, the default branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.devops.project import scan_project
from tools.devops.types import Project

Scan = Callable[[Mapping[str, Any]], Project]
APP = {"requirements.txt": "fastapi\nuvicorn\n", "main.py": "from fastapi import FastAPI\napp = FastAPI()"}
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\n"

SIGNS: list[tuple[dict[str, Any], str, str]] = [
    ({".railway/railway.py": ""}, "railway", "file"),
    ({"railway.json": {}}, "railway", "file"),
    ({"vercel.json": {}}, "vercel", "file"),
    ({"netlify.toml": ""}, "netlify", "file"),
    ({"template.yaml": "Transform: AWS::Serverless-2016-10-31\n"}, "aws-lambda", "file"),
    ({"serverless.yml": "service: x\n"}, "aws-lambda", "file"),
    ({"k8s/app.yaml": DEPLOYMENT}, "kubernetes", "file"),
    ({"charts/app/Chart.yaml": "name: x\n"}, "kubernetes", "file"),
    ({"fly.toml": ""}, "fly", "file"),
    ({"render.yaml": ""}, "render", "file"),
    ({"app.yaml": "runtime: python313\n"}, "gcp-app-engine", "file"),
    ({"Procfile": "web: x\n"}, "heroku", "file"),
    ({"main.tf": 'resource "aws_ecs_service" "x" {}\n'}, "aws-ecs", "file"),
    ({"wrangler.toml": "name='x'\n"}, "cloudflare", "file"),
    ({".github/workflows/d.yml": "jobs:\n  d:\n    steps:\n      - run: railway up --ci\n"}, "railway", "workflow"),
    ({".github/workflows/d.yml": "steps:\n - run: kubectl apply -f x\n"}, "kubernetes", "workflow"),
    (
        {".github/workflows/d.yml": "steps:\n - uses: aws-actions/amazon-ecs-deploy-task-definition@v2\n"},
        "aws-ecs",
        "workflow",
    ),
    ({"requirements.txt": "fastapi\nuvicorn\nmangum\n"}, "aws-lambda", "sdk"),
]


@pytest.mark.parametrize(("files", "platform", "source"), SIGNS, ids=[f"{p} {next(iter(f))}" for f, p, _ in SIGNS])
def test_sign(scan: Scan, files: Mapping[str, Any], platform: str, source: str) -> None:
    signs = scan({**APP, **files}).platforms
    assert [(sign.platform, sign.source) for sign in signs] == [(platform, source)]
    assert next(iter(files)) in signs[0].evidence[0] or source == "sdk"


@pytest.mark.parametrize(
    "files",
    [
        {"Dockerfile": "FROM x\n"},
        {"compose.yaml": "services: {}\n"},
        {"app.yaml": "kind: something\n"},
        {"app.json": {"expo": {}}},
        {"template.yaml": "Resources: {}\n"},
        {"k8s/values.yaml": "a: 1\n"},
        {"variables.tf": 'variable "x" {}\n'},
        {"tests/fixtures/vercel.json": {}},
        {"schemas/railway.json": {}},
        {"docs/k8s/a.yaml": DEPLOYMENT},
    ],
    ids=str,
)
def test_no_platform_of_its_own(scan: Scan, files: Mapping[str, Any]) -> None:
    """Known bad signs: only the stack's default stands, marked as one."""
    assert [(sign.platform, sign.source) for sign in scan({**APP, **files}).platforms] == [("railway", "default")]


@pytest.mark.parametrize(
    ("files", "platform"),
    [
        ({"package.json": {"dependencies": {"next": "15"}}}, "vercel"),
        ({"index.html": ""}, "vercel"),
        (APP, "railway"),
        ({"requirements.txt": "", "f.py": "def lambda_handler(event, context): ..."}, "aws-lambda"),
    ],
)
def test_default(scan: Scan, files: Mapping[str, Any], platform: str) -> None:
    assert [(sign.platform, sign.source) for sign in scan(files).platforms] == [(platform, "default")]


def test_many_services_and_kubernetes_words(scan: Scan) -> None:
    files = {f"services/{name}/{file}": text for name in "abcd" for file, text in APP.items()}
    assert scan({**files, "README.md": "Runs on Kubernetes."}).platforms[0].platform == "kubernetes"


def test_several_platforms_are_all_told(scan: Scan) -> None:
    signs = scan({**APP, "vercel.json": {}, "fly.toml": "", "Procfile": "web: x\n"}).platforms
    assert {sign.platform for sign in signs} == {"vercel", "fly"}


def test_existing_files(scan: Scan) -> None:
    files = {
        "Dockerfile": "",
        "compose.yaml": "",
        ".github/workflows/ci.yml": "",
        ".env.example": "A=1",
        "infra/main.tf": "",
        ".env": "A=1",
    }
    assert scan({**APP, **files}).existing == (
        ".env.example",
        ".github/workflows/ci.yml",
        "Dockerfile",
        "compose.yaml",
        "infra/main.tf",
    )


@pytest.mark.parametrize(
    ("files", "branch"),
    [
        ({".git/HEAD": "ref: refs/heads/trunk\n"}, "trunk"),
        (
            {
                ".git/HEAD": "ref: refs/heads/feature\n",
                ".git/refs/remotes/origin/HEAD": "ref: refs/remotes/origin/develop\n",
            },
            "develop",
        ),
        ({".git/HEAD": "ref: refs/heads/feature/x\n", ".git/refs/heads/main": "0" * 40}, "main"),
        ({".git/HEAD": "0" * 40}, None),
        ({".git/HEAD": "ref: refs/heads/a b; rm -rf\n"}, None),
        ({".git": "gitdir: /elsewhere\n"}, None),
        ({}, None),
    ],
)
def test_default_branch(scan: Scan, files: Mapping[str, Any], branch: str | None) -> None:
    assert scan({**APP, **files}).default_branch == branch


def test_a_linked_git_folder_is_not_followed(make: Callable[[Mapping[str, Any]], Path], tmp_path: Path) -> None:
    root = make(APP)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "HEAD").write_text("ref: refs/heads/secret\n")
    (root / ".git").symlink_to(tmp_path / "other")
    assert scan_project(root).default_branch is None
