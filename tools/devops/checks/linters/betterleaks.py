"""betterleaks: a second opinion on secrets. Optional: without it our own patterns stand alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.devops.checks.gate import CouldNotRunError, Subject, readable
from tools.devops.checks.linters import process
from tools.devops.types import Finding

locate = process.program("betterleaks")


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    """Scans copies of the chosen texts, so that real .env files are never opened. The report names no value here."""
    program = locate()
    if program is None:
        raise CouldNotRunError("betterleaks is not installed")
    with tempfile.TemporaryDirectory(prefix="expert-devops-leaks-") as folder:
        names: dict[str, str] = {}
        texts = readable((path for path in files if not Path(path).name.startswith(".env")), subject.tree.text)
        for number, (path, text) in enumerate(texts):
            copy = f"{number}{Path(path).suffix or '.txt'}"
            (Path(folder) / copy).write_text(text, encoding="utf-8")
            names[copy] = path
        with tempfile.TemporaryDirectory() as elsewhere:
            out = Path(elsewhere) / "out.json"
            argv = [str(program), folder, "--no-banner", "-s", "-o", str(out), "--exit-code", "3"]
            process.run(argv, ok=(0, 3))
            found = process.parse_output("betterleaks", out.read_text(encoding="utf-8") if out.exists() else "")
    for item in found["findings"] or ():
        yield Finding(
            rule=item["rule_id"],
            severity="error",
            file=names[Path(item["location"]["path"]).name],
            line=item["location"]["start_line"],
            message=f"This line holds what looks like a secret ({item['rule_id']}).",
            why="Whoever can read the repository can use it.",
            fix="Revoke it and keep the new one in a secret store.",
            tool="betterleaks",
        )
