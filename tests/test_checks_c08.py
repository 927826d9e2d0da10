"""The checks of chapter 8 accept right answers, and name each usual wrong one."""

from __future__ import annotations

import math
from typing import Any

import torch
from checks_kit import suite
from torch import Tensor
from torch.nn.functional import softplus

from ganlab.lab.checks import c08


def decay(batch: float, half_life: float, seen: float, ramp: float) -> float:
    return 0.5 ** (batch / min(half_life, ramp * seen))


def minibatch_std(x: Tensor) -> Tensor:
    std = (x.var(0, unbiased=False) + 1e-8).sqrt()
    return torch.cat([x, std.mean().expand(len(x), 1, *x.shape[2:])], 1)


def channel(number: Any) -> Any:
    """An answer to 8.2 whose new channel is `number(x)`, broadcast."""

    def answer(x: Tensor) -> Tensor:
        return torch.cat([x, number(x).expand(len(x), 1, *x.shape[2:])], 1)

    return answer


def augmented(real: bool = True, fake: bool = True, own: bool = True, cut: bool = True,
              dead: bool = False) -> Any:  # fmt: skip
    def answer(G: Any, D: Any, x: Tensor, z: Tensor, T: Any) -> tuple[Tensor, Tensor]:
        def seen(p: Tensor, on: bool) -> Tensor:
            return T(p) if on else p

        made = G(z)
        old = made.detach() if cut else made
        d_loss = softplus(-D(seen(x, real))).mean() + softplus(D(seen(old, fake))).mean()
        judged = seen(made.detach() if dead else made, own)
        return d_loss, softplus(-D(judged)).mean()

    return answer


def of_losses(change: Any) -> Any:
    """An answer to 8.3 with both losses changed."""
    return lambda *a: change(*augmented()(*a))


def of_logits(g_loss: Any) -> Any:
    """An answer to 8.3 with G's loss of this kind."""

    def answer(G: Any, D: Any, x: Tensor, z: Tensor, T: Any) -> tuple[Tensor, Tensor]:
        return augmented()(G, D, x, z, T)[0], g_loss(D(T(G(z)))).mean()

    return answer


def diagnose(curves: dict[str, Any]) -> str:
    if curves["finite"] < 600:
        return "not finite"
    late = {k: sum(v[-5:]) / 5 for k, v in curves.items() if isinstance(v, list)}
    gap = late["d_real"] - late["d_fake"]
    if gap > 0.6:
        return "D wins"
    if gap < -0.2:
        return "G wins"
    return "collapse" if late["variety"] < 0.5 else "sound"


def by_variety_alone(curves: dict[str, Any]) -> str:
    said = diagnose(curves)
    low = said not in ("not finite", "D wins") and curves["variety"][-1] < 0.5
    return "collapse" if low else said


def never_collapsed(curves: dict[str, Any]) -> str:
    said = diagnose(curves)
    return "sound" if said == "collapse" else said


def unrolled(d_loss: Any, g_loss: Any, theta: Tensor, psi: Tensor, steps: int, lr: float,
             graph: bool = True, sign: float = 1.0, more: int = 0) -> Tensor:  # fmt: skip
    for _ in range(steps + more):
        psi = psi - sign * lr * torch.autograd.grad(d_loss(theta, psi), psi, create_graph=True)[0]
    return torch.autograd.grad(g_loss(theta, psi if graph else psi.detach()), theta)[0]


def unrolled_in_place(
    d_loss: Any, g_loss: Any, theta: Tensor, psi: Tensor, steps: int, lr: float
) -> Tensor:
    found = unrolled(d_loss, g_loss, theta, psi, steps, lr)
    psi.data -= lr
    return found


RIGHT = [
    ("8.1", decay),
    ("8.2", minibatch_std),
    ("8.3", augmented()),
    ("8.4", diagnose),
    ("8.5", unrolled),
]

WRONG = [
    ("8.1", lambda b, h, s, r: math.exp(-b / min(h, r * s)), "*half*-life"),
    ("8.1", lambda b, h, s, r: 0.5 ** (1 / min(h, r * s)), "in pictures"),
    ("8.1", lambda *a: 1 - decay(*a), "*new* weights"),
    ("8.1", lambda b, h, s, r: 0.5 ** (min(h, r * s) / b), "on its head"),
    ("8.1", lambda b, h, s, r: 0.5 ** (b / max(h, r * s)), "*smaller*"),
    ("8.1", lambda b, h, s, r: 0.5 ** (b / h), "Hint 2"),
    ("8.1", lambda b, h, s, r: 0.5 ** (s / h), "very first weights"),
    ("8.1", lambda b, h, s, r: 0.5 ** (b / (r * h)), "multiplies `seen`"),
    ("8.1", lambda b, h, s, r: 0.5 ** (b / min(h, s)), "not `seen` itself"),
    ("8.1", lambda b, h, s, r: 0.5, "each step"),
    ("8.1", lambda b, h, s, r: 2 ** (b / min(h, r * s)), "no share"),
    ("8.1", lambda b, h, s, r: 1 - b / min(h, r * s), "close, for long"),
    ("8.1", lambda b, h, s, r: 0.9, "late in training"),
    ("8.1", lambda b, h, s, r: decay(b, h, s, r) if s > 1e4 else 0.9, "after 3200 pictures"),
    ("8.1", lambda *a: None, "return missing"),
    ("8.2", lambda x: x, "must have shape (6, 4, 4, 4)"),
    ("8.2", lambda x: minibatch_std(2 * x), "input as it was"),
    (
        "8.2",
        channel(lambda x: x.flatten(1).std(1, unbiased=False)[:, None, None, None]),
        "along the batch",
    ),
    ("8.2", channel(lambda x: x.std(0, unbiased=False).mean(0)), "one number"),
    ("8.2", channel(lambda x: x.std(unbiased=False)), "whole tensor"),
    ("8.2", channel(lambda x: x.var(0, unbiased=False).mean()), "square root"),
    ("8.2", channel(lambda x: x.var(0, unbiased=False).mean().sqrt()), "mean of the roots"),
    ("8.2", channel(lambda x: x.std(0).mean()), "B - 1"),
    ("8.2", channel(lambda x: x.var(0, unbiased=False).sqrt().mean()), "not finite"),
    ("8.3", augmented(fake=False, own=False), "only real"),
    ("8.3", augmented(own=False), "in G's step D sees raw"),
    ("8.3", augmented(fake=False), "tell the sides apart"),
    ("8.3", augmented(real=False), "real pictures are not"),
    ("8.3", augmented(False, False, False), "not used"),
    ("8.3", augmented(cut=False), "runs back into G"),
    ("8.3", augmented(dead=True), "reaches G"),
    ("8.3", lambda *a: augmented()(*a)[::-1], "exchanged"),
    ("8.3", of_losses(lambda d, g: (d / 2, g)), "half"),
    ("8.3", of_losses(lambda d, g: (-d, g)), "*maximises*"),
    ("8.3", of_losses(lambda d, g: (d, -g)), "G minimises"),
    ("8.3", of_losses(lambda d, g: (d, 5 * g)), "a sum"),
    ("8.3", of_losses(lambda d, g: (d + 1, g)), "the loss of D is"),
    ("8.3", of_losses(lambda d, g: (d, g + 1)), "the loss of G is"),
    ("8.3", of_logits(lambda a: -softplus(a)), "saturating"),
    ("8.3", of_logits(softplus), "called real"),
    ("8.3", of_logits(lambda a: -a), "linear"),
    ("8.3", lambda G, D, *a: augmented()(G, lambda p: -D(p), *a), "real and generated"),
    ("8.3", lambda *a: torch.tensor(1.0), "two things"),
    ("8.4", lambda c: "fine", "not a verdict"),
    ("8.4", lambda c: "sound", "called 'sound'"),
    ("8.4", by_variety_alone, "noise is not collapse"),
    ("8.4", never_collapsed, "look at variety"),
    ("8.5", lambda *a: unrolled(*a, graph=False), "as a constant"),
    ("8.5", lambda *a: unrolled(*a[:4], 0, a[5]), "without looking ahead"),
    ("8.5", lambda *a: unrolled(*a, sign=-1.0), "uphill"),
    ("8.5", lambda *a: unrolled(*a, more=-1), "too few"),
    ("8.5", lambda *a: unrolled(*a, more=1), "too many"),
    ("8.5", lambda *a: -unrolled(*a), "minus"),
    ("8.5", unrolled_in_place, "have moved"),
]


STARTERS = [
    ("8.1", lambda *a: ...),
    ("8.2", lambda x: ...),
    ("8.3", lambda *a: (..., ...)),
    ("8.4", lambda c: ...),
    ("8.5", lambda *a: ...),
    ("8.5", ...),
]

(
    test_right_answers_pass,
    test_wrong_answers_are_named,
    test_untouched_starters_are_not_started,
    test_the_checks_leave_the_global_random_state,
) = suite(RIGHT, WRONG, STARTERS)


def test_the_stored_runs_are_of_every_kind() -> None:
    runs = c08._stored()
    assert set(runs) == set(c08.VERDICTS.values())
    assert all(len(found) >= 3 for found in runs.values())
