"""Names of the environment variables a unit reads. Names only: a real `.env` is never opened."""

from __future__ import annotations

import re

from tools.devops.merge import is_untouched
from tools.devops.project.languages.python_code import environment_names
from tools.devops.project.tree import Folder, items, mapping, text, without_comments, words

_NAME = r"([A-Za-z_][A-Za-z0-9_]{0,79})"
_SCRIPTS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte", ".astro")

# file endings -> patterns whose first group is a name
PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (
        _SCRIPTS,
        re.compile(
            rf"(?:process\.env|import\.meta\.env|Bun\.env)(?:\??\.{_NAME}|\[[\"']{_NAME}[\"']\])"
            rf"|Deno\.env\.get\(\s*[\"']{_NAME}[\"']|[cC]onfig(?:Service)?\.get(?:OrThrow)?(?:<\w+>)?\(\s*[\"']([A-Z][A-Z0-9_]{{1,79}})[\"']"
        ),
    ),
    (_SCRIPTS, re.compile(r"\benv\(\s*[\"']([A-Z][A-Z0-9_]{1,79})[\"']")),
    (
        (".go",),
        re.compile(
            rf"os\.(?:Getenv|LookupEnv)\(\s*\"{_NAME}\"|\b(?:env|envconfig):\"([A-Z][A-Z0-9_]{{1,79}})|BindEnv\([^)\n]{{0,80}}\"([A-Z][A-Z0-9_]{{1,79}})\""
        ),
    ),
    (
        (".rb", ".ru", ".erb", ".rake", "Rakefile", "database.yml", "storage.yml", "cable.yml", "puma.rb"),
        re.compile(rf"ENV(?:\.fetch\(|\[)\s*[\"']{_NAME}[\"']"),
    ),
    (
        (".php",),
        re.compile(rf"\b(?:getenv|env)\(\s*[\"']{_NAME}[\"']|\$_(?:ENV|SERVER)\[[\"']([A-Z][A-Z0-9_]{{1,79}})[\"']\]"),
    ),
    (
        (".rs",),
        re.compile(rf"env::var(?:_os)?\(\s*\"{_NAME}\"|\benv!\(\s*\"{_NAME}\"|env\s*=\s*\"([A-Z][A-Z0-9_]{{1,79}})\""),
    ),
    (
        (".java", ".kt", ".scala", ".groovy"),
        re.compile(
            rf"System\.getenv\(\s*\"{_NAME}\"|sys\.env(?:\.get|\.getOrElse)?\(\s*\"{_NAME}\"|\$\{{([A-Z][A-Z0-9_]{{1,79}})[:}}]"
        ),
    ),
    (
        ("application.yml", "application.yaml", "application.properties", "application.conf"),
        re.compile(r"\$\{\??([A-Z][A-Z0-9_]{1,79})(?=[:}])"),
    ),
    (
        (".cs", ".fs"),
        re.compile(rf"GetEnvironmentVariable\(\s*\"{_NAME}\"|[cC]onfiguration\[\"([A-Z][A-Z0-9_]{{1,79}})\"\]"),
    ),
    (
        ("services.yaml", "doctrine.yaml", "framework.yaml", "messenger.yaml", "mailer.yaml", "cache.yaml"),
        re.compile(rf"%env\((?:\w{{1,20}}:){{0,4}}{_NAME}\)%"),
    ),
    ((".ex", ".exs"), re.compile(rf"System\.(?:get_env|fetch_env!?)\(\s*\"{_NAME}\"")),
    ((".prisma",), re.compile(rf"\benv\(\"{_NAME}\"\)")),
    ((".cr",), re.compile(rf"ENV\[\"{_NAME}\"\]")),
    ((".swift",), re.compile(rf"Environment\.get\(\s*\"{_NAME}\"")),
)
_CONNECTION_STRING = re.compile(r"GetConnectionString\(\s*\"(\w{1,60})\"")
_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults", "env.example", "example.env")
_KEY = re.compile(rf"^[ \t]*(?:export\s+)?{_NAME}\s*=", re.MULTILINE)

# The system's own, and what build tools set.
_NOT_SETTINGS = frozenset(
    words(
        "HOME PATH PWD USER USERNAME LOGNAME SHELL LANG LC_ALL TERM TMPDIR TEMP TMP TZ CI EDITOR HOSTNAME "
        "COLORTERM PYTHONPATH VIRTUAL_ENV OUT_DIR CARGO_MANIFEST_DIR CARGO_PKG_VERSION CARGO_PKG_NAME MODE "
        "DEV PROD SSR BASE_URL JAVA_HOME GOPATH npm_package_version npm_package_name npm_lifecycle_event "
        "DJANGO_SETTINGS_MODULE NODE_APP_INSTANCE FORCE_COLOR NO_COLOR BUNDLE_GEMFILE NEXT_RUNTIME "
        "__NEXT_PRIVATE_STANDALONE_CONFIG"
    )
)


def names_read(folder: Folder) -> set[str]:
    """Variables read by the unit's code and configuration, and the keys of its example file."""
    found: set[str] = set()
    for name in folder.own_files:
        if name.endswith((".py", *_ENDINGS)):
            source = folder.source(name)
            found |= environment_names(source) if name.endswith(".py") else _matches(name, without_comments(source))
    for example in _EXAMPLES:
        written = folder.read(example)
        if not is_untouched(written):  # our own output repeats what was found, for all units together
            found |= set(_KEY.findall(written))
    return {name for name in found if name not in _NOT_SETTINGS and re.fullmatch(_NAME, name)}


_ENDINGS = tuple(dict.fromkeys(ending for endings, _ in PATTERNS for ending in endings))


def _matches(name: str, source: str) -> set[str]:
    found: set[str] = set()
    for endings, pattern in PATTERNS:
        if name.endswith(endings):
            for match in pattern.finditer(source):
                found.update(group for group in match.groups() if group)
    if name.endswith((".cs", ".fs")):
        found |= {f"ConnectionStrings__{key}" for key in _CONNECTION_STRING.findall(source)}
    return found


def compose_names(service: dict[str, object]) -> set[str]:
    """Keys of a compose service's `environment`."""
    given = service.get("environment")
    keys = set(mapping(given)) | {text(entry).split("=")[0] for entry in items(given)}
    return {key for key in keys if re.fullmatch(_NAME, key) and key not in _NOT_SETTINGS}
