"""Checks of chapter 7, objectives and regularisers: each knows the usual wrong answers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import draw, either, number, numbers, parts, points, seeded, vary
from ganlab.lab.checks.words import Slips, close, equal, need, of_batches, refuse, when

LOSSES = "D's loss", "G's loss"


@check("7.1", "right: D stops at the margin, G does not")
def hinge(answer: Answer) -> None:
    """`answer(real_logits, fake_logits)` is (D's hinge loss, G's)."""
    real, fake = points(*vary([0.4, 2.9, -0.6, 3.5], [-1.8, 0.3, -0.2, 2.1, -0.9]))
    d, g = numbers(answer(real.clone(), fake.clone()), *LOSSES)
    on_real, on_fake, relu = torch.relu(1 - real), torch.relu(1 + fake), torch.relu
    right, right_g = on_real.mean() + on_fake.mean(), -fake.mean()
    need(not close((d, g), (right_g, right)), "the two losses are exchanged: D's first")
    slips: Slips = {
        **of_batches(on_real, on_fake),
        relu(1 + real).mean() + relu(1 - fake).mean(): "real and fake are exchanged: D wants large"
        " logits on real samples",
        2 - real.mean() + fake.mean(): "without relu this is the Wasserstein critic's loss, plus 2",
        fake.mean() - real.mean(): "without margin and maximum it is the Wasserstein critic's loss",
        relu(-real).mean() + relu(fake).mean(): "the margin of 1 is missing",
        relu(1 - real.mean()) + relu(1 + fake.mean()): "the maximum belongs to each sample",
    }
    equal(d, right, "D's loss", slips, "Hint 1", named=True)
    slips = {
        relu(1 - fake).mean(): "the margin is D's alone; with it G stops learning from samples"
        " that D takes for real",
        -right_g: "the sign is turned: G minimises, and wants large logits",
        -fake.sum(): "a sum; take the mean",
        softplus(-fake).mean(): "this is the non-saturating loss; G's hinge loss is linear",
        -on_fake.mean(): "this is -D's own term; its slope is 0 where D has the sample right, so a"
        " young G would learn nothing",
    }
    equal(g, right_g, "G's loss", slips, "Hint 2", named=True)


@check("7.2", "right, and finite at ±10⁴")
def pairs(answer: Answer) -> None:
    """`answer(real_logits, fake_logits)` is the relativistic paired (D's loss, G's)."""
    real, fake = points(*vary([0.4, 1.7, -0.6, 0.9], [-1.8, 0.3, -0.2, 2.1]))
    found = numbers(answer(real.clone(), fake.clone()), *LOSSES)
    ahead, every = real - fake, real[:, None] - fake[None]
    right = softplus(-ahead).mean(), softplus(ahead).mean()
    need(not close(found, right[::-1]), "the two are exchanged, or all signs are turned: D's loss"
         " falls as real logits rise above generated ones")  # fmt: skip
    for name, value, wanted, other, s in zip(LOSSES, found, right, right[::-1], (-1, 1)):
        average = softplus(s * (real - fake.mean())) + softplus(-s * (fake - real.mean()))
        partner = "compare each real logit with its partner"
        slips: Slips = {
            +other: "the sign of the difference is turned",
            softplus(s * ahead.mean()): "the mean comes before softplus: batches, not pairs",
            average.mean(): f"this is the relativistic *average*: {partner}",
            average.mean() / 2: f"this is half the relativistic average: {partner}",
            softplus(s * real).mean() + softplus(-s * fake).mean(): "each sample is judged alone"
            " (the ordinary cross-entropy): subtract the logits first",
            softplus(s * every).mean(): "every real logit is compared with every generated one;"
            " the exercise pairs row i with row i",
            s * ahead.mean(): "linear in the difference: the softplus is missing",
            softplus(s * ahead).sum(): "a sum; take the mean",
            -wanted: "the sign in front is turned: a loss, not a log-likelihood",
            -other: "this is the opponent's with the sign turned; the game is not zero-sum",
            softplus(-fake).mean(): "non-saturating, generated logits only: real ones count too",
        }
        equal(value, wanted, name, slips, "Hint 2", named=True)
    for size in (1e4, -1e4):
        logits = [torch.full((2,), v, requires_grad=True) for v in (size, -size)]
        for name, loss in zip(LOSSES, parts(answer(*logits), *LOSSES), strict=True):
            grads = torch.autograd.grad(loss, logits, retain_graph=True, materialize_grads=True)
            finite = all(bool(v.isfinite().all()) for v in (loss, *grads))
            need(finite, f"{name} or its gradient is not finite at logits of ±10⁴: use softplus,"
                 " not the logarithm of a sigmoid")  # fmt: skip
            need(close(loss, 0) or close(loss, 2e4), f"{name} is {loss.item():.4g} at logits of"
                 " ±10⁴, neither 0 nor 2·10⁴: a clamp or a constant hides the slope")  # fmt: skip


class _Probe(nn.Module):
    """A smooth little discriminator of pictures without BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(73))
            self.layers = nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 3 * 2, 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


@check("7.3", "right for pictures and points, and the weights learn from it")
@either
def r1(answer: Answer, dtype: torch.dtype) -> None:
    """`answer(network, real, gamma)` is gamma/2 E|grad|², per sample, differentiable."""
    network, gamma, real = _Probe().to(dtype), vary(3.0), draw(7, 3, 2, 5, 4, dtype=dtype)
    x, given, n = real.clone().requires_grad_(), real.clone(), len(real)
    g = torch.autograd.grad(network(x).sum(), x, create_graph=True)[0]
    norm, per_pixel = g.flatten(1).norm(dim=1), g.norm(dim=1)
    squares = norm.square()
    right, half = gamma / 2 * squares.mean(), gamma / 2
    found = answer(network, given, gamma)
    slips: Slips = {
        2 * right: "the ½ is missing: R1 is γ/2 times the mean square",
        squares.mean() / 2: "γ is missing",
        squares.mean(): "γ and ½ are missing",
        half * norm.mean(): "the norm is not squared",
        half * per_pixel.square().mean(): "the norm is over channels alone (dim=1): flatten first",
        half * per_pixel.mean(): "the norm is over dim=1, and not squared: flatten first",
        half * g.square().mean(): "a mean over pixels in place of the sum over *all* dimensions",
        half * squares.sum(): "a sum over the batch in place of the mean",
        right / n**2: "of the *mean* logit, B times too small: differentiate the sum",
        half * squares.sum() / n**2: "one norm of the whole batch's gradient: one per sample",
        gamma * (norm - 1).square().mean(): "the target slope is 0, not 1 (WGAN-GP's)",
        half * (norm - 1).square().mean(): "the target slope is 0, not 1",
        -right: "the sign is turned: D *minimises* loss plus penalty",
        half * norm.mean().square(): "the norm of the sum, not the mean of the squares",
    }
    equal(found, right, "the penalty", slips, "Hint 3", named=True)
    clean = not given.requires_grad
    need(clean, "right, but `real` itself now requires grad: work on a detached clone")
    graph = isinstance(found, Tensor) and found.requires_grad
    need(graph, "right, but no gradient reaches the weights: create_graph=True, return a tensor")
    weights = list(network.parameters())[:-1]  # the last bias has no gradient
    mine = torch.autograd.grad(found, weights, materialize_grads=True)
    theirs = torch.autograd.grad(right, weights)
    whole = all(close(a, b, 1e-4) for a, b in zip(mine, theirs, strict=True))
    need(whole, "the number is right, but its gradient in the weights is not: create_graph=True"
         " keeps the graph, and nothing on the way may be detached")  # fmt: skip
    line = nn.Linear(6, 1, dtype=dtype)
    value = answer(nn.Sequential(line, nn.Flatten(0)), torch.ones(5, 6, dtype=dtype), 2.0)
    what = "right for pictures, but for points (B, d) and a linear network the penalty"
    equal(value, line.weight.square().sum(), what, hint="Hint 3, it is |w|²")


@check("7.4", "right for both shapes of matrix and for a convolution")
@either
def largest(answer: Answer, dtype: torch.dtype) -> None:
    """`answer(weight, iterations)` is the largest singular value by power iteration."""
    for seed, shape in enumerate(((6, 9), (9, 6), (5, 3, 4, 4)), 74):
        weight = 3 * draw(seed, *shape, dtype=dtype)
        kept, matrix = weight.clone(), weight.flatten(1)
        found = number(answer(weight, 400), "the singular value")
        need(torch.equal(weight, kept), "the weight itself was changed: work on a copy")
        right = torch.linalg.matrix_norm(matrix, 2)
        slips: dict[Any, str] = {
            when(not math.isfinite(found)): f"{found}: normalise u and v after each product, or"
            " they grow without bound",
            right**2: "this is σ², an eigenvalue of WᵀW: take the length of Wv with |v| = 1",
            matrix.norm(): "this is the Frobenius norm, the root of the sum of all squares",
            weight.abs().max(): "this is the largest entry",
            1 / right: "1/σ: return σ itself",
            1.0: "always 1: measure Wv before it is normalised",
        }
        for axis in range(1, len(shape) if len(shape) == 4 else 1):
            turned = torch.linalg.matrix_norm(weight.movedim(axis, 0).flatten(1), 2)
            slips[turned] = "the matrix must have one row per *output* channel: weight.flatten(1)"
        what = f"for a weight of shape {tuple(shape)} your σ"
        equal(found, right, what, slips, "Hint 2", named=True)
    weight = torch.diag(torch.tensor([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], dtype=dtype))
    few, many = ([number(answer(weight, k), "it") for _ in range(5)] for k in (1, 60))
    slips = {
        when(max(few) > 2 + 1e-5): f"after one iteration it is {max(few):.4f}, above the true 2:"
        " |Wv| with |v| = 1 is never too large; is v normalised at the end?",
        when(close(few, [2.0] * 5)): "exact after one iteration: no decomposition, please; iterate",
        when(sum(many) < sum(few)): "more iterations make it worse: go on from the last v",
    }
    refuse(slips)


@check("7.5", "right: γ has the units of the data, squared")
def gammas(answer: Answer) -> None:
    """`answer(gamma)` are the weights in [0, 1], in [0, 255], lazily, and as lambda."""
    names = ("γ in [0, 1]", "γ in [0, 255]", "γ every 16th step", "λ in [0, 1]")
    gamma = vary(3.0)
    found = numbers(answer(gamma), *names)
    bytes_alone: Slips = {
        gamma * 255**2: "the old range has length 2, not 1: c = 255/2",
        gamma * 255: "c is 255/2, and it is squared",
    }
    for value, what, c, more in zip(found, names, (0.5, 127.5), ({}, bytes_alone)):
        slips: Slips = {
            gamma / c**2: "the wrong way: in a smaller range gradients are *larger*, γ shrinks",
            gamma * c: "the gradient enters squared: c², not c",
            gamma / c: "the gradient enters squared, and the other way round",
            gamma: "unchanged? gradients are per unit of pixel",
            **more,
        }
        equal(value, gamma * c**2, what, slips, "Hint 2", named=True)
    slips = {
        gamma / 16: "divided: one step in sixteen must do the work of sixteen",
        gamma: "unchanged, the penalty would be sixteen times weaker on average",
        8 * gamma: "the factor of ½ is kept: γ is asked for",
        256 * gamma: "16, not 16²: the penalty is linear in γ",
        4 * gamma: "4 = √16? the penalty is linear in γ",
    }
    equal(found[2], 16 * gamma, names[2], slips, "section 5, lazy regularisation", named=True)
    slips = {
        gamma / 4: "the ½ of R1 must go into λ",
        gamma / 2: "that is for pixels in [-1, 1]",
        gamma * 2: "λ is *half* of γ, not twice",
        gamma * 4: "the wrong way: see the first answer",
    }
    equal(found[3], gamma / 8, names[3], slips, "the table of section 5", named=True)
    slips = {...: f"right for γ = {gamma:.3g} only: the answers must be proportional to γ"}
    equal(numbers(answer(2 * gamma), *names), [2 * v for v in found], "the answer", slips)


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
    for s, labels in vary((0.7, (-1.0, 1.0, 0.0)), (1.3, (0.0, 1.0, 1.0)), (0.6, (-0.5, 2.0, 0.3))):
        (alpha, b, c), right = labels, _pull(s, z, labels)
        slips: Slips = {
            0.0: "zero: the samples must be scale·z with a scale that requires grad",
            _pull(s, z, labels, frozen=False): "the discriminator is not frozen: the gradient also"
            " flows through the s in its density q (Hint 2)",
            2 * right: "the ½ of the loss is missing",
            right * len(z): "a sum over the batch; take the mean",
            -right: "the sign is turned: return the gradient, not the step",
            _pull(s, z, (b, alpha, c)): "labels, or the density ratio, turned round: b goes with p",
            _pull(s, z, (alpha, b, b)): "the goal is the label of real samples: c is an argument",
            _pull(s, z, (alpha, b, 0.0)): "the goal c does not enter",
        }
        what = f"the gradient at s = {s:.3g}, labels {alpha:.3g}, {b:.3g}, {c:.3g}"
        equal(answer(s, z.clone(), *labels), right, what, slips, "Hint 3", named=True)
