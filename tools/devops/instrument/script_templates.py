"""TypeScript templates in the dialect of a project: types left out, CommonJS, quotes, semicolons."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tools.devops.instrument.script_code import ScriptFile, masked
from tools.devops.instrument.source import render_app


def render_script(
    template: str, values: Mapping[str, object], *, newline: str, typed: bool, like: ScriptFile | None = None
) -> str:
    """A template of ours, written like the file `like`: module system, quotes, semicolons, indentation."""
    text = typescript(render_app(f"node/{template}.js.j2", values, "\n"), typed=typed)
    text = re.sub(r"\n{3,}", "\n\n", re.sub(r"\n+\}\n\Z", "\n}\n", text))
    if like:
        text = text if like.is_module else commonjs(text)
        text = _styled(text, like)
    return text.replace("\n", newline)


def typescript(text: str, *, typed: bool) -> str:
    """The text with what stands between « and » kept for TypeScript, left out for JavaScript."""
    return text.replace("«", "").replace("»", "") if typed else re.sub(r"«[^»]*»", "", text)


def commonjs(text: str) -> str:
    """A module of ours with `require` and `module.exports`."""
    text = re.sub(r"(?m)^import (\{[^}]*\}) from (\"[^\"]*\");", r"const \1 = require(\2);", text)
    names = re.findall(r"(?m)^export (?:async )?(?:function|const|class) (\w+)", text)
    text = re.sub(r"(?m)^export ", "", text)
    return f"{text}\nmodule.exports = {{ {', '.join(names)} }};\n"


def _styled(text: str, like: ScriptFile) -> str:
    if like.quote == "'":
        shape = masked(text)
        marks = [m.start() for m in re.finditer(r'"', shape)]
        letters = list(text)
        for start, end in zip(marks[::2], marks[1::2], strict=True):
            if "'" not in text[start:end]:
                letters[start] = letters[end] = "'"
        text = "".join(letters)
    if not like.semicolons:
        ends = [m.start() for m in re.finditer(r"(?m);(?=[ \t]*$)", masked(text))]
        for position in reversed(ends):
            text = text[:position] + text[position + 1 :]
    return text
