"""Checks of chapter 1, *Generative models*: each names the likely slip."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ganlab.lab.checks import Fail, check


def _tensor(value: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """`value` as a float64 tensor of that shape, or a diagnosis."""
    if not isinstance(value, Tensor):
        raise Fail(f"{what} must be a tensor; you returned {type(value).__name__}")
    if tuple(value.shape) != shape:
        raise Fail(f"{what} must have the shape {shape}; yours has {tuple(value.shape)}")
    return value.detach().double()


def _match(value: Tensor, slips: Mapping[str, Tensor | float], tolerance: float) -> None:
    """Raise the diagnosis of the first known slip that gives `value`."""
    for diagnosis, wrong in slips.items():
        other = torch.as_tensor(wrong, dtype=torch.float64)
        if torch.allclose(value, other.expand_as(value), rtol=tolerance, atol=tolerance):
            raise Fail(diagnosis)


@check("1.1")
def _(generator: Callable[[Tensor], Tensor]) -> str:
    """A map of uniform numbers whose samples have the density 2x on [0, 1]."""
    n = 10_000
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    x = _tensor(generator(u.clone()), (n,), "the samples")
    again = generator(u.clone()).detach().double()
    if not torch.equal(x, again):
        raise Fail(
            "the same u gave two different samples: a generator has no dice of its own, all chance"
            " comes in through u"
        )
    if not x.isfinite().all():
        raise Fail("some samples are not finite: look at u close to 0 and close to 1")
    x = x.sort().values
    slips = {
        "you returned u itself: these samples are uniform on [0, 1], as many near 0 as near 1": u,
        "u² is the distribution function F, and these samples crowd near 0; the generator is its"
        " inverse (Hint 2)": u**2,
        "2u is the density put in place of a sample: half of these samples lie above 1, where"
        " there is no data": 2 * u,
    }
    _match(x, slips, 1e-3)
    if x[0] < -1e-6 or x[-1] > 1 + 1e-6:
        raise Fail(
            f"samples run from {x[0]:.2f} to {x[-1]:.2f}; the density is 0 outside of [0, 1]"
        )
    gap = float((x.clamp(0, 1) ** 2 - u).abs().max())
    if gap > 0.005:
        worst = int((x.clamp(0, 1) ** 2 - u).abs().argmax())
        raise Fail(
            f"a share of {u[worst]:.2f} of your samples lies below {x[worst]:.2f}; it should be"
            f" {x[worst] ** 2:.2f} (Hint 1)"
        )
    return "right: your samples' distribution function is within 0.005 of x²"


@check("1.2")
def _(score: Callable[[Tensor, Tensor, float], tuple[int, float]]) -> str:
    """Modes found and share of good samples, on a case where every slip counts differently."""
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    places = [(0, 0.2), (0, 0.7), (0, 1.3), (1, 1.3), (2, 2.0), (3, 4.0)]
    samples = torch.stack([centers[k] + torch.tensor([d, 0.0]) for k, d in places])
    answer = score(samples, centers, 0.5)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Fail("return two things: the number of modes found and the share of good samples")
    found, good = (float(value) for value in answer)
    if (found, round(good, 4)) == (2.0, 0.6667):
        return "right: 2 of 4 modes found and 4 of 6 samples good in the test case"
    if abs(good - 2) < 1e-6 and abs(found - 4 / 6) < 1e-3:
        raise Fail("the two numbers are right and in the wrong order: modes found first")
    if abs(good - 66.6667) < 0.01:
        raise Fail("return the share as a number between 0 and 1, not in percent")
    if good == 4:
        raise Fail("4 is the number of good samples; divide by the number of samples")
    if abs(good - 1 / 6) < 1e-3:
        raise Fail("you call a sample good within one standard deviation; the protocol says three")
    if abs(good - 2 / 6) < 1e-3:
        raise Fail(
            "you compare a squared distance with 3·std: take the root, or compare with (3·std)²"
        )
    if found == 4 and abs(good - 4 / 6) < 1e-3:
        raise Fail(
            "you count a mode as soon as some sample is nearest to it; it needs a *good* sample"
            " (Hint 2)"
        )
    if abs(good - 1) < 1e-6:
        raise Fail("you call every sample good; it must lie within 3·std of its nearest centre")
    raise Fail(
        f"in the test case 2 modes are found and 0.667 of the samples are good; you return"
        f" {found:g} and {good:.3f} (Hint 1)"
    )


def _mixture(x: Tensor, centers: Tensor, std: float) -> dict[str, Tensor]:
    """The log density of the mixture and what the usual slips make of it."""
    d, k = centers.shape[1], len(centers)
    square = torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    core = -square / (2 * std**2)
    one = -0.5 * math.log(2 * math.pi * std**2)
    right = core.logsumexp(1) + d * one - math.log(k)
    return {
        "right": right,
        "no_count": right + math.log(k),
        "no_constant": right - d * one,
        "neither": right + math.log(k) - d * one,
        "one_dimension": right - (d - 1) * one,
        "no_half": (2 * core).logsumexp(1) + d * one - math.log(k),
        "max": core.amax(1) + d * one - math.log(k),
        "mean": core.mean(1) + d * one,
        "sum": (core + d * one).sum(1),
        "plain": right.exp(),
    }


@check("1.3")
def _(log_density: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """The log density of an equal mixture, exact where modes overlap and finite far away."""
    generator = torch.Generator().manual_seed(0)
    slips = {
        "no_count": "your density integrates to the number of modes: each has the weight 1/K"
        " (Hint 1)",
        "no_constant": "the constant in front of each Gaussian is missing",
        "neither": "the weight 1/K and the constant in front of each Gaussian are missing",
        "one_dimension": "your constant is that of a Gaussian on a line; in d dimensions it is its"
        " d-th power (Hint 2)",
        "no_half": "the exponent is the squared distance over 2·std², you divide by std²",
        "max": "you take the nearest mode alone; where modes overlap all of them count (Hint 3)",
        "mean": "you average the modes' logarithms; wanted is the logarithm of the average (Hint"
        " 3)",
        "sum": "you add the modes' log densities, which multiplies the densities; a mixture adds"
        " the densities (Hint 3)",
        "plain": "this is the density; return its logarithm",
    }
    for d in (2, 3):
        centers = torch.randn(3, d, generator=generator, dtype=torch.float64)
        x = torch.randn(50, d, generator=generator, dtype=torch.float64)
        value = _tensor(log_density(x, centers, 0.8), (50,), "the log density of 50 points")
        cases = _mixture(x, centers, 0.8)
        if torch.allclose(value, cases["right"], atol=1e-4):
            continue
        _match(value, {slips[name]: cases[name] for name in slips}, 1e-4)
        gap = float((value - cases["right"]).abs().max())
        raise Fail(f"in {d} dimensions your log density is off by up to {gap:.3g} (Hint 1)")
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    x = torch.tensor([[3.0, 0.0], [0.5, 0.0]])
    value = _tensor(log_density(x, centers, 0.01), (2,), "the log density of 2 points")
    if not value.isfinite().all():
        raise Fail(
            f"far from every mode you return {value[0].item():g}: exp() has become 0 there. Stay"
            " with logarithms: torch.logsumexp (Hint 3)"
        )
    if not torch.allclose(value, _mixture(x, centers, 0.01)["right"].double(), rtol=1e-3):
        raise Fail("far from every mode the value is finite and wrong: do not clamp, use logsumexp")
    return "right, in two and three dimensions, and finite 200 standard deviations away"


@check("1.4")
def _(copied: Callable[[Tensor, Tensor, Tensor], float]) -> str:
    """Share of samples that lie nearer to the training set than to the test set."""
    train = torch.tensor([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0], [50.0, 50.0]])
    test = torch.tensor([[2.0, 0.0], [6.0, 0.0], [10.0, 0.0], [10.5, 0.0]])
    at = [0.1, 3.9, 4.2, 7.9, 8.1, 0.2, 4.05, 2.1, 9.9, 6.05]  # seven of ten near a training point
    samples = torch.stack([torch.tensor([t, 0.0]) for t in at])
    answer = copied(samples, train, test)
    if answer is None:
        raise Fail("your function returns nothing: end it with `return` and the share")
    if isinstance(answer, Tensor) and answer.ndim:
        raise Fail(
            f"return one number, the share; you returned a tensor of shape {tuple(answer.shape)}"
        )
    share = float(answer)
    if abs(share - 0.7) < 1e-3:
        return "right: 0.7 in the test case"
    near_train = torch.cdist(samples, train)
    near_test = torch.cdist(samples, test)
    if abs(share - 0.3) < 1e-3:
        raise Fail("you count the samples nearer to the *test* set: swap the comparison")
    if abs(share - 70) < 1e-3:
        raise Fail("return the share as a number between 0 and 1, not in percent")
    if abs(share - 7) < 1e-3:
        raise Fail("7 is the number of such samples; divide by the number of samples")
    by_column = (near_train.amin(0) < near_test.amin(0)).double().mean()
    if abs(share - float(by_column)) < 1e-3:
        raise Fail(
            "you take the minimum over the samples, one for each data point; the question is about"
            " each sample: minimum over dim=1 (Hint 1)"
        )
    by_mean = (near_train.mean(1) < near_test.mean(1)).double().mean()
    if abs(share - float(by_mean)) < 1e-3:
        raise Fail("you compare mean distances to each set; take the distance to the nearest point")
    raise Fail(f"in the test case the share is 0.7; you return {share:.3g} (Hint 1)")


@check("1.5")
def _(draw: Callable[[Tensor, int], Tensor]) -> str:
    """Ancestral sampling from a table, by the total variation to the table."""
    joint = torch.tensor(
        [[0.20, 0.00, 0.00, 0.05], [0.00, 0.30, 0.05, 0.00], [0.05, 0.00, 0.35, 0.00]]
    )
    n = 20_000
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        pairs = draw(joint.clone(), n)
        torch.manual_seed(2)
        other = draw(joint.clone(), n)
    if not isinstance(pairs, Tensor) or tuple(pairs.shape) != (n, 2):
        shape = tuple(pairs.shape) if isinstance(pairs, Tensor) else type(pairs).__name__
        raise Fail(f"return a tensor of shape (n, 2), row and column of each draw; got {shape}")
    pairs = pairs.long()
    if pairs.min() < 0 or pairs[:, 0].max() > 2 or pairs[:, 1].max() > 3:
        if pairs.min() >= 0 and pairs[:, 1].max() <= 2 and pairs[:, 0].max() <= 3:
            raise Fail("rows and columns are swapped: the first number of each pair is the row")
        raise Fail("an index lies outside of the table: rows 0 to 2, columns 0 to 3")
    if torch.equal(pairs, other.long()):
        raise Fail("two calls gave the same pairs: both choices must be drawn")
    share = torch.zeros(3, 4).index_put_(
        (pairs[:, 0], pairs[:, 1]), torch.full((n,), 1 / n), accumulate=True
    )

    def apart(table: Tensor) -> float:
        return 0.5 * float((share - table).abs().sum())

    if apart(joint) < 0.02:
        return f"right: {apart(joint):.3f} from the table in total variation, with {n:,} draws"
    rows, columns = joint.sum(1), joint.sum(0)
    peak = torch.nn.functional.one_hot(joint.argmax(1), 4) * rows[:, None]
    first_peak = torch.zeros(3, 4)
    first_peak[rows.argmax()] = joint[rows.argmax()] / rows.max()
    slips = {
        "rows and columns are right one by one, and drawn independently: the column's chances"
        " depend on the row that was drawn (Hint 2)": torch.outer(rows, columns),
        "the column is always the most probable one of its row: draw it (Hint 3)": peak,
        "the row is always the most probable one: draw it": first_peak,
        "rows come out equally often; they have the chances joint.sum(1) (Hint 1)": (
            joint / rows[:, None] / 3
        ),
        "columns are drawn without a look at the table": rows[:, None].expand(3, 4) / 4,
    }
    for diagnosis, table in slips.items():
        if apart(table) < 0.02:
            raise Fail(diagnosis)
    one_column = [float((pairs[pairs[:, 0] == k, 1].float()).std()) for k in range(3)]
    if max(one_column) == 0:
        raise Fail("each row always brings the same column: draw a column for every sample")
    raise Fail(
        f"your pairs are {apart(joint):.2f} from the table in total variation; below 0.02 is right"
        " with this many draws (Hint 1)"
    )
