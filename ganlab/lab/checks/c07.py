"""Checks of chapter 7, objectives and regularisers: each knows the usual wrong answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import F64, number_or_blank, started


def _parts(value: Any, names: tuple[str, ...]) -> list[Any]:
    """As many values as there are names, or a diagnosis."""
    started(value)
    if not isinstance(value, tuple | list) or len(value) != len(names):
        raise Fail(f"return {len(names)} values: {', '.join(names)}")
    if any(v is ... or v is None for v in value):
        raise NotImplementedError
    return list(value)


def _close(a: float, b: float, tolerance: float = 1e-6) -> bool:
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def _compare(found: float, right: float, wrong: Mapping[str, float], what: str, hint: str) -> None:
    """Return if right; otherwise raise the diagnosis whose value was found."""
    if _close(found, right):
        return
    for diagnosis, value in wrong.items():
        if _close(found, value):
            raise Fail(f"{what}: {diagnosis}")
    raise Fail(f"{what}: yours is {found:.4f} where {right:.4f} is right: see {hint}")


def _losses(answer: Answer, real: Tensor, fake: Tensor) -> tuple[float, float]:
    d, g = _parts(answer(real.clone(), fake.clone()), ("D's loss", "G's loss"))
    return number_or_blank(d, "D's loss"), number_or_blank(g, "G's loss")


@check("7.1")
def hinge(answer: Answer) -> str:
    """`answer(real_logits, fake_logits)` is (D's hinge loss, G's)."""
    real = torch.tensor([0.4, 2.9, -0.6, 3.5], dtype=F64)
    fake = torch.tensor([-1.8, 0.3, -0.2, 2.1, -0.9], dtype=F64)
    d, g = _losses(answer, real, fake)
    on_real, on_fake = torch.relu(1 - real), torch.relu(1 + fake)
    right = (on_real.mean() + on_fake.mean()).item()
    right_g = -fake.mean().item()
    if _close(d, right_g) and _close(g, right):
        raise Fail("the two losses are exchanged: D's first")
    wrong = {
        "half of it: the loss is a *sum* of two means": right / 2,
        "sums over the batches; expectations become means": (on_real.sum() + on_fake.sum()).item(),
        "one mean over both batches joined weighs them by their lengths": (
            torch.cat([on_real, on_fake]).mean().item()
        ),
        "the sign is turned: `min` became `max`, or the paper's maximised form was kept": -right,
        "real and fake are exchanged: D wants large logits on real samples": (
            (torch.relu(1 + real).mean() + torch.relu(1 - fake).mean()).item()
        ),
        "without the maximum with 0 this is the Wasserstein critic's loss, plus 2": (
            (2 - real.mean() + fake.mean()).item()
        ),
        "without margin and maximum this is the Wasserstein critic's loss": (
            (fake.mean() - real.mean()).item()
        ),
        "the margin of 1 is missing": (torch.relu(-real).mean() + torch.relu(fake).mean()).item(),
        "the maximum is taken of the mean; it belongs to each sample": (
            (torch.relu(1 - real.mean()) + torch.relu(1 + fake.mean())).item()
        ),
        "the term of the generated samples is missing": on_real.mean().item(),
        "the term of the real samples is missing": on_fake.mean().item(),
    }
    _compare(d, right, wrong, "D's loss", "Hint 1")
    wrong_g = {
        "the margin is D's alone; with it G stops learning from samples that D takes for real": (
            torch.relu(1 - fake).mean().item()
        ),
        "the sign is turned: G minimises, and wants large logits": -right_g,
        "a sum; take the mean": -fake.sum().item(),
        "this is the non-saturating loss; G's hinge loss is linear": softplus(-fake).mean().item(),
        "this is -D's own term; its slope is 0 where D has the sample right, so a young G would"
        " learn nothing": -on_fake.mean().item(),
    }
    _compare(g, right_g, wrong_g, "G's loss", "Hint 2")
    return "right: D stops at the margin, G does not"


@check("7.2")
def pairs(answer: Answer) -> str:
    """`answer(real_logits, fake_logits)` is the relativistic paired (D's loss, G's)."""
    real = torch.tensor([0.4, 1.7, -0.6, 0.9], dtype=F64)
    fake = torch.tensor([-1.8, 0.3, -0.2, 2.1], dtype=F64)
    d, g = _losses(answer, real, fake)
    ahead = real - fake
    right, right_g = softplus(-ahead).mean().item(), softplus(ahead).mean().item()
    if _close(d, right_g) and _close(g, right):
        raise Fail("the two are exchanged, or all signs are turned: D's loss falls as real logits"
                   " rise above generated ones")  # fmt: skip
    gap = ahead.mean()
    below = softplus(-(real - fake.mean())).mean() + softplus(fake - real.mean()).mean()
    above = softplus(real - fake.mean()).mean() + softplus(-(fake - real.mean())).mean()
    every = real[:, None] - fake[None]
    for name, value, wanted, sign, average in (
        ("D's loss", d, right, -1, below),
        ("G's loss", g, right_g, 1, above),
    ):
        other = right_g if sign < 0 else right
        separable = softplus(sign * real).mean() + softplus(-sign * fake).mean()
        wrong = {
            "the sign of the difference is turned": other,
            "the mean is taken before softplus: that compares two batches, not pairs": (
                softplus(sign * gap).item()
            ),
            "this is the relativistic *average*: compare each real logit with its partner": (
                average.item()
            ),
            "this is half the relativistic average: compare each real logit with its partner": (
                average.item() / 2
            ),
            "each sample is judged alone (the ordinary cross-entropy): subtract the logits first": (
                separable.item()
            ),
            "every real logit is compared with every generated one; the exercise pairs row i"
            " with row i": softplus(sign * every).mean().item(),
            "linear in the difference: the softplus is missing": (sign * gap).item(),
            "a sum; take the mean": softplus(sign * ahead).sum().item(),
            "the sign in front is turned: a loss, not a log-likelihood": -wanted,
            "this is the opponent's loss with the sign turned; the relativistic game is not"
            " zero-sum": -other,
            "the non-saturating G sees generated logits only; here the real ones count too": (
                softplus(-fake).mean().item()
            ),
        }
        _compare(value, wanted, wrong, name, "Hint 2")
    for size in (1e4, -1e4):
        logits = [torch.full((2,), v, requires_grad=True) for v in (size, -size)]
        for name, loss in zip(("D's loss", "G's loss"), answer(*logits), strict=True):
            grads = torch.autograd.grad(loss, logits, retain_graph=True, allow_unused=True)
            values = [loss, *(g for g in grads if g is not None)]
            if not all(bool(v.isfinite().all()) for v in values):
                raise Fail(f"{name} or its gradient is not finite at logits of ±10⁴: use softplus,"
                           " not the logarithm of a sigmoid")  # fmt: skip
            if _close(loss.item(), 0) == _close(loss.item(), 2e4):
                raise Fail(f"{name} is {loss.item():.4g} at logits of ±10⁴, neither 0 nor 2·10⁴:"
                           " a clamp or a small constant hides the slope")  # fmt: skip
    return "right, and finite at ±10⁴"


class _Probe(nn.Module):
    """A smooth little discriminator of pictures without BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(73)
            self.layers = nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 3 * 2, 1)
            )
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


@check("7.3")
def r1(answer: Answer) -> str:
    """`answer(network, real, gamma)` is gamma/2 E|grad|², per sample, differentiable."""
    network, gamma = _Probe(), 3.0
    draw = torch.Generator().manual_seed(7)
    real = torch.randn(3, 2, 5, 4, generator=draw, dtype=F64)
    x = real.clone().requires_grad_()
    g = torch.autograd.grad(network(x).sum(), x, create_graph=True)[0]
    squares = g.flatten(1).square().sum(1)
    right = gamma / 2 * squares.mean()
    given = real.clone()
    found = answer(network, given, gamma)
    if found is ... or found is None:
        raise NotImplementedError
    value = number_or_blank(found, "the penalty")
    norm = g.flatten(1).norm(dim=1)
    per_pixel = g.norm(dim=1)
    wrong = {
        "the ½ is missing: R1 is γ/2 times the mean square": gamma * squares.mean(),
        "γ is missing": squares.mean() / 2,
        "γ and ½ are missing": squares.mean(),
        "the norm is not squared": gamma / 2 * norm.mean(),
        "the norm is over channels at each pixel (dim=1): flatten each sample first": (
            gamma / 2 * per_pixel.square().mean()
        ),
        "the norm is over dim=1, and not squared: flatten each sample first": (
            gamma / 2 * per_pixel.mean()
        ),
        "a mean over pixels in place of the sum: the norm is over *all* of a sample's"
        " dimensions, summed": gamma / 2 * g.square().mean(),
        "a sum over the batch in place of the mean": gamma / 2 * squares.sum(),
        "the gradient is of the *mean* logit, so each row is B times too small: differentiate"
        " the sum": right / len(real) ** 2,
        "one norm of the whole batch's gradient: one per sample is needed": (
            gamma / 2 * squares.sum() / len(real) ** 2
        ),
        "the target slope is 0, not 1 (WGAN-GP's)": gamma * (norm - 1).square().mean(),
        "the target slope is 0, not 1": gamma / 2 * (norm - 1).square().mean(),
        "the sign is turned: D *minimises* loss plus penalty": -right,
        "the norm of the sum, not the mean of the squares": gamma / 2 * norm.mean().square(),
    }  # fmt: skip
    _compare(value, right.item(), {k: v.item() for k, v in wrong.items()}, "the penalty", "Hint 3")
    if given.requires_grad:
        raise Fail("right, but `real` itself now requires grad: work on a detached clone")
    if not isinstance(found, Tensor) or not found.requires_grad:
        raise Fail("the number is right, but no gradient reaches the weights: create_graph=True,"
                   " and return a tensor")  # fmt: skip
    weights = list(network.parameters())[:-1]  # the last bias has no gradient
    mine = torch.autograd.grad(found, weights, allow_unused=True)
    theirs = torch.autograd.grad(right, weights)
    if any(m is None or not torch.allclose(m, t) for m, t in zip(mine, theirs, strict=True)):
        raise Fail("the number is right, but its gradient in the weights is not: create_graph=True"
                   " keeps the graph, and nothing on the way may be detached")  # fmt: skip
    line = nn.Linear(6, 1).double()
    value = number_or_blank(
        answer(nn.Sequential(line, nn.Flatten(0)), torch.ones(5, 6, dtype=F64), 2.0), "the penalty"
    )
    exact = line.weight.square().sum().item()
    if not _close(value, exact):
        raise Fail(f"right for pictures, but for points (B, d) and a linear network {value:.4f}"
                   f" where |w|² = {exact:.4f}: flatten(1), then sum over dim 1")  # fmt: skip
    return "right for pictures and points, and the weights learn from it"


@check("7.4")
def largest(answer: Answer) -> str:
    """`answer(weight, iterations)` is the largest singular value by power iteration."""
    draw = torch.Generator().manual_seed(74)
    for shape in ((6, 9), (9, 6), (5, 3, 4, 4)):
        weight = 3 * torch.randn(*shape, generator=draw, dtype=F64)
        matrix = weight.flatten(1)
        kept = weight.clone()
        found = number_or_blank(answer(weight, 400), "the singular value")
        if not torch.equal(weight, kept):
            raise Fail("the weight itself was changed: work on a copy")
        right = torch.linalg.matrix_norm(matrix, 2).item()
        where = f"for a weight of shape {tuple(shape)}"
        wrong = {
            "this is σ², an eigenvalue of WᵀW: take the length of Wv with |v| = 1": right**2,
            "this is the Frobenius norm, the root of the sum of all squares": (
                matrix.norm().item()
            ),
            "this is the largest entry": weight.abs().max().item(),
            "1/σ: return σ itself": 1 / right,
            "always 1: measure Wv before it is normalised": 1.0,
        }  # fmt: skip
        if weight.ndim == 4:
            for order in ((1, 0, 2, 3), (2, 0, 1, 3), (3, 0, 1, 2)):
                other = weight.permute(*order).flatten(1)
                text = "the matrix must have one row per *output* channel: weight.flatten(1)"
                wrong.setdefault(text + " " * order[0], torch.linalg.matrix_norm(other, 2).item())
        if not math.isfinite(found):
            raise Fail(f"{where}: {found}: normalise u and v after each product, or they grow"
                       " without bound")  # fmt: skip
        if not _close(found, right, 1e-5):
            _compare(found, right, wrong, where, "Hint 2")
    weight = torch.diag(torch.tensor([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], dtype=F64))
    few, many = (
        [number_or_blank(answer(weight, k), "the value") for _ in range(5)] for k in (1, 60)
    )  # fmt: skip
    if max(few) > 2 + 1e-9:
        raise Fail(f"after one iteration it is {max(few):.4f}, above the true 2: |Wv| with |v| = 1"
                   " is never too large; is v normalised at the end?")  # fmt: skip
    if all(_close(v, 2.0, 1e-9) for v in few):
        raise Fail("exact after one iteration: no decomposition, please; iterate")
    if sum(many) < sum(few):
        raise Fail("more iterations make it worse: is every iteration started from the last v?")
    return "right for both shapes of matrix and for a convolution"


@check("7.5")
def gammas(answer: Answer) -> str:
    """`answer(gamma)` are the weights in [0, 1], in [0, 255], lazily, and as lambda."""
    names = ("γ in [0, 1]", "γ in [0, 255]", "γ every 16th step", "λ in [0, 1]")
    found = [number_or_blank(v, n) for v, n in zip(_parts(answer(3.0), names), names, strict=True)]
    gamma = 3.0
    for i, (what, c) in enumerate(((names[0], 0.5), (names[1], 127.5))):
        wrong = {
            "the wrong way: a smaller range makes gradients *larger*, so γ must shrink with it": (
                gamma / c**2
            ),
            "the gradient enters squared: c², not c": gamma * c,
            "the gradient enters squared, and the other way round": gamma / c,
            "unchanged? gradients are per unit of pixel": gamma,
        }
        if i == 1:
            wrong |= {
                "the old range has length 2, not 1: c = 255/2": gamma * 255.0**2,
                "c is 255/2, and it is squared": gamma * 255.0,
            }
        _compare(found[i], gamma * c**2, wrong, what, "Hint 2")
    lazy = {
        "divided: one step in sixteen must do the work of sixteen": gamma / 16,
        "unchanged, the penalty would be sixteen times weaker on average": gamma,
        "the factor of ½ is kept: γ is asked for": 8 * gamma,
        "16, not 16²: the penalty is linear in γ": 256 * gamma,
        "4 = √16? the penalty is linear in γ": 4 * gamma,
    }
    _compare(found[2], 16 * gamma, lazy, names[2], "section 5, lazy regularisation")
    last = {
        "the ½ of R1 must go into λ": gamma / 4,
        "that is for pixels in [-1, 1]": gamma / 2,
        "λ is *half* of γ, not twice": gamma / 2,
        "the wrong way: see the first answer": gamma * 4,
        "λ is γ/2, not 2γ": gamma / 4 * 2,
    }
    _compare(found[3], gamma / 8, last, names[3], "the table of section 5")
    again = [number_or_blank(v, n) for v, n in zip(answer(6.0), names, strict=True)]
    if not all(_close(b, 2 * a) for a, b in zip(found, again, strict=True)):
        raise Fail("right for γ = 3 only: the answers must be proportional to γ")
    return "right: γ has the units of the data, squared"


def _pull(s: float, z: Tensor, labels: tuple[float, float, float], frozen: bool = True) -> float:
    alpha, b, c = labels
    scale = torch.tensor(s, dtype=z.dtype, requires_grad=True)
    inner = torch.tensor(s, dtype=z.dtype) if frozen else scale
    x = scale * z
    ratio = inner.log() + x.square() / 2 * (1 / inner.square() - 1)
    logit = alpha + (b - alpha) * torch.sigmoid(ratio)
    return torch.autograd.grad((logit - c).square().mean() / 2, scale)[0].item()


@check("7.6")
def pull(answer: Answer) -> str:
    """`answer(s, z, alpha, b, c)` is d/ds of G's least-squares loss with D* frozen."""
    z = torch.randn(500, generator=torch.Generator().manual_seed(76), dtype=F64)
    for s, labels in ((0.7, (-1.0, 1.0, 0.0)), (1.3, (0.0, 1.0, 1.0)), (0.6, (-0.5, 2.0, 0.3))):
        alpha, b, c = labels
        right = _pull(s, z, labels)
        given = z.clone()
        found = number_or_blank(answer(s, given, alpha, b, c), "the gradient")
        wrong = {
            "the discriminator is not frozen: the gradient also flows through the s in its"
            " density q (Hint 2)": _pull(s, z, labels, frozen=False),
            "the ½ of the loss is missing": 2 * right,
            "a sum over the batch; take the mean": right * len(z),
            "the sign is turned: return the gradient, not the step": -right,
            "labels exchanged, or the density ratio turned round: b belongs to p": (
                _pull(s, z, (b, alpha, c))
            ),
            "the goal is taken as the label of real samples: c is an argument": (
                _pull(s, z, (alpha, b, b))
            ),
            "the goal c does not enter": _pull(s, z, (alpha, b, 0.0)),
        }
        case = f"s = {s}, labels {alpha:g}, {b:g}, {c:g}"
        if _close(found, 0.0, 1e-12):
            raise Fail(f"{case}: zero: the samples must be scale·z with a scale that requires grad")
        _compare(found, right, wrong, case, "Hint 3")
    return "right, for three sets of labels"
