"""Right answers to the exercises of chapters 5 to 8 by other routes: numpy, other idioms."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import test_checks_c08
import torch
from checks_kit import numpy
from torch import Tensor
from torch.nn import functional as F

from ganlab.losses import objective


def penalty_in(dtype: torch.dtype) -> Callable[..., Tensor]:
    """The weights of `lerp` must have the type of its tensors."""

    def answer(f: Any, real: Tensor, fake: Tensor) -> Tensor:
        eps = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=dtype)
        x = torch.lerp(real, fake, eps).requires_grad_()
        (g,) = torch.autograd.grad(f(x), x, torch.ones(len(x)), create_graph=True)
        return F.mse_loss(torch.linalg.vector_norm(g.flatten(1), dim=1), torch.ones(len(x)).to(g))

    return answer


def penalty_by_vmap(f: Any, real: Tensor, fake: Tensor) -> Tensor:
    eps = torch.rand(len(real)).view(-1, *[1] * (real.ndim - 1))
    x = (fake + eps * (real - fake)).detach().requires_grad_()
    g = torch.autograd.grad(f(x).sum(), x, create_graph=True)[0]
    norms = [row.square().sum().sqrt() for row in g]
    return sum((n - 1) ** 2 for n in norms) / len(norms)


def r1_by_mean(network: Any, real: Tensor, gamma: float) -> Tensor:
    x = real.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(network(x).mean(), x, create_graph=True)
    return gamma / 2 * len(x) * g.square().sum()


def r1_by_ones(network: Any, real: Tensor, gamma: float) -> Tensor:
    x = real.clone()
    x.requires_grad = True
    a = network(x)
    g = torch.autograd.grad([a], [x], [torch.ones_like(a)], create_graph=True)[0]
    return 0.5 * gamma * torch.linalg.vector_norm(g.reshape(len(x), -1), dim=1).pow(2).mean()


def power_in(dtype: torch.dtype) -> Callable[..., Tensor]:
    def answer(weight: Tensor, iterations: int) -> Tensor:
        m = weight.reshape(len(weight), -1)
        v = F.normalize(torch.randn(m.shape[1], dtype=dtype), dim=0)
        for _ in range(iterations):
            u = F.normalize(m @ v, dim=0)
            v = F.normalize(u @ m, dim=0)
        return u @ m @ v

    return answer


def np_power(weight: Any, iterations: int) -> float:
    m = weight.reshape(len(weight), -1)
    v = np.random.default_rng(0).normal(size=m.shape[1])
    for _ in range(iterations):
        v = m.T @ (m @ (v / np.linalg.norm(v)))
    return np.linalg.norm(m @ v) / np.linalg.norm(v)


def np_pull(s: float, z: Any, alpha: float, b: float, c: float) -> float:
    x = s * z
    k = 1 / s**2 - 1
    share = 1 / (1 + np.exp(-(np.log(s) + x**2 / 2 * k)))
    return np.mean(
        (alpha + (b - alpha) * share - c) * (b - alpha) * share * (1 - share) * k * x * z
    )


def pull_by_backward(s: float, z: Tensor, alpha: float, b: float, c: float) -> Tensor:
    scale = torch.tensor(s, requires_grad=True)
    x = scale * z
    p = torch.exp(-(x**2) / 2)
    q = torch.exp(-((x / s) ** 2) / 2) / s
    (0.5 * ((b * p + alpha * q) / (p + q) - c).pow(2).mean()).backward()
    return scale.grad  # type: ignore[return-value]


def std_by_centre(x: Tensor) -> Tensor:
    away = x - x.mean(0, keepdim=True)
    number = (away.square().mean(0) + 1e-8).sqrt().mean()
    return torch.cat([x, torch.ones_like(x[:, :1]) * number], 1)


def std_by_pad(x: Tensor) -> Tensor:
    spread = torch.sqrt((x**2).mean(0) - x.mean(0) ** 2 + 1e-7).mean()
    return F.pad(x, (0, 0, 0, 0, 0, 1)) + spread * F.pad(
        torch.zeros_like(x), (0,) * 5 + (1,), value=1
    )


def probability_losses(G: Any, D: Any, x: Tensor, z: Tensor, T: Any) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        old = G(z)
    d_loss = -torch.sigmoid(D(T(x))).log().mean() - (1 - torch.sigmoid(D(T(old)))).log().mean()
    return d_loss, -F.logsigmoid(D(T(G(z)))).mean()


def bce_losses(G: Any, D: Any, x: Tensor, z: Tensor, T: Any) -> list[Tensor]:
    bce, one = F.binary_cross_entropy_with_logits, torch.ones(len(x)).double()
    fake = G(z)
    g_loss = bce(D(T(fake)), one)
    return [bce(D(T(x)), one) + bce(D(T(fake.detach())), 0 * one), g_loss]


def np_diagnose(curves: dict[str, Any]) -> str:
    late = {k: np.median(v[-7:]) for k, v in curves.items() if isinstance(v, list)}
    if not curves["finite"] >= 600:
        return "not finite"
    ahead = late["d_real"] - late["d_fake"]
    names = [(ahead > 0.6, "D wins"), (ahead < -0.2, "G wins"), (late["variety"] < 0.5, "collapse")]
    return next((name for fits, name in names if fits), "sound")


def first_sound(curves: dict[str, Any]) -> str:
    return test_checks_c08.diagnose(curves)


def unrolled_by_copies(d_loss: Any, g_loss: Any, theta: Tensor, psi: Tensor, steps: int,
                       lr: float) -> Tensor:  # fmt: skip
    theta, psi = (v.detach().clone().requires_grad_() for v in (theta, psi))

    def g(start: Tensor) -> Tensor:
        moved = psi
        for _ in range(steps):
            moved = (
                moved - lr * torch.autograd.grad(d_loss(start, moved), moved, create_graph=True)[0]
            )
        return g_loss(start, moved)

    return torch.autograd.functional.jacobian(g, theta)  # type: ignore[return-value]


def unrolled_by_backward(d_loss: Any, g_loss: Any, theta: Tensor, psi: Tensor, steps: int,
                         lr: float) -> Tensor:  # fmt: skip
    leaf = theta.detach().clone().requires_grad_()
    for _ in range(steps):
        (slope,) = torch.autograd.grad(d_loss(leaf, psi), [psi], create_graph=True)
        psi = torch.sub(psi, slope, alpha=lr)
    g_loss(leaf, psi).backward()
    return leaf.grad  # type: ignore[return-value]


IDIOMS: dict[str, list[Any]] = {
    "5.1": [
        lambda e, f, n: abs(1 + 1j * e * f) ** n,
        lambda e, f, n: np.hypot(1, np.float32(e * f)) ** n,
    ],
    "5.2": [
        lambda e: np.array([[1, e], [0, 1]]) @ np.array([[1, 0], [-e, 1]]),
        lambda e: torch.stack([torch.tensor([1 - e * e, e]), torch.tensor([-e, 1.0])]),
    ],
    "5.3": [lambda g, f: min(2 * -v.real / abs(v) ** 2 for v in np.roots([1, g, f * f]))],
    "5.4": [
        numpy(
            lambda field, w, e: (
                w + e * field(torch.tensor(w + e * field(torch.tensor(w)).numpy())).numpy()
            )
        ),
        lambda field, w, e: torch.add(w, field(torch.add(w, field(w), alpha=e)), alpha=e),
    ],
    "5.5": [
        lambda t, p, e: float(t) ** 2 + float(p) ** 2 - e * float(t) * float(p) + 10**6,
        lambda t, p, e: ((t - e / 2 * p) ** 2 + (1 - e**2 / 4) * p**2).log(),
    ],
    "5.6": [lambda b, f: np.float32(2 * b) / np.float32(f)],
    "6.1": [
        numpy(lambda a, b: np.abs(np.sort(a) - np.sort(b)).mean()),
        lambda a, b: torch.quantile(a, torch.linspace(0, 1, 5).to(a)).sub(b.sort()[0]).abs().mean(),
    ],
    "6.2": [numpy(lambda r, f: np.array([f.mean() - r.mean(), -f.mean()]))],
    "6.3": [penalty_in(torch.float32), penalty_in(torch.float64), penalty_by_vmap],
    "6.4": [numpy(lambda x, p, q: np.abs(np.cumsum(p - q)[:-1]) @ np.diff(x))],
    "6.5": [
        lambda K, w: np.exp(
            (np.log(K) - sum(np.log(m * n) / 2 for m, n in itertools.pairwise(w))) / (len(w) - 1)
        ),
        lambda K, w: (
            (torch.tensor(K) / torch.tensor(w[:-1]).mul(torch.tensor(w[1:])).prod().sqrt())
            ** (1 / (len(w) - 1))
        ),
    ],
    "6.6": [
        lambda p, v, x: torch.stack(
            [(v - torch.cdist(x, p)).amax(1), (v + torch.cdist(x, p)).amin(1)]
        )
    ],
    "7.1": [
        numpy(lambda r, f: (np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(), -f.mean())),
        lambda r, f: (
            F.hinge_embedding_loss(r, -torch.ones_like(r), margin=1.0)
            + (1 + f).clamp(min=0).mean(),
            f.neg().mean(),
        ),
    ],
    "7.2": [
        lambda r, f: (-F.logsigmoid(r - f).mean(), -F.logsigmoid(f - r).mean()),
        lambda r, f: torch.stack(
            [objective("relativistic").d_loss(r, f), F.softplus(r - f).mean()]
        ),
    ],
    "7.3": [r1_by_mean, r1_by_ones],
    "7.4": [power_in(torch.float32), power_in(torch.float64), numpy(np_power)],
    "7.5": [
        lambda g: g * torch.tensor([0.25, 127.5**2, 16, 0.125]),
        lambda g: [np.float32(g) / 4, g * 255**2 / 4, g * 16, g / 8],
    ],
    "7.6": [numpy(np_pull), pull_by_backward],
    "8.1": [
        lambda b, h, s, r: 2 ** -(b / np.minimum(h, r * s)),
        lambda b, h, s, r: torch.tensor(-b * math.log(2) / min(h, r * s)).exp(),
    ],
    "8.2": [std_by_centre, std_by_pad],
    "8.3": [probability_losses, bce_losses],
    "8.4": [np_diagnose, lambda c: np.str_(np_diagnose(c)), functools.partial(first_sound)],
    "8.5": [unrolled_by_copies, unrolled_by_backward],
}
