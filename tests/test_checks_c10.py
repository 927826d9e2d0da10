"""The checks of chapter 10 accept right answers, and name each usual wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def adain_by_layer(x: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
    normal = torch.nn.functional.instance_norm(x, eps=1e-8)
    return normal * scale.unsqueeze(2).unsqueeze(3) + mean.unsqueeze(2).unsqueeze(3)


def adain_in_numpy(x: Tensor, scale: Tensor, mean: Tensor) -> np.ndarray:
    a, s, m = (t.double().numpy() for t in (x, scale, mean))
    deviation = np.sqrt(a.var(axis=(2, 3), keepdims=True) + 1e-8)
    return s[..., None, None] * (a - a.mean((2, 3), keepdims=True)) / deviation + m[..., None, None]


def adain_sample_by_sample(x: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
    x, out = x.float(), torch.empty_like(x, dtype=torch.float32)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[i, j]
            out[i, j] = scale[i, j] * (v - v.mean()) / (v.std(correction=0) + 1e-6) + mean[i, j]
    return out


def demodulated_by_einsum(weight: Tensor, style: Tensor) -> Tensor:
    w = torch.einsum("oikl,bi->boikl", weight.float(), style.float())
    return w * torch.rsqrt((w * w).flatten(2).sum(2) + 1e-8)[:, :, None, None, None]


def demodulated_in_numpy(weight: Tensor, style: Tensor) -> np.ndarray:
    w = weight.numpy()[None] * style.numpy()[:, None, :, None, None]
    return w / np.sqrt(np.square(w).sum((2, 3, 4), keepdims=True) + 1e-8)


def paths_by_vjp(synthesis: Any, w: Tensor, y: Tensor) -> Tensor:
    _, pull = torch.func.vjp(synthesis, w)
    return torch.linalg.vector_norm(pull(y)[0], dim=1)


def paths_one_by_one(synthesis: Any, w: Tensor, y: Tensor) -> Tensor:
    found = []
    for one, direction in zip(w.float(), y, strict=True):
        v = one[None].detach().requires_grad_()
        slope = torch.autograd.grad(synthesis(v), v, direction[None], create_graph=True)[0]
        found.append((slope**2).sum() ** 0.5)
    return torch.stack(found)


def adapt_in_float32(p: float, logits: Tensor, target: float, length: float) -> Tensor:
    r = torch.tensor(logits.sign().mean().item(), dtype=torch.float32)
    way = (r - torch.tensor(target)).sign()
    return (torch.tensor(p) + way * (logits.numel() / length)).clamp(0.0, 1.0)


def adapt_in_numpy(p: float, logits: Tensor, target: float, length: float) -> float:
    r = float(np.sign(logits.numpy()).mean())
    step = 0.0 if abs(r - target) < 1e-7 else np.sign(r - target) * len(logits) / length
    return float(np.clip(p + step, 0, 1))


def adapt_by_counting(p: float, logits: Tensor, target: float, length: float) -> float:
    r = ((logits > 0).sum() - (logits < 0).sum()).item() / logits.shape[0]
    move = logits.shape[0] / length * ((r > target) - (r < target))
    return max(min(p + move, 1), 0)


def undo_by_matrix(seen: Tensor, turns: Tensor) -> Tensor | None:
    n = len(turns)
    circulant = torch.stack([turns.roll(j) for j in range(n)], 1)
    if torch.linalg.eigvals(circulant).abs().min() < 1e-6:
        return None
    return torch.linalg.solve(circulant, seen)


def undo_in_numpy(seen: Tensor, turns: Tensor) -> np.ndarray | None:
    factors = np.fft.fft(turns.numpy())
    if np.abs(factors).min() < 1e-6:
        return None
    return np.fft.ifft(np.fft.fft(seen.numpy()) / factors).real


def undo_in_float32(seen: Tensor, turns: Tensor) -> Tensor | None:
    return undo(seen.float(), turns.float())


RIGHT = [
    ("10.1", adain),
    ("10.1", adain_by_layer),
    ("10.1", adain_in_numpy),
    ("10.1", adain_sample_by_sample),
    ("10.2", over(*ALL)),
    ("10.2", demodulated_by_einsum),
    ("10.2", demodulated_in_numpy),
    ("10.3", path_lengths),
    ("10.3", paths_by_vjp),
    ("10.3", paths_one_by_one),
    ("10.4", adapt),
    ("10.4", adapt_in_float32),
    ("10.4", adapt_in_numpy),
    ("10.4", adapt_by_counting),
    ("10.5", undo),
    ("10.5", undo_by_matrix),
    ("10.5", undo_in_numpy),
    ("10.5", undo_in_float32),
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
