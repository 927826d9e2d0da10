"""Write ``book/all_results.md``: every result that is stored in ``book/results``, on one page.

``python book/tools/results_page.py`` writes it; a test fails if it is not what this would write.
A result of a form that is not known here stops it, so that none is left out.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganlab.metrics import compare

BOOK = Path(__file__).resolve().parents[1]
RESULTS, PAGE = BOOK / "results", BOOK / "all_results.md"
LONG = 10  # in tables of modes, a smaller number of steps is a multiple of the recipe's

HEAD = """\
# All results

Every score that the chapters report, as it is stored in `book/results`; this page is written
from those files. A score is the mean over seeds ± their standard deviation. Its *floor* is the
same score of real samples against other real ones, in the same number: the best that can be
expected. Fréchet distances are taken in the features of a small classifier, so they compare
within one fingerprint of its weights, never across two, and never with published FIDs. A commit
ending in `-dirty` had changes that were committed later. Minutes were spent on shared machines.
"""


def number(value: float, like: float | None = None) -> str:
    """A value with the digits that its size, or that of `like`, deserves."""
    size = abs(value if like is None else like)
    digits = next((d for limit, d in ((1, 3), (10, 2), (1000, 1)) if size < limit), 0)
    return f"{value:,.{digits}f}"


def spread(values: Iterable[float | None], scale: float = 1) -> str:
    """Mean ± standard deviation; counts have one digit, and values that are missing are told."""
    every = list(values)
    known = [scale * v for v in every if v is not None]
    if not known:
        return "none"
    mean = statistics.fmean(known)
    counts = scale == 1 and all(float(v).is_integer() for v in known)
    size = 10.0 if counts else mean
    if len(known) > 1:
        text = f"{number(mean, size)} ± {number(statistics.stdev(known), size)}"
    else:
        text = f"{mean:,.0f}" if counts else number(mean)
    return text if len(known) == len(every) else f"{text} ({len(known)} of {len(every)} seeds)"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of which all columns but the first are numbers."""
    line = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, line, *rows))


def several(values: Iterable[Any], word: str = ", ") -> str:
    """Different values in order; whole numbers that follow each other as a range."""
    found = sorted(set(values))
    whole = all(isinstance(v, int) for v in found)
    if whole and len(found) > 3 and found[-1] - found[0] == len(found) - 1:
        return f"{found[0]} to {found[-1]}"
    return word.join(f"{v:,}" if isinstance(v, int) else str(v) for v in found)


def judged(scores: list[dict[str, Any]]) -> list[str]:
    """What stands behind Fréchet distances that share a table, as list items.

    Raises:
        DataError: they cannot be compared.
    """
    compare(*scores)
    one = scores[0]
    floor = several(number(s["floor"]) for s in scores)
    learned = {"classes": "its classes", "digits": "single digits", "rotation": "rotations"}
    return [
        f"Scored: Fréchet distance, n = {one['n']:,}; floor {floor}",
        f"Features: `{one['features']}`, {one['dims']} dimensions, learned from"
        f" {learned[one['task']]}, {one['accuracy']:.1%} right on held-out pictures",
    ]


def origin(result: dict[str, Any], steps: Iterable[int], recipe: bool = True) -> list[str]:
    """How it was made: recipe, data, seeds, steps, cost and date, as list items."""
    plan, lines = result.get("recipe") or {}, []
    steps = list(steps)
    if recipe and plan:
        batch = f" of {plan['batch']} samples" if "batch" in plan else ""
        name = plan.get("name") or "of its own, in the file"
        name = f"`{name}`" if plan.get("name") else name
        lines.append(f"Recipe: {name}, {several(steps, ' or ')} steps{batch}")
    count = f", {result['count']:,} samples" if result.get("count") else ""
    shape = f" of {' x '.join(map(str, result['shape']))}" if result.get("shape") else ""
    if "data" in result:
        lines.append(f"Data: `{result['data']}`{count}{shape}")
    if result.get("note"):
        lines.append(f"Note: {result['note']}")
    threads = result.get("threads")
    device = result["device"] + (f", {threads} thread{'s' * (threads > 1)}" if threads else "")
    precision = f", {result['precision']}" if "precision" in result else ""
    lines.append(f"Seeds: {several(result['seeds'])}")
    lines.append(
        f"Cost: {result['minutes']:,.1f} minutes on {device}{precision}, torch {result['torch']}"
    )
    made = f"{result['date']}, commit `{result['commit']}`" if "date" in result else "not stored"
    return [*lines, f"Made: {made}"]


def section(name: str, file: str, items: list[str], *tables: str) -> str:
    """One result: heading, list, tables."""
    listed = "\n".join(f"* {item}" for item in [*items, f"File: `{file}`"])
    return "\n\n".join([f"### {name}", listed, *tables]) + "\n"


def seeds(name: str, file: str, result: dict[str, Any]) -> str:
    """One recipe over seeds."""
    scores = [row["scores"] for row in result["runs"]]
    score = f"**Fréchet distance {spread(s['frechet'] for s in scores)}**"
    items = [score, *judged(scores), *origin(result, (s["step"] for s in scores))]
    if "obeyed" in scores[0]:
        share = spread((s["obeyed"] for s in scores), 100)
        items.insert(1, f"The class asked for is read in {share}% of the samples")
    return section(name, file, items)


def rows(name: str, file: str, result: dict[str, Any]) -> str:
    """Changes to a recipe, a row each."""
    every = [run for group in result["rows"].values() for run in group]
    scores = [run["scores"] for run in every]
    items = [*judged(scores), *origin(result, (s["step"] for s in scores))]
    lines = [
        (
            label,
            spread(run["scores"]["frechet"] for run in group),
            str(len(group)),
            f"{sum(run['minutes'] for run in group):.1f}",
        )
        for label, group in result["rows"].items()
    ]
    return section(name, file, items, table(("change", "distance", "seeds", "min"), lines))


def points(name: str, file: str, result: dict[str, Any]) -> str:
    """Modes of points found by many methods."""
    total, base = result["total"], result["steps"]
    long = [s for s in (r["changes"].get("steps", 1) for r in result["rows"].values())]
    steps = (base * s if s < LONG else s for s in long)
    good = -math.expm1(-(3**2) / 2)  # of a Gaussian in the plane within 3 standard deviations
    items = [
        f"Scored: modes found of {total}, share of good samples, reverse KL;"
        f" n = {result['samples']:,}; floor: exact samples find {total} and are {good:.1%} good",
        *origin(result, steps),
    ]
    protocol = f":::{{dropdown}} Protocol\n{result['protocol']}\n:::"
    groups: dict[str, list[tuple[str, ...]]] = {}
    for label, row in result["rows"].items():
        line = (label, spread(row["modes"]), spread(row["good"], 100), spread(row["rkl"]))
        groups.setdefault(row["group"], []).append(line)
    tables = [
        table((group, "modes", "good, %", "reverse KL"), lines) for group, lines in groups.items()
    ]
    return section(name, file, items, protocol, *tables)


def stacks(name: str, file: str, result: dict[str, Any]) -> str:
    """Modes of stacked digits."""
    every = [run for group in result["rows"].values() for run in group]
    compare(*(run["scores"] for run in every))
    real, judge = result["real"], result["judge"]
    items = [
        f"Scored: modes found of 1,000 and reverse KL, n = {result['samples']:,}; clear: share of"
        f" samples whose three digits are each recognised with {result['sure']:.0%}",
        f"Floor: real samples find {real['found']:,}, reverse KL {real['reverse_kl']:.3f},"
        f" {real['good']:.1%} clear",
        f"Features: `classifier:{judge['fingerprint']}` of single digits, {judge['accuracy']:.1%}"
        " right on held-out ones",
        *origin(result, (run["steps"] for run in every)),
    ]

    def line(label: str, group: list[dict[str, Any]]) -> tuple[str, ...]:
        scores = [run["scores"] for run in group]
        return (
            f"{label}, {several((run['steps'] for run in group), ' or ')} steps",
            spread(s["found"] for s in scores),
            spread((s["good"] for s in scores), 100),
            spread(s["reverse_kl"] for s in scores),
            str(len(group)),
        )

    lines = [line(label, group) for label, group in result["rows"].items()]
    head = ("recipe", "modes", "clear, %", "reverse KL", "seeds")
    return section(name, file, items, table(head, lines))


def diagnosis(name: str, file: str, result: dict[str, Any]) -> str:
    """Failures made on purpose, and mended."""

    def distance(group: list[dict[str, Any]] | None) -> str:
        return spread(run["last"].get("frechet") for run in group) if group else ""

    every = [*result["sound"], *(r for row in result["rows"].values() for r in row["broken"])]
    floors = [run["last"]["floor"] for run in every if "floor" in run["last"]]
    items = [
        f"Scored: Fréchet distance; floor {several(map(number, floors))}; number of samples and"
        " fingerprint are not stored with this result",
        f"Sound: {distance(result['sound'])}",
        *origin(result, [result["recipe"]["steps"]]),
    ]
    lines = [
        (label, distance(row["broken"]), distance(row["mended"]))
        for label, row in result["rows"].items()
    ]
    return section(name, file, items, table(("failure", "broken", "mended"), lines))


def search(name: str, file: str, result: dict[str, Any]) -> str:
    """The best setting of each model, of those that were tried."""
    items = [
        f"Scored: {result['what']}",
        f"Recipe: {result['steps']:,} steps; the best of the settings tried",
        *origin(result | {"minutes": minutes(result)}, [result["steps"]], recipe=False),
    ]

    def line(label: str, model: dict[str, Any]) -> tuple[str, ...]:
        best = next(row for row in model["tried"] if row["setting"] == model["best"])
        setting = ", ".join(f"{key} {value}" for key, value in model["best"].items())
        label = f"{label} ({setting})" if setting else label
        tried = str(len(model["tried"]))
        return label, spread(best["good"], 100), spread(best["found"]), tried

    lines = [line(label, model) for label, model in result["models"].items()]
    return section(name, file, items, table(("model", "good, %", "modes", "tried"), lines))


#: Headings, and how results are told by what they hold: the first that fits.
KINDS = (
    ("Trained generators", lambda r: "runs" in r, seeds),
    ("Stacked digits", lambda r: "judge" in r, stacks),
    ("Failures, made and mended", lambda r: "sound" in r, diagnosis),
    ("Modes of points", lambda r: "protocol" in r, points),
    ("One change at a time", lambda r: "rows" in r, rows),
    ("Settings that were tried", lambda r: "models" in r, search),
)
ORDER = (0, 4, 3, 1, 2, 5)  # of the headings on the page


def page(folder: Path = RESULTS) -> str:
    """The text of the page.

    Raises:
        ValueError: a result of a form that is not known.
    """
    sections: dict[str, list[str]] = {KINDS[i][0]: [] for i in ORDER}
    total = 0.0
    for path in sorted(folder.glob("*/*.json")):
        if path.name == "progress.json":  # the steps of a picture, no score
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name + ("" if path.stem == "results" else f": {path.stem}")
        found = [(title, make) for title, fits, make in KINDS if fits(result)]
        if not found:
            raise ValueError(f"{path} has a form that book/tools/results_page.py does not know")
        title, make = found[0]
        sections[title].append(make(name, f"{path.parent.name}/{path.name}", result))
        total += minutes(result)
    count = sum(map(len, sections.values()))
    parts = [f"## {title}\n\n" + "\n".join(made) for title, made in sections.items() if made]
    return "\n".join([HEAD, f"{count} results, {total / 60:.1f} hours of training.\n", *parts])


def minutes(result: dict[str, Any]) -> float:
    """What a result has cost, whether it is stored as one number or by model."""
    parts = result.get("models", {}).values()
    return result.get("minutes", sum(part["minutes"] for part in parts))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
