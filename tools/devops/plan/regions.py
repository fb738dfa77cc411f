"""The region a platform calls by its own name, found in what a SPEC says of regions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Table = Sequence[tuple[str, str]]

_RAILWAY: Table = (
    (r"korea|seoul|japan|tokyo|singapore|asia|ap-|한국|서울|\bkr\b|\bjp\b", "asia-southeast1-eqsg3a"),
    (r"europe|eu-|frankfurt|london|amsterdam|ireland|germany", "europe-west4-drams3a"),
    (r"us-east|virginia|new york|iad", "us-east4-eqdc4a"),
    (r"us-west|california|oregon|san francisco", "us-west2"),
)

# Place -> how a SPEC names it; the same place in each vendor's own words. Vendors' region lists, as of 2026-11.
_NAMES = {
    "seoul": r"korea|seoul|ap-northeast-2|icn|한국|서울|\bkr\b",
    "tokyo": r"japan|tokyo|ap-northeast-1|hnd|\bjp\b",
    "singapore": r"singapore|ap-southeast-1",
    "frankfurt": r"frankfurt|germany|eu-central",
    "london": r"london|eu-west-2",
    "us-west": r"us-west|california|san francisco|sfo",
    "us-east": r"us-east|virginia|iad",
}
_VENDORS = {
    "vercel": "icn1 hnd1 sin1 fra1 lhr1 sfo1 iad1",
    "aws": "ap-northeast-2 ap-northeast-1 ap-southeast-1 eu-central-1 eu-west-2 us-west-2 us-east-1",
    "gcp": "asia-northeast3 asia-northeast1 asia-southeast1 europe-west3 europe-west2 us-west1 us-east4",
    "azure": "koreacentral japaneast southeastasia germanywestcentral uksouth westus2 eastus",
    # No data centre in Korea or Japan: Singapore is the nearest.
    "digitalocean": "sgp1 sgp1 sgp1 fra1 lon1 sfo3 nyc3",
}
_DEFAULTS = {"aws": "us-east-1", "gcp": "us-central1", "azure": "eastus", "digitalocean": "nyc3"}
"""Where nothing is stated: the region whose prices are on record, or the vendor's first one."""


def regions(stated: str | None) -> Mapping[str, str]:
    """Vendor -> region. Where `stated` names no known place: "" for `railway` and `vercel`, else a default."""
    text = (stated or "").lower()
    found = {"railway": _first(text, _RAILWAY), "stated": stated or ""}
    for vendor, names in _VENDORS.items():
        table = tuple(zip(_NAMES.values(), names.split(), strict=True))
        found[vendor] = _first(text, table) or _DEFAULTS.get(vendor, "")
    return found


def _first(text: str, table: Table) -> str:
    return next((name for pattern, name in table if re.search(pattern, text)), "") if text else ""
