"""`.railway/railway.py` read as data: which calls it makes, and whether it is plain enough to be evaluated.

Nothing is executed here. A file is plain when it imports names from railway_sdk only and consists of simple
assignments, and one decorated function of assignments, calls of those names, literals and a return.
"""

from __future__ import annotations

import ast
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

# Keywords that railway-sdk 0.7.0 reads; it drops all others in silence.
_SERVICE_WORDS = """
source root rootDirectory build deploy start startCommand run preDeploy preDeployCommand healthcheck healthcheckPath
healthcheckTimeout replicas regions domains tcp tcpProxies networking tracing cdn env variables volumeMounts configFile
parentServiceId groupId clusterRole replicaConfig clusterDisplay
"""
_DEPLOY_WORDS = """
startCommand preDeployCommand numReplicas healthcheckPath healthcheckTimeout restartPolicyType restartPolicyMaxRetries
cronSchedule region multiRegionConfig sleepApplication overlapSeconds drainingSeconds limitOverride registryCredentials
requiredMountPath runtime ipv6EgressEnabled
"""
_BUILD_WORDS = """
builder buildCommand watchPatterns dockerfilePath railpackVersion nixpacksConfigPath nixpacksPlan nixpacksVersion
buildEnvironment
"""
DEPLOY = frozenset(_DEPLOY_WORDS.split())
BUILD = frozenset(_BUILD_WORDS.split())
_SERVICE = frozenset(_SERVICE_WORDS.split())
KEYWORDS: dict[str, AbstractSet[str]] = {
    "service": _SERVICE,
    "fn": _SERVICE | {"code_file", "runtime"},
    "postgres": {"region"},
    "mysql": {"region"},
    "redis": {"region"},
    "mongo": {"region"},
    "database": {"image", "output", "region", "defaultMountPath"},
    "github": {"branch", "rootDirectory", "checkSuites"},
    "image": {"autoUpdates", "auto_updates", "rootDirectory", "credentials"},
    "project": {"resources", "services"},
    "volume": {"sizeMB", "region", "allowOnlineResize"},
    "bucket": {"region"},
    "group": {"resources", "options", "color", "icon"},
}
_NODES = (
    *(ast.Module, ast.ImportFrom, ast.alias, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.Expr),
    *(ast.Name, ast.Load, ast.Store, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Call, ast.keyword, ast.Attribute),
    *(
        ast.Subscript,
        ast.JoinedStr,
        ast.FormattedValue,
        ast.IfExp,
        ast.Compare,
        ast.Eq,
        ast.NotEq,
        ast.UnaryOp,
        ast.USub,
    ),
)


@dataclass(frozen=True)
class Call:
    """One `service(...)` call: literal `values`, all `keywords`, and those whose value is not literal (`dynamic`)."""

    line: int
    source: str
    name: str
    keywords: dict[str, int]
    values: dict[str, Any]

    @property
    def dynamic(self) -> set[str]:
        return self.keywords.keys() - self.values.keys()

    def line_of(self, key: str) -> int:
        return self.keywords.get(key, self.keywords.get("deploy", self.line))


@dataclass
class Program:
    problems: list[tuple[int, str]] = field(default_factory=list)
    unknown_keywords: list[tuple[int, str]] = field(default_factory=list)
    services: list[Call] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        return not self.problems


def parse_program(file: str, text: str) -> Program:
    """Read the file. A syntax error, like anything that is not plain, becomes a problem."""
    program = Program()
    try:
        tree = ast.parse(text, filename=file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        program.problems.append((getattr(error, "lineno", None) or 0, "This is not valid Python."))
        return program
    imported = _imports(tree, program)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    decorated = [node for node in functions if node.decorator_list]
    if len(functions) != 1 or len(decorated) != 1:
        program.problems.append((1, "There must be exactly one function, decorated with define_railway."))
    for node in ast.walk(tree):
        _judge(node, imported, program)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            _keywords(node, program)
            if node.func.id == "service":
                program.services.append(_call(text, node))
    return program


def _imports(tree: ast.Module, program: Program) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            if node.module == "__future__":
                continue
            if node.module != "railway_sdk" or node.level:
                program.problems.append((node.lineno, "Only railway_sdk may be imported."))
            elif any(alias.name.startswith("_") or alias.name == "*" or alias.asname for alias in node.names):
                program.problems.append((node.lineno, "Import public names of railway_sdk, without renaming them."))
            else:
                names |= {alias.name for alias in node.names}
    return names


def _judge(node: ast.AST, imported: set[str], program: Program) -> None:
    """Note what has no place in a declarative file."""
    line = getattr(node, "lineno", 1)
    if not isinstance(node, _NODES):
        program.problems.append((line, f"{type(node).__name__} has no place in a declarative file."))
    elif isinstance(node, ast.FunctionDef):
        plain = [
            isinstance(item, ast.Name) and item.id in ("define_railway", "defineRailway")
            for item in node.decorator_list
        ]
        if plain != [True] or node.args.defaults or node.args.kw_defaults:
            program.problems.append((line, "The function takes the context, has no defaults, and one decorator."))
    elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
        program.problems.append((line, f"The attribute {node.attr[:40]} is private."))
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        method = isinstance(node.func, ast.Attribute) and node.func.attr in ("random_string", "is_environment")
        if name == "fn":
            program.problems.append((line, "fn reads another file; deploy the function as a service."))
        elif name not in imported and not method:
            what = f"{name[:40]!r} is called, but not imported from railway_sdk." if name else "Call names only."
            program.problems.append((line, what))
    elif isinstance(node, ast.keyword) and node.arg is None:
        program.problems.append((line, "Write keywords out instead of unpacking them."))


def _keywords(node: ast.Call, program: Program) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    known = KEYWORDS.get(name)
    for keyword in node.keywords:
        if known is not None and keyword.arg and keyword.arg not in known:
            _unknown(program, keyword.value.lineno, name, keyword.arg, known)
        nested = {"deploy": DEPLOY, "build": BUILD}.get(keyword.arg or "")
        if name == "service" and nested and isinstance(keyword.value, ast.Dict):
            for key in keyword.value.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value not in nested:
                    _unknown(program, key.lineno, str(keyword.arg), key.value, nested)


def _unknown(program: Program, line: int, where: str, name: str, known: AbstractSet[str]) -> None:
    hint = get_close_matches(name, sorted(known), n=1)
    program.unknown_keywords.append(
        (line, f"{where} has no {name[:40]!r}" + (f"; did you mean {hint[0]!r}?" if hint else "."))
    )


def _call(text: str, node: ast.Call) -> Call:
    keywords = {keyword.arg: keyword.value.lineno for keyword in node.keywords if keyword.arg}
    values = {}
    for keyword in node.keywords:
        try:
            if keyword.arg:
                values[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            continue  # not a literal: the rules see only that the keyword is there
    first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
    return Call(node.lineno, ast.get_source_segment(text, node) or "", str(first), keywords, values)
