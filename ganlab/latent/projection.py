"""A given picture back into the latent space (Karras et al. 2020, StyleGAN2, Sec. 5 and App. D).

Gradient descent on w and on the noise maps, from the mean w, until the generator's picture is
near the target. Noise on w, fading out, keeps the search from settling early; a penalty keeps the
picture's content out of the noise maps. W+ (Abdal et al. 2019) has a w of its own for each layer:
it comes nearer, to pictures that the generator never would have made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab import progress
from ganlab.errors import DataError, GanlabError, RecipeError, at_least, unknown
from ganlab.latent.distance import pyramid_distance
from ganlab.latent.network import evaluating, has_styles, home, need_latent, need_styles, render
from ganlab.latent.walk import centre
from ganlab.metrics.arrays import number, shaped
from ganlab.models.latent import SEEDS
from ganlab.models.style_layers import Noise

SPACES = ("w", "w+", "z")
#: Shares of the steps (App. D: 50, 750 and 750 of 1,000): warm-up, w's noise, the full rate.
WARM, NOISY, FULL = 0.05, 0.75, 0.75
SMALLEST = 8  # side of the coarsest noise map in the penalty's pyramid
OWN = 5_000_011  # so that targets drawn with the same seed share no random number with the search


@dataclass(frozen=True)
class Projection:
    """What was found for each target.

    Attributes:
        ws: (B, L, W) styles; (B, latent) z of a projection into z.
        images: (B, C, n, n), the generator's pictures of them.
        history: (steps, B), the distance before each step, w's noise included.
        distance: (B,), of `images` to the targets.
        noise: the noise maps, one tensor (B, 1, H, W) a layer; empty where they were not sought.
        space: "w", "w+" or "z".
    """

    ws: Tensor
    images: Tensor
    history: Tensor
    distance: Tensor
    space: str
    noise: list[Tensor] = field(default_factory=list)

    def __str__(self) -> str:
        first, last = float(self.history[0].mean()), float(self.distance.mean())
        return f"{len(self.ws)} projected into {self.space}: distance {first:.4g} -> {last:.4g}"


def project(
    g: Any,
    target: Tensor,
    space: str = "w",
    steps: int = 400,
    distance: Callable[[Tensor, Tensor], Tensor] | None = None,
    seed: int = 0,
    rate: float = 0.1,
    noise: float | None = 1e5,
    spread: float = 0.05,
    start: Tensor | None = None,
) -> Projection:
    """Find the codes whose pictures are nearest to the targets.

    The published setting takes 1,000 steps and LPIPS. Targets do not influence each other, except
    through the shared random numbers.

    Args:
        g: a generator; its weights stay as they are.
        target: (B, C, n, n) in [-1, 1].
        space: "w", one w for all layers; "w+", one for each; "z", of a generator without styles.
        steps: of Adam.
        distance: pictures twice -> (B,), differentiable; by default `pyramid_distance`. A
            `FeatureDistance` of a `FactorReader` or of a classifier sees as a network sees.
        seed: of the mean w, the first noise maps and w's noise.
        rate: the largest learning rate, ramped up over the first 5% of the steps and down over
            the last 25%.
        noise: weight of the noise maps' penalty; None leaves the generator's fixed noise alone.
        spread: first standard deviation of w's noise, as a share of W's radius.
        start: (B, W), (B, L, W) or (B, latent) to begin at, instead of the mean.

    Raises:
        RecipeError: an unknown space, one that the generator lacks, targets of a wrong shape, or
            a number out of range.
        DataError: targets or start are not finite.
        GanlabError: the distance is not finite, or not one number a picture.
    """
    if space not in SPACES:
        raise RecipeError(unknown("space", str(space), SPACES))
    need_latent(g)
    steps, seed = at_least("steps", steps), at_least("seed", seed, 0, SEEDS)
    rate, spread = number("rate", rate, 0, 100, above=True), number("spread", spread, 0, 100)
    if noise is not None:
        noise = number("noise", noise, 0)
    shaped(target, "targets", ("B", "C", "n", "m"))
    if not target.is_floating_point():
        raise RecipeError("targets are floats (B, C, n, n) in [-1, 1]")
    styled = has_styles(g)
    if space != "z":
        need_styles(g, f'space="{space}"')
    elif styled:
        raise RecipeError('space="z" is for generators without styles: use "w" or "w+"')
    distance = pyramid_distance if distance is None else distance
    device = home(g)
    target = target.to(device)
    random = torch.Generator().manual_seed(seed + OWN)
    with evaluating(g):
        mean, radius = centre(g, seed=seed)
        code = _first(g, mean, len(target), space, start).requires_grad_()
        maps = _first_maps(g, len(target), random) if styled and noise is not None else []
        optimizer = torch.optim.Adam([code, *maps], lr=rate)
        history = []
        bar = progress.bar(steps, "projection")
        for step in range(steps):
            done = step / steps
            optimizer.param_groups[0]["lr"] = rate * ramp((step + 1) / steps)
            shake = spread * radius * max(0.0, 1 - done / NOISY) ** 2
            jitter = torch.randn(code.shape, generator=random).to(device) * shake
            pictures = _pictures(g, code + jitter, maps)
            _check(pictures, target)
            apart = distance(pictures, target)
            if apart.shape != (len(target),) or not bool(apart.isfinite().all()):
                raise GanlabError(
                    f"the distance must be one finite number a picture, ({len(target)},), not"
                    f" {tuple(apart.shape)} at step {step}"
                )
            loss = apart.sum()
            if maps and noise:
                loss = loss + noise * sum(map(noise_penalty, maps), start=loss.new_zeros(()))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            history.append(apart.detach())
            with torch.no_grad():
                for map_ in maps:
                    map_.sub_(map_.mean((1, 2, 3), keepdim=True))
                    map_.mul_(map_.square().mean((1, 2, 3), keepdim=True).clamp(min=1e-12).rsqrt())
            bar.update()
        bar.close()
        found = code.detach()
        ws = found.expand(-1, g.layers_used, -1).clone() if styled else found[:, 0]
        kept = [map_.detach() for map_ in maps]
        images = render(g, ws, kept or "fixed")
        with torch.no_grad():
            last = distance(images, target)
    return Projection(ws, images, torch.stack(history).cpu(), last.cpu(), space, kept)


def ramp(t: float) -> float:
    """The learning rate's factor at a share t of the steps: up, level, and a cosine down.

    Raises:
        RecipeError: t does not lie in [0, 1].
    """
    t = number("t", t, 0, 1)
    down = min(1.0, (1 - t) / (1 - FULL))
    return min(1.0, t / WARM) * (0.5 - 0.5 * math.cos(math.pi * down))


def noise_penalty(maps: Tensor) -> Tensor:
    """Squared correlation of a noise map with itself one pixel on, at every size down to 8x8.

    About 0 a size for white noise, 2 for a map that varies slowly. Halved maps are means of 2x2
    pixels times 2, which keeps the variance of white noise (App. D).

    Args:
        maps: (B, 1, H, W), each of mean 0 and variance 1.

    Returns:
        A scalar, summed over the batch and the sizes.

    Raises:
        DataError: maps of another shape.
    """
    if not isinstance(maps, Tensor) or maps.ndim != 4 or not maps.is_floating_point():
        raise DataError("noise maps are floats (B, 1, H, W)")
    total = maps.new_zeros(())
    while True:
        for axis in (2, 3):
            shifted = maps.roll(1, axis)
            total = total + (maps * shifted).mean((1, 2, 3)).square().sum()
        if min(maps.shape[2:]) <= SMALLEST:
            return total
        maps = F.avg_pool2d(maps, 2) * 2


def _first(g: Any, mean: Tensor, n: int, space: str, start: Tensor | None) -> Tensor:
    """(B, 1 or L, W): where the search begins."""
    layers = g.layers_used if space == "w+" else 1
    if start is None:
        return mean.repeat(n, layers, 1)
    shaped(start, "start", ("B", "W"), ("B", "L", "W"))
    start = start.detach().to(mean)
    start = start[:, None] if start.ndim == 2 else start
    if space == "w":
        start = start.mean(1, keepdim=True)
    if start.shape[0] != n or start.shape[-1] != len(mean):
        raise RecipeError(f"start is {tuple(start.shape)}, for {n} targets of width {len(mean)}")
    return start.expand(-1, layers, -1).clone()


def _first_maps(g: Any, n: int, random: torch.Generator) -> list[Tensor]:
    """White noise for every noise input, in the order of the layers."""
    shapes = [m.fixed.shape[1:] for m in g.modules() if isinstance(m, Noise)]
    device = home(g)
    return [
        torch.randn(n, *shape, generator=random).to(device).requires_grad_() for shape in shapes
    ]


def _pictures(g: Any, code: Tensor, maps: list[Tensor]) -> Tensor:
    if not has_styles(g):
        return g(code[:, 0])
    return g.synthesis(code.expand(-1, g.layers_used, -1), maps or "fixed")


def _check(pictures: Tensor, target: Tensor) -> None:
    if pictures.shape != target.shape:
        raise RecipeError(
            f"the generator draws {tuple(pictures.shape[1:])}, the targets are"
            f" {tuple(target.shape[1:])}"
        )
