"""Checks of chapter 11, latent space: truncation, directions, factorisation, shares, the gap."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import close, finite_number, tensor


def _draw(seed: int, *shape: int) -> Tensor:
    """Normal numbers in float64."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def _named(found: Tensor | float, right: Tensor | float, wrong: dict, what: str) -> None:
    """Raise with the diagnosis of the wrong value that was found."""
    if close(found, right, 1e-6):
        return
    for diagnosis, value in wrong.items():
        if close(found, value, 1e-6):
            raise Fail(diagnosis)
    off = (torch.as_tensor(found) - torch.as_tensor(right)).abs().max().item()
    raise Fail(f"{what} is off by {off:.4g}")


@check("11.1")
def truncation(answer: Answer) -> str:
    """`answer(ws, average, psi, cutoff)`: the first `cutoff` styles nearer to the average."""
    ws, mean, psi, cutoff = _draw(1, 3, 6, 4), _draw(2, 4), 0.7, 4
    untouched = ws.clone()
    found = tensor(answer(ws, mean.clone(), psi, cutoff), ws.shape, "the styles")
    if not torch.equal(ws, untouched):
        raise Fail("your function changes `ws` itself: return new styles")
    first = (torch.arange(6) < cutoff)[:, None]
    near = mean + psi * (ws - mean)
    right = torch.where(first, near, ws)
    wrong = {
        "psi is the share of the *deviation* that stays: 1 must leave every style as it is": (
            torch.where(first, ws + psi * (mean - ws), ws)
        ),
        "every layer is truncated: only the first `cutoff` ones should be": near,
        "the coarse layers come first: you truncated those from `cutoff` on": torch.where(
            first, ws, near
        ),
        "the average is not added back: at psi = 0 all styles must be the average": torch.where(
            first, psi * (ws - mean), ws
        ),
        "the styles shrink towards 0, not towards the average": torch.where(first, psi * ws, ws),
        "one layer too many: layers 0 to cutoff - 1": torch.where(
            (torch.arange(6) <= cutoff)[:, None], near, ws
        ),
        "the average of *this batch* is used, which moves with every batch: take the one that is"
        " given": torch.where(first, torch.lerp(ws.mean(0, keepdim=True), ws, psi), ws),
        "scaled as if psi were a variance: no root": torch.where(
            first, mean + psi**0.5 * (ws - mean), ws
        ),
    }
    _named(found, right, wrong, "some style")
    whole = tensor(answer(ws.clone(), mean, 0.0, None), ws.shape, "the styles without a cutoff")
    _named(whole, mean.expand_as(ws), {
        "cutoff=None means all layers, you left them as they were": ws,
    }, "with cutoff=None and psi = 0 some style")  # fmt: skip
    return "right, layer by layer"


@check("11.2")
def conditioned(answer: Answer) -> str:
    """`answer(direction, others)`: unit vector, the part at right angles to all `others`."""
    v, others = _draw(3, 6), _draw(4, 3, 6)
    others[1] = others[0] + 0.3 * others[1]  # far from orthogonal
    found = tensor(answer(v.clone(), others.clone()), v.shape, "the direction")
    basis = torch.linalg.qr(others.T).Q
    inside = basis @ (basis.T @ v)
    right = v - inside

    def unit(x: Tensor) -> Tensor:
        return x / x.norm()

    once, once_too = v.clone(), v.clone()
    for other in others:
        once = once - (v @ unit(other)) * unit(other)
        once_too = once_too - (once_too @ unit(other)) * unit(other)
    raw = v - others.T @ (others @ v)
    wrong = {
        "right, but not of length 1: strengths would mean something else": right,
        "that is the part that *lies* in the span of the others: take it away instead": unit(
            inside
        ),
        "the others are not at right angles to one another, so their parts overlap and are taken"
        " away twice: make them orthogonal first (QR)": unit(once),
        "one after the other: each step brings back some of an earlier direction, as they are not"
        " at right angles to one another: make them orthogonal first (QR)": unit(once_too),
        "the others have no length 1: divide by it, or use QR": unit(raw),
        "only the first of the others is taken out": unit(v - (v @ unit(others[0])) * unit(
            others[0])),
        "the mean of the others is taken out: each of them must be": unit(
            v - (v @ unit(others.mean(0))) * unit(others.mean(0))
        ),
        "the direction is unchanged": v,
        "the direction only has length 1 now: the others are still in it": unit(v),
    }  # fmt: skip
    _named(found, unit(right), wrong, "your direction")
    return "right: the others do not move, to first order"


@check("11.3")
def factorised(answer: Answer) -> str:
    """`answer(weights, k)`: the k unit directions of w that the style layers amplify most."""
    weights, k = [_draw(5, 7, 4), 2 * _draw(6, 5, 4), _draw(7, 9, 4)], 2
    reply = answer([a.clone() for a in weights], k)
    found = torch.as_tensor(reply).detach().double()
    if found.shape == (4, k):
        raise Fail("one direction a *row*: transpose")
    found = tensor(reply, torch.Size((k, 4)), "the directions")
    stacked = torch.cat(weights)

    def same(a: Tensor, b: Tensor) -> bool:
        """Equal up to the sign of each row."""
        return bool(((a * b).sum(1).abs() - a.norm(dim=1) * b.norm(dim=1)).abs().max() < 1e-6)

    def top(matrix: Tensor) -> Tensor:
        return torch.linalg.eigh(matrix).eigenvectors.T.flip(0)[:k]

    right = top(stacked.T @ stacked)
    if same(found, right):
        if not close(found.norm(dim=1), torch.ones(k, dtype=torch.float64), 1e-6):
            raise Fail("right directions, but each must have length 1")
        return "right: of all unit vectors, these move the styles most"
    mean = stacked - stacked.mean(0)
    each = [a / a.norm() for a in weights]
    wrong = {
        "those move the styles *least*: `eigh` sorts from small to large": (
            torch.linalg.eigh(stacked.T @ stacked).eigenvectors.T[:k]
        ),
        "right ones, from weak to strong: the strongest first": right.flip(0),
        "the eigenvectors are the *columns* that `eigh` returns": (
            torch.linalg.eigh(stacked.T @ stacked).eigenvectors.flip(0)[:k]
        ),
        "that is the PCA of the weights' rows: nothing is centred here, A maps w itself": top(
            mean.T @ mean
        ),
        "the first layer alone: stack all of them": top(weights[0].T @ weights[0]),
        "each layer is brought to one size first: a strong layer may count more": top(
            sum(a.T @ a for a in each)  # type: ignore[arg-type]
        ),
    }
    for diagnosis, value in wrong.items():
        if same(found, value):
            raise Fail(diagnosis)
    gain, best = ((stacked @ d.T).square().sum().item() for d in (found, right))
    raise Fail(f"|A n|² of your directions adds up to {gain:.2f}, {best:.2f} is possible")


@check("11.4")
def shared(answer: Answer) -> str:
    """`answer(one, two)`: share of the variance due to what the two columns have in common."""
    n, share = 4000, 0.3
    common, a, b = _draw(8, n), _draw(9, n), _draw(10, n)
    one, two = (5 + 3 * (share**0.5 * common + (1 - share) ** 0.5 * x) for x in (a, b))
    found = finite_number(answer(one.clone(), two.clone()), "the share")

    def r(x: Tensor, y: Tensor) -> float:
        return torch.corrcoef(torch.stack([x, y]))[0, 1].item()

    right = r(one, two)
    raw = (one * two).mean().item()
    if abs(found - right) < 0.005:
        # Of unequal columns: what is the share of a factor that never follows?
        apart = finite_number(answer(a.clone(), b.clone()), "the share")
        if abs(apart) > 0.05:
            raise Fail(f"of two columns with nothing in common your share is {apart:.3f}, not 0")
        below = finite_number(answer(a.clone(), -a.clone()), "the share")
        if below > -0.9:
            raise Fail("right, until it is negative: an estimate of 0 must be allowed to be")
        return f"right: {right:.0%} of the variance here"
    wrong = {
        "the correlation is the share already: squaring it answers another question": right**2,
        "the root of the share: no root here": math.sqrt(right),
        "that is the share of the *rest*: 1 minus yours": 1 - right,
        "the product is not divided by the variance": torch.cov(torch.stack([one, two]))[
            0, 1
        ].item(),
        "the means are not taken away: the product of two columns far from 0 is large anyway": raw,
        "the means are not taken away, in the product or in the variance": raw
        / one.square().mean().item(),
        "the difference's variance is (1 - share) twice: halve it, and take it from 1": (
            (one - two).var() / one.var()
        ).item(),
        "that is the mean squared difference over the variance, halved: 1 minus it": (
            (one - two).square().mean() / one.var() / 2
        ).item(),
    }
    for diagnosis, value in wrong.items():
        if abs(found - value) < 0.004:
            raise Fail(diagnosis)
    raise Fail(f"your share is {found:.3f}; {share} of the variance is common here")


def _information(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """(D, K) mutual information in nats of two tables of class numbers; (K,) entropies."""

    def entropy(rows: Tensor) -> float:
        p = torch.unique(rows, dim=0, return_counts=True)[1].double() / len(rows)
        return float(-(p * p.log()).sum())

    own = torch.tensor([entropy(factors[:, [k]]) for k in range(factors.shape[1])]).double()
    table = [
        [
            entropy(codes[:, [d]]) + own[k] - entropy(torch.stack([codes[:, d], factors[:, k]], 1))
            for k in range(factors.shape[1])
        ]
        for d in range(codes.shape[1])
    ]
    return torch.tensor(table, dtype=torch.float64), own


@check("11.5")
def gap(answer: Answer) -> str:
    """`answer(codes, factors)`: the mutual information gap of two tables of class numbers."""
    rng = torch.Generator().manual_seed(11)
    n = 3000
    factors = torch.stack([torch.randint(k, (n,), generator=rng) for k in (2, 4, 6)], 1)
    keep = torch.rand(n, 3, generator=rng) < torch.tensor([0.95, 0.8, 0.6])
    guess = torch.stack([torch.randint(k, (n,), generator=rng) for k in (2, 4, 6)], 1)
    codes = torch.where(keep, factors, guess)
    half = torch.where(torch.rand(n, generator=rng) < 0.5, factors[:, 1], guess[:, 2])
    codes = torch.cat([codes[:, [2, 0, 1]], half[:, None]], 1)
    found = finite_number(answer(codes.clone(), factors.clone()), "the gap")
    table, own = _information(codes, factors)
    best = table.sort(0, descending=True).values
    other = table.sort(1, descending=True).values
    right = ((best[0] - best[1]) / own).mean().item()
    wrong = {
        "not divided by the entropies: a factor with many values would count more": (
            (best[0] - best[1]).mean().item()
        ),
        "added over the factors, not averaged": ((best[0] - best[1]) / own).sum().item(),
        "that is the gap between the *factors* of each code: compare the codes of each factor": (
            (other[:, 0] - other[:, 1]).mean().item()
        ),
        "only the best code of each factor: the second best must be taken away": (
            (best[0] / own).mean().item()
        ),
        "the best minus the *worst*: the second best, please": (
            ((best[0] - best[-1]) / own).mean().item()
        ),
        "the best minus the mean of all": ((best[0] - table.mean(0)) / own).mean().item(),
        "the sum of the gaps over the sum of the entropies: normalise each factor by itself": (
            ((best[0] - best[1]).sum() / own.sum()).item()
        ),
        "one logarithm is in bits, the other in nats": right / math.log(2),
        "one logarithm is in nats, the other in bits": right * math.log(2),
        "the gap is divided by the best information, not by the entropy": (
            ((best[0] - best[1]) / best[0]).mean().item()
        ),
        "divided by the logarithm of the number of values: right for balanced factors only": (
            (best[0] - best[1]) / torch.tensor([2.0, 4.0, 6.0]).double().log()
        )
        .mean()
        .item(),
    }
    if not math.isclose(found, right, rel_tol=1e-6):
        for diagnosis, value in wrong.items():
            if math.isclose(found, value, rel_tol=1e-6):
                raise Fail(diagnosis)
        raise Fail(f"your gap is {found:.4f}, right is {right:.4f}")
    copy = torch.cat([codes, codes], 1)
    twice = finite_number(answer(copy, factors), "the gap")
    if abs(twice) > 1e-9:
        raise Fail("with every code there twice the gap is 0: the second best is as good")
    return "right: one code a factor, and only one"
