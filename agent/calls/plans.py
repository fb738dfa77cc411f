"""Infrastructure changes, bound to the plan that was shown.

A plan (`terraform plan -out p`, `kubectl diff -f x`, `helm upgrade --dry-run`) that ran in this conversation is
remembered with a digest of what it planned and where: directory, context, account, region, branch. A change by the same
tool runs only as that plan; where anything differs it is refused, and without a plan somebody is asked. Finding out
starts no program: settings of the tools and of git are read as files. What scripts do is not seen.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from agent.permissions.commands import directories_of
from agent.permissions.decision import Language, say
from agent.permissions.infrastructure import Effect, binding_of, classify
from agent.permissions.programs import program
from agent.permissions.runs import Run, list_runs
from agent.permissions.shell import parse

_MOST_FILES = 2000
_ACCOUNT = re.compile(
    r"AWS_(?:PROFILE|ACCESS_KEY_ID|ROLE_ARN|CONFIG_FILE|SHARED_CREDENTIALS_FILE)|GOOGLE_(?:CLOUD_PROJECT|APPLICATION_CREDENTIALS)"
    r"|CLOUDSDK_(?:CORE_(?:PROJECT|ACCOUNT)|ACTIVE_CONFIG_NAME|CONFIG)|ARM_\w+_ID|AZURE_\w+_ID|DIGITALOCEAN_CONTEXT|TF_VAR_\w+"
)
_ACCOUNT_FILES = (".aws/config", ".aws/credentials", ".config/gcloud/active_config", ".azure/azureProfile.json")
_REGION = re.compile(r"AWS_(?:DEFAULT_)?REGION|CLOUDSDK_COMPUTE_(?:REGION|ZONE)")


@dataclass(frozen=True, slots=True)
class Planned:
    """What a command would do and where. `content` is empty where nothing fixed stands behind it."""

    content: str
    where: Mapping[str, str]

    def differences(self, other: Planned) -> list[str]:
        """The names of what is not the same."""
        names = ["content"] if self.content != other.content else []
        return names + [name for name, value in self.where.items() if other.where.get(name) != value]


@dataclass(slots=True)
class Plans:
    """The plans shown in one conversation, the last of each tool."""

    home: Path
    language: Language = "en"
    _shown: dict[str, Planned] = field(default_factory=dict)

    def ran(self, command: str, cwd: Path, env: Mapping[str, str], exit_code: int) -> None:
        """Remember the plan a command ended with, seen whole: nothing piped, redirected or hidden in another program.

        `kubectl diff` ends with 1 where something would change.
        """
        parts = parse(command).parts
        plain = all(not part.redirects and not part.piped for part in parts)
        alone = all(part.words and program(part.words[0]) == "cd" for part in parts[:-1])
        for run, effect in _infrastructure(command, cwd, self.home) if plain and alone else ():
            differs = exit_code == 1 and any(word.text == "diff" for word in run.words)
            if effect.kind == "plan" and not run.inner and (exit_code == 0 or differs):
                self._shown[program(run.words[0])] = self._planned(run, command, cwd, env)

    def objection(self, command: str, cwd: Path, env: Mapping[str, str]) -> tuple[Literal["ask", "deny"], str] | None:
        """What speaks against the changes in a command: another plan was shown (deny), or none (ask)."""
        missing: str | None = None
        for run, effect in _infrastructure(command, cwd, self.home):
            if effect.kind != "change":
                continue
            name = program(run.words[0])
            verbs = (binding_of(run.words) or {})["verbs"]
            shown = self._shown.get(name) if any(word.text in verbs for word in run.words[1:]) else None
            if shown is None or not shown.content:
                missing = missing or name
            elif what := shown.differences(self._planned(run, command, cwd, env)):
                return "deny", say("plan_differs", self.language, part=run.part.source, what=", ".join(what))
        return ("ask", say("plan_missing", self.language, program=missing)) if missing else None

    def _planned(self, run: Run, command: str, cwd: Path, env: Mapping[str, str]) -> Planned:
        words = [word.text for word in run.words]
        binding = binding_of(run.words) or {}
        places = directories_of(command, str(cwd), str(self.home))
        settings = {**env, **dict(_assigned(command, cwd, self.home))}
        directory = Path(places[-1], next((w.partition("=")[2] for w in words if w.startswith("-chdir=")), ""))
        flags = {kind: _values(words, binding.get(kind, ())) for kind in ("context", "account", "region")}
        account = [f"{name}={value}" for name, value in sorted(settings.items()) if _ACCOUNT.fullmatch(name)]
        stores = [_digest_of_path(self.home / name) for name in _ACCOUNT_FILES]
        region = [f"{name}={value}" for name, value in sorted(settings.items()) if _REGION.fullmatch(name)]
        where = {
            "directory": str(directory),
            "context": _digest([*flags["context"], *_contexts(directory, settings, self.home)]),
            "account": _digest([*flags["account"], *account, *stores]),
            "region": _digest([*flags["region"], *region]),
            "branch": _branch(directory),
        }
        return Planned(_content(words, binding, [directory, *map(Path, places)], run.stdin), where)


def _infrastructure(command: str, cwd: Path, home: Path) -> Iterator[tuple[Run, Effect]]:
    for run in list_runs(parse(command), str(home), str(cwd)).found:
        effect = classify(run.words, run.stdin)
        if effect is not None and binding_of(run.words) is not None:
            yield run, effect


def _assigned(command: str, cwd: Path, home: Path) -> Iterator[tuple[str, str]]:
    """Variables the command sets in any way."""
    runs = list_runs(parse(command), str(home), str(cwd))
    for part in runs.assigning:
        yield from ((name, value.text) for name, value in part.assignments)
    for run in runs.found:
        found = (re.match(r"([A-Za-z_]\w*)=([\s\S]*)", word.text) for word in run.words[1:])
        yield from ((match[1], match[2]) for match in found if match)


def _content(words: Sequence[str], binding: Mapping[str, Any], places: Sequence[Path], stdin: str | None) -> str:
    """A digest of what is planned: the saved plan, or the files and words that describe it."""
    if saved := binding.get("saved"):
        operands = [word for word in words[2:] if not word.startswith("-")]
        named = _values(words, [saved]) or operands[-1:]
        return _digest_of_path(_found(named[0], places)) if named else ""
    files = [_digest_of_path(_found(name, places)) for name in _values(words, binding["files"]) if name != "-"]
    charts = [_digest_of_path(path) for word in words[2:] if (path := _found(word, places)).is_dir()]
    skip = {*binding["verbs"], *binding["aside"], *binding["aside_values"], *_values(words, binding["aside_values"])}
    said = [word for word in words[1:] if word not in skip and not word.startswith(tuple(f"{flag}=" for flag in skip))]
    return _digest([*said, *files, *charts, stdin or ""])


def _values(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """The values given to options of these names, attached or as the next word."""
    found = [after for word, after in pairwise(words) if word in names]
    return found + [word.partition("=")[2] for word in words if word.partition("=")[0] in names and "=" in word]


def _found(name: str, places: Sequence[Path]) -> Path:
    return next((path for place in places if (path := place / name).exists()), places[0] / name)


def _contexts(directory: Path, settings: Mapping[str, str], home: Path) -> Iterator[str]:
    """Kubernetes' current context and Terraform's workspace, as the tools' own files say."""
    config = settings.get("KUBECONFIG", "").partition(os.pathsep)[0] or str(home / ".kube" / "config")
    found = re.search(r"^current-context:\s*(.*)$", _text(Path(config)), re.MULTILINE)
    yield f"{config}#{found[1] if found else ''}"
    yield settings.get("TF_WORKSPACE") or _text(directory / ".terraform" / "environment")


def _branch(directory: Path) -> str:
    """What HEAD of the repository around `directory` says."""
    for place in (directory, *directory.parents):
        entry = place / ".git"
        if entry.is_file() and (link := re.match(r"gitdir: (.*)", _text(entry))):
            entry = place / link[1].strip()
        if head := _text(entry / "HEAD"):
            return head.strip()
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""


def _digest_of_path(path: Path) -> str:
    """The digest of a file, or of all files below a directory; empty where there is none."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())[:_MOST_FILES]
    if not files:
        return ""
    digest = hashlib.sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            return ""
        digest.update(f"{file.relative_to(path.parent)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
