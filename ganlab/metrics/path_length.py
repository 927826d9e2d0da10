"""Perceptual path length (Karras et al. 2019, Section 4.1): how evenly pictures change.

Step a little along a path between two latent vectors and see how far the picture moves. A
generator whose pictures jump in some places and rest in others has long paths.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import number
from ganlab.metrics.result import Scalar
from ganlab.models.latent import seeded

Sampler = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True)
class PathLength(Scalar):
    """A path length with what it was computed from.

    Attributes:
        value: mean of $d/ε²$ over the paths that were kept.
        stderr: its standard error.
        n: paths drawn.
        kept: paths left after trimming both ends at the 1st and 99th percentile.
        eps: length of the step, as a share of the path.
        space: "z" or "w".
        path: "slerp" or "lerp".
        place: where on the path the step was taken: "full" (anywhere) or "end" (its beginning).
    """

    value: float
    stderr: float
    n: int
    kept: int
    eps: float
    space: str
    path: str
    place: str

    def __str__(self) -> str:
        return (
            f"{self.value:.4g} ± {self.stderr:.2g} ({self.path} in {self.space}, {self.place},"
            f" {self.kept} of {self.n} paths, eps {self.eps:g})"
        )


def ppl(
    generator: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    n: int = 10_000,
    eps: float = 1e-4,
    seed: int = 0,
    space: str = "z",
    path: str | None = None,
    batch: int = 64,
    mapping: Callable[[Tensor], Tensor] | None = None,
    trim: bool = True,
    place: str = "full",
    latent: int | Sampler | None = None,
) -> PathLength:
    """How far pictures move on a path between two random latent vectors (Sec. 4.1).

    With $z_t$ the place $t$ on the path, ε a small step and $d$ the distance,

        1/ε² E d(G(z_t), G(z_(t + ε)))

    Of a generator of z, and of one in two parts:

        ppl(g, FeatureDistance(judge))
        ppl(g.synthesis, distance, space="w", mapping=g.mapping, latent=512)

    Published numbers use LPIPS with a VGG on pictures of 256 px as the distance; others are
    comparable only with themselves. Pictures stay floats: rounded to bytes, most of these small
    steps are nought and the rest are huge. Both ends of a step go through the generator in one
    batch; noise that it draws of its own must be held fixed, or it is measured too.

    Args:
        generator: latent vectors (B, ...) -> pictures; a module is run in eval mode.
        distance: pictures twice -> (B,) *squared-like* distances, growing with the square of a
            small step: `FeatureDistance`, LPIPS, or a squared difference.
        n: paths.
        eps: the step ε, as a share of the path. In float32 not much less than 1e-4.
        seed: of the latent vectors and places.
        space: "z", or "w", where `mapping` turns z into w and `generator` w into pictures.
        path: "slerp", along the sphere, by default in z; "lerp", straight, by default in w. The
            length of the vectors changes linearly along a slerp.
        batch: paths at a time.
        mapping: of a style-based generator.
        trim: drop the paths below the 1st and above the 99th percentile, as published.
        place: "full", a place anywhere on the path, or "end", its beginning.
        latent: number of standard normal dimensions, or `(n, torch.Generator) -> (n, ...)`; by
            default the generator's (or mapping's) own `sample_latent`.

    Raises:
        DataError: an option is unknown, the latent space is, pictures are not floats, or a
            distance is not finite, is negative, or is not one number a pair.
        RecipeError: a number is out of range.
    """
    if space not in ("z", "w"):
        raise DataError(f'space must be "z" or "w", not {space!r}')
    path = path or ("slerp" if space == "z" else "lerp")
    if path not in ("slerp", "lerp"):
        raise DataError(f'path must be "slerp" or "lerp", not {path!r}')
    if place not in ("full", "end"):
        raise DataError(f'place must be "full" or "end", not {place!r}')
    if space == "w" and mapping is None:
        raise DataError('mapping: space="w" needs the function from z to w')
    if space == "z" and mapping is not None:
        raise DataError('mapping: it is used with space="w" only')
    n, batch = at_least("n", n, 2), at_least("batch", batch)
    eps = number("eps", eps, 0, 1, above=True)
    for name, given in (("generator", generator), ("distance", distance)):
        if not callable(given):
            raise DataError(f"{name}: a network or a function expected, not {type(given).__name__}")
    sample = _sampler(latent, mapping if mapping is not None else generator)
    draw = seeded(seed)
    parts = []
    with torch.no_grad(), _evaluating(generator, mapping, distance):
        for start in range(0, n, batch):
            size = min(batch, n - start)
            z = sample(2 * size, draw)
            if not isinstance(z, Tensor) or len(z) != 2 * size or not z.is_floating_point():
                raise DataError(f"latent: {2 * size} vectors of floats expected")
            z = z.to(_device(mapping, generator))
            ends = mapping(z) if mapping is not None else z
            shape = (size,) + (1,) * (ends.ndim - 1)
            t = torch.rand(shape, generator=draw, dtype=torch.float64).to(ends.device)
            t = t * 0 if place == "end" else t
            parts.append(_lengths(generator, distance, ends, t, eps, path))
    found = torch.cat(parts).sort().values
    if trim:
        found = found[math.floor((n - 1) * 0.01) : math.ceil((n - 1) * 0.99) + 1]
    error = float(found.std()) / len(found) ** 0.5
    return PathLength(float(found.mean()), error, n, len(found), eps, space, path, place)


def _lengths(
    generator: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    ends: Tensor,
    t: Tensor,
    eps: float,
    path: str,
) -> Tensor:
    """(B,) float64 on the CPU: $d/ε²$ of each step."""
    between = slerp if path == "slerp" else torch.lerp
    exact = ends.cpu() if ends.device.type == "mps" else ends
    a, b = exact.double().chunk(2)
    t = t.to(a.device)
    steps = torch.cat([between(a, b, t), between(a, b, t + eps)]).to(ends)
    pictures = generator(steps)
    if not isinstance(pictures, Tensor) or not pictures.is_floating_point():
        kind = getattr(pictures, "dtype", type(pictures).__name__)
        raise DataError(f"generator: pictures must be floats, not {kind}")
    d = distance(*pictures.chunk(2))
    if not isinstance(d, Tensor) or d.shape != (len(a),):
        found = tuple(getattr(d, "shape", ())) or type(d).__name__
        raise DataError(f"distance: one number a pair expected, ({len(a)},), not {found}")
    d = d.cpu().double()
    if not bool(d.isfinite().all()) or bool((d < 0).any()):
        raise DataError("distance: a value is not finite, or negative")
    return d / eps**2


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The great circle from a to b at t (Shoemake 1985), the length linear from $‖a‖$ to $‖b‖$.

    Args:
        a, b: (B, ...) vectors, of any shape after the first dimension.
        t: (B, 1, ...) in [0, 1].

    Raises:
        DataError: shapes disagree, a value is not finite, a vector has length 0, or the two are
            opposite: then no great circle is the one between them.
    """
    for name, x in (("a", a), ("b", b), ("t", t)):
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
            raise DataError(f"slerp: {name} must be a tensor of floats (B, ...)")
    if a.shape != b.shape or t.shape != (len(a),) + (1,) * (a.ndim - 1):
        shapes = f"{tuple(a.shape)}, {tuple(b.shape)}, {tuple(t.shape)}"
        raise DataError(f"slerp: (B, ...), (B, ...) and (B, 1, ...) expected, not {shapes}")
    dims = tuple(range(1, a.ndim))
    long_a, long_b = (v.square().sum(dims, keepdim=True).sqrt() for v in (a, b))
    if not bool(((long_a > 0) & (long_b > 0) & t.to(a).isfinite()).all()):  # also of NaN
        raise DataError("slerp: a vector of length 0, NaN or infinity has no direction")
    u, v = a / long_a, b / long_b
    angle = (u * v).sum(dims, keepdim=True).clamp(-1, 1).arccos()
    across = v - u * angle.cos()
    size = across.square().sum(dims, keepdim=True).sqrt()
    if bool(((size < 1e-12) & (angle > 2)).any()):
        raise DataError("slerp: two vectors are opposite: many ways lead from one to the other")
    across = across / size.clamp(min=1e-12)  # of equal directions: stay
    point = u * (t * angle).cos() + across * (t * angle).sin()
    return point * torch.lerp(long_a, long_b, t.to(long_a))


def _sampler(latent: int | Sampler | None, source: Any) -> Sampler:
    if latent is None:
        latent = getattr(source, "sample_latent", None)
        if latent is None:
            raise DataError(
                "latent: the generator has no sample_latent; say how many dimensions, or pass"
                " a function (n, torch.Generator) -> (n, dims)"
            )
    if not callable(latent):
        dims = at_least("latent", latent, 1, 1_000_000)
        return lambda count, draw: torch.randn(count, dims, generator=draw)
    return latent


def _device(*places: Any) -> torch.device:
    """Where the first module among them lives; else the CPU."""
    for module in places:
        if isinstance(module, nn.Module):
            for weight in module.parameters():
                return weight.device
    return torch.device("cpu")


@contextmanager
def _evaluating(*callables: Any) -> Any:
    """Modules in eval mode, and back as they were."""
    modules = [m for c in callables if isinstance(c, nn.Module) for m in c.modules()]
    before = [m.training for m in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, before):
            module.training = mode
