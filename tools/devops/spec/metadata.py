"""The five shapes of SPEC metadata: front matter, table, list or quote lines, YAML after the title, none.

YAML is read leniently: bare `@`, tabs and repeated keys are common in real files. Scalars other than true, false, null
and whole numbers stay text, so versions and dates keep their spelling. Aliases are refused (they can explode).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tools.devops.spec.markdown import cells, mask, plain
from tools.devops.spec.vocabulary import found, words

MAX_YAML = 64 * 1024
_KEY_LINE = re.compile(
    r"^\s{0,3}(?:[-*+]\s+|>\s*)*(?:\*\*|__)?([^\s:：|*][^::|*\n]{0,40}?)(?:\*\*|__)?\s*[::](?:\*\*|__)?\s+(.+?)\s*$"
)
_BARE = re.compile(r"^(\s*(?:- )?(?:[\w.-]+:\s+)?)([@`%].*?)\s*$")
_KNOWN = frozenset(
    (
        "id",
        "title",
        "status",
        "version",
        "priority",
        "created",
        "updated",
        "author",
        "depends_on",
        "related_specs",
        "assigned",
        "category",
        "tags",
        "labels",
        "epic",
        "type",
        "blocks",
        "parent",
        "lifecycle",
        "issue_number",
        "domain",
        "phase",
        "completed",
        "spec",
        "scope",
    )
)


@dataclass(slots=True)
class Metadata:
    """`values` by normalised key; `lines` the 1-based line of each key; `span` the 0-based lines it took up."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    span: range = range(0)
    loose: bool = False
    """True for a table or lines of prose, in which other facts may stand between the keys of metadata."""

    @property
    def skip(self) -> Container[int]:
        """The 0-based lines that are metadata and nothing else."""
        return {self.lines[key] - 1 for key in self.values if key in _KNOWN} if self.loose else self.span


def read_metadata(text: str) -> Metadata:
    """The metadata of a SPEC text, whatever its shape; empty when there is none."""
    lines = text.split("\n")
    for shape in (_front_matter, _after_title, _table, _key_lines):
        metadata = shape(lines)
        if metadata.values:
            return metadata
    return Metadata()


def _front_matter(lines: list[str]) -> Metadata:
    start = next((n for n, line in enumerate(lines[:5]) if line.strip()), None)
    if start is None or lines[start].strip() != "---":
        return Metadata()
    return _block(lines, start + 1, "---")


def _after_title(lines: list[str]) -> Metadata:
    """`# Title`, then a `---` block or a fenced yaml block before any other heading."""
    for n, line in enumerate(lines[:40]):
        stripped = line.strip()
        if n and stripped.startswith("##"):
            return Metadata()
        if stripped == "---" and n + 1 < len(lines) and re.match(r"^[\w-]+:\s", lines[n + 1]):
            return _block(lines, n + 1, "---")
        if re.fullmatch(r"```ya?ml", stripped.lower()):
            return _block(lines, n + 1, "```")
    return Metadata()


def _block(lines: list[str], start: int, closing: str) -> Metadata:
    end = next((n for n in range(start, len(lines)) if lines[n].strip() in (closing, "...")), None)
    if end is None:
        end = next(
            (n for n in range(start, len(lines)) if lines[n].startswith("#") or not lines[n].strip()), len(lines)
        )
    values = load_yaml("\n".join(lines[start:end]))
    if not isinstance(values, dict):
        return Metadata()
    span = range(start - 1, min(end + 1, len(lines)))
    return _normalised(
        values,
        {line.split(":")[0].strip(): n + 1 for n, line in enumerate(lines[start:end], start) if ":" in line},
        span,
    )


def _normalised(values: Mapping[Any, Any], lines: Mapping[str, int], span: range) -> Metadata:
    metadata = Metadata(span=span)
    for key, value in values.items():
        name = _key(str(key))
        metadata.values.setdefault(name, value)
        metadata.lines.setdefault(name, lines.get(str(key), span.start + 1))
    return metadata


def _key(text: str) -> str:
    name = re.sub(r"[\s-]+", "_", plain(text))
    return str(words()["metadata_keys"].get(name, name))


def _table(lines: list[str]) -> Metadata:
    """A two-column table near the top whose first column holds known keys."""
    for n, line in enumerate(lines[:60]):
        if not line.lstrip().startswith("|"):
            continue
        end = next((m for m in range(n, len(lines)) if not lines[m].lstrip().startswith("|")), len(lines))
        pairs, numbers = dict[str, str](), dict[str, int]()
        for m in range(n, end):
            spans = cells(lines[m])
            if len(spans) == 2 and not set(lines[m].strip()) <= set("|-: "):
                key = mask(lines[m])[slice(*spans[0])].strip()
                pairs.setdefault(key, mask(lines[m])[slice(*spans[1])].strip())
                numbers.setdefault(key, m + 1)
        metadata = _normalised(pairs, numbers, range(n, end))
        metadata.loose = True
        if len(_KNOWN & set(metadata.values)) >= 2:
            metadata.values = {
                k: _split(k, v) for k, v in metadata.values.items() if k not in ("항목", "field", "속성")
            }
            return metadata
        return Metadata()
    return Metadata()


def _key_lines(lines: list[str]) -> Metadata:
    """`- Status: x`, `**Status**: x` and `> Status: x` lines before the first section of prose."""
    pairs, numbers = dict[str, str](), dict[str, int]()
    first = last = 0
    for n, line in enumerate(lines[:60]):
        if re.match(r"^#{2,}\s", line) and not found("metadata_headings", plain(line)):
            break
        match = _KEY_LINE.match(line)
        if match is not None and _key(match[1]) in _KNOWN:
            first, last = first or n, n
            pairs.setdefault(match[1], mask(match[2]).strip())
            numbers.setdefault(match[1], n + 1)
    metadata = _normalised(pairs, numbers, range(first, last + 1) if pairs else range(0))
    metadata.values = {k: _split(k, v) for k, v in metadata.values.items()}
    metadata.loose = True
    return metadata if len(metadata.values) >= 2 else Metadata()


def _split(key: str, value: Any) -> Any:
    """Lists written as text: `SPEC-A-001 (x), SPEC-B-002`."""
    if key in ("depends_on", "related_specs", "blocks", "tags", "labels") and isinstance(value, str):
        return [
            part
            for part in (p.strip() for p in re.split(r"[,;]\s*(?![^(]*\))", value))
            if part and part not in ("-", "없음", "none")
        ]
    return value


def load_yaml(text: str) -> Any:
    """YAML as data; what strict YAML refuses is read line by line as `key: value`. Never raises."""
    import yaml

    prepared = "\n".join(_quoted(line.replace("\t", "  ")) for line in text[:MAX_YAML].split("\n"))
    try:
        return yaml.load(prepared, Loader=_loader())  # noqa: S506 - a safe loader with fewer types
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        return _by_lines(prepared)


def _quoted(line: str) -> str:
    match = _BARE.match(line)
    return line if match is None else match[1] + "'" + match[2].replace("'", "''") + "'"


@cache
def _loader() -> Any:
    import yaml

    class Lenient(yaml.SafeLoader):
        """Safe YAML whose dates, versions and decimals stay text and whose aliases are refused."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("aliases are not read")
            return super().compose_node(parent, index)

    kept = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:null")
    Lenient.yaml_implicit_resolvers = {
        first: [(tag, rx) for tag, rx in resolvers if tag in kept]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Lenient


def _by_lines(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    current = ""
    for line in text.split("\n"):
        pair = re.match(r"^([A-Za-z_][\w -]{0,40}):\s*(.*?)\s*$", line)
        item = re.match(r"^\s*-\s+(.+?)\s*$", line)
        if pair is not None:
            current = pair[1]
            values[current] = _scalar(pair[2])
        elif (item is not None and current and values[current] in (None, "")) or (
            item is not None and isinstance(values.get(current), list)
        ):
            values[current] = [*(values[current] or []), _scalar(item[1])]
    return values


def _scalar(text: str) -> Any:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [part.strip(" '\"") for part in text[1:-1].split(",") if part.strip()]
    text = text.strip("'\"")
    return None if text in ("", "null", "~") else text
