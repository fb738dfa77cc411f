"""kubectl kustomize: renders each kustomization that lies wholly inside the project: nothing is fetched or run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.checks.gate import CouldNotRunError, Subject
from tools.devops.checks.kustomize import is_kustomization, is_local
from tools.devops.checks.linters import process
from tools.devops.checks.tree import folder_of
from tools.devops.types import Finding

locate = process.program("kubectl")


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    program = locate()
    if program is None:
        raise CouldNotRunError("kubectl is not installed")
    skipped = []
    for path in (path for path in files if is_kustomization(path)):
        if not is_local(subject, path):
            skipped.append(path)
            continue
        argv = [str(program), "kustomize", "--", f"./{folder_of(path)}"]
        try:
            process.run(argv, cwd=subject.tree.root, ok=(0,), timeout=30)
        except CouldNotRunError as error:
            reason = re.sub(r"^.*?error: ", "", str(error)).replace(str(subject.tree.root), ".")
            if "took longer" in reason or "could not be started" in reason:
                raise
            yield Finding(
                rule="kustomize",
                severity="error",
                file=path,
                line=0,
                message=f"kubectl kustomize: {reason}",
                why="`kubectl apply -k` stops in the same way.",
                fix="Correct what it names.",
                tool="kubectl",
            )
    if skipped:
        raise CouldNotRunError(f"{skipped[0]} needs files or plugins from outside the project, so it was not rendered")
