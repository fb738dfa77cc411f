"""What is planned: edits in the file's own style, honest gaps, safe writing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.instrument.apps import NODE, PYTHON
from tests.instrument.running import written
from tools.devops.checks.runner import run_checks
from tools.devops.instrument import Instrumentation, InstrumentError, apply, plan_instrumentation
from tools.devops.project import scan_project
from tools.devops.tools import instrument_app
from tools.devops.types import DeployUnit
from tools.tool import ToolContext, ToolError

Make = Callable[[Mapping[str, str]], Path]
REQUIREMENTS = "fastapi\nuvicorn\n"
NODE_MANIFEST = '{"name": "shop", "scripts": {"start": "node server.js"}, "dependencies": {"express": "5"}}'


def planned(root: Path) -> Instrumentation:
    return plan_instrumentation(root, scan_project(root).units[0])


def after(root: Path, path: str) -> str:
    """The text the plan gives a file."""
    found = {change.path: change.after for change in planned(root).changes}
    return found[path]


def fastapi(main: str, **more: str) -> dict[str, str]:
    files = {name.replace("__", "/") + ".py": text for name, text in more.items()}
    return {"requirements.txt": REQUIREMENTS, "main.py": main, **files}


# --- diffs and files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PYTHON, *NODE])
def test_diff_is_what_git_applies(name: str, make: Make) -> None:
    root = make((PYTHON | NODE)[name].files)
    before = written(root)
    plan = planned(root)
    assert written(root) == before, "planning must not write"
    (root.parent / "all.diff").write_bytes("".join(change.diff for change in plan.changes).encode())
    subprocess.run(["git", "apply", "--unsafe-paths", "../all.diff"], cwd=root, check=True)
    by_git = written(root)
    for path in by_git.keys() - before.keys():
        (root / path).unlink()
    for path, text in before.items():
        (root / path).write_bytes(text.encode())
    apply(root, plan)
    assert written(root) == by_git


@pytest.mark.parametrize("name", [*PYTHON, *NODE])
def test_every_line_that_was_there_stays(name: str, make: Make) -> None:
    root = make((PYTHON | NODE)[name].files)
    for change in planned(root).changes:
        removed = [row for row in change.diff.splitlines() if row.startswith("-") and not row.startswith("---")]
        added = [row[1:] for row in change.diff.splitlines() if row.startswith("+")]
        assert all(stays(row[1:], added) for row in removed), change.diff


def stays(row: str, added: list[str]) -> bool:
    """Whether a removed row is part of what was added; an import may have got more names."""
    module, imports, names = row.partition(" import ")
    if imports and module.startswith("from "):
        grown = [new.partition(" import ")[2].split(", ") for new in added if new.startswith(f"{module} import ")]
        return any({*names.split(", ")} <= {*new} for new in grown)
    return row.strip(" ,;)").replace("create(AppModule", "") in "".join(added)


def test_imports_are_put_where_a_sorter_would_put_them(make: Make) -> None:
    root = make(
        {
            "requirements.txt": "fastapi==0.116.0\nsqlalchemy==2.0.40\nasyncpg==0.30.0\n",
            "app/__init__.py": "",
            "app/database.py": DATABASE,
            "app/main.py": (
                "from fastapi import FastAPI\n\nfrom app.database import sessions\nfrom app.words import hello\n\n"
                "app = FastAPI(title=hello)\nprint(sessions)\n"
            ),
            "app/words.py": 'hello = "hello"\n',
        }
    )
    imports = [row for row in after(root, "app/main.py").splitlines() if row.startswith("from app")]
    assert imports == [
        "from app.database import engine, sessions",
        "from app.health import health_router",
        "from app.json_logging import RequestIdMiddleware, configure_logging",
        "from app.metrics import MetricsMiddleware, metrics_router",
        "from app.words import hello",
    ]


BLUEPRINT = re.compile(r'Blueprint\("(\w+)"')
DATABASE = """\
import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine)
"""


def test_line_endings_and_quotes_are_kept(make: Make) -> None:
    root = make(PYTHON["fastapi-factory"].files)
    text = after(root, "shop/main.py")
    assert text.count("\r\n") == text.count("\n")
    assert after(root, "shop/health.py").count("\r\n") > 10
    root = make(NODE["express-commonjs"].files)
    entry, health = after(root, "src/server.js"), after(root, "src/health.js")
    assert '"' not in entry
    assert ";" not in entry
    assert '"' not in health


def test_byte_order_mark_stays_first(make: Make) -> None:
    root = make(fastapi("\ufefffrom fastapi import FastAPI\napp = FastAPI()\n"))
    text = after(root, "main.py")
    assert text.startswith("\ufefffrom fastapi")
    assert text.count("\ufeff") == 1


def test_gates_are_satisfied(make: Make) -> None:
    root = make(PYTHON["fastapi-async"].files)
    apply(root, planned(root))
    for check in run_checks(root, kinds=["health", "json_logging"]).checks:
        assert check.status == "passed", check.findings


# --- Python shapes -----------------------------------------------------------------------------------------------


def test_existing_import_of_the_engine_is_used(make: Make) -> None:
    main = "from fastapi import FastAPI\nfrom db import engine as own\n\napp = FastAPI()\n"
    database = "from sqlalchemy import create_engine\nengine = create_engine('sqlite://')\n"
    text = after(make(fastapi(main, db=database)), "main.py")
    assert text.count("import engine") == 1
    assert "health_router(own)" in text


def test_a_taken_name_is_imported_under_another(make: Make) -> None:
    main = "from fastapi import FastAPI\n\nengine = 'steam'\napp = FastAPI()\n"
    database = "from sqlalchemy import create_engine\nengine = create_engine('sqlite://')\n"
    text = after(make(fastapi(main, db=database)), "main.py")
    assert "from db import engine as health_database" in text
    assert "health_router(health_database)" in text


def test_a_module_that_imports_the_application_is_imported_after_it(make: Make) -> None:
    lines = after(make(PYTHON["flask-circle"].files), "shop/__init__.py").splitlines()
    assert lines.index("from shop.models import engine  # noqa: E402") > lines.index("app = Flask(__name__)")


def test_routes_come_after_clients_of_the_entry_and_middleware(make: Make) -> None:
    main = (
        "from fastapi import FastAPI\nfrom redis.asyncio import Redis\n\napp = FastAPI()\n"
        "app.add_middleware(object)\ncache = Redis()\napp.mount('/', object())\n"
    )
    lines = after(make(fastapi(main)), "main.py").splitlines()
    assert lines.index("cache = Redis()") < lines.index("app.include_router(health_router(cache))")
    assert lines.index("app.include_router(health_router(cache))") < lines.index("app.mount('/', object())")


def test_existing_modules_are_not_overwritten(make: Make) -> None:
    files = fastapi("from fastapi import FastAPI\napp = FastAPI()\n", health="x = 1\n", metrics="y = 1\n")
    paths = {change.path for change in planned(make(files)).changes}
    assert paths == {"health_routes.py", "json_logging.py", "main.py", "request_metrics.py"}


@pytest.mark.parametrize(
    "main",
    [
        "from fastapi import FastAPI; app = FastAPI()\n",
        "from fastapi import FastAPI\ndef make():\n    return FastAPI()\napp = make()\n",
        "from fastapi import FastAPI\napps = [FastAPI()]\n",
        "from fastapi import FastAPI\nif True: app = FastAPI()\n",
    ],
)
def test_without_a_safe_place_nothing_is_written(main: str, make: Make) -> None:
    ready = dict.fromkeys(("health", "liveness", "metrics", "json_logs"), False)
    unit = DeployUnit(".", "shop", "backend", "python", frameworks=("fastapi",), entry="main:app", ready=ready)
    plan = plan_instrumentation(make(fastapi(main)), unit)
    assert (plan.changes, plan.added) == ((), ())
    assert "app = FastAPI(...)" in plan.unsupported[0]
    assert all(name in plan.unsupported[0] for name in ready)


def test_a_check_that_is_left_out_is_told(make: Make) -> None:
    root = make({**fastapi("from fastapi import FastAPI\napp = FastAPI()\n"), "requirements.txt": "fastapi\npymysql\n"})
    plan = planned(root)
    assert any("does not check the database (mysql)" in note for note in plan.notes)
    assert "database" not in after(root, "health.py").replace("no database or cache", "")


def test_two_engines_are_told(make: Make) -> None:
    database = "from sqlalchemy import create_engine\nreplica = create_engine('a')\nengine = create_engine('b')\n"
    plan = planned(make(fastapi("from fastapi import FastAPI\napp = FastAPI()\n", db=database)))
    assert plan.notes == ("/health asks engine (db.py); not asked: replica (db.py:2).",)


def test_a_script_is_never_imported_for_its_engine(make: Make) -> None:
    main = "from fastapi import FastAPI\napp = FastAPI()\n"
    seed = "from sqlalchemy import create_engine\nengine = create_engine('a')\nengine.connect()\n"
    assert "import engine" not in after(make(fastapi(main, seed=seed)), "main.py")
    used = "from fastapi import FastAPI\nimport seed\napp = FastAPI()\n"
    assert "from seed import engine" in after(make(fastapi(used, seed=seed)), "main.py")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("app = FastAPI(title='x', dependencies=[Depends(user)])", "own dependencies are asked for every route"),
        ("app = FastAPI()\napp.add_middleware(TrustedHostMiddleware)", "TrustedHostMiddleware refuses"),
    ],
)
def test_what_stands_before_the_probes_is_told(line: str, told: str, make: Make) -> None:
    plan = planned(make(fastapi(f"from fastapi import FastAPI\n{line}\n")))
    assert any(told in note for note in plan.notes)
    assert planned(make(fastapi("from fastapi import FastAPI\napp = FastAPI()\n"))).notes == ()


def test_present_django_logging_is_left_alone(make: Make) -> None:
    files = dict(PYTHON["django"].files)
    files["config/settings.py"] += "LOGGING = {'version': 1}\n"
    plan = planned(make(files))
    assert plan.added == ("health", "liveness", "metrics")
    assert "config/settings.py has LOGGING already" in plan.unsupported[0]


def test_probes_stay_open_where_everything_needs_a_login(make: Make) -> None:
    files = dict(PYTHON["django"].files)
    login = "    'django.contrib.auth.middleware.LoginRequiredMiddleware',\n"
    files["config/settings.py"] = files["config/settings.py"].replace("MIDDLEWARE = [\n", f"MIDDLEWARE = [\n{login}")
    root = make(files)
    for path, views in (("config/health.py", 2), ("config/metrics.py", 1)):
        text = after(root, path)
        assert text.count("@login_not_required\ndef ") == views
        assert "from django.contrib.auth.decorators import login_not_required" in text
        assert "login" not in after(make(PYTHON["django"].files), path)
        root = make(files)


def test_names_of_the_blueprints_are_not_the_usual_ones(make: Make) -> None:
    """Flask refuses two blueprints of one name, and `health` is a name that applications use."""
    root = make(PYTHON["flask-factory"].files)
    names = [name for path in ("shop/health.py", "shop/metrics.py") for name in BLUEPRINT.findall(after(root, path))]
    assert names == ["platform_probes", "platform_metrics"]


def test_only_what_is_missing_is_added(make: Make) -> None:
    main = "from fastapi import FastAPI\napp = FastAPI()\n\n\n@app.get('/health')\ndef health():\n    return {}\n"
    root = make(fastapi(main))
    assert planned(root).added == ("liveness", "metrics", "json_logs")
    assert "/health" not in after(root, "health.py").replace("`/health`", "")


# --- Node shapes -------------------------------------------------------------------------------------------------


def test_a_server_without_a_safe_place_is_told(make: Make) -> None:
    server = (
        'const express = require("express");\nconst app = express();\n'
        "connect().then(() => app.listen(process.env.PORT));\n"
    )
    plan = planned(make({"package.json": NODE_MANIFEST, "server.js": server}))
    assert "sigterm" not in plan.added
    assert "server.close" in plan.unsupported[0]
    assert {change.path for change in plan.changes} >= {"server.js", "health.js"}


@pytest.mark.parametrize(
    "server",
    [
        'const app = require("express")().use(x);\napp.listen(1);\n',
        'const express = require("express");\nconst app = express().use(1);\napp.listen(1)\n',
        'const express = require("express");\nconst a = 1, app = express();\napp.listen(1, () => {\n',
        'const express = require("express");\nconst app = express();\nconst s = "open;\napp.listen(1);\n',
        'const express = require("express");\n/* const app = express();\n*/\nmake(express);\n',
        'const express = require("express");\nconst text = `\nconst app = express();\n`;\n',
        'const express = require("express");\nconst app = express();\nfunction logJson() {}\n',
    ],
)
def test_scripts_of_another_shape_are_left_alone(server: str, make: Make) -> None:
    plan = planned(make({"package.json": NODE_MANIFEST, "server.js": server}))
    assert not {"health", "liveness", "metrics", "json_logs"} & set(plan.added)
    assert "const app = express()" in plan.unsupported[0]


def test_nest_registers_its_controller(make: Make) -> None:
    text = after(make(NODE["nest"].files), "src/app.module.ts")
    assert "controllers: [OperationsController,\n    AppController,\n  ],\n  providers" in text
    files = dict(NODE["nest"].files)
    files["src/app.module.ts"] = (
        "import { Module } from '@nestjs/common';\n\n@Module({ providers: [] })\nexport class AppModule {}\n"
    )
    assert "@Module({ controllers: [OperationsController], providers: [] })" in after(make(files), "src/app.module.ts")


@pytest.mark.parametrize(
    ("prefix", "health"),
    [
        ("app.setGlobalPrefix('api/v1');", "/api/v1/health"),
        ("app.setGlobalPrefix('api', { exclude: ['health', 'livez'] });", "/health"),
        ("", "/health"),
    ],
)
def test_the_health_path_of_nest_has_the_global_prefix(prefix: str, health: str, make: Make) -> None:
    files = dict(NODE["nest"].files)
    files["src/main.ts"] = files["src/main.ts"].replace("  await app.listen", f"  {prefix}\n  await app.listen")
    root = make(files)
    plan = planned(root)
    apply(root, plan)
    unit = scan_project(root).units[0]
    assert (unit.health_path, unit.liveness_path) == (health, health.replace("health", "livez"))
    assert any("global prefix" in note for note in plan.notes) == bool(prefix)
    assert planned(root).changes == ()


def test_nest_asks_a_prisma_service(make: Make) -> None:
    files = dict(NODE["nest"].files)
    files["src/prisma.service.ts"] = (
        "import { PrismaClient } from '@prisma/client';\n\nexport class PrismaService extends PrismaClient {}\n"
    )
    text = after(make(files), "src/operations.controller.ts")
    assert "this.modules.get(PrismaService, { strict: false }).$queryRaw`SELECT 1`" in text
    assert "import { PrismaService } from './prisma.service';" in text


def test_next_adds_to_a_present_start_up_file(make: Make) -> None:
    files = dict(NODE["next"].files)
    files["src/instrumentation.ts"] = "export async function register() {\n  await warmUp();\n}\n"
    lines = after(make(files), "src/instrumentation.ts").splitlines()
    assert lines[1] == '  if (process.env.NEXT_RUNTIME === "nodejs") {'
    assert lines[-2:] == ["  await warmUp();", "}"]
    files["src/instrumentation.ts"] = "export const register = start;\n"
    plan = planned(make(files))
    assert plan.added == ("health", "liveness")
    assert "metrics, json_logs" in plan.unsupported[0]
    assert not any("metrics" in change.path for change in plan.changes)
    files = {**NODE["next"].files, "src/lib/json-console.ts": "export const mine = 1;\n"}
    plan = planned(make(files))
    assert plan.added == ("health", "liveness")
    assert "src/lib/json-console.ts exists already" in plan.unsupported[0]


def test_a_static_export_is_told(make: Make) -> None:
    files = {**NODE["next"].files, "next.config.mjs": 'export default { output: "export" };\n'}
    unit = DeployUnit(".", "shop", "fullstack", "node", frameworks=("next",), ready={"health": False})
    plan = plan_instrumentation(make(files), unit)
    assert plan.changes == ()
    assert "static export" in plan.unsupported[0]


def test_other_frameworks_are_told_what_to_add(make: Make) -> None:
    root = make({"go.mod": "module shop\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() {}\n"})
    ready = dict.fromkeys(("health", "liveness", "metrics", "json_logs", "sigterm"), False)
    plan = plan_instrumentation(root, DeployUnit(".", "shop", "backend", "go", frameworks=("gin",), ready=ready))
    assert (plan.changes, plan.added) == ((), ())
    assert len(plan.unsupported) == 5
    assert all("gin is not supported; add it by hand" in text for text in plan.unsupported)


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_file_that_changed_since_is_not_overwritten(make: Make) -> None:
    root = make(PYTHON["fastapi-async"].files)
    plan = planned(root)
    (root / "app/main.py").write_text("print('mine')\n")
    before = written(root)
    with pytest.raises(InstrumentError, match=r"app/main\.py has changed since it was read; nothing was written"):
        apply(root, plan)
    assert written(root) == before


def test_links_out_of_the_project_are_not_followed(make: Make, tmp_path: Path) -> None:
    root = make(PYTHON["fastapi-async"].files)
    plan = planned(root)
    (root / "app").rename(tmp_path / "elsewhere")
    (root / "app").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InstrumentError, match="behind a link"):
        apply(root, plan)
    assert not (tmp_path / "elsewhere" / "health.py").exists()
    assert planned(root).changes == ()


# --- the tool ----------------------------------------------------------------------------------------------------


async def test_tool_shows_the_diff_and_writes(make: Make) -> None:
    root = make(PYTHON["fastapi-async"].files)
    context = ToolContext.at(root)
    context.state["dry_run"] = True
    before = written(root)
    shown = await instrument_app.invoke(context, {"unit": "."})
    assert written(root) == before
    assert "would add (dry run, nothing written) health, liveness, metrics, json_logs" in str(shown.content)
    assert shown.data["written"] is False
    context.state["dry_run"] = False
    done = await instrument_app.invoke(context, {"unit": ".", "subjects": ["liveness"]})
    assert done.data["added"] == ["liveness"]
    assert {change["path"] for change in done.data["changes"]} == {"app/main.py", "app/health.py"}
    assert "+++ b/app/health.py" in str(done.content)
    assert (root / "app/health.py").exists()
    json.dumps(done.data)
    again = await instrument_app.invoke(context, {"unit": ".", "subjects": ["liveness"]})
    assert "nothing to add" in str(again.content)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"unit": "nowhere"}, r"nowhere is no deploy unit. Units: \."),
        ({"unit": "../.."}, "is no deploy unit"),
        ({"unit": ".", "subjects": ["speed"]}, "subjects"),
        ({}, "unit"),
    ],
)
async def test_tool_explains_wrong_input(raw: dict[str, object], told: str, make: Make) -> None:
    context = ToolContext.at(make(PYTHON["fastapi-async"].files))
    with pytest.raises(ToolError, match=told):
        await instrument_app.invoke(context, raw)


def test_new_python_parses_for_every_combination(make: Make) -> None:
    for app in PYTHON.values():
        root = make(app.files)
        unit = scan_project(root).units[0]
        for chosen in ({"health"}, {"liveness"}, {"metrics"}, {"json_logs"}, {"health", "json_logs"}):
            for change in plan_instrumentation(root, unit, chosen).changes:
                ast.parse(change.after)
