"""Terraform files as blocks with lines: enough structure for rules; python-hcl2 and terraform judge the syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<heredoc><<-?(?P<word>\w+)\n.*?\n[ \t]*(?P=word)(?=\n|$))"
    r'|(?P<string>"(?:\\.|\$\{[^{}]*\}|[^"\\])*")|(?P<name>[A-Za-z_][\w-]*)|(?P<mark>[{}\[\]()=,])|(?P<newline>\n)'
    r"|(?P<other>[^\s{}\[\]()=,\"]+)",
    re.DOTALL,
)


@dataclass
class Block:
    """`kind "label" ... { ... }`. `attributes` maps a name to (text of the value, line)."""

    kind: str
    labels: tuple[str, ...]
    line: int
    attributes: dict[str, tuple[str, int]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def text(self, name: str) -> str:
        """The value of an attribute as written, without quotes; "" when absent."""
        return self.attributes.get(name, ("", 0))[0].strip('"')

    def line_of(self, name: str) -> int:
        return self.attributes.get(name, ("", self.line))[1]

    def all(self, kind: str) -> Iterator[Block]:
        """Inner blocks of one kind, at any depth."""
        for block in self.blocks:
            if block.kind == kind:
                yield block
            yield from block.all(kind)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def parse_hcl(_file: str, text: str) -> Block:
    """The file as one outer block. Never fails: what makes no sense is passed over."""
    tokens: list[_Token] = []
    line, position = 1, 0
    for found in _TOKEN.finditer(text):
        line, position = line + text.count("\n", position, found.start()), found.start()
        if found.lastgroup not in ("comment",):
            tokens.append(_Token(str(found.lastgroup if found.lastgroup != "word" else "heredoc"), found[0], line))
    top = Block("", (), 1)
    stack = [top]
    index = 0
    while index < len(tokens):
        index = _step(tokens, index, stack)
    return top


def _step(tokens: list[_Token], index: int, stack: list[Block]) -> int:
    """Take one attribute, block opening or closing brace at `index`; the index after it."""
    item = tokens[index]
    if item.text == "}" and len(stack) > 1:
        stack.pop()
        return index + 1
    if item.kind not in ("name", "string"):
        return index + 1
    after = index + 1
    while after < len(tokens) and tokens[after].kind in ("name", "string"):
        after += 1
    if after < len(tokens) and tokens[after].text == "{":
        labels = tuple(label.text.strip('"') for label in tokens[index + 1 : after])
        block = Block(item.text, labels, item.line)
        stack[-1].blocks.append(block)
        stack.append(block)
        return after + 1
    if after == index + 1 and after < len(tokens) and tokens[after].text == "=":
        end = _value_end(tokens, after + 1)
        text = " ".join(part.text for part in tokens[after + 1 : end] if part.kind != "newline")
        stack[-1].attributes[item.text.strip('"')] = (text, item.line)
        return end
    return index + 1


def _value_end(tokens: list[_Token], index: int) -> int:
    """Where a value ends: at a line end or closing brace outside all brackets."""
    depth = 0
    while index < len(tokens):
        text, kind = tokens[index].text, tokens[index].kind
        if kind == "mark" and text in "{[(":
            depth += 1
        elif kind == "mark" and text in "}])":
            if depth == 0:
                return index
            depth -= 1
        elif kind == "newline" and depth == 0:
            return index
        index += 1
    return index
