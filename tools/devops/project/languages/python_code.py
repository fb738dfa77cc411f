"""What Python code says when read (never imported): application objects, factories, task queues, variables."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tools.devops.project.tree import Folder

Role = Literal["asgi", "wsgi", "run", "celery", "arq", "huey", "taskiq", "rq"]

# constructor name -> (module it must come from, framework, how it is served)
_CONSTRUCTORS: dict[str, tuple[str, str, Role]] = {
    "FastAPI": ("fastapi", "fastapi", "asgi"),
    "Starlette": ("starlette", "starlette", "asgi"),
    "Litestar": ("litestar", "litestar", "asgi"),
    "Quart": ("quart", "quart", "asgi"),
    "Sanic": ("sanic", "sanic", "asgi"),
    "FastHTML": ("fasthtml", "fasthtml", "asgi"),
    "fast_app": ("fasthtml", "fasthtml", "asgi"),
    "BlackSheep": ("blacksheep", "blacksheep", "asgi"),
    "ASGIApp": ("socketio", "socketio", "asgi"),
    "Flask": ("flask", "flask", "wsgi"),
    "APIFlask": ("apiflask", "flask", "wsgi"),
    "Dash": ("dash", "dash", "wsgi"),
    "Bottle": ("bottle", "bottle", "wsgi"),
    "Application": ("aiohttp", "aiohttp", "run"),
    "Celery": ("celery", "celery", "celery"),
    "RedisHuey": ("huey", "huey", "huey"),
    "ListQueueBroker": ("taskiq_redis", "taskiq", "taskiq"),
    "AioPikaBroker": ("taskiq_aio_pika", "taskiq", "taskiq"),
}
_FALCON: dict[str, Role] = {"falcon.App": "wsgi", "falcon.API": "wsgi", "falcon.asgi.App": "asgi"}
_FACTORY_NAMES = ("create_app", "make_app", "get_app", "build_app", "app_factory", "get_application", "init_app")
_HINTS = (*_CONSTRUCTORS, *_FACTORY_NAMES, "falcon", "WorkerSettings")


@dataclass(frozen=True, slots=True)
class AppObject:
    """An object a server can be pointed at: `name` in the file `path`. `factory`: it must be called first."""

    path: str
    name: str
    framework: str
    role: Role
    factory: bool = False


@lru_cache(maxsize=512)
def parse(source: str) -> ast.Module | None:
    """The syntax tree, None where the text is not Python (templates, Python 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def app_objects(folder: Folder) -> list[AppObject]:
    """Every application object in the folder's own code, in file order."""
    found: list[AppObject] = []
    for path, source in folder.sources(".py"):
        if any(hint in source for hint in _HINTS) and (tree := parse(source)):
            found += _objects_in(path, tree)
    return found


def _objects_in(path: str, tree: ast.Module) -> list[AppObject]:
    imports = _imports(tree)
    found: list[AppObject] = []
    for target, call in _assignments(tree.body):
        name = _dotted(call.func)
        if kind := _constructed(name, imports):
            found.append(AppObject(path, target, *kind))
        elif name.rsplit(".", 1)[-1] in _FACTORY_NAMES:
            found.append(AppObject(path, target, "", "wsgi"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (kind := _returns_app(node, imports)):
            found.append(AppObject(path, node.name, *kind, factory=True))
        elif isinstance(node, ast.ClassDef) and node.name == "WorkerSettings":
            found.append(AppObject(path, node.name, "arq", "arq"))
    return found


def _imports(tree: ast.Module) -> dict[str, str]:
    """Local name -> dotted origin, for all imports of the module."""
    result: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                result[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                result[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return result


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.Call]]:
    """`name = call(...)` at module level, also inside `if` and `try`, but not under the `__main__` guard."""
    for node in body:
        if isinstance(node, ast.If):
            if "__name__" not in ast.dump(node.test):
                yield from _assignments(node.body + node.orelse)
        elif isinstance(node, ast.Try):
            yield from _assignments(node.body)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Tuple) and target.elts:
                target = target.elts[0]
            if isinstance(target, ast.Name):
                yield target.id, node.value


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _constructed(name: str, imports: dict[str, str]) -> tuple[str, Role] | None:
    """The framework whose application `name(...)` makes, by what the module imported."""
    first, _, rest = name.partition(".")
    origin = imports.get(first) or (imports["*"].replace("*", first) if "*" in imports else None)
    if origin is None:
        return None
    full = f"{origin}.{rest}" if rest else origin
    if full in _FALCON:
        return "falcon", _FALCON[full]
    known = _CONSTRUCTORS.get(full.rsplit(".", 1)[-1])
    if known and full.split(".")[0] in (known[0], known[0].split("_")[0]):
        return known[1], known[2]
    return None


def _returns_app(function: ast.FunctionDef, imports: dict[str, str]) -> tuple[str, Role] | None:
    """The framework, when the function builds an application and returns it and needs no argument."""
    required = len(function.args.args) - len(function.args.defaults)
    if required > 0 or not any(isinstance(node, ast.Return) and node.value for node in ast.walk(function)):
        return None
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and (kind := _constructed(_dotted(node.func), imports)):
            return kind if kind[1] in ("asgi", "wsgi") else None
    return None


# --- which of them is the application --------------------------------------------------------------------------

_STEMS = ("main", "app", "asgi", "wsgi", "server", "api", "application", "index", "run", "__init__")
_NAMES = ("app", "application", "api", "server")


def best(objects: list[AppObject], roles: tuple[Role, ...]) -> AppObject | None:
    """The object a server should load: not a bare factory if there is a made object, near the top, usual names."""
    made = [item for item in objects if item.role in roles]
    frameworks = [item for item in made if item.framework]
    if not frameworks:
        return None

    def rank(item: AppObject) -> tuple[int, int, int, int, str]:
        stem = item.path.rsplit("/", 1)[-1].removesuffix(".py")
        return (
            2 if item.factory else 0,
            item.path.count("/"),
            _STEMS.index(stem) if stem in _STEMS else len(_STEMS),
            _NAMES.index(item.name) if item.name in _NAMES else len(_NAMES),
            item.path,
        )

    chosen = min(made, key=rank)
    if chosen.framework:
        return chosen
    source = min(frameworks, key=rank)
    return AppObject(chosen.path, chosen.name, source.framework, source.role)


def importable(folder: Folder, path: str) -> tuple[str, str]:
    """Where to stand and what to import for a file: (directory to add to the path, dotted module).

    `app/main.py` is `app.main` from "."; a file that imports its neighbours by bare name, lies under a folder that
    is no identifier, or is a package under `src/`, is imported from there.
    """
    parts = path.removesuffix(".py").split("/")
    base = 0
    if parts[0] == "src" and len(parts) > 2 and not folder.first("src/__init__.py"):
        base = 1
    for index in range(base, len(parts) - 1):
        if not parts[index].isidentifier():
            base = index + 1
    here = "/".join(parts[:-1])
    if base < len(parts) - 1 and not folder.first(f"{here}/__init__.py") and _imports_neighbours(folder, path, here):
        base = len(parts) - 1
    names = parts[base:]
    if names[-1] == "__init__" and len(names) > 1:
        names = names[:-1]
    return "/".join(parts[:base]) or ".", ".".join(names)


def _imports_neighbours(folder: Folder, path: str, here: str) -> bool:
    tree = parse(folder.source(path))
    imported: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.split(".")[0])
    return any(folder.first(f"{here}/{name}.py") or folder.has_folder(f"{here}/{name}") for name in imported)


# --- variables -------------------------------------------------------------------------------------------------


def environment_names(source: str) -> set[str]:
    """Names of environment variables the module reads: os.environ, os.getenv, settings classes, environ, decouple."""
    tree = parse(source) if any(word in source for word in ("environ", "getenv", "BaseSettings", "config(")) else None
    if tree is None:
        return set()
    imports = _imports(tree)
    readers = {name for name, origin in imports.items() if origin in ("decouple.config", "starlette.config.Config")}
    readers |= {
        target
        for target, call in _assignments(tree.body)
        if _dotted(call.func).rsplit(".", 1)[-1] in ("Env", "FileAwareEnv", "Config", "AutoConfig")
        and imports.get(_dotted(call.func).split(".")[0], "").split(".")[0]
        in ("environ", "environs", "decouple", "starlette")
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            called = _dotted(node.func)
            if called in ("os.getenv", "getenv", "os.environ.get", "environ.get", "os.environ.setdefault") or (
                called.split(".")[0] in readers
            ):
                names |= _constant(node.args[0])
        elif isinstance(node, ast.Subscript) and _dotted(node.value) in ("os.environ", "environ"):
            names |= _constant(node.slice)
        elif isinstance(node, ast.ClassDef) and any(_is_settings(base, imports) for base in node.bases):
            names |= _settings_fields(node)
    return names


def _constant(node: ast.expr) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def _is_settings(base: ast.expr, imports: dict[str, str]) -> bool:
    return _dotted(base).rsplit(".", 1)[-1] == "BaseSettings" or imports.get(_dotted(base), "").endswith(
        ".BaseSettings"
    )


def _settings_fields(node: ast.ClassDef) -> set[str]:
    """Field names as the settings library reads them: prefix + upper case, or the alias given."""
    prefix = ""
    for inner in ast.walk(node):
        if (isinstance(inner, ast.keyword) and inner.arg == "env_prefix") or (
            isinstance(inner, ast.Assign) and getattr(inner.targets[0], "id", "") == "env_prefix"
        ):
            prefix = next(iter(_constant(inner.value)), "")
    names: set[str] = set()
    for field in node.body:
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if field.target.id in ("model_config",) or "ClassVar" in ast.dump(field.annotation):
            continue
        aliases = {
            alias
            for word in (field.value.keywords if isinstance(field.value, ast.Call) else ())
            if word.arg in ("validation_alias", "alias", "env")
            for inner in ast.walk(word.value)
            if isinstance(inner, ast.expr)
            for alias in _constant(inner)
        }
        names |= aliases or {(prefix + field.target.id).upper()}
    return names
