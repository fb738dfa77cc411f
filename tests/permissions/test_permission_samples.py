"""Cases in JSON lines: each says rules, mode and call, and the decision it must get.

`samples.jsonl` holds cases named after classes of public failures, `corpus.jsonl` our own. `{CWD}`, `{HOME}` and
`{OUT}` stand for a project, a home and a directory beside the project; `setup` lines run in the project first.
`lenient` cases may be asked or denied.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.permissions import explain_batch

HERE = Path(__file__).parent
CASES = [
    json.loads(line)
    for name in ("samples.jsonl", "corpus.jsonl")
    for line in (HERE / name).read_text(encoding="utf-8").split("\n")
    if line.strip() and not line.startswith("#")
]


def _filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, dict):
        return {key: _filled(item, names) for key, item in value.items()}
    return [_filled(item, names) for item in value] if isinstance(value, list) else value


def _places(root: Path) -> dict[str, str]:
    names = {"{CWD}": root / "space" / "proj", "{HOME}": root / "home" / "ann", "{OUT}": root / "space" / "out"}
    for path in names.values():
        path.mkdir(parents=True)
    return {name: str(path) for name, path in names.items()}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The places of every case without a set-up: decisions change nothing, so that they can share them."""
    return _places(tmp_path_factory.mktemp("cases"))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case_gets_its_decision(
    case: dict[str, Any], empty: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    places = _places(tmp_path_factory.mktemp("case")) if "setup" in case else empty
    case = _filled(case, places)
    for line in case.get("setup", ()):
        subprocess.run(["bash", "-c", line], cwd=places["{CWD}"], check=True)
    line = json.dumps({"cwd": places["{CWD}"], "home": places["{HOME}"], **case})
    answer = json.loads(next(explain_batch([line])))
    accepted = {"ask", "deny"} if case.get("lenient") else {case["expect"]}
    assert answer["decision"] in accepted, f"{case['why']}\n{case['input']}\n{answer}"
    assert not answer["reason"].startswith("malformed"), answer


def test_ids_are_unique() -> None:
    ids = [case["id"] for case in CASES]
    assert len(ids) == len(set(ids))
