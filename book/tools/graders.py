"""What nbgrader and otter read in a student's notebook, and the cell to hand in.

Both grade by the course's own checks; `grading` writes the folders that they start from.
"""

from __future__ import annotations

import ast
import copy
from typing import Any

import hygiene
import nbformat
from nbformat import NotebookNode

from ganlab.lab.checks import plan

IGNORED = "otter_ignore"  # otter leaves cells with this tag out when it grades

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
