"""The `dockerignore` gate: what must not reach the build, and what the Dockerfile needs there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.checks import dockerfile
from tools.devops.checks.dockerfile_parse import Dockerfile
from tools.devops.checks.gate import Gate, Subject, each, readable
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.tree import folder_of, join
from tools.devops.types import Finding

_SOURCE = "docs.docker.com/build/concepts/context/#dockerignore-files"

RULES = Rules(
    "dockerignore",
    {
        "missing": Rule(
            "error",
            "The whole folder, with .git and local .env files, is sent to the build and may end up in the image.",
            "Add a .dockerignore that lists .git, .env, .env.* and dependency folders.",
            _SOURCE,
        ),
        "env": Rule(
            "error",
            "A copied .env file puts real secrets into the image.",
            "Add the lines `.env`, `.env.*` and `!.env.example`.",
            _SOURCE,
        ),
        "git": Rule(
            "error", "The history holds old secrets and makes the image large.", "Add the line `.git`.", _SOURCE
        ),
        "caches": Rule(
            "warning",
            "Local dependencies overwrite those installed in the image, for another system, and slow every build.",
            "List the folder.",
            _SOURCE,
        ),
        "needed": Rule(
            "error",
            "The build stops: COPY cannot see a file that .dockerignore excludes.",
            "Remove the pattern, or except the file with a `!` line.",
            _SOURCE,
        ),
    },
)


def select(subject: Subject) -> tuple[str, ...]:
    """Ignore files, and the Dockerfiles that have none."""
    ignores = tuple(path for path in subject.tree.files if path.endswith(".dockerignore"))
    bare = tuple(path for path in subject.files(dockerfile.select) if _ignore_of(subject, path) is None)
    return (*ignores, *bare)


def _ignore_of(subject: Subject, path: str) -> str | None:
    """The ignore file for a Dockerfile: its own, its folder's, or the root's when that is the context."""
    for candidate in (f"{path}.dockerignore", join(folder_of(path), ".dockerignore"), ".dockerignore"):
        if candidate and candidate in subject.tree:
            return candidate
    return None


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    ignores = tuple(path for path in files if path.endswith(".dockerignore"))
    yield from each(ignores, lambda path: _check_ignore(subject, path))
    for path, parsed in readable(
        (path for path in files if path not in ignores), lambda path: subject.parsed(path, dockerfile.read_dockerfile)
    ):
        if any({".", "./"} & set(sources) for _line, sources in _copied(parsed)):
            yield RULES.at("missing", path, 0, "The build copies its whole folder and there is no .dockerignore.")


def _check_ignore(subject: Subject, path: str) -> Iterator[Finding]:
    ignored = Patterns(subject.tree.text(path))
    folder = folder_of(path)
    for name in (".env", ".env.local", ".env.production"):
        if not ignored(name):
            yield RULES.at("env", path, 0, f"{name} is not excluded.")
            break
    if folder == "." and not ignored(".git/config"):  # the repository's own lies nowhere else
        yield RULES.at("git", path, 0, ".git is not excluded.")
    prefix = "" if folder == "." else f"{folder}/"
    beside = {name.removeprefix(prefix) for name in subject.tree.files if name.startswith(prefix)}
    if "package.json" in beside and not ignored("node_modules/a/index.js"):
        yield RULES.at("caches", path, 0, "node_modules is not excluded.")
    if {"pyproject.toml", "requirements.txt"} & beside:
        for name in (".venv/bin/python", "app/__pycache__/main.pyc"):
            if not ignored(name):
                yield RULES.at("caches", path, 0, f"{name.split('/')[-2].replace('bin', '.venv')} is not excluded.")
    yield from _needed(subject, path, ignored, beside)


def _needed(subject: Subject, path: str, ignored: Patterns, beside: set[str]) -> Iterator[Finding]:
    """Files that a Dockerfile copies and the ignore file hides from it."""
    for file, parsed in readable(
        subject.files(dockerfile.select), lambda name: subject.parsed(name, dockerfile.read_dockerfile)
    ):
        if _ignore_of(subject, file) == path:
            for line, sources in _copied(parsed):
                for source in sources:
                    if source.removeprefix("./") in beside and ignored(source.removeprefix("./")):
                        message = f"{file}:{line} copies {source[:80]}, which {path} excludes."
                        yield RULES.at("needed", path, 0, message)


def _copied(parsed: Dockerfile) -> Iterator[tuple[int, tuple[str, ...]]]:
    for item in parsed.instructions:
        if item.keyword in ("COPY", "ADD") and item.flag("from") is None:
            yield item.line, item.words[:-1]


class Patterns:
    """The lines of a .dockerignore; call it with a path relative to the context. The last matching line decides."""

    def __init__(self, text: str) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for line in (raw.strip() for raw in text.split("\n")):
            if line and not line.startswith("#"):
                pattern = line.removeprefix("!").strip().lstrip("/").removeprefix("./").rstrip("/")
                self._rules.append((not line.startswith("!"), re.compile(_regex(pattern))))

    def __call__(self, path: str) -> bool:
        parts = path.split("/")
        prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        excluded = False
        for exclude, pattern in self._rules:
            if any(pattern.fullmatch(prefix) for prefix in prefixes):
                excluded = exclude
        return excluded


def _regex(pattern: str) -> str:
    """Go's filepath.Match with `**` for any number of folders."""
    out, index = "", 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            out, index = f"{out}(?:[^/]+/)*", index + 3
        elif pattern.startswith("**", index):
            out, index = f"{out}.*", index + 2
        elif pattern[index] == "*":
            out, index = f"{out}[^/]*", index + 1
        elif pattern[index] == "?":
            out, index = f"{out}[^/]", index + 1
        elif pattern[index] == "\\" and index + 1 < len(pattern):
            out, index = out + re.escape(pattern[index + 1]), index + 2
        elif pattern[index] == "[" and (end := pattern.find("]", index + 2)) > 0:
            inner = pattern[index + 1 : end].replace("\\", "").replace("[", "\\[")
            out, index = f"{out}[{inner}]", end + 1
        else:
            out, index = out + re.escape(pattern[index]), index + 1
    return out


GATE = Gate("dockerignore", RULES, select, check)
