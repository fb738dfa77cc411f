"""The keys of a settings file that this runtime acts on, with their types. Everything else is kept as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.knowledge.fields import DefinitionError, read_text
from agent.settings.places import SettingsError
from agent.settings.remarks import Remark, remark

MAX_INLINE_CHARS = 2 * 1024 * 1024

_TEXT, _FLAG, _OBJECT, _TEXTS, _ONE_OR_MORE = "a text", "true or false", "an object", "a list of texts", "texts"
_NUMBER = "a whole number above 0"
_SHAPE: Mapping[str, str] = {
    "permissions": _OBJECT,
    "permissions.allow": _TEXTS,
    "permissions.ask": _ONE_OR_MORE,  # a single restriction written without the list still protects
    "permissions.deny": _ONE_OR_MORE,
    "permissions.defaultMode": _TEXT,
    "permissions.additionalDirectories": _TEXTS,
    "hooks": _OBJECT,
    "disableAllHooks": _FLAG,
    "env": _OBJECT,
    "model": _TEXT,
    "fallbackModel": _ONE_OR_MORE,
    "availableModels": _TEXTS,
    "effortLevel": _TEXT,
    "agent": _TEXT,
    "outputStyle": _TEXT,
    "language": _TEXT,
    "apiKeyHelper": _TEXT,
    "enableAllProjectMcpServers": _FLAG,
    "enabledMcpjsonServers": _TEXTS,
    "disabledMcpjsonServers": _TEXTS,
    "sandbox": _OBJECT,
    "deploySecrets": _OBJECT,
    "claudeMdExcludes": _TEXTS,
    "autoCompactEnabled": _FLAG,
    "autoCompactWindow": _NUMBER,
    "allowManagedHooksOnly": _FLAG,
    "allowManagedPermissionRulesOnly": _FLAG,
}
_TYPES: Mapping[str, type] = {_TEXT: str, _FLAG: bool, _OBJECT: dict, _TEXTS: list, _ONE_OR_MORE: list}


def read_values(text: str, where: object) -> tuple[dict[str, Any], list[Remark]]:
    """A settings file's text as values of the right types, and remarks on what was left out.

    Raises `SettingsError` when the text is no JSON object.
    """
    try:
        values = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
    except RecursionError as error:
        raise SettingsError("nested too deeply") from error
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if not isinstance(values, dict):
        raise SettingsError("not a JSON object")
    return _checked({key: value for key, value in values.items() if value is not None}, where)


def read_flag(flag: str) -> tuple[dict[str, Any], list[Remark]]:
    """The values of `--settings`: a file, or JSON itself. Raises `SettingsError`."""
    inline = flag.lstrip().startswith("{")
    if inline and len(flag) > MAX_INLINE_CHARS:
        raise SettingsError("--settings is longer than 2 MiB; put it into a file.")
    try:
        return read_values(flag if inline else read_text(Path(flag).expanduser()), "--settings")
    except DefinitionError as error:
        raise SettingsError(f"--settings cannot be read: {error}. Give a file that exists, or JSON.") from error
    except SettingsError as error:
        raise SettingsError(f"--settings cannot be used: {error}. Give a JSON object or a file with one.") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _checked(values: dict[str, Any], where: object) -> tuple[dict[str, Any], list[Remark]]:
    """`values` without what has a wrong type, each with a remark."""
    remarks: list[Remark] = []

    def wrong(place: str, expected: str) -> None:
        remarks.append(remark("wrong_type", where, what=place, why=f"expected {expected}"))

    for place, expected in _SHAPE.items():
        outer, _, inner = place.partition(".")
        holder, key = (values.get(outer, {}), inner) if inner else (values, outer)
        if key not in holder:
            continue
        if expected == _ONE_OR_MORE and isinstance(holder[key], str):
            holder[key] = [holder[key]]
        number = isinstance(holder[key], int) and not isinstance(holder[key], bool) and holder[key] > 0
        if not (number if expected == _NUMBER else isinstance(holder[key], _TYPES[expected])):
            wrong(place, expected)
            del holder[key]
        elif isinstance(holder[key], list):
            for number, item in enumerate(holder[key]):
                if not isinstance(item, str):
                    wrong(f"{place}.{number}", _TEXT)
            holder[key] = [item for item in holder[key] if isinstance(item, str)]
    return values, remarks


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Two files as one: objects per key, lists one after the other without repeats, of anything else `high`'s."""
    merged = dict(low)
    for key, value in high.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(under, value)
        elif isinstance(under, list) and isinstance(value, list) and key != "fallbackModel":
            merged[key] = [*under, *(item for item in value if item not in under)]
        elif value is not None:
            merged[key] = value
    return merged
