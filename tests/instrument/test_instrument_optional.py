"""What a service can do without does not decide `/health`; where nobody says, that is an assumption and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.instrument.apps import NODE, PYTHON
from tools.devops.instrument import Instrumentation, plan_instrumentation
from tools.devops.project import scan_project
from tools.devops.spec import read_spec

Make = Callable[[Mapping[str, str]], Path]
APPS = PYTHON | NODE
SPEC = "# SPEC-SHOP-001: Shop\n\n## Requirements\n- REQ-SHOP-001 (State): {text}\n"


def planned(root: Path) -> Instrumentation:
    spec = read_spec(root) if (root / ".do").exists() else None
    return plan_instrumentation(root, scan_project(root).units[0], spec=spec)


def told(text: str, app: str = "fastapi-async") -> Mapping[str, str]:
    return {**APPS[app].files, ".do/specs/SPEC-SHOP-001/spec.md": SPEC.format(text=text)}


def is_optional(plan: Instrumentation) -> bool:
    """Whether the written code says so; the note must agree."""
    code = [c.after for c in plan.changes if "OPTIONAL" in c.after]
    named = any("answers 200 without it" in note for note in plan.notes)
    assert bool(code) == named
    return named


@pytest.mark.parametrize(
    "text",
    [
        "WHILE the cache is unreachable, the system shall still open tickets.",
        "IF Redis is down, the system shall continue to serve orders from the database.",
        "The cache is optional.",
        "**IF** 캐시에 연결할 수 없으면 **THEN** 시스템은 계속 주문을 받아야 한다.",
        "Redis 장애 중에도 시스템은 정상적으로 동작해야 한다.",
    ],
)
def test_the_spec_calls_the_cache_optional(text: str, make: Make) -> None:
    plan = planned(make(told(text)))
    assert is_optional(plan)
    assert any("REQ-SHOP-001 (.do/specs/SPEC-SHOP-001/spec.md:4)" in note for note in plan.notes)
    health = next(change.after for change in plan.changes if change.path.endswith("health.py"))
    assert 'OPTIONAL = frozenset(["cache"])' in health


@pytest.mark.parametrize(
    "text",
    [
        "WHILE the cache is unreachable, the system shall not open tickets.",
        "IF the cache is unavailable, the system shall reject orders and still show the page.",
        "WHILE the stock service is unreachable, the system shall still accept orders.",
        "WHEN a ticket is read, the system shall answer from the cache.",
        "IF 캐시에 연결할 수 없으면 THEN 시스템은 주문을 거부해야 한다.",
    ],
)
def test_other_words_do_not(text: str, make: Make) -> None:
    plan = planned(make(told(text)))
    assert not is_optional(plan)
    assert any(note.startswith("Assumption: the service cannot do without the cache") for note in plan.notes)


@pytest.mark.parametrize("name", APPS)
def test_every_framework_keeps_to_it(name: str, make: Make) -> None:
    plan = planned(make(told("WHILE the cache is unreachable, the system shall still open tickets.", name)))
    assert is_optional(plan)
    assert not is_optional(planned(make(APPS[name].files)))


@pytest.mark.parametrize(
    ("handler", "optional"),
    [
        ("    except redis.exceptions.ConnectionError:\n        return None\n", True),
        ("    except (RedisError, OSError) as error:\n        log(error)\n", True),
        ("    except RedisError:\n        raise\n", False),
        ("    except RedisError:\n        return JSONResponse({}, status_code=503)\n", False),
        ("    except ValueError:\n        return None\n", False),
    ],
)
def test_code_that_survives_the_cache_calls_it_optional(handler: str, optional: bool, make: Make) -> None:
    files = dict(PYTHON["fastapi-async"].files)
    files["app/prices.py"] = f"def price():\n    try:\n        return cached()\n{handler}"
    plan = planned(make(files))
    assert is_optional(plan) is optional
    assert any("app/prices.py:4" in note for note in plan.notes) is optional
