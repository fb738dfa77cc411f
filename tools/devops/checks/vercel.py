"""The `vercel` gate: vercel.json by our own schema, since the CLI accepts unknown keys without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.devops.checks.documents import Document, mapping, schema_findings, sequence
from tools.devops.checks.gate import Gate, Subject, each
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.schemas import own
from tools.devops.checks.tree import folder_of
from tools.devops.cron import shortest_gap_minutes
from tools.devops.types import Finding

_DOCS = "vercel.com/docs/project-configuration"

RULES = Rules(
    "vercel",
    {
        "schema": Rule(
            "error",
            "The CLI ignores unknown keys, so a misspelt setting has no effect; wrong values stop the build.",
            "Correct the key or value.",
            f"{_DOCS}; unknown keys: measured on the CLI",
        ),
        "function-glob": Rule(
            "error",
            "A pattern without a match under `api/` or the framework's folders stops the build.",
            "Name files that exist, or remove the entry.",
            f"{_DOCS}#functions",
        ),
        "mixed-routes": Rule(
            "error",
            "The deployment is refused: `routes` excludes rewrites, redirects, headers, cleanUrls and trailingSlash, "
            "and `builds` excludes functions.",
            "Keep the newer form.",
            f"{_DOCS}#routes",
        ),
        "cron-plan": Rule(
            "warning",
            "On the Hobby plan a cron job runs at most once a day; a finer one stops the deployment.",
            "Run it daily, or note that the Pro plan is needed.",
            "vercel.com/docs/cron-jobs/usage-and-pricing",
        ),
        "cron-syntax": Rule(
            "error", "The deployment is refused.", "Write five fields, in UTC.", "vercel.com/docs/cron-jobs"
        ),
        "duration": Rule(
            "warning",
            "More than 300 s needs a Pro or Enterprise plan, more than 800 s a beta.",
            "Stay at 300 s or less, or note the plan.",
            "vercel.com/docs/functions/limitations, 2025-12",
        ),
        "region": Rule(
            "error",
            "The region does not exist.",
            "Use one of Vercel's region ids, for example iad1, fra1, icn1.",
            "vercel.com/docs/regions",
        ),
        "cors": Rule(
            "error",
            "Any site can read answers, and browsers refuse `*` together with credentials.",
            "Name the origins.",
            "fetch.spec.whatwg.org#cors-protocol-and-credentials",
        ),
        "duplicate-deploy": Rule(
            "warning",
            "Git integration and the workflow both deploy each push.",
            'Set `"git": {"deploymentEnabled": false}`, or remove the deploy job.',
            "vercel.com/docs/git",
        ),
    },
)

REGIONS = frozenset(
    {"arn1", "bom1", "cdg1", "cle1", "cpt1", "dub1", "dxb1", "fra1", "gru1", "hkg1", "hnd1", "iad1", "icn1", "kix1"}
    | {"lhr1", "pdx1", "sfo1", "sin1", "syd1", "yul1"}
)


def select(subject: Subject) -> tuple[str, ...]:
    return subject.tree.named("vercel.json")


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    document = subject.json(path)
    yield from schema_findings(document, own("vercel"), RULES)
    top = mapping(document.value)
    yield from _functions(subject, document, top)
    yield from _mixed(document, top)
    yield from _regions(document, top)
    for index, cron in enumerate(sequence(top.get("crons"))):
        schedule = str(mapping(cron).get("schedule", ""))
        gap, line = shortest_gap_minutes(schedule), document.line("crons", index, "schedule")
        if gap is None:
            yield RULES.at("cron-syntax", path, line, f"{schedule[:40]!r} is no cron expression.")
        elif gap < 1440:
            yield RULES.at("cron-plan", path, line, f"{schedule[:40]!r} fires more than once a day.")
    yield from _cors(document, top)
    if lookup_deploy(subject) and mapping(top.get("git")).get("deploymentEnabled") is not False:
        yield RULES.at(
            "duplicate-deploy", path, document.line("git"), "A workflow deploys, and Git deployments are on."
        )


def lookup_deploy(subject: Subject) -> bool:
    """Whether a workflow deploys with the Vercel CLI."""
    return any(
        re.search(r"\bvercel (deploy|--prod)", subject.tree.text(path))
        for path in subject.tree.files
        if path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml"))
    )


def _functions(subject: Subject, document: Document, top: dict[str, Any]) -> Iterator[Finding]:
    folder = folder_of(document.file)
    prefix = "" if folder == "." else f"{folder}/"
    files = [path.removeprefix(prefix) for path in subject.tree.files if path.startswith(prefix)]
    for pattern, value in mapping(top.get("functions")).items():
        line = document.line("functions", pattern)
        matcher = re.compile(glob_regex(pattern))
        if not any(matcher.fullmatch(path) for path in files):
            yield RULES.at("function-glob", document.file, line, f"{pattern[:80]!r} matches no file.")
        duration = mapping(value).get("maxDuration")
        if isinstance(duration, int) and duration > 300:
            yield RULES.at("duration", document.file, line, f"maxDuration is {duration} s.")


def glob_regex(pattern: str) -> str:
    """A glob with `*`, `**`, `?`, `{a,b}` and `[...]` as a regular expression for relative paths."""
    out, index, depth = "", 0, 0
    while index < len(pattern):
        char = pattern[index]
        if pattern.startswith("**/", index):
            out, index = f"{out}(?:[^/]+/)*", index + 3
            continue
        if pattern.startswith("**", index):
            out, index = f"{out}.*", index + 2
            continue
        if char == "{" and "}" in pattern[index:]:
            out, depth = f"{out}(?:", depth + 1
        elif char == "}" and depth:
            out, depth = f"{out})", depth - 1
        elif char == "," and depth:
            out += "|"
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
        index += 1
    return out + ")" * depth


def _mixed(document: Document, top: dict[str, Any]) -> Iterator[Finding]:
    newer = {"rewrites", "redirects", "headers", "cleanUrls", "trailingSlash"} & top.keys()
    if "routes" in top and newer:
        message = f"`routes` stands beside {', '.join(sorted(newer))}."
        yield RULES.at("mixed-routes", document.file, document.line("routes"), message)
    if "functions" in top and "builds" in top:
        yield RULES.at("mixed-routes", document.file, document.line("builds"), "`builds` stands beside `functions`.")


def _regions(document: Document, top: dict[str, Any]) -> Iterator[Finding]:
    lists = [((key,), top.get(key)) for key in ("regions", "functionFailoverRegions", "passiveRegions")]
    for name, value in mapping(top.get("functions")).items():
        lists.append((("functions", name, "regions"), mapping(value).get("regions")))  # type: ignore[arg-type]  # paths differ in length
    for path, regions in lists:
        for region in sequence(regions):
            if region not in REGIONS and region != "all":
                yield RULES.at(
                    "region", document.file, document.line(*path), f"{str(region)[:40]!r} is no Vercel region."
                )


def _cors(document: Document, top: dict[str, Any]) -> Iterator[Finding]:
    for index, entry in enumerate(sequence(top.get("headers"))):
        pairs = {
            str(mapping(item).get("key", "")).lower(): str(mapping(item).get("value", ""))
            for item in sequence(mapping(entry).get("headers"))
        }
        if pairs.get("access-control-allow-origin") == "*" and pairs.get("access-control-allow-credentials") == "true":
            yield RULES.at(
                "cors", document.file, document.line("headers", index), "Any origin is allowed with credentials."
            )


GATE = Gate("vercel", RULES, select, check)
