"""Next.js: route files for the probes and metrics, and `instrumentation` for what runs once at start."""

from __future__ import annotations

import re

from tools.devops.instrument.source import Unit, newline_of, render_app
from tools.devops.instrument.types import Draft


def plan(unit: Unit) -> Draft:
    draft = Draft()
    source = next((lead for lead in ("", "src/") if _has_routes(unit, lead)), None)
    config = _config(unit)
    if source is None or re.search(r"output\s*:\s*[\"']export[\"']", config):
        why = "no `app` folder was found" if source is None else "a static export serves no routes"
        draft.unsupported.append(f"{', '.join(unit.subjects)}: {why}; add them where the site is served.")
        return draft
    files = _Files(unit, source, config)
    for subject, route in (("health", "health"), ("liveness", "livez"), ("metrics", "metrics")):
        if subject in unit.subjects:
            files.route(draft, subject, route)
    if {"metrics", "json_logs"} & set(unit.subjects):
        files.start_up(draft)
    if guards := [name for name in _guards(unit) if name]:
        draft.notes.append(f"{guards[0]} sees every request: let /health, /livez and /metrics through.")
    if "basePath" in config:
        draft.notes.append("next.config sets basePath: the routes answer below it.")
    return draft


def _has_routes(unit: Unit, lead: str) -> bool:
    return unit.folder.has_folder(f"{lead}app")


def _config(unit: Unit) -> str:
    name = unit.folder.first("next.config.ts", "next.config.mjs", "next.config.js", "next.config.mts")
    return unit.folder.source(name) if name else ""


def _guards(unit: Unit) -> list[str | None]:
    return [
        unit.folder.first(*(f"{lead}{name}.{ending}" for ending in ("ts", "js")))
        for lead in ("", "src/")
        for name in ("proxy", "middleware")
    ]


class _Files:
    """Writes the templates in the project's own dialect."""

    def __init__(self, unit: Unit, source: str, config: str) -> None:
        self.unit = unit
        self.source = source
        self.typed = unit.folder.first("tsconfig.json") is not None
        self.ending = "ts" if self.typed else "js"
        self.newline = newline_of(unit.exact("package.json") or "")
        # With cached components every handler runs at request time and the segment option is an error.
        self.segment_config = not re.search(r"cacheComponents|dynamicIO", config)

    def route(self, draft: Draft, subject: str, route: str) -> None:
        name = f"{self.source}app/{route}/route.{self.ending}"
        if self.unit.exists(name):
            draft.unsupported.append(f"{subject}: {name} exists and was left alone.")
            return
        draft.new[name] = self._render(f"next_{route}", segment_config=self.segment_config, up="../../")
        draft.added.append(subject)

    def start_up(self, draft: Draft) -> None:
        wanted = {"metrics": "request-metrics", "json_logs": "json-console"}
        subjects = [name for name in wanted if name in self.unit.subjects]
        for name in subjects:
            template = wanted[name].replace("-", "_")
            draft.new[f"{self.source}lib/{wanted[name]}.{self.ending}"] = self._render(template)
        present = self.unit.folder.first(*(f"{self.source}instrumentation.{ending}" for ending in ("ts", "js")))
        if present:
            draft.unsupported.append(
                f"{', '.join(subjects)}: written, not wired: call them in register() of {present}."
            )
            draft.added[:] = [subject for subject in draft.added if subject != "metrics"]
            return
        draft.new[f"{self.source}instrumentation.{self.ending}"] = self._render(
            "next_instrumentation", json_logs="json_logs" in subjects, metrics="metrics" in subjects
        )
        draft.added += [subject for subject in subjects if subject not in draft.added]

    def _render(self, template: str, **values: object) -> str:
        return typescript(render_app(f"node/{template}.js.j2", values, self.newline), typed=self.typed)


def typescript(text: str, *, typed: bool) -> str:
    """The text with what stands between « and » kept for TypeScript, left out for JavaScript."""
    if typed:
        return text.replace("«", "").replace("»", "")
    return re.sub(r"«[^»]*»", "", re.sub(r"(?m)^«[^»]*»\r?\n", "", text))
