"""Checks of chapter 10, StyleGAN: each plays the reader's piece and names usual slips."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import close, number, started, tensor

F64 = torch.float64


def _draw(seed: int, *shape: int) -> Tensor:
    """Normal numbers in float64."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=F64)


def _named(found: Tensor, right: Tensor, wrong: Mapping[str, Tensor], what: str) -> None:
    """Raise with the diagnosis of the wrong value that was found."""
    if close(found, right, 1e-4):
        return
    for diagnosis, value in wrong.items():
        if close(found, value.expand_as(right), 1e-4):
            raise Fail(diagnosis)
    off = (found - right).abs().max().item()
    raise Fail(f"{what}: the largest difference from the right one is {off:.3g}")


def _normal(x: Tensor, dims: tuple[int, ...], centre: bool = True, root: bool = True,
            correction: int = 0) -> Tensor:  # fmt: skip
    variance = x.var(dims, keepdim=True, correction=correction)
    x = x - x.mean(dims, keepdim=True) if centre else x
    return x / (variance.sqrt() if root else variance)


@check("10.1")
def adain(answer: Answer) -> str:
    """`answer(x, scale, mean)`: each map of each sample with the style's deviation and mean."""
    size = _draw(2, 3, 4).exp()[..., None, None]
    x = _draw(1, 3, 4, 5, 6) * size + 2 * _draw(3, 3, 4, 1, 1)
    scale, mean = _draw(4, 3, 4).abs() + 0.3, _draw(5, 3, 4)
    found = tensor(answer(x.clone(), scale.clone(), mean.clone()), x.shape, "the result")
    s, m = scale[..., None, None], mean[..., None, None]
    one = _normal(x, (2, 3))
    wrong = {
        "the statistics run over the batch as well: that is BatchNorm. Each sample has its own": s
        * _normal(x, (0, 2, 3))
        + m,
        "the statistics run over the channels as well: each *map* has its own": s
        * _normal(x, (1, 2, 3))
        + m,
        "the statistics run over the channels at each place; they belong to each map, over its"
        " places": s * _normal(x, (1,)) + m,
        "normalised, but the style is not used": one,
        "the mean of the style is missing": s * one,
        "scale and mean have changed places": m * one + s,
        "the map's own mean is not taken out": s * _normal(x, (2, 3), centre=False) + m,
        "divided by the variance: a square root is missing": s * _normal(x, (2, 3), root=False) + m,
        "divided by HW - 1 in the variance: the exercise says HW (correction=0)": s
        * _normal(x, (2, 3), correction=1)
        + m,
        "the scale is used as 1 + scale, as the package's layer does with the output of its affine"
        " map; here `scale` is the scale itself": (1 + s) * one + m,
        "the style's mean is scaled too: multiply first, then add": s * (one + m),
    }
    _named(found, s * one + m, wrong, "not the style's statistics")
    flat = torch.as_tensor(answer(torch.ones(2, 3, 4, 4), torch.ones(2, 3), torch.zeros(2, 3)))
    if not bool(flat.isfinite().all()):
        raise Fail("right, but a constant map gives NaN: put a small number in the root")
    return "right: whatever comes in, the style's mean and deviation go out"


@check("10.2")
def demodulated(answer: Answer) -> str:
    """`answer(weight, style)`: (out, in, k, k) and (B, in) -> (B, out, in, k, k)."""
    weight, style = _draw(6, 3, 3, 2, 2), _draw(7, 2, 3).abs() + 0.2
    scaled = weight[None] * style[:, None, :, None, None]
    found = tensor(answer(weight.clone(), style.clone()), scaled.shape, "the weight")

    def over(w: Tensor, *dims: int) -> Tensor:
        return w / (w.square().sum(dims, keepdim=True) + 1e-8).sqrt()

    wrong = {
        "modulated, but not divided by anything": scaled,
        "the style has no effect: is it missing, or does it scale *outputs*? What scales an output"
        " is divided out again; it must scale inputs": over(weight[None], 2, 3, 4),
        "normalised first and modulated then: the division must undo what the style did to the"
        " size": over(weight[None], 2, 3, 4) * style[:, None, :, None, None],
        "the sum in the root runs over the inputs alone: the places of the kernel belong to it"
        " too": over(scaled, 2),
        "the sum in the root runs over the kernel alone: the inputs belong to it too": over(
            scaled, 3, 4
        ),
        "one number for the whole weight of a sample: each output has its own (Hint 2)": over(
            scaled, 1, 2, 3, 4
        ),
        "the sum runs over the outputs instead of the inputs": over(scaled, 1, 3, 4),
        "the sum runs over the batch too: each sample has its own weight": over(scaled, 0, 2, 3, 4),
        "divided by the sum of squares: a square root is missing": scaled
        / (scaled.square().sum((2, 3, 4), keepdim=True) + 1e-8),
        "multiplied by the root: divide": scaled
        * (scaled.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt(),
        "the squares are averaged, not summed: the variance of a sum is the *sum*": scaled
        / (scaled.square().mean((2, 3, 4), keepdim=True) + 1e-8).sqrt(),
    }
    _named(found, over(scaled, 2, 3, 4), wrong, "not demodulated")
    silent = torch.as_tensor(answer(weight.clone(), torch.zeros(1, 3, dtype=F64)))
    if not bool(silent.isfinite().all()):
        raise Fail("right, but a style of zeros gives NaN: where is ε?")
    return "right: the squares of each output's weights sum to 1"


class _Painter(nn.Module):
    """A small smooth synthesis network with a known Jacobian."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(_draw(8, 3, 8) / 2)

    def forward(self, w: Tensor) -> Tensor:
        return torch.tanh(w.to(F64) @ self.weight).view(-1, 1, 2, 4)

    def jacobian(self, w: Tensor) -> Tensor:
        """(B, 8, 3)."""
        slope = 1 - torch.tanh(w @ self.weight.detach()).square()
        return slope[:, :, None] * self.weight.detach().T


@check("10.3")
def path_lengths(answer: Answer) -> str:
    """`answer(synthesis, w, y)`: (B,) lengths of J'y, differentiable."""
    painter, w, y = _Painter(), _draw(9, 5, 3), _draw(10, 5, 1, 2, 4)
    reply = answer(painter, w.clone(), y.clone())
    started(reply)
    jacobian = painter.jacobian(w)
    pulled = (jacobian * y.view(5, 8, 1)).sum(1)
    right = pulled.norm(dim=1)
    found = torch.as_tensor(reply).detach().to(F64)
    if found.numel() == 1:
        if close(found, pulled.norm()):
            raise Fail("one length for the whole batch: take the norm of each row")
        raise Fail("one number for the whole batch: the penalty needs a length for each sample")
    if found.shape == (5, 3) and close(found, pulled):
        raise Fail("that is J'y itself: its length is missing")
    found = tensor(reply, right.shape, "the lengths")
    wrong = {
        "the squared lengths: a root is missing": right.square(),
        "the root of the *mean* square: a length is the root of the sum": right / math.sqrt(3),
        "the sum of absolute values: the Euclidean length is asked": pulled.abs().sum(1),
        "y is not used: multiply the pictures by it before the sum": jacobian.sum(1).norm(dim=1),
        "y is scaled by the number of pixels, as in the package's penalty; here take it as it"
        " is": right / math.sqrt(8),
        "the product is averaged: with the mean over all pixels and samples each gradient is too"
        " small by their number; sum": right / 40,
        "the product is averaged over each picture: sum": right / 8,
        "the product is averaged over the batch: sum, then each row is its own sample's": right / 5,
        "that is the length of the whole Jacobian, not of J'y": jacobian.flatten(1).norm(dim=1),
    }
    _named(found, right, wrong, "not the lengths")
    if not torch.is_tensor(reply) or not reply.requires_grad:
        raise Fail("right values, but without a graph: a penalty on them would teach nothing"
                   " (create_graph=True, and no detach)")  # fmt: skip
    slope = torch.autograd.grad(reply.sum(), painter.weight, allow_unused=True)[0]
    if slope is None or not bool(slope.abs().sum() > 0):
        raise Fail("right values, but their graph does not lead to the weights of `synthesis`")
    return "right: one gradient for all samples, and it can be differentiated again"


@check("10.4")
def adapt(answer: Answer) -> str:
    """`answer(p, logits, target, length)`: the next p of ADA."""
    length, target, p = 400.0, 0.6, 0.3
    timid = torch.tensor([0.1] * 7 + [-5.0])  # r = 0.75, mean logit below 0
    loud = torch.tensor([6.0] * 6 + [-0.1] * 2)  # r = 0.5, mean logit above 0
    plain = torch.full((8,), 2.0)
    step = 8 / length

    def play(logits: Tensor, at: float = p, goal: float = target) -> float:
        return number(answer(at, logits.clone(), goal, length), "the new p")

    ways = [play(logits) - p for logits in (plain, timid, loud)]
    if any(not math.isfinite(way) for way in ways):
        raise Fail("the new p is not finite")
    if abs(ways[0]) < 1e-9:
        raise Fail("D is sure of every training picture (r = 1), and p stays: it must rise")
    if ways[0] < 0:
        raise Fail("the wrong way round: when D is too sure of its training pictures, p must rise")
    if ways[1] < 0 and ways[2] > 0:
        raise Fail("you average the logits, or their sigmoid: a single loud picture then decides."
                   " r is the mean of the *signs*")  # fmt: skip
    if ways[1] > 0 and ways[2] > 0:
        raise Fail("is r the share of positive logits, or is p never lowered? With 6 of 8 positive"
                   " the mean sign is 0.5, below the target, and p must fall")  # fmt: skip
    sizes = {abs(way) for way in ways}
    if not all(math.isclose(size, step, rel_tol=1e-5) for size in sizes):
        far = [step * abs(r - target) for r in (1, 0.75, 0.5)]
        wrong = {
            "`length` is in pictures, and this batch has 8: the step does not count the pictures": [
                1 / length
            ]
            * 3,
            "the step depends on how far r is from the target; only its sign counts": far,
            "p moves by 1 at once: a step is the batch over `length`": [1 - p, 1 - p, p],
        }
        for diagnosis, value in wrong.items():
            if all(math.isclose(abs(w), v, rel_tol=1e-4) for w, v in zip(ways, value, strict=True)):
                raise Fail(diagnosis)
        raise Fail(f"the step from p = {p} is {ways[0]:.5f}, right is {step:.5f}")
    for at, logits, end in ((0.99, plain, 1), (0.01, loud, 0)):
        there = play(logits, at)
        if not math.isclose(there, end, abs_tol=1e-6):
            raise Fail(f"from p = {at} it goes to {there:.3f}: a probability stops at {end}")
    if not math.isclose(play(loud, goal=0.5), p, abs_tol=1e-9):
        raise Fail("with r exactly at the target p must stay where it is")
    return "right: up when D is too sure, down when it is not, by pictures shown"


@check("10.5")
def undo(answer: Answer) -> str:
    """`answer(seen, turns)`: the distribution before random turns, or None."""
    n = 5
    before = _draw(11, n).softmax(0)
    turns = torch.tensor([0.5, 0.25, 0.05, 0.15, 0.05], dtype=F64)
    where = (torch.arange(n)[:, None] - torch.arange(n)) % n
    seen = before[where] @ turns
    reply = answer(seen.clone(), turns.clone())
    if reply is ...:
        raise NotImplementedError
    least = torch.fft.fft(turns).abs().min().item()
    if reply is None:
        raise Fail(f"None, but these turns can be undone: the smallest factor is {least:.2f}")
    if torch.is_tensor(reply) and reply.is_complex():
        raise Fail("the result is complex: the inverse transform's real part is the distribution")
    found = tensor(reply, before.shape, "the distribution")
    hat, factors = torch.fft.fft(seen), torch.fft.fft(turns)
    wrong = {
        "nothing has changed: this is what was seen": seen,
        "turned once more: divide in the Fourier domain": torch.fft.ifft(hat * factors).real,
        "undone in the wrong direction: a turn by j leads from i - j to i": torch.fft.ifft(
            hat / factors.conj()
        ).real,
        "only the sizes of the factors are used, but they are complex": torch.fft.ifft(
            hat / factors.abs()
        ).real,
        "divided by the probabilities themselves, place by place: transform both first": seen
        / turns,
        "the inverse transform is not scaled, or a factor n is lost": n * before,
    }
    _named(found, before, wrong, "not the distribution before")
    faint = torch.tensor([0.25 + 7.5e-4, *[0.25 - 2.5e-4] * 3], dtype=F64)
    sharp = torch.tensor([1.0, 0, 0, 0], dtype=F64)
    if answer(faint.clone(), faint.clone()) is None:
        raise Fail("turns that are *nearly* even, factor 0.001, can still be undone: None is for"
                   " factors below 1e-6")  # fmt: skip
    if not close(torch.as_tensor(answer(faint.clone(), faint.clone())), sharp, 1e-3):
        raise Fail("nearly even turns are not undone rightly")
    for lost in ([0.25] * 4, [0.5, 0, 0.5, 0], [0.5, 0.5, 0, 0]):
        pi = torch.tensor(lost, dtype=F64)
        if answer(pi.clone(), pi.clone()) is not None:
            raise Fail(f"turns with the probabilities {lost} cannot be undone: two different"
                       " distributions look alike behind them, so the answer is None")  # fmt: skip
    return "right: a division in the Fourier domain, where there is nothing to divide by 0"
