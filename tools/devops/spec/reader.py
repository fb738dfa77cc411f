"""From files on disk to a `Spec`: what it asks for, and what it says, excludes or leaves open about deployment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.devops.spec.application import derive_application_type, find_application_type
from tools.devops.spec.claims import BODY, COMPANION, LABELLED, LINKED, PROJECT, WEAK, Claim, Finder, claims_of, resolve
from tools.devops.spec.configuration import ROOTS, read_configuration
from tools.devops.spec.database import find_database
from tools.devops.spec.files import Source, SpecError
from tools.devops.spec.limits import find_limits
from tools.devops.spec.locate import NO_CLAIMS, SPEC_ROOTS, choose, companions, describe, list_specs, normal_id
from tools.devops.spec.maps import fence_claims, metadata_claims
from tools.devops.spec.markdown import Document, parse
from tools.devops.spec.metadata import Metadata, read_metadata
from tools.devops.spec.platforms import find_platforms, find_regions
from tools.devops.spec.requirements import read_requirements
from tools.devops.spec.schedule import find_cron
from tools.devops.spec.services import find_services
from tools.devops.types import DEPLOYMENT_FIELDS, DeploymentField, Spec

FINDERS: tuple[Finder, ...] = (
    find_application_type,
    find_platforms,
    find_regions,
    find_database,
    find_services,
    find_limits,
    find_cron,
)
MAX_LINKED = 8
NOT_INHERITED = frozenset({"application_type", "cron", "replicas"})
"""Fields that describe one SPEC's own part and do not follow from a SPEC it links to."""
_SPEC_ID = re.compile(r"\bSPEC-[A-Z0-9]+(?:-[A-Z0-9]+)*[a-z]?\b", re.ASCII)


def read_spec(root: Path, spec: str | None = None) -> Spec:
    """Read the SPEC meant by `spec` (an id with or without `SPEC-`, a directory, a file; None: the only one).

    Raises `NoSpec` when the project has none, `SpecError` when none or several match. Odd files are noted, not fatal.
    """
    source = Source(root)
    if not source.root.is_dir():
        raise SpecError(f"{root} is not a directory; give the project's root.")
    main = choose(source, spec)
    text = source.read(main)
    if text is None:
        raise SpecError(f"{source.relative(main)} cannot be read. {' '.join(source.notes[-1:])} Give another SPEC.")
    metadata = read_metadata(text)
    ref = describe(source, main, text, metadata)
    body = parse(ref.path, text, metadata.skip)
    reading = _Reading(source, [ref.path])
    reading.body(body, metadata)
    reading.companions(main)
    reading.linked(ref.id, main, metadata)
    reading.project()
    config = read_configuration(source)
    return Spec(
        id=ref.id,
        title=ref.title,
        files=tuple(reading.files),
        language=language_of(text),
        metadata=metadata.values,
        requirements=read_requirements(body),
        deployment=_deployment(reading.claims),
        config=config,
        notes=tuple(dict.fromkeys(source.notes)),
    )


class _Reading:
    """The claims gathered so far and the files they came from."""

    def __init__(self, source: Source, files: list[str]) -> None:
        self.source = source
        self.files = files
        self.claims: list[Claim] = []

    def body(self, document: Document, metadata: Metadata) -> None:
        self.claims += metadata_claims(document, metadata, FINDERS)
        self._document(document, BODY)
        self.claims += derive_application_type(document, BODY)

    def _document(self, document: Document, rank: int) -> None:
        self.claims += claims_of(document, FINDERS, rank)
        self.claims += fence_claims(document, FINDERS, rank)

    def _file(self, path: Path, rank: int) -> bool:
        """Read `path` as a source of claims of `rank`; False when it is absent or unreadable."""
        name = self.source.relative(path)
        if name in self.files:
            return False
        text = self.source.read(path)
        if text is None:
            return False
        self.files.append(name)
        if path.name not in NO_CLAIMS:
            self._document(parse(name, text, read_metadata(text).skip), rank)
        return True

    def companions(self, main: Path) -> None:
        for path in companions(main):
            self._file(path, COMPANION)

    def linked(self, own: str, main: Path, metadata: Metadata) -> None:
        """SPECs named in the metadata, one level deep, and what sibling agents wrote about this SPEC."""
        wanted = [one for one in _links(metadata.values) if one.lower() != own.lower()][:MAX_LINKED]
        before = len(self.claims)
        if wanted:
            by_id = {ref.id.lower(): ref.path for ref in list_specs(self.source)}
            for one in wanted:
                path = by_id.get(one.lower())
                if path is None:
                    self.source.notes.append(f"{one}: linked, but not found under {' or '.join(SPEC_ROOTS)}.")
                elif self.source.root / path != main:
                    self._file(self.source.root / path, LINKED)
        for root in ROOTS:
            for side in ("backend", "frontend"):
                self._file(self.source.root / root / "docs" / f"{side}-architecture-{own}.md", LINKED)
        kept = [c for c in self.claims[before:] if c.kind == "stated" and c.field not in NOT_INHERITED]
        self.claims[before:] = kept

    def project(self) -> None:
        """The project documents: `tech.md` speaks of deployment, the others are listed as context."""
        for root in ROOTS:
            place = self.source.root / root / "project"
            if self._file(place / "tech.md", PROJECT):
                self.claims = [c for c in self.claims if c.rank != PROJECT or c.field not in NOT_INHERITED]
            for name in ("product.md", "structure.md"):
                if (place / name).is_file() and self.source.inside(place / name):
                    self.files.append(self.source.relative(place / name))


def _links(values: dict[str, Any]) -> list[str]:
    """Ids of the SPECs a SPEC names as its dependencies or relatives, in order, without repeats."""
    found: dict[str, None] = {}
    for key in ("depends_on", "related_specs", "parent"):
        value = values.get(key)
        for item in value if isinstance(value, list) else [value]:
            text = str(item or "")
            ids = _SPEC_ID.findall(text) or (
                [normal_id(text)] if re.fullmatch(r"[A-Z][A-Z0-9-]*-\d{3}[a-z]?", text.strip()) else []
            )
            found.update(dict.fromkeys(ids))
    return list(found)


def _deployment(claims: Iterable[Claim]) -> dict[str, DeploymentField]:
    """Every field, in the fixed order; what fields say together is added: both ends have a home, so both ends exist."""
    claims = list(claims)
    fields = {name: resolve(name, [c for c in claims if c.field == name]) for name in DEPLOYMENT_FIELDS}
    if fields["application_type"].value in ("library", "cli") and not any(
        c.strength == LABELLED or c.rank != BODY for c in claims if c.field == "platform"
    ):
        fields["platform"] = DeploymentField()  # where it can be used, not where it is hosted
    kind, front, back = (fields[name] for name in ("application_type", "frontend_platform", "platform"))
    if kind.value == "frontend" and kind.evidence and fields["database"].status == "stated" and _only_derived(claims):
        fields["application_type"] = kind = DeploymentField(evidence=kind.evidence)
    together = front.status == back.status == "stated" and front.evidence[0].file == back.evidence[0].file
    if kind.status == "not_stated" and together:
        evidence = (*front.evidence[:1], *back.evidence[:1])
        fields["application_type"] = DeploymentField("stated", "full-stack", evidence)
    undecided = any(c.kind == "undecided" and c.field == "platform" for c in claims)
    if (
        kind.value in ("frontend", "static")
        and front.status == "stated"
        and back.status == "not_stated"
        and not undecided
    ):
        fields["platform"] = front
    return fields


def _only_derived(claims: Iterable[Claim]) -> bool:
    """Whether the application type only follows from a listed front end. With a database beside it, it is unclear."""
    return all(c.strength == WEAK for c in claims if c.field == "application_type" and c.kind == "stated")


_STOPWORDS: tuple[tuple[str, str], ...] = (
    ("es", r"\b(?:el|los|las|una?|que|para|del|con|por|está|debe)\b"),
    ("pt", r"\b(?:os|uma?|que|para|com|não|são|deve|dos)\b"),
    ("fr", r"\b(?:le|les|des|une?|est|pour|avec|dans|doit)\b"),
    ("de", r"\b(?:der|die|das|und|ist|mit|für|nicht|muss)\b"),
    ("nl", r"\b(?:het|een|van|niet|voor|met|wordt|moet)\b"),
    ("en", r"\b(?:the|and|shall|of|to|is|for|with|when)\b"),
)


def language_of(text: str) -> str:
    """The language of the prose. Mixed Korean and English counts as Korean from a quarter of Korean letters on."""
    text = re.sub(r"```.*?```", " ", text[:200_000], flags=re.DOTALL)
    counts = {
        name: len(re.findall(rx, text))
        for name, rx in (("ko", "[가-힣]"), ("ja", "[ぁ-ヿ]"), ("zh", "[一-鿿]"), ("latin", "[A-Za-z]"))
    }
    wide = counts["ko"] + counts["ja"] + counts["zh"]
    if wide and wide >= counts["latin"] / 4:
        if counts["ko"] >= max(counts["ja"], counts["zh"]):
            return "ko"
        return "ja" if counts["ja"] * 4 >= counts["zh"] else "zh"
    scores = {name: len(re.findall(rx, text, re.IGNORECASE)) for name, rx in _STOPWORDS}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > scores["en"] else "en"
