"""For graders: cases that nobody has seen, checks that raise, marks of nbgrader and otter.

That nbgrader 0.9.6 and otter-grader 7.0.0 accept and score these notebooks was tried by hand; here
stand the rules that their own validators apply.
"""

import ast
import doctest
import json

import graders
import grading
import hygiene
import lab_plan
import nbformat
import pytest
import torch
import variants

from ganlab import lab
from ganlab.errors import GanlabError
from ganlab.lab.checks import plan, read

CHAPTERS = lab_plan.chapters()


def right_growth(eta, f, rounds):
    return (1 + (eta * f) ** 2) ** (rounds / 2)


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """No verdicts, no grading, the published cases."""
    monkeypatch.setattr(lab, "check_log", [])
    for name in ("GANLAB_CHECK_SEED", "GANLAB_GRADING"):
        monkeypatch.delenv(name, raising=False)


# ---- unseen cases ----


def answers(monkeypatch):
    routes = pytest.importorskip("test_checks_routes")
    return {number: routes.RIGHT[number][0] for number in routes.OWN}


@pytest.mark.parametrize("number", [n for n in plan.TASKS if n not in ("3.5", "4.6")])
def test_right_answers_pass_on_unseen_cases_and_remembered_ones_do_not(monkeypatch, number):
    """What an answer returned on the published cases, played back, is no answer elsewhere."""
    right = answers(monkeypatch)[number]
    kept = []

    def recorded(*arguments):
        kept.append(right(*arguments))
        return kept[-1]

    assert lab.run(number, recorded).passed
    for seed in ("1", "2", "2147483647"):
        monkeypatch.setenv("GANLAB_CHECK_SEED", seed)
        verdict = lab.run(number, right)
        assert verdict.passed, verdict
        if number not in plan.SAME_FOR_ALL:
            back = iter([*kept, *kept, *kept])
            assert not lab.run(number, lambda *_, back=back: next(back)).passed


def test_cases_are_the_same_for_one_number_and_keep_the_published_ones(monkeypatch):
    assert read.vary(0.5, [1.0, 0.0, 3], by=0.1) == (0.5, [1.0, 0.0, 3])
    assert read.pick(1, 16, 40) == 16
    published = read.draw(3, 4)
    monkeypatch.setenv("GANLAB_CHECK_SEED", "9")
    once, again = read.vary(0.5, [1.0, 0.0, 3], by=0.1), read.vary(0.5, [1.0, 0.0, 3], by=0.1)
    assert once == again != (0.5, [1.0, 0.0, 3])
    assert once[1][1:] == [0.0, 3]
    assert abs(once[0] - 0.5) <= 0.05
    assert not torch.equal(read.draw(3, 4), published)
    assert {read.pick(k, 0, 2) for k in range(20)} == {1, 2}


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "2147483648", "9" * 50])
def test_a_seed_that_is_none_is_named(monkeypatch, given):
    monkeypatch.setenv("GANLAB_CHECK_SEED", given)
    with pytest.raises(GanlabError, match="GANLAB_CHECK_SEED must be a whole number"):
        lab.check("5.1", right_growth)


# ---- grading ----


def sheet(chapter):
    """The graded sheet of a chapter."""
    return graders.graded(grading.sheet(variants.student(CHAPTERS[chapter][1])))


def with_tag(notebook, tag):
    return [cell for cell in notebook.cells if tag in hygiene.tags(cell)]


@pytest.mark.parametrize("value", ["", "0"])
def test_a_wrong_answer_raises_only_where_it_is_graded(monkeypatch, capsys, value):
    monkeypatch.setenv("GANLAB_GRADING", value)
    assert lab.check("5.6", lambda beta, f: beta).status == "failed"
    monkeypatch.setenv("GANLAB_GRADING", "1")
    capsys.readouterr()
    assert lab.check("5.6", lambda beta, f: 2 * beta / f).passed
    with pytest.raises(AssertionError, match="the slope f is missing"):
        lab.check("5.6", lambda beta, f: 2 * beta)
    with pytest.raises(AssertionError, match="not started"):
        lab.check("5.6", ...)
    assert capsys.readouterr().out.count("\n") == 3
    assert [v.status for v in lab.check_log] == ["failed", "passed", "failed", "not started"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_marks_follow_the_rules_of_nbgrader(chapter):
    notebook = sheet(chapter)
    nbformat.validate(notebook)
    ids, points = [], {}
    for cell in notebook.cells:
        if not (marks := cell.metadata.get("nbgrader")):
            continue
        assert cell.cell_type == "code"
        assert marks["schema_version"] == 3
        assert {"grade", "locked", "solution", "task", "grade_id"} <= set(marks)
        assert all(isinstance(marks[k], bool) for k in ("grade", "locked", "solution", "task"))
        assert marks["grade"] == marks["locked"] == ("points" in marks) != marks["solution"]
        assert ("check" in hygiene.tags(cell)) == marks["grade"]
        ids.append(marks["grade_id"])
        if marks["grade"]:
            points[lab_plan.checked(cell)[0]] = marks["points"]
            before = notebook.cells[notebook.cells.index(cell) - 1]
            assert before.metadata["nbgrader"]["solution"], "a check stands behind its exercise"
    assert len(set(ids)) == len(ids)
    assert points == {n: task.points for n, task in plan.of_chapter(chapter).items()}
    last = with_tag(notebook, "hand-in")
    assert [cell.source for cell in last] == [f"lab.hand_in(name='', chapter={chapter})"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_sheet_has_what_its_exercises_need_and_no_solution(chapter):
    notebook, source = sheet(chapter), CHAPTERS[chapter][1]
    kinds = {tag for cell in notebook.cells for tag in hygiene.tags(cell)}
    assert "solution" not in kinds
    assert len(with_tag(notebook, "setup")) == len(with_tag(source, "setup"))
    assert all(
        {"setup", "exercise", "check", "hand-in"} & set(hygiene.tags(cell))
        for _, cell in hygiene.code_cells(notebook)
    )
    assert "solution-start" not in "".join(cell.source for cell in notebook.cells)
    assert "## Recall" not in "".join(cell.source for cell in notebook.cells)
    assert "nbgrader" not in json.dumps(source), "the source stays as it was"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_otter_finds_one_test_for_each_exercise(chapter):
    notebook = sheet(chapter)
    about = notebook.metadata.otter
    assert about["OK_FORMAT"] is True
    numbers = {graders._name(n): task.points for n, task in plan.of_chapter(chapter).items()}
    assert {name: test["points"] for name, test in about["tests"].items()} == numbers
    for name, test in about["tests"].items():
        (suite,) = test["suites"]
        assert test["name"] == name
        assert suite["type"] == "doctest"
        assert (suite["setup"], suite["teardown"]) == ("", "")
        examples = doctest.DocTestParser().get_examples(suite["cases"][0]["code"])
        assert examples[-1].want == "True\n"
        ast.parse("".join(example.source for example in examples))
    asked = [t for cell in with_tag(notebook, "exercise") for t in cell.metadata.otter["tests"]]
    assert asked == list(numbers)
    assert all(graders.IGNORED in hygiene.tags(cell) for cell in with_tag(notebook, "check"))


def play(notebook):
    """Points by nbgrader's rule, a check cell that raises has none, and by otter's tests."""
    names, mine, theirs = {"__name__": "__main__"}, 0, 0
    for _, cell in hygiene.code_cells(notebook):
        try:
            exec(cell.source, names)
            mine += cell.metadata.get("nbgrader", {}).get("points", 0)
        except AssertionError:
            pass
    for test in notebook.metadata.otter["tests"].values():
        code = test["suites"][0]["cases"][0]["code"]
        case = doctest.DocTestParser().get_doctest(code, names, test["name"], None, 0)
        runner = doctest.DocTestRunner(verbose=False)
        theirs += test["points"] * (runner.run(case, out=lambda _: None).failed == 0)
    return mine, theirs


def test_starters_get_no_points_and_solutions_all(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLAB_GRADING", "1")
    monkeypatch.setenv("GANLAB_PROFILE", "quick")
    notebook, source = sheet(6), CHAPTERS[6][1]
    whole = sum(task.points for task in plan.of_chapter(6).values())
    assert play(notebook) == (0, 0)
    solved = grading.answered(notebook, source)
    # In an exercise cell the solutions' own checks and prints may stand: they pass.
    assert play(solved) == (whole, whole)
    cell = with_tag(solved, "exercise")[0]
    cell.source = "def w1_sorted(a, b):\n    print('so')\n    return (a - b).abs().mean()"
    lost = plan.TASKS["6.1"].points
    assert play(solved) == (whole - lost, whole - lost)


def test_a_notebook_whose_cells_do_not_fit_is_refused():
    def code(text, tag):
        return nbformat.v4.new_code_cell(text, metadata={"tags": [tag]})

    exercise, check = code("x = ...", "exercise"), code('lab.check("5.1", x)', "check")
    other = code("y = ...", "exercise")
    for cells, words in (
        ([exercise, other, check], "without its check"),
        ([check], "without its exercise"),
        ([exercise], "the last one has no check"),
        ([], "no exercises"),
        ([exercise, code("x = 1\n" + check.source, "check")], "no single call"),
    ):
        with pytest.raises(ValueError, match=words):
            graders.graded(nbformat.v4.new_notebook(cells=cells))


def test_the_folders_of_both_graders(tmp_path):
    made = grading.write(5, CHAPTERS[5][0], tmp_path)
    names = {str(p.relative_to(tmp_path)) for p in made}
    assert names == {
        "nbgrader/source/chapter-05/05_dynamics.ipynb",
        "otter/chapter-05/05_dynamics.ipynb",
    }
    notebook = nbformat.read(made[1], as_version=4)
    for name, test in notebook.metadata.otter["tests"].items():
        found = {}
        text = (made[1].parent / "tests" / f"{name}.py").read_text(encoding="utf-8")
        assert text.isascii(), "otter opens these files in the machine's own encoding"
        exec(text, found)
        assert found["OK_FORMAT"] is True
        assert found["test"] == test
    compile(grading.CONFIG, "nbgrader_config.py", "exec")
