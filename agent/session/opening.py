"""How a run comes to its session: a new one, one that goes on, or a copy of one that goes another way.

A session is looked for among the journals first, then among Claude Code's transcripts. What comes from a transcript or
from another session is written into a journal of its own, so that from then on the journal tells everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.session.journal import JOURNAL, SessionError, find_session, new_session_id, session_directory
from agent.session.resume import Restored, restore

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is asked for. `resume` is a session to continue, `session_id` the id of a new one or of the copy.

    `fork` goes on in a copy and leaves the session as it is. `until` drops what follows that message; `drops` is the
    prompt that must be the first thing dropped, else it is refused.
    """

    resume: str | None = None
    session_id: str | None = None
    fork: bool = False
    until: str | None = None
    drops: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """`restored` is what the session holds. `copied`: it has still to be written to the journal in `directory`."""

    session_id: str
    directory: Path
    restored: Restored | None = None
    copied: bool = False
    forked_from: str | None = None
    rewound: bool = False


def open_session(asked: Opening, cwd: Path, env: Mapping[str, str], store: Path | None = None) -> Opened:
    """Find or make the session. `store` is where journals are kept, the user's own place by default.

    Raises `SessionError`.
    """
    if asked.resume is None:
        return _new(asked.session_id or new_session_id(), cwd, store)
    restored, copied = find_restored(asked.resume, cwd, env, store)
    rewound = asked.until is not None
    if asked.until is not None:
        restored = _until(restored, asked.until, asked.drops)
    if asked.fork:
        new = _new(asked.session_id or new_session_id(), cwd, store)
        restored.usage.clear()  # a copy begins with nothing spent
        return replace(new, restored=restored, copied=True, forked_from=restored.session_id)
    directory = session_directory(cwd, restored.session_id, store) if copied else restored.directory
    return Opened(restored.session_id, directory, restored, copied, rewound=rewound and not copied)


def _new(session_id: str, cwd: Path, store: Path | None) -> Opened:
    if not _ID.fullmatch(session_id):
        raise SessionError(f"{session_id!r} cannot be the id of a session. Use letters, digits, - and _; best a UUID.")
    directory = session_directory(cwd, session_id, store)
    if (directory / JOURNAL).exists():
        raise SessionError(f"The session {session_id} exists already. Continue it with --resume.")
    return Opened(session_id, directory)


def find_restored(session: str, cwd: Path, env: Mapping[str, str], store: Path | None = None) -> tuple[Restored, bool]:
    """A session, and whether it has to be copied: it is another store's, or a transcript. Raises `SessionError`."""
    stores = (store, None) if store is not None else (None,)
    missing: SessionError | None = None
    for number, place in enumerate(stores):
        try:
            return restore(find_session(session, cwd, place)), number > 0
        except SessionError as error:
            missing = missing or error
    from agent.session.transcript import find_transcript, read_transcript

    path = find_transcript(session, cwd, env)
    if path is None:
        assert missing is not None  # noqa: S101 - one place at least was looked into
        raise missing
    told = read_transcript(path)
    restored = Restored(
        told.session_id,
        session_directory(cwd, told.session_id, store),
        None,
        history=told.history,
        uuids=[entry.uuids for entry in told.entries],
        ended=told.settled,
    )
    restored.settle()
    return restored, True


def _until(restored: Restored, until: str, drops: str | None) -> Restored:
    at = next((at for at, names in enumerate(restored.uuids) if until in names), None)
    if at is None:
        raise SessionError(f"No message of session {restored.session_id} has the id {until}, or it was summarised.")
    dropped = restored.uuids[at + 1 :]
    if drops is not None and dropped and drops not in dropped[0]:
        raise SessionError(
            f"Resume rejected by --resume-drops-turn: what follows {until} does not begin with the prompt {drops}."
        )
    restored.rewind(at + 1)
    restored.settle()
    return restored
