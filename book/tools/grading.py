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
import copy
import pprint
import re
from pathlib import Path

import hygiene
import lab_plan
import nbformat
import variants
from graders import graded
from nbformat import NotebookNode
from references import References

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
