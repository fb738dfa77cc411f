"""What speaks against reading or writing a path: rules, containment, protected names, credentials."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from agent.permissions import paths
from agent.permissions.decision import Judgement, Mode
from agent.permissions.paths import BadPath, Place
from agent.permissions.rules import Rule, Rules

HARMLESS_DEVICES = frozenset({"/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty"})
Use = Literal["Read", "Edit"]


@dataclass(slots=True)
class Files:
    """Judges paths for one engine. `directories` are the working directories, by both of their forms."""

    rules: Rules
    cwd: str
    home: str
    directories: tuple[Place, ...]
    mode: Mode
    granted: tuple[Rule, ...] = ()

    def locate(self, judgement: Judgement, path: str, at: str, part: str | None = None) -> Place | None:
        """Where `path` leads, or None with a finding."""
        try:
            return paths.locate(path, at, self.home)
        except BadPath as error:
            if part is None:
                judgement.deny("bad_path", path=path, what=str(error))
            else:
                judgement.ask("bad_path", part=part, path=path, what=str(error), firm=True)
            return None

    def by_rules(self, judgement: Judgement, place: Place, uses: Iterable[Use], part: str | None = None) -> bool:
        """Findings of deny and ask rules; whether there were any."""
        before = len(judgement.findings)
        for use in uses:
            kinds: tuple[Literal["deny", "ask"], ...] = ("deny", "ask")
            for kind in kinds:
                for rule in self.rules.of(kind, use):
                    if paths.rule_matches(rule, place, self.cwd, self.home):
                        judgement.by_rule(kind, rule.text, part)
        return len(judgement.findings) > before

    def read(self, judgement: Judgement, path: str, at: str, *, tool: str = "Read", part: str | None = None) -> None:
        """Findings against reading `path`; `part` is the shell command it stands in."""
        place = self.locate(judgement, path, at, part)
        if place is None or (part is not None and place.spelled in HARMLESS_DEVICES):
            return
        self.by_rules(judgement, place, ("Read",), part)
        if _opens_network(place):
            judgement.ask("network_target", part=part, path=path, firm=True)
            return
        if paths.secret_process_file(place) or (part is None and paths.special(place)):
            judgement.deny("special_file", part=part, path=place.shown())
            return
        named = self._allowing("Read", place, tool)
        if paths.credentials(place, self.home) and (named is None or named.whole):
            judgement.ask("credentials", part=part, path=place.shown(), firm=True)
        elif named is not None and not paths.contained(place, self.directories):
            judgement.allowed_by.append(named.text)
        elif not paths.contained(place, self.directories):
            judgement.ask("outside_read", part=part, path=place.shown())
            self._suggest(judgement, "Read", place)

    def write(self, judgement: Judgement, path: str, at: str, *, tool: str = "Edit", part: str | None = None) -> None:
        """Findings against writing `path`. A Read deny also forbids writing."""
        place = self.locate(judgement, path, at, part)
        if place is None or (part is not None and place.spelled in HARMLESS_DEVICES):
            return
        self.by_rules(judgement, place, ("Edit",), part)
        for rule in self.rules.of("deny", "Read"):
            if paths.rule_matches(rule, place, self.cwd, self.home):
                judgement.by_rule("deny", rule.text, part)
        if _opens_network(place):
            judgement.ask("network_target", part=part, path=path, firm=True)
            return
        if paths.special(place):
            judgement.deny("special_file", part=part, path=place.shown())
            return
        if self.mode == "plan":
            judgement.deny("plan_mode_edit", part=part, path=place.shown())
        self.guard(judgement, place, tool=tool, part=part)
        self._permit(judgement, place, tool, part)

    def guard(self, judgement: Judgement, place: Place, *, tool: str = "Edit", part: str | None = None) -> None:
        """Findings that no rule lifts: protected names, other names of the same file."""
        what = paths.protected(place, self.home)
        if what is not None and not (tool == "WriteArtifact" and self._is_granted(place)):
            judgement.ask("protected", part=part, path=place.shown(), what=what)
        if _has_other_names(place.resolved):
            judgement.ask("hard_link", part=part, path=place.shown())

    def _is_granted(self, place: Place) -> bool:
        fits = (paths.rule_matches(rule, place, self.cwd, self.home) for rule in self.granted)
        return any(fits) and paths.contained(place, self.directories)

    def _permit(self, judgement: Judgement, place: Place, tool: str, part: str | None) -> None:
        contained = paths.contained(place, self.directories)
        if contained and self.mode == "acceptEdits":
            return
        rule = self._allowing("Edit", place, tool)
        if rule is not None:
            judgement.allowed_by.append(rule.text)
            return
        if tool == "WriteArtifact" and self._is_granted(place):
            return
        judgement.ask("no_rule_edit" if contained else "outside_write", part=part, path=place.shown())
        self._suggest(judgement, "Edit", place)

    def _allowing(self, use: Use, place: Place, tool: str) -> Rule | None:
        """The allow rule for a path: a path rule of the family, or a rule for the whole of this tool."""
        for rule in self.rules.of("allow", tool):
            if rule.tool in (use, tool) and paths.rule_matches(rule, place, self.cwd, self.home):
                return rule
        return None

    def _suggest(self, judgement: Judgement, use: Use, place: Place) -> None:
        """The narrowest rule for the last finding; none for a link, which a rule for its spelling would not cover."""
        if place.spelled != place.resolved:
            return
        from dataclasses import replace

        for directory in self.directories:
            if paths.inside(place.spelled, directory.spelled) and directory.spelled == self.cwd:
                rule = f"{use}(./{paths.escape(os.path.relpath(place.spelled, self.cwd))})"
                break
        else:
            rule = f"{use}(/{paths.escape(place.spelled)})"
        judgement.findings[-1] = replace(judgement.findings[-1], suggestion=rule)


def _opens_network(place: Place) -> bool:
    """Names that bash opens as connections."""
    return place.spelled.startswith(("/dev/tcp/", "/dev/udp/"))


def _has_other_names(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 1
