"""HTML to Markdown. A script: `html.py URL` < HTML in UTF-8 > `{"title", "markdown"}`.

Headings, lists, links, code, quotes and tables stay; scripts, styles, forms and images go (an image leaves its
alternative text). Links become absolute, and only http, https and mailto links stay links.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

_MEMORY = 1_000_000_000
_MAX_NESTING = 8
_DROPPED = frozenset(
    {"script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "select", "button", "head"}
)
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "figure", "form", "table", "dl"}
    | {"ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "details", "summary", "dt", "dd", "figcaption"}
)
_INLINE = {"strong": "**", "b": "**", "em": "*", "i": "*", "del": "~~"}
_SPACE = re.compile(r"[ \t\r\n\f]+")


class _Markdown(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base = base
        self.out: list[str] = []
        self.title: list[str] = []
        self.in_title = False
        self.dropping: list[str] = []
        self.lists: list[int | None] = []
        self.links: list[tuple[str, int]] = []
        self.pre = 0
        self.code = 0
        self.quote = 0
        self.row: list[str] | None = None
        self.rows = 0
        self.cell_start: int | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self.in_title = True
        if tag == "body":
            self.dropping.clear()  # whatever was left open in the head
        if self.dropping or tag in _DROPPED:
            if tag in _DROPPED:
                self.dropping.append(tag)
            return
        self._open(tag, {name: value or "" for name, value in attrs})

    def _open(self, tag: str, attrs: dict[str, str]) -> None:
        if tag in _BLOCKS and not (tag in ("ul", "ol") and self.lists):
            self._block()
        if tag in ("ul", "ol"):
            self.lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._item()
        elif tag in _INLINE:
            self.out.append(_INLINE[tag])
        elif tag == "a":
            self.links.append((attrs.get("href", ""), len(self.out)))
        elif tag == "img" and attrs.get("alt"):
            self.out.append(f"[image: {_SPACE.sub(' ', attrs['alt'])}]")
        elif re.fullmatch("h[1-6]", tag):
            self.out.append("#" * int(tag[1]) + " ")
        else:
            self._open_verbatim(tag)

    def _open_verbatim(self, tag: str) -> None:
        if tag == "pre":
            self._block()
            self.out.append("```\n")
            self.pre += 1
        elif tag == "code" and not self.pre:
            self.out.append("`")
            self.code += 1
        elif tag == "br":
            self.out.append("\n")
        elif tag == "hr":
            self._block()
            self.out.append("---\n\n")
        elif tag == "blockquote":
            self.quote += 1
            self.out.append("> ")
        elif tag in ("td", "th", "tr", "table"):
            self._open_in_table(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self.in_title = False
        if self.dropping:
            if tag in self.dropping:
                del self.dropping[self.dropping.index(tag) :]
            return
        if tag in _INLINE:
            self.out.append(_INLINE[tag])
        elif tag == "a" and self.links:
            self._link(*self.links.pop())
        elif tag in ("td", "th", "tr"):
            self._close_in_table(tag)
        else:
            self._close(tag)

    def _close(self, tag: str) -> None:
        if tag == "table":
            self._close_in_table(tag)
        if tag in ("ul", "ol") and self.lists:
            self.lists.pop()
        elif tag == "pre" and self.pre:
            self.pre -= 1
            self.out.append("```" if "".join(self.out[-1:]).endswith("\n") else "\n```")
        elif tag == "code" and self.code:
            self.code -= 1
            self.out.append("`")
        elif tag == "blockquote" and self.quote:
            self.quote -= 1
        if (tag in _BLOCKS or tag == "pre") and not (tag in ("ul", "ol") and self.lists):
            self._block()

    def _open_in_table(self, tag: str) -> None:
        """Cells and rows may be left open; the next one closes them."""
        self._close_in_table(tag)
        if tag == "table":
            self.rows = 0
        elif tag == "tr":
            self.row = []
        elif self.row is not None:
            self.cell_start = len(self.out)

    def _close_in_table(self, tag: str) -> None:
        if self.row is None:
            return
        if self.cell_start is not None:
            self.row.append(self._taken(self.cell_start))
            self.cell_start = None
        if tag in ("tr", "table"):
            cells = " | ".join(cell.replace("|", "\\|") for cell in self.row)
            ruler = "" if self.rows else "| " + "--- | " * len(self.row)
            self.out.append(f"| {cells} |\n" + (f"{ruler.rstrip()}\n" if ruler else ""))
            self.row, self.rows = None, self.rows + 1

    def handle_data(self, data: str) -> None:
        if self.in_title:
            self.title.append(data)
        elif self.dropping:
            return
        elif self.pre:
            self.out.append(data)
        else:
            text = _SPACE.sub(" ", data)
            at_line_start = not self.out or self.out[-1].endswith(("\n", "# ", "> "))
            self.out.append(text.lstrip() if at_line_start else text)

    def _block(self) -> None:
        self.out.append("\n\n" + "> " * min(self.quote, _MAX_NESTING))

    def _item(self) -> None:
        indent = "  " * min(max(0, len(self.lists) - 1), _MAX_NESTING)
        number = self.lists[-1] if self.lists else None
        if number is not None:
            self.lists[-1] = number + 1
        self.out.append(f"\n{indent}{'-' if number is None else f'{number + 1}.'} ")

    def _taken(self, start: int) -> str:
        """What was put out since `start`, on one line, taken back."""
        text = _SPACE.sub(" ", "".join(self.out[start:])).strip()
        del self.out[start:]
        return text

    def _link(self, target: str, start: int) -> None:
        text = self._taken(start)
        try:
            url = urljoin(self.base, target.strip())
        except ValueError:
            url = ""
        safe = re.fullmatch(r"(?:https?://|mailto:)[^\s<>()]+", url)
        self.out.append(f"[{text}]({url})" if safe and text and not target.startswith("#") else text)


def to_markdown(html: str, base: str = "") -> tuple[str, str]:
    """Title and Markdown of a page. Never raises on bad markup."""
    parser = _Markdown(base)
    parser.feed(html)
    parser.close()
    text = "".join(parser.out)
    lines = [line if line.startswith("    ") else line.rstrip() for line in text.split("\n")]
    markdown = re.sub(r"\n(?:(?:> ?)*\n){2,}", "\n\n", "\n".join(lines)).strip()
    return _SPACE.sub(" ", "".join(parser.title)).strip(), markdown


def main() -> None:
    """Read standard input, write the answer."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    html = sys.stdin.buffer.read().decode("utf-8", "replace")
    title, markdown = to_markdown(html, sys.argv[1])
    sys.stdout.write(json.dumps({"title": title, "markdown": markdown}))


if __name__ == "__main__":
    main()
