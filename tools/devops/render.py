"""Templates become files: sandboxed, strict, and closed to values that could break out of their format.

Templates lie in `skills/<pack>/templates/` and use `<< value | filter >>` for values, so that GitHub's `${{ }}`, shell
and Helm braces need no escaping. A value that is not plainly harmless (see `PLAIN`) must pass a filter that quotes it
for the format it stands in; without one, rendering fails. A filter that cannot represent a value raises `RenderError`.

What a template sees is `tools.devops.plan.view.View`, spread out: `plan`, `spec`, `project`, `unit`, `units`, ...
"""

from __future__ import annotations

import json
import keyword
import re
import shlex
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from tools.devops.platform import PlatformError, action, version
from tools.devops.types import ArtifactPlan, Plan, Project, Spec
from tools.devops.wording import in_language
from tools.resources import data_root

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:/@+-]*[A-Za-z0-9_])?")
"""Text that means itself in every format written here."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_YAML_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+=-]+)*")
_RAILWAY_NAMES = frozenset(
    ["ctx", "define_railway", "mongo", "mysql", "postgres", "preserve", "project", "railway", "redis", "service"]
)
_YAML_WORDS = frozenset(["y", "n", "yes", "no", "true", "false", "on", "off", "null", "~", ".", "..", ".inf", ".nan"])


class RenderError(Exception):
    """A file could not be rendered. The message names the template and the value or name at fault."""


class Quoted(str):
    """Text that a filter has made safe for the format around it."""

    __slots__ = ()


def render(plan: Plan, artifact: ArtifactPlan, spec: Spec | None, project: Project) -> str:
    """The text of `artifact`, ending in one newline. Raises `RenderError`."""
    from jinja2 import TemplateError

    from tools.devops.plan.artifacts import HANDOVER
    from tools.devops.plan.view import view_of

    if artifact.template == HANDOVER:
        return _handover(plan, artifact, spec, project)

    try:
        template = environment().get_template(artifact.template)
        text = template.render(view_of(plan, artifact, spec, project))
    except (TemplateError, PlatformError, RenderError) as error:
        detail = getattr(error, "message", None) or str(error) or type(error).__name__
        raise RenderError(f"{artifact.path} ({artifact.template}): {detail}") from error
    return text.strip("\n") + "\n"


def _handover(plan: Plan, artifact: ArtifactPlan, spec: Spec | None, project: Project) -> str:
    from tools.devops.handover import render as render_message
    from tools.devops.handovers import handovers

    for message in handovers(plan, spec, project):
        if artifact.path.endswith(f"handover-{message.to}.md"):
            return render_message(message, "ko" if plan.language == "ko" else "en")
    raise RenderError(f"{artifact.path}: nobody by that name gets a message")


# --- quoting -----------------------------------------------------------------------------------------------------


def _clean(value: object, *, lines: bool = False) -> str:
    """`value` as text without control characters, and without line breaks unless `lines`."""
    text = str(value)
    found = _CONTROL.search(text)
    if found is None and not lines:
        found = re.search(r"[\r\n]", text)
    if found:
        raise RenderError(f"the value {text[:60]!r} holds the character {found[0]!r}, which cannot be written safely")
    return text


def quote_yaml(value: object) -> Quoted:
    """A YAML scalar: plain where that reads as the same string, else double-quoted."""
    if isinstance(value, bool | int | float):
        return Quoted(json.dumps(value))
    text = _clean(value, lines=True)
    if _YAML_PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return Quoted(text)
    return Quoted(json.dumps(text, ensure_ascii=False))


def quote_action(value: object) -> Quoted:
    """A YAML scalar inside a workflow. GitHub expands `${{ }}` even in quotes, so a value with it is refused."""
    if "${{" in str(value):
        raise RenderError(f"the value {str(value)[:60]!r} holds a workflow expression")
    return quote_yaml(value)


def quote_compose(value: object) -> Quoted:
    """A YAML scalar in a compose file, where `$` would be expanded by compose."""
    return quote_yaml(value.replace("$", "$$") if isinstance(value, str) else value)


def compose_json(value: object) -> Quoted:
    """A JSON string inside a compose file, where `$` would be expanded by compose."""
    return quote_json(_clean(value).replace("$", "$$"))


def kubernetes_json(value: object) -> Quoted:
    """A JSON string inside a manifest, where `$(NAME)` would be expanded by Kubernetes."""
    return quote_json(_clean(value).replace("$(", "$$("))


def action_text(value: object) -> Quoted:
    """Text inside a larger plain scalar of a workflow: only characters that cannot end it or start an expression."""
    text = _clean(value)
    if not re.fullmatch(r"[A-Za-z0-9_ .,/+(){}'\"=:-]+", text) or re.search(r": |:$|\$", text):
        raise RenderError(f"{text[:60]!r} cannot stand inside a workflow's text")
    return Quoted(text)


def expression(value: object) -> Quoted:
    """A string literal inside a workflow expression."""
    return Quoted("'" + plain(value) + "'")


def suffix(value: object) -> Quoted:
    """The end of a job name: empty, or a dash and a slug."""
    text = str(value)
    if text and not re.fullmatch(r"-[a-z0-9-]+", text):
        raise RenderError(f"{text[:60]!r} is no job name")
    return Quoted(text)


def block(value: object, column: int) -> Quoted:
    """Lines that were rendered and quoted already, each after the first indented by `column` spaces."""
    return Quoted(f"\n{' ' * column}".join(str(value).strip("\n").split("\n")))


def quote_shell(value: object) -> Quoted:
    """One shell word."""
    return Quoted(shlex.quote(_clean(value)))


def run_line(value: object) -> Quoted:
    """A project's own shell line after `RUN`: kept as it is, unless Docker would read more into it than a command."""
    text = _clean(value).strip()
    if not text or text[0] in "-[#" or text.endswith("\\") or re.search(r"<<-?\s*[\"']?\w", text):
        raise RenderError(f"the command {text[:60]!r} cannot stand in a Dockerfile; put it into a script")
    return Quoted(text)


def run_lines(values: object) -> Quoted:
    """Several shell lines after one `RUN`, each only when the one before succeeded."""
    assert isinstance(values, list | tuple)  # noqa: S101 - templates pass sequences
    return Quoted(" \\\n    && ".join(run_line(value) for value in values))


def quote_dockerfile(value: object) -> Quoted:
    """A double-quoted Dockerfile word with `$` kept literal."""
    text = _clean(value)
    if PLAIN.fullmatch(text.removeprefix("/")):
        return Quoted(text)
    return Quoted('"' + re.sub(r'([\\"$])', r"\\\1", text) + '"')


def quote_json(value: object) -> Quoted:
    """A JSON value; strings are also valid Dockerfile array items and TOML basic strings."""
    if isinstance(value, str):
        _clean(value, lines=True)
    return Quoted(json.dumps(value, ensure_ascii=False))


def quote_python(value: object) -> Quoted:
    """A Python literal. Strings are double-quoted as a formatter would write them."""
    if isinstance(value, str):
        return Quoted(json.dumps(_clean(value, lines=True), ensure_ascii=False))
    return Quoted(repr(value))


def identifier(value: object) -> Quoted:
    """A slug as a Python variable."""
    text = str(value).replace("-", "_")
    if not text.isidentifier() or not text.isascii():
        raise RenderError(f"{text[:60]!r} is no Python name")
    return Quoted(f"{text}_" if keyword.iskeyword(text) or text in _RAILWAY_NAMES else text)


def names(values: object) -> Quoted:
    """Python names after `import`."""
    assert isinstance(values, list)  # noqa: S101 - templates pass lists
    return Quoted(", ".join(identifier(value).rstrip("_") for value in values))


def sh_c(value: object) -> str:
    """A shell line for a place that starts programs without a shell. The result still needs quoting."""
    return f"/bin/sh -c {shlex.quote(_clean(value))}"


def quote_hcl(value: object) -> Quoted:
    """A Terraform string with `${` and `%{` kept literal."""
    text = _clean(value).replace("${", "$${").replace("%{", "%%{")
    return Quoted(json.dumps(text, ensure_ascii=False))


def quote_env(value: object) -> Quoted:
    """A value in a .env file: bare where every reader agrees on it, else single-quoted."""
    text = _clean(value)
    if re.fullmatch(r"[A-Za-z0-9_.:/@,+=%&?*-]*", text):
        return Quoted(text)
    if "'" in text:
        raise RenderError(f"the value {text[:60]!r} cannot be written to a .env file")
    return Quoted(f"'{text}'")


def quote_words(values: object) -> Quoted:
    """Several shell words."""
    assert isinstance(values, list | tuple)  # noqa: S101 - templates pass sequences
    return Quoted(" ".join(quote_shell(value) for value in values))


def env_name(value: object) -> Quoted:
    """A variable's name."""
    text = str(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise RenderError(f"{text[:60]!r} is no variable name")
    return Quoted(text)


def http_path(value: object) -> Quoted:
    """A URL path without query, the same in every format."""
    text = str(value)
    if not re.fullmatch(r"/[A-Za-z0-9_./~-]*", text):
        raise RenderError(f"{text[:60]!r} is no plain URL path")
    return Quoted(text)


def markdown(value: object) -> Quoted:
    """Inline text in a document: markup characters are escaped, line breaks become spaces."""
    text = " ".join(_clean(value, lines=True).split())
    return Quoted(re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text))


def prose(value: object) -> Quoted:
    """A sentence of our own with names filled in: markup is kept, line breaks and angle brackets are not."""
    return Quoted(" ".join(_clean(value, lines=True).split()).replace("<", "&lt;"))


def code(value: object) -> Quoted:
    """An inline code span. A backtick would end it and `|` would end a table cell."""
    text = " ".join(_clean(value, lines=True).split()).replace("|", "\\|")
    if "`" in text:
        return Quoted("`` " + re.sub(r"``+", "`", text) + " ``")
    return Quoted(f"`{text}`")


def comment(value: object) -> Quoted:
    """Text after `#`: one line, whatever it held."""
    return Quoted(" ".join(re.sub(_CONTROL, " ", str(value)).split()))


def glob(value: object) -> Quoted:
    """A path pattern in an ignore or filter file."""
    text = _clean(value)
    if not re.fullmatch(r"[\w./@*+ -]+", text):
        raise RenderError(f"{text[:60]!r} is no plain path")
    return Quoted(text)


def plain(value: object) -> Quoted:
    """A path used inside a larger word: plain characters only."""
    text = str(value)
    if not re.fullmatch(r"[A-Za-z0-9_./@+-]+", text):
        raise RenderError(f"{text[:60]!r} holds characters that need quoting where quoting is impossible")
    return Quoted(text)


_FILTERS: dict[str, Callable[..., str]] = {
    "yaml": quote_yaml,
    "action": quote_action,
    "compose": quote_compose,
    "compose_json": compose_json,
    "kubernetes_json": kubernetes_json,
    "action_text": action_text,
    "expression": expression,
    "suffix": suffix,
    "block": block,
    "shell": quote_shell,
    "run": run_lines,
    "dockerfile": quote_dockerfile,
    "json": quote_json,
    "toml": quote_json,
    "py": quote_python,
    "identifier": identifier,
    "names": names,
    "sh_c": sh_c,
    "hcl": quote_hcl,
    "env": quote_env,
    "env_name": env_name,
    "http_path": http_path,
    "md": markdown,
    "prose": prose,
    "code": code,
    "comment": comment,
    "glob": glob,
    "plain": plain,
    "spoken": in_language,
    "words": quote_words,
}


def _finalize(value: object) -> object:
    """What a template may output: numbers, quoted text, and text that is plain everywhere."""
    if isinstance(value, Quoted) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return value
    raise RenderError(f"the value {str(value)[:60]!r} is written without a filter")


@cache
def environment() -> SandboxedEnvironment:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(data_root() / "skills"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="{#",
        comment_end_string="#}",
        finalize=_finalize,
    )
    environment.filters.update(_FILTERS)
    environment.globals.update(
        action=lambda name: Quoted(action(name)),
        version=lambda name: Quoted(version(name)),
    )
    return environment
