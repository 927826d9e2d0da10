"""Kernel distance (KID): the squared maximum mean discrepancy with a cubic kernel.

Binkowski et al. 2018, Section 4. Unbiased: it needs no Gaussian, its mean does not
depend on the number of samples, and between two samples of one distribution it is as often
negative as positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import pair, rows_at_a_time
from ganlab.metrics.mmd import pairs
from ganlab.metrics.result import Scalar
from ganlab.models.latent import seeded

ENOUGH = 1000  # samples of a kind from which the standard error is told


@dataclass(frozen=True)
class KernelDistance(Scalar):
    """A kernel distance with what it was computed from.

    Attributes:
        value: mean over the subsets. Below zero is normal near equality and not clipped.
        std: spread over the subsets (divided by their number): how much *one subset* varies, not
            the error of the mean.
        stderr: standard error of `value`: how much it would vary if *all samples* were drawn
            anew. Subsets overlap, so it does not fall to `std / subsets**0.5`: more subsets of
            the same samples tell nothing new. NaN for fewer than four samples of a kind.
        subsets, subset_size: how many, and of how many samples of each kind.
        n_real, n_fake: samples that the subsets were drawn from.
        dims: length of the feature vectors.
    """

    value: float
    std: float
    stderr: float
    subsets: int
    subset_size: int
    n_real: int
    n_fake: int
    dims: int

    def __str__(self) -> str:
        return (
            f"{self.value:.5f} ± {self.stderr:.5f} over {self.subsets} subsets of"
            f" {self.subset_size} ({self.n_real} real, {self.n_fake} generated, {self.dims}-d)"
        )


def kid(
    real: Any, fake: Any, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """Unbiased squared MMD with a cubic kernel, averaged over random subsets.

    The kernel is, of features of $D$ dimensions,

        k(x, y) = ((xᵀ y)/D + 1)³

    `subsets=1, subset_size=len(fake)` uses everything, where both sets are of that size.

    Args:
        real: (N, D) features of any float type.
        fake: (M, D).
        subsets: how many; 100 by convention, 50 in the authors' code.
        subset_size: samples of each kind in a subset, drawn without repetition.
        seed: of the subsets, and of the samples that the standard error is told from.

    Raises:
        DataError: shapes disagree, a value is not finite, or a subset is larger than the data.
        RecipeError: a number is out of range.
    """
    x, y = pair(real, fake, 2, "an unbiased kernel distance")
    n, m = len(x), len(y)
    subsets = at_least("subsets", subsets, most=100_000)
    subset_size = at_least("subset_size", subset_size, 2)
    if subset_size > min(n, m):
        raise DataError(
            f"subset_size={subset_size} is more than the data has ({n} real, {m} generated):"
            f" pass more samples, or subset_size={min(n, m)} and say so with the score"
        )
    draw = seeded(seed)
    picks = [
        (
            torch.randperm(n, generator=draw)[:subset_size].to(x.device),
            torch.randperm(m, generator=draw)[:subset_size].to(x.device),
        )
        for _ in range(subsets)
    ]
    # One kernel value serves every subset that holds its pair, so whichever is cheaper: all
    # pairs of the data once, or those of each subset.
    if n * n + m * m + n * m <= 3 * subsets * subset_size**2:
        found = _distances(x, y, _members(picks, 0, n), _members(picks, 1, m))
    else:
        one = x.new_ones(subset_size, 1)
        found = torch.cat([_distances(x[i], y[j], one, one) for i, j in picks])
    return KernelDistance(
        value=float(found.mean()),
        std=float(found.std(correction=0)),
        stderr=_error(x, y, subsets, subset_size, draw),
        subsets=subsets,
        subset_size=subset_size,
        n_real=n,
        n_fake=m,
        dims=x.shape[1],
    )


def _error(x: Tensor, y: Tensor, subsets: int, size: int, draw: torch.Generator) -> float:
    """Standard error of the mean over subsets, for all randomness: of the samples and the subsets.

    Endless subsets give the estimate from all samples; each single one varies like an estimate
    from as many samples as it has. Both variances are told from at most `ENOUGH` samples.
    """
    n, m = len(x), len(y)
    known = pairs(_some(x, draw), _some(y, draw), _cube)
    whole, one = known.variance(n, m), known.variance(size, size)
    return (whole + max(one - whole, 0) / subsets) ** 0.5


def _some(x: Tensor, draw: torch.Generator) -> Tensor:
    """At most `ENOUGH` of the rows, whatever order they came in."""
    if len(x) <= ENOUGH:
        return x
    return x[torch.randperm(len(x), generator=draw)[:ENOUGH].to(x.device)]


def _members(picks: list[tuple[Tensor, Tensor]], side: int, n: int) -> Tensor:
    """(n, subsets): 1 where a sample belongs to a subset."""
    index = torch.stack([pick[side] for pick in picks], 1)
    return torch.zeros(n, len(picks), dtype=torch.float64, device=index.device).scatter_(
        0, index, 1.0
    )


def _distances(x: Tensor, y: Tensor, in_x: Tensor, in_y: Tensor) -> Tensor:
    """(subsets,) unbiased estimates; `in_x`, `in_y` say which rows belong to which subset."""
    size = in_x.sum(0)
    within = _within(x, in_x) + _within(y, in_y)
    return within / (size * (size - 1)) - 2 * _sums(x, y, in_x, in_y) / size**2


def _sums(x: Tensor, y: Tensor, in_x: Tensor, in_y: Tensor) -> Tensor:
    """Sum of the kernel over all pairs (x, y) of each subset."""
    total = in_x.new_zeros(in_x.shape[1])
    rows = rows_at_a_time(len(y))
    for part, members in zip(x.split(rows), in_x.split(rows)):
        total += ((_cube(part, y) @ in_y) * members).sum(0)
    return total


def _within(x: Tensor, inside: Tensor) -> Tensor:
    """Sum of the kernel over all pairs of different rows of each subset."""
    total = inside.new_zeros(inside.shape[1])
    rows = min(rows_at_a_time(len(x)), 1024)
    for start in range(0, len(x), rows):
        stop = start + rows
        part, members = x[start:stop], inside[start:stop]
        square = _cube(part, part)
        square.fill_diagonal_(0)
        total += ((square @ members) * members).sum(0)
        if stop < len(x):  # the kernel is symmetric: one half, twice
            total += 2 * ((_cube(part, x[stop:]) @ inside[stop:]) * members).sum(0)
    return total


def _cube(x: Tensor, y: Tensor) -> Tensor:
    """The polynomial kernel of degree 3, (N, M)."""
    base = (x @ y.T).div_(x.shape[1]).add_(1)
    return base.square().mul_(base)
