"""What the tests of single chapters share: a chapter, its words, and stored results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

BOOK = Path(__file__).resolve().parents[1] / "book"


def notebook(name: str) -> NotebookNode:
    """A chapter, as `03_first_gan`."""
    return nbformat.read(BOOK / f"{name}.ipynb", as_version=4)


def words(name: str) -> str:
    """The text of a chapter, without its code."""
    return "\n".join(cell.source for cell in notebook(name).cells if cell.cell_type == "markdown")


def line(text: str) -> str:
    """Text in one line: where a chapter breaks its lines is no matter."""
    return " ".join(text.split())


def stored(name: str) -> dict[str, Any]:
    """A stored result of the book."""
    text = (BOOK / "results" / name / "results.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
