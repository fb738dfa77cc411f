"""Writing Claude Code's transcripts: one more reader of a run's events. The journal stays the source of truth.

Secrets are replaced as in the journal. A transcript that cannot be written is given up with a remark; the run goes on.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from agent.events import (
    Event,
    HistoryCompacted,
    MessageAdded,
    ModelAnswered,
    ModelEvent,
    RunStarted,
    ToolFinished,
    ToolStarted,
    new_uuid,
)
from tools.secrets import Redactor

Json = dict[str, Any]

_UUID = re.compile(rb'"uuid":\s?"([0-9a-fA-F-]{36})"')
_NAMESPACE = UUID("6f1b3c1e-9d0c-4d0e-8a53-0f8f2b7d6c11")


@dataclass(slots=True)
class _Thread:
    """One agent's part: its file, the end of its chain, and what its coming answer is known to be."""

    path: Path
    last: str | None = None
    prompted: bool = False
    answer: Json = field(default_factory=dict)


class Transcriber:
    """Writes a session's transcript to `path`, children beside it. `cwd` is the project, `version` this program's."""

    def __init__(self, path: Path, cwd: Path, redactor: Redactor, version: str) -> None:
        self.problem: str | None = None
        self._path = path
        self._redactor = redactor
        branch = _git_branch(cwd)
        self._context = {
            "userType": "external",
            "cwd": str(cwd),
            "sessionId": path.stem,
            "version": version,
            **({"gitBranch": branch} if branch else {}),
        }
        self._threads: dict[str | None, _Thread] = {None: _Thread(path)}
        self._calls: dict[str, ToolStarted] = {}
        self._data: dict[str, Mapping[str, Any]] = {}

    def take_up(self, messages: Sequence[tuple[Sequence[str], Json]], forked_from: str | None = None) -> None:
        """Go on behind these messages, by their ids; those that are not in the file yet are written first."""
        known = set(_UUID.findall(self._path.read_bytes())) if self._path.exists() else set()
        thread = self._threads[None]
        for uuids, message in messages:
            named = [uuid for uuid in uuids if uuid.encode() in known]
            if named:
                thread.last = named[-1]
            elif not known or uuids:
                uuid = uuids[-1] if uuids else new_uuid()
                extra = {"forkedFrom": {"sessionId": forked_from, "messageUuid": uuid}} if forked_from else {}
                thread.prompted = False
                self._message(MessageAdded(message=message, uuid=uuid), thread, extra)
        thread.prompted = False

    def read(self, event: Event) -> None:
        """Take an event. Never raises for what the disk does; `problem` then says it."""
        if self.problem is not None:
            return
        try:
            self._read(event)
        except OSError as error:
            self.problem = f"The transcript {self._path} cannot be written: {error.strerror}. The session goes on."

    def _read(self, event: Event) -> None:
        match event:
            case RunStarted(agent_id=str()):
                self._begin_child(event)
            case ModelEvent(event={"type": "message_start", "message": dict(message)}):
                self._thread(event).answer = {"id": message.get("id")}
            case ModelAnswered():
                answered = {"model": event.model, "stop_reason": event.stop_reason, "usage": dict(event.usage)}
                self._thread(event).answer |= answered | {"request_id": event.request_id}
            case ToolStarted():
                self._calls[event.call_id] = event
            case ToolFinished():
                self._data[event.call_id] = self._spilled(event.data)
            case MessageAdded():
                self._message(event, self._thread(event), {})
            case HistoryCompacted():
                self._compacted(event, self._thread(event))
            case _:
                pass

    def _thread(self, event: Event) -> _Thread:
        if event.agent_id not in self._threads:
            self._threads[event.agent_id] = _Thread(self._beside("subagents") / f"agent-{event.agent_id}.jsonl")
        return self._threads[event.agent_id]

    def _begin_child(self, event: RunStarted) -> None:
        call = self._calls.get(event.parent_call_id or "")
        described = call.input.get("description") or call.input.get("subject") if call else None
        meta = {
            "agentType": event.agent,
            "description": described,
            "toolUseId": event.parent_call_id,
            "parentAgentId": call.agent_id if call else None,
        }
        kept = self._redactor.json({key: value for key, value in meta.items() if value is not None})
        thread = self._thread(event)
        _private(thread.path.parent)
        path = thread.path.with_suffix(".meta.json")
        _append(path, b"" if path.exists() else json.dumps(kept).encode())

    # --- messages ---

    def _message(self, event: MessageAdded, thread: _Thread, extra: Json) -> None:
        content = event.message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if event.message["role"] == "assistant":
            self._assistant(event, thread, blocks, extra)
            return
        results = [block for block in blocks if block.get("type") == "tool_result"]
        said = [block for block in blocks if block.get("type") != "tool_result"]
        lines = [self._result(block) for block in results]
        prompt_at = None
        if said and not thread.prompted:
            thread.prompted, prompt_at = True, len(lines)
            prompt, said = _prompt_and_rest(said)
            lines.append({"message": {"role": "user", "content": prompt}})
        if said:
            lines.append({"message": {"role": "user", "content": said}, "isMeta": True})
        self._write_all("user", event, thread, lines, extra, prompt_at)

    def _assistant(self, event: MessageAdded, thread: _Thread, blocks: list[Json], extra: Json) -> None:
        answer = dict(thread.answer)
        request_id = answer.pop("request_id", None)
        message = {"type": "message", "role": "assistant", "model": "", "id": f"msg_{event.uuid}"} | answer
        line: Json = {"message": {**message, "content": blocks}} | ({"requestId": request_id} if request_id else {})
        self._write_all("assistant", event, thread, [line], extra)

    def _result(self, block: Json) -> Json:
        call = str(block.get("tool_use_id"))
        self._calls.pop(call, None)
        data = self._data.pop(call, None)
        return {"message": {"role": "user", "content": [block]}} | ({"toolUseResult": dict(data)} if data else {})

    def _compacted(self, event: HistoryCompacted, thread: _Thread) -> None:
        boundary = {
            "subtype": "compact_boundary",
            "content": "Conversation compacted",
            "level": "info",
            "logicalParentUuid": thread.last,
            "compactMetadata": {"trigger": event.trigger, "preTokens": event.tokens_before},
        }
        thread.last = None
        summary = {"message": event.message, "isCompactSummary": True, "isVisibleInTranscriptOnly": True}
        self._line("system", str(uuid5(_NAMESPACE, event.uuid)), event, thread, boundary)
        self._line("user", event.uuid, event, thread, summary)
        thread.prompted = True

    def _write_all(
        self,
        kind: str,
        event: MessageAdded,
        thread: _Thread,
        lines: list[Json],
        extra: Json,
        prompt_at: int | None = None,
    ) -> None:
        """The lines of one message. Its own id goes to the prompt, else to the last line."""
        named = len(lines) - 1 if prompt_at is None else prompt_at
        for at, line in enumerate(lines):
            uuid = event.uuid if at == named else str(uuid5(_NAMESPACE, f"{event.uuid} {at}"))
            self._line(kind, uuid, event, thread, line | extra)

    def _line(self, kind: str, uuid: str, event: Event, thread: _Thread, fields: Json) -> None:
        when = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {
            "parentUuid": thread.last,
            "isSidechain": event.agent_id is not None,
            **({"agentId": event.agent_id} if event.agent_id else {}),
            **self._context,
            "type": kind,
            **fields,
            "uuid": uuid,
            "timestamp": when,
        }
        clean = self._redactor.json(line)
        text = json.dumps(clean, ensure_ascii=False, separators=(",", ":"), default=str)
        _private(thread.path.parent)
        _append(thread.path, text.encode("utf-8", "replace") + b"\n")
        thread.last = uuid

    # --- what is too long for a message ---

    def _spilled(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """A tool's whole output lies with the transcript, too."""
        named = data.get("persistedOutputPath")
        if not isinstance(named, str) or not Path(named).is_file():
            return data
        target = self._beside("tool-results") / Path(named).name
        _private(target.parent)
        text = self._redactor.text(Path(named).read_text(encoding="utf-8", errors="replace"))
        if not target.exists():
            _append(target, text.encode("utf-8", "replace"))
        return {**data, "persistedOutputPath": str(target)}

    def _beside(self, name: str) -> Path:
        return self._path.with_suffix("") / name


def _prompt_and_rest(said: list[Json]) -> tuple[str | list[Json], list[Json]]:
    """What the user said, and what hooks and the runtime added to it. A prompt in words is kept as a text."""
    if all(block.get("type") == "text" for block in said):
        return said[0]["text"], said[1:]
    own = [block for block in said if not str(block.get("text") or "").startswith("<system-reminder>")]
    return own, [block for block in said if block not in own]


def _private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _append(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and data and os.pread(fd, 1, size - 1) != b"\n":
            data = b"\n" + data  # a killed writer left its line open
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def _git_branch(cwd: Path) -> str | None:
    for directory in (cwd, *cwd.parents):
        try:
            head = (directory / ".git" / "HEAD").read_text(encoding="utf-8").strip()
        except OSError:
            continue
        return head.removeprefix("ref: refs/heads/") if head.startswith("ref: ") else "HEAD"
    return None
