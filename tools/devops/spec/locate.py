"""Finding SPEC documents: both roots, every id spelling seen in real projects, nested groups and flat files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tools.devops.spec.files import Source, SpecError
from tools.devops.spec.markdown import mask
from tools.devops.spec.metadata import Metadata, read_metadata
from tools.devops.spec.vocabulary import found, words

SPEC_ROOTS = (".do/specs", ".moai/specs")
MAIN = "spec.md"
COMPANIONS = (
    "plan.md",
    "acceptance.md",
    "design.md",
    "tasks.md",
    "spec-compact.md",
    "research.md",
    "progress.md",
    "interview.md",
    "tech.md",
)
NO_CLAIMS = frozenset({"research.md", "progress.md", "interview.md"})
"""Companions that weigh options or report history: read, listed, but no source of deployment claims."""
MAX_SPECS = 2000
_ID = re.compile(r"^SPEC-[A-Z0-9][A-Za-z0-9_-]*$")
_TITLE_ID = re.compile(r"^\s*@?(?:SPEC:[A-Z0-9-]+|SPEC-[A-Z0-9][A-Z0-9-]*[0-9a-zA-Z]*|\[[^\]]{1,40}\])\s*[::—–-]?\s*")


class NoSpec(SpecError):  # noqa: N818 - the name says what is missing
    """The project has no SPEC at all."""


@dataclass(frozen=True, slots=True)
class SpecRef:
    """One SPEC: `path` is its main file relative to the root; `title` and `status` as its author wrote them."""

    id: str
    path: str
    title: str
    status: str


def find_specs(root: Path) -> list[SpecRef]:
    """Every SPEC below `root`, `.do` before `.moai`, each ordered by path. An id found in both is listed once."""
    return list_specs(Source(root))


def list_specs(source: Source) -> list[SpecRef]:
    """`find_specs` on an open source."""
    refs: dict[str, SpecRef] = {}
    for base in SPEC_ROOTS:
        for path in _main_files(source, source.root / base):
            text = source.read(path)
            if text is not None:
                ref = describe(source, path, text)
                refs.setdefault(ref.id if ref.id != "SPEC" else ref.path, ref)
    return list(refs.values())


def describe(source: Source, path: Path, text: str, metadata: Metadata | None = None) -> SpecRef:
    """The reference to the SPEC in `path`."""
    values = (metadata or read_metadata(text)).values
    identity = spec_id(path, values.get("id") or values.get("spec_id"))
    title = str(values.get("title") or "") or _heading(text)
    return SpecRef(
        identity, source.relative(path), _TITLE_ID.sub("", title).strip() or identity, str(values.get("status") or "")
    )


def spec_id(path: Path, stated: object = None) -> str:
    """The id with its `SPEC-` prefix: from the directory or file name, else from the metadata."""
    for name in (path.parent.name if path.name.lower() == MAIN else path.stem, path.parent.name):
        if name.upper().startswith("SPEC-"):
            return name
    text = str(stated or "").strip()
    if text and re.fullmatch(r"[A-Za-z0-9_-]{1,60}", text):
        return normal_id(text)
    return path.parent.name if path.name.lower() == MAIN else path.stem


def normal_id(text: str) -> str:
    """`AUTH-001` and `spec-auth-001` as `SPEC-AUTH-001`."""
    text = text.strip().strip("@`'\"")
    if text[:5].upper() == "SPEC-":
        return "SPEC-" + text[5:]
    return f"SPEC-{text}"


def _heading(text: str) -> str:
    for line in text.split("\n")[:80]:
        if line.startswith("# "):
            return mask(line).strip()
    return ""


def _main_files(source: Source, base: Path) -> list[Path]:
    """`spec.md` in any directory below `base`, and flat `SPEC-*.md` files. Links to directories are not followed."""
    if not base.is_dir() or not source.inside(base):
        return []
    found_files: list[Path] = []
    for here, directories, files in os.walk(base):
        directories[:] = sorted(d for d in directories if not d.startswith("."))
        place = Path(here)
        mains = [name for name in files if name.lower() == MAIN]
        flat = [
            n
            for n in files
            if n.upper().startswith("SPEC-") and n.lower().endswith(".md") and n.lower() not in COMPANIONS
        ]
        is_spec_home = bool(mains) or (place.name.upper().startswith("SPEC-") and not flat)
        chosen = mains[:1] if is_spec_home else sorted(flat)
        found_files += [place / name for name in chosen]
        if len(found_files) > MAX_SPECS or len(place.relative_to(base).parts) >= 6:
            directories.clear()
    return sorted(found_files)[:MAX_SPECS]


def choose(source: Source, wanted: str | None) -> Path:
    """The main file of the SPEC meant by an id, a directory, a file, or nothing. Raises `SpecError` or `NoSpec`."""
    if wanted is not None and wanted.strip():
        return _by_name(source, wanted.strip())
    refs = list_specs(source)
    if not refs:
        places = " and ".join(f"{base}/" for base in SPEC_ROOTS)
        raise NoSpec(
            f"No SPEC was found under {source.root}: looked for {MAIN} in {places}. "
            "Write one (.do/specs/SPEC-DEPLOY-001/spec.md), or name a file with `spec`."
        )
    if len(refs) == 1:
        return source.root / refs[0].path
    about = [ref for ref in refs if _about_deployment(ref)]
    if len(about) == 1:
        return source.root / about[0].path
    which = (
        "Several SPECs are about deployment" if about else "There are several SPECs and none is named for deployment"
    )
    raise SpecError(f"{which}; name one of: {_listing(about or refs)}.")


def _about_deployment(ref: SpecRef) -> bool:
    domains = set(ref.id.upper().split("-")[1:])
    return bool(domains & set(words()["deployment_domains"])) or found("deployment_titles", ref.title)


def _listing(refs: list[SpecRef]) -> str:
    shown = ", ".join(f"{ref.id} ({ref.title})" if ref.title != ref.id else ref.id for ref in refs[:12])
    return shown + (f" and {len(refs) - 12} more" if len(refs) > 12 else "")


def _by_name(source: Source, wanted: str) -> Path:
    looks_like_path = "/" in wanted or "\\" in wanted or wanted.lower().endswith((".md", ".txt"))
    path = _as_path(source, wanted)
    if path is not None:
        return path
    refs = list_specs(source)
    target = normal_id(wanted).lower()
    matching = [ref for ref in refs if ref.id.lower() == target] or [r for r in refs if r.id.lower() == wanted.lower()]
    if len(matching) == 1 and not looks_like_path:
        return source.root / matching[0].path
    kind = "a file or directory" if looks_like_path else f"the id {normal_id(wanted)}"
    there = f"There are: {_listing(refs)}." if refs else "The project has no SPEC at all."
    error = SpecError if refs else NoSpec
    raise error(
        f"No SPEC matches {wanted[:120]!r}: looked for {kind} under {source.root}. "
        f"{there} Name one of these, or give a path."
    )


def _as_path(source: Source, wanted: str) -> Path | None:
    """`wanted` as a file, or a directory that holds a SPEC; None when there is no such path."""
    try:
        path = source.root / Path(wanted).expanduser()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError):
        return None
    if not exists:
        return None
    if not source.inside(path):
        raise SpecError(f"{wanted[:120]!r} lies outside the project {source.root}; give a path inside it.")
    if path.is_file():
        return path
    inside = [p for p in sorted(path.iterdir()) if p.name.lower() == MAIN] or _main_files(source, path)
    if len(inside) == 1:
        return inside[0]
    if not inside:
        names = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
        raise SpecError(f"{wanted[:120]!r} holds no {MAIN}; it holds {names}. Name the SPEC's file.")
    raise SpecError(
        f"{wanted[:120]!r} holds {len(inside)} SPECs; name one: {', '.join(source.relative(p) for p in inside[:8])}."
    )


def companions(path: Path) -> list[Path]:
    """The files beside a SPEC's `spec.md` that belong to it, in reading order. A flat SPEC has none."""
    if path.name.lower() != MAIN:
        return []
    return [path.parent / name for name in COMPANIONS if (path.parent / name).is_file()]
