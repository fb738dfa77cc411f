"""The `env_example` gate: every variable the code reads is listed, and nothing listed is a usable secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tools.devops.checks.gate import Gate, Subject, each, readable
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.secret_patterns import find_secrets
from tools.devops.checks.tree import folder_of
from tools.devops.types import DeployUnit, Finding

_SOURCE = "12factor.net/config"

RULES = Rules(
    "env_example",
    {
        "syntax": Rule(
            "error", "Tools that read the file stop at, or skip, such a line.", "Write `NAME=value`.", "dotenv format"
        ),
        "duplicate": Rule(
            "error", "Which of the two values counts depends on the tool.", "Keep one line.", "dotenv format"
        ),
        "secret": Rule(
            "error",
            "An example file is public; whoever copies it runs with a secret that everyone knows.",
            "Put an obvious placeholder there, such as `change-me-in-production`, or leave the value empty.",
            _SOURCE,
        ),
        "undocumented": Rule(
            "error",
            "Whoever sets the system up cannot know that this variable is needed.",
            "Add the line to the example file, with a value that is safe to publish.",
            _SOURCE,
        ),
        "missing": Rule(
            "error",
            "The code reads variables and nothing tells which.",
            "Add a .env.example that lists them.",
            _SOURCE,
        ),
    },
)

_CODE = (".py", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".php", ".rb", ".sh")
NAMES = (".env.example", ".env.sample", ".env.template", ".env.dist")
_OPTIONAL = re.compile(r"^[ \t]*#[ \t]*(?:export[ \t]+)?([A-Z_][A-Z0-9_]*)=", re.MULTILINE)
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")
# Set by the platform, the shell or the tool chain: nobody writes them into an example file.
PROVIDED = re.compile(
    r"(PORT|HOST|HOSTNAME|HOME|PATH|PWD|USER|TZ|LANG|CI|NODE_ENV|PYTHON\w*|npm_\w+|NEXT_RUNTIME|VERCEL(_\w+)?|RAILWAY_\w+"
    r"|GITHUB_\w+|KUBERNETES_\w+|AWS_(REGION|DEFAULT_REGION|LAMBDA_\w+|EXECUTION_ENV)|HEROKU_\w+|NETLIFY(_\w+)?|DYNO"
    r"|FLY_\w+|RENDER(_\w+)?|GIT_(SHA|COMMIT)|DEBIAN_FRONTEND)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    value: str
    line: int


def parse_env(text: str) -> tuple[list[Entry], list[tuple[int, str]]]:
    """The entries, and (line, message) of lines that are none. Quoted values may span lines."""
    entries: list[Entry] = []
    problems: list[tuple[int, str]] = []
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        number, line = index + 1, lines[index].strip()
        index += 1
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            problems.append((number, "This line is not of the form NAME=value."))
            continue
        value = found[2].strip()
        quote = value[:1] if value[:1] in ("'", '"') else ""
        while quote and not _closed(value, quote) and index < len(lines):
            value += "\n" + lines[index]
            index += 1
        if quote and not _closed(value, quote):
            problems.append((number, f"The value of {found[1]} opens a quote that is never closed."))
            index = number
        if found[2].startswith((" ", "\t")) and value:
            problems.append((number, f"There is a space after the = of {found[1]}."))
        entries.append(Entry(found[1], _plain(value, quote), number))
    return entries, problems


def _closed(value: str, quote: str) -> bool:
    return value.find(quote, 1) > 0


def _plain(value: str, quote: str) -> str:
    if quote and (end := value.find(quote, 1)) > 0:
        return value[1:end]
    return value.split(" #", maxsplit=1)[0].strip()


def select(subject: Subject) -> tuple[str, ...]:
    """Example files; when there is none but code reads variables, the units' own folders stand for them."""
    found = subject.tree.named(*NAMES)
    if found or subject.given_project is None:
        return found
    return (".env.example",) if any(_needed(unit) for unit in subject.given_project.units) else ()


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    present = tuple(path for path in files if path in subject.tree)
    yield from each(present, lambda path: _check_file(subject, path))
    yield from _coverage(subject, present)


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    text = subject.tree.text(path)
    entries, problems = parse_env(text)
    for line, message in problems:
        yield RULES.at("syntax", path, line, message)
    first: dict[str, int] = {}
    for entry in entries:
        if entry.name in first:
            yield RULES.at("duplicate", path, entry.line, f"{entry.name} already stands in line {first[entry.name]}.")
        first.setdefault(entry.name, entry.line)
    for secret in find_secrets(text):
        yield RULES.at("secret", path, secret.line, f"This line holds what looks like a usable secret ({secret.what}).")


def documented(subject: Subject) -> dict[str, set[str]]:
    """Names listed in each example file, by path; a line that is commented out tells its name as well."""
    read = readable(subject.tree.named(*NAMES), subject.tree.text)
    return {path: {entry.name for entry in parse_env(text)[0]} | set(_OPTIONAL.findall(text)) for path, text in read}


def _needed(unit: DeployUnit) -> set[str]:
    return {name for name in unit.env if not PROVIDED.fullmatch(name)}


def _with_default(subject: Subject, unit: DeployUnit, names: Sequence[str]) -> set[str]:
    """Those of `names` that the code gives a default where it reads them: nobody has to set these."""
    if not names:
        return set()
    word = "|".join(map(re.escape, names))
    given = re.compile(rf"\b({word})\b(?:[\"'\])}}]*\s*(?:,\s*[^\s)]|\|\||\?\?|:-)|\s*:\s*[\w\[\] |.,\"']+=)")
    inside = "" if unit.path == "." else f"{unit.path}/"
    sources = [path for path in subject.tree.files if path.startswith(inside) and path.endswith(_CODE)]
    return {found[1] for _path, text in readable(sources, subject.tree.text) for found in given.finditer(text)}


def _coverage(subject: Subject, present: tuple[str, ...]) -> Iterator[Finding]:
    listed = documented(subject)
    for unit in subject.project.units:
        if unit.kind == "library":
            continue
        near = [path for path in present if folder_of(path) in (unit.path, ".")]
        known: set[str] = set().union(*(listed.get(path, set()) for path in near))
        missing = sorted(_needed(unit) - known)
        missing = sorted(set(missing) - _with_default(subject, unit, missing))
        target = near[0] if near else str(PurePosixPath(unit.path) / ".env.example")
        if missing and not near:
            yield RULES.at(
                "missing", target, 0, f"{unit.name} reads {', '.join(missing[:10])}; there is no example file."
            )
            continue
        for name in missing:
            yield RULES.at("undocumented", target, 0, f"{unit.name} reads {name}, which {target} does not list.")


GATE = Gate("env_example", RULES, select, check)
