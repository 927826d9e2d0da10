"""Handing in: the table, its signature, the teacher's command and the re-run."""

import csv
import json
import re
import subprocess
import sys

import nbformat
import pytest
import torch

from ganlab import lab
from ganlab.errors import GanlabError
from ganlab.lab import handin
from ganlab.lab.checks import rerun

RIGHT = {
    "5.1": "def growth(eta, f, rounds):\n    return helper(eta * f) ** (rounds / 2)",
    "5.4": "def extra(field, w, eta):\n    return w + eta * field(w + eta * field(w))",
    "5.6": "def rest(beta, f):\n    return 2 * beta / f",
}


def code(text, *tags):
    return nbformat.v4.new_code_cell(text, metadata={"tags": list(tags)})


def lab_notebook(path, answers=RIGHT):
    """A small lab: set-up, text that must not run, a helper of the student, three exercises."""
    cells = [code("from ganlab import lab", "setup"), code("raise SystemExit('of the text')")]
    for number, text in answers.items():
        name = re.search(r"def (\w+)", text)[1]
        cells += [
            code(text, "exercise"),
            code("%matplotlib inline\ndef helper(x):\n    return 1 + x**2"),
        ]
        cells += [code(f'lab.check("{number}", {name})', "check")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def growth(eta, f, rounds):
    return (1 + (eta * f) ** 2) ** (rounds / 2)


@pytest.fixture(autouse=True)
def session(tmp_path, monkeypatch):
    """A session of its own in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lab, "check_log", [])
    for name in ("GANLAB_CHECK_SEED", "GANLAB_GRADING"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def solve(capsys):
    lab.check("5.1", lambda *a: 0.0)
    lab.check("5.1", growth)
    lab.check("5.6", lambda beta, f: beta)
    capsys.readouterr()


def written(folder):
    return sorted(path.name for path in folder.glob("*.json"))


def test_the_table_has_the_last_verdicts_and_the_points(session, capsys):
    solve(capsys)
    shown = lab.hand_in("Ada Lovelace").data
    assert capsys.readouterr().out == (
        "hand-in-5-Ada-Lovelace.json: 2 of 20 points. Hand this file in.\n"
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines()]
    assert rows[2] == ["5.1", "✓ passed", "2 of 2"]
    assert rows[7] == ["5.6", "✗ failed", "0 of 5"]
    assert [r[1] for r in rows[3:7]] == ["○ not run"] * 4
    assert rows[-1] == ["all", "", "2 of 20"]
    record = handin.read("hand-in-5-Ada-Lovelace.json")
    first = record["exercises"][0]
    assert (
        first["source"]
        == "def growth(eta, f, rounds):\n    return (1 + (eta * f) ** 2) ** (rounds / 2)"
    )
    assert (record["chapter"], record["cases"], record["course"][:7]) == (5, 0, "ganlab ")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("  Łukasz Ó/Brien 李 ", "hand-in-5-Łukasz-Ó-Brien-李.json"),
        ("../../etc/passwd", "hand-in-5-etc-passwd.json"),
        ("Zoe\u0308", "hand-in-5-Zoë.json"),
        ("C:\\x", "hand-in-5-C-x.json"),
        ("山" * 400, f"hand-in-5-{'山' * 50}.json"),
    ],
)
def test_any_name_makes_a_file_here(session, capsys, name, file):
    solve(capsys)
    lab.hand_in(name)
    assert written(session) == [file]
    assert capsys.readouterr().out.count("\n") == 1
    assert handin.read(file)["points"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "put in your name"),
        (("   ",), "put in your name"),
        (("///",), "one letter or digit"),
        (("a\nb",), "one line"),
        (("\ud800a",), "one line"),
        (("Ada", 12), "no chapter 12"),
        (("Ada", "5"), "no chapter '5'"),
        (("Ada", True), "no chapter True"),
    ],
)
def test_what_cannot_be_handed_in_is_one_line(session, capsys, arguments, words):
    solve(capsys)
    lab.hand_in(*arguments)
    out = capsys.readouterr().out
    assert out.startswith("nothing to hand in: ")
    assert words in out
    assert out.count("\n") == 1
    assert not written(session)


def test_a_session_without_checks_or_with_two_chapters_says_so(session, capsys):
    assert lab.hand_in("Ada") is None
    assert "no check has run yet" in capsys.readouterr().out
    solve(capsys)
    lab.check("2.1", lambda p, q: torch.sigmoid(p - q))
    capsys.readouterr()
    lab.hand_in("Ada")
    assert "chapters 2 and 5: say which" in capsys.readouterr().out
    lab.hand_in("Ada", chapter=2)
    assert written(session) == ["hand-in-2-Ada.json"]


def test_a_second_hand_in_takes_the_place_of_the_first_but_not_of_another_students(session, capsys):
    solve(capsys)
    lab.hand_in("Ada B")
    lab.check("5.6", lambda beta, f: 2 * beta / f)
    capsys.readouterr()
    lab.hand_in("Ada B")
    assert ", in place of the one with 2 points" in capsys.readouterr().out
    lab.hand_in("Ada/B")
    assert written(session) == ["hand-in-5-Ada-B-2.json", "hand-in-5-Ada-B.json"]
    assert handin.read("hand-in-5-Ada-B.json")["points"] == 7


def edit(path, change):
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(points=20),
        lambda r: r.update(name="Eve"),
        lambda r: r.update(time="2020-01-01T00:00:00+00:00"),
        lambda r: r.update(cases=3),
        lambda r: r["exercises"][5].update(status="passed"),
        lambda r: r["exercises"][0].update(source="def growth(): ..."),
    ],
)
def test_an_edited_file_is_told(session, capsys, change):
    solve(capsys)
    lab.hand_in("Ada")
    path = session / "hand-in-5-Ada.json"
    edit(path, lambda r: None)  # other spaces alone are no change
    assert handin.main([str(path)]) == 0
    edit(path, change)
    assert handin.main([str(path)]) == 1
    assert "altered: its signature does not fit" in capsys.readouterr().out


def test_points_that_the_verdicts_do_not_give_are_told_even_if_signed(session, capsys):
    solve(capsys)
    lab.hand_in("Ada")
    path = session / "hand-in-5-Ada.json"
    edit(path, lambda r: r.update(points=20))
    edit(path, lambda r: r.update(signature=handin.signature(r)))
    with pytest.raises(GanlabError, match="worth 2 points, not 20"):
        handin.read(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "nul\0l", '{"exercises": 3}', '{"exercises": []}']
)
def test_a_file_that_is_no_hand_in_is_one_line(session, capsys, text):
    (session / "x.json").write_text(text, encoding="utf-8")
    assert handin.main([str(session / "x.json"), str(session / "none.json")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "no hand-in of this course" in lines[0]
    assert "cannot be read" in lines[1]
    assert lines[1].count("none.json") == 1


def test_the_table_for_the_teacher(session, capsys):
    solve(capsys)
    lab.hand_in("=HYPERLINK(1)")
    lab.hand_in("Ada")
    first = session / "hand-in-5-Ada.json"
    edit(first, lambda r: r.update(time="2020-01-01T00:00:00+00:00"))
    edit(first, lambda r: r.update(signature=handin.signature(r)))
    older = first.rename(session / "older.json")
    lab.hand_in("Ada")
    capsys.readouterr()
    paths = [older, first, session / "hand-in-5-HYPERLINK-1.json"]
    assert handin.main([*map(str, paths), "--csv", str(session / "points.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "older.json: ok, Ada, chapter 5, 2 of 20 points; a later one" in lines[0]
    assert lines[1].endswith("hand-in-5-Ada.json: ok, Ada, chapter 5, 2 of 20 points")
    with open(session / "points.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["counts"] for row in rows] == ["False", "True", "True"]
    assert [row["points"] for row in rows] == ["2", "2", "2"]
    assert rows[2]["name"] == "'=HYPERLINK(1)"  # text, and no formula


# ---- the re-run ----


def test_a_rerun_finds_the_same_verdicts_and_the_same_code(session, capsys):
    path = lab_notebook(session / "ada lab.ipynb")
    found, ended = rerun.rerun(path, seed=7)
    assert ended
    assert {n: v[0] for n, v in found.items()} == dict.fromkeys(RIGHT, "passed")
    assert {n: v[2] for n, v in found.items()} == RIGHT


def test_a_rerun_tells_what_the_table_did_not(session, capsys):
    solve(capsys)
    lab.check("5.4", lambda field, w, eta: w + eta * field(w + eta * field(w)))
    lab.check("5.6", lambda beta, f: 2 * beta / f)
    lab.hand_in("Ada")
    capsys.readouterr()
    cheat = {
        "5.1": RIGHT["5.1"],
        "5.4": "def extra(field, w, eta):\n    import os\n    os.remove('no such file')",
        # It knows the published cases, and afterwards it spoils the session.
        "5.6": "def rest(beta, f):\n    return {2.0: 4.0, 3.0: 12.0, 0.7: 0.7}[beta]\n"
        "lab.check = lambda *a: None\nlab.check_log.clear()",
    }
    path = lab_notebook(session / "ada.ipynb", cheat)
    file = str(session / "hand-in-5-Ada.json")
    table = session / "t.csv"
    arguments = [file, "--rerun", str(path), "--seed", "7", "--csv", str(table)]
    assert handin.main(arguments) == 1
    line = capsys.readouterr().out
    assert "differs, Ada, chapter 5, 9 of 20 points; run again on cases 7: 2 points" in line
    assert "5.4 passed at hand-in, failed now (your code stopped with FileNotFoundError" in line
    assert "5.6 passed at hand-in, failed now (your code stopped with KeyError" in line
    with open(table, encoding="utf-8-sig", newline="") as out:
        assert next(csv.DictReader(out))["rerun_points"] == "2"


def test_a_rerun_ends_in_time(session):
    endless = {"5.1": "def growth(*a):\n    while True:\n        pass"}
    found, ended = rerun.rerun(lab_notebook(session / "slow.ipynb", endless), seed=7, limit=4)
    assert not ended
    assert "passed" not in {verdict[0] for verdict in found.values()}


@pytest.mark.parametrize(
    ("cells", "words"),
    [(None, "is no notebook"), ([code("1 + 1")], "no cells tagged exercise and check")],
)
def test_a_notebook_that_is_no_lab_is_one_line(session, capsys, cells, words):
    solve(capsys)
    lab.hand_in("Ada")
    path = session / "other.ipynb"
    path.write_text("nothing", encoding="utf-8")
    if cells is not None:
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert handin.main([str(session / "hand-in-5-Ada.json"), "--rerun", str(path)]) == 1
    assert words in capsys.readouterr().out.splitlines()[-1]


def test_the_command_runs_and_counts_its_files(session, capsys):
    command = [sys.executable, "-m", "ganlab.lab.handin"]
    done = subprocess.run(
        [*command, "a", "b", "--rerun", "c"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 2
    assert "2 files, 1 notebooks: name one for each" in done.stderr
    assert "Traceback" not in done.stderr
    assert "RuntimeWarning" not in done.stderr
