"""Along lines between latent vectors, and towards the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import DataError, RecipeError, at_least, unknown
from ganlab.latent.network import (
    draw,
    has_styles,
    home,
    listed,
    mapped,
    need_latent,
    need_styles,
    render,
)
from ganlab.metrics.arrays import shaped
from ganlab.metrics.path_length import slerp as _great_circle

SPACES = ("z", "w")


def lerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """The straight line from a to b: (1 - t) a + t b, exact at both ends.

    Args:
        a, b: (..., d).
        t: a number, or (T,) numbers, 0 at a and 1 at b.

    Returns:
        (..., d) for a number, (T, ..., d) for T of them.

    Raises:
        DataError: a value is not finite, or the shapes do not fit.
        RecipeError: t is neither a number nor a row of them.
    """
    t, ends = _places(a, b, t)
    return _exact(torch.lerp(*ends, t), *ends, t).to(a)


def slerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """The great circle from a to b, at constant speed, exact at both ends (Shoemake 1985).

    In many dimensions nearly all normal vectors have about the same length, √d; the middle of a
    straight line between two of them is shorter by √2, where the generator was never trained.
    With Ω the angle between the two, and vectors of one length,

        (sin((1 - t) Ω))/(sin Ω) a + (sin(t Ω))/(sin Ω) b

    Where $‖a‖$ and $‖b‖$ differ the length goes linearly from one to the other. Computed in
    float64.

    Args:
        a, b: (..., d); vectors along the last dimension, not opposite to each other.
        t: a number, or (T,) numbers, 0 at a and 1 at b.

    Returns:
        (..., d) for a number, (T, ..., d) for T of them.

    Raises:
        DataError: a value is not finite, the shapes do not fit, a vector has length 0, or two are
            opposite.
        RecipeError: t is neither a number nor a row of them.
    """
    t, (first, last) = _places(a, b, t, torch.float64)
    shape = torch.broadcast_shapes(first.shape, last.shape, (*t.shape[:-1], a.shape[-1]))
    u, v = (x.expand(shape).reshape(-1, shape[-1]) for x in (first, last))
    at = t.expand((*shape[:-1], 1)).reshape(-1, 1)
    path = _great_circle(u, v, at).reshape(shape)
    return _exact(path, first, last, t).to(a)


def _places(
    a: Tensor, b: Tensor, t: float | Tensor, dtype: torch.dtype | None = None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    for name, x in (("a", a), ("b", b)):
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim == 0:
            raise DataError(f"{name}: a tensor of floats (..., d) expected")
        if not bool(x.isfinite().all()):
            raise DataError(f"{name}: values contain NaN or infinity")
    a, b = a.to(dtype or a.dtype), b.to(dtype or a.dtype)
    try:
        t = torch.as_tensor(t, dtype=a.dtype, device=a.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RecipeError(f"t is a number or a row of them, not a {type(t).__name__}") from error
    if t.ndim > 1 or not bool(t.isfinite().all()):
        raise RecipeError(f"t is a finite number or a row of them, not {tuple(t.shape)}")
    try:
        a, b = torch.broadcast_tensors(a, b)
    except RuntimeError as error:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise DataError(f"a and b have shapes that do not fit: {shapes}") from error
    return t.reshape(t.shape + (1,) * a.ndim), (a, b)


def _exact(path: Tensor, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return torch.where(t == 0, a, torch.where(t == 1, b, path))


def path(anchors: Tensor, steps: int, curve: str = "slerp", closed: bool = True) -> Tensor:
    """Points on the way through all anchors.

    Args:
        anchors: (K, d), at least two.
        steps: points from one anchor to the next, the first included.
        curve: "slerp" or "lerp".
        closed: back to the first anchor.

    Returns:
        (K steps, d) if closed, the first not repeated at the end; else ((K - 1) steps + 1, d).

    Raises:
        RecipeError: too few anchors or steps, or an unknown curve.
    """
    curves = {"slerp": slerp, "lerp": lerp}
    if curve not in curves:
        raise RecipeError(unknown("curve", curve, curves))
    steps = at_least("steps", steps, 1, 1_000_000)
    shaped(anchors, "anchors", ("K", "d"))
    if len(anchors) < 2:
        raise RecipeError("a path needs two anchors (K, d) at least, not 1")
    after = anchors.roll(-1, 0) if closed else anchors[1:]
    before = anchors if closed else anchors[:-1]
    legs = curves[curve](before, after, torch.arange(steps) / steps).transpose(0, 1).flatten(0, 1)
    return legs if closed else torch.cat([legs, anchors[-1:]])


def walk(
    g: Any,
    anchors: Tensor,
    steps: int = 8,
    space: str = "w",
    psi: float = 1.0,
    closed: bool = True,
) -> Tensor:
    """Pictures on a path through latent vectors.

    Args:
        g: a generator.
        anchors: (K, latent), z in either space.
        steps: pictures from one anchor to the next, the first included.
        space: "w", straight lines between the mapped anchors; "z", great circles.
        psi: truncation, of a generator with styles.
        closed: back to the first.

    Returns:
        (N, C, n, n), N = K steps if closed, else (K - 1) steps + 1.

    Raises:
        RecipeError: an unknown space, or w or psi of a generator that has no w.
    """
    if space not in SPACES:
        raise RecipeError(unknown("space", space, SPACES))
    if space == "w" or psi != 1:
        need_styles(g, 'space="w"' if space == "w" else "truncation")
    shaped(anchors, "anchors", ("K", need_latent(g)))
    anchors = anchors.to(home(g))
    if space == "w":
        return render(g, path(mapped(g, anchors, psi), steps, "lerp", closed))
    zs = path(anchors, steps, "slerp", closed)
    return render(g, mapped(g, zs, psi) if has_styles(g) else zs)


def truncated(
    g: Any, z: Tensor, psis: Sequence[float] | Tensor, cutoff: int | None = None
) -> Tensor:
    """The same latent vectors at several strengths of truncation (Karras et al. 2019, App. B).

    Args:
        g: a generator with styles.
        z: (B, latent).
        psis: 1 leaves w, 0 is the mean w, above 1 exaggerates, below 0 is the opposite.
        cutoff: truncate the first `cutoff` layers only.

    Returns:
        (len(psis), B, C, n, n).

    Raises:
        RecipeError: the generator has no w, or a number is out of range.
        DataError: z has another shape, or a value is not finite.
    """
    need_styles(g, "truncation")
    strengths = listed("psis", psis, -100, 100)
    if cutoff is not None:
        cutoff = at_least("cutoff", cutoff, 0, g.layers_used)
    w = mapped(g, z)
    ws = w[:, None].expand(-1, g.layers_used, -1)
    return torch.stack([render(g, g.truncate(ws, psi, cutoff)) for psi in strengths])


def centre(g: Any, n: int = 10_000, seed: int = 0) -> tuple[Tensor, float]:
    """Mean w and root mean square distance to it (Karras et al. 2020, App. D).

    Args:
        g: a generator; of one without styles it is the centre of z, without sampling.
        n: latent vectors to map.
        seed: of them.

    Returns:
        (W,) and a number.

    Raises:
        RecipeError: no generator, or `n` or `seed` is out of range.
    """
    n = at_least("n", n)
    if not has_styles(g):
        z = draw(g, 1, seed)
        return torch.zeros_like(z[0]), float(z.shape[1] ** 0.5)
    w = mapped(g, draw(g, n, seed)).double()
    mean = w.mean(0)
    return mean.float(), float((w - mean).square().sum(1).mean().sqrt())
