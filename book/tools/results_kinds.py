"""How each form of a stored result is written on the page of all results."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

from results_words import (
    CHAPTERS,
    changed,
    number,
    penalties,
    rates,
    several,
    small,
    spread,
    verdict,
)

from ganlab.lab import markdown as table
from ganlab.metrics import compare

ROWS = ("change", "rates", "penalties", "distance", "seeds", "min")
LONG = 10  # in tables of modes, a smaller number of steps is a multiple of the recipe's


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
    made += " (from changed code: due to be made again)" * ("-dirty" in result.get("commit", ""))
    return [*lines, f"Made: {made}"]


def section(name: str, file: str, items: list[str], *tables: str) -> str:
    """One result: heading, list, tables."""
    chapter = CHAPTERS[file.split("/")[0]]
    items = [*items, f"Read in: [chapter {int(chapter[:2])}]({chapter}.ipynb)"]
    listed = "\n".join(f"* {item}" for item in [*items, f"File: `{file}`"])
    return "\n\n".join([f"### {name}", listed, *tables]) + "\n"


def minutes(result: dict[str, Any]) -> float:
    """What a result has cost, whether it is stored as one number or by model."""
    parts = result.get("models", {}).values()
    return result.get("minutes", sum(part["minutes"] for part in parts))


def seeds(name: str, file: str, result: dict[str, Any]) -> str:
    """One recipe over seeds."""
    scores = [row["scores"] for row in result["runs"]]
    times = statistics.fmean(s["frechet"] / s["floor"] for s in scores)
    score = (
        f"**Fréchet distance {spread(s['frechet'] for s in scores)}**, {number(times)} times the"
        " floor"
    )
    plan = result["recipe"]
    trained = f"Rates: {rates(plan)}; penalties: {penalties(plan)}"
    items = [score, *judged(scores), trained, *origin(result, (s["step"] for s in scores))]
    if "obeyed" in scores[0]:
        share = spread((s["obeyed"] for s in scores), 100)
        items.insert(1, f"The class asked for is read in {share}% of the samples")
    return section(name, file, items)


def rows(name: str, file: str, result: dict[str, Any]) -> str:
    """Changes to a recipe, a row each."""
    every = [run for group in result["rows"].values() for run in group]
    scores = [run["scores"] for run in every]
    values = {
        label: [run["scores"]["frechet"] for run in group]
        for label, group in result["rows"].items()
    }
    items = [
        f"Verdict: {verdict(values)}",
        *judged(scores),
        *origin(result, (s["step"] for s in scores)),
    ]
    own = result.get("recipes", {})  # a recipe a row, where rows differ in more than settings
    plans = {
        label: changed(own.get(label, result["recipe"]), changes)
        for label, changes in result.get("settings", {}).items()
    }
    lines = [
        (
            label,
            rates(plans.get(label, {})),
            penalties(plans.get(label, {})),
            spread(run["scores"]["frechet"] for run in group),
            str(len(group)),
            f"{sum(run['minutes'] for run in group):.1f}",
        )
        for label, group in result["rows"].items()
    ]
    return section(name, file, items, table(ROWS, lines))


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
    found = {label: row["modes"] for label, row in result["rows"].items()}
    items.insert(0, f"Verdict, by modes: {verdict(found, larger=True)}")
    protocol = f":::{{dropdown}} Protocol\n{result['protocol']}\n:::"
    groups: dict[str, list[tuple[str, ...]]] = {}
    for label, row in result["rows"].items():
        plan = changed(result["recipe"], row["changes"])
        line = (
            label,
            rates(plan),
            penalties(plan),
            spread(row["modes"]),
            spread(row["good"], 100),
            spread(row["rkl"]),
        )
        groups.setdefault(row["group"], []).append(line)
    tables = [
        table((group, "rates", "penalties", "modes", "good, %", "reverse KL"), lines)
        for group, lines in groups.items()
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
            rates(group[0]["recipe"]),
            penalties(group[0]["recipe"]),
            spread(s["found"] for s in scores),
            spread((s["good"] for s in scores), 100),
            spread(s["reverse_kl"] for s in scores),
            str(len(group)),
        )

    lines = [line(label, group) for label, group in result["rows"].items()]
    found = {k: [run["scores"]["found"] for run in group] for k, group in result["rows"].items()}
    items.insert(0, f"Verdict, by modes: {verdict(found, larger=True)}")
    head = ("recipe", "rates", "penalties", "modes", "clear, %", "reverse KL", "seeds")
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
    """The best setting of each model, of those that were tried; on new seeds, where there are."""
    models = result["models"]
    new = all("final" in model for model in models.values())
    what = "the winner on new seeds" if new else "the best of the settings tried"
    items = [
        f"Scored: {result['what']}",
        f"Recipe: {result['steps']:,} steps; {what}",
        *origin(result | {"minutes": minutes(result)}, [result["steps"]], recipe=False),
    ]
    if new:
        ends = {label: model["final"]["w1"] for label, model in models.items()}
        items.insert(0, f"Verdict, by distance: {verdict(ends)}")

    def line(label: str, model: dict[str, Any]) -> tuple[str, ...]:
        best = next(row for row in model["tried"] if row["setting"] == model["best"])
        end = model["final"] if new else best
        setting = ", ".join(f"{key} {value}" for key, value in model["best"].items())
        label = f"{label} ({setting})" if setting else label
        more = (f"{end['rounds']:,}", spread(end["w1"])) if new else ()
        tried = str(len(model["tried"]))
        return label, *more, spread(end["good"], 100), spread(end["found"]), tried

    head = ("model", *(("rounds", "distance") if new else ()), "good, %", "modes", "tried")
    return section(name, file, items, table(head, [line(k, m) for k, m in models.items()]))


def fair(name: str, file: str, result: dict[str, Any]) -> str:
    """Families that were given the same search: the settings tried, and the winners."""

    def scores(rows: Iterable[dict[str, Any]]) -> list[float | None]:
        return [row["scores"]["frechet"] if "scores" in row else None for row in rows]

    families = result["families"]
    every = [r for f in families.values() for part in ("tried", "final") for r in f.get(part, [])]
    final = {name: scores(f["final"]) for name, f in families.items() if f.get("final")}
    known = {name: [v for v in values if v is not None] for name, values in final.items()}
    items = [
        f"Verdict: {verdict(known)}",
        *judged([row["scores"] for row in every if "scores" in row]),
        "Recipe: each setting gets the same processor time,"
        f" {several((small(row['minutes']) for row in every), ' or ')} minutes, in rounds by the"
        " pace that was measured",
        *origin(result, [], recipe=False),
    ]
    winners = []
    for label, values in final.items():
        rows = families[label]["final"]
        setting = ", ".join(f"{k} {v}" for k, v in rows[0]["setting"].items())
        cover = spread((r["scores"]["coverage"] for r in rows if "scores" in r), 100)
        rounds = several(r["rounds"] for r in rows)
        winners.append((label, setting, rounds, spread(values), cover, str(len(rows))))
    tables = [table(("winner", "setting", "rounds", "distance", "coverage, %", "seeds"), winners)]
    for label, found in families.items():
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in found.get("tried", []):
            key = ", ".join(f"{k} {v}" for k, v in row["setting"].items())
            groups.setdefault(key, []).append(row)
        lines = [
            (key, several(r["rounds"] for r in rows), spread(scores(rows)), str(len(rows)))
            for key, rows in groups.items()
        ]
        if lines:
            tables.append(table((f"{label}, tried", "rounds", "distance", "seeds"), lines))
    return section(name, file, items, *tables)
