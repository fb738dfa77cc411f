"""Variables, services, probes, ports, readiness: what is read from code, and that values of secrets never are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tools.devops.types import Project
from tools.plain import to_json

Scan = Callable[[Mapping[str, Any]], Project]
FASTAPI = {"requirements.txt": "fastapi\nuvicorn\n"}
EXPRESS = {"package.json": {"name": "x", "dependencies": {"express": "5"}, "scripts": {"start": "node index.js"}}}

SETTINGS = """
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="shop_")
    database_url: str
    token: str = Field(default="", validation_alias="API_TOKEN")
"""
ENVIRON = 'import environ\nenv = environ.Env(DEBUG=(bool, False))\nX = env("SECRET_KEY")\nY = env.db("DATABASE_URL")\n'
DECOUPLE = 'from decouple import config\nX = config("EMAIL_HOST", default="x")\n'


@pytest.mark.parametrize(
    ("name", "source", "names"),
    [
        ("a.py", 'import os\nos.environ["A"]\nos.getenv("B", "x")\nos.environ.get("C")\n', ("A", "B", "C")),
        ("a.py", SETTINGS, ("API_TOKEN", "SHOP_DATABASE_URL")),
        ("a.py", ENVIRON, ("DATABASE_URL", "SECRET_KEY")),
        ("a.py", DECOUPLE, ("EMAIL_HOST",)),
        ("a.js", "process.env.A; process.env['B']; const {C} = process.env", ("A", "B")),
        ("a.ts", "import.meta.env.VITE_API; Bun.env.B; Deno.env.get('C'); config.get<string>('DB_HOST')", None),
        ("a.go", 'os.Getenv("A"); os.LookupEnv("B")', ("A", "B")),
        ("a.rb", "ENV['A']; ENV.fetch('B', 1)", ("A", "B")),
        ("a.php", "<?php env('A'); getenv('B'); $_ENV['C_D'];", ("A", "B", "C_D")),
        ("a.rs", 'std::env::var("A"); env!("B")', ("A", "B")),
        ("A.java", 'System.getenv("A"); @Value("${B_C:x}")', ("A", "B_C")),
        ("application.yml", "spring:\n  url: ${DB_URL:jdbc:x}\n", ("DB_URL",)),
        (
            "a.cs",
            'Environment.GetEnvironmentVariable("A"); x.GetConnectionString("Main")',
            ("A", "ConnectionStrings__Main"),
        ),
        ("a.exs", 'System.fetch_env!("A")', ("A",)),
        (".env.example", "# comment\nA=1\nexport B=2\n#C=3\n", ("A", "B")),
    ],
)
def test_variables(scan: Scan, name: str, source: str, names: tuple[str, ...] | None) -> None:
    unit = scan({"package.json": {"scripts": {"start": "node x.js"}}, name: source}).units[0]
    assert unit.env == (names or ("B", "C", "DB_HOST", "VITE_API"))


def test_comments_say_nothing(scan: Scan) -> None:
    files = {
        "config/storage.yml": "# amazon:\n#   service: S3\n",
        "index.js": "// process.env.OLD\nprocess.env.NEW // postgres\n",
    }
    unit = scan({**EXPRESS, **files}).units[0]
    assert (unit.services, unit.env) == ((), ("NEW",))


def test_the_systems_own_variables_are_no_settings(scan: Scan) -> None:
    unit = scan({**FASTAPI, "main.py": 'import os\nos.environ["HOME"]\nos.environ["PATH"]\nos.environ["KEY"]\n'}).units[
        0
    ]
    assert unit.env == ("KEY",)


def test_real_env_files_are_never_read(scan: Scan) -> None:
    files = dict.fromkeys((".env", ".env.local", ".env.production", "app/.env"), "LEAK_NAME=leak-value-123\n")
    project = scan({**FASTAPI, "main.py": "", **files})
    assert "leak" not in json.dumps(to_json(project)).lower()


def test_values_of_the_example_file_are_not_told(scan: Scan) -> None:
    project = scan({**FASTAPI, "main.py": "", ".env.example": "TOKEN=value-123\n"})
    assert "TOKEN" in project.units[0].env
    assert "value-123" not in json.dumps(to_json(project))


def test_a_broken_manifest_is_noted_without_its_text(scan: Scan) -> None:
    project = scan({"package.json": '{\n "name": "x",\n "token": hunter2secret\n}', "index.js": ""})
    assert any(note.startswith("package.json:3") for note in project.notes)
    assert "hunter2secret" not in json.dumps(to_json(project))


@pytest.mark.parametrize(
    ("files", "services"),
    [
        ({"requirements.txt": "psycopg[binary]\nredis\n", "main.py": ""}, ("postgres", "redis")),
        ({"requirements.txt": "sqlalchemy\n", "main.py": 'URL = "mysql+aiomysql://db/x"'}, ("mysql",)),
        ({"requirements.txt": "celery\n", "main.py": 'broker = "amqp://mq"'}, ("rabbitmq",)),
        ({"requirements.txt": "boto3\n", "main.py": 'boto3.client("s3")'}, ("s3",)),
        ({"requirements.txt": "boto3\n", "main.py": 'boto3.client("ses")'}, ()),
        (
            {**EXPRESS, "index.js": "", "compose.yaml": "services:\n  db:\n    image: postgres:16-alpine\n"},
            ("postgres",),
        ),
        ({"package.json": {"dependencies": {"mongoose": "8"}}, "index.js": ""}, ("mongodb",)),
        (
            {
                "go.mod": "module x\nrequire github.com/redis/go-redis/v9 v9.0.0\n",
                "main.go": "package main\nfunc main() {}",
            },
            ("redis",),
        ),
        ({**FASTAPI, "main.py": "print('see http://x')"}, ()),
    ],
)
def test_services(scan: Scan, files: Mapping[str, Any], services: tuple[str, ...]) -> None:
    assert scan(files).units[0].services == services


def test_compose_gives_each_unit_its_own_services(scan: Scan) -> None:
    compose = """
services:
  api: {build: ./api, depends_on: [db], environment: {DATABASE_URL: x}}
  mail: {build: {context: ./mail}, depends_on: {queue: {condition: service_started}}, environment: ["SMTP=x"]}
  db: {image: "postgres:18"}
  queue: {image: "docker.io/library/redis:7"}
"""
    files = {"compose.yaml": compose}
    for name in ("api", "mail"):
        files |= {
            f"{name}/requirements.txt": "fastapi\nuvicorn",
            f"{name}/main.py": "from fastapi import FastAPI\napp = FastAPI()",
        }
    units = {unit.path: unit for unit in scan(files).units}
    assert (units["api"].services, units["api"].env) == (("postgres",), ("DATABASE_URL",))
    assert (units["mail"].services, units["mail"].env) == (("redis",), ("SMTP",))


NEST = {"package.json": {"dependencies": {"@nestjs/core": "11"}, "scripts": {"start:prod": "node dist/main"}}}
SPRING = {
    "pom.xml": "<project><a>org.springframework.boot</a><artifactId>"
    "spring-boot-starter-actuator</artifactId></project>",
    "src/main/java/A.java": "",
}


@pytest.mark.parametrize(
    ("files", "health", "liveness"),
    [
        (
            {**FASTAPI, "main.py": 'from fastapi import FastAPI\napp = FastAPI()\n@app.get("/health")\ndef h(): ...'},
            "/health",
            None,
        ),
        (
            {
                **FASTAPI,
                "app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n"
                "app.include_router(probes.router, prefix='/api/v1')",
                "app/probes.py": "router = APIRouter()\n@router.get('/healthz')\n"
                "def h(): ...\n@router.get('/livez')\ndef l(): ...",
            },
            "/api/v1/healthz",
            "/api/v1/livez",
        ),
        (
            {
                "requirements.txt": "django\n",
                "manage.py": "'DJANGO_SETTINGS_MODULE', 's.settings'",
                "s/urls.py": "urlpatterns = [path('api/', include('core.urls'))]",
                "core/urls.py": "urlpatterns = [path('health/', views.health)]",
            },
            "/api/health",
            None,
        ),
        (
            {**EXPRESS, "index.js": "app.get('/healthz', (q, r) => r.send()); app.get('/livez', f)"},
            "/healthz",
            "/livez",
        ),
        ({**EXPRESS, "index.js": "fetch('/health'); console.log('/health')"}, None, None),
        (
            {
                **NEST,
                "src/health.ts": "@Controller('health')\nclass H { @Get() x() {} }",
                "src/main.ts": "app.setGlobalPrefix('api')",
            },
            "/api/health",
            None,
        ),
        (
            {
                "package.json": {"dependencies": {"next": "15"}},
                "app/api/health/route.ts": "export async function GET() {}",
            },
            "/api/health",
            None,
        ),
        (
            {"go.mod": "module x\n", "main.go": 'package main\nfunc main() { http.HandleFunc("GET /healthz", h) }'},
            None,
            None,
        ),
        (SPRING, "/actuator/health", "/actuator/health/liveness"),
        ({**FASTAPI, "main.py": "x", "railway.json": {"deploy": {"healthcheckPath": "/ok"}}}, None, None),
    ],
)
def test_probe_paths(scan: Scan, files: Mapping[str, Any], health: str | None, liveness: str | None) -> None:
    unit = scan(files).units[0]
    if "main.go" in files:  # a bare handler without a listener is no server, so it has no probes
        assert unit.kind == "worker"
    elif "railway.json" in files:
        assert unit.health_path == "/ok"
    else:
        assert (unit.health_path, unit.liveness_path) == (health, liveness)


READY = {
    **EXPRESS,
    "package.json": {
        **EXPRESS["package.json"],
        "dependencies": {"express": "5", "pg": "8", "pino": "9", "express-prom-bundle": "7"},
        "devDependencies": {"node-pg-migrate": "7"},
    },
    "index.js": "app.get('/health', h); app.get('/livez', l); "
    "process.on('SIGTERM', stop); app.listen(process.env.PORT || 8080)",
}


def test_a_ready_service_lacks_nothing(scan: Scan) -> None:
    project = scan(READY)
    assert project.missing == ()
    assert set(project.units[0].ready) == {"health", "liveness", "metrics", "sigterm", "json_logs", "migrations"}
    assert project.units[0].port == 8080


def test_a_bare_service_lacks_each_with_a_reason(scan: Scan) -> None:
    bare = {
        "package.json": {**EXPRESS["package.json"], "dependencies": {"express": "5", "pg": "8"}},
        "index.js": "app.listen(3000)",
    }
    lacking = {missing.what: missing.why for missing in scan(bare).missing}
    assert set(lacking) == {"health", "liveness", "metrics", "sigterm", "json_logs", "migrations", "port"}
    assert all(len(why) > 30 for why in lacking.values())


def test_servers_that_drain_by_themselves_need_no_handler(scan: Scan) -> None:
    project = scan({**FASTAPI, "main.py": "from fastapi import FastAPI\napp = FastAPI()"})
    assert project.units[0].ready["sigterm"] is True


def test_static_sites_need_no_probes(scan: Scan) -> None:
    assert scan({"index.html": ""}).missing == ()


@pytest.mark.parametrize(
    ("source", "port"),
    [
        ("app.listen(process.env.PORT || 4000)", 4000),
        ("const port = process.env.PORT ?? 5000; app.listen(port)", 5000),
        ("app.listen(7000)", 7000),
        ("app.listen(port)", 3000),
        ("app.listen(99999999)", 3000),
    ],
)
def test_port_from_code(scan: Scan, source: str, port: int) -> None:
    assert scan({**EXPRESS, "index.js": source}).units[0].port == port


TOLD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"Procfile": "web: node web.js\nclock: node clock.js"},
        {"start": "node web.js", "workers": ({"name": "clock", "command": "node clock.js"},)},
    ),
    (
        {
            "railway.toml": '[build]\nbuildCommand="make"\n[deploy]\nstartCommand="node '
            'r.js"\npreDeployCommand=["npm run migrate"]\n'
        },
        {"start": "node r.js", "build": "make", "migrate": "npm run migrate"},
    ),
    ({"railpack.json": {"deploy": {"startCommand": "node p.js"}}}, {"start": "node p.js"}),
    ({"nixpacks.toml": '[start]\ncmd = "node n.js"\n'}, {"start": "node n.js"}),
    (
        {
            "fly.toml": '[processes]\napp="node f.js"\nworker="node w.js"\n'
            '[http_service]\ninternal_port=9090\n[deploy]\nrelease_command="m"\n'
        },
        {"start": "node f.js", "port": 9090, "migrate": "m", "workers": ({"name": "worker", "command": "node w.js"},)},
    ),
    (
        {
            "render.yaml": "services:\n - {type: web, name: w, startCommand: node x.js, healthCheckPath: /ok}\n"
            " - {type: cron, name: c, schedule: '0 1 * * *', startCommand: node c.js}\n"
        },
        {
            "start": "node x.js",
            "health_path": "/ok",
            "cron": ({"name": "c", "schedule": "0 1 * * *", "command": "node c.js"},),
        },
    ),
    (
        {"vercel.json": {"buildCommand": "vb", "crons": [{"path": "/api/tick", "schedule": "* * * * *"}]}},
        {"build": "vb", "cron": ({"name": "api-tick", "schedule": "* * * * *", "path": "/api/tick"},)},
    ),
    ({"netlify.toml": '[build]\ncommand="nb"\npublish="site/"\n'}, {"build": "nb", "output_dir": "site"}),
    ({"app.yaml": "runtime: nodejs22\nentrypoint: node g.js\n"}, {"start": "node g.js"}),
    ({"Dockerfile": "FROM node\nEXPOSE 5555/tcp\n"}, {"port": 5555}),
    (
        {"Procfile": "web: node web.js", "railway.json": {"deploy": {"startCommand": "node r.js"}}},
        {"start": "node web.js"},
    ),
]


@pytest.mark.parametrize(("files", "expected"), TOLD, ids=[next(iter(files)) for files, _ in TOLD])
def test_deployment_files_have_the_last_word(scan: Scan, files: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    unit = scan({**EXPRESS, "index.js": "", **files}).units[0]
    assert {key: getattr(unit, key) for key in expected} == expected
