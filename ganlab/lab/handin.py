"""A table of verdicts to hand in, and what a teacher does with it.

A student's last cell is ``lab.hand_in("Ada Lovelace")``. It shows the last verdict of each
exercise and writes them to `hand-in-2-Ada-Lovelace.json`, with the code of the answers where Python
can find it. A teacher types

    python -m ganlab.lab.handin hand-in-*.json --csv points.csv
    python -m ganlab.lab.handin hand-in-2-Ada-Lovelace.json --rerun ada.ipynb

The first prints one line for each file: whether it is as it was written, and the points. The
second also runs the student's exercises again (`ganlab.lab.checks.rerun`), on cases that nobody
has seen, and says where the verdicts differ.

What the signature is worth. It is an HMAC over everything in the file, so that a table that was
edited by hand is told. Its key stands below, where every student can read it: who can program can
sign whatever they like. It proves neither who did the work nor that any was done. The proof is
the re-run, and for who did it, a conversation.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import hmac
import json
import re
import secrets
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ganlab
from ganlab import lab
from ganlab.errors import GanlabError, one_line
from ganlab.files import placed, read_text, told, write_text
from ganlab.lab.checks import plan
from ganlab.lab.checks.read import cases
from ganlab.lab.checks.rerun import rerun

FORMAT = 1
KEY = b"ganlab hand-in"
MARKS = {"passed": "✓", "failed": "✗", "not started": "○", "not run": "○"}
COLUMNS = ("file", "name", "chapter", "points", "of", "rerun_points", "state", "time", "counts")


def signature(record: dict[str, Any]) -> str:
    """The HMAC-SHA256 of a record, without the one that it carries."""
    body = {key: value for key, value in record.items() if key != "signature"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def slug(name: str) -> str:
    """A name as part of a file's name: letters and digits of any script, and hyphens.

    >>> slug("Łukasz  Ó/Brien")
    'Łukasz-Ó-Brien'
    """
    return re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", name)).strip("-_")[:50]


def collect(name: str, chapter: int) -> dict[str, Any]:
    """The signed record of a chapter: the last verdict of each exercise in this session."""
    last = {verdict.exercise: verdict for verdict in lab.check_log}
    rows: list[dict[str, Any]] = []
    for number, task in plan.of_chapter(chapter).items():
        verdict = last.get(number) or lab.Check(number, "not run", "its check has not run")
        row = {"exercise": number, "status": verdict.status, "message": verdict.message}
        points = task.points if verdict.passed else 0
        rows.append(row | {"points": points, "of": task.points, "source": verdict.source})
    record: dict[str, Any] = {
        "format": FORMAT,
        "course": f"ganlab {ganlab.__version__}",
        "name": name,
        "chapter": chapter,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cases": cases(),
        "points": sum(row["points"] for row in rows),
        "of": sum(row["of"] for row in rows),
        "exercises": rows,
    }
    return record | {"signature": signature(record)}


def _place(name: str, chapter: int) -> tuple[Path, str]:
    """Where the file goes, and what to say if there is one; another student's file stays."""
    for count in ("", *(f"-{k}" for k in range(2, 100))):
        path = Path(f"hand-in-{chapter}-{slug(name)}{count}.json")
        if not path.exists():
            return path, ""
        try:
            old = read(path)
        except GanlabError:
            continue
        if old["name"] == name:
            return path, f", in place of the one with {old['points']} points"
    raise GanlabError(f"there are already 99 files of {slug(name)}: take some away")


def hand_in(name: str | None = None, chapter: int | None = None) -> Any:
    """What `lab.hand_in` does."""
    tried = sorted({plan.chapter_of(verdict.exercise) for verdict in lab.check_log})
    name = unicodedata.normalize("NFC", (name or "").strip())
    record = None
    try:
        if not tried:
            raise GanlabError("no check has run yet: run the cells of your exercises first")
        if chapter is None and len(tried) > 1:
            both = " and ".join(map(str, tried))
            raise GanlabError(f"this session has checks of chapters {both}: say which, chapter=…")
        number = tried[0] if chapter is None else chapter
        if isinstance(number, bool) or not plan.of_chapter(number):
            raise GanlabError(
                f"there is no chapter {one_line(repr(chapter))[:40]}: give its number"
            )
        record = collect(name, number)
        if not name:
            raise GanlabError('put in your name: lab.hand_in("Ada Lovelace")')
        if not name.isprintable() or not slug(name):
            raise GanlabError("a name is one line with at least one letter or digit")
        path, instead = _place(name, number)
        write_text(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
        print(f"{path}: {record['points']} of {record['of']} points{instead}. Hand this file in.")
    except GanlabError as error:
        print(f"nothing to hand in: {one_line(error)}")
    if record is None:
        return None
    rows = [[r["exercise"], f"{MARKS[r['status']]} {r['status']}", f"{r['points']} of {r['of']}"]
            for r in record["exercises"]]  # fmt: skip
    total = f"{record['points']} of {record['of']}"
    return lab.table(["exercise", "verdict", "points"], [*rows, ["all", "", total]])


# ---- the teacher's side ----


def read(path: str | Path) -> dict[str, Any]:
    """The record in a file, as it was signed.

    Raises:
        GanlabError: it is no hand-in, or it is not as it was written.
    """
    try:
        record = json.loads(read_text(path))
        signed, words = str(record["signature"]), [record["name"], record["time"], record["course"]]
        rows = {row["exercise"]: row["status"] for row in record["exercises"]}
        words += [row[key] for row in record["exercises"] for key in ("message", "source")]
        tasks = plan.of_chapter(record["chapter"])
        if not (tasks and all(isinstance(w, str) for w in [*words, *rows, *rows.values()])):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise GanlabError("no hand-in of this course") from error
    if not hmac.compare_digest(signature(record).encode(), signed.encode()):
        raise GanlabError("altered: its signature does not fit what it says")
    due = sum(task.points for number, task in tasks.items() if rows.get(number) == "passed")
    now = record["course"] == f"ganlab {ganlab.__version__}"
    if now and record["points"] != due:
        raise GanlabError(f"altered: its verdicts are worth {due} points, not {record['points']}")
    # By the points of this version of the course, whatever another one has given.
    return record | {"points": due, "of": sum(task.points for task in tasks.values())}


@dataclass
class Line:
    """What is said of one file."""

    path: Path
    record: dict[str, Any] = field(default_factory=dict)
    state: str = "ok"
    notes: list[str] = field(default_factory=list)
    again: int | None = None
    counts: bool = True

    def __str__(self) -> str:
        if not self.record:
            return f"{one_line(self.path)}: {one_line(self.state)}"
        r = self.record
        head = f"{one_line(self.path)}: {self.state}, {one_line(r['name'])}, chapter {r['chapter']}"
        return "; ".join([f"{head}, {r['points']} of {r['of']} points", *map(one_line, self.notes)])

    def row(self) -> list[Any]:
        """The same for a table; what a spreadsheet would compute is made text."""
        r, again = self.record, "" if self.again is None else self.again
        values = [r.get(key, "") for key in ("name", "chapter", "points", "of")]
        row = [self.path.name, *values, again, self.state, r.get("time", ""), self.counts]
        return ["'" + v if isinstance(v, str) and v[:1] in tuple("=+-@\t\r") else v for v in row]


def compare(line: Line, notebook: Path, seed: int, limit: float) -> None:
    """Run the notebook again, and note on the line where its verdicts differ."""
    try:
        found, ended = rerun(notebook, seed, limit)
    except GanlabError as error:
        line.state, line.notes = "not run again", [str(error)]
        return
    line.again, differ = 0, []
    for row in line.record["exercises"]:
        number, was = row["exercise"], row["status"]
        status, message, source = found.get(number, ("not run", "no verdict", ""))
        if status == "passed" and number in plan.TASKS:
            line.again += plan.TASKS[number].points
        if (status == "passed") != (was == "passed"):
            differ.append(f"{number} {was} at hand-in, {status} now ({message})")
        elif status == "passed" and row["source"] and source and row["source"] != source:
            differ.append(f"{number} has other code than at hand-in")
    if not ended:
        differ.append(f"it did not come to its end within {limit:g} s")
    if differ:
        line.state = "differs"
    same = f"run again on cases {seed}: {line.again} points"
    line.notes += [same + (", the same verdicts" if not differ else ""), *differ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 if every file is as it was written and no re-run differs."""
    parser = argparse.ArgumentParser(
        prog="python -m ganlab.lab.handin",
        description="One line for each hand-in: is it as it was written, and its points. An edited"
        " file is found; who did the work is shown only by running the notebook again.",
        epilog="Example: python -m ganlab.lab.handin hand-in-2-Ada.json --rerun ada.ipynb"
        " --csv points.csv",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="hand-in-….json")
    parser.add_argument("--csv", type=Path, metavar="PATH", help="write a table of points there")
    parser.add_argument("--rerun", nargs="+", type=Path, metavar="NOTEBOOK", default=[],
                        help="the students' notebooks, one for each FILE in the same order;"
                        " runs their code")  # fmt: skip
    parser.add_argument("--seed", type=int, help="of the unseen cases (default: drawn and printed)")
    parser.add_argument("--limit", type=float, default=300, help="seconds for a notebook (300)")
    given = parser.parse_args(arguments)
    if given.rerun and len(given.rerun) != len(given.files):
        parser.error(f"{len(given.files)} files, {len(given.rerun)} notebooks: name one for each")
    seed = secrets.randbelow(10**6) + 1 if given.seed is None else given.seed
    if not 0 <= seed < 2**31:
        parser.error("--seed must be a whole number from 0 to 2,147,483,647")
    lines = []
    for k, path in enumerate(given.files):
        lines.append(line := Line(path))
        try:
            line.record = read(path)
        except GanlabError as error:
            # a file that cannot be read names itself, and the line begins with it already
            line.state, line.counts = str(error).removeprefix(f"{path} "), False
            continue
        if given.rerun:
            compare(line, given.rerun[k], seed, given.limit)
    newest: dict[tuple[str, int], Line] = {}
    for line in sorted((x for x in lines if x.record), key=lambda x: str(x.record["time"])):
        who = line.record["name"], line.record["chapter"]
        if who in newest:
            newest[who].counts = False
            newest[who].notes.append("a later one of the same name counts in its place")
        newest[who] = line
    print(*lines, sep="\n")
    if given.csv:
        with told(given.csv), open(placed(given.csv), "w", encoding="utf-8-sig", newline="") as out:
            csv.writer(out).writerows([COLUMNS, *(line.row() for line in lines)])
    return int(any(line.state != "ok" for line in lines))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GanlabError as error:
        sys.exit(f"ganlab: {error}")
