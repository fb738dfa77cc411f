"""Reading and editing Python by its syntax tree: applications, handles, imports, safe places for new lines."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from tools.devops.instrument.source import Lines

Body = list[ast.stmt]


class PythonFile:
    """One Python file: parsed once, changed by whole lines. Raises `SyntaxError` when it is not Python."""

    def __init__(self, text: str) -> None:
        self.bom = "\ufeff" if text.startswith("\ufeff") else ""
        self.text = text.removeprefix("\ufeff")
        self.tree = parse(self.text)
        self.edits = Lines(self.text)

    def result(self) -> str:
        """The changed text, proven to parse. Raises `SyntaxError` when an edit broke it."""
        text = self.edits.result()
        parse(text)
        return self.bom + text

    def stands_alone(self, node: ast.stmt) -> bool:
        """Whether the statement has its lines for itself, so that lines can be put before and after it."""
        if not node.end_lineno or node.end_col_offset is None:
            return False
        start, end = self._bytes(_first_line(node)), self._bytes(node.end_lineno)
        before, after = start[: node.col_offset], end[node.end_col_offset :].decode(errors="replace").strip()
        return not before.strip() and (not after or after.startswith("#"))

    def _bytes(self, line: int) -> bytes:
        return self.edits.lines[line - 1].encode()

    def indent(self, node: ast.stmt) -> str:
        return self._bytes(_first_line(node))[: node.col_offset].decode()

    def last_import(self, before: ast.stmt) -> int:
        """The line after which an import can stand: the last import ahead of `before`, else docstring, else the top."""
        line = self._after_docstring()
        for node in self.tree.body:
            if _first_line(node) >= _first_line(before):
                break
            if isinstance(node, ast.Import | ast.ImportFrom) and self.stands_alone(node):
                line = max(line, node.end_lineno or 0)
        return line

    def _after_docstring(self) -> int:
        first = self.tree.body[0] if self.tree.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            return first.end_lineno or 0
        head = 0
        for number, line in enumerate(self.edits.lines[:2], 1):
            if line.startswith("#"):
                head = number
        return head

    def bodies(self) -> Iterator[tuple[Body, ast.stmt | None]]:
        """Every list of statements at module level and in functions, with the top-level statement it lies in."""
        yield self.tree.body, None
        for top in self.tree.body:
            for node in ast.walk(top):
                for name in ("body", "orelse", "finalbody"):
                    found = getattr(node, name, None)
                    if isinstance(found, list) and found and not isinstance(node, ast.ClassDef):
                        yield found, top

    def names(self) -> set[str]:
        """Every name the file binds or uses."""
        found = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        found |= {
            alias.asname or alias.name.split(".")[0]
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        found |= {
            node.name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        return found

    def imports(self) -> dict[str, str]:
        """What each imported name stands for: `Redis` -> `redis.asyncio.Redis`; relative ones keep their dots."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                lead = "." * node.level + (node.module or "")
                for alias in node.names:
                    separator = "" if lead.endswith(".") else "."
                    found[alias.asname or alias.name] = f"{lead}{separator}{alias.name}"
        return found

    def only_declares(self) -> bool:
        """Whether importing the file only defines things: no call, loop or `with` of its own at top level."""
        harmless = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef)
        return all(
            isinstance(node, (*harmless, ast.ClassDef, ast.If, ast.Try))
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            for node in self.tree.body
        )

    def is_relative(self) -> bool:
        """Whether the file imports its neighbours with dots."""
        return any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in self.tree.body)


def parse(text: str) -> ast.Module:
    """The syntax tree. Raises `SyntaxError` for everything that is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error)) from error


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


@dataclass(frozen=True, slots=True)
class Made:
    """`name = Callable(...)`: the statement, the list it stands in, the top-level statement around it."""

    name: str
    callee: str
    call: ast.Call
    node: ast.stmt
    body: Body
    top: ast.stmt

    @property
    def at_module_level(self) -> bool:
        return self.top is self.node


def made(file: PythonFile) -> Iterator[Made]:
    """Every plain `name = something(...)` with the callee spelled out through the imports."""
    known = file.imports()
    for body, top in file.bodies():
        for node in body:
            target, value = _assigned(node)
            if isinstance(target, ast.Name) and isinstance(value, ast.Call):
                callee = dotted(value.func, known)
                if callee:
                    yield Made(target.id, callee, value, node, body, top or node)


def _assigned(node: ast.stmt) -> tuple[ast.expr | None, ast.expr | None]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return node.targets[0], node.value
    if isinstance(node, ast.AnnAssign):
        return node.target, node.value
    return None, None


def dotted(node: ast.expr, known: dict[str, str]) -> str:
    """`aioredis.Redis.from_url` through the imports; "" for anything that is not a dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([known.get(node.id, node.id), *reversed(parts)])


def uses(node: ast.AST, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))


def is_module_path(path: str) -> bool:
    """Whether a file can be imported by its path."""
    return re.fullmatch(r"(?:[A-Za-z_]\w*/)*[A-Za-z_]\w*\.py", path) is not None
