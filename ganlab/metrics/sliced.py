"""Sliced Wasserstein distance: the optimal transport that can be computed by sorting.

Rabin et al. 2011; Bonneel et al. 2015. On a line, the cheapest way to move one sample to another
keeps their order, so the distance between projections on a direction is exact and costs a sort.
The sliced distance is the mean over directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import RecipeError, at_least
from ganlab.metrics.arrays import pair, rows_at_a_time
from ganlab.metrics.result import Scalar
from ganlab.models.latent import seeded


@dataclass(frozen=True)
class SlicedWasserstein(Scalar):
    """A sliced distance with what it was computed from.

    Attributes:
        value: $(E W_p^p)^(1/p)$, the mean over directions, in the units of the data.
        stderr: standard error of it that comes from the random directions.
        order: $p$.
        projections: directions.
        n_real, n_fake: sample sizes; the estimate is biased upwards, as any such distance.
        dims: length of the vectors.
    """

    value: float
    stderr: float
    order: int
    projections: int
    n_real: int
    n_fake: int
    dims: int

    def __str__(self) -> str:
        return (
            f"{self.value:.4f} ± {self.stderr:.4f} over {self.projections} directions"
            f" ({self.n_real} real, {self.n_fake} generated, {self.dims}-d)"
        )


def sliced_wasserstein(
    real: Any, fake: Any, projections: int = 512, seed: int = 0, order: int = 2
) -> SlicedWasserstein:
    """Sliced Wasserstein distance between two sets of vectors.

    With $x_1 ≤ … ≤ x_n$ and $y_1 ≤ … ≤ y_n$ the sorted projections on one direction,

        W_p^p = 1/n ∑_i |x_i - y_i|^p

    Where the sets differ in size, samples share out their weight. The result is $(E W_p^p)^(1/p)$,
    with the mean over directions.

    Args:
        real: (N, D) features, points, or flattened pictures.
        fake: (M, D); N and M may differ, the one-dimensional distances stay exact.
        projections: random directions, uniform on the sphere.
        seed: of the directions.
        order: $p$, 1 or 2.

    Raises:
        DataError: shapes disagree, or a value is not finite.
        RecipeError: a number is out of range.
    """
    x, y = pair(real, fake)
    projections = at_least("projections", projections, most=1_000_000)
    if isinstance(order, bool) or not isinstance(order, int) or order not in (1, 2):
        raise RecipeError(f"order must be 1 or 2, not {order}")
    dims = x.shape[1]
    draw = seeded(seed)
    directions = torch.randn(dims, projections, generator=draw, dtype=torch.float64)
    directions = (directions / directions.norm(dim=0)).to(x.device)
    take_x, take_y, weight = _matching(len(x), len(y), x.device)
    costs = []
    for some in directions.split(min(rows_at_a_time(len(weight)), projections), 1):
        a, b = (x @ some).sort(0).values, (y @ some).sort(0).values
        costs.append(weight @ (a[take_x] - b[take_y]).abs().pow(order))
    cost = torch.cat(costs)
    mean = float(cost.mean())
    value = mean ** (1 / order)
    error = float(cost.std(correction=1)) / projections**0.5 if projections > 1 else float("nan")
    if order == 2 and value > 0:
        error /= 2 * value  # the derivative of the root
    return SlicedWasserstein(value, error, order, projections, len(x), len(y), dims)


def _matching(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Which sorted x meets which sorted y, and with what weight, in whole numbers of $1/(n m)$.

    Both quantile functions are steps, one at multiples of m and one at multiples of n.
    """
    steps = torch.cat([torch.arange(n + 1) * m, torch.arange(m + 1) * n]).unique().to(device)
    left = steps[:-1]
    return left // m, left // n, steps.diff().double() / (n * m)
