"""New JavaScript and TypeScript modules beside an existing file, written in its dialect."""

from __future__ import annotations

from collections.abc import Mapping

from tools.devops.instrument.script_code import ScriptFile
from tools.devops.instrument.script_templates import render_script
from tools.devops.instrument.source import Unit
from tools.devops.render import Quoted


class Modules:
    """New modules beside the application's file, written in its dialect."""

    def __init__(self, unit: Unit, path: str, file: ScriptFile) -> None:
        self.unit = unit
        self.path = path
        self.file = file
        self.ending = path.rpartition(".")[2]
        self.typed = self.ending in ("ts", "mts", "cts")
        self.extension = file.extension if file.extension != "?" else self._usual_extension()

    def _usual_extension(self) -> str:
        if not self.file.is_module:
            return ""
        if not self.typed:
            return f".{self.ending}"
        options = self.unit.folder.read("tsconfig.json").lower()
        return ".js" if "nodenext" in options or "node16" in options else ""

    def new(self, *stems: str) -> str:
        """The path of a module to be written, under the first stem that is free."""
        folder = self.path.rpartition("/")[0]
        lead = f"{folder}/" if folder else ""
        free = self.unit.free(*(f"{lead}{stem}.{self.ending}" for stem in stems))
        return free or f"{lead}{stems[0]}-for-operations.{self.ending}"

    def render(self, template: str, values: Mapping[str, object]) -> str:
        newline = self.file.edits.newline
        values = {"extension": Quoted(self.extension), **values}
        return render_script(template, values, newline=newline, typed=self.typed, like=self.file)

    def import_from(self, target: str, names: list[str]) -> str:
        stem = target.rpartition("/")[2].rpartition(".")[0]
        return self.file.import_line(f"{{ {', '.join(sorted(names))} }}", f"./{stem}{self.extension}")
