"""The checks of chapter 10 accept right answers, and name each usual wrong one."""

from __future__ import annotations

from typing import Any

import torch
from checks_kit import suite
from torch import Tensor


def adain(x: Tensor, scale: Tensor, mean: Tensor, dims: tuple[int, ...] = (2, 3),
          centre: bool = True, power: float = 0.5, correction: int = 0, eps: float = 1e-8,
          ) -> Tensor:  # fmt: skip
    size = x.var(dims, keepdim=True, correction=correction) + eps
    x = x - x.mean(dims, keepdim=True) if centre else x
    return scale[:, :, None, None] * x / size**power + mean[:, :, None, None]


def over(*dims: int, style_in: bool = True, first: bool = False, power: float = -0.5,
         mean: bool = False, divide: bool = True, eps: float = 1e-8) -> Any:  # fmt: skip
    """An answer to 10.2 with one thing different."""

    def answer(weight: Tensor, style: Tensor) -> Tensor:
        s = style[:, None, :, None, None] if style_in else style[:, :, None, None, None]
        w = weight[None] * (torch.ones_like(s) if first else s)
        square = w.square()
        size = square.mean(dims, keepdim=True) if mean else square.sum(dims, keepdim=True)
        w = w * (size + eps) ** power if divide else w
        return w * s if first else w

    return answer


ALL = (2, 3, 4)


def path_lengths(synthesis: Any, w: Tensor, y: Tensor, graph: bool = True, total: str = "sum",
                 use: bool = True, norm: str = "rows") -> Tensor:  # fmt: skip
    w = w.detach().requires_grad_()
    made = synthesis(w)
    product = made * y if use else made
    product = product.sum() if total == "sum" else product.mean()
    (slope,) = torch.autograd.grad(product, w, create_graph=graph)
    return {
        "rows": slope.norm(dim=1),
        "all": slope.norm(),
        "squared": slope.square().sum(1),
        "rms": slope.square().mean(1).sqrt(),
        "l1": slope.abs().sum(1),
        "none": slope,
    }[norm]


def variant(**options: Any) -> Any:
    """10.3 with one thing different."""
    return lambda synthesis, w, y: path_lengths(synthesis, w, y, **options)


def frozen_paths(synthesis: Any, w: Tensor, y: Tensor) -> Tensor:
    lengths = path_lengths(synthesis, w, y, graph=False)
    return lengths + 0 * w.requires_grad_().sum()


def adapt(p: float, logits: Tensor, target: float, length: float, statistic: Any = None,
          sign: float = 1.0, step: Any = None, clamp: bool = True) -> float:  # fmt: skip
    r = logits.sign().mean() if statistic is None else statistic(logits)
    size = len(logits) / length if step is None else step(r, logits, target, length)
    p = p + sign * torch.sign(r - target).item() * float(size)
    return min(1.0, max(0.0, p)) if clamp else p


def ada(**options: Any) -> Any:
    """10.4 with one thing different."""
    return lambda p, a, target, length: adapt(p, a, target, length, **options)


def eager(p: float, logits: Tensor, target: float, length: float) -> float:
    step = len(logits) / length
    p = p + step if logits.sign().mean() > target else p - step
    return min(1.0, max(0.0, p))


def undo(seen: Tensor, turns: Tensor, change: Any = lambda f: f, least: float = 1e-6) -> Any:
    factors = torch.fft.fft(turns)
    if factors.abs().min() < least:
        return None
    return torch.fft.ifft(torch.fft.fft(seen) / change(factors)).real


def undone(**options: Any) -> Any:
    """10.5 with one thing different."""
    return lambda seen, turns: undo(seen, turns, **options)


def complex_undo(seen: Tensor, turns: Tensor) -> Tensor:
    return torch.fft.ifft(torch.fft.fft(seen) / torch.fft.fft(turns))


RIGHT = [
    ("10.1", adain),
    ("10.2", over(*ALL)),
    ("10.3", path_lengths),
    ("10.4", adapt),
    ("10.5", undo),
]

WRONG = [
    ("10.1", lambda *a: adain(*a, dims=(0, 2, 3)), "BatchNorm"),
    ("10.1", lambda *a: adain(*a, dims=(1, 2, 3)), "each *map*"),
    ("10.1", lambda *a: adain(*a, dims=(1,)), "at each place"),
    (
        "10.1",
        lambda x, s, m: adain(x, torch.ones_like(s), torch.zeros_like(m)),
        "style is not used",
    ),
    ("10.1", lambda x, s, m: adain(x, s, torch.zeros_like(m)), "mean of the style is missing"),
    ("10.1", lambda x, s, m: adain(x, m, s), "changed places"),
    ("10.1", lambda *a: adain(*a, centre=False), "not taken out"),
    ("10.1", lambda *a: adain(*a, power=1.0), "square root is missing"),
    ("10.1", lambda *a: adain(*a, correction=1), "HW - 1"),
    ("10.1", lambda x, s, m: adain(x, 1 + s, m), "1 + scale"),
    ("10.1", lambda x, s, m: adain(x, s, s * m), "multiply first"),
    ("10.1", lambda x, s, m: adain(2 * x, 3 * s, m), "off by up to"),
    ("10.1", lambda x, s, m: adain(x, s, m)[:2], "must have shape"),
    ("10.1", lambda *a: adain(*a, eps=0.0), "NaN"),
    ("10.2", over(*ALL, divide=False), "not divided"),
    ("10.2", over(*ALL, style_in=False), "no effect"),
    ("10.2", lambda w, s: over(*ALL)(w, torch.ones_like(s)), "no effect"),
    ("10.2", over(*ALL, first=True), "normalised first"),
    ("10.2", over(2), "inputs alone"),
    ("10.2", over(3, 4), "kernel alone"),
    ("10.2", over(1, 2, 3, 4), "whole weight"),
    ("10.2", over(1, 3, 4), "outputs instead"),
    ("10.2", over(0, 2, 3, 4), "over the batch"),
    ("10.2", over(*ALL, power=-1.0), "square root is missing"),
    ("10.2", over(*ALL, power=0.5), "divide"),
    ("10.2", over(*ALL, mean=True), "averaged"),
    ("10.2", over(*ALL, eps=0.0), "where is ε"),
    ("10.3", variant(norm="all"), "whole batch"),
    ("10.3", lambda *a: path_lengths(*a).mean(), "length for each sample"),
    ("10.3", variant(norm="none"), "length is missing"),
    ("10.3", variant(norm="squared"), "root is missing"),
    ("10.3", variant(norm="rms"), "*mean* square"),
    ("10.3", variant(norm="l1"), "absolute"),
    ("10.3", variant(use=False), "y is not used"),
    ("10.3", variant(total="mean"), "averaged"),
    ("10.3", lambda s, w, y: path_lengths(s, w, y / 8**0.5), "number of pixels"),
    ("10.3", variant(graph=False), "without a graph"),
    ("10.3", frozen_paths, "does not lead to the weights"),
    ("10.4", ada(sign=-1.0), "wrong way round"),
    ("10.4", lambda p, *a: p, "must rise"),
    ("10.4", ada(statistic=lambda a: a.mean()), "mean of the *signs*"),
    ("10.4", ada(statistic=lambda a: a.sigmoid().mean()), "mean of the *signs*"),
    ("10.4", ada(statistic=lambda a: (a > 0).float().mean()), "share of positive"),
    ("10.4", ada(step=lambda r, a, t, n: 1 / n), "count the pictures"),
    ("10.4", ada(step=lambda r, a, t, n: len(a) / n * abs(r - t)), "only its sign"),
    ("10.4", ada(step=lambda r, a, t, n: n / len(a)), "at once"),
    ("10.4", ada(step=lambda r, a, t, n: 2 * len(a) / n), "right is"),
    ("10.4", ada(clamp=False), "stops at"),
    ("10.4", eager, "must stay"),
    ("10.4", lambda p, *a: float("nan"), "not finite"),
    ("10.5", lambda seen, turns: seen, "nothing has changed"),
    ("10.5", undone(change=lambda f: 1 / f), "turned once more"),
    ("10.5", undone(change=lambda f: f.conj()), "wrong direction"),
    ("10.5", undone(change=lambda f: f.abs()), "sizes of the factors"),
    ("10.5", lambda seen, turns: seen / turns, "place by place"),
    ("10.5", lambda seen, turns: 5 * undo(seen, turns), "factor n"),
    ("10.5", complex_undo, "complex"),
    ("10.5", lambda *a: None, "can be undone"),
    ("10.5", undone(least=0.01), "nearly"),
    ("10.5", undone(least=-1.0), "cannot be undone"),
]


STARTERS = [
    ("10.1", lambda *a: ...),
    ("10.2", lambda *a: ...),
    ("10.3", lambda *a: ...),
    ("10.4", lambda *a: ...),
    ("10.5", lambda *a: ...),
    ("10.5", ...),
]

(
    test_right_answers_pass,
    test_wrong_answers_are_named,
    test_untouched_starters_are_not_started,
    test_the_checks_leave_the_global_random_state,
) = suite(RIGHT, WRONG, STARTERS)
