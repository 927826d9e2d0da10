"""Make the classroom's two variants of each chapter, and try their exercises.

``python book/tools/variants.py FOLDER`` writes, for every notebook of ``_toc.yml``,
``FOLDER/NAME-student.ipynb`` (no solutions) and ``FOLDER/NAME-solution.ipynb`` (each starter
replaced by the answer), without outputs. ``--try NOTEBOOK`` runs the exercises of one notebook
both ways and prints one line of JSON: the status that each check returned.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
from pathlib import Path

import execute
import hygiene
import nbformat
from nbformat import NotebookNode

_GATE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{solution-(?:start|end)\}.*?^(?P=fence)[ \t]*$\n?",
    re.MULTILINE | re.DOTALL,
)


def _gates(cell: NotebookNode) -> tuple[bool, bool]:
    text = cell.source if cell.cell_type == "markdown" else ""
    return "{solution-start}" in text, "{solution-end}" in text


def _clean(notebook: NotebookNode, cells: list[NotebookNode]) -> NotebookNode:
    """Return a copy of `notebook` with `cells`, without outputs and without the last run."""
    fresh = NotebookNode({**notebook, "cells": [copy.deepcopy(cell) for cell in cells]})
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            stamp = rf"^{re.escape(hygiene.MARKER)}\n(\*Last run:.*\n?)?"
            cell.source = re.sub(stamp, "", cell.source, flags=re.MULTILINE)
    return fresh


def student(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook without its solutions: text, code and gates alike."""
    kept, inside = [], False
    for cell in notebook.cells:
        start, end = _gates(cell)
        inside = inside or start
        if not inside and "solution" not in hygiene.tags(cell):
            kept.append(cell)
        inside = inside and not end
    return _clean(notebook, kept)


def solution(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with every starter and its check replaced by the answer."""
    kept = []
    for cell in copy.deepcopy(notebook.cells):
        if cell.cell_type == "markdown" and any(_gates(cell)):
            cell.source = _GATE.sub("", cell.source).strip()
            if not cell.source:
                continue
        if not {"exercise", "check"} & set(hygiene.tags(cell)):
            kept.append(cell)
    return _clean(notebook, kept)


def write(path: Path, folder: Path) -> list[Path]:
    """Write both variants of the notebook at `path`; return their paths."""
    notebook = nbformat.read(path, as_version=4)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, make in (("student", student), ("solution", solution)):
        written.append(folder / f"{path.stem}-{kind}.ipynb")
        nbformat.write(make(notebook), written[-1])
    return written


def attempt(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Run the exercise cells of both variants; return (number, status) of each check.

    Only cells tagged `setup` run before them, once: exercises may depend on nothing else.
    """
    from ganlab import lab

    notebook = nbformat.read(path, as_version=4)
    start: dict[str, object] = {"__name__": "__main__"}

    def play(cells: list[NotebookNode], names: dict[str, object]) -> None:
        for i, cell in enumerate(cells):
            exec(compile(cell.source, f"{path.stem}[{i}]", "exec"), names)

    def tagged(variant: NotebookNode, *wanted: str) -> list[NotebookNode]:
        codes = [cell for _, cell in hygiene.code_cells(variant)]
        return [cell for cell in codes if set(wanted) & set(hygiene.tags(cell))]

    play(tagged(notebook, "setup"), start)
    results = {}
    for kind, make in (("student", student), ("solution", solution)):
        lab.check_log.clear()
        play(tagged(make(notebook), "exercise", "check", "solution"), dict(start))
        results[kind] = [(result.exercise, result.status) for result in lab.check_log]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the variants are written")
    parser.add_argument("--try", dest="notebook", type=Path, help="run one notebook's exercises")
    arguments = parser.parse_args()
    if arguments.notebook:
        print(json.dumps(attempt(arguments.notebook)))
        return
    if not arguments.folder:
        parser.error("name a folder, or a notebook after --try")
    for path in execute.chapters():
        for made in write(path, arguments.folder):
            print(made)


if __name__ == "__main__":
    main()
