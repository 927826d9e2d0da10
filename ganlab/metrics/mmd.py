"""What every kernel distance shares: sums over pairs, the unbiased estimate, and its variance.

The unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, Lemma 6) is a
mean over pairs of samples. Split into parts that are uncorrelated (Hoeffding's decomposition) its
variance for $n$ real and $m$ generated samples is

    4/n Var f(X) + 4/m Var f(Y)
    + 2/(n (n - 1)) E k(X, X')² + 2/(m (m - 1)) E k(Y, Y')² + 4/(n m) E k(X, Y)²

where $f(x)$ is the mean kernel of $x$ with real samples less that with generated ones, and in the
last three terms the kernel is centred in both arguments. The first two vanish if the distributions
agree; then the others are all that is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.metrics.arrays import rows_at_a_time

Kernel = Callable[[Tensor, Tensor], Tensor]  # (N, D), (M, D) -> (N, M), a new matrix
LEAST = 4  # samples of a kind from which a variance can be told


@dataclass(frozen=True)
class Pairs:
    """A sample's kernel values in short: the two estimates, and what their variance is made of.

    Attributes:
        unbiased: means over pairs of *different* samples; may be negative.
        biased: the same with each sample paired with itself too; never negative.
        first_x, first_y: $Var f(X)$ and $Var f(Y)$, not below 0; NaN for fewer than four samples.
        second_x, second_y, second_xy: mean squares of the centred kernel.
    """

    unbiased: float
    biased: float
    first_x: float
    first_y: float
    second_x: float
    second_y: float
    second_xy: float

    def variance(self, n: int, m: int) -> float:
        """Of the unbiased estimate from n real and m generated samples; both at least 2."""
        return (
            4 * self.first_x / n
            + 4 * self.first_y / m
            + 2 * self.second_x / (n * (n - 1))
            + 2 * self.second_y / (m * (m - 1))
            + 4 * self.second_xy / (n * m)
        )


def pairs(x: Tensor, y: Tensor, kernel: Kernel) -> Pairs:
    """All pairs of (N, D) and (M, D), in blocks: memory is linear in the samples."""
    n, m = len(x), len(y)
    (rows_x, self_x, square_x), (rows_y, self_y, square_y) = (_own(v, kernel) for v in (x, y))
    to_y, to_x, square = _across(x, y, kernel)
    in_x, in_y, between = rows_x.sum(), rows_y.sum(), to_y.sum()
    unbiased = in_x / (n * (n - 1)) + in_y / (m * (m - 1)) - 2 * between / (n * m)
    biased = (in_x + self_x) / n**2 + (in_y + self_y) / m**2 - 2 * between / (n * m)
    if min(n, m) < LEAST:
        none = math.nan
        return Pairs(float(unbiased), float(biased), none, none, none, none, none)
    second_x, second_y = _centred(rows_x, square_x), _centred(rows_y, square_y)
    means = to_y / m, to_x / n
    left = square - m * means[0].square().sum() - n * means[1].square().sum()
    second_xy = max(float(left + between**2 / (n * m)), 0) / ((n - 1) * (m - 1))
    # Means over finitely many partners vary by themselves: that part belongs to the second order.
    first = []
    for rows, other, second in ((rows_x, means[0], second_x), (rows_y, means[1], second_y)):
        size, partners = len(rows), n + m - len(rows)
        spread = float((rows / (size - 1) - other).var())
        own = second * (size - 2) / (size - 1) ** 2
        first.append(max(spread - own - second_xy / partners, 0.0))
    seconds = second_x, second_y, second_xy
    return Pairs(float(unbiased), float(biased), first[0], first[1], *seconds)


def _own(x: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor, Tensor]:
    """Sum of each row without the diagonal, (N,); of the diagonal; of squares off the diagonal."""
    sums, diagonal, squares = x.new_zeros(len(x)), x.new_zeros(()), x.new_zeros(())
    rows = rows_at_a_time(len(x))
    for start in range(0, len(x), rows):
        block = kernel(x[start : start + rows], x)
        place = torch.arange(len(block), device=x.device)
        diagonal += block[place, place + start].sum()
        block[place, place + start] = 0
        sums[start : start + rows] = block.sum(1)
        squares += block.square_().sum()
    return sums, diagonal, squares


def _across(x: Tensor, y: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over y, (N,), and over x, (M,), and the sum of squares."""
    parts, columns, squares = [], y.new_zeros(len(y)), x.new_zeros(())
    for part in x.split(rows_at_a_time(len(y))):
        block = kernel(part, y)
        parts.append(block.sum(1))
        columns += block.sum(0)
        squares += block.square_().sum()
    return torch.cat(parts), columns, squares


def _centred(rows: Tensor, squares: Tensor) -> float:
    """Mean square of the kernel within a set, centred in both arguments; from its row sums."""
    n = len(rows)
    means = rows / (n - 1)
    # The square of K - r_i - r_j + g, summed over i != j; n(n - 3) entries of it are free.
    left = squares - 2 * n * means.square().sum() + n * (n + 1) * means.mean() ** 2
    return max(float(left), 0) / (n * (n - 3))
