"""Everything a command may run, listed for deny and ask rules: too much rather than too little.

Wrappers are looked through, code in arguments (`bash -c`, `eval`, `trap`, heredocs and pipes into a shell) is taken
apart, and variables are replaced by the values the same command gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from agent.permissions import programs
from agent.permissions.rules import EMPTY_WORD, WORD_SPACE
from agent.permissions.shell import Part, Script, parse
from agent.permissions.words import Word

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*|\d|[@*])|\{(\w+|[@*])\})")
_MAX_DEPTH = 4
_MAX_RUNS = 2000


@dataclass(frozen=True, slots=True)
class Run:
    """One command that may run: `words`, the `part` of the typed command it comes from, and whether `part` holds it
    as text.
    """

    words: tuple[Word, ...]
    part: Part
    inner: bool = False

    @property
    def stdin(self) -> str | None:
        return self.part.stdin


@dataclass(slots=True)
class Runs:
    """All runs of a script. `unseen` are parts that run code which cannot be read now, `assigning` those that set
    variables.
    """

    found: list[Run]
    unseen: list[Part]
    assigning: list[Part]


def list_runs(script: Script, home: str, cwd: str) -> Runs:
    runs = Runs([], [], [])
    _collect(script, {"HOME": [home], "PWD": [cwd], "IFS": [" "]}, runs, 0, None)
    return runs


def _collect(script: Script, known: Mapping[str, list[str]], runs: Runs, depth: int, outer: Part | None) -> None:
    variables = {name: list(values) for name, values in known.items()}
    for part in script.parts:
        for name, value in part.assignments:
            variables.setdefault(name, []).append(value.text)
    runs.assigning += [part for part in script.parts if part.assignments]
    for part in script.parts:
        owner = outer or part
        for variant in _variants(part.words, variables):
            for words in programs.everything_run(variant):
                if len(runs.found) >= _MAX_RUNS:
                    runs.unseen.append(owner)
                    return
                if words:
                    runs.found.append(Run(words, owner, inner=outer is not None or words != part.words))
                    _collect_code(words, part, script, variables, runs, depth, owner)
    if script.broken:
        runs.unseen.extend(script.parts[:1])


def _collect_code(
    words: tuple[Word, ...],
    part: Part,
    script: Script,
    variables: Mapping[str, list[str]],
    runs: Runs,
    depth: int,
    owner: Part,
) -> None:
    texts, unseen = programs.code_texts(words, part.stdin)
    if not texts and unseen and part.piped:
        texts = list(_piped_texts(script))
    if unseen or (texts and depth >= _MAX_DEPTH):
        runs.unseen.append(owner)
    if depth < _MAX_DEPTH:
        for text in texts:
            _collect(parse(text), variables, runs, depth + 1, owner)


def _piped_texts(script: Script) -> Iterator[str]:
    """Texts that other members of a pipeline print into a shell."""
    for part in script.parts:
        if part.words and programs.program(part.words[0]) in ("echo", "printf", "cat", "tee"):
            yield from (word.text for word in part.words[1:])
            if part.stdin:
                yield part.stdin


def _variants(words: tuple[Word, ...], variables: Mapping[str, list[str]]) -> Iterator[tuple[Word, ...]]:
    """`words` as written, and with variables replaced (unknown ones by nothing, as an unset variable is)."""
    yield words
    if all(word.kind != "dynamic" for word in words):
        return
    most = max((len(values) for values in variables.values()), default=1)
    for choice in range(min(most, 3)):
        replaced: list[Word] = []
        for word in words:
            replaced += _replaced(word, variables, choice)
        if tuple(replaced) != words:
            yield tuple(replaced)


def _replaced(word: Word, variables: Mapping[str, list[str]], choice: int) -> list[Word]:
    if word.kind != "dynamic":
        return [word]

    def value(found: re.Match[str]) -> str:
        values = variables.get(found[1] or found[2], [""])
        return values[min(choice, len(values) - 1)]

    text = _VARIABLE.sub(value, word.text)
    kind = "dynamic" if re.search(r"[$`]|[<>]\(", text) else "glob" if re.search(r"[*?\[]", text) else "literal"
    pieces = [text] if word.source.startswith('"') else text.split()
    return [replace(word, text=piece, kind=kind) for piece in pieces]  # type: ignore[arg-type]  # one of three words


def match_texts(words: tuple[Word, ...]) -> list[str]:
    """The forms of a command that deny and ask rules are tried on: the program by its name, spaces in words both
    ways.
    """
    texts = [word.text for word in words]
    name = programs.program(words[0])
    first = {name, texts[0], texts[0].casefold(), name.removesuffix(".exe")}
    rest = texts[1:]
    tails = {" ".join(rest), " ".join(rest_word(text) for text in rest), " ".join(text for text in rest if text)}
    return [f"{start} {tail}".rstrip() if tail else start for start in first for tail in tails]


def rest_word(text: str) -> str:
    """A word as allow patterns see it: its own spaces are no borders between words."""
    return text.replace(" ", WORD_SPACE) or EMPTY_WORD


def allow_text(words: tuple[Word, ...]) -> str:
    """The one form of a command that allow rules are tried on."""
    return " ".join(rest_word(word.text) for word in words)
