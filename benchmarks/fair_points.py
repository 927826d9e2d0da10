"""The same search for four objectives on points, then the winners on new seeds (chapter 7).

    python benchmarks/fair_points.py                  # on the grid of 25 heaps: 20 minutes
    python benchmarks/fair_points.py --data ring8     # on the ring of 8

Four families play with the same networks: the GAN of 2014, the same with R1, the relativistic pairs
with R1 and R2 of the modern baseline, and WGAN-GP with its five critic steps. Each gets nine
settings: three rates, and three values of what matters most to it beside (momentum for the plain
GAN, γ or λ for the others). Each setting gets the same processor time, counted in rounds by a pace
that is measured first, and three seeds. The setting with the least exact Wasserstein distance to
the data wins (by matching 500 samples to 500 points, so that a lost heap and a blurred one both
cost), and plays twice as long on ten seeds that no search has seen.

Everything goes to book/results/fair-points/DATA.json after each setting, and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from typing import Any

import publish
import torch
from transport import to_heaps

from ganlab.data import toy
from ganlab.ensemble import train_many
from ganlab.progress import bar
from ganlab.recipes import Recipe, recipe

SEEDS, NEW, ROUNDS, POINTS = 3, 10, 2000, 500  # rounds: of the plain GAN; the others by cost
FIRST_NEW = 100
RATES = (5e-4, 1e-3, 2e-3)
BASE = recipe(
    "mlp-grid",
    batch=64,
    half_life=0.0,
    generator={"latent": 2, "width": 64, "depth": 3},
    discriminator={"width": 64, "depth": 3},
)
_PENALISED: dict[str, Any] = {"betas": (0.0, 0.99)}


def _grid(name: str, values: tuple[float, ...], change: Any) -> list[tuple[dict[str, float], Any]]:
    """Every rate with every value of one more dial."""
    return [
        ({"rate": rate, name: value}, {"g_lr": rate, "d_lr": rate, **change(value)})
        for rate in RATES
        for value in values
    ]


#: Family -> its nine settings, each with what it changes.
FAMILIES: dict[str, list[tuple[dict[str, float], dict[str, Any]]]] = {
    "GAN, non-saturating": _grid("β₁", (0.0, 0.5, 0.9), lambda b: {"betas": (b, 0.99)}),
    "GAN + R1": _grid("γ", (0.1, 1.0, 10.0), lambda g: {**_PENALISED, "penalties": {"r1": g}}),
    "relativistic + R1 + R2": _grid(
        "γ",
        (0.1, 1.0, 10.0),
        lambda g: {**_PENALISED, "objective": "relativistic", "penalties": {"r1": g, "r2": g}},
    ),
    "WGAN-GP": _grid(
        "λ",
        (0.1, 1.0, 10.0),
        lambda w: {"betas": (0.0, 0.9), "objective": "wasserstein", "d_steps": 5,
                   "penalties": {"gp": w}},
    ),
}  # fmt: skip


def play(plan: Recipe, seeds: range, rounds: int, data: str) -> dict[str, Any]:
    """Scores of all seeds of a setting, that train together."""
    many = train_many(plan.with_(seed=seeds[0]), len(seeds), rounds, every=rounds)
    return {
        "seeds": list(seeds),
        "rounds": rounds,
        "w1": [v if math.isfinite(v) else None for v in to_heaps(many.samples, data, POINTS)],
        "found": [int(v) for v in many.modes],
        "good": [round(float(v), 4) for v in many.good],
    }


def pace(plan: Recipe) -> float:
    """Seconds of processor time a round; the faster of two short trainings."""
    found = []
    for _ in range(2):
        start = time.process_time()
        train_many(plan, SEEDS, 60, every=60)
        found.append((time.process_time() - start) / 60)
    return min(found)


def mean(row: dict[str, Any]) -> float:
    """Mean distance over seeds; infinite if one has diverged."""
    known = [value for value in row["w1"] if value is not None]
    return statistics.fmean(known) if len(known) == len(row["w1"]) else float("inf")


class Store:
    """The result file: read at the start, written after each setting."""

    def __init__(self, data: str) -> None:
        self.path = publish.RESULTS / "fair-points" / f"{data}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self.whole = json.loads(self.path.read_text(encoding="utf-8"))
        else:
            heaps = len(toy.make(data).centers)
            self.whole = publish.machine() | {
                "what": f"exact W1 to the data, modes found of {heaps}, share of good samples",
                "data": data,
                "total": heaps,
                "steps": ROUNDS,
                "seeds": [*range(SEEDS), *range(FIRST_NEW, FIRST_NEW + NEW)],
                "recipe": json.loads(BASE.with_(data=data).to_json()),
                "pace": {},
                "models": {name: {"tried": [], "minutes": 0.0} for name in FAMILIES},
            }

    def write(self) -> None:
        """Keep what is known."""
        self.whole |= {"date": time.strftime("%Y-%m-%d"), "commit": publish.commit()}
        text = json.dumps(self.whole, ensure_ascii=False)
        self.path.write_text(text + "\n", encoding="utf-8")


def search(store: Store, name: str, data: str) -> None:
    """All settings of a family for the same time, then the winner for twice that on new seeds."""
    model, paces = store.whole["models"][name], store.whole["pace"]
    base = BASE.with_(data=data)
    rounds = round(ROUNDS * paces["GAN, non-saturating"] / paces[name])
    with bar(len(FAMILIES[name]) + 1, name, unit="setting") as progress:
        for setting, changes in FAMILIES[name]:
            if all(row["setting"] != setting for row in model["tried"]):
                start = time.process_time()
                row = play(base.with_(**changes), range(SEEDS), rounds, data)
                model["tried"].append({"setting": setting, **row})
                model["minutes"] = round(model["minutes"] + (time.process_time() - start) / 60, 2)
                model["best"] = min(model["tried"], key=mean)["setting"]
                store.write()
                print(name, setting, row["w1"], flush=True)
            progress.update()
        if "final" not in model:
            changes = dict(next(c for s, c in FAMILIES[name] if s == model["best"]))
            start = time.process_time()
            new = range(FIRST_NEW, FIRST_NEW + NEW)
            model["final"] = play(base.with_(**changes), new, 2 * rounds, data)
            model["minutes"] = round(model["minutes"] + (time.process_time() - start) / 60, 2)
            store.write()
            print(name, "FINAL", model["best"], model["final"], flush=True)
        progress.update()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=("grid25", "ring8"), default="grid25")
    publish.may_be_dirty(parser)
    args = parser.parse_args()
    publish.clean(args.dirty)
    torch.set_num_threads(1)
    store = Store(args.data)
    for name, settings in FAMILIES.items():
        if name not in store.whole["pace"]:
            store.whole["pace"][name] = pace(BASE.with_(data=args.data, **settings[4][1]))
            store.write()
    for name in FAMILIES:
        search(store, name, args.data)


if __name__ == "__main__":
    main()
