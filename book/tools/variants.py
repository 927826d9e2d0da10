"""Make the notebooks that people open, three from each chapter, and try their exercises.

``python book/tools/variants.py FOLDER`` writes, for every notebook of ``_toc.yml``,

* ``FOLDER/read/NAME.ipynb``: the chapter with its outputs; hints, solutions and answers closed;
* ``FOLDER/student/NAME.ipynb``: without outputs and without solutions, with a cell to hand in
  and what nbgrader and otter want to know;
* ``FOLDER/solution/NAME.ipynb``: each starter replaced by the answer, with its outputs.

The sources are written for the site. In these, directives and roles have become what Colab and
JupyterLab show (`plain_markdown`), and cells that the site folds are folded there, too. They are
never edited: the workflow that publishes the site puts them on a branch of their own, of one
commit, because a second and a third copy of every picture in the history of this one would soon
weigh more than the course. ``--try NOTEBOOK`` runs the exercises of one source both ways and
prints one line of JSON: the status that each check returned.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import execute
import hygiene
import nbformat
from graders import graded
from nbformat import NotebookNode
from plain_markdown import Translator
from references import References

_GATE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{solution-(?:start|end)\}.*?^(?P=fence)[ \t]*$\n?",
    re.MULTILINE | re.DOTALL,
)
_NOTES = {
    "read": "",
    "student": " This is the version for class: the exercises are yours to solve.",
    "solution": " This is the version with the exercises solved.",
}


def _gates(cell: NotebookNode) -> tuple[bool, bool]:
    text = cell.source if cell.cell_type == "markdown" else ""
    return "{solution-start}" in text, "{solution-end}" in text


def _copy(notebook: NotebookNode, cells: list[NotebookNode]) -> NotebookNode:
    """Return a copy of `notebook` with `cells`, counted from 1."""
    fresh = NotebookNode({**notebook, "cells": [copy.deepcopy(cell) for cell in cells]})
    for count, (_, cell) in enumerate(hygiene.code_cells(fresh), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return fresh


def _clean(notebook: NotebookNode) -> NotebookNode:
    """Take outputs and the line of the last run away."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            stamp = rf"^{re.escape(hygiene.MARKER)}\n(\*Last run:.*\n?)?"
            cell.source = re.sub(stamp, "", cell.source, flags=re.MULTILINE)
    return notebook


def student(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook without its solutions: text, code and gates alike."""
    kept, inside = [], False
    for cell in notebook.cells:
        start, end = _gates(cell)
        inside = inside or start
        if not inside and "solution" not in hygiene.tags(cell):
            kept.append(cell)
        inside = inside and not end
    return _clean(_copy(notebook, kept))


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
    return _copy(notebook, kept)


def read(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with each solution, code and all, as one closed answer."""
    kept: list[NotebookNode] = []
    parts: list[str] | None = None
    for cell in copy.deepcopy(notebook.cells):
        start, end = _gates(cell)
        if start:
            parts = []
        if parts is None:
            kept.append(cell)
            continue
        if cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            shown = "".join(o.text for o in cell.outputs if o.output_type == "stream")
            parts += [f"```text\n{shown.rstrip()}\n```"] if shown else []
        elif text := _GATE.sub("", cell.source).strip():
            parts.append(text)
        if end:
            answer = "::::::{dropdown} Solution\n" + "\n\n".join(parts) + "\n::::::"
            kept.append(nbformat.v4.new_markdown_cell(answer, id=f"{cell.id}-answer"[:64]))
            parts = None
    return _copy(notebook, kept)


SETS: dict[str, Callable[[NotebookNode], NotebookNode]] = {
    "read": read, "student": student, "solution": solution,
}  # fmt: skip


def _about(kind: str, page: str, site: str) -> str:
    return (
        f"> A notebook of the course [GANs that run]({site}). The same chapter"
        f" [on its site]({page}) has figures that move.{_NOTES[kind]}"
    )


def _fold(cell: NotebookNode) -> None:
    """Fold a cell that the site folds, in JupyterLab and in Colab; let a picture say its alt."""
    if hygiene.FOLDED & set(hygiene.tags(cell)):
        cell.metadata["jupyter"] = {"source_hidden": True}
        cell.metadata["cellView"] = "form"
    about = cell.metadata.pop("mystnb", {}).get("image", {})
    for output in cell.outputs:
        if "alt" in about and "image/png" in output.get("data", {}):
            output.metadata["image/png"] = {"alt": about["alt"]}


def translated(notebook: NotebookNode, kind: str, stem: str, refs: References) -> NotebookNode:
    """Return one of the three notebooks, as people open it."""
    made, translate = SETS[kind](notebook), Translator(refs, stem)
    for cell in made.cells:
        if cell.cell_type == "markdown":
            cell.source = translate(cell.source)
        else:
            _fold(cell)
    made.cells = [cell for cell in made.cells if cell.source]
    title, _, rest = made.cells[0].source.partition("\n")
    about = _about(kind, refs.page(stem), refs.address.site)
    made.cells[0].source = "\n".join((title, "", about, rest))
    return made


def write(path: Path, folder: Path, refs: References | None = None) -> list[Path]:
    """Write the three notebooks of the source at `path`; return their paths."""
    notebook, refs = nbformat.read(path, as_version=4), refs or References()
    written = []
    for kind in SETS:
        made = translated(notebook, kind, path.stem, refs)
        written.append(folder / kind / path.name)
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(graded(made) if kind == "student" else made, written[-1])
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
    for kind in ("student", "solution"):
        make = SETS[kind]
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
    refs = References()
    for path in execute.chapters():
        for made in write(path, arguments.folder, refs):
            print(made)


if __name__ == "__main__":
    main()
