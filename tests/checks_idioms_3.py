"""Right answers to the exercises of chapters 9 to 11 by other routes: numpy, other idioms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from checks_kit import numpy
from torch import Tensor
from torch.nn import functional as F


def merge_moments(n1: int, m1: Any, s1: Any, n2: int, m2: Any, s2: Any) -> tuple[Any, ...]:
    n = n1 + n2
    mean = (n1 * m1 + n2 * m2) / n
    scatter = sum(
        (k - 1) * s + k * np.outer(m, m) for k, m, s in ((n1, m1, s1), (n2, m2, s2))
    ) - n * np.outer(mean, mean)
    return n, mean, scatter / (n - 1)


def merge_stepwise(n1: int, m1: Tensor, s1: Tensor, n2: int, m2: Tensor, s2: Tensor) -> list[Any]:
    mean = torch.lerp(m1, m2, n2 / (n1 + n2))
    parts = [(k - 1) * s + k * torch.outer(m - mean, m - mean)
             for k, m, s in ((n1, m1, s1), (n2, m2, s2))]  # fmt: skip
    return [torch.tensor(n1 + n2), mean, sum(parts) / (n1 + n2 - 1)]


def np_mmd(x: Any, y: Any) -> float:
    def k(a: Any, b: Any) -> Any:
        return (a @ b.T / a.shape[1] + 1) ** 3

    own = sum(k(a, a)[~np.eye(len(a), dtype=bool)].mean() for a in (x, y))
    return own - 2 * k(x, y).mean()


def mmd_upper(x: Tensor, y: Tensor) -> Tensor:
    k = (torch.cat([x, y]) @ torch.cat([x, y]).T / x.shape[1] + 1).pow(3)
    n, m = len(x), len(y)
    inside = k[:n, :n].triu(1).sum() / math.comb(n, 2), k[n:, n:].triu(1).sum() / math.comb(m, 2)
    return sum(inside) - 2 * k[:n, n:].mean()


def np_density_coverage(real: Any, fake: Any, k: int) -> tuple[float, float]:
    radii = np.sort(np.linalg.norm(real[:, None] - real, axis=2), 1)[:, k]
    inside = np.linalg.norm(real[:, None] - fake, axis=2) < radii[:, None]
    return inside.sum() / k / len(fake), inside.any(1).mean()


def shares_by_topk(real: Tensor, fake: Tensor, k: int) -> Tensor:
    radii = torch.cdist(real, real).fill_diagonal_(math.inf).topk(k, largest=False).values[:, -1]
    inside = (torch.cdist(fake, real) < radii).float()
    return torch.stack([inside.sum(1).mean() / k, inside.amax(0).mean()])


def loop_floor(values: Any, n: int) -> float:
    total = sum(float(v) for v in values)
    for (i, a), (j, b) in itertools.product(enumerate(values), repeat=2):
        total += float(a * b / (2 * (a + b)) * (2 if i == j else 1))
    return 2 / n * total


def raters_by_search(delta: float, spread: float, each: int, power: float) -> int:
    unit = NormalDist()
    n = 1
    while delta / math.sqrt((spread**2 * (1 - 1 / each) + 0.25 / each) / n) < (
        unit.inv_cdf(0.975) + unit.inv_cdf(power)
    ):
        n += 1
    return n


def np_adain(x: Any, scale: Any, mean: Any) -> Any:
    one = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-9)
    return np.einsum("bchw,bc->bchw", one, scale) + mean[..., None, None]


def norm_demodulated(weight: Tensor, style: Tensor) -> Tensor:
    w = torch.einsum("oikl,bi->boikl", weight, style)
    return w * torch.rsqrt(w.flatten(2).square().sum(2) + 1e-8)[:, :, None, None, None]


def np_demodulated(weight: Any, style: Any) -> Any:
    w = weight[None] * style[:, None, :, None, None]
    return w / np.sqrt((w**2).sum((2, 3, 4), keepdims=True) + 1e-8)


def paths_by_rows(synthesis: Any, w: Tensor, y: Tensor) -> Tensor:
    rows = []
    for one, own in zip(w, y):
        leaf = one[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad((synthesis(leaf) * own).sum(), leaf, create_graph=True)
        rows.append(slope.norm())
    return torch.stack(rows)


def paths_by_output(synthesis: Any, w: Tensor, y: Tensor) -> Tensor:
    w = w.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(synthesis(w), w, grad_outputs=y, create_graph=True)
    return torch.linalg.vector_norm(slope, dim=-1)


def np_adapt(p: float, logits: Any, target: float, length: float) -> Any:
    r = np.sign(logits).mean()
    return np.clip(p + np.sign(r - target) * logits.size / length, 0, 1)


def tensor_adapt(p: float, logits: Tensor, target: float, length: float) -> Tensor:
    r = logits.sign().mean()
    return (torch.tensor(p) + (r - target).sign() * logits.numel() / length).clamp(0, 1)


def solved(seen: Tensor, turns: Tensor) -> Any:
    n = len(turns)
    circle = turns[(torch.arange(n)[:, None] - torch.arange(n)) % n]
    return None if torch.linalg.svdvals(circle)[-1] < 1e-6 else torch.linalg.solve(circle, seen)


def np_undo(seen: Any, turns: Any) -> Any:
    factors = np.fft.rfft(turns)
    if np.abs(factors).min() < 1e-6:
        return None
    return np.fft.irfft(np.fft.rfft(seen) / factors, len(seen))


def np_truncate(ws: Any, average: Any, psi: float, cutoff: int | None) -> Any:
    out = ws.copy()
    out[:, :cutoff] = average + psi * (ws[:, :cutoff] - average)
    return out


def lerp_in(dtype: torch.dtype) -> Callable[..., Tensor]:
    def answer(ws: Tensor, average: Tensor, psi: float, cutoff: int | None) -> Tensor:
        many = ws.shape[1] if cutoff is None else cutoff
        weight = torch.ones(ws.shape[1], 1, dtype=dtype)
        weight[:many] = psi
        return torch.lerp(average.expand_as(ws), ws, weight)

    return answer


def np_without(direction: Any, others: Any) -> Any:
    rest = direction - others.T @ np.linalg.lstsq(others.T, direction, rcond=None)[0]
    return rest / np.linalg.norm(rest)


def pinv_without(direction: Tensor, others: Tensor) -> Tensor:
    return F.normalize(direction - torch.linalg.pinv(others) @ (others @ direction), dim=0)


def np_factorise(weights: Any, k: int) -> Any:
    a = np.concatenate(weights)
    return np.linalg.eigh(a.T @ a)[1].T[::-1][:k]


def sum_factorise(weights: list[Tensor], k: int) -> Tensor:
    gram = torch.stack([a.T @ a for a in weights]).sum(0)
    return -torch.linalg.svd(gram).U[:, :k].T


def np_gap(codes: Any, factors: Any) -> float:
    def h(*columns: Any) -> float:
        p = np.unique(np.stack(columns), axis=1, return_counts=True)[1] / len(codes)
        return -(p * np.log2(p)).sum()

    gaps = []
    for v in factors.T:
        known = sorted(h(c) + h(v) - h(c, v) for c in codes.T)
        gaps.append((known[-1] - known[-2]) / h(v))
    return np.mean(gaps)


def table_gap(codes: Tensor, factors: Tensor) -> Tensor:
    gaps = []
    for v in factors.T:
        known = []
        for c in codes.T:
            joint = torch.zeros(int(c.max()) + 1, int(v.max()) + 1)
            joint.index_put_((c, v), torch.ones(len(c)), accumulate=True)
            p = joint / joint.sum()
            known.append(
                torch.special.xlogy(p, p / (p.sum(1)[:, None] * p.sum(0)).clamp(min=1e-30)).sum()
            )
        best = torch.stack(known).topk(2).values
        gaps.append((best[0] - best[1]) / torch.special.entr(v.bincount() / len(v)).sum())
    return torch.stack(gaps).mean()


IDIOMS: dict[str, list[Any]] = {
    "9.1": [
        numpy(lambda a, s, b, t: np.linalg.norm(a - b) ** 2 + np.linalg.norm(s - t) ** 2),
        lambda a, s, b, t: F.mse_loss(torch.cat([a, s]), torch.cat([b, t]), reduction="sum"),
    ],
    "9.2": [numpy(merge_moments), merge_stepwise],
    "9.3": [numpy(np_mmd), mmd_upper],
    "9.4": [numpy(np_density_coverage), shares_by_topk],
    "9.5": [loop_floor, lambda v, n: float(np.float32(loop_floor(v, n)))],
    "9.6": [
        raters_by_search,
        lambda *a: np.ceil(raters_by_search(*a)),
        lambda *a: float(raters_by_search(*a)),
    ],
    "10.1": [
        numpy(np_adain),
        lambda x, s, m: s[..., None, None] * F.instance_norm(x, eps=1e-8) + m[..., None, None],
    ],
    "10.2": [numpy(np_demodulated), norm_demodulated],
    "10.3": [paths_by_rows, paths_by_output],
    "10.4": [numpy(np_adapt), tensor_adapt],
    "10.5": [numpy(np_undo), solved],
    "11.1": [numpy(np_truncate), lerp_in(torch.float32), lerp_in(torch.float64)],
    "11.2": [numpy(np_without), pinv_without],
    "11.3": [numpy(np_factorise), sum_factorise],
    "11.4": [numpy(lambda a, b: np.corrcoef(a, b)[0, 1])],
    "11.5": [numpy(np_gap), table_gap],
}
