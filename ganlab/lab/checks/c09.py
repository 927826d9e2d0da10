"""Checks of chapter 9, evaluation: each plays the reader's score and names usual slips."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import number
from ganlab.metrics import kid, prdc


def _draw(seed: int, *shape: int) -> Tensor:
    """Normal numbers in float64."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _named(found: float, right: float, wrong: dict[str, float], what: str) -> None:
    """Raise with the diagnosis of the wrong value that was found."""
    if math.isclose(found, right, rel_tol=1e-6, abs_tol=1e-9):
        return
    for diagnosis, value in wrong.items():
        if math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-9):
            raise Fail(diagnosis)
    raise Fail(f"{what} is {found:.5f}, right is {right:.5f}")


@check("9.1")
def diagonal(answer: Answer) -> str:
    """`answer(mean1, std1, mean2, std2)`: squared Fréchet distance, independent features."""
    m1, m2 = _draw(1, 4), _draw(2, 4)
    s1, s2 = _draw(3, 4).abs() + 0.2, _draw(4, 4).abs() + 0.2
    found = number(answer(m1.clone(), s1.clone(), m2.clone(), s2.clone()), "the distance")
    shift, width = (m1 - m2).square().sum(), (s1 - s2).square().sum()
    v1, v2 = s1.square(), s2.square()
    wrong = {
        "only the means: two clouds of one centre and different width are not equal": shift,
        "only the widths: the means are missing": width,
        "that is the distance; FID is its *square*": (shift + width).sqrt(),
        "the variances are compared: insert the standard deviations' squares into the trace"
        " formula and complete the square": shift + (v1 - v2).square().sum(),
        "the difference of the means is not squared": (m1 - m2).norm() + width,
        "the last term has lost its 2": shift + (v1 + v2 - s1 * s2).sum(),
        "the root of the product is missing: Σ₁Σ₂ is the product of the *variances*": shift
        + (v1 + v2 - 2 * v1 * v2).sum(),
        "averaged over the features: FID adds": (shift + width) / 4,
    }
    _named(found, float(shift + width), {k: float(v) for k, v in wrong.items()}, "your distance")
    return "right: means and standard deviations, each squared and added"


@check("9.2")
def merge(answer: Answer) -> str:
    """`answer(n1, m1, s1, n2, m2, s2)`: count, mean and covariance of two batches together."""
    x, y = _draw(5, 7, 3), 2 * _draw(6, 12, 3) + torch.tensor([1.0, -2.0, 0.5])
    n, m = len(x), len(y)
    both = torch.cat([x, y])
    reply = answer(n, x.mean(0), torch.cov(x.T), m, y.mean(0), torch.cov(y.T))
    if not isinstance(reply, tuple | list) or len(reply) != 3:
        raise Fail("return three things: the count, the mean, the covariance")
    if any(part is ... for part in reply):
        raise NotImplementedError
    _named(number(reply[0], "the count"), n + m, {}, "your count")
    mean, cov = (torch.as_tensor(part, dtype=torch.float64) for part in reply[1:])
    if mean.shape != (3,) or cov.shape != (3, 3):
        raise Fail(f"mean and covariance must be (3,) and (3, 3), not {tuple(mean.shape)} and"
                   f" {tuple(cov.shape)}")  # fmt: skip
    if not torch.allclose(mean, both.mean(0)):
        if torch.allclose(mean, (x.mean(0) + y.mean(0)) / 2):
            raise Fail("the mean of the means: the larger batch must weigh more")
        raise Fail(f"your mean is {mean.tolist()}, right is {both.mean(0).tolist()}")
    s1, s2 = torch.cov(x.T), torch.cov(y.T)
    d = y.mean(0) - x.mean(0)
    outer, total = torch.outer(d, d), n + m
    right = torch.cov(both.T)
    wrong = {
        "the covariances are averaged: the distance *between* the means is spread too": (
            (n - 1) * s1 + (m - 1) * s2
        )
        / (total - 1),
        "the distance between the means is missing, and the weights are n/(n+m)": (n * s1 + m * s2)
        / total,
        "a covariance times n - 1 is the scatter, not times n": (
            n * s1 + m * s2 + outer * n * m / total
        )
        / (total - 1),
        "divided by the count: the covariance of N samples has N - 1": right * (total - 1) / total,
        "the outer product has the weight n·m/(n + m), not 1": ((n - 1) * s1 + (m - 1) * s2 + outer)
        / (total - 1),
        "that is the scatter matrix: divide by N - 1": right * (total - 1),
    }
    if not torch.allclose(cov, right):
        for diagnosis, value in wrong.items():
            if torch.allclose(cov, value):
                raise Fail(diagnosis)
        raise Fail(f"the mean is right; the covariance is off by up to"
                   f" {(cov - right).abs().max():.3f}")  # fmt: skip
    return "right: exactly the statistics of all samples together"


@check("9.3")
def kernel_distance(answer: Answer) -> str:
    """`answer(real, fake)`: unbiased MMD² with the kernel (x.y/d + 1)³, all samples."""
    x, y = _draw(7, 6, 3), _draw(8, 8, 3) + 2
    d = x.shape[1]

    def cube(a: Tensor, b: Tensor, scale: float = d, power: int = 3) -> Tensor:
        return (a @ b.T / scale + 1) ** power

    def value(k: Callable[..., Tensor], own: bool = False, cross: float = 2.0,
              gap: bool = False) -> float:  # fmt: skip
        kx, ky, kxy = k(x, x), k(y, y), k(x, y)
        n, m = len(x), len(y)
        if own:
            within = kx.mean() + ky.mean()
        else:
            within = (kx.sum() - kx.trace()) / (n * (n - 1))
            within = within + (ky.sum() - ky.trace()) / (m * (m - 1))
        mean = kxy.mean()
        if gap:
            within = (kx.sum() - kx.trace()) / n**2 + (ky.sum() - ky.trace()) / m**2
        return float(within - cross * mean)

    found = number(answer(x.clone(), y.clone()), "the distance")
    right = value(cube)
    wrong = {
        "the diagonal is in the means: a sample paired with itself makes the estimate biased": (
            value(cube, own=True)
        ),
        "the diagonal is gone from the sum, but the divisor still counts it: n(n - 1) pairs": (
            value(cube, gap=True)
        ),
        "the inner product must be divided by the number of features": value(
            lambda a, b: cube(a, b, 1)
        ),
        "the cross term counts twice": value(cube, cross=1.0),
        "the kernel is of degree 2, not 3": value(lambda a, b: cube(a, b, power=2)),
        "minus the right value": -right,
        "no root: an unbiased estimate may be negative": math.sqrt(abs(right)),
    }
    _named(found, right, wrong, "your distance")
    x, y = _draw(9, 40, 2).chunk(2)
    below = kid(x, y, subsets=1, subset_size=20).value
    found = number(answer(x, y), "the distance")
    if below < 0 and found >= 0:
        raise Fail("right, until it is negative: do not clip, or the mean is biased after all")
    _named(found, below, {}, "on two sets of one distribution your distance")
    return "right, and negative where chance has it so"


def _shares(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    found = prdc(real, fake, k)
    return found.density, found.coverage


@check("9.4")
def density_coverage(answer: Answer) -> str:
    """`answer(real, fake, k)` is the pair (density, coverage)."""
    real, fake, k = _draw(10, 30, 2), 0.7 * _draw(11, 21, 2) + 0.3, 3
    reply = answer(real.clone(), fake.clone(), k)
    if not isinstance(reply, tuple | list) or len(reply) != 2:
        raise Fail("return a pair: density, coverage")
    if any(part is ... for part in reply):
        raise NotImplementedError
    d, c = number(reply[0], "the density"), number(reply[1], "the coverage")
    density, coverage = _shares(real, fake, k)
    swapped, inside = _shares(fake, real, k), prdc(real, fake, k)

    def is_(a: float, b: float) -> bool:
        return math.isclose(d, a, abs_tol=1e-9) and math.isclose(c, b, abs_tol=1e-9)

    if not is_(density, coverage):
        near = _shares(real, fake, k - 1)
        if is_(near[0] * (k - 1) / k, near[1]) or is_(*near):
            raise Fail("the radii are too small by one neighbour: each point is its own nearest"
                       " neighbour, at distance 0")  # fmt: skip
        wrong = {
            "the balls stand around the generated samples: these two use real ones only": swapped,
            "the pair is (density, coverage), not the other way round": (coverage, density),
            "that is precision and recall": (inside.precision, inside.recall),
            "the density is not divided by k": (density * k, coverage),
            "the density counts pairs per generated sample: divide by k and by their number, not"
            " by that of the real ones": (density * len(fake) / len(real), coverage),
            "the coverage is a share of *real* balls": (density, inside.precision),
        }
        for diagnosis, value in wrong.items():
            if is_(*value):
                raise Fail(diagnosis)
        for name, mine, right in (("density", d, density), ("coverage", c, coverage)):
            if not math.isclose(mine, right, abs_tol=1e-9):
                raise Fail(f"your {name} is {mine:.4f}, right is {right:.4f}")
    return "right: balls around real samples, counted and covered"


def _floor(values: Tensor, n: int) -> float:
    """The floor of section 5 for a Gaussian with these variances."""
    pairs = values[:, None] * values / (2 * (values[:, None] + values))
    return 2 / n * float(values.sum() + pairs.sum() + pairs.trace())


@check("9.5")
def gaussian_floor(answer: Answer) -> str:
    """`answer(eigenvalues, n)`: the floor of two Gaussian samples of n each."""
    values, n = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64), 100
    found = number(answer(values.clone(), n), "the floor")
    pairs = values[:, None] * values / (2 * (values[:, None] + values))
    own, all_ = float(pairs.trace()), float(pairs.sum())
    s = float(values.sum())
    right = _floor(values, n)
    wrong = {
        "only one sample's half: both are finite": right / 2,
        "the means are missing": 2 / n * (all_ + own),
        "the covariances are missing: only the means are counted": 2 / n * s,
        "on the diagonal the variance of a square is twice that of a product": 2 / n * (s + all_),
        "pairs i ≠ j are missing, and they are most of it": 2 / n * (s + 2 * own),
        "each pair i ≠ j stands twice in the double sum": 2 / n * (s + 2 * own + (all_ - own) / 2),
        "the denominator is 2 (λi + λj): a factor 2 is missing": 2 / n * (s + 2 * (all_ + own)),
        "only right if all eigenvalues are equal: that is the closed form with the mean variance": (
            s / 3 * (3 * 4 / 2 + 6) / n
        ),
    }
    _named(found, right, wrong, "your floor")
    again = number(answer(torch.ones(5, dtype=torch.float64), 10), "the floor")
    _named(again, (5 * 6 / 2 + 10) / 10, {}, "for the identity in five dimensions your floor")
    return "right, for any spectrum"


@check("9.6")
def raters(answer: Answer) -> str:
    """`answer(delta, spread, each, power)`: raters needed for a study."""
    normal = NormalDist()

    def exact(delta: float, spread: float, each: int, power: float) -> float:
        z = normal.inv_cdf(0.975) + normal.inv_cdf(power)
        return (z / delta) ** 2 * (spread**2 + (0.25 - spread**2) / each)

    case = (0.05, 0.1, 40, 0.8)
    found = number(answer(*case), "the number of raters")
    delta, spread, each, power = case
    right = math.ceil(exact(*case))
    z = normal.inv_cdf(0.975) + normal.inv_cdf(power)
    one_sided = normal.inv_cdf(0.95) + normal.inv_cdf(power)
    slips = {
        "that many *judgements*, not raters: who answers 40 times is still one rater": (
            exact(*case) * each
        ),
        "raters who all have the same rate: their own spread is missing": (z / delta) ** 2
        * 0.25
        / each,
        "the number of answers each gives does not come in: with endless answers only the spread"
        " would be left": (z / delta) ** 2 * spread**2,
        "one answer a rater: `each` is missing": (z / delta) ** 2 * 0.25,
        "the test is two-sided: 2.5 % on either side": (one_sided / delta) ** 2
        * (spread**2 + (0.25 - spread**2) / each),
        "the power is missing: this is where the test rejects in half of the studies": (
            normal.inv_cdf(0.975) / delta
        )
        ** 2
        * (spread**2 + (0.25 - spread**2) / each),
        "the variances count, not the standard deviations": (z / delta) ** 2
        * (spread + (0.5 - spread) / each),
        "the standard error falls with the *root* of the number: square the quotient": (z / delta)
        * (spread**2 + (0.25 - spread**2) / each),
    }  # fmt: skip
    double = math.ceil((z / delta) ** 2 * (spread**2 + 0.25 / each))
    if math.isclose(found, double, abs_tol=1e-6) and double != right:
        raise Fail("nearly: the spread of the raters is part of the variance 1/4 of one answer, so"
                   " only 1/4 - spread² is left to be averaged away: Hint 2")  # fmt: skip
    if math.isclose(found, right * each):
        raise Fail("that is the number of *judgements*: who answers 40 times is still one rater")
    if not math.isclose(found, right, abs_tol=1e-6):
        for diagnosis, value in slips.items():
            if math.isclose(found, value, rel_tol=1e-6) or found == math.ceil(value):
                raise Fail(diagnosis)
        if math.isclose(found, exact(*case), rel_tol=1e-6):
            raise Fail("right before rounding: there is no part of a rater, round *up*")
        raise Fail(f"for {case} you ask for {found:g} raters, right is {right}")
    for other in ((0.1, 0.0, 1, 0.9), (0.02, 0.05, 200, 0.8)):
        if not math.isclose(number(answer(*other), "the number"), math.ceil(exact(*other))):
            raise Fail(f"right for {case}, but for {other} it is {math.ceil(exact(*other))}")
    return f"right: {right} raters for that study"
