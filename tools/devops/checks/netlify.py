"""The `netlify` gate: netlify.toml by our own schema, since Netlify's tools pass unknown keys in silence."""

from __future__ import annotations

from collections.abc import Iterator

from tools.devops.checks.documents import mapping, schema_findings, sequence
from tools.devops.checks.gate import Gate, Subject, each
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.schemas import own
from tools.devops.checks.tree import folder_of, join
from tools.devops.types import Finding

_DOCS = "docs.netlify.com/build/configure-builds/file-based-configuration"

RULES = Rules(
    "netlify",
    {
        "schema": Rule(
            "error",
            "Netlify ignores unknown keys, so a misspelt setting has no effect.",
            "Correct the key or value.",
            f"{_DOCS}; unknown keys: measured on @netlify/config",
        ),
        "old-functions": Rule(
            "warning", "`functions` under `[build]` is the old spelling.", "Use `[functions] directory`.", _DOCS
        ),
        "redirect-order": Rule(
            "error",
            "The first match wins: nothing after a catch-all is ever reached.",
            "Move the catch-all to the end.",
            "docs.netlify.com/routing/redirects",
        ),
        "publish": Rule(
            "warning",
            "Without `publish` the repository's root, sources included, is put on the web.",
            "Name the folder that the build writes.",
            _DOCS,
        ),
        "base": Rule("error", "The build stops: its base folder does not exist.", "Correct the path.", _DOCS),
        "functions-directory": Rule(
            "error", "No function is deployed from a folder that does not exist.", "Correct the path.", _DOCS
        ),
    },
)


def select(subject: Subject) -> tuple[str, ...]:
    return subject.tree.named("netlify.toml")


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    document = subject.toml(path)
    yield from schema_findings(document, own("netlify"), RULES)
    top = mapping(document.value)
    build = mapping(top.get("build"))
    if "functions" in build:
        yield RULES.at("old-functions", path, document.line("build", "functions"), "`functions` stands under [build].")
    if build.get("command") and not build.get("publish") and not top.get("plugins"):
        yield RULES.at("publish", path, document.line("build"), "`publish` is not set.")
    base = str(build.get("base") or folder_of(path)).strip("/")  # relative to the repository, wherever this file is
    if "base" in build and not _is_folder(subject, base):
        yield RULES.at("base", path, document.line("build", "base"), f"There is no folder {base[:60]!r}.")
    functions = mapping(top.get("functions")).get("directory")
    if isinstance(functions, str) and not _is_folder(subject, join(base, functions.lstrip("/"))):
        line = document.line("functions", "directory")
        yield RULES.at("functions-directory", path, line, f"There is no folder {functions[:60]!r} in {base[:60]!r}.")
    redirects = [mapping(item) for item in sequence(top.get("redirects"))]
    for index, item in enumerate(redirects[:-1]):
        if item.get("from") == "/*" and not item.get("conditions") and item.get("force") is not False:
            if item.get("status") == 404:
                continue
            line = document.line("redirects", index)
            yield RULES.at("redirect-order", path, line, "A catch-all redirect stands before other redirects.")


def _is_folder(subject: Subject, folder: str | None) -> bool:
    return folder == "." or any(name.startswith(f"{folder}/") for name in subject.tree.files)


GATE = Gate("netlify", RULES, select, check)
