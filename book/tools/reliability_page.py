"""Write the measured part of ``book/reliability.md`` from the newest result of faults.py.

``python book/tools/reliability_page.py`` writes it; a test fails if the page says anything else
than ``benchmarks/results/faults-DATE-….json``.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

BOOK = Path(__file__).resolve().parents[1]
RESULTS, PAGE = BOOK.parent / "benchmarks" / "results", BOOK / "reliability.md"
BEGIN, END = "% begin: written by book/tools/reliability_page.py", "% end"
MOMENTS = ("before", "middle", "after", "power")
NAMES = {
    "kills": "killed at a random moment and resumed",
    "points": "died at a file operation and resumed",
    "disks": "a disk that is full from some write on",
    "doubles": "two trainings that want one folder",
}
KINDS = {
    "write": "write",
    "fsync": "flush to the disk",
    "replace": "move into place",
    "unlink": "delete",
    "mkdir": "make a folder",
    "make": "make a lock",
    "lock": "take or leave a lock",
}


def newest(folder: Path = RESULTS) -> Path:
    """The newest result, by its date.

    Raises:
        SystemExit: there is none.
    """
    found = sorted(folder.glob("faults-*.json"))
    if not found:
        raise SystemExit("no result: run python benchmarks/faults.py")
    return found[-1]


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]], align: str) -> str:
    """A table in Markdown; `align` has an l or an r for each column."""
    line = ["---" if a == "l" else "---:" for a in align]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in (head, line, *rows))


def points(cases: dict[str, dict[str, Any]]) -> str:
    """Crash points by operation and moment."""
    counts: Counter[tuple[str, str]] = Counter()
    for name, case in cases.items():
        if name.startswith("point-"):
            moment, kind = case["what"].split()[:2]
            counts[kind, moment] += 1
    kinds = [k for k in KINDS if any(kind == k for kind, _ in counts)]
    kinds += sorted({kind for kind, _ in counts} - set(kinds))
    rows = [(KINDS.get(k, k), *(counts[k, m] or "" for m in MOMENTS)) for k in kinds]
    return table(("operation", "before", "halfway", "after", "power cut"), rows, "lrrrr")


def disks(cases: dict[str, dict[str, Any]]) -> str:
    """What was said when a disk was full."""
    rows = [
        (case["what"], f"`{case['says'].removeprefix('ganlab: ')}`")
        for name, case in cases.items()
        if name.startswith("disk-")
    ]
    return table(("the disk is full when", "ganlab says"), rows, "ll")


def measured(result: dict[str, Any]) -> str:
    """The part of the page that a result decides."""
    counts, cases = result["counts"], result["cases"]
    rows = [
        (NAMES[kind], count["cases"], count["cases"] - count["faults"])
        for kind, count in counts.items()
    ]
    faults = [f"* {case['what']}: {case['fault']}" for case in cases.values() if case["fault"]]
    met = [(what, n) for what, n in counts["kills"]["met"].items()]
    made = "" if not result["commit"].endswith("-dirty") else ", from changed code"
    on = sorted({c["disk"] for name, c in cases.items() if name.startswith("disk-")})
    threads = f"{result['threads']} thread{'s' * (result['threads'] > 1)}"
    return "\n\n".join(
        [
            table(("what was done to a training", "cases", "as promised"), rows, "lrr"),
            *(["What was not as promised:\n\n" + "\n".join(faults)] if faults else []),
            f"Made on {result['date']} at commit `{result['commit']}`{made}, by"
            f" `benchmarks/faults.py` with seed {result['seed']}: torch {result['torch']}, Python"
            f" {result['python']} on {result['system']}, {result['device']}, {threads},"
            f" {result['minutes']} minutes.",
            "What the process was at when SIGKILL came, as far as its files tell:",
            table(("moment", "kills"), met, "lr"),
            "Where it died at a file operation, by operation and moment:",
            points(cases),
            f"And the full disks ({', '.join(on)}):",
            disks(cases),
        ]
    )


def page(text: str, result: dict[str, Any]) -> str:
    """The page with its measured part written anew.

    Raises:
        ValueError: the page has lost the lines between which it stands.
    """
    head, rest = text.split(f"{BEGIN}\n", 1)
    tail = rest.split(f"{END}\n", 1)[1]
    return f"{head}{BEGIN}\n\n{measured(result)}\n\n{END}\n{tail}"


if __name__ == "__main__":
    found = json.loads(newest().read_text(encoding="utf-8"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(PAGE)
