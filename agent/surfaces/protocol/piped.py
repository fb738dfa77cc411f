"""What is piped into `-p`: the prompt, or what the prompt is about (`git diff | expert-devops -p "review this"`)."""

from __future__ import annotations

import io
import select
import sys
from typing import TextIO

from agent.surfaces.errors import UsageProblem

_MOST = 10 * 1024 * 1024
_PATIENCE = 3.0  # seconds, as the reference program


def piped(*, awaited: bool) -> str:
    """All of standard input; empty on a terminal. Not `awaited`: an open pipe that stays silent is left alone, since
    whoever starts a program often hands its own input down. Raises `UsageProblem` for more than 10 MiB.
    """
    stream = sys.stdin
    if stream is None or stream.closed or stream.isatty():
        return ""
    if not awaited and not _speaks(stream):
        print("expert-devops: nothing came on standard input; give < /dev/null to not wait for it.", file=sys.stderr)
        return ""
    try:
        data = stream.buffer.read(_MOST + 1)
    except OSError as error:  # of a terminal that is gone, for one
        if awaited:
            raise UsageProblem(f"Standard input cannot be read: {error.strerror or error}.") from error
        return ""
    if len(data) > _MOST:
        raise UsageProblem(f"Standard input holds more than {_MOST:,} bytes. Put it into a file and name that.")
    return data.decode("utf-8", "replace")


def _speaks(stream: TextIO) -> bool:
    """Whether something can be read, the end included, before patience ends."""
    try:
        return bool(select.select([stream.fileno()], [], [], _PATIENCE)[0])
    except io.UnsupportedOperation:  # no real file
        return True
