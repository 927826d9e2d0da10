"""Modes of Stacked MNIST that each objective and remedy finds, over seeds.

    python benchmarks/modes_stacked.py                     # every setting, 3 seeds
    python benchmarks/modes_stacked.py --only packed --seeds 5
    python benchmarks/modes_stacked.py --list              # the settings, as recipe changes
    python benchmarks/modes_stacked.py --speed             # images/s of each, and minutes to expect

Every setting is `BASE` with some fields changed, once with a discriminator as wide as the
generator and once with one of a quarter of the width, the published hard case. The training is
far shorter than the published 50 epochs. Modes are counted along the way with 10,000 samples,
and at the end with the 26,000 of the protocol (`ganlab.metrics.stacked`), always those of the
generator's running average. The result, with date, commit and all recipes, is
`book/results/modes-stacked/results.json`; runs are kept under `runs/modes-stacked/` and go on
where they were killed. Rows of other settings and seeds stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import torch
from publish import RESULTS, ROOT, clean, commit, may_be_dirty, thin

from ganlab import plots, runs
from ganlab.errors import GanlabError
from ganlab.metrics import SAMPLES, SURE, StackJudge, expected_modes, stack_judge, stacked_modes
from ganlab.recipes import Recipe, build, recipe, source
from ganlab.training import JsonLines, Record, Referee, Trainer, read_log

ALONG = 10_000  # samples for each point of a curve
POINTS = 5  # of a curve, beside the one before training

BASE = recipe("dcgan-mnist").with_(
    name="stacked",
    about="stacked digits",
    data="stacked-mnist",
    channels=3,
    sample_every=0,
)
#: Without BatchNorm, which a penalty on each sample's gradient rules out; Adam as in WGAN-GP.
_NO_NORM = {"discriminator": {"norm": "none"}, "g_lr": 5e-4, "d_lr": 5e-4}
_R1_R2 = {"objective": "relativistic", "penalties": {"r1": 1.0, "r2": 1.0}, "betas": (0.0, 0.99)}
SETTINGS: dict[str, dict[str, Any]] = {
    "non-saturating": {},
    "non-saturating, equal rates": {"g_lr": 5e-4, "d_lr": 5e-4},  # those of the rows without norm
    "PacGAN2": {"pack": 2},
    "PacGAN3": {"pack": 3, "batch": 66},  # the nearest whole number of packs
    "PacGAN4": {"pack": 4},
    "minibatch stddev": {"discriminator": {"minibatch": "stddev"}},
    "hinge, spectral norm": {"objective": "hinge", "discriminator": {"norm": "spectral"}},
    "WGAN-GP": {
        **_NO_NORM,
        "objective": "wasserstein",
        "penalties": {"gp": 10.0},
        "d_steps": 5,
        "betas": (0.0, 0.9),
    },
    "non-saturating, R1 + R2": {**_NO_NORM, **_R1_R2, "objective": "non-saturating"},
    "relativistic, R1 + R2": {**_NO_NORM, **_R1_R2},
    "modern": {
        **_R1_R2,
        "network": "modern",
        "generator": {"width": [96, 64, 32], "blocks": 1, "patch": 2},
        "discriminator": {"width": [96, 64, 32], "blocks": 1, "patch": 2},
        "g_lr": 5e-4,
        "d_lr": 5e-4,
    },
}
QUARTER = ", D a quarter"


def plans(steps: int) -> dict[str, Recipe]:
    """Every setting as a recipe: first those with equal widths, then those with D a quarter."""
    found: dict[str, Recipe] = {}
    every = max(1, steps // POINTS)
    loud = {"steps": steps, "log_every": 100 if every % 100 == 0 else every}
    for label, changes in SETTINGS.items():
        found[label] = BASE.with_(**changes).with_(**loud)
    for label in SETTINGS:
        plan = found[label]
        width = plan.discriminator["width"]
        less = width // 4 if isinstance(width, int) else [w // 4 for w in width]
        found[label + QUARTER] = plan.with_(discriminator={"width": less})
    return found


class Curve(JsonLines):
    """Modes counted every so many steps, one JSON line each."""

    def __init__(self, path: Path, judge: StackJudge, every: int, samples: int = ALONG) -> None:
        super().__init__(path)
        self.judge, self.every, self.samples = judge, every, samples

    def on_start(self, trainer: Referee) -> None:
        """Drop what a resumed run will count again; count before the first step."""
        super().on_start(trainer)
        if trainer.step == 0:
            self._count(trainer)

    def on_log(self, trainer: Referee, record: Record) -> None:
        """Count, if it is time."""
        if trainer.step % self.every == 0:
            self._count(trainer)

    def _count(self, trainer: Referee) -> None:
        got = stacked_modes(trainer.game.seeded(self.samples), self.judge, self.samples)
        super().on_log(trainer, {"step": trainer.step} | coverage(got))


def coverage(got: Any) -> dict[str, Any]:
    """A count of modes as plain numbers."""
    keys = ("found", "found_good", "good", "reverse_kl", "samples")
    return {key: getattr(got, key) for key in keys}


def folder_of(plan: Recipe) -> Path:
    """Where a run is kept: named after its recipe, so that changed settings are another run."""
    text = json.dumps(plan.identity() | {"steps": plan.steps}, sort_keys=True, default=str)
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    return ROOT / "runs" / "modes-stacked" / key


def train(plan: Recipe, data: Any, judge: StackJudge, device: str | None) -> dict[str, Any]:
    """One row of the result: trained now, continued, or read if it is finished."""
    where = folder_of(plan)
    curve = Curve(where / "modes.jsonl", judge, max(1, plan.steps // POINTS))
    row: dict[str, Any] = {"seed": plan.seed, "steps": plan.steps}
    row |= {"recipe": json.loads(plan.to_json())}
    stored = where / "row.json"
    if stored.exists():
        return json.loads(stored.read_text(encoding="utf-8"))
    started = (where / "recipe.json").exists()
    try:
        run = runs.train(plan, where, resume=started, device=device, data=data, callbacks=[curve])
    except GanlabError as error:
        row |= {"failed": str(error), "curve": read_log(curve.path)}
    else:
        if run.stopped:
            raise SystemExit(f"stopped in {where}; the same command goes on from there")
        log = run.log
        row |= {
            "scores": run.scores,
            "curve": read_log(curve.path),
            "minutes": round(log[-1]["seconds"] / 60, 2),
            "images_per_second": round(log[-1]["images"] / log[-1]["seconds"], 1),
            "curves": thin(log, 40),
            "about": run.about,
        }
        plots.save_grid(run.sample(48, seed=0), where / "grid.png", columns=12)
    row |= {"date": time.strftime("%Y-%m-%d"), "commit": commit()}
    where.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return row


def store(rows: dict[str, list[dict[str, Any]]], folder: Path, about: dict[str, Any]) -> None:
    """Merge rows into the stored result; a row of the same setting and seed is replaced."""
    path = folder / "results.json"
    old = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    merged: dict[str, list[dict[str, Any]]] = {}
    for label in sorted(old | rows, key=[*plans(1000), *old].index):
        both = {row["seed"]: row for row in [*old.get(label, []), *rows.get(label, [])]}
        merged[label] = [both[seed] for seed in sorted(both)]
    flat = [row for group in merged.values() for row in group]
    about |= {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "seeds": sorted({row["seed"] for row in flat}),
        "minutes": round(sum(row.get("minutes", 0) for row in flat), 1),
        "recipe": json.loads(BASE.to_json()),
    }
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(
        json.dumps(about | {"rows": merged}, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    partial.replace(path)
    for label, group in rows.items():
        grid = folder_of(Recipe.from_json(json.dumps(group[0]["recipe"]))) / "grid.png"
        if group[0]["seed"] == 0 and grid.exists():
            (folder / f"{slug(label)}.png").write_bytes(grid.read_bytes())


def slug(label: str) -> str:
    """A label as the name of a file."""
    words = "".join(c if c.isalnum() else " " for c in label.lower()).split()
    return "-".join(words)


def provenance(data: Any, judge: StackJudge, device: str | None) -> dict[str, Any]:
    """What all rows share: the machine, the judge, and what exact samples score."""
    place = runs.pick_device(device)
    found, kl = expected_modes(judge.mode_shares(), SAMPLES)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:SAMPLES]
    return {
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else place.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "data": data.name,
        "count": len(data),
        "note": data.note,
        "samples": SAMPLES,
        "samples_along": ALONG,
        "sure": SURE,
        "judge": {"fingerprint": judge.fingerprint, "accuracy": judge.accuracy},
        "expected": {"found": found, "reverse_kl": kl},
        "real": coverage(stacked_modes(data.images[order], judge)),
    }


def speed(wanted: dict[str, Recipe], data: Any, device: str | None, rounds: int = 30) -> None:
    """Print real images per second and the minutes that each setting will take for one seed."""
    place = runs.pick_device(device)
    for label, plan in wanted.items():
        game, stream = build(plan, data, place)
        trainer = Trainer(log_every=rounds, sample_every=0, checkpoint_every=0, ideal=False)
        trainer.fit(game, stream, 5)
        trainer = Trainer(log_every=rounds, sample_every=0, checkpoint_every=0, ideal=False)
        record = trainer.fit(game, stream, rounds)[-1]
        rate = rounds / record["seconds"]
        print(
            f"{label:40} {rate * plan.batch:6.0f} images/s"
            f" {plan.steps / rate / 60:6.1f} min for {plan.steps} steps",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="settings; --list names them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--device")
    parser.add_argument("--list", action="store_true", help="print the settings")
    parser.add_argument("--speed", action="store_true", help="time each setting briefly")
    parser.add_argument("--out", type=Path, default=RESULTS / "modes-stacked")
    may_be_dirty(parser)
    args = parser.parse_args()
    if not (args.list or args.speed):
        clean(args.dirty)
    wanted = plans(args.steps)
    if args.only:
        unknown = [name for name in args.only if name not in wanted]
        if unknown:
            parser.error(f"no setting '{unknown[0]}': choose from {'; '.join(wanted)}")
        wanted = {name: wanted[name] for name in args.only}
    if args.list:
        for label, plan in wanted.items():
            changes = {k: v for k, v in vars(plan).items() if v != getattr(BASE, k)}
            print(f"{label}: {changes}")
        return
    data = source(BASE)
    if args.speed:
        speed(wanted, data, args.device)
        return
    judge = stack_judge(data, runs.pick_device(args.device))
    about = provenance(data, judge, args.device)
    # Seed by seed, so that a table with fewer seeds is complete when time runs out.
    for seed in range(args.seeds):
        for label, plan in wanted.items():
            row = train(plan.with_(seed=seed), data, judge, args.device)
            store({label: [row]}, args.out, about)
            got = row.get("scores", {"found": row.get("failed")})
            print(
                f"{label}, seed {seed}: {got['found']} modes, reverse KL"
                f" {got.get('reverse_kl', float('nan')):.3f}, {row.get('minutes', 0)} min",
                flush=True,
            )


if __name__ == "__main__":
    main()
