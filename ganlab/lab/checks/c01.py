"""Checks of chapter 1, *Generative models*: each names the likely slip."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import F64, draw, pick, rng, seeded, tensor, vary
from ganlab.lab.checks.words import Slips, equal, refuse, when


@check("1.1", "right: your samples' distribution function is within 0.005 of x²")
def transform(generator: Answer) -> None:
    """A map of uniform numbers whose samples have the density 2x on [0, 1]."""
    n = pick(11, 10_000, 10_999)
    u = (torch.arange(n, dtype=F64) + 0.5) / n
    drawn, again = (tensor(generator(u.clone()), (n,), "the batch of samples") for _ in "12")
    x = drawn.sort().values
    gap = (x.clamp(0, 1) ** 2 - u).abs()
    at = int(gap.argmax())
    slips = {
        when(not x.isfinite().all()): "some samples are not finite: look at u near 0 and near 1",
        when(not torch.equal(drawn, again)): "the same u gave two different samples: a generator"
        " has no dice of its own, all chance comes in through u",
        u: "you returned u itself: these samples are uniform on [0, 1], as many near 0 as near 1",
        u**2: "u² is the distribution function F, and crowds near 0; take its inverse (Hint 2)",
        1 - u.flip(0).sqrt(): "mirrored: 1 - √u has the density 2(1 - x), most near 0; take √u",
        2 * u: "2u is the density, not a sample: half of these lie above 1, where no data are",
        when(x[0] < -1e-6 or x[-1] > 1 + 1e-6): f"samples run from {x[0]:.2f} to {x[-1]:.2f}; the"
        " density is 0 outside of [0, 1]",
        when(gap.max() > 0.005): f"a share of {u[at]:.2f} of your samples lies below {x[at]:.2f};"
        f" it should be {x[at] ** 2:.2f} (Hint 1)",
    }
    refuse(slips, x, 1e-3)


def _flow(x: Tensor, A: Tensor, b: Tensor) -> tuple[Tensor, Slips]:
    """The log density of A z + b at the rows of x, and what the usual slips make of it."""
    z, d = torch.linalg.solve(A, (x - b).T).T, len(b)
    grown, one = torch.linalg.slogdet(A).logabsdet, -0.5 * math.log(2 * math.pi)

    def core(latent: Tensor) -> Tensor:
        return -latent.square().sum(1) / 2

    right = core(z) + d * one - grown
    rows, other = (x - b) @ torch.linalg.inv(A), "this is not the z that each x comes from"
    return right, {
        right + 2 * grown: "the sign of log|det A|: where G stretches, density gets *thin*, so it"
        " is subtracted (Hint 2)",
        right + grown: "this is log p_z(z): the stretching of G, log|det A|, is missing (Hint 2)",
        right - grown: "log|det A| counts once; log det(AAᵀ) is twice that, and enters by its half",
        right - d * one: "the constant of the normal density is missing (Hint 3)",
        right - 2 * d * one: "the sign of the constant: (2π)^(d/2) *divides* the exponential",
        right - (d - 1) * one: "your constant is that of one dimension; it is -d/2·log(2π)",
        right + core(z): "the exponent is -‖z‖²/2, you have -‖z‖² (Hint 3)",
        right.exp(): "this is the density; return its logarithm",
        core((x - b) @ A.T) + d * one - grown: f"{other}: you applied A where its inverse belongs"
        " (Hint 1)",
        core(rows) + d * one - grown: f"{other}: points are rows, and you solved with A transposed"
        " (Hint 1)",
        core(torch.linalg.solve(A, x.T).T) + d * one - grown: f"{other}: subtract b first (Hint 1)",
        core(torch.linalg.solve(A, x.T).T - b) + d * one - grown: f"{other}: subtract b *before*"
        " you solve (Hint 1)",
        core(torch.linalg.solve(A, (x + b).T).T) + d * one - grown: f"{other}: b is subtracted",
        core(x) + d * one - grown: f"{other}, it is x itself: solve A z = x - b (Hint 1)",
    }


@check("1.2", "right: in two and three dimensions, and for a map that mirrors")
def smallest_flow(log_prob: Answer) -> None:
    """The log density of A z + b, with normal z, also where the determinant is negative."""
    source = rng(3)
    for d, stretched in ((2, 1.7), (3, -2.5)):
        A, b, x = draw(source, d, d), draw(source, d), draw(source, 40, d)
        A = A + 2 * torch.eye(d, dtype=F64)
        A[:, 0] *= stretched * A.det().sign()  # the second one mirrors
        right, slips = _flow(x, A, b)
        value = tensor(log_prob(x.clone(), A.clone(), b.clone()), (40,), "the log density")
        negative = bool(A.det() < 0)
        slips = {
            when(negative and not value.isfinite().all()): "right where det A is positive; where A"
            " mirrors, it is negative and has no logarithm: take |det A| (Hint 2)",
            when(not value.isfinite().all()): "some log densities are not finite",
            **slips,
        }
        equal(value, right, f"in {d} dimensions your log density", slips, "Hint 1", 1e-4)


def _mixture(x: Tensor, centers: Tensor, std: float) -> tuple[Tensor, Slips]:
    """The log density of the mixture and what the usual slips make of it."""
    d, k = centers.shape[1], len(centers)
    square = torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    core = -square / (2 * std**2)
    one, weight = -0.5 * math.log(2 * math.pi * std**2), math.log(k)
    scale, right = d * one - weight, core.logsumexp(1) + d * one - weight
    return right, {
        right + weight: "your density integrates to the number of modes: each weighs 1/K",
        right - d * one: "the constant in front of each Gaussian is missing",
        right - scale: "the weight 1/K and the constant in front of each Gaussian are missing",
        right - (d - 1) * one: "your constant is that of a Gaussian on a line; in d dimensions it"
        " is its d-th power (Hint 2)",
        right + d * one: "your constant is squared: (2π·std²) has the power -d/2, not -d (Hint 2)",
        right - 2 * d * one: "the sign of the constant is turned: it *divides* the exponential",
        right + d / 2 * math.log(std): "2π·std² stands in the constant, not 2π·std (Hint 2)",
        (2 * core).logsumexp(1) + scale: "the exponent is the squared distance over 2·std², you"
        " divide by std²",
        core.amax(1) + scale: "the nearest mode alone; where modes overlap all count (Hint 3)",
        core.mean(1) + d * one: "you average logarithms: take the log of the average (Hint 3)",
        (core + d * one).sum(1): "you add the modes' log densities, which multiplies the"
        " densities; a mixture adds the densities (Hint 3)",
        right.exp(): "this is the density; return its logarithm",
    }


@check("1.3", "right, in two and three dimensions, and finite 200 standard deviations away")
def mixture(log_density: Answer) -> None:
    """The log density of an equal mixture, exact where modes overlap and finite far away."""
    source, std = rng(0), vary(0.8)
    for d in (2, 3):
        centers, x = draw(source, 3, d), draw(source, 50, d)
        (right, slips), what = _mixture(x, centers, std), f"in {d} dimensions your log density"
        equal(log_density(x, centers, std), right, what, slips, "Hint 1", 1e-4)
    centers, x = (
        torch.tensor([[0.0, 0.0], [1.0, 0.0]]),
        torch.tensor(vary([[3.0, 0.0], [0.5, 0.0]])),
    )
    value = tensor(log_density(x, centers, 0.01), (2,), "the log density of 2 points")
    slips = {
        when(not value.isfinite().all()): f"far from every mode you return {value[0].item():g}:"
        " exp() has become 0 there. Stay with logarithms: torch.logsumexp (Hint 3)",
        ...: "far from every mode the value is finite and wrong: do not clamp, use logsumexp",
    }
    equal(value, _mixture(x, centers, 0.01)[0], "the log density", slips, within=1e-3)


@check("1.4")
def copies(copied: Answer) -> str:
    """Share of samples that lie nearer to the training set than to the test set."""
    train = torch.tensor([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0], [50.0, 50.0]])
    test = torch.tensor([[2.0, 0.0], [6.0, 0.0], [10.0, 0.0], [10.5, 0.0]])
    at = [0.1, 3.9, 4.2, 7.9, 8.1, 0.2, 4.05, 2.1, 9.9, 6.05]  # seven of ten near a training point
    at = at[pick(14, 0, 3) :]
    samples = torch.tensor([[t, 0.0] for t in vary(at, by=0.02)])
    one, two = torch.cdist(samples, train), torch.cdist(samples, test)
    near = one.amin(1) < two.amin(1)
    share, count = near.double().mean().item(), int(near.sum())
    slips = {
        1 - share: "you count the samples nearer to the *test* set: swap the comparison",
        100 * share: "return the share as a number between 0 and 1, not in percent",
        count: f"{count} is the number of such samples; divide by the number of samples",
        (one.amin(0) < two.amin(0)).double().mean(): "you take the minimum over the samples, one"
        " for each data point; the question is about each sample: minimum over dim=1 (Hint 1)",
        (one.mean(1) < two.mean(1)).double().mean(): "you compare mean distances to each set; take"
        " the distance to the nearest point",
    }
    equal(copied(samples, train, test), share, "in the test case the share", slips, "Hint 1", 5e-4)
    other: Slips = {
        ...: "right in one case, {found:.3f} where {right:.3f} is right in another: Hint 1"
    }
    equal(copied(samples, test, train), 1 - share, "the share", other, within=5e-4)
    return f"right: {share:.2g} in the test case"


@check("1.5")
def ancestral(choose: Answer) -> str:
    """Ancestral sampling from a table, by the total variation to the table."""
    joint = torch.tensor(vary([[0.2, 0, 0, 0.05], [0, 0.3, 0.05, 0], [0.05, 0, 0.35, 0]]))
    joint = joint / joint.sum()
    n, runs = 20_000, []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(seed))
            runs.append(tensor(choose(joint.clone(), n), (n, 2), "the batch of pairs").long())
    row, column = runs[0].T
    low, (last_row, last_column) = runs[0].min(), runs[0].amax(0)
    slips: Slips = {
        when(low >= 0 and 2 < last_row <= 3 and last_column <= 2): "rows and columns are swapped:"
        " the first number of each pair is the row",
        when(low < 0 or last_row > 2 or last_column > 3): "an index lies outside of the table:"
        " rows 0 to 2, columns 0 to 3",
        when(torch.equal(*runs)): "two calls gave the same pairs: both choices must be drawn",
    }
    refuse(slips)
    share = torch.zeros(3, 4).index_put_((row, column), torch.full((n,), 1 / n), accumulate=True)

    def apart(table: Tensor) -> float:
        return 0.5 * float((share - table).abs().sum())

    rows, off = joint.sum(1, keepdim=True), apart(joint)
    tables = {
        rows * joint.sum(0): "rows and columns are right one by one, and drawn independently: the"
        " column's chances depend on the row that was drawn (Hint 2)",
        one_hot(joint.argmax(1), 4) * rows: "the column is always the most probable one of its"
        " row: draw it (Hint 3)",
        (rows == rows.max()) * joint / rows.max(): "the row is always the most probable: draw it",
        joint / rows / 3: "rows come out equally often; their chances are joint.sum(1) (Hint 1)",
        rows.expand(3, 4) / 4: "columns are drawn without a look at the table",
    }
    alike = all(len(column[row == k].unique()) < 2 for k in range(3))
    slips = {when(apart(table) < 0.02): diagnosis for table, diagnosis in tables.items()} | {
        when(alike): "each row always brings the same column: draw a column for every sample",
        when(off >= 0.02): f"your pairs are {off:.2f} from the table in total variation; below"
        " 0.02 is right with this many draws (Hint 1)",
    }
    refuse(slips)
    return f"right: {off:.3f} from the table in total variation, with {n:,} draws"
