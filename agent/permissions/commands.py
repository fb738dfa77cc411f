"""Whether a shell command may run: every part is judged, and the strictest finding counts.

Deny, ask and hard stops look at everything that may run (see `runs` and `forbidden`). Allowing looks at the parts
as they stand: a scoped rule, the table of harmless commands, or acceptEdits must cover each of them, every
redirection and every assignment. A rule for the whole of Bash covers all but protected files, critical removals and
destroyed infrastructure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.permissions import forbidden, paths, programs, reach, readonly
from agent.permissions.decision import Finding, Judgement, Mode, stronger
from agent.permissions.files import Files
from agent.permissions.git import repository_danger
from agent.permissions.infrastructure import Effect, classify
from agent.permissions.rules import Rule, Rules, quoted, wildcard
from agent.permissions.runs import Run, Runs, allow_text, list_runs
from agent.permissions.shell import MAX_COMMAND, MAX_PARSED, MAX_PARTS, Part, Script, parse
from agent.permissions.words import Word


@dataclass(slots=True)
class _Directories:
    """Where parts run: `certain` while joined by `&&` to the `cd` before them, otherwise any of `possible`."""

    possible: list[str]
    certain: list[str]
    chain: int = -1
    moved: bool = False
    moved_by_rule: bool = False
    lost: bool = False

    def at(self, part: Part) -> list[str]:
        return self.certain if part.chain == self.chain and not part.piped else self.possible

    def move(self, part: Part, target: str | None, *, by_rule: bool) -> None:
        self.moved, self.moved_by_rule = True, by_rule
        if target is None:
            self.lost = True
            return
        new = [paths.locate(target, directory, "/").spelled for directory in self.at(part)]
        self.possible = list(dict.fromkeys(self.possible + new))
        self.certain, self.chain = new, part.chain if not part.piped else -1


def directories_of(command: str, cwd: str, home: str) -> list[str]:
    """`cwd` and every directory a `cd` in the command may lead to, in order."""
    return _directories_of(list_runs(parse(command), home, cwd), cwd, home)


def _directories_of(runs: Runs, cwd: str, home: str) -> list[str]:
    known = [cwd]
    for run in runs.found:
        known += _moved(run, known, home)
    return list(dict.fromkeys(known))


def _moved(run: Run, known: list[str], home: str) -> list[str]:
    if programs.program(run.words[0]) not in ("cd", "pushd") or len(run.words) < 2 or len(known) >= 20:
        return []
    found = []
    for directory in known:
        try:
            found.append(paths.locate(run.words[-1].text, directory, home).spelled)
        except paths.BadPath:
            continue
    return found


@dataclass(slots=True)
class Commands:
    """Judges commands for one engine."""

    rules: Rules
    files: Files
    mode: Mode
    judgement: Judgement = field(default_factory=Judgement)

    def judge(self, command: str, cwd: str) -> Judgement:
        """Everything that speaks against running `command` in `cwd`."""
        self.judgement = Judgement()
        script = parse(command)
        self._check_text(command, script)
        runs = list_runs(script, self.files.home, cwd)
        forbidden.check_rules(self.judgement, runs, self.rules, command)
        places = _directories_of(runs, cwd, self.files.home)
        forbidden.check_paths(self.judgement, runs, self.files, places)
        forbidden.check_removals(self.judgement, runs, self.files, places)
        self._check_effects(runs)
        if not self.judgement.denied:
            self._allow(script, cwd)
        return self.judgement

    def _check_text(self, command: str, script: Script) -> None:
        judgement = self.judgement
        if script.hidden:
            shown = " ".join(dict.fromkeys(f"U+{ord(char):04X}" for char in script.hidden))
            judgement.ask("control_characters", firm=True, characters=shown)
        if len(command) > MAX_PARSED:
            judgement.deny("too_long", limit=str(MAX_PARSED))
        elif len(command) > MAX_COMMAND:
            judgement.ask("too_long", firm=True, limit=str(MAX_COMMAND))
        if len(script.parts) > MAX_PARTS:
            judgement.deny("too_many_parts", limit=str(MAX_PARTS))
        if script.broken:
            judgement.ask("unparsable", firm=True, what=script.broken)

    # --- infrastructure ---

    def _check_effects(self, runs: Runs) -> None:
        for run in runs.found:
            effect = classify(run.words, run.stdin)
            if effect is None:
                continue
            source = run.part.source
            self.judgement.command_class = stronger(self.judgement.command_class, effect.kind)
            if self.mode == "plan" and effect.kind in ("change", "destroy"):
                self.judgement.deny("plan_mode_command", part=source)
            elif (effect.kind == "destroy" or effect.unclear) and not self._names(run, effect):
                if effect.unclear:
                    self.judgement.ask("unclear_effect", firm=True, part=source)
                else:
                    what = " ".join(effect.words) or programs.program(run.words[0])
                    self.judgement.ask("destroys", firm=True, part=source, what=what)

    def _names(self, run: Run, effect: Effect) -> bool:
        """Whether an allow rule names a destroying command."""
        outer, inner = allow_text(run.part.words), allow_text(run.words)
        for rule in self.rules.of("allow", "Bash"):
            if rule.whole:
                continue
            if rule.command.exact and rule.command.matches(outer):
                return True
            if rule.command.matches(inner) and not effect.unclear and effect.named_by(rule.command, run.words):
                return True
        return False

    # --- allowing ---

    def _allow(self, script: Script, cwd: str) -> None:
        whole = next((rule for rule in self.rules.of("allow", "Bash") if rule.whole), None)
        if whole is not None:
            self.judgement.allowed_by.append(whole.text)
        elif script.unusual:
            first = next((part.source for part in script.parts), "")
            self.judgement.ask("not_plain", part=first, what=script.unusual)
        directories = _Directories([cwd], [cwd])
        for part in script.parts:
            self._redirects(part, directories, whole=whole is not None)
            if part.words:
                self._guard_writer(part, directories)
            if whole is None and script.plain and not part.nested:
                self._part(part, directories)
            if part.words and programs.program(part.words[0]) in ("cd", "pushd", "popd"):
                directories.move(part, self._cd_target(part.words), by_rule=self._rule(part.words)[0] is not None)

    def _cd_target(self, words: tuple[Word, ...]) -> str | None:
        """Where `cd` goes, absolute or relative; None where that cannot be said."""
        operands = [word for word in words[1:] if word.text not in ("-L", "-P", "--")]
        if not operands:
            return self.files.home
        word = operands[-1]
        if not word.literal or word.text.startswith("-") or (word.tilde and not re.match(r"~(?:/|$)", word.text)):
            return None
        return self.files.home + word.text[1:] if word.tilde else word.text

    def _redirects(self, part: Part, directories: _Directories, *, whole: bool) -> None:
        for redirect in part.redirects:
            target = redirect.target
            if not target.literal or directories.lost or (target.tilde and not target.text.startswith("~/")):
                if re.search(r"/dev/(?:tcp|udp)/", target.text):
                    self.judgement.ask("network_target", firm=True, part=part.source, path=target.text)
                self.judgement.ask("unknown_target", part=part.source, path=target.source)
                continue
            text = target.text if target.tilde or not target.text.startswith("~") else f"./{target.text}"
            for directory in directories.at(part):
                if not redirect.writes:
                    self._read(text, directory, part, whole=whole)
                elif whole:
                    self._write_under_whole_rule(text, directory, part)
                else:
                    self.files.write(self.judgement, text, directory, part=part.source)

    def _read(self, text: str, directory: str, part: Part, *, whole: bool) -> None:
        before = len(self.judgement.findings)
        self.files.read(self.judgement, text, directory, part=part.source)
        if whole:  # the rule covers reading anywhere but what is firm
            kept = [finding for finding in self.judgement.findings[before:] if finding.firm]
            self.judgement.findings[before:] = kept

    def _write_under_whole_rule(self, text: str, directory: str, part: Part) -> None:
        """A rule for all of Bash covers writing inside the working directories, protected names excepted."""
        before = len(self.judgement.findings)
        self.files.write(self.judgement, text, directory, part=part.source)
        kept = [finding for finding in self.judgement.findings[before:] if finding.key != "no_rule_edit"]
        self.judgement.findings[before:] = kept

    def _guard_writer(self, part: Part, directories: _Directories) -> None:
        """Protected names written by a command, whatever rule covers it; credentials read by one."""
        for words in programs.everything_run(part.words):
            if not words:
                continue
            name = programs.program(words[0])
            writes = programs.writes(words)
            known = writes or programs.is_listed(name, "readers")
            if writes and self.mode == "plan":
                self.judgement.deny("plan_mode_command", part=part.source)
            at = directories.at(part)
            if writes and any(w.kind == "glob" and paths.expand_glob(w.text, d) is None for w in words[1:] for d in at):
                self.judgement.ask("unknown_target", part=part.source, path=part.source)
            for text in forbidden.named_paths(words, known=known, at=at):
                for directory in at:
                    self._guard_path(text, directory, part, writes=writes)

    def _guard_path(self, text: str, directory: str, part: Part, *, writes: bool) -> None:
        try:
            place = paths.locate(text, directory, self.files.home)
        except paths.BadPath:
            return
        if paths.secret_process_file(place):
            self.judgement.deny("special_file", part=part.source, path=place.shown())
            return
        if writes:
            self.files.guard(self.judgement, place, part=part.source)
        if paths.credentials(place, self.files.home):
            before = len(self.judgement.allowed_by)
            self.files.read(self.judgement, text, directory, part=part.source)
            del self.judgement.allowed_by[before:]

    def _part(self, part: Part, directories: _Directories) -> None:
        judgement, source = self.judgement, part.source
        if not part.words:
            if part.assignments:
                judgement.ask("assignment", part=source, name=part.assignments[0][0])
            return
        for name, value in part.assignments:
            if not _safe_assignment(name, value):
                judgement.ask("assignment", part=source, name=name)
        words = programs.without_wrappers(part.words)
        first = words[0].text
        if not words[0].literal:
            judgement.ask("not_plain", part=source, what="a program name that is only known at run time")
        elif programs.is_listed(first, "state"):
            judgement.ask("shell_state", part=source)
        elif first in ("test", "[") and any(re.search(r"\w\[", word.text) for word in words):
            judgement.ask("subscript", part=source)
        elif words != part.words and part.words[0].text == "xargs":
            self._by_rule(part, (*words, Word("$@", "dynamic", source="$@")), words, directories)
        else:
            self._by_rule(part, words, words, directories)

    def _by_rule(self, part: Part, words: tuple[Word, ...], named: tuple[Word, ...], directories: _Directories) -> None:
        forbidden.check_search(self.judgement, words, part.source, self.files, directories.at(part))
        rule, objection = self._rule(words, part.words, named, at=directories.at(part))
        if rule is not None:
            self.judgement.allowed_by.append(rule.text)
            if words[0].text == "git" and directories.moved and not directories.moved_by_rule:
                self._check_repository(part, directories)
            return
        if self._harmless(part, words, directories):
            return
        key, detail = objection or ("no_rule_command", {})
        suggestion = _suggestion(part) if objection is None or key == "reaches_outside" else None
        self.judgement.findings.append(Finding("ask", key, detail, part=part.source, suggestion=suggestion))

    def _rule(
        self,
        words: tuple[Word, ...],
        full: tuple[Word, ...] = (),
        named: tuple[Word, ...] = (),
        *,
        at: Sequence[str] = (),
    ) -> tuple[Rule | None, tuple[str, dict[str, str]] | None]:
        """The scoped allow rule that covers `words`, or why one that fits the text does not."""
        text, whole_text = allow_text(named or words), allow_text(full or words)
        objection: tuple[str, dict[str, str]] | None = None
        for rule in self.rules.of("allow", "Bash"):
            if rule.whole:
                continue
            pattern = rule.command
            if pattern.exact and whole_text == pattern.pieces[0]:
                return rule, None
            if not pattern.matches(text):
                continue
            objection = _objection(words, rule)
            if objection is None and not pattern.exact:
                place = reach.reaches_outside(words, len(pattern.named), self.files, at)
                objection = ("reaches_outside", {"path": place}) if place else None
            if objection is None:
                return rule, None
        return None, objection

    def _harmless(self, part: Part, words: tuple[Word, ...], directories: _Directories) -> bool:
        """Whether the command is known to be harmless, or an edit that acceptEdits covers; findings on its paths
        are kept.
        """
        found = readonly.read_only(words)
        writes = found is None and self.mode == "acceptEdits"
        if writes:
            found = readonly.edit_command(words)
        if found is None:
            return False
        if found.is_git:
            self._check_repository(part, directories)
        for word in found.paths:
            if word.tilde and not re.match(r"~(?:/|$)", word.text):
                self.judgement.ask("unknown_target", part=part.source, path=word.source)
            for directory in directories.at(part):
                self._use(word, directory, part, writes=writes)
        if directories.lost and (found.paths or writes):
            self.judgement.ask("unknown_target", part=part.source, path=part.source)
        return True

    def _use(self, word: Word, directory: str, part: Part, *, writes: bool) -> None:
        text = word.text if word.tilde or not word.text.startswith("~") else f"./{word.text}"
        names: tuple[str, ...] | None = (text,)
        if word.kind == "glob":
            names = paths.expand_glob(text, directory)
        if names is None:
            self.judgement.ask("unknown_target", part=part.source, path=word.source)
        for name in {*(names or ()), text}:
            if writes:
                self.files.write(self.judgement, name, directory, part=part.source)
            else:
                self.files.read(self.judgement, name, directory, part=part.source)

    def _check_repository(self, part: Part, directories: _Directories) -> None:
        if directories.moved and self._rule(part.words)[0] is None:
            self.judgement.ask("git_after_cd", part=part.source)
            return
        for directory in directories.at(part):
            if (danger := repository_danger(directory)) is not None:
                self.judgement.ask("git_repository", part=part.source, what=danger)


def _safe_assignment(name: str, value: Word) -> bool:
    known = any(wildcard(pattern, name) for pattern in programs.data()["safe_assignments"])
    return known and value.literal and not value.text.startswith(("/", ":", "~", "."))


def _objection(words: tuple[Word, ...], rule: Rule) -> tuple[str, dict[str, str]] | None:
    """Why a rule whose pattern fits does not cover the command."""
    name = programs.program(words[0])
    pattern = rule.command
    if pattern.exact:
        return None
    if programs.is_listed(name, "never") or programs.is_listed(name, "shells") or (name == "xargs" and len(words) > 1):
        return "runs_other_code", {"program": name}
    if option := programs.dangerous_option(words):
        return "dangerous_option", {"option": option}
    if programs.unsafe_script(words):
        return "unsafe_script", {}
    needed, shown = _needed_words(words, name)
    harmless = len(words) == 2 and words[1].literal and words[1].text in programs.data()["harmless_calls"]
    if len(pattern.named) < needed and not harmless:
        return "needs_named", {"program": shown}
    return None


def _needed_words(words: tuple[Word, ...], name: str) -> tuple[int, str]:
    """How many words a rule must spell for this program, and which."""
    table = programs.data()["named"]
    short = programs.without_globals(words)
    texts = [name, *(word.text for word in short[1:3])]
    for length in (3, 2, 1):
        key = " ".join(texts[:length])
        if len(texts) >= length and key in table:
            # With options before the subcommand a rule cannot spell both: only an exact one will do.
            return (len(words) + 1 if length > 1 and short != words else length + table[key]), key
    return 0, name


def suggestion(command: str) -> str | None:
    """The narrowest rule for a command of one part; None where it has more, or no rule should be offered."""
    parts = parse(command).parts
    return _suggestion(parts[0]) if len(parts) == 1 and parts[0].words else None


def _suggestion(part: Part) -> str | None:
    """The narrowest rule for one part: its words exactly. None where no rule should be offered."""
    words = programs.without_wrappers(part.words)
    name = programs.program(words[0])
    if part.assignments or not all(word.literal for word in words) or programs.is_listed(name, "never"):
        return None
    if programs.is_listed(name, "shells") or programs.program(part.words[0]) == "xargs" or name == "find":
        return None
    text = " ".join(quoted(word.text) for word in words)
    if "\n" in text or len(text) > 200 or text.endswith(":*"):
        return None
    return f"Bash({text})"
