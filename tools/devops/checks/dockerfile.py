"""The `dockerfile` gate: what hadolint does not see (non-root, health check, signals, port, secrets, layers)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tools.devops.checks.dockerfile_parse import Dockerfile, Instruction, parse_dockerfile
from tools.devops.checks.gate import Gate, Linter, Subject, each
from tools.devops.checks.images import MOVING_TAGS, tag_of
from tools.devops.checks.linters import hadolint
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.tree import base_name
from tools.devops.types import Finding

_DOCKER = "docs.docker.com/build/building/best-practices"
_REFERENCE = "docs.docker.com/reference/dockerfile"

RULES = Rules(
    "dockerfile",
    {
        "syntax": Rule("error", "The image cannot be built.", "Correct the instruction.", _REFERENCE),
        "non-root": Rule(
            "error",
            "A process that breaks out of a root container is root on the host; Kubernetes' restricted profile "
            "refuses such an image.",
            "Create a user with a fixed id and end the final stage with `USER 10001`.",
            _DOCKER,
        ),
        "numeric-user": Rule(
            "warning",
            "Kubernetes' runAsNonRoot cannot tell whether a named user is root and refuses to start the container.",
            "Give the id: `USER 10001`.",
            "kubernetes.io/docs/concepts/security/pod-security-standards",
        ),
        "healthcheck": Rule(
            "error",
            "Without HEALTHCHECK, Docker and Compose cannot tell a hanging server from a healthy one.",
            "Add a HEALTHCHECK that requests the health path with the runtime the image already has.",
            f"{_REFERENCE}/#healthcheck",
        ),
        "healthcheck-tool": Rule(
            "error",
            "The command is not in the image, so the container is reported unhealthy for ever.",
            "Probe with the runtime itself (`python -c` with urllib, `node -e` with fetch), or install the tool.",
            "measured: slim images ship neither curl nor wget",
        ),
        "exec-form": Rule(
            "error",
            "Shell form makes /bin/sh process 1; SIGTERM then never reaches the server and requests are cut off.",
            'Write a JSON array: `CMD ["server"]`, or `["sh", "-c", "exec server"]` where a variable is used.',
            f"{_REFERENCE}/#shell-and-exec-form",
        ),
        "exec-server": Rule(
            "error",
            "Without `exec` the shell stays process 1 and may keep SIGTERM from the server.",
            "Put `exec` before the last command of `sh -c`.",
            f"{_REFERENCE}/#shell-and-exec-form",
        ),
        "package-runner": Rule(
            "warning",
            "npm, yarn and pnpm stand between the platform and the server, and do not reliably pass signals on.",
            "Start the server itself, for example `node dist/main.js`.",
            "github.com/nodejs/docker-node best practices",
        ),
        "unexpanded-variable": Rule(
            "error",
            "Exec form runs without a shell: the server gets the text `$PORT`, not the number.",
            'Use `CMD ["sh", "-c", "exec server --port ${PORT:-8000}"]`, or read PORT in the application.',
            f"{_REFERENCE}/#shell-and-exec-form",
        ),
        "port-ignored": Rule(
            "warning",
            "Platforms choose the port and say so in PORT; a fixed port is then never reached.",
            "Listen on ${PORT:-<default>}.",
            "docs.railway.com, cloud.google.com/run/docs/container-contract",
        ),
        "loopback": Rule(
            "error",
            "A server bound to the loopback address cannot be reached from outside the container.",
            "Listen on 0.0.0.0 (or ::).",
            "docs.railway.com/guides/public-networking",
        ),
        "secret": Rule(
            "error",
            "Values of ARG and ENV, and copied files, stay readable in the image and its history.",
            "Read it at run time from the environment; at build time use `RUN --mount=type=secret`.",
            "docs.docker.com/build/building/secrets",
        ),
        "build-tools": Rule(
            "error",
            "Compilers and package tools in the shipped image make it larger and help an attacker.",
            "Install them in a builder stage and copy only the result.",
            _DOCKER,
        ),
        "single-stage": Rule(
            "warning",
            "Everything the build needed is shipped as well.",
            "Build in a first stage and copy the result into a clean second one.",
            "docs.docker.com/build/building/multi-stage",
        ),
        "tag": Rule(
            "error",
            "Without a fixed tag the same file builds something else tomorrow.",
            "Name a version, for example `python:3.13-slim-trixie`, best with a digest.",
            _DOCKER,
        ),
        "source-before-lock": Rule(
            "warning",
            "Every change of any file then reinstalls all dependencies.",
            "Copy the manifest and lock file, install, and only then copy the source.",
            f"{_DOCKER}/#leverage-build-cache",
        ),
    },
)

SECRET_NAME = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)($|_)|SECRET_KEY|_DSN$"
)
_NOT_SECRET = re.compile(r"(_FILE|_PATH|_NAME|_URL|_TTL|_EXPIRES?(_IN)?|_MINUTES|_SECONDS|_HEADER|_ALGORITHM)$")
_DEVELOPMENT = re.compile(
    r"(^|/)\.devcontainer/|(^|[/.])dev(el|elop|elopment)?\.Dockerfile$|Dockerfile\.(dev|test|ci)\w*$"
)
_SECRET_FILE = re.compile(
    r"(^|/)(\.env(\.(?!example|sample|template)[\w-]+)?|id_(rsa|ed25519|ecdsa)|.+\.(pem|key|p12|pfx)|\.npmrc|\.netrc"
    r"|\.pypirc|credentials(\.json)?|service-account.*\.json)$"
)
_FETCHER = re.compile(r"\b(curl|wget)\b")
_INSTALL = re.compile(r"\b(apt-get|apt|apk|dnf|microdnf|yum|pip3?)\b[^;&|\n]*\b(install|add)\b([^;&|\n]*)")
_BUILD_TOOL = re.compile(
    r"(?<![\w.-])(build-essential|build-base|gcc|g\+\+|make|cmake|git|python3-dev|libpq-dev|musl-dev|linux-headers|rustc"
    r"|cargo|golang|default-libmysqlclient-dev)(?![\w.-])"
)
_DEPENDENCIES = re.compile(
    r"\b(pip3? install|pip3? wheel|uv sync|uv pip|poetry install|pdm (sync|install)|pipenv (sync|install)"
    r"|npm (ci|install|i)\b(?! (-g|--global))"
    r"|yarn( install| --frozen|\s*$)|pnpm (install|i)\b|bun install|go mod download|cargo (fetch|build)|bundle install"
    r"|composer install|mvn |gradle)"
)
_SERVER = re.compile(
    r"\b(uvicorn|gunicorn|hypercorn|granian|daphne|flask run|waitress-serve|fastapi run|runserver|puma)\b"
)
_FIXED_PORT = re.compile(r"(--port[= ]|-p |--bind[= ]\S*:|-b \S*:|--http-port[= ])(\d{2,5})\b|runserver \S*:(\d{2,5})")
_LOOPBACK = re.compile(r"(--host[= ]|--bind[= ]|-b |-h |--hostname[= ]|-H )(127\.0\.0\.1|localhost)\b")
_RUNNER = re.compile(r"^(npm|yarn|pnpm)\b|^bun run [\w:-]+$")
_WITHOUT_FETCHER = re.compile(r"slim|distroless|scratch|debian|ubuntu|chainguard|wolfi")
_SLIM_WITH_CURL = re.compile(r"^(docker\.io/)?(library/)?nginx:")


def is_dockerfile(path: str) -> bool:
    name = base_name(path)
    if name.endswith(".dockerignore"):
        return False
    return name in ("Dockerfile", "Containerfile") or name.startswith("Dockerfile.") or name.endswith(".Dockerfile")


def select(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.tree.files if is_dockerfile(path))


def read_dockerfile(file: str, text: str) -> Dockerfile:
    """A parser for `Subject.parsed`; raises `BadFileError` with a `dockerfile/syntax` finding."""
    return parse_dockerfile(RULES, file, text)


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    platform_port = any(
        path.startswith((".railway/", "railway.")) or path in ("Procfile", "fly.toml") for path in subject.tree.files
    )
    yield from each(files, lambda path: _check_file(subject.parsed(path, read_dockerfile), platform_port))


def _check_file(dockerfile: Dockerfile, platform_port: bool) -> Iterator[Finding]:
    yield from _secrets(dockerfile)
    yield from _layers(dockerfile)
    if _DEVELOPMENT.search(dockerfile.file):
        return  # never ships: it may hold a compiler, run as root and be watched by its developer
    yield from _user(dockerfile)
    yield from _healthcheck(dockerfile)
    yield from _command(dockerfile, platform_port)
    yield from _stages(dockerfile)


def _last(dockerfile: Dockerfile, *keywords: str) -> Instruction | None:
    """The effective instruction of the shipped image: the last one of the nearest stage that has it."""
    for stage in dockerfile.final:
        if found := stage.all(*keywords):
            return found[-1]
    return None


def _user(dockerfile: Dockerfile) -> Iterator[Finding]:
    user = _last(dockerfile, "USER")
    base = dockerfile.final[-1].image
    if user is None:
        if "nonroot" not in base:
            line = dockerfile.stages[-1].line
            yield RULES.at(
                "non-root", dockerfile.file, line, "The final stage has no USER, so the container runs as root."
            )
        return
    name = user.value.split(":")[0].strip("\"'")
    if name in ("root", "0"):
        yield RULES.at("non-root", dockerfile.file, user.line, "The container runs as root.")
    elif not name.isdigit() and not name.startswith("$"):
        yield RULES.at("numeric-user", dockerfile.file, user.line, f"USER {name[:40]} is a name, not an id.")


def _healthcheck(dockerfile: Dockerfile) -> Iterator[Finding]:
    health = _last(dockerfile, "HEALTHCHECK")
    command = _last(dockerfile, "CMD", "ENTRYPOINT")
    serves = _last(dockerfile, "EXPOSE") or (command and _SERVER.search(command.script))
    if health is None:
        if serves:
            line = dockerfile.stages[-1].line
            yield RULES.at("healthcheck", dockerfile.file, line, "The image serves a port and has no HEALTHCHECK.")
        return
    needed = _FETCHER.search(health.script)
    base = dockerfile.final[-1].image
    if needed is None or not _WITHOUT_FETCHER.search(base) or _SLIM_WITH_CURL.search(base):
        return
    installed = " ".join(
        m[3] for stage in dockerfile.final for run in stage.all("RUN") for m in _INSTALL.finditer(run.script)
    )
    if needed[1] not in installed.split():
        message = f"HEALTHCHECK uses {needed[1]}, which {base[:60]} does not have and no RUN installs."
        yield RULES.at("healthcheck-tool", dockerfile.file, health.line, message)


def _command(dockerfile: Dockerfile, platform_port: bool) -> Iterator[Finding]:
    for command in filter(None, (_last(dockerfile, "ENTRYPOINT"), _last(dockerfile, "CMD"))):
        yield from _one_command(dockerfile.file, command, platform_port)


def _one_command(file: str, command: Instruction, platform_port: bool) -> Iterator[Finding]:
    words = command.exec_form
    if words is None:
        yield RULES.at("exec-form", file, command.line, f"{command.keyword} is in shell form.")
    shell = bool(words) and len(words or ()) > 2 and PurePosixPath((words or ("",))[0]).name in ("sh", "bash", "ash")
    script = words[-1] if shell and words else command.script
    last = re.split(r"&&|;|\n", script.strip())[-1].strip()
    if shell and not last.startswith("exec ") and "exec " not in last:
        yield RULES.at("exec-server", file, command.line, f"`sh -c` ends in `{last[:40]}` without exec.")
    if words and not shell and any(re.match(r".*\$\{?[A-Z_]+", word) for word in words):
        yield RULES.at("unexpanded-variable", file, command.line, f"{command.keyword} in exec form holds a variable.")
    if _RUNNER.match(last.removeprefix("exec ")):
        yield RULES.at("package-runner", file, command.line, f"The container starts `{last[:40]}`.")
    if _LOOPBACK.search(script):
        yield RULES.at("loopback", file, command.line, "The server listens on the loopback address only.")
    if (found := _FIXED_PORT.search(script)) and "PORT" not in script:
        message = f"The server always listens on {found[2] or found[3]}, whatever PORT says."
        yield RULES.at("port-ignored", file, command.line, message, severity="error" if platform_port else None)


def looks_secret(name: str) -> bool:
    """True for variable names that hold secrets by convention."""
    upper = name.upper()
    return bool(SECRET_NAME.search(upper)) and not _NOT_SECRET.search(upper) and not upper.startswith("NEXT_PUBLIC_")


def _secrets(dockerfile: Dockerfile) -> Iterator[Finding]:
    for item in dockerfile.instructions:
        if item.keyword in ("ARG", "ENV"):
            pairs = re.findall(r"([A-Za-z_]\w*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?", item.value)
            if item.keyword == "ENV" and "=" not in item.value.split()[0]:
                pairs = [(item.value.split()[0], "x")]  # the old form `ENV NAME value`
            for name, value in pairs:
                if looks_secret(name) and (item.keyword == "ARG" or value.strip("\"'")):
                    yield RULES.at(
                        "secret", dockerfile.file, item.line, f"{item.keyword} {name[:60]} looks like a secret."
                    )
        elif item.keyword in ("COPY", "ADD") and item.flag("from") is None:
            for source in item.words[:-1]:
                if _SECRET_FILE.search(source):
                    yield RULES.at("secret", dockerfile.file, item.line, f"{source[:80]} is copied into the image.")


def _stages(dockerfile: Dockerfile) -> Iterator[Finding]:
    names = {stage.name for stage in dockerfile.stages}
    for stage in dockerfile.stages:
        image = stage.image
        if image.lower() in names or image == "scratch" or "@sha256:" in image or "$" in image:
            continue
        tag = tag_of(image)
        if tag in MOVING_TAGS:
            yield RULES.at(
                "tag", dockerfile.file, stage.line, f"{image[:80]} has {'no tag' if not tag else 'the tag latest'}."
            )
    own = dockerfile.stages[-1]
    for run in (item for stage in dockerfile.final for item in stage.all("RUN")):
        for found in _INSTALL.finditer(run.script):
            tool = _BUILD_TOOL.search(found[3])
            if tool and not re.search(r"apt-get (purge|remove)|apk del", run.script):
                yield RULES.at("build-tools", dockerfile.file, run.line, f"The final stage installs {tool[1]}.")
    if len(dockerfile.stages) == 1 and any(_DEPENDENCIES.search(run.script) for run in own.all("RUN")):
        yield RULES.at("single-stage", dockerfile.file, own.line, "Dependencies are built in the image that ships.")


def _layers(dockerfile: Dockerfile) -> Iterator[Finding]:
    """COPY of the whole context before the first dependency installation of a stage."""
    for stage in dockerfile.stages:
        for item in stage.instructions:
            whole = item.keyword in ("COPY", "ADD") and item.flag("from") is None and {".", "./"} & set(item.words[:-1])
            if item.keyword == "RUN" and _DEPENDENCIES.search(item.script):
                break
            if whole and any(_DEPENDENCIES.search(run.script) for run in stage.all("RUN") if run.line > item.line):
                yield RULES.at(
                    "source-before-lock",
                    dockerfile.file,
                    item.line,
                    "The source is copied before dependencies are installed.",
                )
                break


GATE = Gate("dockerfile", RULES, select, check, (Linter("hadolint", hadolint.locate, hadolint.run),))
