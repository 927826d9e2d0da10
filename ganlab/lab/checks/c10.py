"""Checks of chapter 10, StyleGAN: each plays the reader's piece and names usual slips."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import F64, draw, number, tensor, vary
from ganlab.lab.checks.words import Slips, close, equal, need, refuse, when


def _normal(x: Tensor, *dims: int, centre: bool = True, root: bool = True, less: int = 0) -> Tensor:
    variance = x.var(dims, keepdim=True, correction=less)
    x = x - x.mean(dims, keepdim=True) if centre else x
    return x / (variance.sqrt() if root else variance)


@check("10.1", "right: whatever comes in, the style's mean and deviation go out")
def adain(answer: Answer) -> None:
    """`answer(x, scale, mean)`: each map of each sample with the style's deviation and mean."""
    size = draw(2, 3, 4).exp()[..., None, None]
    x = draw(1, 3, 4, 5, 6) * size + 2 * draw(3, 3, 4, 1, 1)
    scale, mean = draw(4, 3, 4).abs() + 0.3, draw(5, 3, 4)
    s, m, one = scale[..., None, None], mean[..., None, None], _normal(x, 2, 3)
    run = "the statistics run over the"
    slips: Slips = {
        s * _normal(x, 0, 2, 3) + m: f"{run} batch as well (BatchNorm): each sample has its own",
        s * _normal(x, 1, 2, 3) + m: f"{run} channels as well: each *map* has its own",
        s * _normal(x, 1) + m: f"{run} channels at each place, not over the places of each map",
        one: "normalised, but the style is not used",
        s * one: "the mean of the style is missing",
        m * one + s: "scale and mean have changed places",
        s * _normal(x, 2, 3, centre=False) + m: "the map's own mean is not taken out",
        s * _normal(x, 2, 3, root=False) + m: "divided by the variance: a square root is missing",
        s * _normal(x, 2, 3, less=1) + m: "divided by HW - 1 in the variance: by HW (correction=0)",
        (1 + s) * one + m: "used as 1 + scale, as the package's layer uses the output of its affine"
        " map; here `scale` is the scale itself",
        s * (one + m): "the style's mean is scaled too: multiply first, then add",
    }
    found = answer(x.clone(), scale.clone(), mean.clone())
    equal(found, s * one + m, "the map with the style's statistics", slips, within=1e-4)
    flat = answer(torch.ones(2, 3, 4, 4), torch.ones(2, 3), torch.zeros(2, 3))
    finite = tensor(flat, (2, 3, 4, 4), "the map").isfinite().all()
    need(finite, "right, but a constant map gives NaN: put a small number in the root")


@check("10.2", "right: the squares of each output's weights sum to 1")
def demodulated(answer: Answer) -> None:
    """`answer(weight, style)`: (out, in, k, k) and (B, in) -> (B, out, in, k, k)."""
    weight, style = draw(6, 3, 3, 2, 2), draw(7, 2, 3).abs() + 0.2
    each = style[:, None, :, None, None]
    scaled = weight[None] * each

    def over(w: Tensor, *dims: int) -> Tensor:
        return w / (w.square().sum(dims, keepdim=True) + 1e-8).sqrt()

    right = over(scaled, 2, 3, 4)
    norm, plain, run = scaled / right, over(weight[None], 2, 3, 4), "the sum in the root runs over"
    slips: Slips = {
        scaled: "modulated, but not divided by anything",
        plain.expand_as(scaled): "the style has no effect: is it missing, or does it scale"
        " *outputs*? What scales an output is divided out again; it must scale inputs",
        plain * each: "normalised first and modulated then: the division undoes the style",
        over(scaled, 2): f"{run} the inputs alone: the places of the kernel belong to it too",
        over(scaled, 3, 4): f"{run} the kernel alone: the inputs belong to it too",
        over(scaled, 1, 2, 3, 4): f"{run} the whole weight: each output has its own (Hint 2)",
        over(scaled, 1, 3, 4): f"{run} the outputs instead of the inputs",
        over(scaled, 0, 2, 3, 4): f"{run} the batch too: each sample has its own weight",
        scaled / norm**2: "divided by the sum of squares: a square root is missing",
        scaled * norm: "multiplied by the root: divide",
        right * math.sqrt(12): "the squares are averaged: the variance of a sum is the *sum*",
    }
    found = answer(weight.clone(), style.clone())
    equal(found, right, "the demodulated weight", slips, within=1e-4)
    silent = tensor(answer(weight.clone(), torch.zeros(1, 3, dtype=F64)), (1, 3, 3, 2, 2), "it")
    need(silent.isfinite().all(), "right, but a style of zeros gives NaN: where is ε?")


class _Painter(nn.Module):
    """A small smooth synthesis network with a known Jacobian."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(draw(8, 3, 8) / 2)

    def forward(self, w: Tensor) -> Tensor:
        return torch.tanh(w.to(F64) @ self.weight).view(-1, 1, 2, 4)

    def jacobian(self, w: Tensor) -> Tensor:
        """(B, 8, 3)."""
        slope = 1 - torch.tanh(w @ self.weight.detach()).square()
        return slope[:, :, None] * self.weight.detach().T


@check("10.3", "right: one gradient for all samples, and it can be differentiated again")
def path_lengths(answer: Answer) -> None:
    """`answer(synthesis, w, y)`: (B,) lengths of J'y, differentiable."""
    painter, w, y = _Painter(), draw(9, 5, 3), draw(10, 5, 1, 2, 4)
    reply = answer(painter, w.clone(), y.clone())
    jacobian = painter.jacobian(w)
    pulled = (jacobian * y.view(5, 8, 1)).sum(1)
    right, shape = pulled.norm(dim=1), tuple(getattr(reply, "shape", (5,)))
    slips: Slips = {
        when(shape == () and close(reply, pulled.norm())): "one length for the whole batch: take"
        " the norm of each row",
        when(shape == ()): "one number for the whole batch: a length for each sample is needed",
        when(shape == (5, 3) and close(reply, pulled)): "that is J'y itself: its length is missing",
    }
    refuse(slips if shape != (5,) else {})
    slips = {
        right.square(): "the squared lengths: a root is missing",
        right / math.sqrt(3): "the root of the *mean* square: a length is the root of the sum",
        pulled.abs().sum(1): "the sum of absolute values: the Euclidean length is asked",
        jacobian.sum(1).norm(dim=1): "y is not used: multiply the pictures by it before the sum",
        right / math.sqrt(8): "y is scaled by the number of pixels, as in the package's penalty;"
        " here take it as it is",
        right / 40: "the product is averaged: the mean over all pixels and samples makes each"
        " gradient too small by their number; sum",
        right / 8: "the product is averaged over each picture: sum",
        right / 5: "the product is averaged over the batch: sum, then each row is its own sample's",
        jacobian.flatten(1).norm(dim=1): "that is the length of the whole Jacobian, not of J'y",
    }
    equal(reply, right, "the batch of lengths", slips, within=1e-4)
    graph = torch.is_tensor(reply) and reply.requires_grad
    need(graph, "right values, but without a graph: a penalty on them would teach nothing"
         " (create_graph=True, and no detach)")  # fmt: skip
    slope = torch.autograd.grad(reply.sum(), painter.weight, materialize_grads=True)[0]
    leads = slope.abs().sum() > 0
    need(leads, "right values, but their graph does not lead to the weights of `synthesis`")


@check("10.4", "right: up when D is too sure, down when it is not, by pictures shown")
def adapt(answer: Answer) -> None:
    """`answer(p, logits, target, length)`: the next p of ADA."""
    length, target, p = vary(400.0, 0.6, 0.3)
    timid = torch.tensor([0.1] * 7 + [-5.0])  # r = 0.75, mean logit below 0
    loud = torch.tensor([6.0] * 6 + [-0.1] * 2)  # r = 0.5, mean logit above 0
    plain = torch.full((8,), 2.0)
    step = 8 / length

    def play(logits: Tensor, at: float = p, goal: float = target) -> float:
        return number(answer(at, logits.clone(), goal, length), "the new p")

    ways = [play(logits) - p for logits in (plain, timid, loud)]
    sizes = [abs(way) for way in ways]
    slips: Slips = {
        when(not all(map(math.isfinite, ways))): "the new p is not finite",
        when(sizes[0] < 1e-6): "D is sure of every training picture (r = 1): p must rise",
        when(ways[0] < 0): "the wrong way round: when D is too sure of its pictures, p must rise",
        when(ways[1] < 0 < ways[2]): "you average the logits, or their sigmoid: a single loud"
        " picture then decides. r is the mean of the *signs*",
        when(ways[1] > 0 and ways[2] > 0): "is r the share of positive logits, or is p never"
        " lowered? With 6 of 8 positive the mean sign is 0.5, below the target, and p must fall",
        when(close(sizes, [1 / length] * 3)): "`length` is in pictures, and this batch has 8: the"
        " step does not count the pictures",
        when(close(sizes, [step * abs(r - target) for r in (1, 0.75, 0.5)])): "the step depends on"
        " how far r is from the target; only its sign counts",
        when(close(sizes, (1 - p, 1 - p, p))): "p moves by 1 at once: step by batch/length",
        when(not close(sizes, [step] * 3)): f"the step is {ways[0]:.5f}, right is {step:.5f}",
    }
    refuse(slips)
    for at, logits, end in ((0.99, plain, 1), (0.01, loud, 0)):
        slips = {...: f"from p = {at} it goes to {{found:.3f}}: a probability stops at {end}"}
        equal(play(logits, at), end, "the new p", slips)
    slips = {...: "with r exactly at the target p must stay where it is"}
    equal(play(loud, goal=0.5), p, "the new p", slips)


@check("10.5", "right: a division in the Fourier domain, where there is nothing to divide by 0")
def undo(answer: Answer) -> None:
    """`answer(seen, turns)`: the distribution before random turns, or None."""
    n = 5
    before, turns = draw(11, n).softmax(0), vary([0.5, 0.25, 0.05, 0.15, 0.05], by=0.1)
    turns = torch.tensor(turns, dtype=F64) / sum(turns)
    seen = before[(torch.arange(n)[:, None] - torch.arange(n)) % n] @ turns
    hat, factors = torch.fft.fft(seen), torch.fft.fft(turns)
    reply = answer(seen.clone(), turns.clone())
    least = f"the smallest factor is {factors.abs().min().item():.2f}"
    need(reply is not None, f"None, but these turns can be undone: {least}")
    slips: Slips = {
        seen: "nothing has changed: this is what was seen",
        torch.fft.ifft(hat * factors).real: "turned once more: divide in the Fourier domain",
        torch.fft.ifft(hat / factors.conj()).real: "undone in the wrong direction: a turn by j"
        " leads from i - j to i",
        torch.fft.ifft(hat / factors.abs()).real: "only the sizes of the factors: they are complex",
        seen / turns: "divided by the probabilities, place by place: transform both first",
        n * before: "the inverse transform is not scaled, or a factor n is lost",
    }
    equal(reply, before, "the distribution before the turns", slips, within=1e-4)
    faint = torch.tensor([0.25 + 7.5e-4, *[0.25 - 2.5e-4] * 3], dtype=F64)
    sharp = answer(faint.clone(), faint.clone())
    need(sharp is not None, "turns that are *nearly* even, factor 0.001, can still be undone: None"
         " is for factors below 1e-6")  # fmt: skip
    equal(sharp, (1, 0, 0, 0), "after nearly even turns the distribution", within=1e-3)
    for lost in ([0.25] * 4, [0.5, 0, 0.5, 0], [0.5, 0.5, 0, 0]):
        pi = torch.tensor(lost, dtype=F64)
        need(answer(pi.clone(), pi.clone()) is None, f"turns with the probabilities {lost} cannot"
             " be undone: two different distributions look alike behind them, so the answer is"
             " None")  # fmt: skip
