"""The `no_secrets` gate: no usable secret in deployment files, documents and examples, nor a tracked .env file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tools.devops.checks.dockerfile import is_dockerfile
from tools.devops.checks.env_example import NAMES
from tools.devops.checks.gate import Gate, Linter, Subject, each
from tools.devops.checks.linters import betterleaks, detect_secrets
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.secret_patterns import find_secrets
from tools.devops.checks.tree import BadFileError, folder_of
from tools.devops.types import Finding

RULES = Rules(
    "no_secrets",
    {
        "secret": Rule(
            "error",
            "Whoever can read the repository, now or in its history, can use it.",
            "Revoke it, remove it from the history, and keep the new one in the platform's secret store.",
            "docs.github.com/code-security/secret-scanning",
        ),
        "key-file": Rule(
            "error",
            "A private key in the project folder is one `git add .` away from being public.",
            "Move it out of the project, and revoke it if it was ever committed.",
            "own",
        ),
        "env-not-ignored": Rule(
            "error",
            "A .env file that git does not ignore is committed sooner or later.",
            "Add the lines `.env`, `.env.*` and `!.env.example` to .gitignore.",
            "12factor.net/config",
        ),
    },
)

_TEXT = re.compile(
    r"\.(md|mdx|rst|txt|ya?ml|json|toml|tf|tfvars|tofu|ini|cfg|conf|properties|sh|bash|service|env|hcl|xml|html)$"
)
_PLAIN = re.compile(
    r"^(Makefile|Procfile|Jenkinsfile|Caddyfile|Vagrantfile|\.npmrc|\.pypirc|\.netrc|\.envrc|justfile)$"
)
_LOCK = re.compile(
    r"(^|/)(package-lock\.json|npm-shrinkwrap\.json|[\w.-]*[.-]lock(\.\w+)?|go\.sum|pnpm-lock\.yaml|\.terraform\.lock\.hcl)$"
)
_REAL_ENV = re.compile(r"\.env(\.(?!example$|sample$|template$|dist$)[\w-]+)?")
_KEY_FILE = re.compile(r"(id_(rsa|ed25519|ecdsa|dsa)|.+\.(pem|key|p12|pfx|jks))$")


def select(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.tree.files if _wanted(path))


def _wanted(path: str) -> bool:
    name = PurePosixPath(path).name
    if _LOCK.search(path):
        return False
    if _REAL_ENV.fullmatch(name) or _KEY_FILE.fullmatch(name):
        return True
    return bool(_TEXT.search(name) or _PLAIN.match(name)) or is_dockerfile(path) or name in NAMES


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    name = PurePosixPath(path).name
    if _REAL_ENV.fullmatch(name):  # its values are the user's business: it is never opened
        if not _ignored(subject, path):
            yield RULES.at("env-not-ignored", path, 0, f"{path} is not in .gitignore.")
        return
    try:
        text = subject.tree.text(path)
    except BadFileError:
        if _KEY_FILE.fullmatch(name):
            yield RULES.at("key-file", path, 0, "This looks like a key store.")
        return  # other files that cannot be read are reported by the gate that owns them
    if name in NAMES:
        return  # the env_example gate looks for secrets in these
    for secret in find_secrets(text):
        yield RULES.at("secret", path, secret.line, f"This line holds what looks like a secret ({secret.what}).")


def _ignored(subject: Subject, path: str) -> bool:
    """Whether a .gitignore of the project covers `path`; a project that is no git repository has nothing to ignore."""
    from pathspec import GitIgnoreSpec

    if not (subject.tree.root / ".git").exists():
        return True
    folder = folder_of(path)
    while True:
        ignore = ".gitignore" if folder == "." else f"{folder}/.gitignore"
        if ignore in subject.tree:
            relative = path if folder == "." else path.removeprefix(f"{folder}/")
            try:
                if GitIgnoreSpec.from_lines(subject.tree.text(ignore).splitlines()).match_file(relative):
                    return True
            except (BadFileError, ValueError):
                pass  # an unusable .gitignore ignores nothing
        if folder == ".":
            return False
        folder = folder_of(folder)


GATE = Gate(
    "no_secrets",
    RULES,
    select,
    check,
    (
        Linter("betterleaks", betterleaks.locate, betterleaks.run, optional=True),
        Linter("detect-secrets", detect_secrets.locate, detect_secrets.run, optional=True),
    ),
)
