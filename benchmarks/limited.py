"""Few pictures: what happens to the discriminator, and what augmentation does about it (ch. 10).

    python benchmarks/limited.py --pictures 500 --images 40000

A small StyleGAN2 learns a few of the emoji, three times: as it is, with DiffAugment and with ADA.
Along the way the discriminator judges, without augmentation, pictures that it learns from,
pictures that it never sees, and generated ones. While it generalises, the first two get the same
logits; once it knows its pictures by heart, what it never saw looks generated (Karras et al.
2020, "Training GANs with Limited Data", Fig. 1). Runs go on where they were killed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import publish
import torch

from ganlab import plots, runs
from ganlab.build import source
from ganlab.callbacks import Callback, Record, read_log
from ganlab.data.imageset import ImageSet
from ganlab.recipes import Recipe, recipe
from ganlab.trainer import Trainer

SETTINGS: dict[str, dict[str, Any]] = {
    "nothing": {"augment": ""},
    "DiffAugment": {"augment": "color,translation,cutout"},
    "ADA": {"augment": "ada"},
}
NARROW: dict[str, Any] = {"generator": {"channel_base": 512},
                          "discriminator": {"channel_base": 512}}  # fmt: skip


class Watch(Callback):
    """Mean logits on pictures learned from, never seen, and generated; p and r of ADA.

    Args:
        path: a line of JSON for each log record.
        train, held_out: (N, C, n, n) pictures in [-1, 1].
        z: latent vectors of the generated ones.
    """

    def __init__(
        self, path: Path, train: torch.Tensor, held_out: torch.Tensor, z: torch.Tensor
    ) -> None:
        self.path, self.train, self.held_out, self.z = path, train, held_out, z

    def on_start(self, trainer: Trainer) -> None:
        """Keep the lines up to the current step."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [r for r in read_log(self.path) if r["step"] <= trainer.step]
        self.path.write_text("".join(json.dumps(r) + "\n" for r in kept))

    @torch.no_grad()
    def on_log(self, trainer: Trainer, record: Record) -> None:
        """Add a line."""
        game = trainer.game
        d = game.discriminator.network.eval()

        def mean(x: torch.Tensor) -> float:
            return float(torch.cat([d(part).float() for part in x.split(100)]).mean())

        row = {
            "step": record["step"],
            "images": game.images,
            "train": mean(self.train),
            "held_out": mean(self.held_out),
            "generated": mean(game.sample(self.z)),
        }
        if game.adaptive is not None:
            row |= {"p": float(game.adaptive.ada.p), "r": float(game.adaptive.r)}
        d.train()
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")


def split(data: ImageSet, count: int) -> tuple[ImageSet, ImageSet]:
    """`count` pictures to learn from, and the rest."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return data.select(order[:count].sort().values), data.select(order[count:].sort().values)


def one(plan: Recipe, folder: Path, few: ImageSet, rest: ImageSet, data: ImageSet) -> runs.Run:
    """Train into `folder`, watched; return the run, scored against all pictures."""
    if not (folder / "scores.json").exists():
        z = torch.randn(500, 128, generator=torch.Generator().manual_seed(3))
        some = torch.arange(500)
        watch = Watch(folder / "watch.jsonl", few.batch(some % len(few)), rest.batch(some), z)
        run = runs.train(
            plan,
            folder,
            resume=(folder / "recipe.json").exists(),
            data=few,
            callbacks=[watch],
            evaluate=False,
        )
        if run.stopped:
            raise SystemExit(f"stopped in {folder}; the same command goes on from there")
        run.evaluate(data=data)
    return runs.Run(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=500, help="to learn from")
    parser.add_argument("--images", type=int, default=40_000, help="shown in each run")
    args = parser.parse_args()
    base = recipe("stylegan2-emoji").with_(**NARROW, ada_length=float(args.images) / 2)
    base = base.with_(
        steps=args.images // base.batch, log_every=50, sample_every=args.images // base.batch // 6
    )
    data = source(base)
    few, rest = split(data, args.pictures)
    folder = publish.RESULTS / "limited"
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Any]] = {label: [] for label in SETTINGS}
    found = []
    for seed in range(args.seeds):
        for i, (label, changes) in enumerate(SETTINGS.items()):
            where = publish.ROOT / "runs" / "publish" / f"limited-{i}-{seed}"
            run = one(base.with_(**changes, seed=seed), where, few, rest, data)
            found.append(run)
            watched = read_log(where / "watch.jsonl")
            keys = dict.fromkeys(k for r in watched for k in r)
            row = publish.entry(run) | {"watch": {k: [r[k] for r in watched] for k in keys}}
            rows[label].append(row)
            if seed == 0:
                plots.save_grid(run.sample(32, seed=0), folder / f"{i}.png", columns=8)
            print(f"{label} seed {seed}: {run.scores['frechet']} {watched[-1]}", flush=True)
            stored = publish.about(base, found) | {
                "pictures": args.pictures, "images": args.images,
                "settings": SETTINGS, "rows": rows,
            }  # fmt: skip
            (folder / "results.json").write_text(json.dumps(stored, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
