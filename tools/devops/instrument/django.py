"""Django: views in the root URL list, middleware and logging in the settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from tools.devops.instrument.flask import GUNICORN, NEEDS_SERVER
from tools.devops.instrument.necessity import notes_on
from tools.devops.instrument.python_code import PythonFile
from tools.devops.instrument.python_handles import SERVICES, own_connection, substitute
from tools.devops.instrument.python_imports import add_imports
from tools.devops.instrument.python_modules import entry_files, modules_of, open_python
from tools.devops.instrument.python_templates import LOGGING, METRICS, health_values, import_block
from tools.devops.instrument.python_tests import Added, add_tests
from tools.devops.instrument.source import Unit, render_app
from tools.devops.instrument.types import Draft, Handle

_MIDDLEWARE = ("from collections.abc import Callable", "from django.http import HttpRequest, HttpResponse")
_HEALTH = ("from django.http import HttpRequest, JsonResponse",)
_LOGIN = ("from django.contrib.auth.decorators import login_not_required",)
_ROUTES = (("health", "health", "health"), ("liveness", "livez", "health"), ("metrics", "metrics", "metrics"))


def plan(unit: Unit) -> Draft:
    draft = Draft()
    found = _project_files(unit)
    if found is None:
        draft.unsupported.append(
            f"{', '.join(unit.subjects)}: no settings file with MIDDLEWARE and ROOT_URLCONF as plain lists and names, "
            "and a root urls.py with urlpatterns, was found. Nothing was wired."
        )
        return draft
    settings, urls, package = found
    added = Added()
    _urls(unit, draft, urls, settings, package, added)
    _settings(unit, draft, settings, package, added)
    add_tests(unit, modules_of(unit, urls[0]), draft, added, None, urls[1].edits.newline)
    if "sigterm" in unit.subjects:
        draft.unsupported.append(NEEDS_SERVER)
    return draft


# --- finding -----------------------------------------------------------------------------------------------------


def _project_files(unit: Unit) -> tuple[tuple[str, PythonFile], tuple[str, PythonFile], str] | None:
    """The settings file, the root URL list, and the folder of the latter, where new modules go."""
    for name in entry_files(unit):
        if "ROOT_URLCONF" not in unit.folder.source(name) or "MIDDLEWARE" not in unit.folder.source(name):
            continue
        settings = open_python(unit, name)
        root = settings and _assigned(settings, "ROOT_URLCONF")
        if (
            not settings
            or not root
            or not isinstance(root.value, ast.Constant)
            or not _assigned(settings, "MIDDLEWARE")
        ):
            continue
        tail = f"{str(root.value.value).replace('.', '/')}.py"
        for path in sorted(unit.folder.own_files, key=len):
            urls = open_python(unit, path) if path == tail or path.endswith("/" + tail) else None
            if urls and _assigned(urls, "urlpatterns"):
                return (name, settings), (path, urls), path.rpartition("/")[0]
    return None


def _assigned(file: PythonFile, name: str) -> ast.Assign | None:
    """The one plain `NAME = ...` at module level, None when there is none, or more than one."""
    found = [
        node
        for node in file.tree.body
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == name
        and file.stands_alone(node)
    ]
    return found[0] if len(found) == 1 else None


# --- editing -----------------------------------------------------------------------------------------------------


def _put_first(file: PythonFile, name: str, elements: Iterable[str]) -> None:
    """Put elements at the head of a list: as lines of their own where its elements stand on lines, else in front."""
    node = _assigned(file, name)
    assert node is not None  # noqa: S101 - checked when the files were found
    lines = list(elements)
    if isinstance(node.value, ast.List) and node.value.elts and node.value.elts[0].lineno > node.value.lineno:
        first = node.value.elts[0].lineno
        indent = re.match(r"\s*", file.edits.lines[first - 1])
        lead = indent[0] if indent else ""
        file.edits.insert_after(node.value.lineno, *(f"{lead}{_styled(file, line)}," for line in lines))
    else:
        head = ", ".join(_styled(file, line) for line in lines)
        file.edits.insert_after(node.end_lineno or 0, f"{name} = [{head}, *{name}]")


def _styled(file: PythonFile, line: str) -> str:
    """The line with the quotes the file prefers."""
    return line.replace('"', "'") if file.text.count("'") > file.text.count('"') else line


def _urls(
    unit: Unit, draft: Draft, urls: tuple[str, PythonFile], settings: tuple[str, PythonFile], package: str, added: Added
) -> None:
    path, file = urls
    modules = modules_of(unit, path)
    wanted: dict[str, list[str]] = {}
    for subject, view, stem in _ROUTES:
        if subject in unit.subjects:
            wanted.setdefault(stem, []).append(view)
    imports: dict[str, list[str]] = {}
    login = _LOGIN if "LoginRequiredMiddleware" in settings[1].text else ()
    for stem, views in wanted.items():
        module = _free_module(unit, package, stem)
        if stem == "health":
            added.handles = _handles(unit, draft, settings[1])
            values = health_values(added.handles, [*_HEALTH, *login], unit, awaits=False)
        else:
            values = {"imports": import_block([*METRICS, *_MIDDLEWARE, *login])}
        added.modules[stem] = module
        draft.new[module] = _render(f"django_{stem}", {**values, "behind_login": bool(login)}, file)
        imports[modules.spelled(module, path, relative=file.is_relative())] = views
        draft.added += [subject for subject, _view, of in _ROUTES if of == stem and subject in unit.subjects]
        if stem == "metrics":
            _put_first(settings[1], "MIDDLEWARE", [f'"{modules.dotted(module)}.MetricsMiddleware"'])
    node = _assigned(file, "urlpatterns")
    if not wanted or node is None:
        return
    if "path" not in file.imports():
        imports["django.urls"] = ["path"]
    views = [view for names in wanted.values() for view in names]
    add_imports(file, imports, node)
    _put_first(file, "urlpatterns", [f'path("{view}", {view})' for view in views])
    draft.edited[path] = file.result()


def _settings(unit: Unit, draft: Draft, settings: tuple[str, PythonFile], package: str, added: Added) -> None:
    path, file = settings
    text = unit.folder.source(path)
    if "json_logs" in unit.subjects:
        module = _free_module(unit, package, "json_logging")
        values = {"imports": import_block([*LOGGING, *_MIDDLEWARE, "from django.core.signals import request_finished"])}
        name = modules_of(unit, path).dotted(module)
        if re.search(r"(?m)^LOGGING\b", text):
            draft.unsupported.append(
                f"json_logs: {path} has LOGGING already. Give its handlers a formatter that writes one JSON object a "
                "line (timestamp, level, message, module)."
            )
        else:
            added.modules["json_logging"] = module
            draft.new[module] = _render("django_json_logging", values, file)
            node = _assigned(file, "MIDDLEWARE")
            assert node is not None  # noqa: S101 - checked when the files were found
            add_imports(file, {name: ["JSON_LOGGING"]}, node)
            file.edits.insert_after(len(file.edits.lines), "", "LOGGING = JSON_LOGGING")
            _put_first(file, "MIDDLEWARE", [f'"{name}.RequestIdMiddleware"'])
            draft.added.append("json_logs")
            draft.notes.append(GUNICORN)
    if file.result() != unit.exact(path):
        draft.edited[path] = file.result()
    if "health" in unit.subjects:
        if "SECURE_SSL_REDIRECT" in text:
            draft.notes.append("SECURE_SSL_REDIRECT: set SECURE_REDIRECT_EXEMPT = [r'^(health|livez|metrics)$'].")
        draft.notes.append("Probes send the address they call as Host: ALLOWED_HOSTS must have it, else they get 400.")


def _handles(unit: Unit, draft: Draft, settings: PythonFile) -> list[Handle]:
    handles: list[Handle] = []
    if "health" in unit.subjects:
        if "DATABASES" in settings.text:
            handles.append(Handle("database", "django", ""))
        wanted = sorted(SERVICES["cache"] & set(unit.facts.services))
        if "CACHES" in settings.text:
            handles.append(Handle("cache", "django_cache", ""))
        elif wanted:
            own = own_connection(unit, "cache", awaits=False)
            handles += [own] if own else []
            draft.notes.append(substitute("cache", wanted, own))
        draft.notes += notes_on(unit.optional, [handle.role for handle in handles])
    return handles


def _free_module(unit: Unit, package: str, stem: str) -> str:
    lead = f"{package}/" if package else ""
    return unit.free(f"{lead}{stem}.py", f"{lead}{stem}_views.py") or f"{lead}{stem}_for_operations.py"


def _render(template: str, values: Mapping[str, object], file: PythonFile) -> str:
    return render_app(f"python/{template}.py.j2", values, file.edits.newline)
