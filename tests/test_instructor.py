"""The plan of the labs and the instructor's page: complete, and true to notebooks and checks."""

import ast
import re
from pathlib import Path

import instructor_page
import lab_plan
import pytest

import ganlab.lab.checks
from ganlab.lab.checks import plan

CHAPTERS = lab_plan.chapters()
TEXT = instructor_page.PAGE.read_text(encoding="utf-8")
SECTIONS = {
    int(number): text
    for number, text in re.findall(r"^## Chapter (\d+): .+?\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
}


def said(chapter: int) -> str:
    """Every string in the checks of a chapter, as one text; what is filled in is left out."""
    folder = Path(ganlab.lab.checks.__file__).parent
    files = [folder / f"c{chapter:02d}.py", folder / "words.py"]
    found = []
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            if isinstance(node, ast.JoinedStr):
                parts = [v.value for v in node.values if isinstance(v, ast.Constant)]
                found.append("".join(map(str, parts)))
    return "\n".join(found)


def test_the_plan_names_exactly_the_exercises_of_the_notebooks():
    found = [e for _, notebook in CHAPTERS.values() for e in lab_plan.exercises(notebook)]
    assert [e.number for e in found] == list(plan.TASKS)
    assert [(e.number, e.stars) for e in found] == [(n, t.stars) for n, t in plan.TASKS.items()]
    assert set(plan.SAME_FOR_ALL) <= set(plan.TASKS)


@pytest.mark.parametrize("number", plan.TASKS)
def test_minutes_keep_to_the_rule(number):
    task = plan.TASKS[number]
    low, high = plan.RANGES[task.stars]
    assert low <= task.minutes <= high
    assert task.minutes % 5 == 0
    assert task.points == task.minutes / 5


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_lab_has_exercises_and_fits(chapter):
    _, notebook = CHAPTERS[chapter]
    found = lab_plan.exercises(notebook)
    here = lab_plan.lesson(found)
    assert len(here) >= 2
    assert sum(e.task.minutes + e.task.wait for e in here) <= lab_plan.LESSON
    around = (instructor_page.OPENING, instructor_page.TALK, instructor_page.CLOSING)
    assert lab_plan.LESSON + sum(around) + instructor_page.SPARE == 90


def test_minutes_of_reading_follow_words_code_and_figures():
    nb = pytest.importorskip("nbformat").v4
    lines = "\n".join(f"x{i} = 1" for i in range(20))
    picture = nb.new_output("display_data", data={"image/png": "x"})
    cells = [
        nb.new_markdown_cell("# Title\n\n" + "word " * 239),
        nb.new_markdown_cell("## Theory\n\n" + "word " * 120 + "\n\n$$\na + b = c\n$$\n"),
        nb.new_code_cell(lines),
        nb.new_code_cell(lines, metadata={"tags": ["hide-input"]}, outputs=[picture]),
        nb.new_markdown_cell("text\n\n## Takeaways\n\n" + "word " * 60),
    ]
    minutes = lab_plan.sections(nb.new_notebook(cells=cells))
    assert list(minutes) == ["Opening", "Theory", "Takeaways"]
    assert minutes["Opening"] == pytest.approx(2)
    assert minutes["Theory"] == pytest.approx(1 + 0.5 + 2 + 1, abs=0.05)
    assert minutes["Takeaways"] == pytest.approx(0.5)
    assert [lab_plan.rounded(m) for m in (0.5, 4.9, 5, 12, 13)] == ["under 5"] * 2 + [
        "5",
        "10",
        "15",
    ]


def test_the_page_is_what_the_script_writes():
    assert instructor_page.page(TEXT) == TEXT, "run: python book/tools/instructor_page.py"


def test_a_page_that_lost_a_marker_is_refused():
    with pytest.raises(ValueError, match="markers"):
        instructor_page.page(TEXT.replace("% begin: chapter 3 ", "% begin: chapter 33 "))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_chapter_has_aims_mistakes_and_questions(chapter):
    text = SECTIONS[chapter]
    aims, rest = text.split("**Common mistakes.**")
    mistakes, talk = rest.split("**Discussion.**")
    assert len(re.findall(r"^\* ", aims, re.M)) == 3
    assert 4 <= len(re.findall(r"^\d\. \*.+?\?.*?\* \S", talk, re.M)) <= 6
    named = set(re.findall(rf"\bIn ({chapter}\.\d)\b", mistakes))
    known = set(plan.of_chapter(chapter))
    assert named <= known
    assert len(named) >= len(known) - 2


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_checks_say_what_the_page_quotes(chapter):
    quotes = re.findall(r"“(.+?)”", SECTIONS[chapter])
    assert quotes
    text = said(chapter)
    assert [q for q in quotes if q not in text] == []
