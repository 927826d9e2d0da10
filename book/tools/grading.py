"""Make a student's notebook one that nbgrader and otter can grade.

``python book/tools/grading.py FOLDER`` writes for every chapter

* ``FOLDER/nbgrader/source/chapter-02/02_minimax_game.ipynb``, an assignment of nbgrader, whose
  course folder ``FOLDER/nbgrader`` is, with its ``nbgrader_config.py``;
* ``FOLDER/otter/chapter-02/``, the same notebook with ``tests/q2_1.py`` and so on beside it, from
  which ``otter generate -t tests`` makes an autograder.

Both grade by the course's own checks. A check never raises, which a reader likes and a grader
cannot use; so the configuration sets ``GANLAB_GRADING=1``, and then it raises its diagnosis. Each
notebook is a *sheet*: the title, the cells of the set-up and the exercises, which need nothing
else, so that grading takes seconds and not the minutes of a chapter.
"""

from __future__ import annotations

import argparse
import ast
import copy
import pprint
import re
from pathlib import Path
from typing import Any

import hygiene
import lab_plan
import nbformat
import variants
from nbformat import NotebookNode
from references import References

from ganlab.lab.checks import plan

IGNORED = "otter_ignore"  # otter leaves cells with this tag out when it grades

CONFIG = """\
# nbgrader for the course "GANs that run". Start nbgrader in the folder of this file.
import os

c = get_config()
c.CourseDirectory.course_id = "gans"
# Our notebooks have no solutions to clear; nbgrader would clear the starters.
c.ClearSolutions.enabled = False
# A check raises if the answer is not right: that is what nbgrader grades by.
os.environ["GANLAB_GRADING"] = "1"
# Trainings are short.
os.environ.setdefault("GANLAB_PROFILE", "quick")
# Cases that nobody has seen: put in a number of your own, and keep it for the whole class.
# os.environ["GANLAB_CHECK_SEED"] = "481516"
"""

HAND_IN = """\
### Hand in

The next cell shows the last verdict of each of your exercises and writes them to a file. Put in
your name, run it, and hand in the file together with this notebook."""

TEST = """\
>>> import contextlib, io
>>> with contextlib.redirect_stdout(io.StringIO()):
...     verdict = lab.run("{number}", {answer})
>>> verdict.passed or str(verdict)
True"""


def sheet(notebook: NotebookNode) -> NotebookNode:
    """The title, the cells of the set-up and the exercises of a student's notebook."""
    kept, inside = [], False
    for i, cell in enumerate(notebook.cells):
        tags = set(hygiene.tags(cell))
        if cell.cell_type == "markdown":
            heads = re.findall(r"^##? +(.+?)\s*$", cell.source, re.MULTILINE)
            inside = heads[-1].startswith(lab_plan.EXERCISES) if heads else inside
        if i == 0 or inside or "setup" in tags:
            kept.append(copy.deepcopy(cell))
    return NotebookNode({**notebook, "cells": kept})


def _answer(cell: NotebookNode) -> tuple[str, str]:
    """The exercise that a check cell checks, and the expression that it hands over.

    Raises:
        ValueError: it does not consist of one call of `lab.check` with two arguments.
    """
    body = ast.parse(cell.source).body
    call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "lab.check":
        raise ValueError(f"no single call of lab.check: {cell.source}")
    number, answer = call.args
    return ast.literal_eval(number), ast.unparse(answer)


def _name(number: str) -> str:
    """The exercise's name for otter, q2_1: a name of Python."""
    return "q" + number.replace(".", "_")


def _marks(number: str, kind: str) -> dict[str, Any]:
    """nbgrader's metadata, schema 3, of an exercise or a check cell."""
    checks = kind == "check"
    marks = {
        "schema_version": 3,
        "grade_id": f"{kind}-{number.replace('.', '-')}",
        "grade": checks,
        "locked": checks,
        "solution": not checks,
        "task": False,
    }
    return marks | ({"points": plan.TASKS[number].points} if checks else {})


def otter_test(number: str, answer: str) -> dict[str, Any]:
    """The test of an exercise in the OK format."""
    code = TEST.format(number=number, answer=answer)
    suite = {"cases": [{"code": code, "hidden": False, "locked": False}], "scored": True}
    suite |= {"setup": "", "teardown": "", "type": "doctest"}
    return {"name": _name(number), "points": plan.TASKS[number].points, "suites": [suite]}


def graded(notebook: NotebookNode) -> NotebookNode:
    """A copy of a student's notebook with the metadata of nbgrader and otter and a hand-in cell.

    Exercise cells are marked as solutions, check cells as graded and locked, with the points of
    the plan. Otter finds its tests in the notebook's metadata, and runs each behind the exercise
    cell in place of the check cell, which it leaves out.

    Raises:
        ValueError: an exercise cell is not followed by its check cell.
    """
    fresh: NotebookNode = copy.deepcopy(notebook)
    tests: dict[str, dict[str, Any]] = {}
    waiting: NotebookNode | None = None
    last = 0
    for i, cell in enumerate(fresh.cells):
        tags = hygiene.tags(cell)
        if "exercise" in tags:
            if waiting is not None:
                raise ValueError(f"an exercise without its check: {waiting.source}")
            waiting = cell
        if "check" in tags:
            number, answer = _answer(cell)
            if waiting is None:
                raise ValueError(f"a check without its exercise: {cell.source}")
            waiting.metadata["nbgrader"] = _marks(number, "exercise")
            waiting.metadata["otter"] = {"tests": [_name(number)]}
            cell.metadata["nbgrader"] = _marks(number, "check")
            cell.metadata["tags"] = [*tags, IGNORED]
            cell.metadata |= {"deletable": False, "editable": False}
            tests[_name(number)] = otter_test(number, answer)
            waiting, last = None, i
    if waiting is not None or not tests:
        raise ValueError("no exercises, or the last one has no check")
    fresh.metadata["otter"] = {"OK_FORMAT": True, "tests": tests}
    text = nbformat.v4.new_markdown_cell(HAND_IN, id="hand-in-text")
    call = f"lab.hand_in(name='', chapter={plan.chapter_of(number)})"
    code = nbformat.v4.new_code_cell(call, id="hand-in", metadata={"tags": ["hand-in"]})
    fresh.cells[last + 1 : last + 1] = [text, code]
    return fresh


def answered(notebook: NotebookNode, source: NotebookNode) -> NotebookNode:
    """A copy of a student's notebook with the solutions of its source in the exercise cells.

    It is what a student hands in who has everything right: for trying a grader.
    """
    solutions: list[list[str]] = []
    for cell in source.cells:
        tags = hygiene.tags(cell)
        if "exercise" in tags:
            solutions.append([])
        elif "solution" in tags:
            solutions[-1].append(cell.source)
    fresh: NotebookNode = copy.deepcopy(notebook)
    cells = [cell for cell in fresh.cells if "exercise" in hygiene.tags(cell)]
    for cell, parts in zip(cells, solutions, strict=True):
        cell.source = "\n\n\n".join(parts)
    return fresh


def write(chapter: int, path: Path, folder: Path, refs: References | None = None) -> list[Path]:
    """Write both graders' folders of the chapter whose source is at `path`."""
    source = nbformat.read(path, as_version=4)
    made = variants.translated(source, "student", path.stem, refs or References())
    notebook = graded(sheet(made))
    nbgrader = folder / "nbgrader" / "source" / f"chapter-{chapter:02d}"
    otter = folder / "otter" / f"chapter-{chapter:02d}"
    (otter / "tests").mkdir(parents=True, exist_ok=True)
    nbgrader.mkdir(parents=True, exist_ok=True)
    for name, test in notebook.metadata.otter["tests"].items():
        text = f"OK_FORMAT = True\n\ntest = {pprint.pformat(test, sort_dicts=False)}\n"
        (otter / "tests" / f"{name}.py").write_text(text, encoding="utf-8")
    for place in (nbgrader, otter):
        nbformat.write(notebook, place / path.name)
    return [nbgrader / path.name, otter / path.name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where nbgrader/ and otter/ are written")
    folder, refs = parser.parse_args().folder, References()
    for chapter, (path, _) in lab_plan.chapters().items():
        for made in write(chapter, path, folder, refs):
            print(made)
    config = folder / "nbgrader" / "nbgrader_config.py"
    config.write_text(CONFIG, encoding="utf-8")
    print(config)


if __name__ == "__main__":
    main()
