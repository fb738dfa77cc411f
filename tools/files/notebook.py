"""Jupyter notebooks: cells and outputs for reading, and the changes of NotebookEdit."""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import Any, Literal

from tools.files.encoding import Text
from tools.files.media import MAX_IMAGE_BYTES, image_type
from tools.text import cap, clean
from tools.tool import ToolError

Json = dict[str, Any]
CellType = Literal["code", "markdown"]
EditMode = Literal["replace", "insert", "delete"]

_OUTPUT_CHARACTERS = 10_000
_MOST_IMAGES = 10
_NUMBERED = re.compile(r"cell-(\d{1,6})")


def parse(text: str) -> Json:
    """A notebook (nbformat 4). Raises `ToolError` where it is not one."""
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"The notebook is not valid JSON: {clean(str(error))}.") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ToolError("The file has no list of cells, so it is not a notebook of format 4.")
    return {**notebook, "cells": cells}


def language_of(notebook: Json) -> str:
    """The kernel's language; Python where none is named."""
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return clean(name) if isinstance(name, str) else "python"


def joined(source: Any) -> str:
    """Text that a notebook stores as a string or as a list of lines."""
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def name_of(cell: Json, index: int) -> str:
    """The cell's id, or `cell-N` (from 0) where the format has none."""
    own = cell.get("id")
    return own if isinstance(own, str) and own else f"cell-{index}"


def rendered(notebook: Json) -> list[Json]:
    """Content blocks: one text with all cells and outputs, then the images among the outputs."""
    language, texts, images = language_of(notebook), [], []
    for index, cell in enumerate(notebook["cells"]):
        kind = clean(str(cell.get("cell_type", "raw")))
        label = f'<cell id="{clean(name_of(cell, index))}" type="{kind}"{f" language={language}" * (kind == "code")}>'
        texts.append(f"{label}\n{clean(joined(cell.get('source')))}\n</cell>")
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else []:
            if isinstance(output, dict):
                shown, image = _output(output)
                texts += [f"<output>\n{shown}\n</output>"] if shown else []
                images += [image] if image else []
    return [{"type": "text", "text": "\n".join(texts) or "[The notebook has no cells.]"}, *images[:_MOST_IMAGES]]


def _output(output: Json) -> tuple[str, Json | None]:
    """Text and image of one output: a stream, a result, or an error with its traceback."""
    if output.get("output_type") == "error":
        text = "\n".join([f"{output.get('ename')}: {output.get('evalue')}", *map(str, output.get("traceback") or [])])
        return cap(clean(text), _OUTPUT_CHARACTERS), None
    data = output.get("data")
    data = data if isinstance(data, dict) else {}
    text = joined(output.get("text") or data.get("text/plain"))
    image = next(filter(None, (_image(data.get(kind)) for kind in ("image/png", "image/jpeg"))), None)
    return cap(clean(text), _OUTPUT_CHARACTERS, note="read the file with Bash for all of it"), image


def _image(encoded: Any) -> Json | None:
    """An image block, if it is one: a block the API cannot decode would make the whole conversation unusable."""
    try:
        content = base64.b64decode("".join(joined(encoded).split()), validate=True)
    except ValueError:
        return None
    media_type = image_type(content)
    if media_type is None or len(content) > MAX_IMAGE_BYTES:
        return None
    data = base64.b64encode(content).decode("ascii")
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _position(notebook: Json, cell_id: str | None) -> int | None:
    if cell_id is None:
        return None
    cells = notebook["cells"]
    for index, cell in enumerate(cells):
        if name_of(cell, index) == cell_id:
            return index
    numbered = _NUMBERED.fullmatch(cell_id)
    if numbered and int(numbered[1]) < len(cells):
        return int(numbered[1])
    known = ", ".join(name_of(cell, index) for index, cell in enumerate(cells))
    raise ToolError(f'No cell "{clean(cell_id)}". The cells are: {clean(cap(known, 2000)) or "none"}.')


def changed(
    notebook: Json, new_source: str, cell_id: str | None, cell_type: CellType | None, mode: EditMode
) -> tuple[Json, str]:
    """A copy of the notebook with one change, and the id of the cell it touched."""
    cells: list[Json] = list(notebook["cells"])
    index = _position(notebook, cell_id)
    if mode == "insert":
        if cell_type is None:
            raise ToolError("Inserting a cell needs `cell_type`: code or markdown.")
        index = 0 if index is None else index + 1
        cells.insert(index, _new_cell(notebook, new_source, cell_type))
        return {**notebook, "cells": cells}, name_of(cells[index], index)
    if index is None:
        raise ToolError(f"To {mode} a cell, name it with `cell_id`.")
    touched = name_of(cells[index], index)
    if mode == "delete":
        del cells[index]
    else:
        cells[index] = _with_source(cells[index], new_source, cell_type)
    return {**notebook, "cells": cells}, touched


def _new_cell(notebook: Json, source: str, cell_type: CellType) -> Json:
    cell: Json = {"cell_type": cell_type, "metadata": {}, "source": source.splitlines(keepends=True)}
    if cell_type == "code":
        cell |= {"execution_count": None, "outputs": []}
    minor = notebook.get("nbformat_minor")
    if isinstance(minor, int) and minor >= 5:  # ids came with format 4.5
        cell["id"] = secrets.token_hex(4)
    return cell


def _with_source(cell: Json, source: str, cell_type: CellType | None) -> Json:
    """The cell with new source; outputs of the old source go."""
    kind = cell_type or cell.get("cell_type")
    kept = {k: v for k, v in cell.items() if k not in ("outputs", "execution_count")}
    fresh: Json = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {**kept, "cell_type": kind, "source": source.splitlines(keepends=True), **fresh}


def dump(notebook: Json, like: Text) -> bytes:
    """The notebook as Jupyter writes it: one space of indent, a final newline."""
    return like.encode(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
