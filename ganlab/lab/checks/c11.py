"""Checks of chapter 11, latent space: truncation, directions, factorisation, shares, the gap."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import F64, draw, either, number, pick, rng, tensor, vary
from ganlab.lab.checks.words import Slips, close, equal, need, refuse, when


@check("11.1", "right, layer by layer")
@either
def truncation(answer: Answer, dtype: torch.dtype) -> None:
    """`answer(ws, average, psi, cutoff)`: the first `cutoff` styles nearer to the average."""
    ws, mean, psi, cutoff = draw(1, 3, 6, 4, dtype=dtype), draw(2, 4, dtype=dtype), vary(0.7), 4
    what, untouched = "the batch of styles", ws.clone()
    found = tensor(answer(ws, mean.clone(), psi, cutoff), ws.shape, what)
    need(torch.equal(ws, untouched), "your function changes `ws` itself: return new styles")
    near, layer = mean + psi * (ws - mean), torch.arange(6)[:, None]

    def first(styles: Tensor, count: int = cutoff) -> Tensor:
        return torch.where(layer < count, styles, ws)

    slips: Slips = {
        first(ws + psi * (mean - ws)): "psi is the share of the *deviation* that stays: 1 must"
        " leave every style as it is",
        near: "every layer is truncated: only the first `cutoff` ones should be",
        torch.where(layer < cutoff, ws, near): "coarse layers come first: not from `cutoff` on",
        first(psi * (ws - mean)): "the average is not added back: at psi = 0 it is all there is",
        first(psi * ws): "the styles shrink towards 0, not towards the average",
        first(near, cutoff + 1): "one layer too many: layers 0 to cutoff - 1",
        first(torch.lerp(ws.mean(0, keepdim=True), ws, psi)): "the average of *this batch* is"
        " used, which moves with every batch: take the one that is given",
        first(mean + psi**0.5 * (ws - mean)): "scaled as if psi were a variance: no root",
    }
    equal(found, first(near), what, slips)
    slips = {ws: "cutoff=None means all layers, you left them as they were"}
    every = answer(ws.clone(), mean, 0.0, None)
    equal(every, mean.expand_as(ws), "with cutoff=None and psi = 0 the batch of styles", slips)
    slips = {near: "cutoff = 0 means no layer: `if cutoff:` takes 0 for None, ask `is None`"}
    equal(answer(ws.clone(), mean, psi, 0), ws, "with cutoff = 0 the batch of styles", slips)


@check("11.2", "right: the others do not move, to first order")
def conditioned(answer: Answer) -> None:
    """`answer(direction, others)`: unit vector, the part at right angles to all `others`."""
    v, others = draw(3, 6), draw(4, 3, 6)
    others[1] = others[0] + 0.3 * others[1]  # far from orthogonal
    basis = torch.linalg.qr(others.T).Q
    inside = basis @ (basis.T @ v)

    def unit(x: Tensor) -> Tensor:
        return x / x.norm()

    def without(x: Tensor, other: Tensor) -> Tensor:
        return x - (x @ unit(other)) * unit(other)

    once, in_turn = v + sum(without(v, other) - v for other in others), v
    for other in others:
        in_turn = without(in_turn, other)
    skew = "as they are not at right angles to one another: make them orthogonal first (QR)"
    slips: Slips = {
        v - inside: "right, but not of length 1: strengths would mean something else",
        unit(inside): "that is the part that *lies* in the span of the others: take it away",
        unit(once): f"the others' parts overlap and are taken away twice, {skew}",
        unit(in_turn): f"one after the other: each step brings back some of an earlier one, {skew}",
        unit(v - others.T @ (others @ v)): "the others have no length 1: divide by it, or use QR",
        unit(without(v, others[0])): "only the first of the others is taken out",
        unit(without(v, others.mean(0))): "the mean of the others is taken out: take out each",
        v: "the direction is unchanged",
        unit(v): "the direction only has length 1 now: the others are still in it",
        unit(inside - v): "right, but turned round: it must point to the side of `direction`",
    }
    equal(answer(v.clone(), others.clone()), unit(v - inside), "your direction", slips)


@check("11.3", "right: of all unit vectors, these move the styles most")
def factorised(answer: Answer) -> None:
    """`answer(weights, k)`: the k unit directions of w that the style layers amplify most."""
    weights, k = [draw(5, 7, 4), 2 * draw(6, 5, 4), draw(7, 9, 4)], 2
    reply = answer([a.clone() for a in weights], k)
    need(getattr(reply, "shape", None) != (4, k), "one direction a *row*: transpose")
    found = tensor(reply, (k, 4), "the set of directions")
    stacked, scaled = torch.cat(weights), torch.cat([a / a.norm() for a in weights])
    mean, vectors = stacked - stacked.mean(0), torch.linalg.eigh(stacked.T @ stacked).eigenvectors

    def same(other: Tensor) -> when:
        """Equal up to the sign of each row."""
        cosine = (found * other).sum(1).abs() - found.norm(dim=1) * other.norm(dim=1)
        return when(cosine.abs().max() < 1e-6)

    def top(matrix: Tensor) -> Tensor:
        return torch.linalg.eigh(matrix.T @ matrix).eigenvectors.T.flip(0)[:k]

    right = top(stacked)
    gain, best = ((stacked @ d.T).square().sum().item() for d in (found, right))
    slips: Slips = {
        same(vectors.T[:k]): "those move the styles *least*: `eigh` sorts from small to large",
        same(right.flip(0)): "right ones, from weak to strong: the strongest first",
        same(vectors.flip(0)[:k]): "the eigenvectors are the *columns* that `eigh` returns",
        same(top(mean)): "that is the PCA of the weights' rows: nothing is centred here",
        same(top(weights[0])): "the first layer alone: stack all of them",
        same(top(scaled)): "each layer is brought to one size first: a strong layer may count more",
        ...: f"|A n|² of your directions adds up to {gain:.2f}, {best:.2f} is possible",
    }
    if not same(right):
        refuse(slips)
    long = close(found.norm(dim=1), torch.ones(k))
    need(long, "right directions, but each must have length 1")


@check("11.4")
def shared(answer: Answer) -> str:
    """`answer(one, two)`: share of the variance due to what the two columns have in common."""
    common, a, b = (draw(seed, 4000) for seed in (8, 9, 10))
    part = 0.3 + 0.04 * pick(114, 0, 4)
    one, two = (5 + 3 * (part**0.5 * common + (1 - part) ** 0.5 * x) for x in (a, b))

    def share(x: Tensor, y: Tensor) -> float:
        return number(answer(x.clone(), y.clone()), "the share")

    right, raw = torch.corrcoef(torch.stack([one, two]))[0, 1], (one * two).mean()
    found, gap = share(one, two), one - two
    known = {
        right**2: "the correlation is the share already: squaring it answers another question",
        right.sqrt(): "the root of the share: no root here",
        1 - right: "that is the share of the *rest*: 1 minus yours",
        torch.cov(torch.stack([one, two]))[0, 1]: "the product is not divided by the variance",
        raw: "the means are not taken away: the product of two columns far from 0 is large anyway",
        raw / one.square().mean(): "the means are not taken off, in the product or in the variance",
        gap.var() / one.var(): "the difference varies by 2 (1 - share): halve it, take it from 1",
        gap.square().mean() / one.var() / 2: "the halved mean squared difference: 1 minus it",
    }
    slips: Slips = {when(abs(found - value) < 0.004): text for value, text in known.items()} | {
        ...: f"your share is {found:.3f}; {part:.2g} of the variance is common here",
    }
    if not abs(found - right) < 0.005:
        refuse(slips)
    # Of unequal columns: what is the share of a factor that never follows?
    apart, chance = share(a, b), abs(torch.corrcoef(torch.stack([a, b]))[0, 1].item())
    need(abs(apart) <= max(0.05, 2 * chance), "of columns with nothing in common your share is"
         f" {apart:.3f}, not 0")  # fmt: skip
    below = share(a, -a)
    need(below <= -0.9, "right, until it is negative: an estimate of 0 must be allowed to be")
    return f"right: {right:.0%} of the variance here"


def _information(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(D, K) mutual information in nats of two tables of class numbers; both entropies."""

    def entropy(*columns: Tensor) -> float:
        counts = torch.unique(torch.stack(columns, 1), dim=0, return_counts=True)[1]
        p = counts.double() / len(codes)
        return float(-(p * p.log()).sum())

    left, own = (torch.tensor([entropy(c) for c in t.T], dtype=F64) for t in (codes, factors))
    both = torch.tensor([[entropy(c, f) for f in factors.T] for c in codes.T], dtype=F64)
    return left[:, None] + own - both, left, own


@check("11.5", "right: one code a factor, and only one")
def gap(answer: Answer) -> None:
    """`answer(codes, factors)`: the mutual information gap of two tables of class numbers."""
    source, n, kinds = rng(11), 3000, (2, 4, 6)
    # Not all values equally often: or a code would know as much as its factor, by chance.
    factors = (torch.rand(n, 3, generator=source).pow(1.2) * torch.tensor(kinds)).long()
    keep = torch.rand(n, 3, generator=source) < torch.tensor([0.95, 0.8, 0.6])
    guess = torch.stack([torch.randint(k, (n,), generator=source) for k in kinds], 1)
    codes = torch.where(keep, factors, guess)
    half = torch.where(torch.rand(n, generator=source) < 0.5, factors[:, 1], guess[:, 2])
    codes = torch.cat([codes[:, [2, 0, 1]], half[:, None]], 1)
    table, left, own = _information(codes, factors)
    joint, leader = left[:, None] + own - table, table.argmax(0)
    best, other = table.sort(0, descending=True).values, table.sort(1, descending=True).values
    cosine = torch.corrcoef(torch.cat([codes, factors], 1).T.double())[:4, 4:].abs().sort(0).values
    lead, whole, low = best[0] - best[1], joint.sort(0).values, best[-2] - best[-1]
    right = (lead / own).mean()
    slips: Slips = {
        lead.mean(): "not divided by the entropies: a factor with many values would count more",
        (lead / own).sum(): "added over the factors, not averaged",
        (lead / own).max(): "the largest gap of all factors: take the mean",
        (other[:, 0] - other[:, 1]).mean(): "that is the gap between the *factors* of each code:"
        " compare the codes of each factor",
        (best[0] / own).mean(): "only the best code of each factor: the second best must go off it",
        (best[1] / own).mean(): "only the second best code of each factor: take it from the best",
        ((best[0] - best[-1]) / own).mean(): "the best minus the *worst*: the second best, please",
        (low / own).mean(): "the gap of the two codes that know least: sort downwards",
        -(low / own).mean(): "sorted upwards: these are the two codes that know least",
        -right: "the second best minus the best: the gap is never negative",
        ((best[0] - table.mean(0)) / own).mean(): "the best minus the mean of all",
        lead.sum() / own.sum(): "the sum of the gaps over the sum of the entropies: normalise each"
        " factor by itself",
        right / math.log(2): "one logarithm is in bits, the other in nats",
        right * math.log(2): "one logarithm is in nats, the other in bits",
        (lead / best[0]).mean(): "the gap is divided by the best information, not by the entropy",
        (lead / left[leader]).mean(): "divided by the *code's* entropy: the factor's is meant",
        (lead / joint.gather(0, leader[None])[0]).mean(): "divided by the joint entropy of code and"
        " factor: the factor's alone is meant",
        (lead / torch.tensor(kinds).log()).mean(): "divided by the logarithm of the number of"
        " values: right for balanced factors only",
        ((whole[-1] - whole[-2]) / own).mean(): "that is of the joint entropy H(c, v): the"
        " information is H(c) + H(v) - H(c, v)",
        ((whole[1] - whole[0]) / own).mean(): "the joint entropies alone are compared: the"
        " information also has H(c), which differs between codes",
        (cosine[-1] - cosine[-2]).mean(): "the gap of *correlations*: classes have no order",
    }
    equal(answer(codes.clone(), factors.clone()), right, "your gap", slips, "Hint 2")
    twice = {...: "with every code there twice the gap is 0: the second best is as good"}
    equal(answer(torch.cat([codes, codes], 1), factors), 0, "the gap", twice)
