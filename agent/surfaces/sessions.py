"""Which session the flags ask for, and where a process keeps its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from agent.session.listing import newest_session
from agent.session.opening import Opening
from agent.session.sessions import Sessions
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags

_UUID = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(text: object) -> bool:
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def check_session_flags(flags: Flags) -> None:
    """Raises `UsageProblem` for flags on sessions that contradict each other."""
    earlier = flags.resume is not None or flags.continue_last
    if flags.resume == "":
        raise UsageProblem("--resume needs a session id when nobody can choose one from a list.")
    if flags.session_id is not None and not is_uuid(flags.session_id):
        raise UsageProblem(f"--session-id {flags.session_id!r} is no UUID.")
    if flags.session_id is not None and earlier and not flags.fork_session:
        raise UsageProblem("--session-id names a new session. With --resume or --continue it needs --fork-session.")
    if flags.fork_session and not earlier:
        raise UsageProblem("--fork-session needs --resume or --continue: there is nothing to copy.")
    if flags.resume_session_at is not None and not earlier:
        raise UsageProblem("--resume-session-at needs --resume.")
    if flags.resume_drops_turn is not None and flags.resume_session_at is None:
        raise UsageProblem("--resume-drops-turn needs --resume-session-at.")


def opening_of(flags: Flags, env: Mapping[str, str]) -> Opening:
    """The session of the first turn. `--continue` without any session begins a new one."""
    resume = flags.resume
    if resume is None and flags.continue_last:
        resume = newest_session(Path(flags.directory), env)
    if resume is None:
        return Opening(session_id=flags.session_id)
    return Opening(
        resume=resume,
        session_id=flags.session_id,
        fork=flags.fork_session,
        until=flags.resume_session_at,
        drops=flags.resume_drops_turn,
    )


def sessions_of(flags: Flags) -> Sessions:
    """The sessions of a process: kept with transcripts, or gone when it ends with `--no-session-persistence`."""
    return Sessions.passing() if flags.no_session_persistence else Sessions(transcripts=True, lasting=True)
