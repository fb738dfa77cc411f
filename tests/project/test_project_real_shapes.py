"""Facts that public repositories tell in ways of their own, and words that only look like facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tools.devops.types import DeployUnit, Project

Scan = Callable[[Mapping[str, Any]], Project]
GO_MAIN = 'package main\nimport "github.com/gin-gonic/gin"\nfunc main() { gin.Default().Run() }\n'
GO_MOD = """module example.com/getting-started

go 1.25

require github.com/gin-gonic/gin v1.11.0

require (
\tgithub.com/redis/go-redis/v9 v9.0.0
\tgo.mongodb.org/mongo-driver/v2 v2.8.0 // indirect
)
"""


def _only(project: Project) -> DeployUnit:
    (unit,) = project.units
    return unit


def test_an_indirect_go_module_is_not_a_service_of_the_application(scan: Scan) -> None:
    unit = _only(scan({"go.mod": GO_MOD, "main.go": GO_MAIN}))
    assert unit.services == ("redis",)
    assert unit.frameworks == ("gin",)


def test_a_procfile_calls_a_go_program_by_the_name_of_its_package(scan: Scan) -> None:
    assert (
        _only(scan({"go.mod": GO_MOD, "main.go": GO_MAIN, "Procfile": "web: getting-started -v"})).start == "./out -v"
    )


def test_another_program_in_a_procfile_stays(scan: Scan) -> None:
    assert _only(scan({"go.mod": GO_MOD, "main.go": GO_MAIN, "Procfile": "web: ./serve.sh"})).start == "./serve.sh"


def test_the_plain_port_counts_beside_one_for_tls(scan: Scan) -> None:
    files = {"requirements.txt": "flask\ngunicorn\n", "app.py": "from flask import Flask\napp = Flask('x')\n"}
    image = "FROM python:3.9-slim\nEXPOSE 8081\nEXPOSE 443\n"
    assert _only(scan({**files, "Dockerfile": image})).port == 8081


def test_dotnet_takes_its_version_from_the_property_files_above(scan: Scan) -> None:
    shared = "<Project><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>"
    project = scan(
        {
            "Directory.Packages.props": shared,
            "src/Api/Api.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>',
            "src/Api/Program.cs": "WebApplication.CreateBuilder(args).Build().Run();\n",
        }
    )
    assert _only(project).version == "8.0"


def test_a_single_nx_application_runs_what_it_builds(scan: Scan) -> None:
    build = {"executor": "@nx/esbuild:esbuild", "options": {"platform": "node", "outputPath": "dist/api"}}
    package = {
        "name": "api",
        "scripts": {"start": "nx serve", "build": "nx build"},
        "prisma": {"schema": "src/prisma/schema.prisma"},
        "dependencies": {"express": "4", "@prisma/client": "4"},
        "devDependencies": {"nx": "20"},
    }
    files = {
        "package.json": package,
        "package-lock.json": "{}",
        "nx.json": "{}",
        "project.json": {"name": "api", "targets": {"build": build}},
        "src/main.ts": "import express from 'express'; express().listen(3000);\n",
        "src/prisma/schema.prisma": 'datasource db { provider = "postgresql" }\n',
    }
    unit = _only(scan(files))
    assert (unit.start, unit.migrate) == ("node dist/api/main.js", "npx prisma migrate deploy")


def test_looking_up_a_word_is_not_a_route(scan: Scan) -> None:
    package = {"name": "x", "dependencies": {"express": "5"}, "scripts": {"start": "node index.js"}}
    lookup = "const status = new URLSearchParams(location.search).get('status');\n"
    route = "const app = require('express')(); app.get('/status', (q, s) => s.send('ok')); app.listen(3000);\n"
    assert _only(scan({"package.json": package, "index.js": lookup})).health_path is None
    assert _only(scan({"package.json": package, "index.js": route})).health_path == "/status"
