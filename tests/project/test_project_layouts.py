"""Several units in one repository, and folders that speak for more than one language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tools.devops.types import Project

Scan = Callable[[Mapping[str, Any]], Project]
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
NEXT = {
    "name": "web",
    "private": True,
    "dependencies": {"next": "15", "react": "19"},
    "scripts": {"build": "next build", "start": "next start"},
}
VITE = {
    "name": "site",
    "private": True,
    "dependencies": {"react": "19"},
    "devDependencies": {"vite": "6"},
    "scripts": {"dev": "vite", "build": "vite build"},
}
API = {
    "name": "api",
    "private": True,
    "dependencies": {"express": "5", "@acme/db": "*"},
    "scripts": {"start": "node index.js"},
}
LIBRARY = {"name": "@acme/db", "exports": "./index.js", "dependencies": {"pg": "8"}}

LAYOUTS: dict[str, tuple[Mapping[str, Any], list[tuple[str, str, str]]]] = {
    "backend and frontend": (
        {
            "backend/requirements.txt": "fastapi\nuvicorn\n",
            "backend/app/main.py": FASTAPI,
            "frontend/package.json": VITE,
            "frontend/index.html": "",
            "README.md": "",
        },
        [("backend", "python", "backend"), ("frontend", "node", "frontend")],
    ),
    "turbo with pnpm": (
        {
            "package.json": {
                "name": "root",
                "private": True,
                "scripts": {"build": "turbo run build"},
                "packageManager": "pnpm@9.0.0",
            },
            "pnpm-workspace.yaml": "packages:\n  - apps/*\n  - packages/*\n",
            "pnpm-lock.yaml": "",
            "turbo.json": {},
            "apps/web/package.json": NEXT,
            "apps/api/package.json": API,
            "apps/api/index.js": "",
            "packages/db/package.json": LIBRARY,
            "packages/db/index.js": "process.env.DATABASE_URL",
            "packages/tsconfig/package.json": {"name": "@acme/tsconfig", "private": True},
        },
        [
            ("apps/api", "node", "backend"),
            ("apps/web", "node", "fullstack"),
            ("packages/db", "node", "library"),
            ("packages/tsconfig", "node", "library"),
        ],
    ),
    "yarn workspaces": (
        {
            "package.json": {
                "private": True,
                "workspaces": ["packages/*"],
                "scripts": {"start": "yarn workspace client start"},
            },
            "yarn.lock": "",
            "packages/client/package.json": NEXT,
            "packages/server/package.json": API,
            "packages/server/index.js": "",
        },
        [("packages/client", "node", "fullstack"), ("packages/server", "node", "backend")],
    ),
    "lerna": (
        {
            "package.json": {"private": True, "devDependencies": {"lerna": "8"}},
            "lerna.json": {"packages": ["services/*"]},
            "services/api/package.json": API,
            "services/api/index.js": "",
        },
        [("services/api", "node", "backend")],
    ),
    "nx": (
        {
            "package.json": {
                "private": True,
                "dependencies": {"next": "15", "express": "5"},
                "devDependencies": {"nx": "20"},
            },
            "nx.json": {},
            "apps/web/project.json": {
                "name": "web",
                "projectType": "application",
                "targets": {"build": {"executor": "@nx/next:build"}},
            },
            "apps/web/next.config.js": "",
            "apps/api/project.json": {
                "name": "api",
                "projectType": "application",
                "targets": {"build": {"executor": "@nx/esbuild:esbuild"}},
            },
            "apps/api/src/main.ts": "import express from 'express'",
            "libs/ui/project.json": {"name": "ui", "projectType": "library"},
        },
        [("apps/api", "node", "backend"), ("apps/web", "node", "fullstack")],
    ),
    "uv workspace": (
        {
            "pyproject.toml": '[project]\nname="root"\n[tool.uv.workspace]\nmembers=["libs/*", "services/*"]\n',
            "uv.lock": "",
            "services/api/pyproject.toml": '[project]\nname="api"\ndependencies=["fastapi","uvicorn"]\n',
            "services/api/main.py": FASTAPI,
            "libs/core/pyproject.toml": '[project]\nname="core"\n[build-system]\nrequires=[]\n',
            "libs/core/src/core/__init__.py": "",
        },
        [("libs/core", "python", "library"), ("services/api", "python", "backend")],
    ),
    "cargo workspace": (
        {
            "Cargo.toml": '[workspace]\nmembers=["server","common"]\n',
            "Cargo.lock": "",
            "server/Cargo.toml": '[package]\nname="server"\n[dependencies]\naxum="0.8"\n',
            "server/src/main.rs": "",
            "common/Cargo.toml": '[package]\nname="common"\n',
            "common/src/lib.rs": "",
        },
        [("common", "rust", "library"), ("server", "rust", "backend")],
    ),
    "go workspace": (
        {
            "go.work": "go 1.24\nuse (\n ./api\n ./shared\n)\n",
            "api/go.mod": "module x/api\n",
            "api/main.go": "package main\nfunc main() {}\n",
            "shared/go.mod": "module x/shared\n",
            "shared/a.go": "package shared\n",
        },
        [("api", "go", "worker"), ("shared", "go", "library")],
    ),
    "maven modules": (
        {
            "pom.xml": "<project><artifactId>all</artifactId><modules>"
            "<module>api</module><module>core</module></modules>"
            "<parent><groupId>org.springframework.boot</groupId></parent></project>",
            "api/pom.xml": "<project><artifactId>api</artifactId><artifactId>"
            "spring-boot-starter-web</artifactId></project>",
            "api/src/main/java/A.java": "",
            "core/pom.xml": "<project><artifactId>core</artifactId></project>",
            "core/src/main/java/B.java": "",
        },
        [("api", "java", "backend"), ("core", "java", "library")],
    ),
    "services of many languages": (
        {
            "services/a/go.mod": "module a\n",
            "services/a/main.go": "package main\nfunc main() {}\n",
            "services/b/package.json": API,
            "services/b/index.js": "",
            "services/c/requirements.txt": "",
            "services/c/main.py": "",
        },
        [("services/a", "go", "worker"), ("services/b", "node", "backend"), ("services/c", "python", "worker")],
    ),
    "examples are no units": (
        {
            "package.json": API,
            "index.js": "",
            "examples/demo/package.json": NEXT,
            "docs/package.json": VITE,
            "docs/index.html": "",
            "tests/fixtures/a/requirements.txt": "flask",
            "tests/fixtures/a/app.py": "",
        },
        [(".", "node", "backend")],
    ),
    "only examples": (
        {"examples/one/package.json": API, "examples/one/index.js": "", "README.md": ""},
        [("examples/one", "node", "backend")],
    ),
    "library with examples": (
        {"package.json": {"name": "lib", "exports": "./i.js", "types": "i.d.ts"}, "examples/one/package.json": API},
        [(".", "node", "library")],
    ),
    "django with frontend folder": (
        {
            "requirements.txt": "django\ngunicorn\n",
            "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')",
            "site/wsgi.py": "",
            "frontend/package.json": VITE,
            "frontend/index.html": "",
        },
        [(".", "python", "backend"), ("frontend", "node", "frontend")],
    ),
    "django with tailwind theme": (
        {
            "requirements.txt": "django\ngunicorn\n",
            "manage.py": "'DJANGO_SETTINGS_MODULE', 'site.settings'",
            "site/wsgi.py": "",
            "theme/static_src/package.json": {
                "private": True,
                "scripts": {"build": "tailwindcss"},
                "devDependencies": {"tailwindcss": "4"},
            },
        },
        [(".", "python", "backend")],
    ),
    "python with tailwind at the root": (
        {
            "requirements.txt": "flask\ngunicorn\n",
            "app.py": "from flask import Flask\napp = Flask('x')\n",
            "package.json": {
                "private": True,
                "scripts": {"build": "tailwindcss -o x"},
                "devDependencies": {"tailwindcss": "4"},
            },
        },
        [(".", "python", "backend")],
    ),
    "node with python tooling": (
        {"package.json": API, "index.js": "", "requirements.txt": "pre-commit\n"},
        [(".", "node", "backend")],
    ),
    "next with python functions": (
        {"package.json": NEXT, "requirements.txt": "fastapi\n", "api/index.py": FASTAPI, "vercel.json": {}},
        [(".", "node", "fullstack")],
    ),
    "express with client": (
        {"package.json": API, "index.js": "", "client/package.json": VITE, "client/index.html": ""},
        [(".", "node", "backend"), ("client", "node", "frontend")],
    ),
    "infrastructure is no unit": (
        {
            "requirements.txt": "fastapi\nuvicorn",
            "main.py": FASTAPI,
            "infra/package.json": {"dependencies": {"aws-cdk-lib": "2"}},
            "infra/index.js": "",
            "scripts/requirements.txt": "",
            "scripts/main.py": "",
        },
        [(".", "python", "backend")],
    ),
    "package.json as module marker": (
        {"package.json": API, "index.js": "", "src/esm/package.json": {"type": "module"}},
        [(".", "node", "backend")],
    ),
}


@pytest.mark.parametrize(("files", "expected"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layout(scan: Scan, files: Mapping[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert [(unit.path, unit.language, unit.kind) for unit in scan(files).units] == expected


@pytest.mark.parametrize(
    "files", [{}, {"README.md": "# A project"}, {"LICENSE": "", ".gitignore": "x"}], ids=["empty", "readme", "no code"]
)
def test_nothing_to_deploy(scan: Scan, files: Mapping[str, Any]) -> None:
    project = scan(files)
    assert (project.units, project.platforms, project.missing) == ((), (), ())


def test_a_library_brings_its_driver_and_variables(scan: Scan) -> None:
    units = {unit.path: unit for unit in scan(LAYOUTS["turbo with pnpm"][0]).units}
    assert units["apps/api"].services == ("postgres",)
    assert units["apps/api"].env == ("DATABASE_URL",)
    assert units["apps/web"].services == ()


def test_workspace_members_use_the_lock_of_the_root(scan: Scan) -> None:
    units = {unit.path: unit for unit in scan(LAYOUTS["turbo with pnpm"][0]).units}
    web = units["apps/web"]
    assert (web.package_manager, web.install) == ("pnpm", "pnpm install --frozen-lockfile")
    assert web.files == ("package.json", "../../package.json", "../../pnpm-lock.yaml")
    assert web.build == "pnpm exec turbo run build --filter=web"


def test_assets_are_built_before_the_server(scan: Scan) -> None:
    unit = scan(LAYOUTS["python with tailwind at the root"][0]).units[0]
    assert unit.install == "pip install -r requirements.txt && npm install"
    assert unit.build == "npm run build"
