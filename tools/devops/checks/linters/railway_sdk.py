"""railway-sdk: evaluates a plain `.railway/railway.py` to its resource graph, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tools.devops.checks.gate import CouldNotRunError, Subject, readable
from tools.devops.checks.linters import process
from tools.devops.checks.railway_program import parse_program
from tools.devops.types import Finding

locate = process.library("railway_sdk")

# Isolated (-I): the project's folder and PYTHON* variables are not on the path. The text comes on standard input.
_EVALUATE = """
import json, sys, resource
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
import railway_sdk
space = {"__name__": "railway", "__file__": "railway.py"}
try:
    exec(compile(sys.stdin.read(), "railway.py", "exec"), space)
    program = next(v for v in space.values() if getattr(v, "__module__", None) == "railway")
    context = railway_sdk.create_railway_context({"environment": "production"})
    graph = program(context) if program.__code__.co_argcount else program()
    print(json.dumps({"resources": len(graph.to_graph()["resources"])}))
except Exception as error:
    lines = []
    trace = error.__traceback__
    while trace:
        lines += [trace.tb_lineno] if trace.tb_frame.f_code.co_filename == "railway.py" else []
        trace = trace.tb_next
    print(json.dumps({"error": type(error).__name__, "message": str(error)[:300], "line": lines[-1] if lines else 0}))
"""


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    programs = [path for path in files if path.endswith(".railway/railway.py")]
    refused = []
    for path, program in readable(programs, lambda path: subject.parsed(path, parse_program)):
        if not program.plain:
            refused.append(path)
            continue
        argv = [sys.executable, "-I", "-c", _EVALUATE]
        answer = process.parse_output(
            "railway-sdk", process.run(argv, ok=(0,), stdin=subject.tree.text(path), timeout=20)
        )
        if "error" in answer:
            message = f"{answer['error']}: {answer['message']}"
            yield Finding(
                rule="evaluate",
                severity="error",
                file=path,
                line=int(answer["line"]),
                message=message,
                why="Railway's own library refuses the file.",
                fix="Correct the call it names.",
                tool="railway-sdk",
            )
        elif not answer["resources"]:
            message = "The project has no resources."
            yield Finding(
                "evaluate", "error", path, 0, message, "Nothing would be deployed.", "Add one.", "railway-sdk"
            )
    if refused:
        raise CouldNotRunError(f"{refused[0]} is not a plain declarative file, so it was not evaluated")
    if len(programs) < len([path for path in files if ".railway/" in path]):
        raise CouldNotRunError("only railway.py can be evaluated")
