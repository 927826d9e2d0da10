"""Break a small DCGAN in every usual way, mend it, and store what each looks like in the curves.

    python benchmarks/diagnosis.py                     # all rows, 3 seeds: about a quarter hour
    python benchmarks/diagnosis.py --only collapse     # one row again, the others stay
    python benchmarks/diagnosis.py --show              # the stored numbers

Each row of `diagnosis_rows.py` is a pair of runs that differ by the cause alone: `broken`, and
`mended` by the remedy that the row names. 16 px digits (MNIST), narrow networks, some hundred
steps: seconds a run on one core. Every run is measured by the same instruments, so that a
signature is a row of the same numbers. Results: book/results/diagnosis/results.json, and a grid of
the first seed: fixed noise in evaluation mode, near the end and, below, at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diagnosis_rows import BASE, ROWS, Row, Twist
from publish import clean, machine, may_be_dirty
from torch import Tensor

from ganlab import plots
from ganlab.data import ImageSet, load
from ganlab.game import AdversarialGame
from ganlab.metrics import score
from ganlab.recipes import Recipe, build

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results" / "diagnosis"
POINTS = 20  # on each curve


def watch(game: AdversarialGame) -> dict[str, list[Tensor]]:
    """Gradient norms of both players before each of their steps, and G's before its backward."""
    found: dict[str, list[Tensor]] = {"d_grad": [], "g_grad": [], "leak": []}

    def norm(weights: list[Tensor]) -> Tensor:
        grads = [p.grad for p in weights if p.grad is not None]
        return torch.stack(torch._foreach_norm(grads)).norm() if grads else torch.zeros(())

    for player in game.players:
        key, step = f"{player.name[0]}_grad", player.step

        def watched(images: int, player: Any = player, key: str = key, step: Any = step) -> None:
            found[key].append(norm(player.weights))
            step(images)

        player.step = watched  # type: ignore[method-assign]
    g_step = game._g_step

    def before(real: Tensor, fakes: Any) -> dict[str, Tensor]:
        found["leak"].append(norm(game.generator.weights))
        return g_step(real, fakes)

    game._g_step = before  # type: ignore[method-assign]
    return found


def variety(images: Tensor) -> float:
    """Mean distance between two pictures of a batch."""
    return torch.pdist(images.flatten(1)).mean().item()


def weave(images: Tensor) -> float:
    """Share of the pictures' power in patterns of period two pixels, up, across or both."""
    power = torch.fft.rfft2(images.double() - images.double().mean()).abs().square().mean((0, 1))
    half = images.shape[-1] // 2
    return ((power[half].sum() + power[:, half].sum() - power[half, half]) / power.sum()).item()


def looks(
    game: AdversarialGame, train: Iterator[Tensor], held_out: Tensor, z: Tensor, last: Tensor | None
) -> tuple[dict[str, float], Tensor]:
    """What fixed noise and D say now, and the pictures."""
    network = game.discriminator.network
    with torch.no_grad():
        x = game.sample(z)
        seen = network(next(train)).mean() - network(held_out).mean()
    real = variety(held_out)
    return {
        "variety": variety(x) / real,
        "moved": 0.0 if last is None else (x - last).flatten(1).norm(dim=1).mean().item() / real,
        "weave": weave(x) / weave(held_out),
        "held_out": seen.item(),
    }, x


def play(
    plan: Recipe, twist: Twist | None, data: ImageSet, test: ImageSet, limit: int | None
) -> tuple[dict[str, Any], Tensor, AdversarialGame]:
    """One run: its curves, its last numbers, and fixed noise at two times."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(plan.seed))
    data = data.select(order[:limit]) if limit else data
    game, stream = build(plan, data)
    if twist:
        twist(game)
    norms = watch(game)
    own = build(plan, data)[1]  # another view of the training pictures, for measuring
    z = game.generator.network.sample_latent(64, torch.Generator().manual_seed(99))  # type: ignore
    held_out = test.batch(torch.arange(64))
    every = plan.steps // POINTS
    sums: dict[str, float] = {}
    curves: dict[str, list[float]] = {}
    last, shown = None, []
    finite = plan.steps
    torch.manual_seed(plan.seed)
    for step in range(1, plan.steps + 1):
        report = {k: v.item() for k, v in game.round(stream).items()}
        if not all(map(math.isfinite, report.values())):
            finite = step
            break
        for key, value in report.items():
            sums[key] = sums.get(key, 0.0) + value / every
        if step % every == 0:
            now, last = looks(game, own, held_out, z, last)
            now |= sums | {k: torch.stack(v).mean().item() for k, v in norms.items()}
            for key, value in ({"step": step} | now).items():
                curves.setdefault(key, []).append(round(value, 5))
            sums = {}
            for v in norms.values():
                v.clear()
            if step >= 0.9 * plan.steps:
                shown.append(last[:8])
    late = {
        k: float(torch.tensor(v[-POINTS // 4 :], dtype=torch.float64).mean())
        for k, v in curves.items()
    }
    last_numbers = {k: round(v, 5) for k, v in late.items() if k != "step"}
    last_numbers["d_gap"] = round(late.get("d_real", 0) - late.get("d_fake", 0), 5)
    last_numbers["both"] = round(max(late.get("d_loss", 0), late.get("g_loss", 0)), 5)
    sizes = [abs(v) for v in curves.get("d_loss", [0.0])[-POINTS // 4 :]]
    last_numbers["size"] = round(sum(sizes) / len(sizes), 5)
    last_numbers["finite"] = finite
    if len(shown) < 2:  # stopped: nothing to see
        shown = [torch.zeros(8, 1, plan.size or 16, plan.size or 16)] * 2
    return {"curves": curves, "last": last_numbers}, torch.cat([shown[0], shown[-1]]), game


def one(
    plan: Recipe, twist: Twist | None, data: ImageSet, test: ImageSet, limit: int | None = None
) -> tuple[dict[str, Any], Tensor]:
    """A run and its score, where its pictures are finite."""
    start = time.perf_counter()
    run, pictures, game = play(plan, twist, data, test, limit)
    run["seconds"] = round(time.perf_counter() - start, 1)
    if run["last"]["finite"] == plan.steps:
        scores = score(game.seeded, data, False, n=2000, seed=plan.seed)
        run["last"] |= {"frechet": scores["frechet"], "floor": scores["floor"]}
    run["confidence"] = game.confidence()
    return {"seed": plan.seed} | run, pictures


def slug(name: str) -> str:
    """A row's name as part of a file name."""
    return name.lower().replace(" ", "-")


def runs_of(row: dict[str, Any], which: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a row; those that are mended by changing nothing share the sound ones."""
    return row[which] if row[which] is not None else result["sound"]


def show(result: dict[str, Any], only: str | None = None) -> None:
    """Print each row's sign, broken and mended."""
    for name, row in result["rows"].items():
        told = []
        for which in ("broken", "mended"):
            runs = [r["last"] for r in runs_of(row, which, result)]
            values = [f"{r.get(row['sign'], math.nan):.3g}" for r in runs]
            scores = [f"{r.get('frechet', math.nan):.0f}" for r in runs]
            told.append(f"{which} {', '.join(values)} (Fréchet {', '.join(scores)})")
        if only in (None, name):
            print(f"{name:18} {row['sign']:9} " + "; ".join(told), flush=True)


def save(stored: dict[str, Any], seeds: int, data: ImageSet) -> dict[str, Any]:
    """Write what there is, with where it came from."""
    rows = {n: stored["rows"][n] for n in ROWS if n in stored["rows"]}
    runs = [r for e in rows.values() for w in ("broken", "mended") for r in e[w] or ()]
    result = {
        **machine(),
        "data": data.name,
        "recipe": json.loads(BASE.to_json()),
        "seeds": list(range(seeds)),
        "minutes": round(sum(r["seconds"] for r in [*runs, *stored["sound"]]) / 60, 1),
        "sound": stored["sound"],
        "rows": rows,
    }
    partial = RESULTS / "results.partial"
    partial.write_text(json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(RESULTS / "results.json")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print what is stored")
    may_be_dirty(parser)
    args = parser.parse_args()
    path = RESULTS / "results.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": {}}
    if args.show:
        show(stored)
        return
    clean(args.dirty)
    data = load("mnist", size=16, channels=1)
    test = load("mnist", size=16, channels=1, split="test", limit=2000)
    RESULTS.mkdir(parents=True, exist_ok=True)

    def seeds(changes: dict[str, Any], name: str, row: Row | None = None) -> list[dict[str, Any]]:
        twist, limit = (row.twist, row.limit) if row else (None, None)
        found = []
        for seed in range(args.seeds):
            run, pictures = one(BASE.with_(**changes, seed=seed), twist, data, test, limit)
            found.append(run)
            if seed == 0:
                plots.save_grid(pictures, RESULTS / f"{name}.png", columns=8)
        return found

    if "sound" not in stored or not args.only:
        stored["sound"] = seeds({}, "sound")
    for name in args.only or ROWS:
        row = ROWS[name]
        entry: dict[str, Any] = {
            key: getattr(row, key) for key in ("symptom", "cause", "remedy", "sign", "limit")
        }
        entry |= {"changes": row.broken, "mended_changes": row.mended, "mended": None}
        entry["broken"] = seeds(row.broken, f"{slug(name)}-broken", row)
        if row.mended is not None:
            whole = replace(row, twist=None)
            entry["mended"] = seeds(row.mended, f"{slug(name)}-mended", whole)
        stored["rows"][name] = entry
        stored = save(stored, args.seeds, data)
        show(stored, name)


if __name__ == "__main__":
    main()
