"""Right answers to the exercises of chapters 1 to 4 by other routes: numpy, other idioms."""

from __future__ import annotations

from typing import Any

import numpy as np
import test_checks_c03
import test_checks_c04
import torch
from checks_kit import numpy
from torch import Tensor, nn
from torch.nn import functional as F


def np_softplus(a: Any) -> Any:
    return np.logaddexp(0, a)


def np_modes(samples: Any, centers: Any, std: float) -> tuple[int, float]:
    away = np.linalg.norm(samples[:, None] - centers, axis=2)
    good = away.min(1) <= 3 * std
    return len(set(away.argmin(1)[good])), good.mean()


def one_hot_modes(samples: Tensor, centers: Tensor, std: float) -> Tensor:
    hits = torch.cdist(samples, centers) <= 3 * std  # centres stand far apart
    return torch.stack([hits.any(0).sum(), hits.any(1).double().mean()])


def np_flow(x: Any, A: Any, b: Any) -> Any:
    z = (x - b) @ np.linalg.inv(A).T
    return -(z**2).sum(1) / 2 - len(b) / 2 * np.log(2 * np.pi) - np.log(abs(np.linalg.det(A)))


def flow_by_transform(x: Tensor, A: Tensor, b: Tensor) -> Tensor:
    z = torch.linalg.lu_solve(*torch.linalg.lu_factor(A), (x - b).mT).mT
    log_p_z = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    return log_p_z - torch.linalg.det(A).abs().log()


def np_density(x: Any, centers: Any, std: float) -> Any:
    k, d = centers.shape
    one = -((x[:, None].astype(float) - centers) ** 2).sum(2) / (2 * std**2)
    top = one.max(1)
    total = np.log(np.exp(one - top[:, None]).sum(1)) + top
    return total - np.log(k) - d * np.log(std) - d / 2 * np.log(2 * np.pi)


def torch_density(x: Tensor, centers: Tensor, std: float) -> Tensor:
    from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

    each = Independent(Normal(centers, torch.full_like(centers, std)), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(centers))), each).log_prob(x)


def np_copied(samples: Any, train: Any, test: Any) -> Any:
    near = [((samples[:, None] - data) ** 2).sum(2).min(1) for data in (train, test)]
    return np.mean(near[0] < near[1])


def np_draw(joint: Any, n: int) -> Any:
    cells = np.random.default_rng().choice(joint.size, n, p=joint.ravel() / joint.sum())
    return np.stack(np.unravel_index(cells, joint.shape), 1)


def inverse_draw(joint: Tensor, n: int) -> Tensor:
    u = torch.rand(n, 2, dtype=torch.float64)
    row = torch.searchsorted(joint.double().sum(1).cumsum(0), u[:, 0]).clamp(max=len(joint) - 1)
    given = joint.double()[row]
    steps = (given / given.sum(1, keepdim=True)).cumsum(1)
    return torch.cat([row[:, None], (steps < u[:, 1:]).sum(1, keepdim=True)], 1)


def np_js(p: Any, q: Any) -> float:
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return 0.5 * sum(np.where(a > 0, a * np.log(a / m), 0).sum() for a in (p, q))


def js_by_entropy(p: Tensor, q: Tensor) -> Tensor:
    def h(a: Tensor) -> Tensor:
        return torch.special.entr(a).sum()

    p, q = p / p.sum(), q / q.sum()
    return h((p + q) / 2) - (h(p) + h(q)) / 2


def np_unequal(p: Any, q: Any, prior: float, dx: float) -> tuple[Any, float]:
    a, b = prior * p, (1 - prior) * q
    d = a / (a + b)
    with np.errstate(divide="ignore", invalid="ignore"):
        v = np.where(a > 0, a * np.log(d), 0) + np.where(b > 0, b * np.log1p(-d), 0)
    return d, np.trapezoid(v, dx=dx) if len(v) > 3 and hasattr(np, "trapezoid") else v.sum() * dx


def trapezoids(p: Tensor, q: Tensor, dx: float) -> Tensor:
    m = (p + q) / 2
    return 2 * torch.trapezoid(m * (m / p).log(), dx=dx)


def by_kl_div(p: Tensor, q: Tensor, dx: float) -> Tensor:
    m = (p + q) / 2
    return 2 * dx * F.kl_div(p.log(), m.log(), reduction="sum", log_target=True)


def g_step_by_grad(G: Any, D: Any, opt_g: Any, z: Tensor) -> float:
    loss = F.softplus(-D(G(z))).mean()
    for p, g in zip(G.parameters(), torch.autograd.grad(loss, list(G.parameters()))):
        p.grad = g
    opt_g.step()
    return loss.item()


def g_step_then_clear(G: Any, D: Any, opt_g: Any, z: Tensor) -> Tensor:
    opt_g.zero_grad()
    loss = F.binary_cross_entropy(torch.sigmoid(D(G(z))), torch.ones(len(z)))
    loss.backward()
    opt_g.step()
    D.zero_grad()
    return loss


def round_by_grad(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor) -> None:
    def step(network: Any, optimizer: Any, loss: Tensor) -> None:
        own = list(network.parameters())
        for p, g in zip(own, torch.autograd.grad(loss, own)):
            p.grad = g
        optimizer.step()

    step(D, opt_d, F.softplus(-D(x)).mean() + F.softplus(D(G(z))).mean())
    step(G, opt_g, F.softplus(-D(G(z))).mean())


def round_by_freezing(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor) -> None:
    for p in D.parameters():
        p.grad = None
    (F.softplus(-D(x)).mean() + F.softplus(D(G(z).detach())).mean()).backward()
    opt_d.step()
    D.requires_grad_(False)
    G.zero_grad()
    F.softplus(-D(G(z))).mean().backward()
    D.requires_grad_(True)
    opt_g.step()


def built_sizes(i: int, k: int, s: int, p: int) -> tuple[int, int]:
    x = torch.zeros(1, 1, i, i)
    nets = nn.Conv2d(1, 1, k, s, p), nn.ConvTranspose2d(1, 1, k, s, p)
    return tuple(int(net(x).shape[-1]) for net in nets)  # type: ignore[return-value]


def counted(size: int, channels: int, latent: int, width: int) -> Tensor:
    stages = size.bit_length() - 3
    g, d, a = 16 * latent * width * 2 ** (stages - 1), 16 * channels * width, width
    g += 2 * width * (2**stages - 1) + 16 * channels * width
    for _ in range(stages - 1):
        g, d, a = g + 32 * a * a, d + 32 * a * a + 4 * a, 2 * a
    return torch.tensor([g, d + 16 * a])


def np_slerp(z0: Any, z1: Any, t: float) -> Any:
    cosine = (z0 * z1).sum(1) / np.linalg.norm(z0, axis=1) / np.linalg.norm(z1, axis=1)
    omega = np.arccos(np.clip(cosine, -1, 1))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        arc = (np.sin((1 - t) * omega) * z0 + np.sin(t * omega) * z1) / np.sin(omega)
    return np.where(omega < 1e-3, (1 - t) * z0 + t * z1, arc)


def slerp_by_rows(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    rows = []
    for a, b in zip(z0, z1):
        omega = torch.arccos(torch.clamp(F.cosine_similarity(a, b, dim=0), -1, 1))
        if omega < 1e-3:
            rows.append(torch.lerp(a, b, t))
        else:
            rows.append((torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / omega.sin())
    return torch.stack(rows)


def fold_by_probe(conv: Any, bn: Any) -> nn.ConvTranspose2d:
    """Gain and shift read from bn itself, in a layer of 32 bits."""
    zero = bn(torch.zeros(1, conv.out_channels, 1, 1, dtype=bn.weight.dtype)).flatten()
    gain = bn(torch.ones(1, conv.out_channels, 1, 1, dtype=bn.weight.dtype)).flatten() - zero
    new = nn.utils.skip_init(nn.ConvTranspose2d, conv.in_channels, conv.out_channels,
                             conv.kernel_size, conv.stride, conv.padding)  # fmt: skip
    with torch.no_grad():
        new.weight.copy_(torch.einsum("iokl,o->iokl", conv.weight, gain))
        new.bias.copy_(zero if conv.bias is None else zero + gain * conv.bias)
    return new


def fold_in_64(conv: Any, bn: Any) -> nn.ConvTranspose2d:
    gain = bn.weight.double() * torch.rsqrt(bn.running_var.double() + bn.eps)
    old = 0 if conv.bias is None else conv.bias.double()
    new = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride,
                             conv.padding, dtype=torch.float64)  # fmt: skip
    new.weight = nn.Parameter(conv.weight.detach().double() * gain.view(1, -1, 1, 1).detach())
    new.bias = nn.Parameter((bn.bias + gain * (old - bn.running_mean)).detach())
    return new


def plan_by_halves(size: int, channels: int, latent: int, width: int) -> list[list[int]]:
    rows, pixels, out = [], size, channels
    while pixels > 4:
        rows.insert(0, [width, out, 4, 2, 1])
        pixels, out, width = pixels // 2, width, 2 * width
    return [[latent, out, 4, 1, 0], *rows]


IDIOMS: dict[str, list[Any]] = {
    "1.1": [
        numpy(np.sqrt),
        lambda u: torch.where(u < 0.5, u, u) ** 0.5,
        lambda u: u.sqrt().tolist(),
    ],
    "1.2": [numpy(np_flow), flow_by_transform],
    "1.3": [numpy(np_density), torch_density],
    "1.4": [
        numpy(np_copied),
        lambda s, a, b: torch.tensor(np_copied(s.numpy(), a.numpy(), b.numpy())),
    ],
    "1.5": [numpy(np_draw), inverse_draw],
    "2.1": [
        numpy(lambda a, b: np.exp(-np.logaddexp(0, b - a))),
        lambda a, b: torch.softmax(torch.stack([a, b]), 0)[0],
    ],
    "2.2": [
        lambda r, f: (
            F.binary_cross_entropy_with_logits(r, torch.ones_like(r))
            + F.binary_cross_entropy_with_logits(f, torch.zeros_like(f))
        ),
        lambda r, f: torch.logaddexp(-r, torch.zeros(1)).mean() - F.logsigmoid(-f).mean(),
    ],
    "2.3": [numpy(np_js), js_by_entropy],
    "2.4": [
        numpy(lambda p, q, a, b: (a + b * q / p) / (1 + q / p)),
        lambda p, q, a, b: b + (a - b) * torch.sigmoid(p.log() - q.log()),
    ],
    "2.5": [numpy(np_unequal)],
    "2.6": [trapezoids, by_kl_div],
    "3.1": [g_step_by_grad, g_step_then_clear],
    "3.2": [round_by_grad, round_by_freezing],
    "3.3": [numpy(np_modes), one_hot_modes],
    "3.4": [
        numpy(
            lambda a, b, t: (
                (t * np_softplus(-a) + (1 - t) * np_softplus(a)).mean() + np_softplus(b).mean()
            )
        )
    ],
    "3.5": [
        (test_checks_c03.Painter(), torch.tensor(2000)),
        [test_checks_c03.Painter(24), np.int64(128)],
    ],
    "4.1": [built_sizes, lambda *a: torch.tensor(built_sizes(*a))],
    "4.2": [counted],
    "4.3": [numpy(np_slerp), slerp_by_rows],
    "4.4": [
        plan_by_halves,
        lambda *a: torch.tensor(plan_by_halves(*a)),
        lambda *a: np.array(plan_by_halves(*a)),
    ],
    "4.5": [fold_by_probe, fold_in_64],
    "4.6": [
        [test_checks_c04.Painter(lambda x: 0.95 * x), np.int64(640)],
        (test_checks_c04.Painter(kinds=500), torch.tensor(25_600)),
    ],
    "4.7": [
        test_checks_c04.pair_with(std=0.018),
        lambda *a: list(test_checks_c04.pair(*a)),
    ],
}
