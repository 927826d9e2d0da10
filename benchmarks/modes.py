"""Which modes does a GAN find? Every objective and remedy on the ring and the grid, over seeds.

    python benchmarks/modes.py points                    # all settings, both sets, 10 seeds
    python benchmarks/modes.py points --data ring8 --only "GAN, non-saturating" modern
    python benchmarks/modes.py list                      # the settings and what each changes
    python benchmarks/modes.py show                      # the stored table
    python benchmarks/modes.py speed                     # seeds per second, together or in turn

Each setting is one fixed recipe with a few fields changed, so that a row differs from the first
row by what its name says and by nothing else ("modern": the relativistic loss with R1 and R2,
cosine decay, running average, faster rates; "long": 4 times as many rounds). All seeds of a
setting train together (`ganlab.ensemble.many`). 2,500 samples per seed are scored as VEEGAN and
PacGAN do: a sample is good within 3 standard deviations of a centre, a mode is found with one
good sample. The spread is the standard deviation over seeds. A seed that diverged has found 0
modes.

Results go to book/results/modes-points/ring8.json and grid25.json after every setting; a setting
that is there already, made by the same recipe, is not trained again. On one core the whole
table takes about half an hour; OMP_NUM_THREADS=1 is fastest for networks as small as these.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from publish import clean, machine, may_be_dirty

from ganlab.ensemble import Many, train_many
from ganlab.recipes import Recipe, recipe

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results" / "modes-points"
SEEDS = 10

#: The network and the optimiser of every row.
BASE = recipe(
    "mlp-ring",
    half_life=0.0,
    batch=64,
    generator={"latent": 2, "width": 64, "depth": 3},
    discriminator={"width": 64, "depth": 3},
)
STEPS = {"ring8": 2000, "grid25": 3000}
LONG = 4  # times as many, in the rows that say so

_WGAN = {"objective": "wasserstein", "d_steps": 5}
_PAIRED = {"objective": "relativistic", "penalties": {"r1": 1.0, "r2": 1.0}}
_MODERN = {**_PAIRED, "schedule": "cosine", "half_life": 2000.0, "g_lr": 2e-3, "d_lr": 4e-3}

#: Group -> name -> what changes.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "objectives": {
        "GAN, non-saturating": {},
        "GAN, minimax": {"objective": "minimax"},
        "least squares, 0 and 1": {"objective": "least-squares"},
        "least squares, -1, 1 and 0": {
            "objective": "least-squares",
            "objective_options": {"coding": "-1-1-0"},
        },
        "hinge": {"objective": "hinge"},
        "relativistic": {"objective": "relativistic"},
        "relativistic average": {"objective": "relativistic-average"},
    },
    "penalties": {
        "WGAN, clipping": {**_WGAN, "clip": 0.1, "optimizer": "rmsprop", "betas": (0.0, 0.99)},
        "WGAN-GP": {**_WGAN, "penalties": {"gp": 0.1}},
        "WGAN-GP, weight 10": {**_WGAN, "penalties": {"gp": 10.0}},
        "WGAN-LP": {**_WGAN, "penalties": {"lp": 0.1}},
        "GAN + one-centred penalty": {"penalties": {"gp": 0.1}},
        "GAN + zero-centred penalty": {"penalties": {"gp0": 0.1}},
        "DRAGAN": {"penalties": {"dragan": 0.1}},
        "GAN + R1": {"penalties": {"r1": 1.0}},
        "GAN + R1 + R2": {"penalties": {"r1": 1.0, "r2": 1.0}},
        "GAN + consistency": {"penalties": {"consistency": 10.0}},
        "GAN + spectral norm": {"discriminator": {"norm": "spectral"}},
        "hinge + spectral norm": {
            "objective": "hinge",
            "discriminator": {"norm": "spectral"},
        },
        "relativistic + R1 + R2": _PAIRED,
    },
    "tricks": {
        "PacGAN2": {"pack": 2, "batch": 128},
        "PacGAN3": {"pack": 3, "batch": 192},
        "PacGAN4": {"pack": 4, "batch": 256},
        "minibatch std": {"discriminator": {"minibatch": "stddev"}},
        "minibatch discrimination": {"discriminator": {"minibatch": "discrimination"}},
        "unrolled, 5 steps": {"unroll": 5},
        "feature matching": {"penalties": {"feature-matching": 1.0}},
        "historical averaging": {"penalties": {"historical": 0.001}},
        "instance noise": {"instance_noise": 0.3},
        "one-sided smoothing, 0.9": {"objective_options": {"real_target": 0.9}},
        "flipped labels, 5%": {"label_flip": 0.05},
        "top-k, to one half": {"top_k": 0.5},
        "history pool": {"pool": 512},
    },
    "rates": {
        "running average": {"half_life": 2000.0},
        "linear decay": {"schedule": "linear"},
        "cosine decay": {"schedule": "cosine"},
        "TTUR, D 4 times faster": {"g_lr": 5e-4, "d_lr": 2e-3},
        "D 4 times slower": {"g_lr": 2e-3, "d_lr": 5e-4},
        "both rates / 4": {"g_lr": 2.5e-4, "d_lr": 2.5e-4},
        "5 steps of D": {"d_steps": 5},
        "2 steps of G": {"g_steps": 2},
        "batch 16": {"batch": 16},
        "batch 256": {"batch": 256},
    },
    "together": {
        "modern": _MODERN,
        "modern, long": {**_MODERN, "steps": LONG},
        "GAN, non-saturating, long": {"steps": LONG},
    },
}

PROTOCOL = (
    "Scoring as in VEEGAN and PacGAN (ring: radius 1, std 0.01; grid: spacing 2, std 0.05; 2,500"
    " samples, 3 standard deviations). Different: networks of 3x64 without BatchNorm (PacGAN: G"
    " 4x400 with BatchNorm, D 3 maxout layers), Adam 1e-3 with beta1 0.5 (PacGAN: 1e-4, 0.8),"
    " batch 64 (100), fresh samples at every step (100,000 stored points), and far fewer steps"
    " (PacGAN: 400 passes). A step of the PacGAN rows judges 64 packs, so that their batches are"
    " 2, 3 and 4 times as large: compare with the rows of other batch sizes. The spread"
    " is a standard deviation (PacGAN: standard error). The rates and weights of 'modern' were"
    " chosen among about 25 trials on seeds 0 to 4, mostly on the grid; no other row was tuned so."
    " The base keeps no running average: with one, and batch 128, five of five plain GANs found the"
    " whole ring. After a first look, historical averaging went from weight 0.1 to 0.001, and the"
    " PacGAN rows from 64 samples a step to 64 packs."
)


def flat() -> dict[str, tuple[str, dict[str, Any]]]:
    """Name -> (group, changes)."""
    return {n: (group, c) for group, rows in SETTINGS.items() for n, c in rows.items()}


def plan(name: str, data: str, steps: int) -> Recipe:
    """The recipe of a row; `steps` among its changes is a factor."""
    changes = dict(flat()[name][1])
    steps *= changes.pop("steps", 1)
    return BASE.with_(name=name, data=data, steps=steps).with_(**changes)


def numbers(values: torch.Tensor) -> list[float | None]:
    """For JSON, which has no infinity."""
    return [round(v, 4) if math.isfinite(v) else None for v in values.tolist()]


def entry(many: Many, group: str, changes: dict[str, Any]) -> dict[str, Any]:
    """What is stored of a row."""
    summary = {k: v if v is None else round(v, 4) for k, v in many.summary().items()}
    return {
        "group": group,
        "changes": changes,
        "mean": summary,
        "modes": numbers(many.modes),
        "good": numbers(many.good),
        "rkl": numbers(many.rkl),
        "diverged": many.diverged,
        "seconds": round(many.seconds, 1),
        "curve": {
            "step": [row["step"] for row in many.history],
            "modes": [round(float(row["modes"].mean()), 3) for row in many.history],
            "good": [round(float(row["good"].mean()), 4) for row in many.history],
        },
    }


def points(args: argparse.Namespace) -> None:
    """Train what is missing of the table."""
    table = flat()
    for name in args.only or ():
        if name not in table:
            raise SystemExit(f"no setting '{name}': python benchmarks/modes.py list")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for data in args.data:
        steps = args.steps or STEPS[data]
        path = RESULTS / f"{data}.json"
        head = {
            "data": data,
            "recipe": json.loads(BASE.with_(data=data, steps=steps).to_json()),
            "seeds": [BASE.seed + i for i in range(args.seeds)],
            "steps": steps,
        }
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        rows = stored.get("rows", {})
        if any(stored.get(key) != value for key, value in head.items()):
            rows = {}  # another base recipe: nothing of it may stand beside the new rows
        for name, (group, changes) in table.items():
            if args.only and name not in args.only:
                continue
            same = json.loads(json.dumps(changes))
            if not args.again and rows.get(name, {}).get("changes") == same:
                continue
            row = plan(name, data, steps)
            start = time.process_time()
            many = train_many(row, args.seeds, every=max(1, row.steps // 20))
            cpu = time.process_time() - start
            rows[name] = entry(many, group, same) | {"cpu_seconds": round(cpu, 1)}
            rows = {n: rows[n] for n in table if n in rows}
            result = head | {
                **machine(),
                "minutes": round(sum(r["seconds"] for r in rows.values()) / 60, 1),
                "cpu_minutes": round(sum(r["cpu_seconds"] for r in rows.values()) / 60, 1),
                "total": many.total,
                "samples": many.samples.shape[1],
                "spread": "standard deviation over seeds",
                "protocol": PROTOCOL,
                "rows": rows,
            }
            partial = path.with_suffix(".partial")
            partial.write_text(
                json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
            )
            partial.replace(path)
            print(line(name, rows[name], many.total), flush=True)


def line(name: str, row: dict[str, Any], total: int) -> str:
    """One row of the table as text."""
    mean = row["mean"]

    def pair(key: str, digits: str) -> str:
        value, spread = mean[key], mean[f"{key}_sd"]
        return "-" if value is None else f"{value:{digits}} ± {spread or 0:{digits}}"

    return (
        f"{name:28}{pair('modes', '.1f'):>13} of {total}  {pair('good', '.1%'):>15}"
        f"  {pair('rkl', '.2f'):>13}  {row['seconds']:6.1f} s"
    )


def show(args: argparse.Namespace) -> None:
    """Print what is stored."""
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        print(f"{result['data']}: {len(result['seeds'])} seeds, {result['steps']} steps,"
              f" {result['minutes']} min, {result['date']}, {result['commit']}")  # fmt: skip
        for name, row in result["rows"].items():
            print("  " + line(name, row, result["total"]))


def settings(args: argparse.Namespace) -> None:
    """Print the settings."""
    print(f"every row: {BASE.with_(name='')}")
    for group, rows in SETTINGS.items():
        print(group)
        for name, changes in rows.items():
            print(f"  {name:28}{changes or 'as it is'}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("points", help="train the table, or what is missing of it")
    one.add_argument("--data", nargs="+", choices=list(STEPS), default=list(STEPS),
                     help="which sets (default: both)")  # fmt: skip
    one.add_argument("--seeds", type=int, default=SEEDS, help=f"per setting (default: {SEEDS})")
    one.add_argument("--steps", type=int, help=f"rounds (default: {STEPS})")
    one.add_argument("--only", nargs="+", metavar="NAME", help="these settings (see: list)")
    one.add_argument("--again", action="store_true", help="train what is stored already, too")
    what.add_parser("show", help="print the stored table")
    what.add_parser("list", help="print the settings")
    two = what.add_parser("speed", help="seeds per second, together against one after another")
    two.add_argument("--threads", type=int, help="default: as torch chooses")
    two.add_argument("--seconds", type=float, default=2.0, help="per case and way (default: 2)")
    two.add_argument("--save", action="store_true", help="store under benchmarks/results/")
    may_be_dirty(one)
    args = parser.parse_args()
    if args.what == "points":
        clean(args.dirty)
    if args.what == "speed":
        from modes_speed import speed

        speed(BASE, args)
    else:
        {"points": points, "show": show, "list": settings}[args.what](args)


if __name__ == "__main__":
    main()
