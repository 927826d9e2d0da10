"""How long a chapter takes: minutes of reading for each section, of work for each exercise.

``python book/tools/lab_plan.py`` prints the plan of every chapter. The minutes and points of the
exercises are judged by hand and stand in ``ganlab/lab/checks/plan.py``, because a student's table
of results needs the points too. The minutes of reading are an estimate by one rule: 120 words of
prose a minute, 10 lines of visible code a minute, one minute a figure and half a minute a formula
that stands alone. Folded code is not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import execute
import hygiene
import nbformat
from nbformat import NotebookNode

from ganlab.lab.checks import plan

WORDS, LINES, FIGURES, FORMULAS = 120, 10, 1, 2  # a minute
OPENING, EXERCISES = "Opening", "Exercises"
LESSON = 60  # minutes of exercises in a lab of ninety

_HEADING = re.compile(r"^## +(.+?)\s*$", re.MULTILINE)
_FORMULA = re.compile(r"\$\$.*?\$\$|`{3,}\{math\}.*?`{3,}|:{3,}\{math\}.*?:{3,}", re.DOTALL)
_FIGURE = re.compile(r"\{figure\}|!\[|<iframe|<svg")
_EXERCISE = re.compile(r"\{exercise\}[ \t]*(★{1,3})[ \t]+(.+)")
_CHECK = re.compile(r"lab\.check\(\s*[\"']([\d.]+)[\"']")


@dataclass(frozen=True)
class Found:
    """An exercise as it stands in a notebook."""

    number: str
    stars: int
    title: str

    @property
    def task(self) -> plan.Task:
        """What the plan says of it."""
        return plan.TASKS[self.number]


def checked(cell: NotebookNode) -> list[str]:
    """The exercises that a cell checks."""
    return _CHECK.findall(cell.source)


def exercises(notebook: NotebookNode) -> list[Found]:
    """The exercises of a chapter, in order.

    Raises:
        ValueError: a heading has no check, or a check no heading with stars.
    """
    heads: list[tuple[str, str]] = []
    numbers: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heads += _EXERCISE.findall(cell.source)
        elif "check" in hygiene.tags(cell):
            numbers += checked(cell)
    if len(heads) != len(numbers):
        raise ValueError(f"{len(heads)} headings of exercises, {len(numbers)} checks: {numbers}")
    return [Found(n, len(stars), title.strip()) for n, (stars, title) in zip(numbers, heads)]


def _prose(text: str) -> float:
    """Minutes for a piece of Markdown."""
    formulas = len(_FORMULA.findall(text))
    words = re.findall(r"\w[\w'’-]*", re.sub(r"<[^>]+>", "", _FORMULA.sub("", text)))
    return len(words) / WORDS + formulas / FORMULAS + len(_FIGURE.findall(text)) / FIGURES


def _code(cell: NotebookNode) -> float:
    """Minutes for a cell of code and the picture that it drew."""
    shown = "" if hygiene.FOLDED & set(hygiene.tags(cell)) else cell.source
    lines = sum(bool(line.strip()) for line in shown.splitlines())
    picture = any("image/png" in o.get("data", {}) for o in cell.get("outputs", []))
    return lines / LINES + picture / FIGURES


def sections(notebook: NotebookNode) -> dict[str, float]:
    """Minutes of reading for each section, estimated; the exercises take their own minutes."""
    minutes, here = {OPENING: 0.0}, OPENING
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            first, *rest = _HEADING.split(cell.source)
            minutes[here] += _prose(first)
            for here, text in zip(rest[::2], rest[1::2]):
                minutes[here] = minutes.get(here, 0.0) + _prose(text)
        elif cell.cell_type == "code":
            minutes[here] += _code(cell)
    if found := exercises(notebook):
        minutes[EXERCISES] = float(sum(e.task.minutes + e.task.wait for e in found))
    return minutes


def reading(notebook: NotebookNode) -> float:
    """Minutes of reading for the whole chapter, without its exercises."""
    return sum(m for name, m in sections(notebook).items() if name != EXERCISES)


def lesson(found: list[Found], room: int = LESSON) -> list[Found]:
    """The exercises for a lab, from the front: those without ★★★ that fit into its minutes."""
    chosen: list[Found] = []
    for exercise in found:
        cost = exercise.task.minutes + exercise.task.wait
        if exercise.stars < 3 and cost <= room:
            chosen.append(exercise)
            room -= cost
    return chosen


def rounded(minutes: float) -> str:
    """Minutes in steps of five, as an estimate should be printed."""
    return "under 5" if minutes < 5 else str(5 * round(minutes / 5))


def chapters() -> dict[int, tuple[Path, NotebookNode]]:
    """The notebooks of the course by the number of their chapter."""
    paths = [path for path in execute.chapters() if re.match(r"\d\d_", path.stem)]
    return {int(path.stem[:2]): (path, nbformat.read(path, as_version=4)) for path in paths}


def main() -> None:
    for path, notebook in chapters().values():
        found = exercises(notebook)
        points = sum(e.task.points for e in found)
        print(
            f"{path.stem}: about {rounded(reading(notebook))} minutes of reading, {points} points"
        )
        for name, minutes in sections(notebook).items():
            print(f"  {name:32s} {rounded(minutes):>7s} min")
        for e in found:
            wait = f" and {e.task.wait} of waiting" * bool(e.task.wait)
            print(f"  {e.number:5s}{'★' * e.stars:4s}{e.task.minutes:3d} min{wait}, {e.title}")


if __name__ == "__main__":
    main()
