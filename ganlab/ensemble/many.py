"""One recipe over many seeds, all trained together in one batched computation.

Used so:

    print(train_many(recipe("mlp-ring"), seeds=10))

Every seed is the run that `ganlab.recipes.build` makes of it: its own initial weights, data,
latent vectors and losses, and no seed sees another. Only the calls are shared:
`ganlab.ensemble.stacked`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganlab.ensemble.together import Together, refuse_unsupported
from ganlab.errors import RecipeError
from ganlab.metrics.modes import mode_coverage
from ganlab.recipes import Recipe
from ganlab.recipes.building import source
from ganlab.training import memory

SAMPLES = 2500  # per seed and score: the published protocol


class Draws:
    """Endless batches (S, B, d), each seed's from its own random state.

    What a seed sees does not depend on which others are trained. Batches are drawn in blocks: a
    call per seed and round would cost as much as the training.

    Args:
        draw: `(n, generator) -> (n, d)`.
        seeds: of the random states.
        batch: B.
        device: where batches are put; they are drawn on the CPU.
        block: batches drawn at a time.
    """

    def __init__(
        self,
        draw: Callable[[int, torch.Generator], Tensor],
        seeds: Sequence[int],
        batch: int,
        device: torch.device | str = "cpu",
        block: int = 64,
    ) -> None:
        self.draw, self.batch, self.device, self.block = draw, batch, torch.device(device), block
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._ready: Iterator[Tensor] = iter(())

    def __iter__(self) -> Draws:
        return self

    def __next__(self) -> Tensor:
        """(S, B, d)."""
        found = next(self._ready, None)
        if found is None:
            parts = [self.draw(self.block * self.batch, g) for g in self.generators]
            block = torch.stack([p.view(self.block, self.batch, -1) for p in parts], 1)
            self._ready = iter(block.to(self.device).unbind())
            found = next(self._ready)
        return found


@dataclass
class Many:
    """What `train_many` found.

    Attributes:
        recipe: that was trained, with the steps taken.
        seeds: S of them.
        samples: (S, 2500, d) of the trained generators (their running averages, where kept).
        history: dicts of step, modes (S,), good (S,), rkl (S,), d_loss (S,), g_loss (S,).
        seconds: of training, without scoring.
        total: modes that there are; 0 for data without modes.

    A seed whose samples are not all finite has 0 modes, no good sample and infinite `rkl`.
    """

    recipe: Recipe
    seeds: list[int]
    samples: Tensor
    history: list[dict[str, Any]] = field(repr=False)
    seconds: float
    total: int

    @property
    def modes(self) -> Tensor:
        """(S,) modes found at the end."""
        return self.history[-1]["modes"]

    @property
    def good(self) -> Tensor:
        """(S,) shares of good samples at the end, in [0, 1]."""
        return self.history[-1]["good"]

    @property
    def rkl(self) -> Tensor:
        """(S,) reverse KL at the end, in nats; infinite where no sample is good."""
        return self.history[-1]["rkl"]

    @property
    def diverged(self) -> int:
        """Seeds whose samples are not all finite."""
        return int((~self.samples.isfinite().flatten(1).all(1)).sum())

    def summary(self) -> dict[str, float | None]:
        """Means and standard deviations over seeds (S - 1 in the denominator).

        `rkl` is over the seeds where it is finite, `rkl_seeds` of them; None if there is none.
        """
        values: dict[str, float | None] = {}
        finite = self.rkl[self.rkl.isfinite()]
        for name, row in (("modes", self.modes), ("good", self.good), ("rkl", finite)):
            values[name] = float(row.mean()) if len(row) else None
            values[f"{name}_sd"] = float(row.std()) if len(row) > 1 else None
        return values | {"rkl_seeds": len(finite)}

    def __str__(self) -> str:
        head = (
            f"{self.recipe.name or self.recipe.objective} on {self.recipe.data}: {len(self.seeds)}"
            f" seeds, {self.history[-1]['step']} steps, {self.seconds:.1f} s"
        )
        if not self.total:
            return head
        found = self.summary()

        def pair(name: str, digits: str) -> str:
            mean, sd = found[name], found[f"{name}_sd"]
            if mean is None:
                return "-"
            return f"{mean:{digits}}" + ("" if sd is None else f" ± {sd:{digits}}")

        text = (
            f"{head}\nmodes {pair('modes', '.1f')} of {self.total}, good samples"
            f" {pair('good', '.1%')}, reverse KL {pair('rkl', '.2f')} (mean ± s.d.)"
        )
        return text + (f"\n{self.diverged} seeds diverged" if self.diverged else "")


def train_many(
    recipe: Recipe,
    seeds: int | Sequence[int] = 10,
    steps: int | None = None,
    every: int | None = None,
    device: torch.device | str = "cpu",
    on_score: Callable[[dict[str, Any]], None] | None = None,
) -> Many:
    """Train a recipe on points with many seeds at once, and count modes.

    Args:
        recipe: with `network="mlp"` and data of points.
        seeds: how many (from `recipe.seed` on), or which.
        steps: rounds; by default the recipe's. Schedules end there.
        every: rounds between scores; by default a tenth of `steps`.
        device: where to train.
        on_score: called with each record of the history.

    Raises:
        RecipeError: a field that cannot be trained stacked, by name.
    """
    plan = recipe if steps is None else recipe.with_(steps=steps)
    chosen = [plan.seed + i for i in range(seeds)] if isinstance(seeds, int) else list(seeds)
    if not chosen:
        raise RecipeError("train_many needs at least one seed")
    if every is not None and every < 1:
        raise RecipeError(f"every must be at least 1, not {every}")
    refuse_unsupported(plan)
    memory.keep()
    data = source(plan)
    game = Together(plan, chosen, data, device)
    stream = Draws(data.sample, [s + 3 for s in chosen], plan.batch, device)
    network: Any = game.templates[0]
    latents = Draws(network.sample_latent, [s + 2 for s in chosen], plan.batch, device)
    judge = torch.stack(
        [network.sample_latent(SAMPLES, torch.Generator().manual_seed(s + 4)) for s in chosen]
    ).to(device)
    history: list[dict[str, Any]] = []
    seconds, every = 0.0, every or max(1, plan.steps // 10)
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(chosen[0] + 1)  # noise, interpolates, flips
        start = time.perf_counter()
        for step in range(1, plan.steps + 1):
            game.round(stream, latents)
            if step % every == 0 or step == plan.steps:
                samples = game.sample(judge).cpu()  # waits for the device
                seconds += time.perf_counter() - start
                history.append({"step": step} | _score(samples, data) | game.losses())
                if on_score is not None:
                    on_score(history[-1])
                start = time.perf_counter()
    total = len(data.centers) if data.std else 0
    return Many(plan, chosen, samples, history, seconds, total)


def _score(samples: Tensor, data: Any) -> dict[str, Tensor]:
    """Modes, share of good samples and reverse KL of every seed, each (S,)."""
    rows = []
    for x in samples:
        if data.centers is None or not data.std:  # nothing to count, or no width to count within
            rows.append((0.0, float("nan"), float("nan")))
        elif not bool(x.isfinite().all()):
            rows.append((0.0, 0.0, float("inf")))
        else:
            found = mode_coverage(x, data.centers, data.std)
            rows.append((float(found.found), found.good, found.reverse_kl))
    modes, good, rkl = torch.tensor(rows).unbind(1)
    return {"modes": modes, "good": good, "rkl": rkl}
