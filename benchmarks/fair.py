"""The same search for every family, then the winners at equal cost on seeds never searched with.

    python benchmarks/fair.py pace                       # seconds a round, on a quiet machine
    python benchmarks/fair.py search                     # 12 settings each, on MNIST; then
    python benchmarks/fair.py final                      # the winners, 5 new seeds each
    python benchmarks/fair.py final --data cifar10       # the same settings on other pictures
    python benchmarks/fair.py search --family modern     # one family alone (--list names them)
    python benchmarks/fair.py show

A comparison of two methods is a comparison of how well each was tuned (Lucic et al. 2018, "Are
GANs Created Equal?"). So each family gets a grid of 12 settings over what matters most to it; each
setting gets the same processor time, counted in rounds by a pace that is measured first; the best
three are tried on two more seeds, and the best mean wins. The winners, and the recipes as the
package ships them, then train longer, again for the same time, on seeds that the search has not
seen. Scores are Fréchet distances in the features of a classifier of the data (`Run.evaluate`),
with density and coverage beside them.

Everything goes to book/results/fair/DATA.json after every training, so the same command goes on
where it was stopped, and several families may be searched at once. On one core a search takes
about half an hour a family, the winners 5 minutes a seed. OMP_NUM_THREADS=1 is meant.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from typing import Any

import torch
from filelock import FileLock
from publish import RESULTS, ROOT, clean, machine, may_be_dirty

from ganlab import plots, runs
from ganlab.errors import GanlabError
from ganlab.metrics import density_coverage, learned
from ganlab.progress import bar
from ganlab.recipes import Recipe, build, recipe, source

LOGGED = {"sample_every": 0, "log_every": 50, "checkpoint_every": 0}
BASE = recipe("dcgan-mnist", **LOGGED)
_PAIRED: dict[str, Any] = {"objective": "relativistic", "betas": (0.0, 0.99)}


def _both(rate: float) -> dict[str, float]:
    return {"g_lr": rate, "d_lr": rate}


def _gamma(value: float) -> dict[str, Any]:
    return {"penalties": {"r1": value, "r2": value}}


def _width(value: Any, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {side: {"width": value, **(more or {})} for side in ("generator", "discriminator")}


def _trunk(*widths: int) -> dict[str, Any]:
    return _width(list(widths), {"blocks": 1, "patch": 2})


#: Family -> what all its settings share, and its axes: name -> label -> changes.
FAMILIES: dict[str, tuple[dict[str, Any], dict[str, dict[str, dict[str, Any]]]]] = {
    "dcgan": (
        {},
        {
            "rates": {
                "2e-4, 2e-4": _both(2e-4),
                "1e-3, 2e-4": {"g_lr": 1e-3, "d_lr": 2e-4},
                "2e-3, 2e-3": _both(2e-3),
            },
            "G upsamples": {
                "transposed": {},
                "nearest": {"generator": {"upsample": "nearest"}},
            },
            "width": {"16": _width(16), "32": _width(32)},
        },
    ),
    "dcgan-r1-r2": (
        {**_PAIRED, "discriminator": {"norm": "none"}},
        {
            "rates": {"2e-4": _both(2e-4), "5e-4": _both(5e-4), "1e-3": _both(1e-3)},
            "gamma": {"0.1": _gamma(0.1), "1": _gamma(1.0)},
            "width": {"16": _width(16), "32": _width(32)},
        },
    ),
    "modern": (
        {**_PAIRED, "network": "modern"},
        {
            "rates": {"5e-4": _both(5e-4), "1e-3": _both(1e-3), "2e-3": _both(2e-3)},
            "gamma": {"0.05": _gamma(0.05), "1": _gamma(1.0)},
            "width": {"32, 16, 16": _trunk(32, 16, 16), "64, 32, 16": _trunk(64, 32, 16)},
        },
    ),
}
#: What the package ships, in the same final.
SHIPPED = {"dcgan": "dcgan-mnist", "modern": "modern-mnist"}
SEARCH, AGAIN, BEST = 0, (1, 2), 3  # seeds of the search, and how many settings get all of them
FINAL = (100, 101, 102, 103, 104)
SAMPLES = 2000  # for density and coverage


def grid(family: str) -> list[tuple[dict[str, str], Recipe]]:
    """Every setting of a family: its labels, and the recipe."""
    shared, axes = FAMILIES[family]
    found = []
    for chosen in itertools.product(*(options.items() for options in axes.values())):
        made = BASE.with_(**shared)
        for _, changes in chosen:
            made = made.with_(**changes)
        found.append((dict(zip(axes, (label for label, _ in chosen))), made))
    return found


def on(setting: Recipe, data: str, **more: Any) -> Recipe:
    """A setting on a data set."""
    channels = 1 if data in ("mnist", "glyphs") else 3
    made: Recipe = setting.with_(data=data, channels=channels, flip=data == "cifar10", **more)
    return made


def pace(one: Recipe, data: Any, rounds: int = 4) -> float:
    """Seconds of processor time that a round takes; the fastest of six tries, after a warm-up."""
    game, stream = build(one, data)
    found = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(rounds):
            game.round(stream)
        found.append((time.process_time() - start) / rounds)
    return min(found[1:])


def judged(run: runs.Run, data: Any) -> dict[str, Any]:
    """Scores of a run, with density and coverage in the same features."""
    scores = run.evaluate(data=data)
    judge, rest = learned(data)
    draw = torch.Generator().manual_seed(1)
    real = judge.features(rest.batch(torch.randperm(len(rest), generator=draw)[:SAMPLES]))
    found = density_coverage(real, judge.features(run.sample(SAMPLES, seed=1)))
    more = {"density": round(found.density, 4), "coverage": round(found.coverage, 4)}
    return scores | more | {"coverage_n": SAMPLES}


class Store:
    """A result file that several processes add to."""

    def __init__(self, data: str) -> None:
        self.path = RESULTS / "fair" / f"{data}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        (ROOT / "runs").mkdir(exist_ok=True)
        self.lock = FileLock(ROOT / "runs" / f"fair-{data}.lock")

    def read(self) -> dict[str, Any]:
        """What is stored; nothing at first."""
        empty: dict[str, Any] = {"families": {}, "pace": {}}
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else empty

    def add(self, place: tuple[str, ...], value: Any, **about: Any) -> None:
        """Put a value at a place of the file, or append it to the list that is there."""
        with self.lock:
            whole = self.read() | machine() | about
            at = whole
            for key in place[:-1]:
                at = at.setdefault(key, {})
            if isinstance(value, dict):
                at.setdefault(place[-1], []).append(value)
            else:
                at[place[-1]] = value
            whole["minutes"] = round(sum(row["minutes"] for row in rows(whole)), 1)
            whole["seeds"] = sorted({row["seed"] for row in rows(whole)})
            text = json.dumps(whole, ensure_ascii=False, indent=1)
            self.path.write_text(text + "\n", encoding="utf-8")


def rows(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Every training of a stored result."""
    return [
        row
        for family in whole["families"].values()
        for part in ("tried", "final")
        for row in family.get(part, [])
    ]


def paced(store: Store, setting: Recipe, data: Any) -> float:
    """The pace of a network and its losses, measured once for a result."""
    keys = ("network", "generator", "discriminator", "objective", "penalties", "d_steps")
    # What a rate or a γ is does not change the cost of a round.
    cost = {k: v for k, v in json.loads(setting.to_json()).items() if k in keys}
    cost["penalties"] = sorted(cost["penalties"])
    key = json.dumps(cost, sort_keys=True)
    known = store.read()["pace"]
    if key not in known:
        store.add(("pace", key), pace(setting, data))
    return store.read()["pace"][key]


def one(
    store: Store, family: str, part: str, labels: dict[str, str], setting: Recipe,
    seed: int, budget: float, data: Any,
) -> None:  # fmt: skip
    """Train and score one setting, unless that is stored already."""
    at = {"setting": labels, "seed": seed}
    done = store.read()["families"].get(family, {}).get(part, [])
    if any({k: row[k] for k in at} == at for row in done):
        return
    rounds = max(1, round(budget * 60 / paced(store, setting, data)))
    what, name = setting.with_(seed=seed, steps=rounds), setting.data
    label = "-".join(labels.values()).replace(" ", "").replace(",", "_")
    folder = ROOT / "runs" / "fair" / name / f"{family}-{part}-{label}-{seed}-{rounds}"
    row: dict[str, Any] = {**at, "rounds": rounds, "minutes": budget, "recipe": told(what)}
    try:
        resume = (folder / "recipe.json").exists()
        run = runs.train(what, folder, data=data, resume=resume, evaluate=False)
        if run.stopped:
            raise SystemExit("stopped; the same command goes on from there")
        row["scores"] = judged(run, data)
        if part == "final" and seed == FINAL[0]:
            plots.save_grid(run.sample(64, seed=0), store.path.parent / f"{name}-{family}.png")
    except GanlabError as error:  # a training that diverged has lost its place, and says why
        row["failed"] = str(error)
    about = {"data": name, "count": len(data), "note": data.note, "samples": SAMPLES}
    store.add(("families", family, part), row, **about)
    print(f"{name} {family} {labels} seed {seed}, {rounds} rounds:"
          f" {row.get('failed') or row['scores']['frechet']}", flush=True)  # fmt: skip


def told(setting: Recipe) -> dict[str, Any]:
    """The fields in which a recipe differs from `BASE`."""
    base = json.loads(BASE.to_json())
    return {k: v for k, v in json.loads(setting.to_json()).items() if v != base.get(k)}


def mean(tried: list[dict[str, Any]], labels: dict[str, str]) -> float:
    """Mean distance of a setting over its seeds; a training that failed counts as infinite."""
    every = [row for row in tried if row["setting"] == labels]
    return statistics.fmean(
        row["scores"]["frechet"] if "scores" in row else float("inf") for row in every
    )


def ranked(tried: list[dict[str, Any]], seeds: int = 1) -> list[dict[str, str]]:
    """Settings that were tried with at least so many seeds, the best first."""
    settings = [row["setting"] for row in tried if row["seed"] == SEARCH]
    settings = [s for s in settings if sum(row["setting"] == s for row in tried) >= seeds]
    return sorted(settings, key=lambda s: mean(tried, s))


def winner(family: str) -> tuple[dict[str, str], Recipe]:
    """The setting that won a family's search on MNIST."""
    tried = Store("mnist").read()["families"].get(family, {}).get("tried", [])
    best = ranked(tried, 1 + len(AGAIN))
    if not best:
        raise SystemExit(f"no search of '{family}' is stored: fair.py search --family {family}")
    return next(found for found in grid(family) if found[0] == best[0])


def search(family: str, budget: float) -> None:
    """All settings on one seed, the best three on two more."""
    store, data = Store("mnist"), source(on(BASE, "mnist"))
    with bar(len(grid(family)), f"search {family}", unit="setting") as progress:
        for labels, setting in grid(family):
            one(store, family, "tried", labels, on(setting, "mnist"), SEARCH, budget, data)
            progress.update()
    tried = store.read()["families"][family]["tried"]
    # by the first seed alone, so that a search that is gone on with finds the same three
    best = ranked([row for row in tried if row["seed"] == SEARCH])[:BEST]
    for labels, setting in grid(family):
        for seed in AGAIN if labels in best else ():
            one(store, family, "tried", labels, on(setting, "mnist"), seed, budget, data)


def final(family: str, name: str, budget: float, seeds: int, shipped: bool) -> None:
    """The winner of a family on new seeds, and with `shipped` the recipe as the package has it."""
    store, data = Store(name), source(on(BASE, name))
    entries = [(family, *winner(family))]
    if shipped and family in SHIPPED:
        ships = recipe(SHIPPED[family], **LOGGED)
        entries.append((f"{family}, as shipped", {"recipe": ships.name}, ships))
    for seed in FINAL[:seeds]:  # seed by seed: fewer seeds are a complete table too
        for title, labels, setting in entries:
            one(store, title, "final", labels, on(setting, name), seed, budget, data)


def show() -> None:
    """The stored tables."""
    for path in sorted((RESULTS / "fair").glob("*.json")):
        whole = json.loads(path.read_text(encoding="utf-8"))
        print(f"{path.stem}, commit {whole['commit']}, {whole['minutes']} min")
        for family, found in whole["families"].items():
            for labels in ranked(found.get("tried", [])):
                print(f"  {family:24} {labels!s:70} {mean(found['tried'], labels):8.1f}")
            scores = [row["scores"] for row in found.get("final", []) if "scores" in row]
            if scores:
                values = [s["frechet"] for s in scores]
                print(f"  {family:24} FINAL {statistics.fmean(values):.1f}, {len(values)} seeds:"
                      f" {', '.join(f'{v:.1f}' for v in values)}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("pace", "search", "final", "show", "list"))
    parser.add_argument("--family", choices=FAMILIES, help="default: all, in turn")
    parser.add_argument("--data", default="mnist", help="of the final (the search is on mnist)")
    parser.add_argument("--budget", type=float, help="minutes of processor time a training:"
                        " 1.5 in the search, 4 in the final")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=len(FINAL), help="of the final, at most 5")
    parser.add_argument("--shipped", action="store_true", help="in the final: as shipped, too")
    may_be_dirty(parser)
    args = parser.parse_args()
    if args.what == "show":
        return show()
    if args.what == "list":
        for family in FAMILIES:
            print(family, *(labels for labels, _ in grid(family)), sep="\n    ")
        return None
    clean(args.dirty)
    if args.what == "pace":
        data = source(on(BASE, args.data))
        for family in FAMILIES:
            for labels, setting in grid(family):
                seconds = paced(Store(args.data), on(setting, args.data), data)
                print(family, labels, f"{seconds:.3f} s")
        return None
    for family in [args.family] if args.family else FAMILIES:
        if args.what == "search":
            search(family, args.budget or 1.5)
        else:
            final(family, args.data, args.budget or 4.0, args.seeds, args.shipped)
    return None


if __name__ == "__main__":
    main()
