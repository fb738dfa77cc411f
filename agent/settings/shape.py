"""The keys of a settings file that this runtime acts on, with their types. Everything else is kept as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from agent.fields import DefinitionError, read_text
from agent.settings.places import SettingsError
from agent.settings.remarks import Remark, remark

MAX_INLINE_CHARS = 2 * 1024 * 1024

Names = list[str]
Restrictions = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""A single rule written without the list still protects."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Permissions(_Shape):
    allow: Names = []
    ask: Restrictions = []
    deny: Restrictions = []
    defaultMode: str = ""  # noqa: N815 - the file's spelling
    additionalDirectories: Names = []  # noqa: N815


class _Settings(_Shape):
    permissions: _Permissions = _Permissions()
    hooks: dict[str, Any] = {}
    disableAllHooks: bool = False  # noqa: N815
    env: dict[str, Any] = {}
    model: str = ""
    fallbackModel: Annotated[Names, BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = []  # noqa: N815
    availableModels: Names = []  # noqa: N815
    effortLevel: str = ""  # noqa: N815
    agent: str = ""
    outputStyle: str = ""  # noqa: N815
    language: str = ""
    apiKeyHelper: str = ""  # noqa: N815
    enableAllProjectMcpServers: bool = False  # noqa: N815
    enabledMcpjsonServers: Names = []  # noqa: N815
    disabledMcpjsonServers: Names = []  # noqa: N815
    sandbox: dict[str, Any] = {}
    claudeMdExcludes: Names = []  # noqa: N815
    allowManagedHooksOnly: bool = False  # noqa: N815
    allowManagedPermissionRulesOnly: bool = False  # noqa: N815


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
    while True:
        try:
            _Settings.model_validate(values)
        except ValidationError as error:
            # The last ones first, so that positions in lists stay right.
            wrong = sorted(error.errors(), key=lambda e: [str(part).rjust(9) for part in e["loc"]], reverse=True)
            for problem in wrong:
                place = problem["loc"]
                _remove(values, place)
                remarks.append(
                    remark("wrong_type", where, what=".".join(str(part) for part in place), why=problem["msg"])
                )
        else:
            return _with_lists(values), remarks[::-1]


def _remove(values: Any, place: tuple[int | str, ...]) -> None:
    *outer, last = place
    for part in outer:
        values = values[part]
    del values[last]


def _with_lists(values: dict[str, Any]) -> dict[str, Any]:
    """Single texts where a list is meant, written as lists, so that files can be merged."""
    for holder, keys in ((values, ("fallbackModel",)), (values.get("permissions", {}), ("ask", "deny"))):
        for key in keys:
            if isinstance(holder.get(key), str):
                holder[key] = [holder[key]]
    return values


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
