"""Write the tables of ``book/instructor.md`` from the plan and from the notebooks.

``python book/tools/instructor_page.py`` writes them; a test fails if the page says anything else.
The prose around them is written by hand.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import hygiene
import lab_plan
from nbformat import NotebookNode

from ganlab.lab import markdown
from ganlab.lab.checks import plan

PAGE = Path(__file__).resolve().parents[1] / "instructor.md"
BEGIN, END = "% begin: {} (written by book/tools/instructor_page.py)", "% end"
_PART = re.compile(r"^% begin: (.+?) \(written by [\w/.]+\)\n.*?^% end\n", re.MULTILINE | re.DOTALL)
#: Minutes of a lab of ninety around its exercises.
OPENING, TALK, CLOSING, SPARE = 10, 10, 5, 5


def lesson() -> str:
    """The plan of a lab."""
    rows = [
        (OPENING, "The live figure of *See it first*, and the question of *Predict, then run*: all"
         " write down an answer before anybody runs the cell."),
        (lab_plan.LESSON, "The exercises that the chapter's table marks *in the lab*, in pairs."),
        (TALK, "One or two of the discussion questions."),
        (CLOSING, "The hand-in cell: run it, look at the table, send the file."),
        (SPARE, "Spare: somebody's kernel will have to be started again."),
    ]  # fmt: skip
    body = "\n".join(f"| {minutes} | {what} |" for minutes, what in rows)
    return f"| minutes | what |\n| ---: | --- |\n{body}"


def overview(chapters: dict[int, NotebookNode]) -> str:
    """One row for each chapter."""
    rows = []
    total = 0
    for chapter, notebook in chapters.items():
        found = lab_plan.exercises(notebook)
        points = sum(e.task.points for e in found)
        total += points
        here = lab_plan.lesson(found)
        rows.append([
            f"{chapter}. {hygiene.headings(notebook, 1)[0]}",
            lab_plan.rounded(lab_plan.reading(notebook)),
            sum(e.task.minutes for e in found),
            sum(e.task.wait for e in found) or "",
            points,
            sum(e.task.points for e in here),
        ])  # fmt: skip
    rows.append(["all", "", "", "", total, ""])
    head = ["chapter", "reading, min", "exercises, min", "waiting, min", "points", "in the lab"]
    return markdown(head, rows)


def rule() -> str:
    """How minutes and points come about."""
    ranges = [f"{low} to {high} for {'★' * stars}" for stars, (low, high) in plan.RANGES.items()]
    return (
        "The minutes of reading are an estimate by one rule:"
        f" {lab_plan.WORDS} words of prose a minute, {lab_plan.LINES} lines of visible code a"
        " minute, one minute a figure and half a minute a displayed formula, rounded to five"
        " minutes. The minutes of an exercise were judged by reading it and its solution, for"
        " somebody who has read the chapter and opens the hints one after the other:"
        f" {', '.join(ranges)}. One point stands for five of these minutes. Waiting for a training"
        " takes time and earns nothing. None of this was measured on a class: if you measure, tell"
        " us."
    )


def trainings(chapters: dict[int, NotebookNode]) -> str:
    """The exercises with a training."""
    found = [e for n in chapters.values() for e in lab_plan.exercises(n) if e.task.wait]
    rows = [[f"{e.number}, {e.title}", e.task.wait] for e in found]
    return markdown(["exercise with a training", "minutes to wait"], rows)


def same() -> str:
    """The exercises whose cases cannot be changed."""
    return "\n".join(f"* **{number}**: {why}." for number, why in plan.SAME_FOR_ALL.items())


def chapter(notebook: NotebookNode) -> str:
    """Minutes and points of one chapter."""
    found = lab_plan.exercises(notebook)
    here = lab_plan.lesson(found)
    read = lab_plan.sections(notebook)
    long = {name: m for name, m in read.items() if m >= 5 and name != lab_plan.EXERCISES}
    parts = ", ".join(f"*{name}* {lab_plan.rounded(m)}" for name, m in long.items())
    rows = [[
        f"{e.number} {e.title}",
        "★" * e.stars,
        f"{e.task.minutes}" + (f" and {e.task.wait} of waiting" if e.task.wait else ""),
        e.task.points,
        "in the lab" if e in here else "at home",
    ] for e in found]  # fmt: skip
    whole = lab_plan.rounded(lab_plan.reading(notebook))
    table = markdown(["exercise", "stars", "minutes", "points", "where"], rows)
    return f"About {whole} minutes of reading; of these {parts}.\n\n{table}"


def parts() -> dict[str, Callable[[], str]]:
    """What is written between each pair of markers."""
    chapters = {number: notebook for number, (_, notebook) in lab_plan.chapters().items()}
    made: dict[str, Callable[[], str]] = {
        "lesson": lesson,
        "overview": lambda: overview(chapters),
        "rule": rule,
        "trainings": lambda: trainings(chapters),
        "same for all": same,
    }
    for number, notebook in chapters.items():
        made[f"chapter {number}"] = functools.partial(chapter, notebook)
    return made


def page(text: str) -> str:
    """The page with its tables written anew.

    Raises:
        ValueError: a pair of markers is missing, or stands there twice.
    """
    made = parts()
    found = _PART.findall(text)
    if sorted(found) != sorted(made):
        raise ValueError(f"the page has the markers {found}, not {list(made)}")

    def write(match: re.Match[str]) -> str:
        return f"{BEGIN.format(match[1])}\n\n{made[match[1]]()}\n\n{END}\n"

    return _PART.sub(write, text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
