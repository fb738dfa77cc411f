"""Next.js: route files for the probes and metrics, and `instrumentation` for what runs once at start."""

from __future__ import annotations

import re

from tools.devops.instrument.script_code import ScriptFile
from tools.devops.instrument.script_handles import find_clients, name_in, open_script, optional_names, own_check
from tools.devops.instrument.script_templates import render_script
from tools.devops.instrument.source import Unit, newline_of
from tools.devops.instrument.types import Draft
from tools.devops.render import Quoted

_REGISTER = re.compile(r"(?m)^export\s+async\s+function\s+register\s*\(\)[^{\n]*\{[ \t]*\r?$")
_AT_START = {"metrics": "request-metrics", "json_logs": "json-console"}


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
        values = self._checks(draft, name) if subject == "health" else {"up": "../../"}
        draft.new[name] = self._render(f"next_{route}", segment_config=self.segment_config, **values)
        draft.added.append(subject)

    def _checks(self, draft: Draft, name: str) -> dict[str, object]:
        clients, own, notes = find_clients(self.unit, None)
        draft.notes += notes
        empty = ScriptFile("export {};\n")  # the route file holds nothing yet that a name could clash with
        imports: list[str] = []
        checks: list[str] = []
        for client in clients:
            local, line = name_in(empty, name, client, "")
            imports += [line] if line else []
            checks.append(f"{client.handle.role}: () => {client.ask(local)}")
        checks += [own_check(handle) for handle in own]
        roles = [client.handle.role for client in clients] + [handle.role for handle in own]
        opened = [(handle.kind, handle.name) for handle in own]
        return {
            "imports": Quoted("\n".join(imports)),
            "checks": Quoted(", ".join(checks)),
            "own": opened,
            "optional": optional_names(self.unit, roles),
        }

    def start_up(self, draft: Draft) -> None:
        """Modules that run once at start, called from the `instrumentation` file, which may be there already."""
        subjects = [name for name in _AT_START if name in self.unit.subjects]
        flags: dict[str, object] = {name: name in subjects for name in _AT_START}
        taken = [name for name in subjects if self.unit.exists(f"{self.source}lib/{_AT_START[name]}.{self.ending}")]
        if taken:
            self._give_up(draft, subjects, f"{self.source}lib/{_AT_START[taken[0]]}.{self.ending} exists already")
            return
        present = self.unit.folder.first(*(f"{self.source}instrumentation.{ending}" for ending in ("ts", "js")))
        if present:
            file = open_script(self.unit, present)
            opening = _REGISTER.search(file.masked) if file else None
            if file is None or opening is None:
                self._give_up(draft, subjects, f"{present} has no `export async function register() {{` to add to")
                return
            lines = self._render("next_register", **flags).splitlines()
            file.edits.insert_after(file.line_of(opening.start()), *(file.styled(line) for line in lines))
            draft.edited[present] = file.edits.result()
        else:
            draft.new[f"{self.source}instrumentation.{self.ending}"] = self._render("next_instrumentation", **flags)
        if "json_logs" in subjects:
            draft.notes.append("Next.js writes its banner before the start-up hook runs: those lines stay plain text.")
        for name in subjects:
            text = self._render(_AT_START[name].replace("-", "_"), routes=False, request_ids=False)
            draft.new[f"{self.source}lib/{_AT_START[name]}.{self.ending}"] = text
        draft.added += [subject for subject in subjects if subject not in draft.added]

    def _give_up(self, draft: Draft, subjects: list[str], why: str) -> None:
        """Leave out what cannot be started, the route of the metrics too: a route without counts would mislead."""
        draft.unsupported.append(f"{', '.join(subjects)}: {why}. Nothing was added for them.")
        draft.added[:] = [subject for subject in draft.added if subject not in subjects]
        draft.new.pop(f"{self.source}app/metrics/route.{self.ending}", None)

    def _render(self, template: str, **values: object) -> str:
        return render_script(template, values, newline=self.newline, typed=self.typed)
