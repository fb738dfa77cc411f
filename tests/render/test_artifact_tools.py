"""The two tools, on a real project on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.devops.tools import plan_deployment, write_artifact
from tools.tool import ToolContext, ToolError

FILES = {
    "requirements.txt": "fastapi\nuvicorn\nsqlalchemy\nasyncpg\nredis\npytest\n",
    "app/__init__.py": "",
    "app/main.py": (
        "import os\nfrom fastapi import FastAPI\napp = FastAPI()\nDB = os.environ['DATABASE_URL']\n"
        "KEY = os.environ['SECRET_KEY']\nCACHE = os.getenv('REDIS_URL')\n\n\n"
        "@app.get('/health')\nasync def health() -> dict[str, str]:\n    return {}\n"
    ),
    "tests/test_app.py": "def test_it() -> None:\n    pass\n",
    ".git/HEAD": "ref: refs/heads/main\n",
}
RAILWAY = [{"name": "platform", "value": "railway"}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


async def planned(ctx: ToolContext, **more: Any) -> Any:
    return (await plan_deployment.invoke(ctx, more)).data


async def written(ctx: ToolContext, path: str, kind: str, **more: Any) -> Any:
    return (await write_artifact.invoke(ctx, {"path": path, "kind": kind, **more})).data


async def write_all(ctx: ToolContext, **more: Any) -> dict[str, str]:
    plan = await planned(ctx, **more)
    return {a["path"]: (await written(ctx, a["path"], a["kind"], **more))["status"] for a in plan["artifacts"]}


async def test_a_plan_is_json_and_writes_nothing(root: Path) -> None:
    before = listing(root)
    result = await plan_deployment.invoke(ToolContext.at(root), {"decisions": RAILWAY})
    assert isinstance(result.content, str)
    assert json.loads(result.content) == result.data
    assert result.data["decisions"][0] == {"name": "platform", "value": "railway", "source": "user", "evidence": ""}
    assert listing(root) == before


@pytest.mark.parametrize("decisions", [RAILWAY, []])
async def test_writing_everything_twice_changes_nothing(root: Path, decisions: list[Any]) -> None:
    first = await write_all(ToolContext.at(root), decisions=decisions)
    assert set(first.values()) == {"created"}
    second = await write_all(ToolContext.at(root), decisions=decisions)
    assert set(second.values()) == {"unchanged"}, second
    assert second.keys() == first.keys()


async def test_a_change_of_the_project_reaches_untouched_files_only(root: Path) -> None:
    ctx = ToolContext.at(root)
    await write_all(ctx, decisions=RAILWAY)
    (root / "Dockerfile").write_text((root / "Dockerfile").read_text() + "# mine\n")
    (root / "app/main.py").write_text(FILES["app/main.py"] + "EXTRA = os.environ['PAYMENT_TOKEN']\n")
    assert (await written(ctx, ".railway/railway.py", "railway", decisions=RAILWAY))["status"] == "updated"
    assert "PAYMENT_TOKEN" in (root / ".railway/railway.py").read_text()
    assert (await written(ctx, "Dockerfile", "dockerfile", decisions=RAILWAY))["status"] == "conflict"


async def test_a_hand_written_file_is_kept_until_the_user_agrees(root: Path) -> None:
    (root / "Dockerfile").write_text("FROM mine:1\n")
    ctx = ToolContext.at(root)
    for choice in ("ask", "keep"):
        outcome = await written(ctx, "Dockerfile", "dockerfile", decisions=RAILWAY, on_conflict=choice)
        assert (outcome["status"], outcome["written"]) == ("conflict", False)
        assert "-FROM mine:1" in outcome["diff"]
        assert (root / "Dockerfile").read_text() == "FROM mine:1\n"
    outcome = await written(ctx, "Dockerfile", "dockerfile", decisions=RAILWAY, on_conflict="replace")
    assert outcome["status"] == "updated"
    assert "mine" not in (root / "Dockerfile").read_text()


async def test_a_dry_run_shows_the_diff_and_writes_nothing(root: Path) -> None:
    ctx = ToolContext.at(root)
    ctx.state["dry_run"] = True
    outcome = await written(ctx, "Dockerfile", "dockerfile", decisions=RAILWAY)
    assert (outcome["status"], outcome["written"]) == ("created", False)
    assert "+USER 10001" in outcome["diff"]
    assert not (root / "Dockerfile").exists()


async def test_a_file_that_is_not_planned_is_refused_with_the_list(root: Path) -> None:
    with pytest.raises(ToolError, match=r"\.\./evil \(dockerfile\) is not in the plan.*Dockerfile \(dockerfile\)"):
        await written(ToolContext.at(root), "../evil", "dockerfile")


async def test_a_link_out_of_the_workspace_is_not_followed(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (root / "docs").symlink_to(outside)
    with pytest.raises(ToolError, match="leads out of the workspace"):
        await written(ToolContext.at(root), "docs/deployment/runbook.md", "runbook")
    assert not list(outside.iterdir())


async def test_odd_files_in_the_way_are_left_alone(root: Path) -> None:
    (root / "Dockerfile").write_bytes(b"\xff\xfe\x00")
    (root / "compose.yaml").mkdir()
    ctx = ToolContext.at(root)
    with pytest.raises(ToolError, match="not UTF-8"):
        await written(ctx, "Dockerfile", "dockerfile")
    with pytest.raises(ToolError, match="is a directory"):
        await written(ctx, "compose.yaml", "compose")


async def test_a_value_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    odd = tmp_path / "web${{ github.token }}"
    odd.mkdir()
    (odd / "package.json").write_text('{"name": "web", "scripts": {"start": "node a.js"}}')
    (odd / "a.js").write_text("require('express')().listen(process.env.PORT)")
    with pytest.raises(ToolError, match=r"ci-cd\.yml .*holds a workflow expression.*by hand"):
        await written(ToolContext.at(tmp_path), ".github/workflows/ci-cd.yml", "workflow", decisions=RAILWAY)


async def test_the_mode_of_an_existing_file_is_kept(root: Path) -> None:
    ctx = ToolContext.at(root)
    await written(ctx, ".env.example", "env_example", decisions=RAILWAY)
    (root / ".env.example").chmod(0o600)
    (root / "app/main.py").write_text(FILES["app/main.py"] + "EXTRA = os.environ['OTHER']\n")
    assert (await written(ctx, ".env.example", "env_example", decisions=RAILWAY))["status"] == "updated"
    assert (root / ".env.example").stat().st_mode & 0o777 == 0o600
    assert [p for p in listing(root) if ".env" in p] == [".env.example"]


async def test_a_missing_spec_is_fine_until_one_is_named(root: Path) -> None:
    ctx = ToolContext.at(root)
    assert (await planned(ctx))["spec_id"] == ""
    with pytest.raises(ToolError, match="AUTH-001"):
        await planned(ctx, spec="AUTH-001")


async def test_a_spec_and_its_language_reach_the_files(root: Path) -> None:
    spec = root / ".do/specs/SPEC-INFRA-001/spec.md"
    spec.parent.mkdir(parents=True)
    spec.write_text(
        "---\nid: SPEC-INFRA-001\ntitle: 배포\n---\n# 배포\n\n- 시스템은 Railway에 배포되어야 한다.\n", encoding="utf-8"
    )
    ctx = ToolContext.at(root)
    plan = await planned(ctx)
    assert (plan["language"], plan["decisions"][0]["source"]) == ("ko", "spec")
    await written(ctx, "docs/deployment/runbook.md", "runbook")
    assert "## 롤백" in (root / "docs/deployment/runbook.md").read_text(encoding="utf-8")
