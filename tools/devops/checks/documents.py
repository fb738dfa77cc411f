"""YAML, JSON and TOML with the line of every value, and JSON-schema findings on top.

YAML follows the 1.2 core schema as deployment tools do: `on`, `yes` and `22:22` are strings, mapping keys always are.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tools.devops.checks.rules import Rules
from tools.devops.checks.tree import bad_file
from tools.devops.types import Finding

Path = tuple[str | int, ...]

MAX_NODES = 200_000
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed document of `file`. `lines` maps the path of each value to its line, counted from 1."""

    file: str
    value: Any
    lines: Mapping[Path, int]

    def line(self, *path: str | int) -> int:
        """The line of the value at `path`, or of its nearest known parent."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is a mapping, else an empty one: rules walk documents whose shape the schema judges."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """`value` when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


# --- YAML ------------------------------------------------------------------------------------------------------

_FUNCTIONS = "Sub GetAtt Join Select Split If Equals ImportValue FindInMap Base64 Cidr Not And Or GetAZs Transform"
_CLOUDFORMATION = frozenset(_FUNCTIONS.split())
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse_yaml(file: str, text: str) -> tuple[Document, ...]:
    """All documents of a YAML stream, empty ones left out. Raises `BadFileError` with the line of the error."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_deep(file, yaml.parse(text, Loader=loader))
        nodes = list(yaml.compose_all(text, Loader=loader))
        documents = []
        for node in nodes:
            if node is not None:
                reader = _YamlReader(file)
                value = reader.read(node, (), 0)
                if value is not None:
                    documents.append(Document(file, value, reader.lines))
        return tuple(documents)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise bad_file("yaml-syntax", file, line, f"Invalid YAML: {error.problem or 'cannot be parsed'}.") from error
    except yaml.YAMLError as error:
        raise bad_file("yaml-syntax", file, 0, "Invalid YAML: holds a character that YAML forbids.") from error
    except RecursionError as error:
        raise bad_file("yaml-syntax", file, 0, "Invalid YAML: nested too deeply.") from error


def _refuse_deep(file: str, events: Iterable[Any]) -> None:
    """The C loader overflows the stack on deeply nested text and takes the process with it; its events do not."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise bad_file("yaml-syntax", file, line, "Invalid YAML: nested too deeply.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _YamlReader:
    """Turns composed nodes into plain values and notes lines, within limits that stop alias bombs."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}

    def read(self, node: Any, path: Path, depth: int) -> Any:
        import yaml

        line = node.start_mark.line + 1
        if depth > MAX_DEPTH or len(self.lines) > MAX_NODES:
            raise bad_file("yaml-syntax", self.file, line, "Nested too deeply, or aliases expand without end.")
        self.lines[path] = line
        if isinstance(node, yaml.MappingNode):
            value: Any = self._mapping(node, path, depth)
        elif isinstance(node, yaml.SequenceNode):
            value = [self.read(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        else:
            value = _scalar(node)
        tag = node.tag[1:] if node.tag.startswith("!") else ""
        if tag in _CLOUDFORMATION:
            return {f"Fn::{tag}": value}
        return {tag: value} if tag in ("Ref", "Condition") else value

    def _mapping(self, node: Any, path: Path, depth: int) -> dict[str, Any]:
        import yaml

        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise bad_file("yaml-syntax", self.file, line, "A mapping key must be a plain word here.")
            key = key_node.value
            if key == "<<" and not key_node.style:
                inherited = self.read(value_node, (*path, "<<"), depth + 1)
                for source in inherited if isinstance(inherited, list) else [inherited]:
                    merged = {**mapping(source), **merged}
                continue
            if key in result:
                raise bad_file("duplicate-key", self.file, line, f"The key {key[:60]!r} appears twice in one mapping.")
            result[key] = self.read(value_node, (*path, key), depth + 1)
            self.lines[(*path, key)] = line
        return {**merged, **result}


def _scalar(node: Any) -> Any:
    """A scalar by the YAML 1.2 core schema; quoted and block scalars are strings."""
    text: str = node.value
    if node.style:  # quoted or block; plain is None or "", by loader
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    return _number(text)


def _number(text: str) -> Any:
    if _INT.fullmatch(text) and len(text) < 40:
        octal = len(text) > 1 and text[0] == "0" and text.isdigit() and not set(text) & {"8", "9"}
        return int(text, 8) if octal else int(text, 0 if text[1:2] in ("x", "o") else 10)
    if _FLOAT.fullmatch(text) and len(text) < 40:
        return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").replace(".nan", "nan"))
    return text


# --- JSON ------------------------------------------------------------------------------------------------------

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|\n|[^\s{}\[\]:,"]+')


def parse_json(file: str, text: str) -> Document:
    """One JSON document. Raises `BadFileError` with the line of the error."""
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: _unique(file, text, pairs))
    except json.JSONDecodeError as error:
        raise bad_file("json-syntax", file, error.lineno, f"Invalid JSON: {error.msg}.") from error
    except (RecursionError, ValueError) as error:
        raise bad_file("json-syntax", file, 0, "Invalid JSON: nested too deeply or a number too long.") from error
    return Document(file, value, _json_lines(text))


def _unique(file: str, text: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        at = text.rfind(json.dumps(twice, ensure_ascii=False))
        line = text.count("\n", 0, max(at, 0)) + 1
        raise bad_file("duplicate-key", file, line, f"The key {twice[:60]!r} appears twice in one object.")
    return result


def _json_lines(text: str) -> dict[Path, int]:
    """Paths to lines for text that is known to be valid JSON: one pass over its parts."""
    lines: dict[Path, int] = {(): 1}
    line, path, expect_key = 1, [], False  # type: int, list[str | int], bool
    for part in _JSON_TOKEN.findall(text):
        if part == "\n":
            line += 1
        elif part in ("{", "["):
            lines.setdefault(tuple(path), line)
            path.append(0 if part == "[" else "")
            expect_key = part == "{"
        elif part in ("}", "]"):
            path.pop()
            expect_key = False
        elif part == ",":
            last = path[-1]
            path[-1] = last + 1 if isinstance(last, int) else ""
            expect_key = not isinstance(last, int)
        elif part != ":" and expect_key:
            path[-1] = json.loads(part, strict=False)
            lines[tuple(path)] = line
            expect_key = False
        elif part != ":":
            lines.setdefault(tuple(path), line)
    return lines


# --- TOML ------------------------------------------------------------------------------------------------------

_TOML_ERROR_LINE = re.compile(r"at line (\d+)")
_TOML_TABLE = re.compile(r"\s*(\[\[?)\s*([\w.\"'\- ]+?)\s*\]")
_TOML_KEY = re.compile(r"\s*([\w\-.\"']+)\s*=")


def parse_toml(file: str, text: str) -> Document:
    """One TOML document. Raises `BadFileError` with the line of the error."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_ERROR_LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise bad_file("toml-syntax", file, line, f"Invalid TOML: {str(error).split(' (at ')[0]}.") from error
    except RecursionError as error:
        raise bad_file("toml-syntax", file, 0, "Invalid TOML: nested too deeply.") from error
    return Document(file, value, _toml_lines(text))


def _toml_lines(text: str) -> dict[Path, int]:
    """Paths to lines for table headers and keys; values inside inline tables share their key's line."""
    lines: dict[Path, int] = {(): 1}
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if header := _TOML_TABLE.match(line):
            name: Path = tuple(part.strip(" \"'") for part in header[2].split("."))
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (*name, counts[name])
            else:
                table = _inside_arrays(name, counts)
            lines[table] = number
        elif key := _TOML_KEY.match(line):
            lines.setdefault((*table, *(part.strip("\"'") for part in key[1].split("."))), number)
    return lines


def _inside_arrays(name: Path, counts: Mapping[Path, int]) -> Path:
    """`headers.values` belongs to the newest `[[headers]]`: insert its index."""
    for length in range(len(name) - 1, 0, -1):
        if name[:length] in counts:
            return (*name[:length], counts[name[:length]], *name[length:])
    return name


# --- schemas ---------------------------------------------------------------------------------------------------


def schema_findings(
    document: Document, schema: Mapping[str, Any], rules: Rules, rule: str = "schema", limit: int = 20
) -> Iterator[Finding]:
    """At most `limit` findings of `rule`, one a schema error. Values are never quoted: one could be a secret."""
    import jsonschema
    from referencing import Registry

    validator_class = jsonschema.validators.validator_for(schema)
    validator = validator_class(schema, registry=Registry())  # an empty registry: references never reach the network
    seen: set[tuple[int, str]] = set()
    for error in validator.iter_errors(document.value):
        leaf = _leaf(error)
        path = tuple(leaf.absolute_path)
        extra = _unknown_keys(leaf)
        line = document.line(*path, *extra[:1])
        message = f"{'.'.join(map(str, path)) or 'document'}: {_describe(leaf, extra)}"
        if (line, message) not in seen:
            seen.add((line, message))
            yield rules.at(rule, document.file, line, message)
        if len(seen) >= limit:
            return


def _leaf(error: Any) -> Any:
    """The error behind an `anyOf` or `oneOf`: of the alternative that fits best, the one that lies deepest."""
    while error.context:
        alternatives: dict[Any, list[Any]] = {}
        for cause in error.context:
            alternatives.setdefault(cause.schema_path[0], []).append(cause)
        best = min(alternatives.values(), key=lambda causes: (len(causes), -max(len(c.path) for c in causes)))
        error = max(best, key=lambda cause: len(cause.path))
    return error


def _unknown_keys(error: Any) -> list[str]:
    """The keys that `additionalProperties` or `unevaluatedProperties` refuse; the message is the one place for both."""
    if error.validator not in ("additionalProperties", "unevaluatedProperties") or not isinstance(error.instance, dict):
        return []
    return [key for key in error.instance if repr(key) in error.message]


def _describe(error: Any, unknown: list[str]) -> str:
    """The error in words, from the schema's side only."""
    want = error.validator_value
    match error.validator:
        case "additionalProperties" | "unevaluatedProperties" if unknown:
            hint = get_close_matches(unknown[0], list(error.schema.get("properties", {})), n=1)
            return f"unknown key {unknown[0][:60]!r}" + (f"; did you mean {hint[0]!r}?" if hint else "")
        case "required":
            missing = [key for key in want if key not in error.instance]
            return f"required key {missing[0]!r} is missing" if missing else "a required key is missing"
        case "type":
            return f"must be of type {want if isinstance(want, str) else ' or '.join(want)}"
        case "enum":
            return f"must be one of {', '.join(map(str, want))[:200]}"
        case "const":
            return f"must be {want}"
        case "minimum" | "maximum" | "minItems" | "maxItems" | "minLength" | "maxLength" | "maxProperties" | "pattern":
            return f"breaks the limit {error.validator} {want}"
        case _:
            return f"does not fit the format ({error.validator})"
