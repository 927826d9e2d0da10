"""Few pictures: what happens to the discriminator, and what augmentation does about it (ch. 10).

    python benchmarks/limited.py --pictures 200 --images 80000 --seeds 2

A small StyleGAN2 learns a few of the emoji, three times: as it is, with DiffAugment and with ADA.
Along the way the discriminator judges, without augmentation, pictures that it learns from,
pictures that it never sees, and generated ones; and the generator is scored. While D generalises,
the first two get the same logits; once it knows its pictures by heart, what it never saw looks
generated, and the score turns back (Karras et al. 2020, "Training GANs with Limited Data",
Fig. 1). Runs go on where they were killed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import publish
import torch

from ganlab import plots, runs
from ganlab.data import ImageSet
from ganlab.metrics import fid, learned, score
from ganlab.recipes import Recipe, recipe, source
from ganlab.training import Callback, JsonLines, Record, Referee, read_log

SETTINGS: dict[str, dict[str, Any]] = {
    "nothing": {"augment": ""},
    "DiffAugment": {"augment": "color,translation,cutout"},
    "ADA": {"augment": "ada"},
}
NARROW: dict[str, Any] = {"generator": {"channel_base": 512},
                          "discriminator": {"channel_base": 512}}  # fmt: skip


class Watch(Callback):
    """Mean logits on pictures learned from, never seen, and generated; p and r of ADA; scores.

    Args:
        folder: a line of JSON in `watch.jsonl` for each log record, and in `scored.jsonl` for each
            sample grid.
        train, held_out: (N, C, n, n) pictures in [-1, 1].
        z: latent vectors of the generated ones.
        data: all pictures, which the generator is scored against.
    """

    def __init__(
        self,
        folder: Path,
        train: torch.Tensor,
        held_out: torch.Tensor,
        z: torch.Tensor,
        data: ImageSet,
    ) -> None:
        self.watch, self.scored = (
            JsonLines(folder / f"{name}.jsonl") for name in ("watch", "scored")
        )
        self.train, self.held_out, self.z, self.data = train, held_out, z, data

    def on_start(self, trainer: Referee) -> None:
        """Keep the lines up to the current step."""
        self.watch.on_start(trainer)
        self.scored.on_start(trainer)

    @torch.no_grad()
    def on_sample(self, trainer: Referee, path: Path) -> None:
        """Score as in the end of a run, with the same latent vectors each time."""
        game = trainer.game
        found = score(game.seeded, self.data, points=False)
        row = {"step": trainer.step, "images": game.images, "frechet": found["frechet"]}
        self.scored.on_log(trainer, row)

    @torch.no_grad()
    def on_log(self, trainer: Referee, record: Record) -> None:
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
        self.watch.on_log(trainer, row)


def curves(path: Path) -> dict[str, list[float]]:
    """The columns of a file of JSON lines."""
    rows = read_log(path)
    keys = dict.fromkeys(k for r in rows for k in r)
    return {k: [r[k] for r in rows] for k in keys}


def known(few: ImageSet, data: ImageSet) -> float:
    """Fréchet distance of the few pictures themselves: what knowing them by heart would score."""
    judge, rest = learned(data)
    return float(fid(judge.features(rest.images), judge.features(few.images)).value)


def split(data: ImageSet, count: int) -> tuple[ImageSet, ImageSet]:
    """`count` pictures to learn from, and the rest."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return data.select(order[:count].sort().values), data.select(order[count:].sort().values)


def one(plan: Recipe, folder: Path, few: ImageSet, rest: ImageSet, data: ImageSet) -> runs.Run:
    """Train into `folder`, watched; return the run, scored against all pictures."""
    if not (folder / "scores.json").exists():
        z = torch.randn(500, 128, generator=torch.Generator().manual_seed(3))
        some = torch.arange(500)
        watch = Watch(folder, few.batch(some % len(few)), rest.batch(some), z, data)
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
    parser.add_argument("--pictures", type=int, default=200, help="to learn from")
    parser.add_argument("--size", type=int, default=32, help="of a picture, in pixels")
    parser.add_argument("--images", type=int, default=80_000, help="shown in each run")
    publish.may_be_dirty(parser)
    args = parser.parse_args()
    publish.clean(args.dirty)
    base = recipe("stylegan2-emoji").with_(**NARROW, size=args.size)
    steps = args.images // base.batch
    # In the paper p can go from 0 to 1 in 500,000 images; here in a fifth of the run.
    base = base.with_(
        steps=steps, sample_every=steps // 10, log_every=50, ada_length=float(args.images) / 5
    )
    data = source(base)
    few, rest = split(data, args.pictures)
    by_heart = known(few, data)
    folder = publish.RESULTS / "limited"
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Any]] = {label: [] for label in SETTINGS}
    found = []
    for seed in range(args.seeds):
        for i, (label, changes) in enumerate(SETTINGS.items()):
            where = publish.ROOT / "runs" / "publish" / f"limited-{i}-{seed}"
            run = one(base.with_(**changes, seed=seed), where, few, rest, data)
            found.append(run)
            row = publish.entry(run)
            row |= {name: curves(where / f"{name}.jsonl") for name in ("watch", "scored")}
            rows[label].append(row)
            if seed == 0:
                plots.save_grid(run.sample(32, seed=0), folder / f"{i}.png", columns=8)
            print(f"{label} seed {seed}: {row['scored']['frechet']}", flush=True)
            stored = publish.about(base, found) | {
                "pictures": args.pictures, "images": args.images, "by_heart": by_heart,
                "settings": SETTINGS, "rows": {k: r for k, r in rows.items() if r},
            }  # fmt: skip
            (folder / "results.json").write_text(
                json.dumps(stored, ensure_ascii=False) + "\n", encoding="utf-8"
            )


if __name__ == "__main__":
    main()
