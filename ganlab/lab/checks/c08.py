"""Checks of chapter 8, tricks of the trade: each plays the reader's code and names usual slips."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab import lab
from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import number
from ganlab.models.layers import MinibatchStd

#: Exercise 8.4: the verdicts, and the share of the stored runs that must get the right one.
VERDICTS = {
    "sound": "sound",
    "D wins at once": "D wins",
    "G wins": "G wins",
    "collapse": "collapse",
    "not finite": "not finite",
}
DIAGNOSED = 0.9


@check("8.1")
def average_decay(answer: Answer) -> str:
    """`answer(batch, half_life, seen, ramp)` is the weight that the old average keeps."""
    batch, half_life, ramp = 64.0, 5000.0, 0.1

    def right(seen: float) -> float:
        return 0.5 ** (batch / min(half_life, ramp * seen))

    late, early = 1e6, 3200.0
    found = number(answer(batch, half_life, late, ramp), "the decay")
    wrong = {
        math.exp(-batch / half_life): "that is a decay to 1/e in so many pictures: a *half*-life"
        " wants powers of one half",
        0.5 ** (1 / half_life): "the half-life is in pictures, and a step shows `batch` of them",
        1 - right(late): "that is the share of the *new* weights: the average keeps the rest",
        0.5 ** (half_life / batch): "the fraction stands on its head: a longer half-life must keep"
        " more",
        0.5 ** (batch / max(half_life, ramp * late)): "the ramp is a cap: take the *smaller* of"
        " the two half-lives",
        1 - batch / half_life: "close, for long half-lives only: use the power of one half",
    }
    if not math.isclose(found, right(late), rel_tol=1e-9):
        for value, diagnosis in wrong.items():
            if math.isclose(found, value, rel_tol=1e-9):
                raise Fail(diagnosis)
        raise Fail(f"late in training your decay is {found:.6f}, right is {right(late):.6f}")
    found = number(answer(batch, half_life, early, ramp), "the decay")
    if not math.isclose(found, right(early), rel_tol=1e-9):
        if math.isclose(found, right(late), rel_tol=1e-9):
            raise Fail("right late in training; early the ramp must cap the half-life: Hint 2")
        raise Fail(f"after {early:.0f} pictures your decay is {found:.4f}, not {right(early):.4f}")
    return "right, early and late"


@check("8.2")
def minibatch_std(answer: Answer) -> str:
    """`answer(x)`, (B, C, H, W) -> (B, C+1, H, W), one group: the whole batch."""
    draw = torch.Generator().manual_seed(4)
    x = (
        torch.randn(6, 3, 4, 4, generator=draw, dtype=torch.float64)
        * torch.arange(1.0, 7)[:, None, None, None]
    )
    found = answer(x.clone())
    if found is ...:
        raise NotImplementedError
    if not torch.is_tensor(found):
        raise Fail("return a tensor: the input with one more channel")
    if found.shape != (6, 4, 4, 4):
        raise Fail(f"the input is (6, 3, 4, 4), the output must be (6, 4, 4, 4), not"
                   f" {tuple(found.shape)}")  # fmt: skip
    if not torch.allclose(found[:, :3].double(), x):
        raise Fail("the first channels must be the input as it was")
    own = found[:, 3].double()
    right = MinibatchStd(group=6)(x)[0, 3, 0, 0].double().item()
    values: dict[str, Tensor] = {
        "the standard deviation over each sample's own features: compare *samples*, along the"
        " batch": x.flatten(1).std(1, unbiased=False)[:, None, None].expand(6, 4, 4),
        "a map, with one number a place: average it to one number": x.std(0, unbiased=False)
        .mean(0)
        .expand(6, 4, 4),
        "the standard deviation of the whole tensor: take it along the batch for each feature at"
        " each place, then average": x.std(unbiased=False).expand(6, 4, 4),
        "the variance: a square root is missing": x.var(0, unbiased=False).mean().expand(6, 4, 4),
        "the root of the mean variance: the mean of the roots is asked": x.var(0, unbiased=False)
        .mean()
        .sqrt()
        .expand(6, 4, 4),
        "divided by B - 1: with unbiased=False a batch of one has a standard deviation too": x.std(
            0
        )
        .mean()
        .expand(6, 4, 4),
    }
    if not torch.allclose(own, torch.full_like(own, right), atol=2e-4):
        for diagnosis, value in values.items():
            if torch.allclose(own, value, atol=1e-4):
                raise Fail(diagnosis)
        raise Fail(f"the new channel should be {right:.3f} everywhere; yours has mean"
                   f" {own.mean():.3f} and spread {own.std():.3f}")  # fmt: skip
    flat = answer(torch.ones(6, 3, 4, 4))[:, 3]
    if flat.abs().max() > 1e-3:
        raise Fail(f"for a collapsed batch the number must be 0, yours is {flat.max():.3g}")
    same = torch.ones(4, 1, 2, 2, requires_grad=True)
    slope = torch.autograd.grad(answer(same).sum(), same)[0]
    if not slope.isfinite().all():
        raise Fail("right, but its gradient at a collapsed batch is not finite, the one place where"
                   " it is needed: put a small number under the root (Hint 3)")  # fmt: skip
    return f"right: {right:.3f} on the test batch, 0 and smooth on a collapsed one"


class _Slope(nn.Module):
    """D(x) = <w, x>, which tells where gradients and transformations went."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 2, 12, dtype=torch.float64).view(1, 1, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return (self.w * x).sum((1, 2, 3))


@check("8.3")
def augmented_losses(answer: Answer) -> str:
    """`answer(G, D, x, z, T)` is (d_loss, g_loss), T in every place where D looks."""
    judge, painter = _Slope(), nn.utils.skip_init(nn.Linear, 2, 12).double()
    with torch.no_grad():
        painter.weight.copy_(torch.linspace(-0.2, 0.3, 24).view(12, 2))
        painter.bias.fill_(0.1)
    draw = torch.Generator().manual_seed(7)
    x = torch.randn(5, 1, 3, 4, generator=draw, dtype=torch.float64)
    z = torch.randn(5, 2, generator=draw, dtype=torch.float64)
    calls: list[Tensor] = []

    def paint(latent: Tensor) -> Tensor:
        return painter(latent).view(-1, 1, 3, 4)

    def T(pictures: Tensor) -> Tensor:
        calls.append(pictures)
        return -0.5 * pictures + 0.2

    def losses(real: bool, fake: bool, own: bool) -> tuple[float, float]:
        def seen(p: Tensor, on: bool) -> Tensor:
            return -0.5 * p + 0.2 if on else p

        d = softplus(-judge(seen(x, real))).mean() + softplus(judge(seen(paint(z), fake))).mean()
        return d.item(), softplus(-judge(seen(paint(z), own))).mean().item()

    reply = answer(paint, judge, x, z, T)
    if not isinstance(reply, tuple | list) or len(reply) != 2:
        raise Fail("return two things: the loss of D and the loss of G")
    if any(part is ... for part in reply):
        raise NotImplementedError
    d_loss, g_loss = number(reply[0], "the loss of D"), number(reply[1], "the loss of G")

    def is_(d: float, g: float) -> bool:
        return math.isclose(d_loss, d, rel_tol=1e-6) and math.isclose(g_loss, g, rel_tol=1e-6)

    if not is_(*losses(True, True, True)):
        wrong = {
            (True, False, False): "only real pictures are transformed: G then learns to draw"
            " transformed pictures",
            (True, True, False): "D's step is right, but in G's step D sees raw pictures, which it"
            " was never trained on",
            (True, False, True): "the generated pictures of D's step are not transformed: D can"
            " tell the sides apart by that alone",
            (False, True, True): "the real pictures are not transformed",
            (False, False, False): "T is not used",
            (False, False, True): "T stands in G's step alone",
        }
        for where, diagnosis in wrong.items():
            if is_(*losses(*where)):
                raise Fail(diagnosis)
        raise Fail(f"your losses are {d_loss:.4f} and {g_loss:.4f}, right are"
                   " {:.4f} and {:.4f}".format(*losses(True, True, True)))  # fmt: skip
    if len(calls) == 1:
        raise Fail("one call of T for all: right here, but pictures of another number would share"
                   " nothing; call it once for each batch that D judges")  # fmt: skip
    if not reply[1].requires_grad:
        raise Fail("G's loss has no graph: T must be inside it, not under no_grad or detach")
    slope = torch.autograd.grad(reply[1], painter.bias, retain_graph=True, allow_unused=True)[0]
    if slope is None or slope.abs().sum() == 0:
        raise Fail("no gradient of G's loss reaches G: is something detached, or under no_grad?")
    if reply[0].requires_grad:
        left = torch.autograd.grad(reply[0], painter.bias, retain_graph=True, allow_unused=True)[0]
        if left is not None and left.abs().sum() > 0:
            raise Fail("right values, but D's loss runs back into G: cut the graph in D's step")
    return "right: T wherever D looks, and G's gradient goes through it"


def _stored() -> dict[str, list[dict[str, Any]]]:
    """Curves of the stored runs of each verdict."""
    path = lab.results("diagnosis") / "results.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    runs = {"sound": result["sound"]}
    runs |= {name: result["rows"][name]["broken"] for name in VERDICTS if name != "sound"}
    return {VERDICTS[name]: [r["curves"] | {"finite": r["last"]["finite"]} for r in found]
            for name, found in runs.items()}  # fmt: skip


@check("8.4")
def diagnose(answer: Answer) -> str:
    """`answer(curves)` names what is wrong with a run, for every stored run."""
    runs = _stored()
    asked = sum(map(len, runs.values()))
    slips: dict[tuple[str, str], int] = {}
    for verdict, found in runs.items():
        for curves in found:
            said = answer({key: list(v) if isinstance(v, list) else v for key, v in curves.items()})
            if said is ...:
                raise NotImplementedError
            if said not in runs:
                raise Fail(f"'{said}' is not a verdict: choose from {', '.join(runs)}")
            if said != verdict:
                slips[verdict, said] = slips.get((verdict, said), 0) + 1
    wrong = sum(slips.values())
    if wrong > (1 - DIAGNOSED) * asked:
        (verdict, said), count = max(slips.items(), key=lambda item: item[1])
        advice = {
            ("collapse", "sound"): "the losses of a collapsed run are those of a sound one: look"
            " at variety",
            ("G wins", "collapse"): "noise is not collapse, although its variety is small too: is"
            " D still in the game?",
            ("sound", "collapse"): "early in training the variety is small in every run: look at"
            " the end",
        }.get((verdict, said), "which of the curves tells these two apart?")
        raise Fail(f"{count} of {len(runs[verdict])} runs that are '{verdict}' are called '{said}':"
                   f" {advice} ({asked - wrong} of {asked} right)")  # fmt: skip
    return f"right: {asked - wrong} of {asked} stored runs"


def _ahead(psi: Tensor, theta: Tensor, loss: Callable[..., Tensor], k: int, lr: float) -> Tensor:
    for _ in range(k):
        slope = torch.autograd.grad(loss(theta, psi), psi, create_graph=True)[0]
        psi = psi - lr * slope
    return psi


@check("8.5")
def unrolled_gradient(answer: Answer) -> str:
    """`answer(d_loss, g_loss, theta, psi, steps, lr)`: G's gradient through D's steps."""

    def d_loss(theta: Tensor, psi: Tensor) -> Tensor:
        return (psi * theta).sum() + 0.5 * psi.square().sum() + 0.1 * psi.pow(4).sum()

    def g_loss(theta: Tensor, psi: Tensor) -> Tensor:
        return -(psi * theta).sum() + 0.05 * theta.square().sum()

    theta0 = torch.tensor([0.7, -0.4], dtype=torch.float64)
    psi0 = torch.tensor([-0.3, 0.5], dtype=torch.float64)
    steps, lr = 3, 0.2

    def gradient(through: bool, k: int = steps, ahead: bool = True, sign: float = 1.0) -> Tensor:
        theta = theta0.clone().requires_grad_(True)
        psi = psi0.clone().requires_grad_(True)
        moved = _ahead(psi, theta, d_loss, k, sign * lr) if ahead else psi
        moved = moved if through else moved.detach()
        return torch.autograd.grad(g_loss(theta, moved), theta)[0]

    theta, psi = theta0.clone().requires_grad_(True), psi0.clone().requires_grad_(True)
    found = answer(d_loss, g_loss, theta, psi, steps, lr)
    if found is ...:
        raise NotImplementedError
    if not torch.is_tensor(found) or found.shape != (2,):
        raise Fail("return the gradient, a tensor of the shape of theta")
    found = found.detach()
    if not torch.allclose(found, gradient(True), atol=1e-10):
        wrong = {
            "this is the gradient without looking ahead: D's steps are not used": gradient(
                False, ahead=False
            ),
            "D has moved, but as a constant: the gradient must go *through* its steps"
            " (create_graph, no detach)": gradient(False),
            "D moved uphill: it goes *down* its loss": gradient(True, sign=-1.0),
            "one step too few": gradient(True, k=steps - 1),
            "one step too many": gradient(True, k=steps + 1),
            "that is minus the gradient": -gradient(True),
        }
        for diagnosis, value in wrong.items():
            if torch.allclose(found, value, atol=1e-10):
                raise Fail(diagnosis)
        raise Fail(f"your gradient is {found.tolist()}, right is {gradient(True).tolist()}")
    if not torch.equal(psi.detach(), psi0):
        raise Fail("right, but D's own parameters have moved: looking ahead is not a step")
    return "right: the gradient goes through all of D's steps, and D stays where it was"
