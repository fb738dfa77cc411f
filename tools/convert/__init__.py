"""Conversions of untrusted documents to text, each in a child process that can be stopped.

A hostile PDF or page can make a parser run for hours or fill the memory; a thread cannot be stopped, a process can.
The converters (`html.py`, `pdf.py`) are scripts: bytes on standard input, JSON on standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tools.tool import ToolError, child_environment

_SECONDS = 30.0


async def convert(kind: Literal["html", "pdf"], content: bytes, *arguments: str, seconds: float = _SECONDS) -> Any:
    """Run a converter and return its JSON. Raises `ToolError` with its reason, or when it takes too long or dies."""
    script = Path(__file__).with_name(f"{kind}.py")
    # -I: no PYTHON* variables and no current directory on the import path.
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(),
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await child.communicate(content)
    except TimeoutError:
        raise ToolError(f"Converting the {kind.upper()} took longer than {seconds:g} s and was stopped.") from None
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode != 0:
        raise ToolError(f"The {kind.upper()} cannot be converted: its parser gave up (exit code {child.returncode}).")
    answer = json.loads(output)
    if "error" in answer:
        raise ToolError(str(answer["error"]))
    return answer
