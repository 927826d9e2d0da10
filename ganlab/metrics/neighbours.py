"""Precision, recall, density and coverage: is it real enough, and is all of it there?

Both pairs ask whether a sample lies inside a ball around one of the other kind whose radius is
the distance to that one's k-th neighbour of its own kind. Precision and recall (Kynkäänniemi et
al. 2019) take balls around real and around generated samples; one outlier has a large ball, and
counts as much as any other. Density and coverage (Naeem et al. 2020) take balls around real
samples only, and count how many balls a sample lies in, and how many balls are not empty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import at_least
from ganlab.metrics.arrays import pair, rows_at_a_time

TIE = 1e-12  # relative: distances this close are equal, up to the rounding of the products


@dataclass(frozen=True)
class PRDC:
    """Four shares with what they were computed from.

    Attributes:
        precision: share of generated samples in a ball around a real one.
        recall: share of real samples in a ball around a generated one.
        density: balls around real samples that a generated one lies in, over k. 1 for the same
            distribution, and more where generated samples crowd into dense regions.
        coverage: share of real balls with a generated sample in them.
        k: the neighbour that sets the radius, the sample itself not counted.
        n_real, n_fake: sample sizes; scores of different sizes are not comparable.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    n_real: int
    n_fake: int

    @property
    def expected_coverage(self) -> float:
        """What samples of the same distribution score at these sizes."""
        return expected_coverage(self.n_real, self.n_fake, self.k)

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.3f}, recall {self.recall:.3f},"
            f" density {self.density:.3f}, coverage {self.coverage:.3f}"
            f" (k = {self.k}, {self.n_real} real, {self.n_fake} generated)"
        )


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall; see `PRDC`."""

    precision: float
    recall: float
    k: int
    n_real: int
    n_fake: int

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.3f}, recall {self.recall:.3f}"
            f" (k = {self.k}, {self.n_real} real, {self.n_fake} generated)"
        )


@dataclass(frozen=True)
class DensityCoverage:
    """Density and coverage; see `PRDC`."""

    density: float
    coverage: float
    k: int
    n_real: int
    n_fake: int

    @property
    def expected_coverage(self) -> float:
        """What samples of the same distribution score at these sizes."""
        return expected_coverage(self.n_real, self.n_fake, self.k)

    def __str__(self) -> str:
        return (
            f"density {self.density:.3f}, coverage {self.coverage:.3f}"
            f" (k = {self.k}, {self.n_real} real, {self.n_fake} generated)"
        )


def prdc(real: Any, fake: Any, k: int = 5) -> PRDC:
    """Precision, recall, density and coverage of one set of features against another.

    With $x_i$ the $n$ real samples, $y_j$ the $m$ generated ones, $B(x)$ the ball around $x$, and
    $[…]$ 1 where what it holds is true and else 0,

        "precision" = 1/m ∑_j [y_j ∈ ⋃_i B(x_i)]
        "recall" = 1/n ∑_i [x_i ∈ ⋃_j B(y_j)]
        "density" = 1/(k m) ∑_j ∑_i [y_j ∈ B(x_i)]
        "coverage" = 1/n ∑_i ["some " y_j ∈ B(x_i)]

    Inside means strictly nearer than the radius, as in the `prdc` package; the authors of
    precision and recall let the border count. The two differ for ties only: of a constant set,
    nothing lies inside here.

    Args:
        real: (N, D) features of any float type.
        fake: (M, D).
        k: 3 in the paper on precision and recall, 5 in that on density and coverage.

    Raises:
        DataError: shapes disagree, a value is not finite, or k is not below both sizes.
        RecipeError: k is no whole number from 1.
    """
    x, y = _centred(real, fake, k)
    inside_real, inside_fake = _limits(x, k), _limits(y, k)
    holds = torch.zeros(len(y), dtype=torch.int32, device=x.device)  # real balls around each fake
    recalled = covered = 0
    for rows, squared in _blocks(x, y):
        holds += (squared < inside_real[rows, None]).sum(0, dtype=torch.int32)
        covered += int((squared.amin(1) < inside_real[rows]).sum())
        recalled += int((squared < inside_fake).any(1).sum())
    n, m = len(x), len(y)
    precision, density = float((holds > 0).double().mean()), int(holds.sum()) / (k * m)
    return PRDC(precision, recalled / n, density, covered / n, k, n, m)


def precision_recall(real: Any, fake: Any, k: int = 3) -> PrecisionRecall:
    """Precision and recall alone, at the k of their paper; see `prdc`."""
    found = prdc(real, fake, k)
    return PrecisionRecall(found.precision, found.recall, k, found.n_real, found.n_fake)


def density_coverage(real: Any, fake: Any, k: int = 5) -> DensityCoverage:
    """Density and coverage alone, at the k of their paper; see `prdc`."""
    found = prdc(real, fake, k)
    return DensityCoverage(found.density, found.coverage, k, found.n_real, found.n_fake)


def expected_coverage(n_real: int, n_fake: int, k: int) -> float:
    """Coverage of two samples of one distribution, on average (Naeem et al. 2020).

    With $N$ real and $M$ generated samples it is

        1 - ∏_(i=1)^k (N - i)/(N + M - i)

    whatever the distribution: a ball is empty if the $k$ nearest of all other samples are real
    ones.

    Raises:
        RecipeError: a number of samples below 1, or k not from 1 to N - 1.
    """
    n_real, n_fake = at_least("n_real", n_real, 2), at_least("n_fake", n_fake)
    k = at_least("k", k, 1, n_real - 1)
    empty = math.prod((n_real - i) / (n_real + n_fake - i) for i in range(1, k + 1))
    return 1 - empty


def _centred(real: Any, fake: Any, k: int) -> tuple[Tensor, Tensor]:
    """Features about their joint mean: the products below lose digits far from the origin."""
    k = at_least("k", k)
    x, y = pair(real, fake, k + 1, f"a radius by neighbour k={k}")
    middle = (x.mean(0) * len(x) + y.mean(0) * len(y)) / (len(x) + len(y))
    return x - middle, y - middle


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances (rows, M) of x, a block of rows at a time: memory stays linear."""
    rows = rows_at_a_time(len(y))
    length = y.square().sum(1)
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        squared = torch.addmm(length, part, y.T, alpha=-2).add_(part.square().sum(1, True))
        yield slice(start, start + len(part)), squared.clamp_(min=0)


def nearest(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Distance (N,) from each x to the nearest y, both (., D) float64; without y, to another x."""
    other = x if y is None else y
    middle = other.mean(0)
    found = []
    for rows, squared in _blocks(x - middle, other - middle):
        if y is None:
            squared[:, rows].fill_diagonal_(math.inf)  # the sample itself
        # Found by products, measured directly: a copy is at distance 0, not at a rounding error.
        found.append((x[rows] - other[squared.argmin(1)]).norm(dim=1))
    return torch.cat(found)


def _limits(x: Tensor, k: int) -> Tensor:
    """(N,) what a squared distance must stay below to be inside the ball around each sample.

    That is the squared radius, less what rounding may add to an equal distance.
    """
    squares = []
    for rows, squared in _blocks(x, x):
        squared[:, rows].fill_diagonal_(math.inf)  # the sample itself
        squares.append(squared.topk(k, 1, largest=False).values[:, -1])
    square = torch.cat(squares)
    return square - TIE * (square + x.square().sum(1))
