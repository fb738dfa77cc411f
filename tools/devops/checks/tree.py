"""The files of a project, walked once and read with care.

Everything here may be hostile: links that leave the project, pipes, huge or binary files. Reading one of those raises
`BadFileError`, which carries a finding, so a gate reports it and goes on with the next file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from tools.devops.checks.rules import Rule, Rules
from tools.devops.types import Finding

_IGNORED = """
.git .hg .svn .venv venv node_modules bower_components vendor __pycache__ .mypy_cache .pytest_cache .ruff_cache .tox
.nox .cache .next .nuxt .svelte-kit .turbo .vercel .netlify .terraform .serverless .aws-sam .gradle .idea dist build
target coverage htmlcov site-packages .eggs .yarn .pnpm-store
"""
IGNORED_FOLDERS = frozenset(_IGNORED.split())
MAX_BYTES = 1_000_000
MAX_FILES = 200_000

FILE_RULES = Rules(
    "file",
    {
        "unreadable": Rule("error", "A file that cannot be read cannot be checked.", "Fix its permissions.", "own"),
        "not-text": Rule(
            "error", "Deployment files are UTF-8 text; tools reject anything else.", "Save it as UTF-8 text.", "own"
        ),
        "too-large": Rule(
            "error",
            f"A deployment file over {MAX_BYTES:,} bytes is not read: no tool expects one.",
            "Split it, or move data out of it.",
            "own",
        ),
        "link-outside": Rule(
            "error",
            "A link out of the project would make the result depend on this machine, and could expose its files.",
            "Replace the link with the file itself.",
            "own",
        ),
        "yaml-syntax": Rule(
            "error", "The file does not parse, so no tool can use it.", "Correct the YAML.", "yaml.org"
        ),
        "duplicate-key": Rule(
            "error",
            "A key that appears twice in one mapping: parsers reject it or keep only one of the values.",
            "Keep one of the entries.",
            "yaml.org/spec/1.2.2 3.2.1.3, RFC 8259 section 4",
        ),
        "json-syntax": Rule(
            "error", "The file does not parse, so no tool can use it.", "Correct the JSON.", "RFC 8259"
        ),
        "toml-syntax": Rule("error", "The file does not parse, so no tool can use it.", "Correct the TOML.", "toml.io"),
    },
)


class BadFileError(Exception):
    """A file that cannot be used; `finding` says which, where and why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.file}:{finding.line}: {finding.message}")
        self.finding = finding


def bad_file(rule: str, file: str, line: int, message: str) -> BadFileError:
    return BadFileError(FILE_RULES.at(rule, file, line, message))


class Tree:
    """Relative POSIX paths of all files under `root` outside ignored folders, sorted; at most `MAX_FILES`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.files = tuple(sorted(_walk(self.root)))
        self._present = frozenset(self.files)
        self._texts: dict[str, str | BadFileError] = {}
        self._by_name: dict[str, list[str]] = {}
        for path in self.files:
            self._by_name.setdefault(base_name(path), []).append(path)

    def __contains__(self, path: str) -> bool:
        return path in self._present

    def named(self, *names: str) -> tuple[str, ...]:
        """Files with one of these base names, in any folder."""
        return tuple(sorted(path for name in set(names) for path in self._by_name.get(name, ())))

    def text(self, path: str) -> str:
        """The text of `path` with `\\n` line ends. Raises `BadFileError`. Read once, then remembered."""
        if path not in self._texts:
            try:
                self._texts[path] = self._read(path)
            except BadFileError as error:
                self._texts[path] = error
        text = self._texts[path]
        if isinstance(text, BadFileError):
            raise text
        return text

    def is_plain(self, path: str) -> bool:
        """Whether another program may be given `path`: a regular file inside the project, not too large. Not opened."""
        try:
            target = (self.root / path).resolve(strict=True)
            status = target.stat()
        except (OSError, RuntimeError):
            return False
        return target.is_relative_to(self.root) and stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES

    def _read(self, path: str) -> str:
        full = self.root / path
        try:
            # The walk enters no linked folder, so a file it found leads elsewhere only when it is a link itself.
            direct = path in self._present and not full.is_symlink()
            target = full if direct else full.resolve(strict=True)
            if not direct and not target.is_relative_to(self.root):
                raise bad_file("link-outside", path, 0, "This link points outside the project; it was not read.")
            if not stat.S_ISREG(target.stat().st_mode):
                raise bad_file("unreadable", path, 0, "This is not a regular file.")
            with target.open("rb") as handle:
                data = handle.read(MAX_BYTES + 1)
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "links in a circle"
            raise bad_file("unreadable", path, 0, f"Cannot be read: {reason}.") from error
        if len(data) > MAX_BYTES:
            raise bad_file("too-large", path, 0, f"Larger than {MAX_BYTES:,} bytes; it was not read.")
        if b"\0" in data:
            raise bad_file("not-text", path, data.count(b"\n", 0, data.index(b"\0")) + 1, "Holds binary data.")
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise bad_file("not-text", path, line, "Is not valid UTF-8.") from error


def _walk(root: Path) -> list[str]:
    """Files below `root`; linked folders are not entered, unreadable folders are passed over."""
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
        prefix = "" if Path(folder) == root else Path(folder).relative_to(root).as_posix() + "/"
        found += [prefix + name for name in names]
        if len(found) >= MAX_FILES:
            return found[:MAX_FILES]
    return found


def base_name(path: str) -> str:
    """The last part of a relative path; much cheaper than a path object, which counts with ten thousand files."""
    return path.rsplit("/", 1)[-1]


def folder_of(path: str) -> str:
    """The folder of a relative path, `.` for the top."""
    return PurePosixPath(path).parent.as_posix()


def join(folder: str, path: str) -> str | None:
    """`path` seen from `folder`, as a normal relative path; None when it leaves the project."""
    if path.startswith("/"):
        return None
    joined = os.path.normpath(f"{folder}/{path}").replace(os.sep, "/")
    return None if joined.startswith("..") else joined
