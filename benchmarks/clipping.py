"""Clipping over bound and rate, and the gradient penalty over weight and rate (chapter 6).

    python benchmarks/clipping.py                # 9 settings each on the ring, 4 seeds: 5 minutes
    python benchmarks/clipping.py --rate 5e-4    # one rate alone; several may run at once

Both train the same small networks on the ring of 8 Gaussians with five critic steps a round. The
published clipping (c = 0.01, RMSprop at 5e-5) and the weight 0.1 that the authors of the penalty
give to points are among the settings. All seeds of a setting train at once. Of the samples: modes
found and the share of good ones, as in chapter 3, and the exact Wasserstein distance between 512 of
them and 512 points of the data, by matching.

Everything goes to book/results/clipping/results.json after each setting, and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import publish
import torch
from filelock import FileLock
from transport import to_heaps

from ganlab.ensemble import train_many
from ganlab.recipes import Recipe, recipe

SEEDS, ROUNDS, POINTS = 4, 480, 512
RATES = (5e-5, 5e-4, 2e-3)
PATH = publish.RESULTS / "clipping" / "results.json"
BASE = recipe(
    "mlp-ring",
    batch=64,
    half_life=0.0,
    generator={"width": 64, "depth": 2},
    discriminator={"width": 64},
    objective="wasserstein",
    d_steps=5,
)
CLIPPED: dict[str, Any] = {"optimizer": "rmsprop", "betas": (0.0, 0.99)}
PENALISED: dict[str, Any] = {"betas": (0.0, 0.9)}
#: Model -> its settings, each with what it changes.
GRIDS: dict[str, list[tuple[dict[str, float], dict[str, Any]]]] = {
    "WGAN, clipping": [
        ({"c": c, "rate": rate}, {**CLIPPED, "clip": c, "g_lr": rate, "d_lr": rate})
        for c in (0.01, 0.03, 0.1)
        for rate in RATES
    ],
    "WGAN-GP": [
        ({"λ": λ, "rate": rate}, {**PENALISED, "penalties": {"gp": λ}, "g_lr": rate, "d_lr": rate})
        for λ in (0.03, 0.1, 1.0)
        for rate in RATES
    ],
}


def one(plan: Recipe) -> dict[str, Any]:
    """Scores of all seeds of a setting."""
    many = train_many(plan, SEEDS, ROUNDS, every=ROUNDS)
    return {
        "w1": to_heaps(many.samples, BASE.data, POINTS),
        "found": [int(v) for v in many.modes],
        "good": [round(float(v), 4) for v in many.good],
    }


def models() -> dict[str, Any]:
    """What is stored of each model."""
    if not PATH.exists():
        return {name: {"tried": [], "minutes": 0.0} for name in GRIDS}
    return json.loads(PATH.read_text(encoding="utf-8"))["models"]  # type: ignore[no-any-return]


def add(name: str, row: dict[str, Any], minutes: float) -> None:
    """Store a setting of a model; several processes may do so."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(publish.ROOT / "runs" / "clipping.lock"):
        every = models()
        model, order = every[name], [setting for setting, _ in GRIDS[name]]
        model["tried"] = sorted([*model["tried"], row], key=lambda r: order.index(r["setting"]))
        model["minutes"] = round(model["minutes"] + minutes, 2)
        model["best"] = min(model["tried"], key=lambda r: float(np.mean(r["w1"])))["setting"]
        about = publish.machine() | {
            "what": "modes found of 8 and share of good samples on the ring; the best has the"
            " least exact W1 to the data",
            "steps": ROUNDS,
            "seeds": list(range(SEEDS)),
            "recipe": json.loads(BASE.to_json()),
            "models": every,
        }
        PATH.write_text(json.dumps(about, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    publish.may_be_dirty(parser)
    parser.add_argument("--rate", type=float, choices=RATES)
    args = parser.parse_args()
    publish.clean(args.dirty)
    torch.set_num_threads(1)
    for place in range(len(GRIDS["WGAN-GP"])):  # in turn: a half is a half of both
        for name, grid in GRIDS.items():
            setting, changes = grid[place]
            wanted = args.rate in (None, setting["rate"])
            if wanted and all(row["setting"] != setting for row in models()[name]["tried"]):
                began = time.perf_counter()
                row = {"setting": setting, **one(BASE.with_(**changes))}
                add(name, row, (time.perf_counter() - began) / 60)
                print(name, row, flush=True)


if __name__ == "__main__":
    main()
