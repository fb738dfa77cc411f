"""The runner: what was not verified is said, bad input never breaks it, reports keep their shape."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tools.devops.checks import (
    Baseline,
    Report,
    available_tools,
    fingerprint,
    railway,
    run_checks,
    to_json,
    to_sarif,
    to_text,
)
from tools.devops.checks.linters import process
from tools.devops.tools import check_artifacts
from tools.devops.types import Check, Finding, Project
from tools.tool import ToolContext, ToolError

EMPTY = Project("/", (), (), (), ())
BAD_DOCKERFILE = 'FROM python:latest\nRUN cd /x && pip install foo\nCMD ["a"]\n'
BAD_WORKFLOW = (
    "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-lates\n    timeout-minutes: 5\n    steps:\n"
    "      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1\n      - run: echo $x\n"
)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def one(report: Report, gate: str, tool: str) -> Check:
    return next(check for check in report.checks if (check.name, check.tool) == (gate, tool))


def install(folder: Path, name: str, script: str) -> Path:
    program = folder / name
    program.write_text(f"#!{sys.executable}\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


# --- linters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "tool", "files", "rule", "line"),
    [
        ("dockerfile", "hadolint", {"Dockerfile": BAD_DOCKERFILE}, "DL3003", 2),
        ("workflow", "actionlint", {".github/workflows/a.yml": BAD_WORKFLOW}, "runner-label", 5),
        ("workflow", "actionlint", {".github/workflows/a.yml": BAD_WORKFLOW}, "SC2086", 9),
        ("workflow", "zizmor", {".github/workflows/a.yml": BAD_WORKFLOW}, "artipacked", 8),
        ("compose", "yamllint", {"compose.yaml": "services: {}\nservices: {}\n"}, "key-duplicates", 2),
        (
            "kubernetes",
            "kubernetes-validate",
            {"k8s/a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  prots: []\n"},
            "schema",
            5,
        ),
        ("terraform", "python-hcl2", {"a.tf": 'resource "a" "b" {\n'}, "syntax", 1),
        (
            "railway",
            "railway-sdk",
            {
                ".railway/railway.py": "from railway_sdk import define_railway, project, service\n\n\n@define_railway\n"
                'def main(ctx):\n    return project("a", resources=[service("b", tracing={"x": True})])\n'
            },
            "evaluate",
            6,
        ),
    ],
)
def test_each_linter_reports_with_file_line_and_rule(
    tmp_path: Path, gate: str, tool: str, files: dict[str, str], rule: str, line: int
) -> None:
    check = one(run_checks(write(tmp_path, files), kinds=[gate], project=EMPTY), gate, tool)
    found = [finding for finding in check.findings if finding.rule == rule]
    assert found, check
    assert found[0].file in files
    assert found[0].line == line
    assert found[0].tool == tool
    assert found[0].why
    assert found[0].fix


@pytest.mark.needs("terraform")
def test_terraform_reports_syntax_and_layout(tmp_path: Path) -> None:
    write(tmp_path, {"a.tf": 'resource "a" "b" {\n', "b.tf": 'variable "x" {\ntype=string\n}\n'})
    check = one(run_checks(tmp_path, kinds=["terraform"], project=EMPTY), "terraform", "terraform")
    assert [(finding.file, finding.rule) for finding in check.findings] == [("a.tf", "syntax"), ("b.tf", "fmt")]


@pytest.mark.needs("kubectl")
def test_kubectl_renders_only_what_lies_in_the_project(tmp_path: Path) -> None:
    patch = "patches: [{path: p.yaml}]\nresources: [d.yaml]\n"
    deployment = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
    write(
        tmp_path, {"k/kustomization.yaml": patch, "k/d.yaml": deployment, "k/p.yaml": deployment.replace(": a", ": b")}
    )
    check = one(run_checks(tmp_path, kinds=["kubernetes"], project=EMPTY), "kubernetes", "kubectl")
    assert check.status == "failed"
    write(tmp_path, {"k/kustomization.yaml": "resources: ['https://example.com/x.yaml']\n"})
    check = one(run_checks(tmp_path, kinds=["kubernetes"], project=EMPTY), "kubernetes", "kubectl")
    assert check.status == "not_verified"


def _replace_hadolint(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> None:
    from tools.devops.checks.linters import hadolint

    program = install(folder, "hadolint", script) if script is not None else None
    monkeypatch.setattr(hadolint, "locate", lambda: program)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('no json')", "not JSON"),
        ("print('[{\"x\": 1}]')", "unknown shape"),
        ("import sys; sys.stderr.write('boom'); sys.exit(9)", "exit code 9: boom"),
        ("import time; time.sleep(60)", "longer than 1 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9"),
    ],
)
def test_a_linter_that_fails_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    project = write(tmp_path / "p", {"Dockerfile": BAD_DOCKERFILE})
    _replace_hadolint(monkeypatch, tmp_path, script)
    monkeypatch.setattr(process, "TIMEOUT_SECONDS", 1.0)
    check = one(run_checks(project, kinds=["dockerfile"], project=EMPTY), "dockerfile", "hadolint")
    assert check.status == "not_verified"
    assert reason in check.detail


def test_a_missing_linter_is_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert available_tools()["hadolint"] is None
    report = run_checks(write(tmp_path, {"Dockerfile": "FROM scratch\nUSER 1\n"}), kinds=["dockerfile"], project=EMPTY)
    assert one(report, "dockerfile", "hadolint").status == "not_verified"
    assert one(report, "dockerfile", "expert-devops").status == "passed"
    assert report.status("dockerfile") == "not_verified"
    assert "not verified (hadolint is not installed)" in to_text(report)


def test_linters_see_no_keys_and_no_project_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_x")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    show = install(tmp_path, "show", "import os, json; print(json.dumps([dict(os.environ), os.getcwd()]))")
    environment, folder = json.loads(process.run([str(show)], ok=(0,)))
    assert not {"GITHUB_TOKEN", "HTTPS_PROXY"} & environment.keys()
    assert environment["HOME"] == folder
    write(tmp_path, {"Dockerfile": BAD_DOCKERFILE, ".hadolint.yaml": "ignored: [DL3003]\n"})
    report = run_checks(tmp_path, kinds=["dockerfile"], project=EMPTY)
    assert "DL3003" in {finding.rule for finding in report.findings}


def test_a_crd_without_a_schema_is_not_verified(tmp_path: Path) -> None:
    write(tmp_path, {"k8s/a.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"})
    check = one(run_checks(tmp_path, kinds=["kubernetes"], project=EMPTY), "kubernetes", "kubernetes-validate")
    assert check.status == "not_verified"
    assert "example.com/v1 Widget" in check.detail


def test_a_kind_cannot_name_a_file_of_the_library(tmp_path: Path) -> None:
    write(tmp_path, {"k8s/a.yaml": "apiVersion: ../../x/v1\nkind: ../../etc/passwd\nmetadata: {name: a}\n"})
    report = run_checks(tmp_path, kinds=["kubernetes"], project=EMPTY)
    assert one(report, "kubernetes", "kubernetes-validate").status == "not_verified"


HOSTILE = """from railway_sdk import define_railway, project
{extra}
@define_railway
def main(ctx):
    return project("a", resources=[])
"""


@pytest.mark.parametrize(
    "extra",
    [
        "import os; os.system('touch {proof}')",
        "open('{proof}', 'w')",
        "project.__globals__['os'].system('touch {proof}')",
        "from railway_sdk import os",
        "x = [c for c in ().__class__.__base__.__subclasses__()]",
        "project(name=(lambda: open('{proof}', 'w'))())",
    ],
)
def test_a_railway_file_that_is_not_plain_is_never_executed(tmp_path: Path, extra: str) -> None:
    proof = tmp_path / "proof"
    text = HOSTILE.format(extra=extra.format(proof=proof))
    report = run_checks(write(tmp_path, {".railway/railway.py": text}), kinds=["railway"], project=EMPTY)
    assert one(report, "railway", "railway-sdk").status in ("not_verified", "failed")
    assert report.status("railway") == "failed"
    assert not proof.exists()


def test_a_typescript_program_is_not_verified(tmp_path: Path) -> None:
    report = run_checks(write(tmp_path, {".railway/railway.ts": "x"}), kinds=["railway"], project=EMPTY)
    assert {check.status for check in report.checks} == {"not_verified"}


@pytest.mark.parametrize(("files", "days", "severity"), [(1, 1, "warning"), (1, -1, "error"), (2, -1, "warning")])
def test_a_legacy_railway_file_alone_is_an_error_once_railway_stops_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, days: int, severity: str
) -> None:
    monkeypatch.setattr(railway, "END_OF_LEGACY", (datetime.now(UTC) + timedelta(days)).date())
    both = {"railway.json": "{}", ".railway/railway.py": ""}
    report = run_checks(write(tmp_path, dict([*both.items()][:files])), project=EMPTY, linters=False)
    assert [f.severity for f in report.findings if f.rule == "railway/legacy"] == [severity]


# What the three optional tools print, recorded from betterleaks 2.0.0, detect-secrets 1.5.0 and cfn-lint 1.58.0.
RECORDED = {
    "betterleaks": (
        "import json, sys, pathlib\nout = sys.argv[sys.argv.index('-o') + 1]\n"
        "files = sorted(pathlib.Path(sys.argv[1]).iterdir())\n"
        "found = [{'rule_id': 'github-pat', 'location': {'path': str(f), 'start_line': 2}} for f in files]\n"
        "pathlib.Path(out).write_text(json.dumps({'schema_version': '1', 'findings': found}))\nsys.exit(3)"
    ),
    "detect-secrets": (
        "import json\nitem = {'type': 'AWS Access Key', 'line_number': 2}\n"
        "print(json.dumps({'results': {'./docs/a.md': [item]}}))"
    ),
    "cfn-lint": (
        "import json, sys\nrule = {'Id': 'E3002', 'ShortDescription': 's', 'Source': 'https://x'}\n"
        "place = {'Start': {'LineNumber': 2}}\nitem = {'Rule': rule, 'Level': 'Error', 'Message': 'm',"
        " 'Location': place, 'Filename': './template.yaml'}\nprint(json.dumps([item]))\nsys.exit(2)"
    ),
}


@pytest.mark.parametrize(
    ("gate", "tool"), [("no_secrets", "betterleaks"), ("no_secrets", "detect-secrets"), ("sam", "cfn-lint")]
)
def test_optional_linters_are_read_when_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: str, tool: str
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    root = write(tmp_path / "p", {"docs/a.md": "a\nb\n", "template.yaml": "Transform:\n  AWS::Serverless-2016-10-31\n"})
    report = run_checks(root, kinds=[gate], project=EMPTY)
    assert [check.tool for check in report.checks] == ["expert-devops"]
    (tmp_path / "bin").mkdir()
    real = os.path.realpath("/proc/self/exe")
    (tmp_path / "bin" / tool).write_text(f"#!{real}\n{RECORDED[tool]}\n")
    (tmp_path / "bin" / tool).chmod(0o755)
    check = one(run_checks(root, kinds=[gate], project=EMPTY), gate, tool)
    assert check.findings, check
    assert check.findings[0].file in ("docs/a.md", "template.yaml")
    assert check.findings[0].line == 2


# --- runner ----------------------------------------------------------------------------------------------------


def test_an_empty_folder_has_nothing_to_check(tmp_path: Path) -> None:
    report = run_checks(tmp_path)
    assert {check.status for check in report.checks} == {"not_applicable"}
    assert report.findings == ()


def test_unknown_kinds_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown check dokerfile; known: dockerfile, dockerignore"):
        run_checks(tmp_path, kinds=["dokerfile"])
    with pytest.raises(FileNotFoundError, match="not a folder"):
        run_checks(tmp_path / "absent")


def test_paths_limit_the_findings(tmp_path: Path) -> None:
    write(tmp_path, {"a/Dockerfile": BAD_DOCKERFILE, "b/Dockerfile": BAD_DOCKERFILE})
    report = run_checks(tmp_path, paths=["a"], project=EMPTY)
    assert {finding.file for finding in report.findings} == {"a/Dockerfile"}


def test_a_project_that_cannot_be_scanned_is_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tools.devops.project

    def broken(_root: Path) -> Project:
        raise OSError("disk on fire")

    monkeypatch.setattr(tools.devops.project, "scan_project", broken)
    report = run_checks(write(tmp_path, {".env.example": "A=b\n"}), kinds=["env_example"])
    assert report.checks[0].status == "not_verified"
    assert "disk on fire" in report.checks[0].detail


@pytest.mark.parametrize(
    "name",
    [
        "Dockerfile",
        ".dockerignore",
        "compose.yaml",
        "railway.json",
        "railway.toml",
        ".railway/railway.py",
        "vercel.json",
        "netlify.toml",
        "k8s/a.yaml",
        "k8s/kustomization.yaml",
        "main.tf",
        "template.yaml",
        ".github/workflows/a.yml",
        ".env.example",
        "docs/deployment/runbook.md",
        "docs/deployment/handover-x.md",
    ],
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"[" * 5000,
        b"a: " * 3000,
        b"null",
        b"[]",
        b'"x"',
        b"- 1\n- 2\n",
        b"a: &a [*a]\n",
        "가: 나\n".encode(),
    ],
    ids=["empty", "binary", "brace", "deep", "colons", "null", "list", "text", "items", "cycle", "korean"],
)
def test_bad_input_gives_findings_and_no_traceback(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(content)
    report = run_checks(tmp_path, project=EMPTY, linters=False)
    assert all(finding.file and finding.line >= 0 for finding in report.findings)


def test_a_pipe_and_an_unreadable_file_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Dockerfile")
    os.mkfifo(tmp_path / "compose.yaml")
    started = time.monotonic()
    report = run_checks(tmp_path, project=EMPTY)
    assert {finding.rule for finding in report.findings} == {"file/unreadable"}
    assert time.monotonic() - started < 20


@pytest.mark.slow
def test_ten_thousand_files_take_under_three_seconds(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / f"src/m{folder}").mkdir(parents=True)
        for number in range(90):
            (tmp_path / f"src/m{folder}/f{number}.py").write_text("x = 1\n")
        for number in range(10):
            (tmp_path / f"src/m{folder}/c{number}.yaml").write_text("a: 1\n")
    (tmp_path / "node_modules/x").mkdir(parents=True)
    (tmp_path / "node_modules/x/Dockerfile").write_text("FROM a")
    started = time.process_time()
    report = run_checks(tmp_path, project=EMPTY, linters=False)
    assert time.process_time() - started < 3
    assert report.findings == ()


# --- outputs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return run_checks(write(tmp_path, {"Dockerfile": BAD_DOCKERFILE}), kinds=["dockerfile"], project=EMPTY)


def test_text_names_place_rule_and_fix_in_both_languages(report: Report) -> None:
    english, korean = to_text(report), to_text(report, language="ko")
    assert "Dockerfile:1: error: python:latest has the tag latest. [dockerfile/tag]\n    why: " in english
    assert "    fix: Name a version" in english
    assert "Dockerfile:1: 오류: " in korean
    assert "dockerfile: 실패" in korean
    assert "why" not in to_text(report, why=False)


def test_json_has_the_names_of_the_types(report: Report) -> None:
    data = json.loads(to_json(report))
    assert set(data) == {"root", "checks"}
    assert set(data["checks"][0]) == {"name", "tool", "status", "files", "findings", "detail"}
    finding = {"rule", "severity", "file", "line", "message", "why", "fix", "tool"}
    assert set(data["checks"][0]["findings"][0]) == finding


def test_sarif_keeps_to_the_standard(report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sarif: dict[str, Any] = json.loads(json.dumps(to_sarif(report)))
    assert sarif["version"] == "2.1.0"
    assert sarif["$schema"].endswith("sarif-2.1.0.json")
    assert [run["tool"]["driver"]["name"] for run in sarif["runs"]] == ["expert-devops", "hadolint"]
    for run in sarif["runs"]:
        ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert len(ids) == len(set(ids))
        assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
        assert run["invocations"][0]["executionSuccessful"] is True
        for result in run["results"]:
            assert ids[result["ruleIndex"]] == result["ruleId"]
            assert result["level"] in ("error", "warning", "note")
            assert result["message"]["text"]
            place = result["locations"][0]["physicalLocation"]
            assert place["artifactLocation"]["uri"] == "Dockerfile"
            assert place.get("region", {"startLine": 1})["startLine"] >= 1
            assert len(result["partialFingerprints"]["expertDevops/v1"]) == 32


def test_sarif_says_what_could_not_run() -> None:
    check = Check("dockerfile", "hadolint", "not_verified", ("a b/Dockerfile",), detail="gone")
    broken = Finding("x", "info", "a b/Dockerfile", 0, "m")
    sarif = to_sarif(Report("/", (check, Check("dockerfile", "expert-devops", "passed", (), (broken,)))))
    invocation = sarif["runs"][0]["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert "not verified: gone" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    place = sarif["runs"][1]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a%20b/Dockerfile", "uriBaseId": "%SRCROOT%"}}


def test_no_output_holds_a_secret(tmp_path: Path) -> None:
    secret = "ghp_" + "a8Kd93jDk2LmZq71XcVbN4pQrS5tUv6Wx0Yz"
    write(
        tmp_path,
        {
            "docs/a.md": secret,
            ".env.example": f"TOKEN={secret}\n",
            "vercel.json": json.dumps({"regions": secret, "framework": 5}),
            "compose.yaml": f"services:\n  a:\n    image: 'x:1'\n    ports: {secret}\n",
        },
    )
    report = run_checks(tmp_path, project=EMPTY)
    assert report.errors
    assert secret not in to_text(report) + to_json(report) + json.dumps(to_sarif(report))


# --- baseline --------------------------------------------------------------------------------------------------


def test_a_baseline_accepts_what_was_there_and_nothing_new(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"Dockerfile": BAD_DOCKERFILE})
    before = run_checks(root, kinds=["dockerfile"], project=EMPTY)
    Baseline.of(before).save(tmp_path / "baseline.json")
    baseline = Baseline.load(tmp_path / "baseline.json")
    assert baseline.apply(before).findings == ()
    assert baseline.apply(before).status("dockerfile") == "passed"
    write(root, {"Dockerfile": "\n\n" + BAD_DOCKERFILE + "HEALTHCHECK CMD curl x\nENV API_KEY=1\n"})
    after = baseline.apply(run_checks(root, kinds=["dockerfile"], project=EMPTY))
    assert {finding.rule for finding in after.errors} == {"dockerfile/secret"}
    assert after.status("dockerfile") == "failed"


def test_a_second_copy_of_an_accepted_finding_is_new() -> None:
    finding = Finding("r", "error", "f", 3, "m at 3")
    other = Finding("r", "error", "f", 9, "m at 9")
    assert fingerprint(finding) == fingerprint(other)
    baseline = Baseline.of(Report("/", (Check("g", "t", "failed", (), (finding,)),)))
    assert baseline.apply(Report("/", (Check("g", "t", "failed", (), (finding, other)),))).errors == (other,)


def test_a_baseline_never_hides_that_a_check_did_not_run() -> None:
    finding = Finding("r", "error", "f", 3, "m")
    report = Report("/", (Check("g", "t", "failed", (), (finding,), detail="timed out"),))
    assert Baseline.of(report).apply(report).status("g") == "not_verified"


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2, "accepted": {}}', '{"version": 1, "accepted": {"a": "x"}}'])
def test_a_broken_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(ValueError, match=r"b\.json is not a baseline"):
        Baseline.load(tmp_path / "b.json")


# --- tool ------------------------------------------------------------------------------------------------------


async def test_the_tool_reports_findings_and_data(tmp_path: Path) -> None:
    ctx = ToolContext.at(write(tmp_path, {"Dockerfile": BAD_DOCKERFILE}))
    result = await check_artifacts.invoke(ctx, {"paths": ["Dockerfile"], "kinds": ["dockerfile"]})
    assert "[dockerfile/non-root]" in str(result.content)
    assert result.data["checks"][0]["status"] == "failed"
    assert check_artifacts.effects == {"reads", "runs"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"kinds": ["x"]}, "unknown check x"),
        ({"paths": ["../x"]}, "outside the workspace"),
        ({"paths": ["x"]}, "does not exist"),
        ({"path": "x"}, "wrong input"),
    ],
)
async def test_the_tool_refuses_bad_input(tmp_path: Path, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        await check_artifacts.invoke(ToolContext.at(tmp_path), raw)


def test_deeply_nested_yaml_is_a_finding_and_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("[" * 50_000)
    findings = run_checks(tmp_path, kinds=["compose"], linters=False).findings
    assert [finding.rule for finding in findings] == ["file/yaml-syntax"]
