"""A Dockerfile as instructions and stages, each with its line.

Follows BuildKit's reading: parser directives, the escape character, comments and blank lines inside continuations,
heredocs, JSON (exec) form, build arguments in FROM.
Source: docs.docker.com/reference/dockerfile
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tools.devops.checks.rules import Rules
from tools.devops.checks.tree import BadFileError

_KEYWORDS = """
ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME
WORKDIR
"""
KEYWORDS = frozenset(_KEYWORDS.split())
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z]+)\s*=\s*(\S+)\s*$")
_HEREDOC = re.compile(r"<<(-?)([\"']?)([A-Za-z_]\w*)\2")
_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|$)")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_STAGE = re.compile(r"(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Instruction:
    """`value` is the joined text after keyword and flags; `heredocs` are the bodies that follow it."""

    keyword: str
    value: str
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: tuple[str, ...] = ()

    @property
    def exec_form(self) -> tuple[str, ...] | None:
        """The words of a JSON array, None for shell form."""
        try:
            words = json.loads(self.value) if self.value.startswith("[") else None
        except ValueError:
            return None
        return tuple(words) if isinstance(words, list) and all(isinstance(w, str) for w in words) else None

    @property
    def words(self) -> tuple[str, ...]:
        return self.exec_form or tuple(self.value.split())

    @property
    def script(self) -> str:
        """What a RUN, CMD or HEALTHCHECK executes, as one text."""
        words = self.exec_form
        return "\n".join((" ".join(words) if words is not None else self.value, *self.heredocs))

    def flag(self, name: str) -> str | None:
        return next((value for key, value in self.flags if key == name), None)


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM and what follows. `image` has build arguments filled in, as far as they have defaults."""

    image: str
    name: str | None
    line: int
    instructions: tuple[Instruction, ...]

    def all(self, *keywords: str) -> tuple[Instruction, ...]:
        return tuple(item for item in self.instructions if item.keyword in keywords)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed file; `instructions` holds everything in order, the ARGs before the first FROM included."""

    file: str
    instructions: tuple[Instruction, ...]
    stages: tuple[Stage, ...]

    def base_of(self, stage: Stage) -> Stage | None:
        """The earlier stage that `stage` builds on, None when its base is an image."""
        earlier = self.stages[: self.stages.index(stage)]
        return next((other for other in reversed(earlier) if other.name and other.name == stage.image.lower()), None)

    def lineage(self, stage: Stage) -> tuple[Stage, ...]:
        """`stage` and the stages below it, topmost first: what is in its file system without COPY --from."""
        chain = [stage]
        while base := self.base_of(chain[-1]):
            chain.append(base)
        return tuple(chain)

    @property
    def final(self) -> tuple[Stage, ...]:
        """The lineage of the last stage, the one that ships."""
        return self.lineage(self.stages[-1])


def parse_dockerfile(rules: Rules, file: str, text: str) -> Dockerfile:
    """Parse; a text that is no Dockerfile raises `BadFileError` with a finding of `<gate>/syntax`."""

    def bad(line: int, message: str) -> BadFileError:
        return BadFileError(rules.at("syntax", file, line, message))

    instructions = []
    for line, raw, heredocs in _logical_lines(text):
        keyword, _, rest = raw.partition(" ")
        keyword = keyword.upper()
        if keyword not in KEYWORDS:
            raise bad(line, f"Unknown instruction {keyword[:40]!r}.")
        flags = []
        rest = rest.strip()
        while found := _FLAG.match(rest):
            flags.append((found[1], found[2] or ""))
            rest = rest[found.end() :]
        if not rest:
            raise bad(line, f"{keyword} needs an argument.")
        instructions.append(Instruction(keyword, rest, line, tuple(flags), heredocs))
    first = next((item for item in instructions if item.keyword != "ARG"), None)
    if first is None:
        raise bad(1, "There is no FROM instruction.")
    if first.keyword != "FROM":
        raise bad(first.line, f"{first.keyword} stands before the first FROM.")
    try:
        stages = _stages(instructions)
    except ValueError as error:
        raise bad(first.line, str(error)) from error
    return Dockerfile(file, tuple(instructions), stages)


def _logical_lines(text: str) -> list[tuple[int, str, tuple[str, ...]]]:
    """(first line, joined text, heredoc bodies) of each instruction."""
    lines = text.split("\n")
    escape, index = "\\", 0
    while index < len(lines) and (directive := _DIRECTIVE.match(lines[index].strip())):
        if directive[1].lower() == "escape" and directive[2] in ("\\", "`"):
            escape = directive[2]
        index += 1
    result = []
    while index < len(lines):
        start, parts, more = index, list[str](), True
        while index < len(lines) and more:
            stripped = lines[index].strip()
            index += 1
            if not stripped or stripped.startswith("#"):
                more = bool(parts)  # blank lines and comments inside a continuation are skipped
                continue
            more = stripped.endswith(escape)
            if not parts:
                start = index - 1
            parts.append(stripped[:-1].strip() if more else stripped)
        joined = " ".join(" ".join(parts).split("\t"))
        heredocs: list[str] = []
        if joined.split(" ")[0].upper() in ("RUN", "COPY", "ADD"):
            for dash, _quote, word in _HEREDOC.findall(joined):
                body, index = _heredoc(lines, index, word, strip_tabs=bool(dash))
                heredocs.append(body)
        if joined:
            result.append((start + 1, joined, tuple(heredocs)))
    return result


def _heredoc(lines: list[str], index: int, word: str, *, strip_tabs: bool) -> tuple[str, int]:
    body = []
    while index < len(lines):
        line = lines[index].lstrip("\t") if strip_tabs else lines[index]
        index += 1
        if line.strip() == word:
            break
        body.append(line)
    return "\n".join(body), index


def _stages(instructions: list[Instruction]) -> tuple[Stage, ...]:
    arguments: dict[str, str] = {}
    starts = [number for number, item in enumerate(instructions) if item.keyword == "FROM"]
    for item in instructions[: starts[0]]:
        for name, default in re.findall(r"(\w+)=(\S+)", item.value):
            arguments[name] = default.strip("\"'")
    stages = []
    for start, end in zip(starts, [*starts[1:], len(instructions)], strict=True):
        item = instructions[start]
        found = _STAGE.fullmatch(item.value)
        if found is None:
            raise ValueError("FROM takes an image and, after AS, a name.")
        name = found[2].lower() if found[2] else None
        stages.append(Stage(expand(found[1], arguments), name, item.line, tuple(instructions[start + 1 : end])))
    return tuple(stages)


def expand(text: str, values: dict[str, str]) -> str:
    """`$NAME`, `${NAME}` and `${NAME:-default}` filled in from `values`; unknown ones stay as they are."""
    return _VARIABLE.sub(lambda m: values.get(m[1] or m[2], m[3] if m[3] is not None else m[0]), text)
