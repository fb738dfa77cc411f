"""Deployment facts given as data: metadata keys, a `deployment:` map there, or a YAML or JSON block that holds one.

Each entry is written out as the labelled line a person would have written (`Database: postgresql 16 managed`) and read
by the same finders as prose, so values are normalised in one place only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.devops.spec.claims import LABELLED, METADATA, Claim, Finder, Hit, claim, evidence_at
from tools.devops.spec.markdown import Document, Fence, Statement, parse
from tools.devops.spec.metadata import Metadata, load_yaml
from tools.devops.spec.stance import Stance, context_kind
from tools.devops.spec.vocabulary import words
from tools.devops.types import Evidence

LABELS: Mapping[str, tuple[str, str]] = {
    "application_type": ("application_type", "Application type"),
    "app_type": ("application_type", "Application type"),
    "platform": ("platform", "Deployment platform"),
    "deployment_platform": ("platform", "Deployment platform"),
    "backend_platform": ("platform", "Deployment platform"),
    "hosting": ("platform", "Deployment platform"),
    "provider": ("platform", "Deployment platform"),
    "frontend_platform": ("frontend_platform", "Frontend deployment platform"),
    "region": ("regions", "Region"),
    "regions": ("regions", "Region"),
    "database": ("database", "Database"),
    "db": ("database", "Database"),
    "database_hosting": ("database_hosting", ""),
    "database_replication": ("database_replication", "Database replication"),
    "replication": ("database_replication", "Database replication"),
    "database_backup": ("database_backup", "Database backup"),
    "backup": ("database_backup", "Database backup"),
    "cache": ("cache", "Cache"),
    "queue": ("queue", "Queue"),
    "message_queue": ("queue", "Queue"),
    "cron": ("cron", "Cron job"),
    "schedule": ("cron", "Cron job"),
    "cdn": ("cdn", "CDN"),
    "autoscaling": ("autoscaling", "Auto-scaling"),
    "auto_scaling": ("autoscaling", "Auto-scaling"),
    "load_balancing": ("load_balancing", "Load balancer"),
    "load_balancer": ("load_balancing", "Load balancer"),
    "replicas": ("replicas", "Replicas"),
    "budget": ("budget", "Hosting budget"),
    "monthly_budget": ("budget", "Monthly hosting budget"),
    "compliance": ("compliance", "Compliance"),
    "sla": ("sla", "SLA availability"),
    "availability": ("sla", "SLA availability"),
    "rpo": ("rpo", "RPO"),
    "rto": ("rto", "RTO"),
}
"""Key of a deployment map -> field, and the label under which its value is read."""
HOLDERS = ("deployment", "deploy", "infrastructure", "hosting")
TOP_LEVEL = ("platform", "deployment_platform", "frontend_platform", "region", "regions")


def metadata_claims(document: Document, metadata: Metadata, finders: Sequence[Finder]) -> list[Claim]:
    """What metadata says outright, outranking every other source."""
    entries = {key: metadata.values[key] for key in TOP_LEVEL if key in metadata.values}
    for holder in HOLDERS:
        if isinstance(metadata.values.get(holder), Mapping):
            entries |= metadata.values[holder]
    made: list[Claim] = []
    for key, value in entries.items():
        line = metadata.lines.get(str(key)) or _line_of(document, str(key), metadata.span)
        made += _entry(str(key).lower(), value, evidence_at(document, line), finders, METADATA)
    return made


def fence_claims(document: Document, finders: Sequence[Finder], rank: int) -> list[Claim]:
    """What code blocks with a deployment map say; every other code block is no statement."""
    made: list[Claim] = []
    for fence in document.fences:
        for key, value in _fence_entries(fence):
            span = range(fence.line - 1, fence.line + fence.text.count("\n"))
            line = _line_of(document, key, span)
            made += _entry(key.lower().replace("-", "_"), value, evidence_at(document, line), finders, rank)
    return made


def _fence_entries(fence: Fence) -> Iterator[tuple[str, Any]]:
    if fence.language not in ("yaml", "yml", "json", "jsonc", "") or not any(h in fence.text for h in HOLDERS):
        return
    if context_kind(Statement("", (0,), (fence.line,), "item", headings=fence.headings)) != "stated":
        return
    data = load_yaml(fence.text)
    for holder in HOLDERS:
        held = data.get(holder) if isinstance(data, Mapping) else None
        if isinstance(held, Mapping):
            yield from ((str(key), value) for key, value in held.items())


def _line_of(document: Document, key: str, span: range) -> int:
    """The 1-based line within the 0-based `span` that holds `key:`."""
    for n in span:
        if n < len(document.lines) and document.lines[n].strip().strip("\"'{ -").startswith(key):
            return n + 1
    return min(span.start, len(document.lines) - 1) + 1


def _entry(key: str, value: Any, evidence: Evidence, finders: Sequence[Finder], rank: int) -> list[Claim]:
    if key not in LABELS or value is None:
        return []
    field, label = LABELS[key]
    if isinstance(value, bool):
        stance = Stance("stated" if value else "excluded")
        return [claim(Hit(field, value or None, 0, stance, LABELLED, whole=True), evidence, rank)]
    if field == "database_hosting":
        known = {"managed": "managed", "self-hosted": "self-hosted", "self_hosted": "self-hosted"}.get(
            str(value).lower()
        )
        return [claim(Hit(field, known, 0, Stance("stated"), LABELLED), evidence, rank)] if known else []
    if field in ("platform", "frontend_platform") and str(value).lower() in words()["platforms"]:
        return [claim(Hit(field, str(value).lower(), 0, Stance("stated"), LABELLED), evidence, rank)]
    line = f"- {label}: {_written(field, value)}"
    hits = (hit for s in parse(evidence.file, line).statements for finder in finders for hit in finder(s))
    related = (
        {field, "database_hosting"}
        if field == "database"
        else {field, "platform"}
        if field == "frontend_platform"
        else {field}
    )
    return [claim(hit, evidence, rank) for hit in hits if hit.field in related]


def _written(field: str, value: Any) -> str:
    """A map's value as the words a person would write."""
    if isinstance(value, Mapping):
        parts = [
            f"{k}: {v}" if field in ("autoscaling", "replicas") else k if v is True else str(v)
            for k, v in value.items()
            if v is not False
        ]
        return " ".join(parts) if field != "autoscaling" else ", ".join(parts)
    if isinstance(value, list | tuple):
        return ", ".join(_written(field, item) for item in value)
    if field == "sla" and "%" not in str(value):
        return f"{value} %"
    if field in ("rpo", "rto") and str(value).isdigit():
        return f"{value} minutes"
    return str(value)
