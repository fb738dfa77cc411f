"""Bash commands taken apart: every command in them, decoded, in source order.

The parser is tree-sitter-bash; its known mistakes are handled here, each with a comment and a test. A `Script`
is what was found plus what stands against letting scoped allow rules decide: `plain` only for simple commands of
literal words joined by separators, groups, safe redirects and heredocs, and only where an independent splitter
agrees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from agent.permissions.syntax import COMMANDS, NEW_SCOPE, OTHER, PLAIN, REDIRECTS, UNSCANNED
from agent.permissions.words import (
    RESERVED_WORDS,
    Unclear,
    Word,
    embedded_code,
    hidden_characters,
    read_word,
    split,
    unfold,
)

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_COMMAND = 10_000
MAX_PARSED = 30_000
MAX_PARTS = 200
MAX_NODES = 50_000


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirection to or from a file. Copies of descriptors (`2>&1`) are not listed."""

    target: Word
    writes: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One simple command. `chain` is equal for commands joined by `&&` in one shell, so that `cd` can be followed.

    `stdin` is the text of a heredoc or here-string, `nested` marks commands inside substitutions.
    """

    words: tuple[Word, ...]
    assignments: tuple[tuple[str, Word], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    source: str = ""
    stdin: str | None = None
    chain: int = 0
    piped: bool = False
    nested: bool = False
    start: int = 0

    @property
    def texts(self) -> list[str]:
        return [word.text for word in self.words]


@dataclass(frozen=True, slots=True)
class Script:
    """A command taken apart. `broken`: why it could not be read with certainty. `unusual`: syntax beyond plain
    commands.
    """

    parts: tuple[Part, ...]
    broken: str | None = None
    unusual: str | None = None
    hidden: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        return self.broken is None and self.unusual is None


class _Place(NamedTuple):
    chain: int
    piped: bool
    nested: bool


@lru_cache(maxsize=4096)
def parse(command: str, depth: int = 0) -> Script:
    """Take `command` apart. Never raises; what cannot be read is said in `broken`."""
    hidden = tuple(hidden_characters(command))
    if len(command) > MAX_PARSED:
        return Script((), broken="too long", hidden=hidden)
    broken: str | None = None
    try:
        text = unfold(command)
    except Unclear as error:
        text, broken = command.replace("\\\n", ""), str(error)
    walk = _Walk(text, depth)
    walk.run()
    parts = tuple(sorted(walk.parts, key=lambda part: part.start))
    unusual, others = _second_opinion(text, parts)
    if walk.broken:
        others += tuple(_crude_parts(text))
    return Script(parts + others, broken or walk.broken, walk.unusual or unusual, hidden)


def _second_opinion(text: str, parts: tuple[Part, ...]) -> tuple[str | None, tuple[Part, ...]]:
    """What the independent splitter says against the parser's result, and the commands it sees instead."""
    try:
        expected = split(text)
    except Unclear as error:
        return str(error), ()
    if [part.texts for part in parts if part.words and not part.nested] == expected:
        return None, ()
    others = (Part(tuple(Word(word) for word in words), source=" ".join(words), nested=True) for words in expected)
    return "words that can be read in two ways", tuple(others)


def _crude_parts(text: str) -> Iterator[Part]:
    """For text the parser gave up on: anything that may be a command, for deny rules only."""
    for piece in re.split(r"[;&|\n(){}`]|\$\(", text)[: MAX_PARTS * 2]:
        words = [Word(word.strip("'\"\\"), source=word) for word in re.split(r"[\s,]+", piece) if word]
        if words:
            yield Part(tuple(words), source=piece.strip(), nested=True)


@cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


@dataclass(slots=True)
class _Walk:
    """The walk over one tree, iterative: `a && a && ...` nests as deep as it is long."""

    text: str
    depth: int
    parts: list[Part] = field(default_factory=list)
    broken: str | None = None
    unusual: str | None = None
    chains: int = 0
    stack: list[tuple[Node, _Place]] = field(default_factory=list)
    attached: dict[int, list[Node]] = field(default_factory=dict)

    def run(self) -> None:
        # Characters beyond ASCII can crash the parser (its scanner hands them to isalpha); in shell syntax they are
        # all ordinary, as a dot is. One byte for each also makes positions in the tree positions in the text.
        masked = "".join(char if char.isascii() else "." for char in self.text)
        root = _parser().parse(masked.encode()).root_node
        if root.has_error:
            self.broken = "syntax the parser does not accept"
        self.stack = [(root, _Place(0, piped=False, nested=False))]
        seen = 0
        while self.stack:
            node, place = self.stack.pop()
            seen += 1
            if seen > MAX_NODES:
                self.broken = "too large"
                return
            self._visit(node, place)

    def _visit(self, node: Node, place: _Place) -> None:
        kind = node.type
        if node.is_named and kind not in PLAIN:
            if kind in OTHER:
                self.unusual = self.unusual or OTHER[kind]
            elif kind != "ERROR":
                self.broken = self.broken or f"unknown syntax {kind}"
        if kind in COMMANDS:
            self._command(node, place)
        elif kind in REDIRECTS and node.id not in self.attached:
            self._lone_redirect(node, place)
        elif kind == "redirected_statement":
            self._attach(node)
        elif kind == "function_definition":
            self.unusual = self.unusual or "a function"
        elif kind == "heredoc_body" or (node.child_count == 0 and node.parent and node.parent.type != "heredoc_body"):
            self._hidden_code(node)
        elif kind == "command_substitution" and self._source(node).startswith("`"):
            self._nested_code(self._source(node)[1:-1].replace("\\`", "`"), node.start_byte)
        self._push_children(node, place)

    def _push_children(self, node: Node, place: _Place) -> None:
        if node.type == "list":
            items = self._list_items(node, place)
        elif node.type in NEW_SCOPE:
            items = [(child, place._replace(chain=self._new_chain(), piped=False)) for child in node.children]
        elif node.type == "pipeline":
            items = [(child, place._replace(piped=True)) for child in node.children]
        elif node.type in ("redirected_statement", "negated_command"):
            items = [(child, place) for child in node.children]
        elif node.type == "heredoc_redirect":
            if re.search(r"['\"\\]", self._source(_child(node, "heredoc_start"))):
                items = [(c, self._inner(place)) for c in node.children if not c.type.startswith("heredoc_")]
            else:
                items = [(child, self._inner(place)) for child in node.children]
        else:
            nested = place.nested or node.type in ("command_substitution", "process_substitution")
            items = [(child, _Place(self._new_chain(), piped=True, nested=nested)) for child in node.children]
        self.stack.extend(reversed(items))

    def _inner(self, place: _Place) -> _Place:
        return _Place(self._new_chain(), piped=True, nested=place.nested)

    def _new_chain(self) -> int:
        self.chains += 1
        return self.chains

    def _list_items(self, node: Node, place: _Place) -> list[tuple[Node, _Place]]:
        """The commands of `a && b || c` with their chains; the left spine is unrolled, not recursed into."""
        backwards: list[Node] = []
        current = node
        while current.type == "list":
            backwards.extend(reversed(current.children[1:]))
            current = current.children[0]
        items = [(current, place)]
        chain = place.chain
        for child in reversed(backwards):
            if child.type == "||":
                chain = self._new_chain()
            items.append((child, place._replace(chain=chain)))
        return items

    def _source(self, node: Node | None) -> str:
        return self.text[node.start_byte : node.end_byte] if node else ""

    def _attach(self, node: Node) -> None:
        body = node.child_by_field_name("body")
        while body is not None and body.type in ("list", "pipeline", "negated_command"):
            body = body.children[-1]  # the tree hangs it on the whole list, bash on the last command
        if body is not None and body.type in COMMANDS:
            redirects = [child for child in node.children if child.type in REDIRECTS]
            self.attached[body.id] = redirects
            self.attached.update((redirect.id, []) for redirect in redirects)

    def _command(self, node: Node, place: _Place) -> None:
        if node.type == "variable_assignment" and node.parent is not None and node.parent.type in COMMANDS:
            return  # part of that command
        if node.type == "test_command":
            self._test(node, place)
            return
        children = [node] if node.type == "variable_assignment" else list(node.children)
        spans: list[tuple[int, int]] = []
        assignments: list[tuple[str, Word]] = []
        redirects: list[Node] = []
        for child in children:
            if child.type in REDIRECTS:
                redirects.append(child)
                self.attached.setdefault(child.id, [])
            elif child.type == "variable_assignment" and (not spans or node.type == "declaration_command"):
                assignments.append(self._assignment(child))
            else:
                spans.append((child.start_byte, child.end_byte))
        part = Part(
            (), tuple(assignments), (), self._source(node), chain=place.chain, piped=place.piped, nested=place.nested
        )
        part = replace(part, start=node.start_byte)
        for redirect in redirects + self.attached.get(node.id, []):
            part = self._redirect(redirect, part, spans)
            if any(start == redirect.end_byte for start, _ in spans):
                self.broken = self.broken or "a redirection target in pieces"
        part = replace(part, words=tuple(self._words(spans)))
        if part.words and part.words[0].source in RESERVED_WORDS:  # `! { x; }`: the tree takes the brace for a command
            self.broken = self.broken or "a reserved word as a command"
            self._nested_code(self.text[spans[0][1] : node.end_byte], node.start_byte)
        self.parts.append(part)

    def _words(self, spans: list[tuple[int, int]]) -> Iterator[Word]:
        """Decoded words; neighbours without a gap are one word, whatever the tree says."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((start, end))
        for start, end in merged:
            yield self._word(self.text[start:end])

    def _word(self, source: str) -> Word:
        try:
            word, end = read_word(source)
        except Unclear as error:
            self.broken = self.broken or str(error)
            return Word(source, "dynamic", source=source)
        if end != len(source):
            self.broken = self.broken or "a word that ends early"
            return Word(source, "dynamic", source=source)
        return word

    def _assignment(self, node: Node) -> tuple[str, Word]:
        name, _, value = self._source(node).partition("=")
        if node.children and node.children[-1].type == "array":
            return name, Word(value, "dynamic", source=value)
        return name, self._word(value) if value else Word("", source="")

    def _test(self, node: Node, place: _Place) -> None:
        source = self._source(node)
        words: tuple[Word, ...] = (Word("[["), Word(source, "dynamic", source=source))
        if not source.startswith("[["):
            try:
                words = tuple(Word(text) for text in split(source)[0])
            except (Unclear, IndexError):
                words = (Word("["), Word(source, "dynamic", source=source))
        else:
            self.unusual = self.unusual or "[["
        part = Part(
            words, source=source, chain=place.chain, piped=place.piped, nested=place.nested, start=node.start_byte
        )
        for redirect in self.attached.get(node.id, []):
            part = self._redirect(redirect, part, [])
        self.parts.append(part)

    def _lone_redirect(self, node: Node, place: _Place) -> None:
        spans: list[tuple[int, int]] = []
        part = Part((), source=self._source(node), chain=place.chain, piped=place.piped, nested=place.nested)
        part = self._redirect(node, replace(part, start=node.start_byte), spans)
        if spans:
            self.broken = self.broken or "words after a redirection"
        self.parts.append(part)

    def _redirect(self, node: Node, part: Part, spans: list[tuple[int, int]]) -> Part:
        """`part` with the redirection added. Words the tree hangs under a redirection go to `spans`, where bash has
        them.
        """
        if node.type == "herestring_redirect":
            return replace(part, stdin=self._word(self._source(node).removeprefix("<<<").lstrip()).text)
        if node.type == "heredoc_redirect":
            for child in node.children:
                if child.type in REDIRECTS:
                    self.attached.setdefault(child.id, [])
                    part = self._redirect(child, part, spans)
            spans.extend((c.start_byte, c.end_byte) for c in node.children_by_field_name("argument"))
            return replace(part, stdin=self._source(_child(node, "heredoc_body")))
        operator = next((child.type for child in node.children if not child.is_named), "")
        targets = node.children_by_field_name("destination")
        if not targets:
            return part  # >&- closes a descriptor
        spans.extend((target.start_byte, target.end_byte) for target in targets[1:])
        if targets[-1].end_byte > targets[0].end_byte and targets[1].start_byte == targets[0].end_byte:
            self.broken = self.broken or "a redirection target in pieces"
        target = self._word(self._source(targets[0]))
        if operator in (">&", "<&") and re.fullmatch(r"\d+-?|-", target.source):
            return part
        if operator not in ("<", ">", ">>", ">|", ">&", "&>", "&>>", "<&"):
            self.broken = self.broken or f"the redirection {operator}"
        return replace(part, redirects=(*part.redirects, Redirect(target, writes=operator not in ("<", "<&"))))

    def _hidden_code(self, node: Node) -> None:
        """Substitutions the parser left inside a text: `${x:-`c`}` and unquoted heredocs."""
        if node.type in UNSCANNED or not node.is_named:
            return
        codes = embedded_code(self._source(node))
        if codes and node.type == "heredoc_body":  # the tree is unsure about what stands in these, our reader is not
            self.unusual = self.unusual or "a heredoc that expands"
        elif codes:
            self.broken = self.broken or "code inside a text"
        for code in codes:
            self._nested_code(code, node.start_byte)

    def _nested_code(self, code: str, start: int) -> None:
        self.unusual = self.unusual or "backticks"
        if self.depth >= 3:
            self.broken = self.broken or "backticks nested too deep"
            return
        inner = parse(code, self.depth + 1)
        self.broken = self.broken or inner.broken
        for part in inner.parts:
            self.parts.append(replace(part, nested=True, start=start, chain=self._new_chain()))


def _child(node: Node, kind: str) -> Node | None:
    return next((child for child in node.children if child.type == kind), None)
