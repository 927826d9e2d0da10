"""Checks of chapter 7, objectives and regularisers: each knows the usual wrong answers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import draw, number_or_blank, parts, points, started
from ganlab.lab.checks.words import F64, Slips, close, equal, need, refuse, when


def _numbers(value: Any, names: tuple[str, ...]) -> list[float]:
    """As many numbers as there are names, or a diagnosis."""
    values = parts(started(value), len(names), f"return {len(names)} values: {', '.join(names)}")
    return [number_or_blank(v, name) for v, name in zip(values, names, strict=True)]


def _compare(found: float, right: Any, slips: Slips, what: str, hint: str) -> None:
    """The claim that `found` is `right`; each diagnosis begins with what was compared."""
    named = {slip: f"{what}: {diagnosis}" for slip, diagnosis in slips.items()}
    general = f"{what}: yours is {{found:.4f}} where {{right:.4f}} is right: see {hint}"
    equal(found, right, {**named, ...: general}, 1e-6)


LOSSES = "D's loss", "G's loss"


@check("7.1", "right: D stops at the margin, G does not")
def hinge(answer: Answer) -> None:
    """`answer(real_logits, fake_logits)` is (D's hinge loss, G's)."""
    real, fake = points([0.4, 2.9, -0.6, 3.5], [-1.8, 0.3, -0.2, 2.1, -0.9])
    d, g = _numbers(answer(real.clone(), fake.clone()), LOSSES)
    on_real, on_fake, relu = torch.relu(1 - real), torch.relu(1 + fake), torch.relu
    right, right_g = on_real.mean() + on_fake.mean(), -fake.mean()
    exchanged = close((d, g), (right_g, right), 1e-6)
    need(not exchanged, "the two losses are exchanged: D's first")
    slips: Slips = {
        right / 2: "half of it: the loss is a *sum* of two means",
        on_real.sum() + on_fake.sum(): "sums over the batches; expectations become means",
        torch.cat([on_real, on_fake]).mean(): "one mean over both batches joined weighs them by"
        " their lengths",
        -right: "the sign is turned: `min` became `max`, or the paper's maximised form was kept",
        relu(1 + real).mean() + relu(1 - fake).mean(): "real and fake are exchanged: D wants large"
        " logits on real samples",
        2 - real.mean() + fake.mean(): "without the maximum with 0 this is the Wasserstein"
        " critic's loss, plus 2",
        fake.mean() - real.mean(): "without margin and maximum this is the Wasserstein critic's"
        " loss",
        relu(-real).mean() + relu(fake).mean(): "the margin of 1 is missing",
        relu(1 - real.mean()) + relu(1 + fake.mean()): "the maximum is taken of the mean; it"
        " belongs to each sample",
        on_real.mean(): "the term of the generated samples is missing",
        on_fake.mean(): "the term of the real samples is missing",
    }
    _compare(d, right, slips, "D's loss", "Hint 1")
    slips = {
        relu(1 - fake).mean(): "the margin is D's alone; with it G stops learning from samples"
        " that D takes for real",
        -right_g: "the sign is turned: G minimises, and wants large logits",
        -fake.sum(): "a sum; take the mean",
        softplus(-fake).mean(): "this is the non-saturating loss; G's hinge loss is linear",
        -on_fake.mean(): "this is -D's own term; its slope is 0 where D has the sample right, so a"
        " young G would learn nothing",
    }
    _compare(g, right_g, slips, "G's loss", "Hint 2")


@check("7.2", "right, and finite at ±10⁴")
def pairs(answer: Answer) -> None:
    """`answer(real_logits, fake_logits)` is the relativistic paired (D's loss, G's)."""
    real, fake = points([0.4, 1.7, -0.6, 0.9], [-1.8, 0.3, -0.2, 2.1])
    found = _numbers(answer(real.clone(), fake.clone()), LOSSES)
    ahead, every = real - fake, real[:, None] - fake[None]
    right = softplus(-ahead).mean(), softplus(ahead).mean()
    exchanged = "the two are exchanged, or all signs are turned: D's loss falls as real logits rise"
    need(not close(found, right[::-1], 1e-6), exchanged + " above generated ones")
    for name, value, wanted, other, s in zip(LOSSES, found, right, right[::-1], (-1, 1)):
        average = softplus(s * (real - fake.mean())) + softplus(-s * (fake - real.mean()))
        slips: Slips = {
            +other: "the sign of the difference is turned",
            softplus(s * ahead.mean()): "the mean is taken before softplus: that compares two"
            " batches, not pairs",
            average.mean(): "this is the relativistic *average*: compare each real logit with its"
            " partner",
            average.mean() / 2: "this is half the relativistic average: compare each real logit"
            " with its partner",
            softplus(s * real).mean() + softplus(-s * fake).mean(): "each sample is judged alone"
            " (the ordinary cross-entropy): subtract the logits first",
            softplus(s * every).mean(): "every real logit is compared with every generated one;"
            " the exercise pairs row i with row i",
            s * ahead.mean(): "linear in the difference: the softplus is missing",
            softplus(s * ahead).sum(): "a sum; take the mean",
            -wanted: "the sign in front is turned: a loss, not a log-likelihood",
            -other: "this is the opponent's loss with the sign turned; the relativistic game is"
            " not zero-sum",
            softplus(-fake).mean(): "the non-saturating G sees generated logits only; here the"
            " real ones count too",
        }
        _compare(value, wanted, slips, name, "Hint 2")
    for size in (1e4, -1e4):
        logits = [torch.full((2,), v, requires_grad=True) for v in (size, -size)]
        for name, loss in zip(LOSSES, answer(*logits), strict=True):
            grads = torch.autograd.grad(loss, logits, retain_graph=True, materialize_grads=True)
            finite = all(bool(v.isfinite().all()) for v in (loss, *grads))
            slips = {
                when(not finite): f"{name} or its gradient is not finite at logits of ±10⁴: use"
                " softplus, not the logarithm of a sigmoid",
                when(not close(loss, 0, 1e-6) and not close(loss, 2e4, 1e-6)): f"{name} is"
                f" {loss.item():.4g} at logits of ±10⁴, neither 0 nor 2·10⁴: a clamp or a small"
                " constant hides the slope",
            }
            refuse(slips)


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


@check("7.3", "right for pictures and points, and the weights learn from it")
def r1(answer: Answer) -> None:
    """`answer(network, real, gamma)` is gamma/2 E|grad|², per sample, differentiable."""
    network, gamma, real = _Probe(), 3.0, draw(7, 3, 2, 5, 4)
    x, given, n = real.clone().requires_grad_(), real.clone(), len(real)
    g = torch.autograd.grad(network(x).sum(), x, create_graph=True)[0]
    norm, per_pixel = g.flatten(1).norm(dim=1), g.norm(dim=1)
    squares = norm.square()
    right, half = gamma / 2 * squares.mean(), gamma / 2
    found = started(answer(network, given, gamma))
    slips: Slips = {
        2 * right: "the ½ is missing: R1 is γ/2 times the mean square",
        squares.mean() / 2: "γ is missing",
        squares.mean(): "γ and ½ are missing",
        half * norm.mean(): "the norm is not squared",
        half * per_pixel.square().mean(): "the norm is over channels at each pixel (dim=1):"
        " flatten each sample first",
        half * per_pixel.mean(): "the norm is over dim=1, and not squared: flatten each sample"
        " first",
        half * g.square().mean(): "a mean over pixels in place of the sum: the norm is over *all*"
        " of a sample's dimensions, summed",
        half * squares.sum(): "a sum over the batch in place of the mean",
        right / n**2: "the gradient is of the *mean* logit, so each row is B times too small:"
        " differentiate the sum",
        half * squares.sum() / n**2: "one norm of the whole batch's gradient: one per sample is"
        " needed",
        gamma * (norm - 1).square().mean(): "the target slope is 0, not 1 (WGAN-GP's)",
        half * (norm - 1).square().mean(): "the target slope is 0, not 1",
        -right: "the sign is turned: D *minimises* loss plus penalty",
        half * norm.mean().square(): "the norm of the sum, not the mean of the squares",
    }
    _compare(number_or_blank(found, "the penalty"), right, slips, "the penalty", "Hint 3")
    given_clean = not given.requires_grad
    need(given_clean, "right, but `real` itself now requires grad: work on a detached clone")
    if not isinstance(found, Tensor) or not found.requires_grad:
        raise Fail("the number is right, but no gradient reaches the weights: create_graph=True,"
                   " and return a tensor")  # fmt: skip
    weights = list(network.parameters())[:-1]  # the last bias has no gradient
    mine = torch.autograd.grad(found, weights, materialize_grads=True)
    theirs = torch.autograd.grad(right, weights)
    if not all(map(torch.allclose, mine, theirs)):
        raise Fail("the number is right, but its gradient in the weights is not: create_graph=True"
                   " keeps the graph, and nothing on the way may be detached")  # fmt: skip
    line = nn.Linear(6, 1).double()
    value = answer(nn.Sequential(line, nn.Flatten(0)), torch.ones(5, 6, dtype=F64), 2.0)
    slips = {
        ...: "right for pictures, but for points (B, d) and a linear network {found:.4f} where"
        " |w|² = {right:.4f}: flatten(1), then sum over dim 1",
    }
    equal(number_or_blank(value, "the penalty"), line.weight.detach().square().sum(), slips, 1e-6)


@check("7.4", "right for both shapes of matrix and for a convolution")
def largest(answer: Answer) -> None:
    """`answer(weight, iterations)` is the largest singular value by power iteration."""
    rng = torch.Generator().manual_seed(74)
    for shape in ((6, 9), (9, 6), (5, 3, 4, 4)):
        weight = 3 * draw(rng, *shape)
        kept, matrix = weight.clone(), weight.flatten(1)
        found = number_or_blank(answer(weight, 400), "the singular value")
        need(torch.equal(weight, kept), "the weight itself was changed: work on a copy")
        right = torch.linalg.matrix_norm(matrix, 2)
        where = f"for a weight of shape {tuple(shape)}"
        slips: dict[Any, str] = {
            right**2: "this is σ², an eigenvalue of WᵀW: take the length of Wv with |v| = 1",
            matrix.norm(): "this is the Frobenius norm, the root of the sum of all squares",
            weight.abs().max(): "this is the largest entry",
            1 / right: "1/σ: return σ itself",
            1.0: "always 1: measure Wv before it is normalised",
        }
        for axis in range(1, len(shape) if len(shape) == 4 else 1):
            turned = torch.linalg.matrix_norm(weight.movedim(axis, 0).flatten(1), 2)
            slips[turned] = "the matrix must have one row per *output* channel: weight.flatten(1)"
        if not math.isfinite(found):
            raise Fail(f"{where}: {found}: normalise u and v after each product, or they grow"
                       " without bound")  # fmt: skip
        if not close(found, right):
            _compare(found, right, slips, where, "Hint 2")
    weight = torch.diag(torch.tensor([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], dtype=F64))
    few, many = ([number_or_blank(answer(weight, k), "it") for _ in range(5)] for k in (1, 60))
    slips = {
        when(max(few) > 2 + 1e-9): f"after one iteration it is {max(few):.4f}, above the true 2:"
        " |Wv| with |v| = 1 is never too large; is v normalised at the end?",
        when(close(few, [2.0] * 5, 1e-9)): "exact after one iteration: no decomposition, please;"
        " iterate",
        when(sum(many) < sum(few)): "more iterations make it worse: is every iteration started"
        " from the last v?",
    }
    refuse(slips)


@check("7.5", "right: γ has the units of the data, squared")
def gammas(answer: Answer) -> None:
    """`answer(gamma)` are the weights in [0, 1], in [0, 255], lazily, and as lambda."""
    names = ("γ in [0, 1]", "γ in [0, 255]", "γ every 16th step", "λ in [0, 1]")
    gamma = 3.0
    found = _numbers(answer(gamma), names)
    units: tuple[tuple[float, Slips], ...] = (0.5, {}), (127.5, {
        gamma * 255**2: "the old range has length 2, not 1: c = 255/2",
        gamma * 255: "c is 255/2, and it is squared",
    })  # fmt: skip
    for value, what, (c, more) in zip(found, names, units):
        slips: Slips = {
            gamma / c**2: "the wrong way: a smaller range makes gradients *larger*, so γ must"
            " shrink with it",
            gamma * c: "the gradient enters squared: c², not c",
            gamma / c: "the gradient enters squared, and the other way round",
            gamma: "unchanged? gradients are per unit of pixel",
        }
        _compare(value, gamma * c**2, {**slips, **more}, what, "Hint 2")
    slips = {
        gamma / 16: "divided: one step in sixteen must do the work of sixteen",
        gamma: "unchanged, the penalty would be sixteen times weaker on average",
        8 * gamma: "the factor of ½ is kept: γ is asked for",
        256 * gamma: "16, not 16²: the penalty is linear in γ",
        4 * gamma: "4 = √16? the penalty is linear in γ",
    }
    _compare(found[2], 16 * gamma, slips, names[2], "section 5, lazy regularisation")
    slips = {
        gamma / 4: "the ½ of R1 must go into λ",
        gamma / 2: "that is for pixels in [-1, 1]",
        gamma * 2: "λ is *half* of γ, not twice",
        gamma * 4: "the wrong way: see the first answer",
    }
    _compare(found[3], gamma / 8, slips, names[3], "the table of section 5")
    slips = {...: "right for γ = 3 only: the answers must be proportional to γ"}
    again = [number_or_blank(v, n) for v, n in zip(answer(6.0), names, strict=True)]
    equal(again, [2 * v for v in found], slips, 1e-6)


def _pull(s: float, z: Tensor, labels: tuple[float, float, float], frozen: bool = True) -> Tensor:
    alpha, b, c = labels
    scale = torch.tensor(s, dtype=z.dtype, requires_grad=True)
    inner = torch.tensor(s, dtype=z.dtype) if frozen else scale
    ratio = inner.log() + (scale * z).square() / 2 * (1 / inner.square() - 1)
    logit = alpha + (b - alpha) * torch.sigmoid(ratio)
    return torch.autograd.grad((logit - c).square().mean() / 2, scale)[0]


@check("7.6", "right, for three sets of labels")
def pull(answer: Answer) -> None:
    """`answer(s, z, alpha, b, c)` is d/ds of G's least-squares loss with D* frozen."""
    z = draw(76, 500)
    for s, labels in ((0.7, (-1.0, 1.0, 0.0)), (1.3, (0.0, 1.0, 1.0)), (0.6, (-0.5, 2.0, 0.3))):
        (alpha, b, c), right = labels, _pull(s, z, labels)
        found = number_or_blank(answer(s, z.clone(), *labels), "the gradient")
        slips: Slips = {
            _pull(s, z, labels, frozen=False): "the discriminator is not frozen: the gradient also"
            " flows through the s in its density q (Hint 2)",
            2 * right: "the ½ of the loss is missing",
            right * len(z): "a sum over the batch; take the mean",
            -right: "the sign is turned: return the gradient, not the step",
            _pull(s, z, (b, alpha, c)): "labels exchanged, or the density ratio turned round: b"
            " belongs to p",
            _pull(s, z, (alpha, b, b)): "the goal is taken as the label of real samples: c is an"
            " argument",
            _pull(s, z, (alpha, b, 0.0)): "the goal c does not enter",
        }
        case = f"s = {s}, labels {alpha:g}, {b:g}, {c:g}"
        zero = f"{case}: zero: the samples must be scale·z with a scale that requires grad"
        need(not abs(found) < 1e-12, zero)
        _compare(found, right, slips, case, "Hint 3")
