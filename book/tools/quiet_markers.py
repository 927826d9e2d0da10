"""Sphinx extension: lines that speak to the tests are not shown to readers.

`# NBVAL_CHECK_OUTPUT` tells the test runner to compare a cell's output with the stored one. It
must stand in the notebook; on the page it would only puzzle.
"""

from __future__ import annotations

from docutils import nodes

MARKER = "# NBVAL_CHECK_OUTPUT"


def quiet(source: str) -> str:
    """A cell's code without the markers, and without the empty lines that they leave on top."""
    lines = [line for line in source.splitlines() if line.strip() != MARKER]
    return "\n".join(lines).lstrip("\n")


def _hide(app, doctree) -> None:
    for block in doctree.findall(nodes.literal_block):
        text = block.astext()
        if MARKER in text:
            block.rawsource = quiet(text)
            block.children = []
            block += nodes.Text(block.rawsource)


def setup(app) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", _hide)
    return {"parallel_read_safe": True}
