"""What a project says can never break out of the format it is written into."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.devops.render import (
    RenderError,
    compose_json,
    env_name,
    http_path,
    markdown,
    quote_action,
    quote_compose,
    quote_dockerfile,
    quote_env,
    quote_json,
    quote_python,
    quote_shell,
    quote_yaml,
    run_lines,
)

ANY = st.text(max_size=60)
ATTACK = st.one_of(
    ANY,
    st.sampled_from(
        [
            "x\n  evil:\n    image: a",
            'x"\nRUN rm -rf /',
            "x: y",
            "- x",
            "{{ 7 * 7 }}",
            "<< 7 * 7 >>",
            "${{ secrets.GITHUB_TOKEN }}",
            "$(id)",
            "${PATH}",
            "`id`",
            "x'; import os; os.system('id') #",
            '"""\nimport os\n"""',
            "*alias",
            "!!python/object/apply:os.system [id]",
            "# comment",
            "x \\",
            "<<EOF",
            "--mount=type=bind,source=/",
            '["sh"]',
            "\u2028x",
            "\x85x",
            "x\ty",
            "null",
            "1e3",
            "0x1f",
            "yes",
            "2026-11-24",
            "%",
            "@x",
            "&&",
            "]]>",
            "| a | b |",
            "한글 이름",
            "😀",
        ]
    ),
)


def kept(function: Any, value: str) -> str | None:
    try:
        return str(function(value))
    except RenderError:
        return None


@given(ATTACK)
def test_yaml_reads_back_the_same_string(value: str) -> None:
    for before in ("a: ", "a:\n  - "):
        if (text := kept(quote_yaml, value)) is not None:
            loaded = yaml.safe_load(f"{before}{text}\nb: 1\n")
            assert loaded == {"a": value if before == "a: " else [value], "b": 1}


@given(ATTACK)
def test_workflow_values_hold_no_expression(value: str) -> None:
    if (text := kept(quote_action, value)) is not None:
        assert "${{" not in text
    else:
        assert "${{" in value or kept(quote_yaml, value) is None


@given(ATTACK)
def test_compose_values_are_not_expanded(value: str) -> None:
    for function in (quote_compose, compose_json):
        if (text := kept(function, value)) is not None:
            assert re.sub(r"\$\$", "", text).count("$") == 0
            assert yaml.safe_load(text).replace("$$", "$") == value


@given(ATTACK)
def test_json_toml_and_python_read_back_the_same_string(value: str) -> None:
    if (text := kept(quote_json, value)) is not None:
        assert json.loads(text) == value
        if "\n" not in value:
            assert tomllib.loads(f"a = {text}")["a"] == value
    if (text := kept(quote_python, value)) is not None:
        assert ast.literal_eval(text) == value
        assert "\n" not in text


@given(ATTACK)
def test_shell_words_are_one_word(value: str) -> None:
    import shlex

    if (text := kept(quote_shell, value)) is not None:
        assert shlex.split(text) == [value]
        assert "\n" not in text


@given(ATTACK)
def test_a_run_line_stays_one_instruction(value: str) -> None:
    if (text := _run(value)) is not None:
        assert "\n" not in text
        assert not text.endswith("\\")
        assert text[0] not in "-[#"


def _run(value: str) -> str | None:
    try:
        return str(run_lines([value]))
    except RenderError:
        return None


@given(ATTACK)
def test_dockerfile_words_keep_dollars_and_quotes_literal(value: str) -> None:
    if (text := kept(quote_dockerfile, value)) is not None:
        assert "\n" not in text
        if text.startswith('"'):
            assert not re.search(r'(?<!\\)(?:\\\\)*["$]', text[1:-1])


@given(ATTACK)
def test_dotenv_values_are_one_line_and_not_expanded(value: str) -> None:
    if (text := kept(quote_env, value)) is not None:
        assert "\n" not in text
        assert "$" not in text or text.startswith("'")


@given(ATTACK)
def test_names_and_paths_are_refused_unless_plain(value: str) -> None:
    assert kept(env_name, value) is None or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value)
    assert kept(http_path, value) is None or re.fullmatch(r"/[\w./~-]*", value, re.ASCII)


@given(ATTACK)
def test_markdown_text_starts_no_markup(value: str) -> None:
    if (text := kept(markdown, value)) is not None:
        assert "\n" not in text
        assert not re.search(r"(?<!\\)(?:\\\\)*[|`<]", text)


# --- whole files -------------------------------------------------------------------------------------------------

FIELDS = (
    "name",
    "start",
    "build",
    "install",
    "migrate",
    "test",
    "lint",
    "health_path",
    "entry",
    "output_dir",
    "version",
)


def skeletons(sample: Any) -> dict[str, Any]:
    """The structure of each file that a value must not change; files that were refused are left out."""
    found: dict[str, Any] = {}
    plan = sample.plan()
    for artifact in plan.artifacts:
        try:
            text = sample.render(plan, artifact)
        except RenderError:
            continue
        if artifact.kind == "dockerfile":
            found[artifact.kind] = _instructions(text)
        elif artifact.kind in ("compose", "workflow", "kubernetes", "dependabot"):
            found[artifact.path] = [_keys(d) for d in yaml.safe_load_all(text)]
        elif artifact.kind == "railway":
            found[artifact.kind] = {type(node).__name__ for node in ast.walk(ast.parse(text))}
        elif artifact.kind in ("vercel", "railway_json"):
            found[artifact.kind] = _keys(json.loads(text))
        elif artifact.kind == "netlify":
            found[artifact.kind] = _keys(tomllib.loads(text))
    return found


def _instructions(text: str) -> list[str]:
    joined = re.sub(r"\\\n", " ", text)
    lines = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [line.split(None, 1)[0] for line in lines]


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _keys(v) for k, v in value.items()}
    return [_keys(v) for v in value] if isinstance(value, list) else type(value).__name__ == "dict"


DOCKER = {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "ARG", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
RAILWAY_NODES = {
    "Module",
    "Expr",
    "Constant",
    "ImportFrom",
    "alias",
    "FunctionDef",
    "arguments",
    "arg",
    "Name",
    "Load",
    "Store",
    "Assign",
    "Call",
    "keyword",
    "Dict",
    "List",
    "Attribute",
    "Return",
}
HOSTS = (
    "fastapi-pip-railway",
    "express-npm-kubernetes",
    "next-vercel",
    "spa-netlify",
    "go-kubernetes",
    "rails-railway",
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(HOSTS), st.sampled_from(FIELDS), ATTACK)
def test_a_hostile_value_is_contained_or_refused(samples: dict[str, Any], host: str, field: str, value: str) -> None:
    sample = samples[host]
    if field == "version":
        value = value[:20]
    changed = replace(sample, units=(replace(sample.units[0], **{field: value}),))
    found = skeletons(changed)
    assert set(found.get("dockerfile", [])) <= DOCKER
    assert found.get("dockerfile", ["FROM"]).count("USER") in (0, 1)
    assert found.get("railway", set()) <= RAILWAY_NODES
    workflow = found.get(".github/workflows/ci-cd.yml")
    if workflow:
        assert set(workflow[0]["jobs"]) <= {"test", "build", "deploy"}
    if "compose.yaml" in found:
        known = skeletons(sample)["compose.yaml"][0]["services"]
        assert len(found["compose.yaml"][0]["services"]) <= len(known) + 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ATTACK)
def test_a_hostile_variable_name_is_dropped_with_a_note(samples: dict[str, Any], value: str) -> None:
    sample = samples["fastapi-pip-railway"]
    changed = replace(sample, units=(replace(sample.units[0], env=(value, "SECRET_KEY")),))
    plan = changed.plan()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        assert all(v.name != value for v in plan.env)
        assert any(repr(value) in note for note in plan.notes)
    text = changed.files("env_example")[".env.example"]
    for line in text.splitlines():
        assert not line or re.match(r"#|[A-Za-z_][A-Za-z0-9_]*=", line)


def test_a_value_without_a_filter_is_refused_and_names_the_template(samples: dict[str, Any]) -> None:
    sample = samples["express-npm-kubernetes"]
    changed = replace(sample, units=(replace(sample.units[0], health_path="/a b\nc"),))
    plan = changed.plan()
    with pytest.raises(RenderError, match=r"Dockerfile \(do-workflow-project/templates/docker/node\.Dockerfile\.j2\)"):
        changed.render(plan, next(a for a in plan.artifacts if a.kind == "dockerfile"))
