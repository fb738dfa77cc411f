"""Tests that are written beside what is added: in the project's own framework, run by its own command."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.instrument.apps import PYTHON
from tools.devops.instrument import Instrumentation, apply, plan_instrumentation
from tools.devops.project import scan_project

Make = Callable[[Mapping[str, str]], Path]
_ENV = "import os\n\nos.environ |= {'DATABASE_URL': 'postgresql://h/d', 'REDIS_URL': 'redis://h'}\n"
_SRC = {
    (f"src/{name}" if name.endswith(".py") else name): text for name, text in PYTHON["fastapi-factory"].files.items()
}
_REQUIREMENTS = "httpx\npytest\n"

# name -> files, where the new tests go
SHAPES: Mapping[str, tuple[Mapping[str, str], str]] = {
    "fastapi-module": (
        {
            **PYTHON["fastapi-async"].files,
            "requirements-dev.txt": _REQUIREMENTS,
            "tests/conftest.py": _ENV,
            "tests/test_shop.py": "from app.main import app\n\n\ndef test_title() -> None:\n    assert app.title\n",
        },
        "tests/test_probes.py",
    ),
    "fastapi-factory-in-src": (
        {
            **_SRC,
            "requirements-dev.txt": _REQUIREMENTS,
            "pytest.ini": "[pytest]\npythonpath = src\n",
            "tests/unit/conftest.py": _ENV,
            "tests/unit/test_shop.py": "from shop.main import create_app\n\n\ndef test_it():\n    create_app()\n",
        },
        "tests/unit/test_probes.py",
    ),
    "fastapi-guarded": (
        {
            "requirements.txt": "fastapi\nuvicorn\nhttpx\npytest\n",
            "main.py": (
                "from fastapi import Depends, FastAPI, Header, HTTPException\n\n\n"
                "def user(token: str = Header('')) -> None:\n"
                "    if not token:\n        raise HTTPException(401)\n\n\napp = FastAPI(dependencies=[Depends(user)])\n"
            ),
            "test_main.py": "from main import app\n\n\ndef test_it() -> None:\n    assert app\n",
            "test_probes.py": "def test_of_mine() -> None:\n    pass\n",
        },
        "test_operations.py",
    ),
    "flask-factory": (
        {
            **PYTHON["flask-factory"].files,
            "shop/__init__.py": PYTHON["flask-factory"]
            .files["shop/__init__.py"]
            .replace("app():", "app(config=None):"),
            "tests/__init__.py": "",
            "tests/conftest.py": _ENV,
            "tests/test_shop.py": "from shop import create_app\n\n\ndef test_it():\n    assert create_app({})\n",
            "requirements-dev.txt": "pytest\n",
        },
        "tests/test_probes.py",
    ),
    "flask-module": (
        {
            **PYTHON["flask-circle"].files,
            "conftest.py": _ENV,
            "tests/test_shop.py": "from shop import app\n\n\ndef test_it():\n    assert app\n",
            "requirements-dev.txt": "pytest\n",
        },
        "tests/test_probes.py",
    ),
    "django": (
        {
            **PYTHON["django"].files,
            "config/tests.py": (
                "from django.test import SimpleTestCase\n\nfrom config import urls\n\n\n"
                "class ShopTests(SimpleTestCase):\n    def test_it(self):\n        self.assertTrue(urls)\n"
            ),
        },
        "config/test_probes.py",
    ),
}


def planned(root: Path) -> Instrumentation:
    return plan_instrumentation(root, scan_project(root).units[0])


def new_tests(plan: Instrumentation) -> dict[str, str]:
    """Path -> text of the new test files."""
    return {c.path: c.after for c in plan.changes if re.search(r"(^|/)test_[^/]*\.py$", c.path)}


def run_tests(root: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    command = scan_project(root).units[0].test
    assert command
    words = command.split() if command.startswith("python") else ["python", "-m", "pytest", "-q"]
    env = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": "postgresql://h/d",
        "REDIS_URL": "redis://h",
    }
    return subprocess.run(words, cwd=root, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SHAPES)
def test_new_tests_stand_beside_the_present_ones(name: str, make: Make) -> None:
    files, path = SHAPES[name]
    root = make(files)
    plan = planned(root)
    assert [*new_tests(plan)] == [path]
    assert f"{path} tests what was added." in plan.notes
    compile(new_tests(plan)[path], path, "exec")
    apply(root, plan)
    assert planned(root).changes == ()
    assert all((root / kept).read_bytes().decode() == files[kept] for kept in files if "test" in kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_new_tests_pass_and_fail_for_broken_code(name: str, make: Make, python_programs: Path) -> None:
    root = make(SHAPES[name][0])
    plan = planned(root)
    apply(root, plan)
    done = run_tests(root, python_programs)
    assert done.returncode == 0, done.stdout + done.stderr
    for change in plan.changes:
        broken = change.after.replace('503 if status == "unavailable" else 200', "200")
        broken = broken.replace('"timestamp":', '"time":').replace("# TYPE ", "# type ")
        if change.before is None and "test" not in change.path and broken != change.after:
            (root / change.path).write_bytes(broken.encode())
            done = run_tests(root, python_programs)
            assert done.returncode == 1, f"{change.path} is broken and no test fails\n{done.stdout}"
            (root / change.path).write_bytes(change.after.encode())


def test_an_application_behind_a_guard_is_not_asked_by_the_tests(make: Make) -> None:
    (text,) = new_tests(planned(make(SHAPES["fastapi-guarded"][0]))).values()
    assert "app = FastAPI()\n" in text
    assert "from main import" not in text


@pytest.mark.parametrize("name", PYTHON)
def test_without_tests_none_are_added(name: str, make: Make) -> None:
    plan = planned(make(PYTHON[name].files))
    assert new_tests(plan) == {}
    assert not any("tests" in note.lower() for note in plan.notes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"requirements-dev.txt": "pytest\n"}, "httpx, which the test client needs, is no dependency"),
        ({"tests/test_shop.py": "def test_it() -> None:\n    pass\n"}, "do not import the application's package"),
    ],
)
def test_tests_that_could_not_run_are_not_added_and_the_reason_is_told(
    change: Mapping[str, str], told: str, make: Make
) -> None:
    plan = planned(make({**SHAPES["fastapi-module"][0], **change}))
    assert new_tests(plan) == {}
    assert any(note.startswith("No tests were added") and told in note for note in plan.notes)


def test_only_what_is_added_is_tested(make: Make) -> None:
    root = make(SHAPES["fastapi-module"][0])
    unit = scan_project(root).units[0]
    (text,) = new_tests(plan_instrumentation(root, unit, ["liveness"])).values()
    assert "/livez" in text
    assert not re.search("/health|/metrics|JSONFormatter|monkeypatch", text)
