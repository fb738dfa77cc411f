"""Reading a project's text files without trusting them: inside the root, capped, decoded leniently, secrets masked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tools.secrets import Redactor

MAX_BYTES = 512 * 1024
MAX_LINE = 4000


class SpecError(Exception):
    """A SPEC cannot be read. The message names what was looked for, where, what is there, and what to try."""


@dataclass(slots=True)
class Source:
    """Access to the files below `root`. What was odd about them is collected in `notes`."""

    root: Path
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = Path(os.path.realpath(self.root))

    def relative(self, path: Path) -> str:
        """`path` as shown to people: relative to the root, with forward slashes."""
        return Path(os.path.relpath(path, self.root)).as_posix()

    def inside(self, path: Path) -> bool:
        """Whether `path` stays inside the root once links are followed."""
        real = Path(os.path.realpath(path))
        return real == self.root or self.root in real.parents

    def read(self, path: Path) -> str | None:
        """The text with `\\n` line ends, or None with a note when it cannot or must not be read."""
        name = self.relative(path)
        if not self.inside(path):
            self.notes.append(f"{name}: links to a place outside the project; not read.")
            return None
        try:
            if not path.is_file():
                return None
            with path.open("rb") as handle:
                data = handle.read(MAX_BYTES + 1)
        except OSError as error:
            self.notes.append(f"{name}: could not be read ({error.strerror or error}).")
            return None
        if len(data) > MAX_BYTES:
            data = data[:MAX_BYTES]
            self.notes.append(f"{name}: larger than {MAX_BYTES // 1024} KB; only the beginning was read.")
        return self._clean(name, _without_bom(data))

    def _clean(self, name: str, data: bytes) -> str:
        text = self._decode(name, data).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")
        lines = text.split("\n")
        if any(len(line) > MAX_LINE for line in lines):
            self.notes.append(f"{name}: lines over {MAX_LINE} characters were cut.")
        redactor = Redactor()
        return "\n".join(redactor.text(line[:MAX_LINE]) for line in lines)

    def _decode(self, name: str, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        for encoding in ("cp949", "utf-16") if data[:2] not in (b"\xff\xfe", b"\xfe\xff") else ("utf-16",):
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            self.notes.append(f"{name}: not UTF-8; read as {encoding}.")
            return text
        self.notes.append(f"{name}: not UTF-8; undecodable bytes were replaced.")
        return data.decode("utf-8", errors="replace")


def _without_bom(data: bytes) -> bytes:
    return data[3:] if data.startswith(b"\xef\xbb\xbf") else data
