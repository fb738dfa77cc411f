"""Whether a project's own configuration may run: hooks, servers, agents, skills, allow rules. Asked before it is read.

Trust belongs to a directory as it is on disk, links resolved, together with a digest of everything in it that can
execute or loosen; when any of that changes, the directory is untrusted again. Nothing the repository says about itself
(remotes, worktrees, parents) counts, and nothing is started here: not git, not a package manager.

    store = TrustStore()
    if not store.is_trusted(project) and (lines := what_would_run(project)):
        ... show the lines, ask, store.trust(project) ...
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from agent.permissions.decision import visible
from agent.session.journal import state_home
from agent.session.private import write_private
from tools.frontmatter import FrontmatterError, parse

Language = Literal["en", "ko"]

_SETTINGS = (".claude/settings.json", ".claude/settings.local.json")
_SERVERS = ".mcp.json"
_TREES = (".claude/agents", ".claude/skills", ".claude/commands", ".claude/hooks", ".claude/plugins")
_MOST_FILES, _MOST_BYTES = 2000, 20_000_000
_DEEPEST = 30
_TEXT_BYTES = 1_000_000
_SHOWN = 300
_INERT = frozenset({"$schema"})
_INLINE_COMMAND = re.compile(r"!`([^`]{1,1000})`")
_HEADER_FIELDS = ("hooks", "mcpServers", "allowed-tools", "permissionMode", "shell")

_WORDS: Mapping[str, Mapping[Language, str]] = {
    "hook": {"en": "hook {event} runs: {what}", "ko": "훅 {event}이(가) 실행합니다: {what}"},
    "server": {"en": "MCP server {name} starts: {what}", "ko": "MCP 서버 {name} 시작: {what}"},
    "allow": {"en": "runs without asking: {what}", "ko": "묻지 않고 실행: {what}"},
    "variables": {"en": "sets environment variables: {what}", "ko": "환경 변수 설정: {what}"},
    "setting": {"en": "setting {name}: {what}", "ko": "설정 {name}: {what}"},
    "agent": {"en": "agent definition", "ko": "에이전트 정의"},
    "skill": {"en": "skill or command", "ko": "스킬 또는 명령"},
    "script": {"en": "script for hooks or skills", "ko": "훅이나 스킬이 쓰는 스크립트"},
    "field": {"en": "{name}: {what}", "ko": "{name}: {what}"},
    "inline": {"en": "runs when it is used: {what}", "ko": "사용될 때 실행: {what}"},
    "unreadable": {"en": "cannot be read: {what}", "ko": "읽을 수 없음: {what}"},
}


class TrustError(Exception):
    """Trust cannot be recorded, or the configuration cannot be pinned. The message names the path and what to do."""


class TrustStore:
    """The directories a person has trusted, in one 0600 file outside all projects."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or state_home() / "trust.json"

    def is_trusted(self, directory: Path | str) -> bool:
        """Whether this directory was trusted and its executable configuration is still the same. Never raises."""
        try:
            known = self._read().get(_key(directory))
            return known is not None and known["digest"] == digest(directory)
        except TrustError:
            return False

    def trust(self, directory: Path | str) -> None:
        """Trust the directory with the configuration it has now. Raises `TrustError`."""
        entry = {"digest": digest(directory), "trusted_at": datetime.now(UTC).isoformat(timespec="seconds")}
        self._change(lambda known: known.update({_key(directory): entry}))

    def forget(self, directory: Path | str) -> None:
        """Take the trust back. Raises `TrustError` if the store cannot be written."""
        self._change(lambda known: known.pop(_key(directory), None))

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TrustError(f"{self._path} cannot be read: {error.strerror}.") from error
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
                raise TrustError(f"{self._path} is not a file that only you can write. Remove it, and trust again.")
            try:
                known = json.loads(file.read())["directories"]
                return {str(path): {**entry, "digest": str(entry["digest"])} for path, entry in known.items()}
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                raise TrustError(f"{self._path} is damaged. Remove it, and trust again.") from error

    def _change(self, change: Callable[[dict[str, dict[str, str]]], object]) -> None:
        try:
            with self._locked():
                known = self._read()
                change(known)
                self._write(known)
        except OSError as error:
            raise TrustError(f"{self._path} cannot be written: {error.strerror}.") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, among processes, too."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self._path.with_suffix(".lock"), flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _write(self, known: Mapping[str, Mapping[str, str]]) -> None:
        write_private(self._path, {"version": 1, "directories": known})


def digest(directory: Path | str) -> str:
    """A digest of all of the directory's configuration that can execute or loosen: paths, modes and contents.

    Links are followed, as whoever reads the files will. Raises `TrustError` for what cannot be pinned: devices, pipes,
    more than 2000 files or 20 MB.
    """
    total = hashlib.sha256()
    for name, content, mode in _contents(directory):
        parts = (os.fsencode(name), b"x" if mode & 0o111 else b"-", hashlib.sha256(content).digest())
        for part in parts:
            total.update(len(part).to_bytes(4) + part)
    return total.hexdigest()


def what_would_run(directory: Path | str, language: Language = "en") -> list[str]:
    """What trusting the directory would let run or loosen, a line each, for a person; empty if there is nothing.

    Control and invisible characters are escaped. Raises `TrustError` as `digest` does.
    """
    lines = []
    for name, content, _mode in _contents(directory):
        for key, detail in _described(name, content):
            shown = {word: visible(value, _SHOWN) for word, value in detail.items()}
            lines.append(f"{visible(name, _SHOWN)}: {_WORDS[key][language].format(**shown)}")
    return lines


def _key(directory: Path | str) -> str:
    try:
        return os.path.realpath(directory, strict=True)
    except (OSError, ValueError) as error:
        raise TrustError(f"{visible(str(directory))} is not a directory that can be resolved: {error}.") from error


def _contents(directory: Path | str) -> Iterator[tuple[str, bytes, int]]:
    """Name from the directory, content and mode of every file of executable configuration, sorted by name."""
    room = _MOST_BYTES
    for name, path in sorted(_files(Path(_key(directory)))):
        content, mode = _read_regular(path, room)
        room -= len(content)
        yield name, content, mode


def _files(directory: Path) -> list[tuple[str, Path]]:
    found = [(name, directory / name) for name in (*_SETTINGS, _SERVERS) if os.path.lexists(directory / name)]
    for tree in _TREES:
        if not os.path.lexists(directory / tree):
            continue
        for each in _below(directory / tree, tree, set()):
            found.append(each)
            if len(found) > _MOST_FILES:
                raise TrustError(f"{visible(str(directory / tree))} holds too many files: trust covers {_MOST_FILES}.")
    return found


def _below(path: Path, name: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    """The files in a directory, links followed, each directory once."""
    try:
        if not path.is_dir():
            yield name, path
            return
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            inside = sorted(entry.name for entry in entries)
    except OSError as error:
        raise TrustError(f"{visible(str(path))} cannot be read: {error.strerror}.") from error
    if len(seen) > _MOST_FILES or name.count("/") > _DEEPEST:
        raise TrustError(f"{visible(str(path))} is one directory too many, or too deep, to be trusted.")
    for each in inside:
        yield from _below(path / each, f"{name}/{each}", seen)


def _read_regular(path: Path, room: int) -> tuple[bytes, int]:
    """Content and mode of a regular file, never a pipe or device. Raises `TrustError`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise TrustError(f"{visible(str(path))} cannot be read: {error.strerror}.") from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise TrustError(f"{visible(str(path))} is not a regular file.")
        content = file.read(room + 1)
    if len(content) > room:
        raise TrustError(f"{visible(str(path))}: the configuration is larger than {_MOST_BYTES // 1_000_000} MB.")
    return content, status.st_mode


# --- in words -------------------------------------------------------------------------------------------------------

_Line = tuple[str, dict[str, str]]


def _described(name: str, content: bytes) -> Iterator[_Line]:
    """(key of `_WORDS`, its details) for one file. What cannot be read is said, never left out."""
    if len(content) > _TEXT_BYTES:
        yield "unreadable", {"what": f"{len(content)} bytes"}
        return
    try:
        if name in _SETTINGS:
            yield from _settings(_object(content))
        elif name == _SERVERS:
            yield from _servers(_object(content).get("mcpServers"))
        elif name.endswith(".md"):
            yield "agent" if name.startswith(".claude/agents/") else "skill", {}
            yield from _markdown(content.decode("utf-8", "replace"))
        else:
            yield "script", {}
    except (ValueError, RecursionError) as error:
        yield "unreadable", {"what": str(error)}


def _object(content: bytes) -> dict[str, Any]:
    value = json.loads(content) if content.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")  # noqa: TRY004 - reported like any other unreadable file
    return value


def _settings(settings: Mapping[str, Any]) -> Iterator[_Line]:
    for name, value in settings.items():
        if name == "hooks":
            yield from _hooks(value)
        elif name == "env" and isinstance(value, dict):
            yield "variables", {"what": ", ".join(map(str, value))}
        elif name == "permissions" and isinstance(value, dict):
            yield from _permissions(value)
        elif name not in _INERT:
            yield "setting", {"name": name, "what": _compact(value)}


def _permissions(permissions: Mapping[str, Any]) -> Iterator[_Line]:
    for name, value in permissions.items():
        if name == "allow" and isinstance(value, list):
            for rule in value:
                yield "allow", {"what": str(rule)}
        elif name not in ("deny", "ask"):  # these only tighten, and hold without trust
            yield "setting", {"name": f"permissions.{name}", "what": _compact(value)}


def _hooks(hooks: Any) -> Iterator[_Line]:
    """`{event: [{matcher, hooks: [{type, command}]}]}`; any other shape is shown as it is."""
    for event, groups in hooks.items() if isinstance(hooks, dict) else [("", hooks)]:
        for group in groups if isinstance(groups, list) else [groups]:
            matcher = group.get("matcher") if isinstance(group, dict) else None
            inner = group.get("hooks") if isinstance(group, dict) else None
            for hook in inner if isinstance(inner, list) else [group]:
                what = hook.get("command") if isinstance(hook, dict) else None
                where = f"{event} ({matcher})" if matcher else str(event)
                yield "hook", {"event": where, "what": what if isinstance(what, str) else _compact(hook)}


def _servers(servers: Any) -> Iterator[_Line]:
    for name, server in servers.items() if isinstance(servers, dict) else [("", servers)] if servers else []:
        what = _compact(server)
        if isinstance(server, dict) and isinstance(server.get("command"), str):
            arguments = server.get("args")
            what = " ".join([server["command"], *map(str, arguments if isinstance(arguments, list) else [])])
            if isinstance(env := server.get("env"), dict) and env:
                what += f" [env: {', '.join(map(str, env))}]"
        elif isinstance(server, dict) and isinstance(server.get("url"), str):
            what = server["url"]
        yield "server", {"name": str(name), "what": what}


def _markdown(text: str) -> Iterator[_Line]:
    try:
        header, body = parse(text)
    except FrontmatterError as error:
        yield "unreadable", {"what": str(error)}
        header, body = {}, text
    for name in _HEADER_FIELDS:
        if value := header.get(name):
            yield from _hooks(value) if name == "hooks" else [("field", {"name": name, "what": _compact(value)})]
    for command in _INLINE_COMMAND.findall(body):
        yield "inline", {"what": command}


def _compact(value: Any) -> str:
    with suppress(TypeError, ValueError):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
