"""Read, Write, Edit and NotebookEdit."""

from tools.files.changing import edit, notebook_edit, write
from tools.files.reading import read

__all__ = ["edit", "notebook_edit", "read", "write"]
