"""The checks of chapter 11 accept right answers, and name each usual wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from checks_kit import suite
from torch import Tensor


def truncate(ws: Tensor, average: Tensor, psi: float, cutoff: int | None,
             first: bool = True, extra: int = 0) -> Tensor:  # fmt: skip
    layer = torch.arange(ws.shape[1])[:, None]
    inside = layer < (ws.shape[1] if cutoff is None else cutoff + extra)
    return torch.where(inside == first, torch.lerp(average, ws, psi), ws)


def in_place(ws: Tensor, average: Tensor, psi: float, cutoff: int | None) -> Tensor:
    ws[:, :cutoff] = torch.lerp(average, ws[:, :cutoff], psi)
    return ws


def with_zero(ws: Tensor, average: Tensor, psi: float, cutoff: int | None) -> Tensor:
    return truncate(ws, torch.zeros_like(average), psi, cutoff)


def without(direction: Tensor, others: Tensor) -> Tensor:
    basis = torch.linalg.qr(others.T).Q
    rest = direction - basis @ (basis.T @ direction)
    return rest / rest.norm()


def unit(x: Tensor) -> Tensor:
    return x / x.norm()


def in_turn(direction: Tensor, others: Tensor) -> Tensor:
    for other in others:
        direction = direction - (direction @ unit(other)) * unit(other)
    return unit(direction)


def at_once(direction: Tensor, others: Tensor) -> Tensor:
    units = others / others.norm(dim=1, keepdim=True)
    return unit(direction - units.T @ (units @ direction))


def factorise(weights: list[Tensor], k: int, centred: bool = False) -> Tensor:
    a = torch.cat(weights)
    a = a - a.mean(0) if centred else a
    return torch.linalg.svd(a, full_matrices=False).Vh[:k]


def smallest(weights: list[Tensor], k: int) -> Tensor:
    a = torch.cat(weights)
    return torch.linalg.eigh(a.T @ a).eigenvectors.T[:k]


def as_rows(weights: list[Tensor], k: int) -> Tensor:
    a = torch.cat(weights)
    return torch.linalg.eigh(a.T @ a).eigenvectors.flip(0)[:k]


def share(one: Tensor, two: Tensor) -> Tensor:
    both = torch.stack([one, two])
    centred = both - both.mean()
    return (centred[0] * centred[1]).mean() / centred.square().mean()


def entropy(rows: Tensor) -> Tensor:
    counts = torch.unique(rows, dim=0, return_counts=True)[1].double()
    p = counts / len(rows)
    return -(p * p.log()).sum()


def table(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    own = torch.stack([entropy(f) for f in factors.T])
    rows = [
        torch.stack([entropy(c) + entropy(f) - entropy(torch.stack([c, f], 1)) for f in factors.T])
        for c in codes.T
    ]
    return torch.stack(rows), own


def mig(codes: Tensor, factors: Tensor) -> Tensor:
    information, own = table(codes, factors)
    best = information.sort(0, descending=True).values
    return ((best[0] - best[1]) / own).mean()


def gap(change: Any) -> Any:
    """`change(sorted information of each factor, entropies)` in place of the gap."""

    def answer(codes: Tensor, factors: Tensor) -> Tensor:
        information, own = table(codes, factors)
        return change(information.sort(0, descending=True).values, own)

    return answer


def joint_entropy(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    information, own = table(codes, factors)
    left = torch.stack([entropy(c) for c in codes.T])
    return left[:, None] + own - information, left, own


def leading(codes: Tensor, factors: Tensor, size: Any) -> Tensor:
    """The gap over `size(entropy, joint entropy)` of the code that knows most of each factor."""
    information, _ = table(codes, factors)
    joint, left, _ = joint_entropy(codes, factors)
    best, at = information.sort(0, descending=True)
    sizes = [size(left[at[0, j]], joint[at[0, j], j]) for j in range(factors.shape[1])]
    return ((best[0] - best[1]) / torch.stack(sizes)).mean()


def of_joint(codes: Tensor, factors: Tensor, sign: float) -> Tensor:
    joint, _, own = joint_entropy(codes, factors)
    best = (sign * joint).sort(0, descending=True).values
    return ((best[0] - best[1]) / own).mean()


def correlations(codes: Tensor, factors: Tensor) -> Tensor:
    both = torch.corrcoef(torch.cat([codes, factors], 1).T.double())
    best = both[: codes.shape[1], codes.shape[1] :].abs().sort(0, descending=True).values
    return (best[0] - best[1]).mean()


def truncate_by_slice(ws: Tensor, average: Tensor, psi: float, cutoff: int | None) -> Tensor:
    out = ws.clone()
    out[:, :cutoff] = average + psi * (ws[:, :cutoff] - average)
    return out


def truncate_by_layers(ws: Tensor, average: Tensor, psi: float, cutoff: int | None) -> Tensor:
    count = ws.shape[1] if cutoff is None else cutoff
    layers = [(1 - psi) * average + psi * w if i < count else w
              for i, w in enumerate(ws.float().unbind(1))]  # fmt: skip
    return torch.stack(layers, 1)


def truncate_in_numpy(ws: Tensor, average: Tensor, psi: float, cutoff: int | None) -> np.ndarray:
    out, mean = ws.numpy().copy(), average.numpy()
    out[:, :cutoff] = mean + psi * (out[:, :cutoff] - mean)
    return out


def without_by_least_squares(direction: Tensor, others: Tensor) -> Tensor:
    weights = torch.linalg.lstsq(others.T, direction[:, None]).solution
    rest = direction - (others.T @ weights)[:, 0]
    return rest / rest.square().sum().sqrt()


def without_in_numpy(direction: Tensor, others: Tensor) -> np.ndarray:
    v, o = direction.numpy(), others.numpy()
    rest = v - np.linalg.pinv(o) @ (o @ v)
    return rest / np.linalg.norm(rest)


def without_by_svd(direction: Tensor, others: Tensor) -> Tensor:
    basis = torch.linalg.svd(others.float(), full_matrices=False).Vh
    return unit(direction.float() - basis.T @ (basis @ direction.float()))


def factorise_by_eigh(weights: list[Tensor], k: int) -> Tensor:
    gram = sum(a.T @ a for a in weights)
    return torch.linalg.eigh(gram).eigenvectors[:, -k:].flip(1).T


def factorise_in_numpy(weights: list[Tensor], k: int) -> np.ndarray:
    a = np.concatenate([w.numpy() for w in weights])
    return -np.linalg.svd(a)[2][:k]


def share_by_products(one: Tensor, two: Tensor) -> float:
    a, b = one.double() - one.double().mean(), two.double() - two.double().mean()
    return float(a @ b / ((a @ a) * (b @ b)) ** 0.5)


def mig_by_counting(codes: Tensor, factors: Tensor) -> float:
    c, f, n = codes.numpy(), factors.numpy(), len(codes)
    total = 0.0
    for j in range(f.shape[1]):
        known, own = [], 0.0
        for i in range(c.shape[1]):
            joint = np.zeros((c[:, i].max() + 1, f[:, j].max() + 1))
            np.add.at(joint, (c[:, i], f[:, j]), 1 / n)
            left, right = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
            some = joint > 0
            known.append((joint[some] * np.log((joint / (left * right + 1e-300))[some])).sum())
            p = right[right > 0]
            own = -(p * np.log(p)).sum()
        known.sort()
        total += (known[-1] - known[-2]) / own
    return total / f.shape[1]


def mig_in_bits(codes: Tensor, factors: Tensor) -> Tensor:
    """The unit cancels."""
    information, own = (t.float() / 0.6931472 for t in table(codes, factors))
    two = information.topk(2, dim=0).values
    return ((two[0] - two[1]) / own).mean()


RIGHT = [
    ("11.1", truncate),
    ("11.1", truncate_by_slice),
    ("11.1", truncate_by_layers),
    ("11.1", truncate_in_numpy),
    ("11.2", without),
    ("11.2", without_by_least_squares),
    ("11.2", without_in_numpy),
    ("11.2", without_by_svd),
    ("11.3", factorise),
    ("11.3", factorise_by_eigh),
    ("11.3", factorise_in_numpy),
    ("11.5", mig_by_counting),
    ("11.5", mig_in_bits),
    ("11.4", share),
    ("11.4", share_by_products),
    ("11.4", lambda a, b: torch.corrcoef(torch.stack([a, b]))[0, 1]),
    ("11.4", lambda a, b: 1 - (a - b).var() / (a.var() + b.var())),
    ("11.5", mig),
]

WRONG = [
    ("11.1", lambda w, m, p, c: truncate(w, m, 1 - p, c), "of the *deviation*"),
    ("11.1", lambda w, m, p, c: truncate(w, m, p, None), "every layer is truncated"),
    ("11.1", lambda w, m, p, c: truncate(w, m, p, c, first=False), "coarse layers come first"),
    ("11.1", lambda w, m, p, c: truncate(w, m, p, c, extra=1), "one layer too many"),
    ("11.1", with_zero, "towards 0"),
    ("11.1", lambda w, m, p, c: truncate(w, w.mean(0), p, c), "*this batch*"),
    ("11.1", lambda w, m, p, c: truncate(w, m, p**0.5, c), "no root"),
    ("11.1", in_place, "`ws` itself"),
    ("11.1", lambda w, m, p, c: w if c is None else truncate(w, m, p, c), "means all layers"),
    ("11.1", lambda w, m, p, c: truncate(w, m, p, c or None), "cutoff = 0"),
    ("11.1", lambda w, m, p, c: truncate(w, m, p, c) + (c == 0), "with cutoff = 0"),
    ("11.2", lambda v, o: -without(v, o), "turned round"),
    ("11.1", lambda w, m, p, c: truncate(w, m, p, c)[0], "shape"),
    ("11.2", lambda v, o: without(v, o) * 2, "off by"),
    ("11.2", lambda v, o: v - torch.linalg.qr(o.T).Q @ (torch.linalg.qr(o.T).Q.T @ v), "length 1"),
    ("11.2", lambda v, o: unit(v - without(v, o) * (without(v, o) @ v)), "*lies*"),
    ("11.2", at_once, "taken away twice"),
    ("11.2", in_turn, "one after the other"),
    ("11.2", lambda v, o: in_turn(v, o[:1]), "only the first"),
    ("11.2", lambda v, o: in_turn(v, o.mean(0, keepdim=True)), "the mean of the others"),
    ("11.2", lambda v, o: unit(v - o.T @ (o @ v)), "no length 1"),
    ("11.2", lambda v, o: unit(v), "still in it"),
    ("11.3", smallest, "*least*"),
    ("11.3", as_rows, "*columns*"),
    ("11.3", lambda w, k: factorise(w, k).T, "transpose"),
    ("11.3", lambda w, k: factorise(w, k).flip(0), "strongest first"),
    ("11.3", lambda w, k: 2 * factorise(w, k), "length 1"),
    ("11.3", lambda w, k: factorise(w, k, centred=True), "PCA"),
    ("11.3", lambda w, k: factorise(w[:1], k), "stack all"),
    ("11.3", lambda w, k: factorise([a / a.norm() for a in w], k), "one size"),
    ("11.3", lambda w, k: torch.eye(4)[:k], "is possible"),
    ("11.4", lambda a, b: share(a, b) ** 2, "squaring"),
    ("11.4", lambda a, b: share(a, b).abs().sqrt(), "no root"),
    ("11.4", lambda a, b: 1 - share(a, b), "the *rest*"),
    ("11.4", lambda a, b: torch.cov(torch.stack([a, b]))[0, 1], "divided by the variance"),
    ("11.4", lambda a, b: (a * b).mean(), "not taken away: the product"),
    ("11.4", lambda a, b: (a * b).mean() / (a * a).mean(), "in the product or in"),
    ("11.4", lambda a, b: (a - b).var() / a.var(), "halve it"),
    ("11.4", lambda a, b: share(a, b).clamp(min=0), "until it is negative"),
    ("11.5", gap(lambda i, own: (i[0] - i[1]).mean()), "not divided by the entropies"),
    ("11.5", gap(lambda i, own: ((i[0] - i[1]) / own).sum()), "not averaged"),
    ("11.5", gap(lambda i, own: (i[0] / own).mean()), "second best must"),
    ("11.5", gap(lambda i, own: ((i[0] - i[-1]) / own).mean()), "*worst*"),
    ("11.5", gap(lambda i, own: ((i[0] - i.mean(0)) / own).mean()), "mean of all"),
    ("11.5", gap(lambda i, own: (i[0] - i[1]).sum() / own.sum()), "each factor by itself"),
    ("11.5", gap(lambda i, own: ((i[0] - i[1]) / i[0]).mean()), "best information"),
    ("11.5", lambda c, f: mig(c, f) / torch.tensor(2.0).log(), "in bits, the other in nats"),
    ("11.5", lambda c, f: (lambda i: (i[:, 0] - i[:, 1]).mean())(
        table(c, f)[0].sort(1, descending=True).values), "between the *factors*"),
    ("11.5", gap(lambda i, own: ((i[0] - i[1]) / own).max()), "largest gap"),
    ("11.5", gap(lambda i, own: (i[1] / own).mean()), "take it from the best"),
    ("11.5", gap(lambda i, own: ((i[-2] - i[-1]) / own).mean()), "sort downwards"),
    ("11.5", gap(lambda i, own: ((i[-1] - i[-2]) / own).mean()), "sorted upwards"),
    ("11.5", gap(lambda i, own: ((i[1] - i[0]) / own).mean()), "never negative"),
    ("11.5", lambda c, f: leading(c, f, lambda h, joint: h), "*code's* entropy"),
    ("11.5", lambda c, f: leading(c, f, lambda h, joint: joint), "joint entropy of code and"),
    ("11.5", lambda c, f: of_joint(c, f, 1.0), "of the joint entropy"),
    ("11.5", lambda c, f: of_joint(c, f, -1.0), "also has H(c)"),
    ("11.5", correlations, "*correlations*"),
    ("11.5", lambda c, f: 0.1, "Hint 2"),
    ("11.5", lambda c, f: mig(torch.unique(c, dim=1), f), "as good"),
]  # fmt: skip


STARTERS = [(f"11.{i}", starter) for i in range(1, 6) for starter in (lambda *a: ..., ...)]

(
    test_right_answers_pass,
    test_wrong_answers_are_named,
    test_untouched_starters_are_not_started,
    test_the_checks_leave_the_global_random_state,
) = suite(RIGHT, WRONG, STARTERS)
