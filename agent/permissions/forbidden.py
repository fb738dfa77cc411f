"""Deny rules, ask rules and hard stops for shell commands: one part that fits is enough, in any mode."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from functools import lru_cache

from agent.permissions import paths, programs
from agent.permissions.decision import Judgement
from agent.permissions.files import Files, Use
from agent.permissions.paths import BadPath
from agent.permissions.rules import CommandPattern, Rule, Rules
from agent.permissions.runs import Run, Runs, match_texts
from agent.permissions.words import Word

_MAX_GLOBS = 50
_MAX_FILES = 1000
_REMOVERS = frozenset({"rm", "rmdir", "unlink", "shred", "srm", "rimraf", "trash"})


def check_rules(judgement: Judgement, runs: Runs, rules: Rules, command: str) -> None:
    """Findings of Bash deny and ask rules on everything that may run."""
    for kind in ("deny", "ask"):
        for rule in rules.of(kind, "Bash"):
            if rule.whole:
                judgement.by_rule(kind, rule.text)
                continue
            hit = next((run for run in runs.found if _matches(rule, run)), None)
            if hit is not None or _pattern(rule.specifier or "").matches(command.strip()):
                judgement.by_rule(kind, rule.text, hit.part.source if hit else None)
            elif (doubt := _doubt(rule, runs)) is not None:
                judgement.ask("maybe_denied", firm=True, part=doubt, rule=rule.text)


def _matches(rule: Rule, run: Run) -> bool:
    pattern = _pattern(rule.specifier or "")
    return any(pattern.matches(text) for text in match_texts(run.words))


@lru_cache(maxsize=2048)
def _pattern(specifier: str) -> CommandPattern:
    """The pattern with its program name folded, as `match_texts` folds it."""
    first, space, rest = specifier.partition(" ")
    return CommandPattern.parse(f"{first.casefold()}{space}{rest}")


def _doubt(rule: Rule, runs: Runs) -> str | None:
    """The part that may turn out to be what the rule forbids, or None."""
    if runs.unseen:
        return runs.unseen[0].source
    pattern = _pattern(rule.specifier or "")
    if pattern.named:
        spelled = _spelled(pattern.named)
        for part in runs.assigning:
            if any(spelled.search(value.text) for _, value in part.assignments):
                return part.source
    quiet = all(programs.takes_text(run.words) for run in runs.found if run.part.piped)
    for run in runs.found:
        if not run.words[0].literal:
            return run.part.source
        known = [programs.program(run.words[0])]
        for word in run.words[1:]:
            if not word.literal:
                if pattern.could_match(known, _beginning(word)):
                    return run.part.source
                break
            known.append(word.text)
        if pattern.named and _mentions(pattern.named, run, quiet=quiet):
            return run.part.source
    return None


def _mentions(named: tuple[str, ...], run: Run, *, quiet: bool) -> bool:
    """Whether words that the program may take for code or for a program name what the rule forbids.

    `quiet`: nothing in a pipeline runs what it reads.
    """
    code = programs.inline_code(run.words, run.stdin)
    if code and (_spelled(named[:1]).search(code) or programs.starts_programs(code)):
        return True
    texts: list[str] = []
    if not programs.takes_text(run.words) or not (quiet or not run.part.piped):
        inner = programs.unwrap(run.words)
        known = inner is not None and inner[1] and inner[0] and not inner[0][0].text.startswith("-")
        end = len(run.words) - len(inner[0]) if inner and known else len(run.words)
        texts += [" ".join(word.text for word in run.words[1:end]), run.stdin or ""]
    else:  # a copy of the program, or a link to it, is the program
        texts += [word.text for word in run.words[1:] if re.search(r"/s?bin/", word.text)]
    spelled = _spelled(named)
    return any(spelled.search(text) for text in texts if text)


@lru_cache(maxsize=512)
def _spelled(named: tuple[str, ...]) -> re.Pattern[str]:
    """These words in this order, each on its own; options may run into the first (`-Scurl`)."""
    first = rf"(?:(?<![\w.-])|(?<![\w-])-[a-zA-Z]{{1,4}}){re.escape(named[0])}(?:\.exe)?(?![\w.-])"
    rest = (rf"(?<![\w-]){re.escape(word)}(?![\w-])" for word in named[1:])
    return re.compile(r"[\s\S]*?".join((first, *rest)), re.IGNORECASE)


def _beginning(word: Word) -> str:
    """The part of an unknown word that is sure to stand at its beginning."""
    return re.split(r"[$`*?\[{<>]", word.text, maxsplit=1)[0]


def check_paths(judgement: Judgement, runs: Runs, files: Files, at: list[str]) -> None:
    """Findings of Read and Edit deny and ask rules on the paths that commands name."""
    if not any(files.rules.of(kind, use) for kind in ("deny", "ask") for use in ("Read", "Edit")):
        return
    globs = [word for run in runs.found for word in run.words[1:] if word.kind == "glob"]
    if len(globs) > _MAX_GLOBS or any(
        paths.expand_glob(word.text, directory) is None for word in globs for directory in at
    ):
        judgement.ask("unknown_target", firm=True, part=globs[0].source, path=globs[0].source)
        return
    for run in runs.found:
        name = programs.program(run.words[0])
        writes = programs.writes(run.words)
        uses: tuple[Use, ...] = ("Read", "Edit") if writes else ("Read",)
        known = writes or programs.is_listed(name, "readers")
        for text in named_paths(run.words, known=known, at=at):
            for directory in at:
                try:
                    place = paths.locate(text, directory, files.home)
                except (BadPath, OSError):
                    continue
                if not files.by_rules(judgement, place, uses, run.part.source) and programs.searches(run.words):
                    _check_below(judgement, place, files, run)
        if programs.searches(run.words) and not _has_operands(run.words):
            for directory in at:
                _check_below(judgement, paths.locate(".", directory, files.home), files, run)


def _has_operands(words: tuple[Word, ...]) -> bool:
    pattern = programs.pattern_operand(words)
    return any(index != pattern and not word.text.startswith("-") for index, word in enumerate(words) if index)


def _check_below(judgement: Judgement, place: paths.Place, files: Files, run: Run) -> None:
    """A search of a directory that holds a forbidden file, as far as a short look finds one."""
    rules = files.rules.of("deny", "Read")
    for path in _files_below(place.spelled, hidden=programs.reads_hidden(run.words)):
        found = next((r for r in rules if paths.rule_matches(r, paths.Place(path, path), files.cwd, files.home)), None)
        if found is not None:
            shown = place.shown()
            judgement.ask("holds_denied", firm=True, part=run.part.source, path=shown, rule=found.text)
            return


def check_search(judgement: Judgement, words: tuple[Word, ...], part: str, files: Files, at: list[str]) -> None:
    """A command that reads whole directories, one of which holds credentials, as far as a short look finds some."""
    if not programs.searches(words):
        return
    named = named_paths(words, known=True, at=at) if _has_operands(words) else ["."]
    for text, directory in itertools.product(list(named), at):
        try:
            place = paths.locate(text, directory, files.home)
        except BadPath:
            continue
        for path in _files_below(place.spelled, hidden=programs.reads_hidden(words)):
            if paths.credentials(paths.Place(path, path), files.home):
                judgement.ask("holds_credentials", part=part, path=path)
                return


def _files_below(directory: str, *, hidden: bool) -> Iterator[str]:
    seen = 0
    for parent, directories, names in os.walk(directory):
        seen += 1
        if not hidden:
            directories[:] = [name for name in directories if not name.startswith(".")]
            names = [name for name in names if not name.startswith(".")]  # noqa: PLW2901 - only what is searched
        for name in names:
            seen += 1
            if seen > _MAX_FILES:
                return
            yield f"{parent}/{name}"


def named_paths(words: tuple[Word, ...], *, known: bool, at: list[str]) -> Iterator[str]:
    """Words that may name files. For programs whose operands are files every word, else those that look like paths."""
    skip = programs.pattern_operand(words) if known else -1
    if not known and programs.program(words[0]) in ("echo", "printf", "test", "["):
        return
    for index, word in enumerate(words[1:], start=1):
        if index == skip:
            continue
        for text in _candidates(word, known=known):
            if word.kind == "glob":
                for directory in at:
                    yield from paths.expand_glob(text, directory) or ()
            yield text


def _candidates(word: Word, *, known: bool) -> Iterator[str]:
    text = word.text
    if word.text.startswith("-"):
        if "=" in text:
            yield _file_in(text.partition("=")[2])
        elif known and len(text) > 2 and not text.startswith("--"):
            yield text[2:]
            # the value may follow several short options: -sSLo.git/config
            yield from (text[index:] for index in range(3, min(len(text), 9)) if re.match(r"[./~]", text[index:]))
        return
    if word.text.startswith("~") and not word.tilde:
        text = f"./{text}"
    if known or "/" in text or "." in text:
        yield text if known else _file_in(text)
        if "=" in text:
            yield _file_in(text.partition("=")[2])


def _file_in(text: str) -> str:
    """The path in `@path` and `file:///path`."""
    return re.sub(r"^(?:@|file:(?://[^/]*)?(?=/))", "", text)


def check_removals(judgement: Judgement, runs: Runs, files: Files, at: list[str]) -> None:
    """Removals that prompt in every mode: `/`, its children, HOME, the working directory or a parent, `"$VAR"/*`."""
    for run in runs.found:
        name = programs.program(run.words[0])
        texts = [word.text for word in run.words]
        if name in _REMOVERS:
            operands = [word for word in run.words[1:] if not word.text.startswith("-") or word.kind == "dynamic"]
            recursive = name == "rmdir" or any(re.fullmatch(r"-[a-zA-Z]*[rR][a-zA-Z]*|--r\w*", text) for text in texts)
            _check_operands(judgement, operands, run, files, at, recursive=recursive)
        elif name == "mv":
            operands = [word for word in run.words[1:] if not word.text.startswith("-")]
            _check_operands(judgement, operands[:-1], run, files, at, recursive=False)
        elif name == "find" and ({"-delete"} & set(texts) or any(program in texts for program in _REMOVERS)):
            roots = list(_find_roots(run.words))
            _check_operands(judgement, roots, run, files, [], recursive=False)


def _find_roots(words: tuple[Word, ...]) -> Iterator[Word]:
    for word in words[1:]:
        if re.match(r"-(?![HLPO])|[!(,]", word.text):
            return
        if not word.text.startswith("-"):
            yield word


def _check_operands(
    judgement: Judgement, operands: list[Word], run: Run, files: Files, at: list[str], *, recursive: bool
) -> None:
    if recursive and run.inner and not operands:  # xargs rm -rf: what is removed comes from standard input
        judgement.ask("critical_removal", firm=True, part=run.part.source, path="what it reads")
    for word in operands:
        if not word.text:
            continue
        text = re.sub(r"(?:/+(?:\.?\*|\{[^/]*\}|\.))+/*$", "/", word.text) if not word.literal else word.text
        if re.fullmatch(r"(?:\./)?\.?\*+", word.text) and not word.literal:
            text = "."
        if word.kind == "dynamic":
            if recursive or re.search(r"/\.?\*?$", word.text):
                judgement.ask("critical_removal", firm=True, part=run.part.source, path=word.source)
            continue
        if word.text.startswith("~") and not word.tilde:
            text = f"./{text}"
        for directory in at or [files.cwd]:
            try:
                place = paths.locate(text, directory, files.home)
            except BadPath:
                judgement.ask("critical_removal", firm=True, part=run.part.source, path=text)
                continue
            # find -delete in the working directory has a filter; its root is only critical above it
            keep = (directory, files.cwd)
            if paths.critical(place, keep, files.home) and (at or place.spelled not in keep):
                judgement.ask("critical_removal", firm=True, part=run.part.source, path=place.shown())
