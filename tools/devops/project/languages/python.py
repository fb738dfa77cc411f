"""Python projects: FastAPI, Flask, Django and other web frameworks, task queues, plain scripts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tools.devops.project.languages import python_code as code
from tools.devops.project.languages import python_packages as manifests
from tools.devops.project.languages.language import Found, Language, Sign, script
from tools.devops.project.languages.python_packages import Packages
from tools.devops.project.tree import Folder, dig, mapping, words
from tools.devops.types import DeployUnit, UnitKind

MAIN_FILES = tuple(f"{name}.py" for name in words("main app start bot server run index hello worker __main__"))

_FRAMEWORKS = words(
    "django fastapi flask starlette litestar quart sanic aiohttp fasthtml falcon bottle tornado streamlit "
    "gradio chainlit dash celery rq arq dramatiq huey taskiq django-rq djangorestframework channels "
    "mangum functions-framework python-fasthtml robyn blacksheep"
)
_SUPERSEDED = {"starlette": "fastapi", "python-fasthtml": "fasthtml"}

# server package -> how it serves `{app}` (from `{dir}`), in order of preference
_ASGI_SERVERS = (
    ("uvicorn", "uvicorn {app} --host 0.0.0.0 --port $PORT", " --app-dir {dir}"),
    ("hypercorn", "hypercorn {app} --bind 0.0.0.0:$PORT", ""),
    ("granian", "granian --interface asgi {app} --host 0.0.0.0 --port $PORT", " --working-dir {dir}"),
    ("daphne", "daphne -b 0.0.0.0 -p $PORT {app}", ""),
)
_WSGI_SERVERS = (
    ("gunicorn", "gunicorn {app} --bind 0.0.0.0:$PORT", " --chdir {dir}"),
    ("waitress", "waitress-serve --listen=0.0.0.0:$PORT {app}", ""),
)
# packages that bring the server along
_BRINGS_UVICORN = ("fastapi[standard]", "fastapi[all]", "fastapi-cli", "uvicorn-worker", "python-fasthtml", "fasthtml")

# script frameworks: package -> (command with {file}, port)
_SCRIPT_SERVERS = {
    "streamlit": ("streamlit run {file} --server.address 0.0.0.0 --server.port $PORT", 8501),
    "chainlit": ("chainlit run {file} --headless --host 0.0.0.0 --port $PORT", 8000),
    "gradio": ("python {file}", 7860),
}

# package -> Debian packages; names ending in -dev and compilers are for the build, the others for running
SYSTEM_PACKAGES = {
    "psycopg2": ("gcc", "libpq-dev", "libpq5"),
    "psycopg": ("libpq5",),
    "mysqlclient": ("gcc", "pkg-config", "default-libmysqlclient-dev", "libmariadb3"),
    "pycairo": ("gcc", "pkg-config", "libcairo2-dev", "libcairo2"),
    "weasyprint": ("libpango-1.0-0", "libpangoft2-1.0-0"),
    "pdf2image": ("poppler-utils",),
    "pydub": ("ffmpeg",),
    "moviepy": ("ffmpeg",),
    "pytesseract": ("tesseract-ocr",),
    "opencv-python": ("libgl1", "libglib2.0-0"),
    "python-magic": ("libmagic1",),
    "python-ldap": ("gcc", "libldap-dev", "libsasl2-dev", "libldap2", "libsasl2-2"),
    "pyodbc": ("gcc", "g++", "unixodbc-dev", "unixodbc"),
    "xmlsec": ("gcc", "pkg-config", "libxmlsec1-dev", "libxmlsec1-openssl"),
    "uwsgi": ("gcc",),
    "gdal": ("gcc", "libgdal-dev", "gdal-bin"),
    "pyaudio": ("gcc", "portaudio19-dev", "libportaudio2"),
    "django-gis": ("gdal-bin",),
}


@dataclass(frozen=True, slots=True)
class Start:
    """How the project starts. `adds` is a server the command needs and the manifests do not name."""

    command: str | None
    kind: UnitKind
    sign: Sign
    entry: str | None = None
    port: int | None = None
    frameworks: tuple[str, ...] = ()
    adds: str | None = None


def detect(folder: Folder) -> Found | None:
    deps = manifests.packages(folder)
    manager, lock = manifests.manager(folder)
    objects = code.app_objects(folder)
    start = _start(folder, deps, objects)
    workers = _workers(folder, deps, objects)
    is_script = start.sign < Sign.APP and start.entry not in MAIN_FILES
    if workers and (start.command is None or is_script):
        start = Start(workers[0]["command"], "worker", Sign.APP)
        workers = workers[1:]
    pinned, where = manifests.version(folder)
    frameworks = tuple(name for name in _FRAMEWORKS if deps.has(name) and not deps.has(_SUPERSEDED.get(name, "")))
    install = script(
        manifests.install(folder, manager, lock), manifests.adds(manager, start.adds) if start.adds else None
    )
    unit = DeployUnit(
        path=folder.path,
        name=_project_name(folder),
        kind=start.kind,
        language="python",
        version=pinned,
        frameworks=tuple(dict.fromkeys((*start.frameworks, *frameworks))),
        package_manager=manager,
        install=install,
        install_dev=manifests.install_dev(folder, manager),
        build=_build(folder, start),
        start=start.command,
        migrate=_migrate(folder, deps, start),
        port=start.port,
        entry=start.entry,
        files=manifests.manifest_files(folder, lock),
        system_packages=_system_packages(deps),
        workers=tuple(workers),
    )
    notes: tuple[str, ...] = (f"{folder.path}: Python {pinned or 'has no exact pin'}, {where}",) if where else ()
    if start.adds:
        notes += (f"{folder.path}: {start.adds} is not among the dependencies; the install command adds it",)
    return Found(_with_checks(folder, deps, manager, unit), start.sign, deps.needed, notes)


def _project_name(folder: Folder) -> str:
    project = folder.toml("pyproject.toml")
    name = dig(project, "project", "name") or dig(project, "tool", "poetry", "name")
    return name if isinstance(name, str) and re.fullmatch(r"[\w.-]{1,80}", name) else folder.name


# --- how it starts ---------------------------------------------------------------------------------------------


def _start(folder: Folder, deps: Packages, objects: list[code.AppObject]) -> Start:
    for way in (_django, _script_server, _function, _application, _plain):
        if start := way(folder, deps, objects):
            return start
    return Start(None, "library", Sign.TOOLING)


def _django(folder: Folder, deps: Packages, _objects: list[code.AppObject]) -> Start | None:
    manage = _manage_py(folder)
    if manage is None:
        return _django_without_manage(folder, deps)
    if not (deps.has("django") or "django" in folder.source(manage).lower()):
        return None
    base = manage.removesuffix("manage.py").rstrip("/") or "."
    found = re.search(r"DJANGO_SETTINGS_MODULE[\"'],\s*[\"']([\w.]+)[\"']", folder.source(manage))
    package = found[1].split(".settings")[0] if found else ""
    prefix = "" if base == "." else base + "/"
    inside = [name for name in folder.own_files if name.startswith(prefix) and name.endswith(("/wsgi.py", "/asgi.py"))]
    module = package.replace(".", "/")
    wsgi = next((n for n in inside if n == f"{prefix}{module}/wsgi.py"), None) or next(
        (n for n in inside if n.endswith("wsgi.py")), None
    )
    asgi = next((n for n in inside if n.endswith("asgi.py")), None)
    use_asgi = asgi is not None and (
        wsgi is None or (deps.has("channels", "daphne", "uvicorn", "hypercorn") and not deps.has("gunicorn"))
    )
    file = asgi if use_asgi else wsgi
    entry = _dotted(file or f"{prefix}{module or 'config'}/wsgi.py", prefix) + ":application"
    command, adds = _serve(deps, entry, base, "asgi" if use_asgi else "wsgi")
    return Start(command, "backend", Sign.APP, entry, 8000, ("django",), adds)


def _django_without_manage(folder: Folder, deps: Packages) -> Start | None:
    file = next((name for name in folder.own_files if re.fullmatch(r"[^/]+/wsgi\.py", name)), None)
    if file is None or not deps.has("django"):
        return None
    entry = _dotted(file, "") + ":application"
    command, adds = _serve(deps, entry, ".", "wsgi")
    return Start(command, "backend", Sign.APP, entry, 8000, ("django",), adds)


def _dotted(file: str, prefix: str) -> str:
    return file.removeprefix(prefix).removesuffix(".py").replace("/", ".")


def _manage_py(folder: Folder) -> str | None:
    places = [name for name in folder.own_files if name == "manage.py" or name.endswith("/manage.py")]
    return min(places, key=lambda name: (name.count("/"), name), default=None)


def _serve(deps: Packages, entry: str, base: str, role: str) -> tuple[str, str | None]:
    """The server's command line, and the server's package when the manifests lack it."""
    servers = _ASGI_SERVERS if role == "asgi" else _WSGI_SERVERS
    brought = role == "asgi" and (bool(deps.extras & set(_BRINGS_UVICORN)) or deps.has(*_BRINGS_UVICORN))
    chosen = servers[0] if brought else next((server for server in servers if deps.has(server[0])), None)
    package, command, elsewhere = chosen or servers[0]
    line = command.format(app=entry)
    if role == "asgi" and chosen is None and deps.has("gunicorn"):
        line, package = f"gunicorn {entry} -k uvicorn.workers.UvicornWorker --bind 0.0.0.0:$PORT", "uvicorn"
        elsewhere = " --chdir {dir}"
    if base != ".":
        line = line + elsewhere.format(dir=base) if elsewhere else f"cd {base} && {line}"
    return line, None if chosen else package


def _script_server(folder: Folder, deps: Packages, objects: list[code.AppObject]) -> Start | None:
    if code.best(objects, ("asgi", "wsgi")):
        return None
    for package, (command, port) in _SCRIPT_SERVERS.items():
        if deps.has(package):
            pattern = re.compile(rf"^[ \t]*(?:import|from)\s+{package}\b", re.MULTILINE)
            files = [name for name, source in folder.sources(".py") if pattern.search(source)]
            usual = ("app.py", "streamlit_app.py", "main.py", "Home.py", "Hello.py", "demo.py")
            files.sort(key=lambda name: (name.count("/"), usual.index(name) if name in usual else 9, name))
            if files:
                line = command.format(file=files[0])
                return Start(line, "fullstack", Sign.APP, files[0], port, (package,))
    return None


_HANDLER = re.compile(
    r"^(?:def (lambda_handler|handler)\(\s*event|class (handler)\(\s*(?:http\.server\.)?BaseHTTPRequestHandler)",
    re.MULTILINE,
)


def _function(folder: Folder, deps: Packages, objects: list[code.AppObject]) -> Start | None:
    """Handlers that a platform calls: AWS Lambda, Cloud Functions, Vercel's `api/` folder."""
    if deps.has("functions-framework"):
        for name, source in folder.sources(".py"):
            decorated = re.search(r"@functions_framework\.\w+[^\n]*\n(?:async )?def (\w+)", source)
            if found := decorated or re.search(r"^def (\w+)\(\s*(?:request|req|cloud_event)\b", source, re.MULTILINE):
                extra = "" if name == "main.py" else f" --source {name}"
                command = f"functions-framework --target {found[1]}{extra} --host 0.0.0.0 --port $PORT"
                return Start(command, "function", Sign.APP, f"{name}:{found[1]}", 8080)
    if code.best(objects, ("asgi", "wsgi")) is None:
        for name, source in folder.sources(".py"):
            if found := _HANDLER.search(source):
                return Start(None, "function", Sign.RUNS, f"{code.importable(folder, name)[1]}.{found[1] or found[2]}")
    return None


def _application(folder: Folder, deps: Packages, objects: list[code.AppObject]) -> Start | None:
    app = code.best(objects, ("asgi", "wsgi"))
    if app is None:
        runner = code.best(objects, ("run",))
        if runner is None:
            return None
        main = _main_file(folder) or runner.path
        return Start(f"python {main}", "backend", Sign.APP, f"{main}", 8080, (runner.framework,))
    base, module = code.importable(folder, app.path)
    name = (
        "server" if app.framework == "dash" and f"server = {app.name}.server" in folder.source(app.path) else app.name
    )
    entry = f"{module}:{name}"
    is_called = deps.has("mangum") or (app.path.startswith("api/") and folder.first("vercel.json", "package.json"))
    kind: UnitKind = "function" if is_called else "backend"
    sign = Sign.RUNS if kind == "function" and folder.first("package.json") else Sign.APP
    if app.framework == "sanic":
        return Start(f"sanic {entry} --host=0.0.0.0 --port=$PORT", kind, sign, entry, 8000, ("sanic",))
    called = f"{entry}()" if app.factory and app.role == "wsgi" else entry
    command, adds = _serve(deps, f"'{called}'" if "(" in called else called, base, app.role)
    if app.factory and app.role == "asgi":
        command += " --factory"
    return Start(command, kind, sign, called, 8000, (app.framework,), adds)


def _plain(folder: Folder, deps: Packages, _objects: list[code.AppObject]) -> Start | None:
    """A script: the usual main file, a console script, `python -m package`, or the only script there is."""
    main = _main_file(folder)
    project = folder.toml("pyproject.toml")
    is_package = "build-system" in project or folder.first("setup.py") is not None
    if main:
        serves = re.search(
            r"http\.server|socketserver|run_app\(|HTTPServer|\.listen\(|uvicorn\.run|wsgiref", folder.source(main)
        )
        kind: UnitKind = "backend" if serves or deps.has("tornado", "robyn", "aiohttp") else "worker"
        return Start(f"python {main}", kind, Sign.RUNS, main, 8000 if kind == "backend" else None)
    scripts = mapping(dig(project, "project", "scripts")) or mapping(dig(project, "tool", "poetry", "scripts"))
    if scripts:
        return Start(min(scripts, key=lambda name: (name != folder.name, name)), "library", Sign.TOOLING)
    for name in folder.own_files:
        if name.endswith("/__main__.py") and name.count("/") <= 2:
            module = code.importable(folder, name)[1].removesuffix(".__main__")
            return Start(f"python -m {module}", "library" if is_package else "worker", Sign.TOOLING, module)
    single = [
        name for name in folder.matching("*.py") if name not in ("setup.py", "conftest.py", "noxfile.py", "manage.py")
    ]
    guarded = [name for name in single if "__main__" in folder.source(name)]
    candidates = guarded or single
    if len(candidates) == 1 and not is_package:
        return Start(f"python {candidates[0]}", "worker", Sign.RUNS, candidates[0])
    return None


def _main_file(folder: Folder) -> str | None:
    """The usual main file, at the top or in `src/` or `app/`."""
    return folder.first(*MAIN_FILES, *(f"src/{name}" for name in MAIN_FILES), *(f"app/{name}" for name in MAIN_FILES))


# --- besides starting ------------------------------------------------------------------------------------------


def _build(folder: Folder, start: Start) -> str | None:
    manage = _manage_py(folder)
    if "django" not in start.frameworks or manage is None:
        return None
    settings = (source for name, source in folder.sources(".py") if "settings" in name)
    if any(re.search(r"^[ \t]*STATIC_ROOT\s*[:=]", source, re.MULTILINE) for source in settings):
        return f"python {manage} collectstatic --noinput"
    return None


def _migrate(folder: Folder, deps: Packages, start: Start) -> str | None:
    if "django" in start.frameworks:
        manage = _manage_py(folder)
        return f"python {manage} migrate --noinput" if manage else "django-admin migrate --noinput"
    alembic = min((n for n in folder.own_files if n.rsplit("/", 1)[-1] == "alembic.ini"), key=len, default=None)
    if deps.has("flask-migrate") and folder.first("migrations/env.py", "migrations/alembic.ini"):
        app = (start.entry or "app").removesuffix("()")
        return f"flask --app {app} db upgrade"
    if alembic:
        return "alembic upgrade head" if alembic == "alembic.ini" else f"alembic -c {alembic} upgrade head"
    if dig(folder.toml("pyproject.toml"), "tool", "alembic") is not None:
        return "alembic upgrade head"
    if deps.has("aerich"):
        return "aerich upgrade"
    if deps.has("prisma") and folder.first("prisma/schema.prisma", "schema.prisma"):
        return "prisma migrate deploy"
    return None


def _workers(folder: Folder, deps: Packages, objects: list[code.AppObject]) -> list[dict[str, str]]:
    """Queue workers and schedulers that the code defines."""
    found: list[tuple[str, str]] = []
    if celery := code.best(objects, ("celery",)):
        _, module = code.importable(folder, celery.path)
        manage = _manage_py(folder)
        if manage and celery.path.endswith("/celery.py"):
            prefix = manage.removesuffix("manage.py")
            module = _dotted(celery.path, prefix).removesuffix(".celery")
        target = module if celery.name in ("app", "celery") else f"{module}:{celery.name}"
        found.append(("worker", f"celery -A {target} worker --loglevel=INFO"))
        beat = re.compile(r"beat_schedule|CELERY_BEAT|crontab\(|add_periodic_task")
        if deps.has("django-celery-beat") or any(beat.search(source) for _, source in folder.sources(".py")):
            found.append(("beat", f"celery -A {target} beat --loglevel=INFO"))
    if arq := code.best(objects, ("arq",)):
        found.append(("worker", f"arq {code.importable(folder, arq.path)[1]}.{arq.name}"))
    if huey := code.best(objects, ("huey",)):
        found.append(("worker", f"huey_consumer {code.importable(folder, huey.path)[1]}.{huey.name}"))
    if taskiq := code.best(objects, ("taskiq",)):
        found.append(("worker", f"taskiq worker {code.importable(folder, taskiq.path)[1]}:{taskiq.name}"))
    if deps.has("django-rq"):
        found.append(("worker", "python manage.py rqworker"))
    elif deps.has("rq"):
        found.append(("worker", "rq worker --url $REDIS_URL"))
    if deps.has("dramatiq"):
        for name, source in folder.sources(".py"):
            if "dramatiq.actor" in source or "@actor" in source:
                found.append(("worker", f"dramatiq {code.importable(folder, name)[1]}"))
                break
    return [{"name": name, "command": command} for name, command in found]


def _system_packages(deps: Packages) -> tuple[str, ...]:
    names: set[str] = set()
    for package, debian in SYSTEM_PACKAGES.items():
        binary = package == "psycopg" and deps.extras & {"psycopg[binary]", "psycopg[c]"}
        if deps.has(package) and not binary:
            names |= set(debian)
    if "psycopg[c]" in deps.extras:
        names |= {"gcc", "libpq-dev", "libpq5"}
    return tuple(sorted(names))


def _with_checks(folder: Folder, deps: Packages, manager: str, unit: DeployUnit) -> DeployUnit:
    """Test, lint and type-check commands, from the tools the project names or configures."""
    tool = mapping(folder.toml("pyproject.toml").get("tool"))

    def uses(name: str, *files: str) -> bool:
        return deps.knows(name) or name in tool or folder.first(*files) is not None

    test = lint = typecheck = None
    if uses("pytest", "pytest.ini", "conftest.py", "tests/conftest.py", "test/conftest.py"):
        test = "pytest"
    elif "django" in unit.frameworks and _manage_py(folder):
        test = f"python {_manage_py(folder)} test"
    elif folder.has_folder("tests") or folder.has_folder("test"):
        test = "python -m unittest discover"
    if uses("ruff", "ruff.toml", ".ruff.toml"):
        lint = "ruff check ."
    elif uses("flake8", ".flake8"):
        lint = "flake8"
    if uses("mypy", "mypy.ini", ".mypy.ini"):
        typecheck = "mypy ."
    elif uses("pyright", "pyrightconfig.json"):
        typecheck = "pyright"
    run = manifests.in_environment
    return replace(
        unit,
        test=run(manager, test) if test else None,
        lint=run(manager, lint) if lint else None,
        typecheck=run(manager, typecheck) if typecheck else None,
    )


PYTHON = Language("python", detect, manifests.MANIFESTS, hints=("*.py", "app/main.py", "src/main.py", "api/index.py"))
