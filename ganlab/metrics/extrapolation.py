"""The bias of a Fréchet distance with the number of samples, and the value without it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import number, pair
from ganlab.metrics.frechet import fid
from ganlab.metrics.result import Scalar
from ganlab.metrics.streaming import Statistics
from ganlab.models.latent import seeded


@dataclass(frozen=True)
class FrechetInfinity(Scalar):
    """A Fréchet distance extrapolated to endlessly many samples.

    Attributes:
        value: where the line meets $1/n = 0$.
        slope: of the line $"value" + "slope"/n$.
        sizes: the numbers of samples n at which the distance was measured.
        values: the distances measured there.
        residual: root mean square distance of the points from the line.
        both: whether the real set was cut to n as well.
    """

    value: float
    slope: float
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    residual: float
    both: bool

    def at(self, n: int) -> float:
        """The line at n samples."""
        return self.value + self.slope / n

    def __str__(self) -> str:
        return (
            f"{self.value:.3f} at infinity ({self.values[-1]:.3f} at n = {self.sizes[-1]},"
            f" slope {self.slope:.4g})"
        )


def fid_infinity(
    real: Any,
    fake: Any,
    points: int = 15,
    seed: int = 0,
    smallest: int | None = None,
    both: bool = False,
) -> FrechetInfinity:
    """Fit a line to the Fréchet distance over $1/n$ and read it at 0 (Chong and Forsyth 2020).

    The bias falls like $1/n$, with a factor that depends on the generator, so two generators can
    change places between one n and another. As in the paper, n counts generated samples, drawn
    anew for every point, and the real set stays whole: what bias *its* size brings remains. With
    `both`, the real set is cut to the same n, and the line leads to both being endless.

    Args:
        real: (N, D) features, or `Statistics` of them unless `both`.
        fake: (M, D) features.
        points: how many n, evenly spaced from `smallest` to M.
        seed: of the subsets.
        smallest: by default M / 10, as 5,000 of 50,000 in the paper. A line fits poorly where
            n is not well above D.
        both: cut the real set too; n then ends at the smaller of N and M.

    Raises:
        DataError: as for `fid`, or sizes that the data do not have.
        RecipeError: fewer than 2 points, or a number out of range.
    """
    if isinstance(real, Statistics):
        if both:
            raise DataError("real: both=True cuts the real set, so it needs features")
        x, (y, _) = None, pair(fake, fake, 2, "a covariance")
    else:
        x, y = pair(real, fake, 2, "a covariance")
        real = x if both else Statistics.of(x)
    n = min(len(x), len(y)) if both and x is not None else len(y)
    smallest = max(2, n // 10) if smallest is None else smallest
    points, smallest = at_least("points", points, 2), at_least("smallest", smallest, 2)
    if n - smallest < points - 1:
        raise DataError(
            f"points: {points} sizes between {smallest} and {n} samples are not different;"
            " take fewer, or more samples"
        )
    sizes = torch.linspace(smallest, n, points, dtype=torch.float64).round().long().tolist()
    draw = seeded(seed)
    values = []
    for size in sizes:
        part = y[torch.randperm(len(y), generator=draw)[:size].to(y.device)]
        other = real
        if both and x is not None:
            other = x[torch.randperm(len(x), generator=draw)[:size].to(x.device)]
        values.append(fid(other, part).value)
    inverse = 1 / torch.tensor(sizes, dtype=torch.float64)
    measured = torch.tensor(values, dtype=torch.float64)
    off = inverse - inverse.mean()
    slope = float((off * measured).sum() / off.square().sum())
    value = float(measured.mean()) - slope * float(inverse.mean())
    residual = float((measured - value - slope * inverse).square().mean().sqrt())
    return FrechetInfinity(value, slope, tuple(sizes), tuple(values), residual, both)


def fid_bias(dims: int, n: float, variance: float = 1.0, n_fake: float | None = None) -> float:
    """What two samples of one Gaussian N(0, σ² I) score on average, to first order in $1/n$.

    For samples of one size $n$, in $D$ dimensions, it is

        (σ²)/n ((D (D + 1))/2 + 2 D)

    Each sample brings half: its mean is off by $σ² D/n$, and its covariance by a quarter of
    $σ² D (D + 1)/n$. Exact for $n$ well above $D$.

    Args:
        dims: D.
        n: real samples; `math.inf` for exact statistics.
        variance: σ² of each feature.
        n_fake: generated samples; by default as many.

    Raises:
        RecipeError: a number is not positive.
    """
    m = n if n_fake is None else n_fake
    for name, given in (("dims", dims), ("n", n), ("n_fake", m)):
        number(name, given, 0, math.inf, above=True)
    number("variance", variance, 0)
    return variance * (dims * (dims + 1) / 4 + dims) * (1 / n + 1 / m)
