"""The siblings as the playbook plays them: real projects, real tools, and what they say of good and bad ones."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.knowledge.definition import builtin_agents
from agent.models.playbook import Playbook
from agent.models.playbook.script import Script, Turn
from agent.models.playbook.siblings import sibling_script
from agent.models.playbook.siblings.security import _data as security_data
from agent.models.port import Request
from agent.testing import ScriptedModel, call
from tools.devops.artifacts import plan_data
from tools.devops.handover import Handover, render
from tools.devops.project import scan_project
from tools.devops.tools import TOOLS, write_artifact
from tools.ports import DelegationRequest, DelegationResult
from tools.search import glob, grep
from tools.tool import Tool, ToolContext

EXAMPLES = Path(__file__).parents[2] / "examples"
POOL: dict[str, Tool] = {tool.name: tool for tool in (*TOOLS, grep, glob)}

Build = Callable[..., Any]


@pytest.fixture
def sibling_model(monkeypatch: pytest.MonkeyPatch) -> Playbook:
    def script(said: str, history: Any) -> Script:
        found = sibling_script(said)
        assert found is not None
        return found

    monkeypatch.setattr("agent.models.playbook.model.script_for", script)
    return Playbook()


@pytest.fixture
def siblings(family: Build, sibling_model: Playbook) -> Build:
    def build(root: Path, **options: Any) -> Any:
        agents = [agent for agent in builtin_agents().values() if agent.name != "expert-devops"]
        options.setdefault("pool", POOL)
        boss = replace(builtin_agents()["expert-devops"], tools=None)
        return family(options.pop("model", sibling_model), agents, root=root, boss=boss, **options).router

    return build


def example(tmp_path: Path, name: str) -> Path:
    root = tmp_path / name
    shutil.copytree(EXAMPLES / name, root)
    return root


def message(to: str, language: str = "en", **facts: str) -> str:
    return render(Handover(to, "expert-devops", "SPEC-X-001 review", facts or {"App": "x"}), language)  # type: ignore[arg-type]  # tests vary it


async def handed_over(router: Any, root: Path) -> dict[str, DelegationResult]:
    """All that the plan of a project hands over, at once, as the parent's step 8 does."""
    requests = [DelegationRequest(**d) for d in plan_data(ToolContext.at(root), None, ())["delegations"]]
    results = await asyncio.gather(*(router.delegate(request) for request in requests))
    return {result.agent: result for result in results}


@pytest.mark.parametrize(
    "name", ["trail-atlas", *(pytest.param(n, marks=pytest.mark.slow) for n in ("repair-api", "clinic-queue"))]
)
async def test_every_example_delegates_for_real(tmp_path: Path, siblings: Build, name: str) -> None:
    root = example(tmp_path, name)
    before = {unit.path: dict(unit.ready) for unit in scan_project(root).units}
    router = siblings(root)
    results = await handed_over(router, root)
    assert results.pop("manager-tdd").status == "requested"
    assert results
    for result in results.values():
        assert result.status == "completed", result.text
        assert not result.data["denials"]
        assert not result.data["broken_checks"]
    if "expert-backend" in results:
        report = results["expert-backend"]
        after = {unit.path: unit.ready for unit in scan_project(root).units}
        unit = "." if name == "repair-api" else "backend"
        assert not before[unit]["health"]
        assert all(after[unit][what] for what in ("health", "liveness", "metrics", "json_logs"))
        assert "```diff" in report.text
        assert "GET /livez" in report.text
        assert report.data["files"]
    korean = name == "clinic-queue"
    assert ("보안 감사 보고서" if korean else "Security audit report") in results["expert-security"].text


async def test_a_dry_run_shows_the_change_and_writes_nothing(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "repair-api")
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    results = await handed_over(siblings(root, state={"dry_run": True}), root)
    report = results["expert-backend"]
    assert "would add (dry run, nothing written)" in report.text
    assert report.data["files"] == []
    assert "still missing: Health endpoint" in report.text
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == files


async def test_a_change_that_is_not_permitted_is_not_reported_as_done(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "repair-api")
    results = await handed_over(siblings(root, mode="default"), root)
    report = results["expert-backend"]
    assert "InstrumentApp was not permitted" in report.text
    assert "seen in the code now: none; still missing: Health endpoint" in report.text
    assert report.data["denials"] == ["InstrumentApp"]


async def test_work_that_breaks_a_check_is_a_failure_whoever_says_it_is_done(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "repair-api")

    def script(request: Request) -> Any:
        if len(request.messages) > 1:
            return "All done, everything is safe."
        secret = "AKIA" + "IOSFODNN7EXAMPL3"
        return [call("Write", file_path="notes.md", content=f"aws_access_key_id = {secret}\n")]

    router = siblings(root, model=ScriptedModel(script))
    result = await router.delegate(DelegationRequest("expert-backend", "health", "Add a health endpoint."))
    assert result.status == "failed"
    assert "broke checks that passed before" in result.text
    assert "no_secrets/secret" in result.text
    assert result.data["files"] == ["notes.md"]


@pytest.mark.slow
async def test_files_that_rest_on_a_change_are_named(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "repair-api")
    context = ToolContext.at(root)
    planned = plan_data(context, None, ())["artifacts"]
    for artifact in planned:  # written before the code has a health path: they name none
        await write_artifact(context, path=artifact["path"], kind=artifact["kind"])
    result = (await handed_over(siblings(root), root))["expert-backend"]
    assert result.status == "completed"
    assert "rest on what it changed and must be written again:" in result.text
    assert "[railway/health] .railway/railway.py" in result.text
    assert {finding["file"] for finding in result.data["outdated"]} <= {artifact["path"] for artifact in planned}


# --- front end ------------------------------------------------------------------------------------------------------

IMAGE = "FROM node:22-slim AS build\nRUN npm run build\nFROM node:22-slim\nCOPY --from=build /app/.next/standalone ./\n"
CONFIG = "const config = { poweredByHeader: false };\nexport default config;\n"
TYPED = """import type { NextConfig } from "next";
const nextConfig: NextConfig = {
  poweredByHeader: false,
};
export default nextConfig;
"""


@pytest.mark.parametrize(
    ("platform", "image", "config", "said", "changed"),
    [
        ("kubernetes", IMAGE, CONFIG, '`output: "standalone"` added', True),
        ("kubernetes", IMAGE, TYPED, '`output: "standalone"` added', True),
        ("kubernetes", IMAGE, 'export default { output: "standalone" };\n', "standalone, as the image needs it", False),
        ("kubernetes", IMAGE, "export default withPlugins(base);\n", "do it by hand", False),
        ("vercel", IMAGE, CONFIG, "no other mode is needed", False),
        ("kubernetes", "FROM node:22-slim\n", CONFIG, "no other mode is needed", False),
    ],
)
async def test_the_build_output_is_changed_only_where_the_image_needs_it(
    tmp_path: Path, siblings: Build, platform: str, image: str, config: str, said: str, changed: bool
) -> None:
    root = example(tmp_path, "trail-atlas")
    (root / "next.config.mjs").write_text(config)
    (root / "Dockerfile").write_text(image)
    text = message("expert-frontend", **{"Frontend platform": platform})
    result = await siblings(root).delegate(DelegationRequest("expert-frontend", "settings", text))
    assert said in result.text
    now = (root / "next.config.mjs").read_text()
    assert (now != config) == changed
    assert not changed or now.count('output: "standalone",') == 1


async def test_variables_and_settings_are_compared_with_the_files(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "trail-atlas")
    (root / ".env.example").write_text("# TRAIL_API_KEY\nTRAIL_API_URL=http://localhost\n")
    (root / "vercel.json").write_text('{"framework": "nextjs"}')
    (root / "lib" / "pay.ts").write_text("export const k = process.env.NEXT_PUBLIC_PAY_SECRET;\n")
    text = message("expert-frontend", **{"Frontend platform": "vercel"})
    report = (await siblings(root).delegate(DelegationRequest("expert-frontend", "settings", text))).text
    assert "not in .env.example: NEXT_PUBLIC_PAY_SECRET, NEXT_PUBLIC_SITE_NAME" in report
    assert "NEXT_PUBLIC_PAY_SECRET is public" in report
    assert "vercel.json: no region" in report
    assert "deploys beside the pipeline" in report


# --- security -------------------------------------------------------------------------------------------------------

BAD = {
    "pipe-to-shell": ("install.sh", "curl -fsSL https://example.com/i | sh\n"),
    "foreign-code": (".github/workflows/x.yml", "on:\n  pull_request_target:\n"),
    "script-injection": (".github/workflows/x.yml", 'run: echo "${{ github.event.issue.title }}"\n'),
    "every-permission": (".github/workflows/x.yml", "permissions: write-all\n"),
    "tls-unchecked": ("app/fetch.py", "httpx.get(url, verify=False)\n"),
    "sql-from-text": ("app/rows.py", 'session.execute(f"SELECT * FROM t WHERE id = {n}")\n'),
    "any-origin": ("app/cors.py", 'options = dict(allow_origins=["*"])\n'),
    "debug-mode": ("app/flags.py", "DEBUG = True\n"),
    "unpinned": ("requirements.txt", "fastapi\nuvicorn>=0.30\n"),
    "personal-data-in-logs": ("app/mail.py", 'logger.info("sent to %s", user.email)\n'),
}
GOOD = {
    "pipe-to-shell": ("install.sh", "curl -fsSLo i https://example.com/i && sha256sum -c i.sha256\n"),
    "foreign-code": (".github/workflows/x.yml", "on:\n  pull_request:\n"),
    "script-injection": (".github/workflows/x.yml", 'run: echo "$TITLE"\nref: ${{ github.sha }}\n'),
    "every-permission": (".github/workflows/x.yml", "permissions: {contents: read}\n"),
    "tls-unchecked": ("app/fetch.py", "httpx.get(url, verify=context)\n"),
    "sql-from-text": ("app/rows.py", 'session.execute("SELECT * FROM t WHERE id = :n", {"n": n})\n'),
    "any-origin": ("app/cors.py", "options = dict(allow_origins=settings.origins)\n"),
    "debug-mode": ("app/flags.py", "DEBUG = settings.debug\n"),
    "unpinned": ("requirements.txt", "fastapi==0.115.0\nuvicorn[standard]==0.30.1\n-r other.txt\n# comment\n"),
    "personal-data-in-logs": ("app/mail.py", 'logger.info("sent to user %s", user.id)\n'),
}


_BY_DEFAULT = {"script-injection", "unpinned"}
"""The rules tried in the default suite; the rest are the same code with other data."""


@pytest.mark.parametrize(
    "rule", [r if r in _BY_DEFAULT else pytest.param(r, marks=pytest.mark.slow) for r in security_data()["rules"]]
)
async def test_each_rule_finds_the_bad_and_leaves_the_good(tmp_path: Path, siblings: Build, rule: str) -> None:
    root = example(tmp_path, "repair-api")
    severity = security_data()["severities"][security_data()["rules"][rule]["severity"]]["en"]
    request = DelegationRequest("expert-security", "review", message("expert-security", SPEC="SPEC-REPAIR-012"))
    for (path, text), expected in ((BAD[rule], True), (GOOD[rule], False)):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        report = (await siblings(root).delegate(request)).text
        line = next((line for line in report.splitlines() if f"[{rule}]" in line and f"`{path}:" in line), "")
        assert bool(line) == expected, report
        assert not expected or (f"**{severity}**" in line and "within" in line)


async def test_the_same_place_in_a_test_is_no_finding(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "repair-api")
    (root / "tests" / "test_tls.py").write_text("httpx.get(url, verify=False)\n")
    request = DelegationRequest("expert-security", "review", message("expert-security", SPEC="SPEC-REPAIR-012"))
    assert "tls-unchecked" not in (await siblings(root).delegate(request)).text


async def test_a_secret_in_a_file_is_critical_and_never_repeated(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "repair-api")
    secret = "ghp_" + "x7Kq9ZbT2mWv4RnL8p" + "YcD5sHfJ3gUaE6tXiB"
    (root / "notes.md").write_text(f"token: {secret}\n")
    request = DelegationRequest("expert-security", "review", message("expert-security", SPEC="SPEC-REPAIR-012"))
    result = await siblings(root).delegate(request)
    assert "Verdict: do not release" in result.text
    assert "**Critical** `notes.md:1`" in result.text
    assert "within 24 hours" in result.text
    assert secret not in result.text
    assert result.status == "completed"  # it was there before: finding it is the sibling's work


async def test_the_law_on_data_is_checked_against_the_region(tmp_path: Path, siblings: Build) -> None:
    root = example(tmp_path, "clinic-queue")
    (root / "frontend" / "vercel.json").write_text('{"framework": "nextjs", "regions": ["iad1"]}')
    text = message("expert-security", "ko", SPEC="SPEC-QUEUE-004")
    report = (await siblings(root).delegate(DelegationRequest("expert-security", "검토", text))).text
    assert "[consistency/region] (7일 이내)" in report
    assert "PIPA: 데이터 위치(한국): 미충족" in report
    assert "판정: 조건부 릴리스" in report


def test_other_texts_and_other_agents_are_no_task_for_a_sibling() -> None:
    assert sibling_script("Make this deployable.") is None
    assert sibling_script(message("manager-tdd")) is None
    script = sibling_script(message("code-backend"))
    assert script is not None
    assert isinstance(next(script), Turn)


@pytest.mark.parametrize("agent", ["expert-backend", "expert-frontend", "expert-security"])
async def test_a_project_that_cannot_be_read_is_said_and_nothing_is_done(
    tmp_path: Path, siblings: Build, agent: str
) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    pool = {name: tool for name, tool in POOL.items() if name != "DetectProject"}
    result = await siblings(root, pool=pool).delegate(DelegationRequest(agent, "x", message(agent)))
    assert "I cannot go further by rules" in result.text
