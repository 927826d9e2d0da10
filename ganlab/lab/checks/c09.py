"""Checks of chapter 9, evaluation: each plays the reader's score and names usual slips."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import F64, draw, number, numbers, parts, vary
from ganlab.lab.checks.words import Slips, close, equal, when
from ganlab.metrics import kid, prdc


@check("9.1", "right: means and standard deviations, each squared and added")
def diagonal(answer: Answer) -> None:
    """`answer(mean1, std1, mean2, std2)`: squared Fréchet distance, independent features."""
    m1, m2, s1, s2 = draw(1, 4), draw(2, 4), draw(3, 4).abs() + 0.2, draw(4, 4).abs() + 0.2
    (a, b), (v1, v2), cross = (m1 - m2, s1 - s2), (s1.square(), s2.square()), s1 * s2
    shift, width = a.square().sum(), b.square().sum()
    slips: Slips = {
        shift: "only the means: two clouds of one centre and different width are not equal",
        width: "only the widths: the means are missing",
        (shift + width).sqrt(): "that is the distance; FID is its *square*",
        shift + (v1 - v2).square().sum(): "the variances are compared: put the deviations' squares"
        " into the trace formula and complete the square",
        shift + (v1 - v2).sum(): "the variances are subtracted: their difference is no square",
        shift + (s1 + s2 - 2 * cross.sqrt()).sum(): "deviations stand where variances must: square",
        shift + (v1 + v2 - 2 * cross.sqrt()).sum(): "one root too many: that of Σ₁Σ₂ is s₁·s₂",
        shift + (v1 + v2 - 2 * v1 * v2).sum(): "the root of Σ₁Σ₂, of the *variances*, is missing",
        shift + (v1 + v2 - cross).sum(): "the last term has lost its 2",
        shift + (v1 + v2).sum(): "the last term, -2 s₁·s₂, is missing",
        shift + (v1 + v2 + 2 * cross).sum(): "the last term has the wrong sign: (s₁ - s₂)²",
        shift.sqrt() + width: "the difference of the means is not squared",
        a.abs().sum() + b.abs().sum(): "absolute differences: square them",
        shift + b.abs().sum(): "the difference of the deviations is not squared",
        shift.sqrt() + width.sqrt(): "two lengths are added: add their squares",
        a.sum().square() + b.sum().square(): "squared after the sum: square each difference first",
        (shift + width) / 4: "averaged over the features: FID adds",
    }
    found = answer(m1.clone(), s1.clone(), m2.clone(), s2.clone())
    equal(found, shift + width, "your distance", slips, "Hint 1")


@check("9.2", "right: exactly the statistics of all samples together")
def merge(answer: Answer) -> None:
    """`answer(n1, m1, s1, n2, m2, s2)`: count, mean and covariance of two batches together."""
    x, y = draw(5, 7, 3), 2 * draw(6, 12, 3) + torch.tensor([1.0, -2.0, 0.5])
    n, m, both, total = len(x), len(y), torch.cat([x, y]), len(x) + len(y)
    m1, m2, s1, s2 = x.mean(0), y.mean(0), torch.cov(x.T), torch.cov(y.T)
    reply = answer(n, m1.clone(), s1.clone(), m, m2.clone(), s2.clone())
    count, mean, cov = parts(reply, "the count", "the mean", "the covariance")
    equal(count, total, "the count")
    slips: Slips = {
        (m1 + m2) / 2: "the mean of the means: the larger batch must weigh more",
        (m * m1 + n * m2) / total: "the weights of the two means are exchanged",
        n * m1 + m * m2: "that is the sum of all samples: divide by the count",
        m1 - (m2 - m1) * m / total: "away from the second mean: the step is mean2 - mean1",
    }
    equal(mean, both.mean(0), "the mean", slips)
    outer, right, share = torch.outer(m2 - m1, m2 - m1), torch.cov(both.T), n * m / total
    within, counted, less = (n - 1) * s1 + (m - 1) * s2, n * s1 + m * s2, total - 1
    apart, factor = "the distance *between* the means is spread too", "the outer product weighs"
    slips = {
        within / less: f"the covariances are averaged: {apart}",
        within / (total - 2): f"that is the *pooled* covariance, within the batches: {apart}",
        (s1 + s2) / 2: f"the mean of the covariances: the larger batch weighs more, and {apart}",
        s1 + s2: "the covariances are added: add the scatter matrices, n - 1 times each",
        counted / total: f"the weights are n/(n+m), and {apart}",
        (counted + outer * share) / less: "a covariance times n - 1 is the scatter, not times n",
        (counted + outer * share) / total: "divided by counts: the scatter is n - 1 times a"
        " covariance, and the covariance of N samples has N - 1",
        right * less / total: "divided by the count: the covariance of N samples has N - 1",
        right * less / (total - 2): "divided by N - 2: there is one common mean, so N - 1",
        (within + outer) / less: f"{factor} n·m/(n + m), not 1",
        (within + outer * n * m) / less: f"{factor} n·m/(n + m), not n·m",
        (within + outer * total) / less: f"{factor} n·m/(n + m), not n + m",
        (within + outer * share / total) / less: f"{factor} n·m/(n + m), divided once, not twice",
        (within - outer * share) / less: "the outer product is subtracted: spread adds",
        (within + (m2 - m1).square() * share) / less: "squares are no matrix: torch.outer",
        right * less: "that is the scatter matrix: divide by N - 1",
    }
    equal(cov, right, "the mean is right; the covariance", slips, "Hint 2")


@check("9.3", "right, and negative where chance has it so")
def kernel_distance(answer: Answer) -> None:
    """`answer(real, fake)`: unbiased MMD² with the kernel (x.y/d + 1)³, all samples."""
    x, y = draw(7, 6, 3), draw(8, 8, 3) + 2

    def unbiased(k: Tensor) -> Tensor:
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))

    def value(own: Callable[[Tensor], Tensor] = unbiased, cross: float = 2.0, scale: float = 3,
              power: int = 3, one: float = 1, between: Callable[[Tensor], Tensor] = torch.mean
              ) -> Tensor:  # fmt: skip
        xx, yy, xy = ((a @ b.T / scale + one) ** power for a, b in ((x, x), (y, y), (x, y)))
        return own(xx) + own(yy) - cross * between(xy)

    right = value()
    slips: Slips = {
        value(torch.mean): "the diagonal is in the means: a sample paired with itself gives a bias",
        value(lambda k: unbiased(k) * (1 - 1 / len(k))): "the diagonal is gone from the sum, but"
        " the divisor still counts it: n(n - 1) pairs",
        value(lambda k: k.mean() / (1 - 1 / len(k))): "the diagonal is still in the sum",
        value(lambda k: unbiased(k) / 2): "i < j are n(n - 1)/2 pairs: once in both, or twice",
        value(lambda k: k.sum() - k.trace(), between=torch.sum): "sums: divide by the pairs",
        value(between=lambda k: k.mean() * 8 / 7): "between the sets *all* n·m pairs count",
        value(between=lambda k: (k.sum() - k.trace()) / (k.numel() - len(k))): "between the sets no"
        " sample meets itself: *all* pairs count",
        value(scale=1): "the inner product must be divided by the number of features",
        value(scale=3**0.5): "divided by the root of the number of features: by d itself",
        value(one=0): "the kernel has lost its + 1",
        value(cross=1): "the cross term counts twice",
        value(cross=0): "the cross term is missing",
        value(cross=-2): "the cross term has the wrong sign",
        value(power=2): "the kernel is of degree 2, not 3",
        value(power=1): "the kernel is linear: the third power is missing",
        -right: "minus the right value",
        right.abs().sqrt(): "no root: an unbiased estimate may be negative",
    }
    equal(answer(x.clone(), y.clone()), right, "your distance", slips, "Hint 2")
    for seed in range(9, 99):  # until chance has it below 0
        x, y = draw(seed, 40, 2).chunk(2)
        below = kid(x, y, subsets=1, subset_size=20).value
        if below < 0:
            break
    found = number(answer(x, y), "the distance")
    slips = {when(below < 0 <= found): "right, until it is negative: do not clip, that is a bias"}
    equal(found, below, "on two sets of one distribution your distance", slips)


def _shares(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    found = prdc(real, fake, k)
    return found.density, found.coverage


@check("9.4", "right: balls around real samples, counted and covered")
def density_coverage(answer: Answer) -> None:
    """`answer(real, fake, k)` is the pair (density, coverage)."""
    real, fake, k = draw(10, 30, 2), 0.7 * draw(11, 21, 2) + 0.3, 3
    d, c = numbers(answer(real.clone(), fake.clone(), k), "the density", "the coverage")
    density, coverage = right = _shares(real, fake, k)
    inside, near = prdc(real, fake, k), _shares(real, fake, k - 1)
    small = "the radii are too small by one: each point is its own nearest, at distance 0"
    slips: Slips = {
        (near[0] * (k - 1) / k, near[1]): small,
        near: small,
        _shares(fake, real, k): "the balls stand around the generated samples, not the real ones",
        (coverage, density): "the pair is (density, coverage), not the other way round",
        (inside.precision, inside.recall): "that is precision and recall",
        (density * k, coverage): "the density is not divided by k",
        (density * len(fake) / len(real), coverage): "the density counts pairs per generated"
        " sample: divide by k and by their number, not by that of the real ones",
        (density, inside.precision): "the coverage is a share of *real* balls",
        when(not close(d, density)): f"your density is {d:.4f}, right is {density:.4f}",
        ...: f"your coverage is {c:.4f}, right is {coverage:.4f}",
    }
    equal((d, c), right, "the pair", slips)


@check("9.5", "right, for any spectrum")
def gaussian_floor(answer: Answer) -> None:
    """`answer(eigenvalues, n)`: the floor of two Gaussian samples of n each."""
    values, n = torch.tensor(vary([4.0, 1.0, 0.25]), dtype=F64), 100
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
        s / 3 * (3 * 4 / 2 + 6) / n: "right for equal eigenvalues only, with their mean",
    }
    equal(answer(values.clone(), n), right, "your floor", slips)
    again, what = answer(torch.ones(5, dtype=F64), 10), "for the identity in five dimensions it"
    equal(again, (5 * 6 / 2 + 10) / 10, what)


@check("9.6")
def raters(answer: Answer) -> str:
    """`answer(delta, spread, each, power)`: raters needed for a study."""
    normal = NormalDist()

    def study(delta: float, spread: float, each: int, power: float, side: float = 0.975) -> float:
        z = normal.inv_cdf(side) + normal.inv_cdf(power)
        return (z / delta) ** 2 * (spread**2 + (0.25 - spread**2) / each)

    (delta, spread, power), each = vary(0.05, 0.1, 0.8), 40
    case = delta, spread, each, power
    shown = f"({delta:.3g}, {spread:.3g}, {each}, {power:.3g})"
    exact = study(*case)
    found, right = number(answer(*case), "the number of raters"), math.ceil(exact)
    z = normal.inv_cdf(0.975) + normal.inv_cdf(power)
    square, own, both = (z / delta) ** 2, spread**2, spread**2 + (0.25 - spread**2) / each

    def is_(value: float) -> when:
        return when(close(found, value) or found == math.ceil(value))

    judgements = "that is the number of *judgements*: who answers 40 times is still one rater"
    slips: Slips = {
        math.ceil(square * (own + 0.25 / each)): "nearly: the spread of the raters is part of the"
        " variance 1/4 of one answer, so only 1/4 - spread² is left to be averaged away: Hint 2",
        right * each: judgements,
        is_(exact * each): judgements,
        is_(square * 0.25 / each): "raters who all have one rate: their own spread is missing",
        is_(square * own): "the number of answers each gives does not come in: with endless answers"
        " only the spread would be left",
        is_(square * 0.25): "one answer a rater: `each` is missing",
        is_(study(*case, side=0.95)): "the test is two-sided: 2.5 % on either side",
        is_(study(delta, spread, each, 0.5)): "the power is missing: so half of the studies fail",
        is_(square * (spread + (0.5 - spread) / each)): "variances count, not standard deviations",
        is_(z / delta * both): "the standard error falls with the *root*: square the quotient",
        is_(exact): "right before rounding: there is no part of a rater, round *up*",
        ...: f"for {shown} you ask for {found:g} raters, right is {right}",
    }
    equal(found, right, "the number", slips)
    more = (0.1, 0.0, 1, 0.9), (0.02, 0.05, 200, 0.8), (0.02, 0.1, 3, 0.8)
    for other in vary(*more, by=0.05):
        slips = {...: f"right for {shown}, but for {other} it is {math.ceil(study(*other))}"}
        equal(answer(*other), math.ceil(study(*other)), "the number", slips, within=1e-6)
    return f"right: {right} raters for that study"
