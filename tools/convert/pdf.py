"""Text of PDF pages. A script: `pdf.py FIRST LAST` (0 0 for all) < PDF > `{"pages": [{number, text}], "total": n}`.

Answers `{"error": "..."}` for a file that is encrypted, broken or longer than asked for.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from io import BytesIO
from typing import Any

_MEMORY = 2_000_000_000
_MOST_UNASKED = 10
_PAGE_CHARACTERS = 50_000


def _read(content: bytes, first: int, last: int) -> dict[str, Any]:
    import pypdf
    from pypdf.errors import PyPdfError

    try:
        reader = pypdf.PdfReader(BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"error": "The PDF is encrypted and needs a password. Ask the user for an unprotected copy."}
        total = len(reader.pages)
        if not first and total > _MOST_UNASKED:
            return {"error": f'The PDF has {total} pages. Ask for at most 20 at a time with `pages`, such as "1-5".'}
        if first > total:
            return {"error": f"The PDF has {total} pages; page {first} does not exist."}
        chosen = range(first or 1, min(last or total, total) + 1)
        pages = [{"number": n, "text": reader.pages[n - 1].extract_text()[:_PAGE_CHARACTERS]} for n in chosen]
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        # A broken file makes the parser fail in many ways; this process exists to contain them.
        return {"error": f"The PDF is damaged: {type(error).__name__}: {error}"}
    return {"pages": pages, "total": total}


def main() -> None:
    """Read standard input, write the answer."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    logging.disable()
    answer = _read(sys.stdin.buffer.read(), int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
