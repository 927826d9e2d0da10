"""The checks of chapter 9 accept right answers, and name each usual wrong one."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pytest
import torch
from checks_kit import suite
from torch import Tensor

from ganlab import metrics


def diagonal(m1: Tensor, s1: Tensor, m2: Tensor, s2: Tensor) -> Tensor:
    return (m1 - m2).square().sum() + (s1 - s2).square().sum()


def spread(change: Any) -> Any:
    """An answer to 9.1 with another share of the widths, from both deviations."""
    return lambda m1, s1, m2, s2: (m1 - m2).square().sum() + change(s1, s2).sum()


def merge(n1: int, m1: Tensor, s1: Tensor, n2: int, m2: Tensor, s2: Tensor,
          weight: float | None = None, own: int = 1, cut: int = 1) -> tuple:  # fmt: skip
    n, d = n1 + n2, m2 - m1
    outer = torch.outer(d, d) * (n1 * n2 / n if weight is None else weight)
    scatter = (n1 - own) * s1 + (n2 - own) * s2 + outer
    return n, (n1 * m1 + n2 * m2) / n, scatter / (n - cut)


def merged(**options: Any) -> Any:
    return lambda *a: merge(*a, **options)


def unweighted(n1: int, m1: Tensor, s1: Tensor, n2: int, m2: Tensor, s2: Tensor) -> tuple:
    n, _, cov = merge(n1, m1, s1, n2, m2, s2)
    return n, (m1 + m2) / 2, cov


def with_mean(change: Any) -> Any:
    """An answer to 9.2 with another mean, a function of both counts and means."""
    return lambda *a: (merge(*a)[0], change(a[0], a[1], a[3], a[4]), merge(*a)[2])


def mmd(x: Tensor, y: Tensor, scale: float | None = None, power: int = 3, own: bool = False,
        cross: float = 2.0, divisor: int = 1, one: float = 1.0) -> Tensor:  # fmt: skip
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / (scale or a.shape[1]) + one) ** power

    def within(a: Tensor) -> Tensor:
        k, n = kernel(a, a), len(a)
        return k.mean() if own else (k.sum() - k.trace()) / (n * (n - divisor))

    return within(x) + within(y) - cross * kernel(x, y).mean()


def mmd_with(**options: Any) -> Any:
    return lambda x, y: mmd(x, y, **options)


def cubes(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / 3 + 1) ** 3


def sums(x: Tensor) -> Tensor:
    return cubes(x, x).sum() - cubes(x, x).trace()


def within(x: Tensor, left_out: float = 1.0, fewer: int = 1) -> Tensor:
    k, n = cubes(x, x), len(x)
    return (k.sum() - left_out * k.trace()) / (n * (n - fewer))


def between(x: Tensor, y: Tensor) -> Tensor:
    return cubes(x, y).mean()


def off_diagonal(x: Tensor, y: Tensor) -> Tensor:
    k = cubes(x, y)
    return (k.sum() - k.trace()) / (k.numel() - len(k))


def shares(real: Tensor, fake: Tensor, k: int, itself: int = 0) -> tuple[float, float]:
    radii = torch.cdist(real, real).sort(1).values[:, k - itself]
    inside = torch.cdist(real, fake) < radii[:, None]
    return inside.sum().item() / (k * len(fake)), inside.any(1).double().mean().item()


def part(change: Any) -> Any:
    """Density and coverage after `change(density, coverage, real, fake, k)`."""
    return lambda r, f, k: change(*shares(r, f, k), r, f, k)


def floor(values: Tensor, n: int, diagonal: float = 2.0, pairs: float = 1.0, means: float = 1.0,
          half: float = 1.0) -> float:  # fmt: skip
    terms = values[:, None] * values / (2 * (values[:, None] + values))
    own = terms.trace()
    total = means * values.sum() + pairs * (terms.sum() - own) + diagonal * own
    return 2 / n * half * total.item()


def floor_with(**options: Any) -> Any:
    return lambda values, n: floor(values, n, **options)


def equal(values: Tensor, n: int) -> float:
    return metrics.fid_bias(len(values), n, values.mean().item())


def raters(delta: float, spread: float, each: int, power: float, alpha: float = 0.025,
           variance: Any = lambda s, m: s**2 + (0.25 - s**2) / m) -> int:  # fmt: skip
    z = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
    return math.ceil((z / delta) ** 2 * variance(spread, each))


def raters_with(**options: Any) -> Any:
    return lambda *a: raters(*a, **options)


RIGHT = [
    ("9.1", diagonal),
    ("9.2", merge),
    ("9.3", mmd),
    ("9.4", shares),
    ("9.5", floor),
    ("9.6", raters),
]

WRONG = [
    ("9.1", lambda m1, s1, m2, s2: (m1 - m2).square().sum(), "only the means"),
    ("9.1", lambda m1, s1, m2, s2: (s1 - s2).square().sum(), "only the widths"),
    ("9.1", lambda *a: diagonal(*a).sqrt(), "its *square*"),
    ("9.1", lambda m1, s1, m2, s2: diagonal(m1, s1**2, m2, s2**2), "variances are compared"),
    (
        "9.1",
        lambda m1, s1, m2, s2: (m1 - m2).norm() + (s1 - s2).square().sum(),
        "means is not squared",
    ),
    (
        "9.1",
        lambda m1, s1, m2, s2: (m1 - m2).square().sum() + (s1**2 + s2**2 - s1 * s2).sum(),
        "lost its 2",
    ),
    ("9.1", spread(lambda s, t: s + t - 2 * (s * t).sqrt()), "where variances must"),
    ("9.1", spread(lambda s, t: s**2 + t**2 - 2 * (s * t).sqrt()), "one root too many"),
    ("9.1", spread(lambda s, t: s**2 + t**2 - 2 * (s * t) ** 2), "root of Σ₁Σ₂"),
    ("9.1", spread(lambda s, t: s**2 + t**2), "is missing"),
    ("9.1", spread(lambda s, t: (s + t) ** 2), "wrong sign"),
    ("9.1", spread(lambda s, t: s**2 - t**2), "subtracted"),
    ("9.1", spread(lambda s, t: (s - t).abs()), "deviations is not squared"),
    ("9.1", lambda m1, s1, m2, s2: (m1 - m2).norm() + (s1 - s2).norm(), "two lengths"),
    ("9.1", lambda m1, s1, m2, s2: (m1 - m2).abs().sum() + (s1 - s2).abs().sum(), "absolute"),
    ("9.1", lambda m1, s1, m2, s2: (m1 - m2).sum() ** 2 + (s1 - s2).sum() ** 2, "after the sum"),
    ("9.1", lambda *a: 2 * diagonal(*a), "Hint 1"),
    ("9.1", lambda *a: diagonal(*a) / 4, "FID adds"),
    ("9.1", lambda *a: None, "return missing"),
    ("9.2", unweighted, "larger batch"),
    ("9.2", merged(weight=0.0), "*between* the means"),
    ("9.2", merged(weight=0.0, own=0, cut=0), "weights are n/(n+m)"),
    ("9.2", merged(own=0), "the scatter, not times n"),
    ("9.2", merged(cut=0), "has N - 1"),
    ("9.2", merged(weight=1.0), "not 1"),
    ("9.2", lambda *a: (a[0] * a[3], *merge(*a)[1:]), "the count is"),
    ("9.2", with_mean(lambda n, a, m, b: (m * a + n * b) / (n + m)), "exchanged"),
    ("9.2", with_mean(lambda n, a, m, b: n * a + m * b), "sum of all samples"),
    ("9.2", with_mean(lambda n, a, m, b: a + (a - b) * m / (n + m)), "away from"),
    ("9.2", with_mean(lambda n, a, m, b: a), "the mean is off"),
    ("9.2", merged(weight=0.0, cut=2), "*pooled*"),
    ("9.2", merged(cut=2), "N - 2"),
    ("9.2", merged(own=0, cut=0), "divided by counts"),
    ("9.2", merged(weight=84.0), "not n·m"),
    ("9.2", merged(weight=19.0), "not n + m"),
    ("9.2", merged(weight=84 / 19**2), "not twice"),
    ("9.2", merged(weight=-84 / 19), "subtracted"),
    ("9.2", lambda *a: (*merge(*a)[:2], merge(*a)[2] * 18), "scatter matrix"),
    ("9.2", lambda *a: (*merge(*a)[:2], (a[2] + a[5]) / 2), "mean of the covariances"),
    ("9.2", lambda *a: (*merge(*a)[:2], a[2] + a[5]), "covariances are added"),
    (
        "9.2",
        lambda *a: (
            *merge(*a)[:2],
            ((a[0] - 1) * a[2] + (a[3] - 1) * a[5] + (a[4] - a[1]) ** 2 * 84 / 19) / 18,
        ),
        "torch.outer",
    ),
    ("9.2", merged(weight=3.0), "the covariance is off"),
    ("9.2", lambda *a: (*merge(*a)[:2], torch.ones(3)), "must have shape (3, 3)"),
    ("9.2", lambda *a: merge(*a)[:2], "three things"),
    ("9.3", mmd_with(own=True), "paired with itself"),
    ("9.3", mmd_with(divisor=0), "still counts it"),
    ("9.3", mmd_with(scale=1), "divided by the number"),
    ("9.3", mmd_with(cross=1.0), "counts twice"),
    ("9.3", mmd_with(cross=0.0), "is missing"),
    ("9.3", mmd_with(cross=-2.0), "wrong sign"),
    ("9.3", mmd_with(power=1), "linear"),
    ("9.3", mmd_with(scale=3**0.5), "by d itself"),
    ("9.3", mmd_with(one=0.0), "lost its + 1"),
    ("9.3", lambda x, y: -mmd(x, y), "minus the right"),
    ("9.3", lambda x, y: within(x, 0, 1) + within(y, 0, 1) - 2 * between(x, y), "still in the sum"),
    ("9.3", lambda x, y: within(x) / 2 + within(y) / 2 - 2 * between(x, y), "once in both"),
    ("9.3", lambda x, y: sums(x) + sums(y) - 2 * between(x, y) * len(x) * len(y), "sums"),
    ("9.3", lambda x, y: within(x) + within(y) - 2 * between(x, y) * 8 / 7, "*all* n·m"),
    ("9.3", lambda x, y: within(x) + within(y) - 2 * off_diagonal(x, y), "no sample meets itself"),
    ("9.3", lambda x, y: mmd(x, y) + 1, "Hint 2"),
    ("9.3", lambda x, y: mmd(x, y) if len(x) < 9 else mmd(x, y) - 1, "of one distribution"),
    ("9.3", mmd_with(power=2), "degree 2"),
    ("9.3", lambda x, y: mmd(x, y).abs().sqrt(), "no root"),
    ("9.3", lambda x, y: mmd(x, y).clamp(min=0), "do not clip"),
    ("9.4", lambda r, f, k: shares(r, f, k, itself=1), "its own nearest"),
    ("9.4", lambda r, f, k: shares(f, r, k), "around the generated"),
    ("9.4", part(lambda d, c, *a: (c, d)), "other way round"),
    ("9.4", part(lambda d, c, r, f, k: (d * k, c)), "not divided by k"),
    ("9.4", part(lambda d, c, r, f, k: (d * len(f) / len(r), c)), "their number"),
    (
        "9.4",
        part(lambda d, c, r, f, k: (d, metrics.precision_recall(r, f, k).precision)),
        "share of *real*",
    ),
    ("9.4", part(lambda d, c, *a: (d, 0.5)), "your coverage"),
    ("9.4", part(lambda d, c, *a: d), "two things"),
    ("9.5", floor_with(half=0.5), "one sample's half"),
    ("9.5", floor_with(means=0.0), "means are missing"),
    ("9.5", floor_with(pairs=0.0, diagonal=0.0), "covariances are missing"),
    ("9.5", floor_with(diagonal=1.0), "twice that of a product"),
    ("9.5", floor_with(pairs=0.0), "most of it"),
    ("9.5", floor_with(pairs=0.5), "stands twice"),
    ("9.5", floor_with(pairs=2.0, diagonal=4.0), "factor 2"),
    ("9.5", equal, "equal"),
    ("9.6", lambda d, s, m, p: raters(d, s, m, p) * m, "*judgements*"),
    ("9.6", lambda d, s, m, p: raters(d, 0.0, m, p), "own spread"),
    ("9.6", raters_with(variance=lambda s, m: s**2), "endless answers"),
    ("9.6", raters_with(variance=lambda s, m: 0.25), "one answer a rater"),
    ("9.6", raters_with(alpha=0.05), "two-sided"),
    ("9.6", lambda d, s, m, p: raters(d, s, m, 0.5), "power is missing"),
    ("9.6", raters_with(variance=lambda s, m: s**2 + 0.25 / m), "Hint 2"),
    ("9.6", lambda *a: raters(*a) if a[2] == 40 else 1, "right for"),
]


STARTERS = [
    ("9.1", lambda *a: ...),
    ("9.2", lambda *a: (..., ..., ...)),
    ("9.3", lambda x, y: ...),
    ("9.4", lambda *a: (..., ...)),
    ("9.5", lambda *a: ...),
    ("9.6", ...),
]

(
    test_right_answers_pass,
    test_wrong_answers_are_named,
    test_untouched_starters_are_not_started,
    test_the_checks_leave_the_global_random_state,
) = suite(RIGHT, WRONG, STARTERS)


def test_the_floor_of_the_check_is_the_closed_form_and_what_samples_score() -> None:
    values = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    found = [
        metrics.fid(*(torch.randn(2, 400, 3, generator=rng, dtype=torch.float64) * values.sqrt()))
        for _ in range(200)
    ]
    mean = sum(f.value for f in found) / len(found)
    assert mean == pytest.approx(floor(values, 400), rel=0.1)
    assert floor(torch.ones(7), 50) == pytest.approx(metrics.fid_bias(7, 50))
