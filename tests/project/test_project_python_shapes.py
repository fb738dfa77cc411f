"""Python projects of the shapes found in the example folders of public build tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tools.devops.types import Project

Scan = Callable[[Mapping[str, Any]], Project]

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\napp = Flask(__name__)\n"
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n'
DJANGO = {
    "manage.py": MANAGE,
    "mysite/__init__.py": "",
    "mysite/settings.py": "WSGI_APPLICATION = 'mysite.wsgi.application'\nSTATIC_ROOT = 'static'\n",
    "mysite/wsgi.py": "application = 1\n",
}


@dataclass(frozen=True)
class Shape:
    files: Mapping[str, Any]
    manager: str
    start: str | None
    frameworks: tuple[str, ...] = ()
    kind: str = "backend"
    more: Mapping[str, Any] = field(default_factory=dict)


SHAPES: dict[str, Shape] = {
    "pip script": Shape(
        {"requirements.txt": "cowsay==6.0\n", "main.py": "print(1)\n"}, "pip", "python main.py", (), "worker"
    ),
    "bot without manifest": Shape({"bot.py": "print('bot')\n"}, "pip", "python bot.py", (), "worker"),
    "runtime.txt": Shape(
        {"requirements.txt": "", "runtime.txt": "python-3.12.4\n", "main.py": ""},
        "pip",
        "python main.py",
        (),
        "worker",
        {"version": "3.12"},
    ),
    "single odd script": Shape(
        {"requirements.txt": "", "fetch_news.py": "if __name__ == '__main__':\n    print(1)\n"},
        "pip",
        "python fetch_news.py",
        (),
        "worker",
    ),
    "fastapi pip": Shape(
        {"requirements.txt": "fastapi\nuvicorn[standard]\n", "main.py": FASTAPI},
        "pip",
        "uvicorn main:app --host 0.0.0.0 --port $PORT",
        ("fastapi",),
        more={"install": "pip install -r requirements.txt", "port": 8000, "entry": "main:app"},
    ),
    "fastapi nested uv": Shape(
        {
            "pyproject.toml": '[project]\nname = "api"\nrequires-python = ">'
            '=3.12"\ndependencies = ["fastapi", "uvicorn"]\n'
            '[dependency-groups]\ndev = ["pytest", "ruff", "mypy"]\n',
            "uv.lock": "",
            "app/__init__.py": "",
            "app/main.py": FASTAPI,
        },
        "uv",
        "uvicorn app.main:app --host 0.0.0.0 --port $PORT",
        ("fastapi",),
        more={
            "install": "uv sync --locked --no-dev",
            "version": "3.12",
            "test": "uv run pytest",
            "lint": "uv run ruff check .",
            "typecheck": "uv run mypy .",
            "name": "api",
        },
    ),
    "fastapi standard extra": Shape(
        {"requirements.txt": "fastapi[standard]\n", "app/main.py": "import fastapi\napi = fastapi.FastAPI()\n"},
        "pip",
        "uvicorn app.main:api --host 0.0.0.0 --port $PORT",
        ("fastapi",),
    ),
    "fastapi factory": Shape(
        {
            "requirements.txt": "fastapi\nuvicorn\n",
            "shop/app.py": "from fastapi import FastAPI\ndef create_app(debug=False):\n"
            "    app = FastAPI()\n    return app\n",
        },
        "pip",
        "uvicorn shop.app:create_app --host 0.0.0.0 --port $PORT --factory",
        ("fastapi",),
    ),
    "fastapi under gunicorn": Shape(
        {"requirements.txt": "fastapi\ngunicorn\n", "main.py": FASTAPI},
        "pip",
        "gunicorn main:app -k uvicorn.workers.UvicornWorker --bind 0.0.0.0:$PORT",
        ("fastapi",),
    ),
    "fastapi imports neighbours": Shape(
        {
            "requirements.txt": "fastapi\nuvicorn\n",
            "backend/main.py": "import routes\n" + FASTAPI,
            "backend/routes.py": "x = 1\n",
        },
        "pip",
        "uvicorn main:app --host 0.0.0.0 --port $PORT --app-dir backend",
        ("fastapi",),
    ),
    "src layout": Shape(
        {
            "pyproject.toml": '[project]\nname="svc"\ndependencies=["starlette",'
            '"uvicorn"]\n[build-system]\nrequires=["hatchling"]\n',
            "src/svc/__init__.py": "",
            "src/svc/web.py": "from starlette.applications import Starlette\napp = Starlette()\n",
        },
        "pip",
        "uvicorn svc.web:app --host 0.0.0.0 --port $PORT --app-dir src",
        ("starlette",),
    ),
    "litestar hypercorn": Shape(
        {"requirements.txt": "litestar\nhypercorn\n", "app.py": "from litestar import Litestar\napp = Litestar([])\n"},
        "pip",
        "hypercorn app:app --bind 0.0.0.0:$PORT",
        ("litestar",),
    ),
    "fasthtml": Shape(
        {"requirements.txt": "python-fasthtml\n", "main.py": "from fasthtml.common import *\napp, rt = fast_app()\n"},
        "pip",
        "uvicorn main:app --host 0.0.0.0 --port $PORT",
        ("fasthtml",),
    ),
    "flask gunicorn": Shape(
        {"requirements.txt": "Flask==3.0\ngunicorn\n", "app.py": FLASK},
        "pip",
        "gunicorn app:app --bind 0.0.0.0:$PORT",
        ("flask",),
    ),
    "flask without server": Shape(
        {"requirements.txt": "flask\n", "app.py": FLASK},
        "pip",
        "gunicorn app:app --bind 0.0.0.0:$PORT",
        ("flask",),
        more={"install": "pip install -r requirements.txt && pip install gunicorn"},
    ),
    "flask factory in package": Shape(
        {
            "requirements.txt": "flask\ngunicorn\nflask-migrate\n",
            "migrations/env.py": "",
            "migrations/alembic.ini": "",
            "web/__init__.py": "from flask import Flask\ndef create_app():\n"
            "    app = Flask(__name__)\n    return app\n",
        },
        "pip",
        "gunicorn 'web:create_app()' --bind 0.0.0.0:$PORT",
        ("flask",),
        more={"migrate": "flask --app web:create_app db upgrade"},
    ),
    "flask wsgi module": Shape(
        {
            "requirements.txt": "flask\ngunicorn\n",
            "wsgi.py": "from web import create_app\napp = create_app()\n",
            "web/__init__.py": "from flask import Flask\ndef create_app():\n"
            "    app = Flask(__name__)\n    return app\n",
        },
        "pip",
        "gunicorn wsgi:app --bind 0.0.0.0:$PORT",
        ("flask",),
    ),
    "flask poetry": Shape(
        {
            "pyproject.toml": '[tool.poetry]\nname="p"\n[tool.poetry.dependencies]\n'
            'python="^3.12"\nFlask="^3"\ngunicorn="*"\n',
            "poetry.lock": "",
            "main.py": FLASK,
        },
        "poetry",
        "gunicorn main:app --bind 0.0.0.0:$PORT",
        ("flask",),
        more={"install": "poetry install --only main --no-root", "version": "3.12"},
    ),
    "pdm": Shape(
        {"pyproject.toml": '[project]\nname="p"\ndependencies=["flask","gunicorn"]\n', "pdm.lock": "", "app.py": FLASK},
        "pdm",
        "gunicorn app:app --bind 0.0.0.0:$PORT",
        ("flask",),
        more={"install": "pdm install --prod --frozen-lockfile"},
    ),
    "pipenv": Shape(
        {
            "Pipfile": '[packages]\nflask="*"\ngunicorn="*"\n[requires]\npython_version="3.12"\n',
            "Pipfile.lock": "{}",
            "app.py": FLASK,
        },
        "pipenv",
        "gunicorn app:app --bind 0.0.0.0:$PORT",
        ("flask",),
        more={"version": "3.12", "install": "pipenv install --deploy"},
    ),
    "conda": Shape(
        {"environment.yml": "dependencies:\n  - python=3.12\n  - pip:\n    - flask\n    - gunicorn\n", "app.py": FLASK},
        "conda",
        "gunicorn app:app --bind 0.0.0.0:$PORT",
        ("flask",),
    ),
    "django": Shape(
        {**DJANGO, "requirements.txt": "Django>=5\ngunicorn\npsycopg2\n"},
        "pip",
        "gunicorn mysite.wsgi:application --bind 0.0.0.0:$PORT",
        ("django",),
        more={
            "migrate": "python manage.py migrate --noinput",
            "build": "python manage.py collectstatic --noinput",
            "test": "python manage.py test",
            "system_packages": ("gcc", "libpq-dev", "libpq5"),
        },
    ),
    "django asgi": Shape(
        {**DJANGO, "mysite/asgi.py": "application = 1\n", "requirements.txt": "django\nchannels\ndaphne\n"},
        "pip",
        "daphne -b 0.0.0.0 -p $PORT mysite.asgi:application",
        ("django",),
    ),
    "django one folder down": Shape(
        {**{f"src/{name}": text for name, text in DJANGO.items()}, "requirements.txt": "django\ngunicorn\n"},
        "pip",
        "gunicorn mysite.wsgi:application --bind 0.0.0.0:$PORT --chdir src",
        ("django",),
        more={"migrate": "python src/manage.py migrate --noinput"},
    ),
    "django celery": Shape(
        {
            **DJANGO,
            "requirements.txt": "django\ngunicorn\ncelery[redis]\n",
            "mysite/celery.py": "from celery import Celery\napp = Celery('mysite')\napp.conf.beat_schedule = {}\n",
        },
        "pip",
        "gunicorn mysite.wsgi:application --bind 0.0.0.0:$PORT",
        ("django", "celery"),
        more={
            "workers": (
                {"name": "worker", "command": "celery -A mysite worker --loglevel=INFO"},
                {"name": "beat", "command": "celery -A mysite beat --loglevel=INFO"},
            )
        },
    ),
    "celery only": Shape(
        {"requirements.txt": "celery\nredis\n", "tasks.py": "from celery import Celery\napp = Celery('t')\n"},
        "pip",
        "celery -A tasks worker --loglevel=INFO",
        ("celery",),
        "worker",
    ),
    "arq only": Shape(
        {"requirements.txt": "arq\n", "jobs/worker.py": "class WorkerSettings:\n    functions = []\n"},
        "pip",
        "arq jobs.worker.WorkerSettings",
        ("arq",),
        "worker",
    ),
    "aiohttp": Shape(
        {
            "requirements.txt": "aiohttp\n",
            "main.py": "from aiohttp import web\napp = web.Application()\nweb.run_app(app)\n",
        },
        "pip",
        "python main.py",
        ("aiohttp",),
    ),
    "streamlit": Shape(
        {"requirements.txt": "streamlit\npandas\n", "dashboard.py": "import streamlit as st\nst.title('x')\n"},
        "pip",
        "streamlit run dashboard.py --server.address 0.0.0.0 --server.port $PORT",
        ("streamlit",),
        "fullstack",
    ),
    "procfile": Shape(
        {
            "requirements.txt": "flask\ngunicorn\n",
            "app.py": FLASK,
            "Procfile": "web: gunicorn app:app --workers 4\nworker: python work.py\nrelease: flask db upgrade\n",
        },
        "pip",
        "gunicorn app:app --workers 4",
        ("flask",),
        more={"migrate": "flask db upgrade", "workers": ({"name": "worker", "command": "python work.py"},)},
    ),
    "http.server": Shape(
        {"server.py": "import http.server\nhttp.server.HTTPServer(('', 8080), None)\n", "requirements.txt": ""},
        "pip",
        "python server.py",
    ),
    "console script package": Shape(
        {
            "pyproject.toml": '[project]\nname="tool"\n[project.scripts]\n'
            'tool="tool:main"\n[build-system]\nrequires=[]\n',
            "uv.lock": "",
            "src/tool/__init__.py": "def main(): ...\n",
        },
        "uv",
        "tool",
        (),
        "library",
    ),
    "alembic": Shape(
        {
            "requirements.txt": "-r requirements/base.txt\nuvicorn\n",
            "requirements/base.txt": "fastapi\nsqlalchemy\nasyncpg\n",
            "alembic.ini": "",
            "app/main.py": FASTAPI,
        },
        "pip",
        "uvicorn app.main:app --host 0.0.0.0 --port $PORT",
        ("fastapi",),
        more={"migrate": "alembic upgrade head", "services": ("postgres",)},
    ),
    "lambda": Shape(
        {"requirements.txt": "boto3\n", "handler.py": "def lambda_handler(event, context):\n    return {}\n"},
        "pip",
        None,
        (),
        "function",
        {"entry": "handler.lambda_handler"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_shape(scan: Scan, shape: Shape) -> None:
    project = scan(shape.files)
    assert [unit.path for unit in project.units] == ["."]
    unit = project.units[0]
    assert unit.language == "python"
    assert (unit.package_manager, unit.start) == (shape.manager, shape.start)
    assert set(shape.frameworks) <= set(unit.frameworks)
    assert unit.kind == shape.kind
    assert {key: getattr(unit, key) for key in shape.more} == shape.more


def test_a_missing_server_is_said(scan: Scan) -> None:
    """Known bad: Flask alone has no production server. Known good: with gunicorn nothing is said."""
    bad = scan(SHAPES["flask without server"].files)
    assert "production_server" in {missing.what for missing in bad.missing}


def test_a_declared_server_is_enough(scan: Scan) -> None:
    good = scan(SHAPES["flask gunicorn"].files)
    assert "production_server" not in {missing.what for missing in good.missing}


@pytest.mark.parametrize(
    ("constraint", "version"),
    [
        (">=3.12", "3.12"),
        (">=3.8", None),
        ("==3.11.*", "3.11"),
        ("~=3.12", "3.12"),
        (">=3.12,<3.14", "3.12"),
        ("<4", None),
    ],
)
def test_requires_python(scan: Scan, constraint: str, version: str | None) -> None:
    """An open range that starts at an unsupported Python pins nothing."""
    project = scan({"pyproject.toml": f'[project]\nname="x"\nrequires-python="{constraint}"\n', "main.py": ""})
    assert project.units[0].version == version


def test_python_version_file_beats_the_range(scan: Scan) -> None:
    project = scan(
        {"pyproject.toml": '[project]\nrequires-python=">=3.11"\n', ".python-version": "3.13.1\n", "main.py": ""}
    )
    assert project.units[0].version == "3.13"
    assert any(".python-version" in note for note in project.notes)


ENGINE = "from sqlalchemy.ext.asyncio import create_async_engine\nimport os\nengine = create_async_engine(%s)\n"


@pytest.mark.parametrize(
    ("address", "lacks"),
    [
        ("os.environ['DATABASE_URL']", True),
        ("os.environ['DATABASE_URL'].replace('postgresql://', 'postgresql+asyncpg://')", False),
    ],
)
def test_an_asynchronous_engine_needs_its_driver_in_the_address(scan: Scan, address: str, lacks: bool) -> None:
    files = {
        "requirements.txt": "fastapi\nuvicorn\nsqlalchemy\nasyncpg\n",
        "main.py": ENGINE % address + "from fastapi import FastAPI\napp = FastAPI()\n",
    }
    assert ("database_driver" in {missing.what for missing in scan(files).missing}) is lacks


@pytest.mark.parametrize(("line", "lacks"), [("@app.route('/'", True), ("", False)])
def test_a_start_file_that_does_not_parse_is_said(scan: Scan, line: str, lacks: bool) -> None:
    files = {"requirements.txt": "requests\n", "main.py": f"import requests\n{line}\n"}
    assert ("syntax" in {missing.what for missing in scan(files).missing}) is lacks
