"""The search engine with ripgrep: it matches, the walk has chosen the files.

Files are named one by one and after `--`, so ignore rules, links and odd names mean the same as without ripgrep.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tools.paths import Place
from tools.search.query import Found, Line, Query, context_line, lines_from
from tools.search.scan import MAX_FILE_BYTES, texts
from tools.text import cap, clean
from tools.tool import ToolError

_MAX_OUTPUT = 128_000_000


def _arguments(query: Query) -> list[str]:
    arguments = ["--no-config", "--json", "--text", "--no-ignore", "--hidden", "--no-messages"]
    arguments += [f"--max-count={query.most}", f"--max-filesize={MAX_FILE_BYTES}"]
    arguments += ["--ignore-case" if query.ignore_case else "--case-sensitive"]
    if query.multiline:
        arguments += ["--multiline", "--multiline-dotall"]
    if not query.only_matching:
        arguments += [f"--before-context={query.before}", f"--after-context={query.after}"]
    return arguments


async def search(program: str, env: Mapping[str, str], query: Query, start: Place, paths: Sequence[str]) -> list[Found]:
    """The files among `paths` that match, in their order. Raises `ToolError` with ripgrep's words for a bad pattern."""
    directory = start.real if paths != [""] else start.real.parent
    names = [f"./{path or start.real.name}" for path in paths]
    child = await asyncio.create_subprocess_exec(
        program,
        *_arguments(query),
        "--",
        query.pattern,
        *names,
        cwd=directory,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await _read(child)
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == 2 and errors:
        reason = errors.decode("utf-8", "replace").strip().removeprefix("regex parse error:").strip()
        raise ToolError(f"The pattern is not a valid regular expression:\n{cap(clean(reason), 1000)}")
    found = await asyncio.to_thread(_parsed, query, output)
    lines = {path: found[name] for name, path in zip(names, paths, strict=True) if found.get(name)}
    return await asyncio.to_thread(_searchable, start, lines)


async def _read(child: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    assert child.stdout is not None  # noqa: S101 - both are pipes
    assert child.stderr is not None  # noqa: S101
    output = bytearray()
    errors = asyncio.create_task(child.stderr.read(20_000))
    while chunk := await child.stdout.read(1 << 20):
        output += chunk
        if len(output) > _MAX_OUTPUT:
            raise ToolError("The matches are too many to take in. Narrow the pattern, the path or the files.")
    await child.wait()
    return bytes(output), await errors


def _parsed(query: Query, output: bytes) -> dict[str, tuple[Line, ...]]:
    """Lines by file name from ripgrep's JSON messages."""
    found: dict[str, list[Line]] = {}
    for message in map(json.loads, output.splitlines()):
        kind, data = message["type"], message["data"]
        if kind not in ("match", "context"):
            continue
        lines = found.setdefault(_raw(data["path"]).decode("utf-8", "surrogateescape"), [])
        block = _raw(data["lines"])
        if kind == "context":
            lines.append(context_line(data["line_number"], block))
        else:
            spans = [(match["start"], match["end"]) for match in data["submatches"]]
            lines += lines_from(query, data["line_number"], block, spans)
    return {path: tuple(lines) for path, lines in found.items()}


def _raw(value: dict[str, Any]) -> bytes:
    return value["text"].encode() if "text" in value else base64.b64decode(value["bytes"])


def _searchable(start: Place, lines: dict[str, tuple[Line, ...]]) -> list[Found]:
    """Without files that are binary, or that are not what the walk saw any more."""
    return [Found(path, lines[path]) for path, _ in texts(start, list(lines))]
