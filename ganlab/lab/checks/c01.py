"""Checks of chapter 1, *Generative models*: each names the likely slip."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import draw, parts
from ganlab.lab.checks.words import F64, Slips, close, equal, need, refuse, when


def _tensor(value: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """`value` as a float64 tensor of that shape, or a diagnosis."""
    kind = type(value).__name__
    need(isinstance(value, Tensor), f"{what} must be a tensor; you returned {kind}")
    own = tuple(value.shape)
    need(own == shape, f"{what} must have the shape {shape}; yours has {own}")
    return value.detach().double()


@check("1.1", "right: your samples' distribution function is within 0.005 of x²")
def transform(generator: Answer) -> None:
    """A map of uniform numbers whose samples have the density 2x on [0, 1]."""
    u = (torch.arange(10_000, dtype=F64) + 0.5) / 10_000
    drawn = _tensor(generator(u.clone()), (10_000,), "the samples")
    again = generator(u.clone()).detach().double()
    x = drawn.sort().values
    gap = (x.clamp(0, 1) ** 2 - u).abs()
    at = int(gap.argmax())
    slips = {
        when(not torch.equal(drawn, again)): "the same u gave two different samples: a generator"
        " has no dice of its own, all chance comes in through u",
        when(not x.isfinite().all()): "some samples are not finite: look at u close to 0 and close"
        " to 1",
        u: "you returned u itself: these samples are uniform on [0, 1], as many near 0 as near 1",
        u**2: "u² is the distribution function F, and these samples crowd near 0; the generator is"
        " its inverse (Hint 2)",
        2 * u: "2u is the density put in place of a sample: half of these samples lie above 1,"
        " where there is no data",
        when(x[0] < -1e-6 or x[-1] > 1 + 1e-6): f"samples run from {x[0]:.2f} to {x[-1]:.2f}; the"
        " density is 0 outside of [0, 1]",
        when(gap.max() > 0.005): f"a share of {u[at]:.2f} of your samples lies below {x[at]:.2f};"
        f" it should be {x[at] ** 2:.2f} (Hint 1)",
    }
    refuse(slips, x, 1e-3)


@check("1.2", "right: 2 of 4 modes found and 4 of 6 samples good in the test case")
def modes(score: Answer) -> None:
    """Modes found and share of good samples, on a case where every slip counts differently."""
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    places = [(0, 0.2), (0, 0.7), (0, 1.3), (1, 1.3), (2, 2.0), (3, 4.0)]
    samples = torch.stack([centers[k] + torch.tensor([d, 0.0]) for k, d in places])
    what = "return two things: the number of modes found and the share of good samples"
    found, good = (float(value) for value in parts(score(samples, centers, 0.5), 2, what))
    slips = {
        (4 / 6, 2): "the two numbers are right and in the wrong order: modes found first",
        when(close(good, 200 / 3)): "return the share as a number between 0 and 1, not in percent",
        when(good == 4): "4 is the number of good samples; divide by the number of samples",
        when(close(good, 1 / 6)): "you call a sample good within one standard deviation; the"
        " protocol says three",
        when(close(good, 2 / 6)): "you compare a squared distance with 3·std: take the root, or"
        " compare with (3·std)²",
        (4, 4 / 6): "you count a mode as soon as some sample is nearest to it; it needs a *good*"
        " sample (Hint 2)",
        when(close(good, 1)): "you call every sample good; it must lie within 3·std of its nearest"
        " centre",
        ...: "in the test case 2 modes are found and 0.667 of the samples are good; you return"
        f" {found:g} and {good:.3f} (Hint 1)",
    }
    equal((found, good), (2, 4 / 6), slips, 5e-5)


def _mixture(x: Tensor, centers: Tensor, std: float) -> tuple[Tensor, Slips]:
    """The log density of the mixture and what the usual slips make of it."""
    d, k = centers.shape[1], len(centers)
    square = torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    core = -square / (2 * std**2)
    one, count = -0.5 * math.log(2 * math.pi * std**2), math.log(k)
    right = core.logsumexp(1) + d * one - count
    return right, {
        right + count: "your density integrates to the number of modes: each has the weight 1/K"
        " (Hint 1)",
        right - d * one: "the constant in front of each Gaussian is missing",
        right + count - d * one: "the weight 1/K and the constant in front of each Gaussian are"
        " missing",
        right - (d - 1) * one: "your constant is that of a Gaussian on a line; in d dimensions it"
        " is its d-th power (Hint 2)",
        (2 * core).logsumexp(1) + d * one - count: "the exponent is the squared distance over"
        " 2·std², you divide by std²",
        core.amax(1) + d * one - count: "you take the nearest mode alone; where modes overlap all"
        " of them count (Hint 3)",
        core.mean(1) + d * one: "you average the modes' logarithms; wanted is the logarithm of the"
        " average (Hint 3)",
        (core + d * one).sum(1): "you add the modes' log densities, which multiplies the"
        " densities; a mixture adds the densities (Hint 3)",
        right.exp(): "this is the density; return its logarithm",
        ...: f"in {d} dimensions your log density is off by up to {{off:.3g}} (Hint 1)",
    }


@check("1.3", "right, in two and three dimensions, and finite 200 standard deviations away")
def mixture(log_density: Answer) -> None:
    """The log density of an equal mixture, exact where modes overlap and finite far away."""
    rng = torch.Generator().manual_seed(0)
    for d in (2, 3):
        centers, x = draw(rng, 3, d), draw(rng, 50, d)
        value = _tensor(log_density(x, centers, 0.8), (50,), "the log density of 50 points")
        equal(value, *_mixture(x, centers, 0.8), 1e-4)
    centers, x = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.5, 0.0]])
    value = _tensor(log_density(x, centers, 0.01), (2,), "the log density of 2 points")
    slips = {
        when(not value.isfinite().all()): f"far from every mode you return {value[0].item():g}:"
        " exp() has become 0 there. Stay with logarithms: torch.logsumexp (Hint 3)",
        ...: "far from every mode the value is finite and wrong: do not clamp, use logsumexp",
    }
    equal(value, _mixture(x, centers, 0.01)[0], slips, 1e-3)


@check("1.4", "right: 0.7 in the test case")
def copies(copied: Answer) -> None:
    """Share of samples that lie nearer to the training set than to the test set."""
    train = torch.tensor([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0], [50.0, 50.0]])
    test = torch.tensor([[2.0, 0.0], [6.0, 0.0], [10.0, 0.0], [10.5, 0.0]])
    at = [0.1, 3.9, 4.2, 7.9, 8.1, 0.2, 4.05, 2.1, 9.9, 6.05]  # seven of ten near a training point
    samples = torch.stack([torch.tensor([t, 0.0]) for t in at])
    share = copied(samples, train, test)
    need(share is not None, "your function returns nothing: end it with `return` and the share")
    shape = tuple(getattr(share, "shape", ()))
    need(not shape, f"return one number, the share; you returned a tensor of shape {shape}")
    one, two = torch.cdist(samples, train), torch.cdist(samples, test)
    slips = {
        0.3: "you count the samples nearer to the *test* set: swap the comparison",
        70: "return the share as a number between 0 and 1, not in percent",
        7: "7 is the number of such samples; divide by the number of samples",
        (one.amin(0) < two.amin(0)).double().mean(): "you take the minimum over the samples, one"
        " for each data point; the question is about each sample: minimum over dim=1 (Hint 1)",
        (one.mean(1) < two.mean(1)).double().mean(): "you compare mean distances to each set; take"
        " the distance to the nearest point",
        ...: "in the test case the share is 0.7; you return {found:.3g} (Hint 1)",
    }
    equal(float(share), 0.7, slips, 5e-4)


@check("1.5")
def ancestral(choose: Answer) -> str:
    """Ancestral sampling from a table, by the total variation to the table."""
    joint = torch.tensor([[0.2, 0, 0, 0.05], [0, 0.3, 0.05, 0], [0.05, 0, 0.35, 0]])
    n = 20_000
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        pairs = choose(joint.clone(), n)
        torch.manual_seed(2)
        other = choose(joint.clone(), n)
    shape = tuple(pairs.shape) if isinstance(pairs, Tensor) else type(pairs).__name__
    what = "return a tensor of shape (n, 2), row and column of each draw; got"
    need(shape == (n, 2), f"{what} {shape}")
    row, column = pairs.long().T
    least, most = min(row.min(), column.min()), (row.max(), column.max())
    slips: Slips = {
        when(least >= 0 and 2 < most[0] <= 3 and most[1] <= 2): "rows and columns are swapped: the"
        " first number of each pair is the row",
        when(least < 0 or most[0] > 2 or most[1] > 3): "an index lies outside of the table: rows 0"
        " to 2, columns 0 to 3",
        when(torch.equal(pairs.long(), other.long())): "two calls gave the same pairs: both"
        " choices must be drawn",
    }
    refuse(slips)
    share = torch.zeros(3, 4).index_put_((row, column), torch.full((n,), 1 / n), accumulate=True)

    def apart(table: Tensor) -> float:
        return 0.5 * float((share - table).abs().sum())

    rows = joint.sum(1, keepdim=True)
    likeliest = (rows == rows.max()) * joint / rows.max()
    tables = {
        rows * joint.sum(0): "rows and columns are right one by one, and drawn independently: the"
        " column's chances depend on the row that was drawn (Hint 2)",
        one_hot(joint.argmax(1), 4) * rows: "the column is always the most probable one of its"
        " row: draw it (Hint 3)",
        likeliest: "the row is always the most probable one: draw it",
        joint / rows / 3: "rows come out equally often; they have the chances joint.sum(1)"
        " (Hint 1)",
        rows.expand(3, 4) / 4: "columns are drawn without a look at the table",
    }
    off = apart(joint)
    slips = {when(apart(table) < 0.02): diagnosis for table, diagnosis in tables.items()} | {
        when(lambda: not any(column[row == k].float().std() for k in range(3))): "each row always"
        " brings the same column: draw a column for every sample",
        ...: f"your pairs are {off:.2f} from the table in total variation; below 0.02 is"
        " right with this many draws (Hint 1)",
    }
    if off >= 0.02:
        refuse(slips)
    return f"right: {off:.3f} from the table in total variation, with {n:,} draws"
