"""Checks of chapter 9, evaluation: each plays the reader's score and names usual slips."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import draw, number, parts
from ganlab.lab.checks.words import F64, Slips, close, equal, need, when
from ganlab.metrics import kid, prdc

CLOSE = 1e-6


@check("9.1", "right: means and standard deviations, each squared and added")
def diagonal(answer: Answer) -> None:
    """`answer(mean1, std1, mean2, std2)`: squared Fréchet distance, independent features."""
    m1, m2, s1, s2 = draw(1, 4), draw(2, 4), draw(3, 4).abs() + 0.2, draw(4, 4).abs() + 0.2
    shift, width = (m1 - m2).square().sum(), (s1 - s2).square().sum()
    v1, v2 = s1.square(), s2.square()
    slips: Slips = {
        shift: "only the means: two clouds of one centre and different width are not equal",
        width: "only the widths: the means are missing",
        (shift + width).sqrt(): "that is the distance; FID is its *square*",
        shift + (v1 - v2).square().sum(): "the variances are compared: insert the standard"
        " deviations' squares into the trace formula and complete the square",
        shift.sqrt() + width: "the difference of the means is not squared",
        shift + (v1 + v2 - s1 * s2).sum(): "the last term has lost its 2",
        shift + (v1 + v2 - 2 * v1 * v2).sum(): "the root of the product is missing: Σ₁Σ₂ is the"
        " product of the *variances*",
        (shift + width) / 4: "averaged over the features: FID adds",
        ...: "your distance is {found:.5f}, right is {right:.5f}",
    }
    found = answer(m1.clone(), s1.clone(), m2.clone(), s2.clone())
    equal(number(found, "the distance"), shift + width, slips, CLOSE)


@check("9.2", "right: exactly the statistics of all samples together")
def merge(answer: Answer) -> None:
    """`answer(n1, m1, s1, n2, m2, s2)`: count, mean and covariance of two batches together."""
    x, y = draw(5, 7, 3), 2 * draw(6, 12, 3) + torch.tensor([1.0, -2.0, 0.5])
    n, m, both, total = len(x), len(y), torch.cat([x, y]), len(x) + len(y)
    m1, m2, s1, s2 = x.mean(0), y.mean(0), torch.cov(x.T), torch.cov(y.T)
    reply = parts(
        answer(n, m1.clone(), s1.clone(), m, m2.clone(), s2.clone()),
        3,
        "return three things: the count, the mean, the covariance",
    )
    slips: Slips = {...: "your count is {found:.5f}, right is {right:.5f}"}
    equal(number(reply[0], "the count"), total, slips, CLOSE)
    mean, cov = (torch.as_tensor(part, dtype=F64) for part in reply[1:])
    shapes = tuple(mean.shape), tuple(cov.shape)
    what = "mean and covariance must be (3,) and (3, 3), not"
    need(shapes == ((3,), (3, 3)), f"{what} {shapes[0]} and {shapes[1]}")
    slips = {
        (m1 + m2) / 2: "the mean of the means: the larger batch must weigh more",
        ...: f"your mean is {mean.tolist()}, right is {both.mean(0).tolist()}",
    }
    equal(mean, both.mean(0), slips)
    outer, right = torch.outer(m2 - m1, m2 - m1), torch.cov(both.T)
    within, counted = (n - 1) * s1 + (m - 1) * s2, n * s1 + m * s2
    slips = {
        within / (total - 1): "the covariances are averaged: the distance *between* the means is"
        " spread too",
        counted / total: "the distance between the means is missing, and the weights are n/(n+m)",
        (counted + outer * n * m / total) / (total - 1): "a covariance times n - 1 is the scatter,"
        " not times n",
        right * (total - 1) / total: "divided by the count: the covariance of N samples has N - 1",
        (within + outer) / (total - 1): "the outer product has the weight n·m/(n + m), not 1",
        right * (total - 1): "that is the scatter matrix: divide by N - 1",
        ...: "the mean is right; the covariance is off by up to {off:.3f}",
    }
    equal(cov, right, slips)


@check("9.3", "right, and negative where chance has it so")
def kernel_distance(answer: Answer) -> None:
    """`answer(real, fake)`: unbiased MMD² with the kernel (x.y/d + 1)³, all samples."""
    x, y = draw(7, 6, 3), draw(8, 8, 3) + 2

    def unbiased(k: Tensor) -> Tensor:
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))

    def value(own: Callable[[Tensor], Tensor] = unbiased, cross: float = 2.0, scale: float = 3,
              power: int = 3) -> Tensor:  # fmt: skip
        xx, yy, xy = ((a @ b.T / scale + 1) ** power for a, b in ((x, x), (y, y), (x, y)))
        return own(xx) + own(yy) - cross * xy.mean()

    right = value()
    slips: Slips = {
        value(Tensor.mean): "the diagonal is in the means: a sample paired with itself makes the"
        " estimate biased",
        value(lambda k: (k.sum() - k.trace()) / k.numel()): "the diagonal is gone from the sum,"
        " but the divisor still counts it: n(n - 1) pairs",
        value(scale=1): "the inner product must be divided by the number of features",
        value(cross=1): "the cross term counts twice",
        value(power=2): "the kernel is of degree 2, not 3",
        -right: "minus the right value",
        right.abs().sqrt(): "no root: an unbiased estimate may be negative",
        ...: "your distance is {found:.5f}, right is {right:.5f}",
    }
    equal(number(answer(x.clone(), y.clone()), "the distance"), right, slips, CLOSE)
    x, y = draw(9, 40, 2).chunk(2)
    below = kid(x, y, subsets=1, subset_size=20).value
    found = number(answer(x, y), "the distance")
    slips = {
        when(below < 0 <= found): "right, until it is negative: do not clip, or the mean is biased"
        " after all",
        ...: "on two sets of one distribution your distance is {found:.5f}, right is {right:.5f}",
    }
    equal(found, below, slips, CLOSE)


def _shares(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    found = prdc(real, fake, k)
    return found.density, found.coverage


@check("9.4", "right: balls around real samples, counted and covered")
def density_coverage(answer: Answer) -> None:
    """`answer(real, fake, k)` is the pair (density, coverage)."""
    real, fake, k = draw(10, 30, 2), 0.7 * draw(11, 21, 2) + 0.3, 3
    reply = parts(answer(real.clone(), fake.clone(), k), 2, "return a pair: density, coverage")
    d, c = number(reply[0], "the density"), number(reply[1], "the coverage")
    density, coverage = right = _shares(real, fake, k)
    inside, near = prdc(real, fake, k), _shares(real, fake, k - 1)
    small = "the radii are too small by one neighbour: each point is its own nearest neighbour, at"
    slips: Slips = {
        (near[0] * (k - 1) / k, near[1]): f"{small} distance 0",
        near: f"{small} distance 0",
        _shares(fake, real, k): "the balls stand around the generated samples: these two use real"
        " ones only",
        (coverage, density): "the pair is (density, coverage), not the other way round",
        (inside.precision, inside.recall): "that is precision and recall",
        (density * k, coverage): "the density is not divided by k",
        (density * len(fake) / len(real), coverage): "the density counts pairs per generated"
        " sample: divide by k and by their number, not by that of the real ones",
        (density, inside.precision): "the coverage is a share of *real* balls",
        when(not close(d, density, 1e-9)): f"your density is {d:.4f}, right is {density:.4f}",
        ...: f"your coverage is {c:.4f}, right is {coverage:.4f}",
    }
    equal((d, c), right, slips, 1e-9)


@check("9.5", "right, for any spectrum")
def gaussian_floor(answer: Answer) -> None:
    """`answer(eigenvalues, n)`: the floor of two Gaussian samples of n each."""
    values, n = torch.tensor([4.0, 1.0, 0.25], dtype=F64), 100
    pairs = values[:, None] * values / (2 * (values[:, None] + values))
    own, all_, s = pairs.trace(), pairs.sum(), values.sum()
    right = 2 / n * (s + all_ + own)
    slips: Slips = {
        right / 2: "only one sample's half: both are finite",
        2 / n * (all_ + own): "the means are missing",
        2 / n * s: "the covariances are missing: only the means are counted",
        2 / n * (s + all_): "on the diagonal the variance of a square is twice that of a product",
        2 / n * (s + 2 * own): "pairs i ≠ j are missing, and they are most of it",
        2 / n * (s + 2 * own + (all_ - own) / 2): "each pair i ≠ j stands twice in the double sum",
        2 / n * (s + 2 * (all_ + own)): "the denominator is 2 (λi + λj): a factor 2 is missing",
        s / 3 * (3 * 4 / 2 + 6) / n: "only right if all eigenvalues are equal: that is the closed"
        " form with the mean variance",
        ...: "your floor is {found:.5f}, right is {right:.5f}",
    }
    equal(number(answer(values.clone(), n), "the floor"), right, slips, CLOSE)
    again = number(answer(torch.ones(5, dtype=F64), 10), "the floor")
    line = "for the identity in five dimensions your floor is {found:.5f}, right is {right:.5f}"
    equal(again, (5 * 6 / 2 + 10) / 10, {...: line}, CLOSE)


@check("9.6")
def raters(answer: Answer) -> str:
    """`answer(delta, spread, each, power)`: raters needed for a study."""
    normal = NormalDist()

    def study(delta: float, spread: float, each: int, power: float, side: float = 0.975) -> float:
        z = normal.inv_cdf(side) + normal.inv_cdf(power)
        return (z / delta) ** 2 * (spread**2 + (0.25 - spread**2) / each)

    case = delta, spread, each, power = 0.05, 0.1, 40, 0.8
    exact = study(*case)
    found, right = number(answer(*case), "the number of raters"), math.ceil(exact)
    z = normal.inv_cdf(0.975) + normal.inv_cdf(power)
    each_variance, raters_variance = 0.25 / each, spread**2
    square, both = (z / delta) ** 2, raters_variance + (0.25 - raters_variance) / each

    def is_(value: float) -> when:
        return when(close(found, value, 1e-6) or found == math.ceil(value))

    judgements = "that is the number of *judgements*: who answers 40 times is still one rater"
    slips: Slips = {
        math.ceil(square * (raters_variance + each_variance)): "nearly: the spread of the raters"
        " is part of the variance 1/4 of one answer, so only 1/4 - spread² is left to be averaged"
        " away: Hint 2",
        right * each: judgements,
        is_(exact * each): "that many *judgements*, not raters: who answers 40 times is still one"
        " rater",
        is_(square * each_variance): "raters who all have the same rate: their own spread is"
        " missing",
        is_(square * raters_variance): "the number of answers each gives does not come in: with"
        " endless answers only the spread would be left",
        is_(square * 0.25): "one answer a rater: `each` is missing",
        is_(study(*case, side=0.95)): "the test is two-sided: 2.5 % on either side",
        is_(study(delta, spread, each, 0.5)): "the power is missing: this is where the test"
        " rejects in half of the studies",
        is_(square * (spread + (0.5 - spread) / each)): "the variances count, not the standard"
        " deviations",
        is_(z / delta * both): "the standard error falls with the *root* of the number: square the"
        " quotient",
        when(close(found, exact, 1e-6)): "right before rounding: there is no part of a rater,"
        " round *up*",
        ...: f"for {case} you ask for {found:g} raters, right is {right}",
    }
    equal(found, right, slips, 1e-6)
    for other in ((0.1, 0.0, 1, 0.9), (0.02, 0.05, 200, 0.8)):
        slips = {...: f"right for {case}, but for {other} it is {math.ceil(study(*other))}"}
        equal(number(answer(*other), "the number"), math.ceil(study(*other)), slips, 1e-9)
    return f"right: {right} raters for that study"
