"""All settings files as one `Settings`: precedence, merging, and the anchors of path rules.

Highest first: managed, `--settings`, `.claude/settings.local.json`, `.claude/settings.json`, the user's
`settings.json`. Of scalars the highest wins, objects merge per key, lists are joined (Claude Code documentation on
settings, August 2026). A file that cannot be used is a remark in `problems`; what is left out on purpose is one in
`dropped`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from agent.calls.shelter import Shelter
from agent.knowledge.definition import PermissionMode
from agent.knowledge.fields import DefinitionError, read_text
from agent.settings.places import Level, Places, SettingsError
from agent.settings.remarks import Remark, remark
from agent.settings.restrict import MANAGED_ONLY, restrict
from agent.settings.shape import merge, read_flag, read_values
from agent.turn.window import AutoCompact

if TYPE_CHECKING:
    from agent.permissions.rules import RuleKind, Rules

_VARIABLE = re.compile(r"[A-Za-z_]\w{0,127}")
_MODES: tuple[PermissionMode, ...] = get_args(PermissionMode)


@dataclass(frozen=True, slots=True)
class HookSource:
    """The `hooks` object of one file, as written. `where` names the file."""

    where: str
    level: Level
    events: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What applies. `values` is everything merged, keys unknown here included; None or empty means nobody said.

    `rules` hold the anchors of their files; without any the permission engine need not be loaded. `hooks` are those
    that may run. `env` is for the session and its children. `approved_servers` names the project's MCP servers that
    settings approve (`*`: all).
    """

    rules: Rules | None = None
    mode: PermissionMode | None = None
    bypass_allowed: bool = True
    directories: tuple[Path, ...] = ()
    hooks: tuple[HookSource, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    fallback_models: tuple[str, ...] = ()
    available_models: tuple[str, ...] | None = None
    effort: str | None = None
    agent: str | None = None
    output_style: str | None = None
    language: str | None = None
    api_key_helper: str | None = None
    approved_servers: frozenset[str] = frozenset()
    disabled_servers: frozenset[str] = frozenset()
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    shelter: Shelter = field(default_factory=Shelter)
    memory_excludes: tuple[str, ...] = ()
    auto_compact: AutoCompact = field(default_factory=AutoCompact)
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Remark, ...] = ()
    dropped: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layer:
    """One file's part. `anchor` is where its `/path` rules start."""

    level: Level
    where: str
    anchor: Path
    values: dict[str, Any]


def load_settings(places: Places, *, flag: str | None = None) -> Settings:
    """The settings in force. `flag` is the value of `--settings`; it raises `SettingsError` when unusable."""
    problems: list[Remark] = []
    dropped: list[Remark] = []
    layers = list(_layers(places, flag, problems, dropped))
    values: dict[str, Any] = reduce(merge, (layer.values for layer in layers), {})
    managed = [layer for layer in layers if layer.level == "managed"]
    policy: dict[str, Any] = reduce(merge, (layer.values for layer in managed), {})
    if "availableModels" in policy:
        values["availableModels"] = policy["availableModels"]
    permissions = values.get("permissions", {})
    bypass_allowed = permissions.get("disableBypassPermissionsMode") in (None, False, "")
    return Settings(
        rules=_rules(layers, bool(policy.get("allowManagedPermissionRulesOnly")), problems, dropped),
        mode=_mode(layers, bypass_allowed, problems, dropped),
        bypass_allowed=bypass_allowed,
        directories=_directories(permissions.get("additionalDirectories", ()), places, problems),
        hooks=_hooks(layers, policy, dropped),
        env=_environment(values.get("env", {}), problems),
        model=values.get("model") or None,
        fallback_models=tuple(values.get("fallbackModel", ())),
        available_models=tuple(values["availableModels"]) if "availableModels" in values else None,
        effort=values.get("effortLevel") or None,
        agent=values.get("agent") or None,
        output_style=values.get("outputStyle") or None,
        language=values.get("language") or None,
        api_key_helper=values.get("apiKeyHelper") or None,
        approved_servers=frozenset(
            ["*"] if values.get("enableAllProjectMcpServers") else values.get("enabledMcpjsonServers", ())
        ),
        disabled_servers=frozenset(values.get("disabledMcpjsonServers", ())),
        sandbox=values.get("sandbox", {}),
        shelter=_shelter(values, problems),
        memory_excludes=tuple(values.get("claudeMdExcludes", ())),
        auto_compact=AutoCompact(values.get("autoCompactEnabled", True), values.get("autoCompactWindow")),
        values=values,
        problems=tuple(problems),
        dropped=tuple(dropped),
    )


# --- the files, lowest first ---


def _layers(places: Places, flag: str | None, problems: list[Remark], dropped: list[Remark]) -> Iterator[_Layer]:
    project = places.cwd / ".claude"
    files: list[tuple[Level, Path, Path]] = []
    if "user" in places.sources:
        files.append(("user", places.user / "settings.json", places.user))
    is_project = places.cwd in places.project
    if is_project and "project" in places.sources:
        files.append(("project", project / "settings.json", places.cwd))
    if is_project and "local" in places.sources:
        files.append(("local", project / "settings.local.json", places.cwd))
    for level, path, anchor in files:
        yield from _from_file(level, path, anchor, places, problems, dropped)
    if flag is not None:
        values, remarks = read_flag(flag)
        problems += remarks
        yield _Layer("flag", "--settings", places.cwd, _without_managed_only(values, "--settings", dropped))
    parts = sorted((places.managed / "managed-settings.d").glob("*.json"))
    for path in (places.managed / "managed-settings.json", *parts):
        yield from _from_file("managed", path, places.managed, places, problems, dropped)


def _from_file(
    level: Level, path: Path, anchor: Path, places: Places, problems: list[Remark], dropped: list[Remark]
) -> Iterator[_Layer]:
    """The layer of one file; none when it is absent or, with a remark, cannot be used."""
    if not path.exists() and not path.is_symlink():
        return
    try:
        values, remarks = read_values(read_text(path), path)
    except DefinitionError as error:
        problems.append(remark("unreadable", path, what="The file", why=error.reason))
        return
    except SettingsError as error:
        problems.append(remark("unreadable", path, what="The file", why=error))
        return
    problems += remarks
    if level != "managed":
        values = _without_managed_only(values, path, dropped)
    if level in ("project", "local"):
        trusted = places.trusted(places.cwd)
        values, left_out = restrict(values, believed=trusted or places.vouched, trusted=trusted)
        dropped += [remark(reason, path, what=key) for key, reason in left_out]
    yield _Layer(level, str(path), anchor, values)


def _without_managed_only(values: dict[str, Any], where: object, dropped: list[Remark]) -> dict[str, Any]:
    dropped += [remark("managed_only", where, what=key) for key in values if key in MANAGED_ONLY]
    return {key: value for key, value in values.items() if key not in MANAGED_ONLY}


# --- what the files add up to ---


def _rules(layers: Sequence[_Layer], managed_only: bool, problems: list[Remark], dropped: list[Remark]) -> Rules | None:
    """Every file's rules. Under a policy of managed rules only, deny and ask rules of others still protect."""
    rules: Rules | None = None
    for layer in layers:
        permissions = layer.values.get("permissions", {})
        allow = permissions.get("allow", [])
        if managed_only and layer.level != "managed" and allow:
            dropped.append(remark("policy", layer.where, what="permissions.allow"))
            allow = []
        kinds: tuple[tuple[RuleKind, list[str]], ...] = (
            ("allow", allow),
            ("ask", permissions.get("ask", [])),
            ("deny", permissions.get("deny", [])),
        )
        for kind, texts in kinds:
            for text in texts:
                rule = _rule(kind, text, layer, problems)
                rules = rules + rule if rules else rule
    return rules


def _rule(kind: RuleKind, text: str, layer: _Layer, problems: list[Remark]) -> Rules:
    """One rule. An allow rule that cannot be read is left out; a restriction becomes asking about its whole tool."""
    from agent.permissions.rules import RuleError, Rules

    try:
        parsed = Rules.parse(**{kind: [text]}, source=layer.where, anchor=layer.anchor)
    except RuleError as error:
        why = str(error).rpartition(": ")[2]
        tool = re.match(r"\s*([A-Za-z]\w*)\s*\(", text)
        if tool is None:
            problems.append(remark("bad_rule", layer.where, what=text, why=why))
            return Rules()
        problems.append(remark("bad_rule_asks", layer.where, what=text, why=why, tool=tool[1]))
        return Rules.parse(ask=[tool[1]], source=layer.where, anchor=layer.anchor)
    problems += [
        remark("bad_rule", layer.where, what=text, why=warning.rpartition(": ")[2]) for warning in parsed.warnings
    ]
    return Rules(parsed.allow, parsed.ask, parsed.deny)


def _mode(
    layers: Sequence[_Layer], bypass_allowed: bool, problems: list[Remark], dropped: list[Remark]
) -> PermissionMode | None:
    """The highest file's mode that can be used."""
    for layer in reversed(layers):
        written = layer.values.get("permissions", {}).get("defaultMode")
        if not written:
            continue
        name = "default" if written == "manual" else written
        if name == "bypassPermissions" and not bypass_allowed:
            dropped.append(remark("policy", layer.where, what="bypassPermissions"))
        elif name in _MODES:
            return _MODES[_MODES.index(name)]
        else:
            problems.append(remark("unknown_mode", layer.where, what=written))
    return None


def _hooks(layers: Sequence[_Layer], policy: Mapping[str, Any], dropped: list[Remark]) -> tuple[HookSource, ...]:
    """Managed hooks run unless the policy switches all off; others run unless anyone does, or the policy forbids."""
    off = any(layer.values.get("disableAllHooks") for layer in layers)
    found = []
    for layer in layers:
        events = layer.values.get("hooks")
        if not events:
            continue
        managed = layer.level == "managed"
        if policy.get("disableAllHooks") or (off and not managed):
            dropped.append(remark("hooks_off", layer.where, what="hooks"))
        elif policy.get("allowManagedHooksOnly") and not managed:
            dropped.append(remark("policy", layer.where, what="hooks"))
        else:
            found.append(HookSource(layer.where, layer.level, events))
    return tuple(found)


def _environment(values: Mapping[str, Any], problems: list[Remark]) -> dict[str, str]:
    env: dict[str, str] = {}
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not name or "=" in name or "\0" in name + text or not isinstance(value, str | int | float):
            problems.append(remark("wrong_type", "env", what=name, why="expected a name and a text"))
        else:
            env[name] = text
    return env


def _shelter(values: Mapping[str, Any], problems: list[Remark]) -> Shelter:
    """What commands reach beyond the workspace. A rule for all of Bash, or another tool's, gets no secrets."""
    sandbox = values.get("sandbox", {})
    network = sandbox.get("network")
    domains = network.get("allowedDomains") if isinstance(network, Mapping) else None
    secrets: dict[str, tuple[str, ...]] = {}
    for rule, names in values.get("deploySecrets", {}).items():
        fits = isinstance(names, list) and all(isinstance(name, str) and _VARIABLE.fullmatch(name) for name in names)
        if fits and re.fullmatch(r"Bash\(\s*[^\s*:].*\)", rule):
            secrets[rule] = tuple(names)
        else:
            why = "expected Bash(COMMAND) and a list of names of environment variables"
            problems.append(remark("wrong_type", "settings", what=f"deploySecrets.{rule}", why=why))
    return Shelter(
        domains=tuple(name for name in domains if isinstance(name, str)) if isinstance(domains, list) else (),
        may_leave=sandbox.get("allowUnsandboxedCommands") is not False,
        secrets=secrets,
    )


def _directories(named: Sequence[str], places: Places, problems: list[Remark]) -> tuple[Path, ...]:
    found = []
    for name in named:
        expanded = places.home / name[2:] if name.startswith("~/") else Path(name)
        try:
            found.append(Path(os.path.realpath(places.cwd / expanded)))
        except ValueError as error:
            problems.append(remark("wrong_type", "additionalDirectories", what=name, why=error))
    return tuple(found)
