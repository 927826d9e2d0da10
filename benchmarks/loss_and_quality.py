"""Does the discriminator's loss say how good the pictures are? GAN against WGAN-GP (chapter 6).

    python benchmarks/loss_and_quality.py                  # search, then 3 seeds each
    python benchmarks/loss_and_quality.py --seeds 3 4      # two more: nothing is repeated

The two play with the same small fully connected networks on MNIST, those of chapter 3 but narrower.
Each side gets the same search: four settings for equal processor time (a round of WGAN-GP has five
critic steps with a double backward pass and costs more than four times as much, so it gets fewer
rounds), on a seed of its own. The setting with the least Fréchet distance then trains longer,
again for equal time, on new seeds.

Twelve times along the way a run is looked at. Quality: the Fréchet distance of 2,000 generated
pictures to test pictures, in the features of a classifier of digits. What the discriminator
claims, on pictures that it was not trained on: minus its loss for the critic, and for the GAN
log 2 minus half of its loss, a lower bound on the Jensen-Shannon divergence in nats. `training` is
the same from the training loss itself, penalty included, averaged since the look before: what a
curve on a screen shows. At the end comes the exact Wasserstein distance between sets of pictures,
by matching.

Everything goes to book/results/loss-and-quality/results.json after each training. It takes
seven minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import numpy as np
import publish
import torch
from filelock import FileLock
from torch import Tensor, nn
from transport import matched

import ganlab
from ganlab import plots
from ganlab.losses import objective
from ganlab.metrics import classifier, frechet_distance, score, statistics
from ganlab.recipes import Recipe, build, recipe

SAMPLES, LOOKS = 2000, 12
SEARCH_SEED = 100
_SMALL = recipe(
    "mlp-mnist",
    half_life=0.0,  # the very generator that the discriminator judges, no average of it
    generator={"latent": 64, "width": 64},
    discriminator={"width": 128},
)
FAMILIES: dict[str, Recipe] = {
    "GAN": _SMALL,
    "WGAN-GP": _SMALL.with_(
        objective="wasserstein", penalties={"gp": 10.0}, d_steps=5, betas=(0.0, 0.9)
    ),
}
#: Rounds of a search's training and of a final one: about equal processor time.
ROUNDS = {"GAN": (1080, 4320), "WGAN-GP": (240, 960)}
#: What the search tries, four settings a family.
TRIED: dict[str, dict[str, dict[str, Any]]] = {
    "GAN": {
        "both rates 2e-4": {"g_lr": 2e-4, "d_lr": 2e-4},
        "both rates 5e-4": {"g_lr": 5e-4, "d_lr": 5e-4},
        "both rates 2e-3": {"g_lr": 2e-3, "d_lr": 2e-3},
        "G 2e-3, D 5e-4": {"g_lr": 2e-3, "d_lr": 5e-4},
    },
    "WGAN-GP": {
        "both rates 5e-4, λ = 10": {"g_lr": 5e-4, "d_lr": 5e-4},
        "both rates 1e-3, λ = 10": {"g_lr": 1e-3, "d_lr": 1e-3},
        "both rates 1e-3, λ = 1": {"g_lr": 1e-3, "d_lr": 1e-3, "penalties": {"gp": 1.0}},
        "both rates 2e-3, λ = 10": {"g_lr": 2e-3, "d_lr": 2e-3},
    },
}  # fmt: skip


class Judge:
    """Test pictures, a classifier of the training pictures, and scores by both."""

    def __init__(self) -> None:
        self.data = ganlab.data.load("mnist")
        unseen = ganlab.data.load("mnist", split="test")
        order = torch.randperm(len(unseen), generator=torch.Generator().manual_seed(0))
        self.real = unseen.batch(order[:SAMPLES])
        self.features = classifier(self.data).features
        self.wanted = statistics(self.features(self.real))

    def frechet(self, fake: Tensor) -> float:
        """Fréchet distance of pictures (n, 1, 28, 28) to the test pictures."""
        return float(frechet_distance(*self.wanted, *statistics(self.features(fake))))


def claim(plan: Recipe, loss: float) -> float:
    """The distance that a discriminator's loss claims."""
    return -loss if plan.objective == "wasserstein" else math.log(2) - loss / 2


@torch.no_grad()
def unseen_loss(plan: Recipe, network: nn.Module, real: Tensor, fake: Tensor) -> float:
    """The discriminator's loss without penalty on pictures that it was not trained on."""
    return float(objective(plan.objective).d_loss(network(real), network(fake)))


def follow(plan: Recipe, rounds: int, judge: Judge, looks: int = LOOKS) -> dict[str, Any]:
    """Train, looking on; returns the curves, the last scores and pictures (n, 1, 28, 28)."""
    began = time.perf_counter()
    game, stream = build(plan, judge.data)
    curves: dict[str, list[float]] = {k: [] for k in ("step", "frechet", "claim", "training")}
    losses: list[float] = []
    for step in range(1, rounds + 1):
        losses.append(float(game.round(stream)["d_loss"]))
        if step % (rounds // looks) == 0 and len(curves["step"]) < looks:
            fake = game.seeded(SAMPLES)
            loss = unseen_loss(plan, game.discriminator.network, judge.real, fake)
            found = (
                step,
                judge.frechet(fake),
                claim(plan, loss),
                claim(plan, float(np.mean(losses))),
            )
            for key, value in zip(curves, found):
                curves[key].append(round(float(value), 4))
            losses.clear()
    minutes = (time.perf_counter() - began) / 60
    return {
        "seed": plan.seed,
        "minutes": round(minutes, 2),
        "scores": score(game.seeded, judge.data, points=False) | {"step": rounds},
        "curves": curves,
        "pictures": fake,
    }


class Store:
    """The result's file, to which several processes may add."""

    def __init__(self) -> None:
        self.folder = publish.RESULTS / "loss-and-quality"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "results.json"
        self.lock = FileLock(publish.ROOT / "runs" / "loss-and-quality.lock")

    def read(self) -> dict[str, Any]:
        """What is stored: `tried`, `chosen`, `rows` and how they were made."""
        if not self.path.exists():
            return {"tried": {}, "chosen": {}, "rows": {}}
        return json.loads(self.path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def add(self, family: str, label: str | None, run: dict[str, Any], data: Any) -> None:
        """Add a training of the search (with its `label`) or of the final."""
        with self.lock:
            stored = self.read()
            if label:
                kept = {"frechet": run["scores"]["frechet"], "minutes": run["minutes"]}
                found = stored["tried"].setdefault(family, {})
                found[label] = kept
                stored["chosen"][family] = min(found, key=lambda one: found[one]["frechet"])
            else:
                rows = stored["rows"].setdefault(family, [])
                rows.append(run)
                rows.sort(key=lambda row: row["seed"])
            rows = [row for group in stored["rows"].values() for row in group]
            tried = [one for group in stored["tried"].values() for one in group.values()]
            about = publish.machine() | {
                "recipe": json.loads(FAMILIES["GAN"].to_json()),
                "recipes": {name: json.loads(plan.to_json()) for name, plan in FAMILIES.items()},
                "settings": {name: TRIED[name][label] for name, label in stored["chosen"].items()},
                "seeds": sorted({row["seed"] for row in rows}),
                "minutes": round(sum(one["minutes"] for one in [*rows, *tried]), 1),
                "data": data.name,
                "count": len(data),
                "shape": list(data.images.shape[1:]),
                "note": data.note,
                "rounds": ROUNDS,
                "samples": SAMPLES,
            }
            text = json.dumps(stored | about, ensure_ascii=False)
            self.path.write_text(text + "\n", encoding="utf-8")


def search(name: str, store: Store, judge: Judge) -> None:
    """All settings of a family on the search's seed, that are not stored yet."""
    for label, changes in TRIED[name].items():
        if label not in store.read()["tried"].get(name, {}):
            plan = FAMILIES[name].with_(**changes, seed=SEARCH_SEED)
            run = follow(plan, ROUNDS[name][0], judge, 1)
            store.add(name, label, run, judge.data)
            print(name, label, run["scores"]["frechet"], flush=True)


def final(name: str, seed: int, store: Store, judge: Judge) -> None:
    """The setting that won, longer and on a new seed, unless that is stored."""
    stored = store.read()
    if any(row["seed"] == seed for row in stored["rows"].get(name, [])):
        return
    plan = FAMILIES[name].with_(**TRIED[name][stored["chosen"][name]], seed=seed)
    run = follow(plan, ROUNDS[name][1], judge)
    pictures, half = run.pop("pictures"), SAMPLES // 2
    real = judge.real[:half], judge.real[half:]
    run["w1"] = {
        "n": half,
        "generated": round(matched(real[0], pictures[:half]), 4),
        "real": round(matched(*real), 4),
    }
    if seed == 0:
        shown = pictures[:32].clamp(-1, 1)
        plots.save_grid(shown, store.folder / f"{name.lower()}.png", columns=8)
    store.add(name, None, run, judge.data)
    print(name, seed, run["curves"]["frechet"], run["curves"]["claim"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", choices=FAMILIES, help="one alone; several may run at once")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the final")
    publish.may_be_dirty(parser)
    args = parser.parse_args()
    publish.clean(args.dirty)
    torch.set_num_threads(1)
    store, judge = Store(), Judge()
    names = [args.family] if args.family else list(FAMILIES)
    for name in names:
        search(name, store, judge)
    for seed in args.seeds:
        for name in names:
            final(name, seed, store, judge)


if __name__ == "__main__":
    main()
