"""Checks of chapter 8, tricks of the trade: each plays the reader's code and names usual slips."""

from __future__ import annotations

import collections
import json
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab import lab
from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import F64, draw, number, numbers, parts, points, rng, tensor, vary
from ganlab.lab.checks.words import Slips, close, equal, need, of_batches, refuse, when
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
LOSSES = "the loss of D", "the loss of G"


@check("8.1", "right, early and late")
def average_decay(answer: Answer) -> None:
    """`answer(batch, half_life, seen, ramp)` is the weight that the old average keeps."""
    batch, half_life, ramp, early, late = vary(64.0, 5000.0, 0.1, 3200.0, 1e5)
    at_early, at_late = (0.5 ** (batch / min(half_life, ramp * seen)) for seen in (early, late))
    found = number(answer(batch, half_life, late, ramp), "the decay")

    def near(value: float) -> when:  # some slips are so small that only their size tells them
        return when(math.isclose(found, value, rel_tol=1e-3))

    slips: Slips = {
        math.exp(-batch / half_life): "this decays to 1/e: a *half*-life wants powers of one half",
        0.5 ** (1 / half_life): "the half-life is in pictures, and a step shows `batch` of them",
        1 - at_late: "that is the share of the *new* weights: the average keeps the rest",
        near(0.5 ** (half_life / batch)): "the fraction is on its head: longer lives keep more",
        near(0.5 ** (late / half_life)): "that is what is left of the very first weights: one step"
        " shows `batch` pictures, not `seen`",
        0.5 ** (batch / (ramp * late)): "the ramp is a cap: the *smaller* of the two half-lives",
        0.5 ** (batch / (ramp * half_life)): "the ramp multiplies `seen`, not the half-life",
        1 - batch / half_life: "close, for long half-lives only: use the power of one half",
        0.5: "one half is left after `half_life` pictures, not after each step",
        when(not 0 <= found <= 1): f"{found:.6f} is no share: it lies between 0 and 1",
        ...: "late in training your decay is {found:.6f}, right is {right:.6f}",
    }
    equal(found, at_late, "the decay", slips, within=1e-6)
    slips = {
        at_late: "right late in training; early the ramp must cap the half-life: Hint 2",
        0.5 ** (batch / early): "the cap is `ramp` times `seen`, not `seen` itself",
    }
    what = f"after {early:.0f} pictures your decay"
    equal(answer(batch, half_life, early, ramp), at_early, what, slips, within=1e-6)


@check("8.2")
def minibatch_std(answer: Answer) -> str:
    """`answer(x)`, (B, C, H, W) -> (B, C+1, H, W), one group: the whole batch."""
    x = draw(4, 6, 3, 4, 4) * torch.arange(1.0, 7)[:, None, None, None]
    found = tensor(answer(x.clone()), (6, 4, 4, 4), "the output for an input of (6, 3, 4, 4)")
    slips: Slips = {...: "the first channels must be the input as it was"}
    equal(found[:, :3], x, "the input", slips)
    own, right = found[:, 3], MinibatchStd(group=6)(x)[0, 3, 0, 0].double().item()
    variance = x.var(0, unbiased=False)
    slips = {
        x.flatten(1).std(1, unbiased=False)[:, None, None]: "the standard deviation over each"
        " sample's own features: compare *samples*, along the batch",
        variance.sqrt().mean(0): "a map, with one number a place: average it to one number",
        x.std(unbiased=False): "the standard deviation of the whole tensor: take it along the"
        " batch for each feature at each place, then average",
        variance.mean(): "the variance: a square root is missing",
        variance.mean().sqrt(): "the root of the mean variance: the mean of the roots is asked",
        x.std(0).mean(): "divided by B - 1: with unbiased=False a batch of one is defined too",
        ...: f"the new channel should be {right:.3f} everywhere; yours has mean {own.mean():.3f}"
        f" and spread {own.std():.3f}",
    }
    equal(own, torch.full_like(own, right), "the new channel", slips, within=1e-4)
    flat = tensor(answer(torch.ones(6, 3, 4, 4)), (6, 4, 4, 4), "the output")[:, 3]
    even = flat.abs().max() <= 1e-3
    need(even, f"for a collapsed batch the number must be 0, yours is {flat.max():.3g}")
    same = torch.ones(4, 1, 2, 2, requires_grad=True)
    finite = torch.autograd.grad(answer(same).sum(), same)[0].isfinite().all()
    need(finite, "right, but its gradient at a collapsed batch is not finite, the one place where"
         " it is needed: put a small number under the root (Hint 3)")  # fmt: skip
    return f"right: {right:.3f} on the test batch, 0 and smooth on a collapsed one"


class _Slope(nn.Module):
    """D(x) = <w, x>, which tells where gradients and transformations went."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 2, 12, dtype=F64).view(1, 1, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return (self.w * x).sum((1, 2, 3))


@check("8.3", "right: T wherever D looks, and G's gradient goes through it")
def augmented_losses(answer: Answer) -> None:
    """`answer(G, D, x, z, T)` is (d_loss, g_loss), T in every place where D looks."""
    judge, painter = _Slope(), nn.utils.skip_init(nn.Linear, 2, 12).double()
    with torch.no_grad():
        painter.weight.copy_(torch.linspace(-0.2, 0.3, 24).view(12, 2))
        painter.bias.fill_(0.1)
    source, calls = rng(7), []
    x, z = draw(source, 5, 1, 3, 4), draw(source, 5, 2)

    def paint(latent: Tensor) -> Tensor:
        return painter(latent.to(F64)).view(-1, 1, 3, 4)

    def T(pictures: Tensor) -> Tensor:
        calls.append(pictures)
        return -0.5 * pictures + 0.2

    d_loss, g_loss = reply = parts(answer(paint, judge, x, z, T), *LOSSES)
    pair, looks = numbers(reply, *LOSSES), len(calls)
    with torch.no_grad():
        raw_real, raw_fake, real, fake = map(judge, (x, paint(z), T(x), T(paint(z))))

    def losses(on: Tensor, off: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        return softplus(-on).mean() + softplus(off).mean(), softplus(-own).mean()

    right = losses(real, fake, fake)
    slips: Slips = {
        losses(real, raw_fake, raw_fake): "only real pictures are transformed: G then learns to"
        " draw transformed pictures",
        losses(real, fake, raw_fake): "D's step is right, but in G's step D sees raw pictures,"
        " which it was never trained on",
        losses(real, raw_fake, fake): "the generated pictures of D's step are not transformed: D"
        " can tell the sides apart by that alone",
        losses(raw_real, fake, fake): "the real pictures are not transformed",
        losses(raw_real, raw_fake, raw_fake): "T is not used",
        losses(raw_real, raw_fake, fake): "T stands in G's step alone",
        right[::-1]: "the two losses are exchanged: D's first",
    }
    if not close(pair, right, 1e-6):
        refuse(slips, pair, 1e-6)
    slips = {
        softplus(real).mean() + softplus(-fake).mean(): "real and generated are exchanged",
        **of_batches(softplus(-real), softplus(fake)),
    }
    equal(pair[0], right[0], LOSSES[0], slips, within=1e-6, named=True)
    slips = {
        -softplus(fake).mean(): "this is the saturating loss, log(1 - D): take -log D",
        softplus(fake).mean(): "G wants its pictures to be called real: turn the logit's sign",
        -right[1]: "the sign is turned: G minimises",
        softplus(-fake).sum(): "a sum; take the mean",
        -fake.mean(): "linear: that is G's loss in the Wasserstein and hinge games",
    }
    equal(pair[1], right[1], LOSSES[1], slips, within=1e-6, named=True)

    def to_g(loss: Tensor) -> Tensor:
        if not loss.requires_grad:
            return torch.zeros(1)
        grads = torch.autograd.grad(loss, painter.bias, retain_graph=True, materialize_grads=True)
        return grads[0].abs().sum()

    slips = {
        when(looks == 1): "one call of T for all: right here, but pictures of another number would"
        " share nothing; call it once for each batch that D judges",
        when(lambda: not g_loss.requires_grad): "G's loss has no graph: T must be inside it, not"
        " under no_grad or detach",
        when(lambda: to_g(g_loss) == 0): "no gradient of G's loss reaches G: is something"
        " detached, or under no_grad?",
        when(lambda: to_g(d_loss) > 0): "right values, but D's loss runs back into G: cut it off",
    }
    refuse(slips)


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
    slips: collections.Counter[tuple[str, str]] = collections.Counter()
    for verdict, found in runs.items():
        for curves in found:
            said = answer({key: list(v) if isinstance(v, list) else v for key, v in curves.items()})
            need(said in runs, f"'{said}' is not a verdict: choose from {', '.join(runs)}")
            slips[verdict, said] += said != verdict
    right = asked - slips.total()
    if right < DIAGNOSED * asked:
        (verdict, said), count = slips.most_common(1)[0]
        advice = {
            ("collapse", "sound"): "a collapsed run's losses look sound: look at variety",
            ("G wins", "collapse"): "noise is not collapse, although its variety is small too: is"
            " D still in the game?",
            ("sound", "collapse"): "early on the variety is small in every run: look at the end",
        }.get((verdict, said), "which of the curves tells these two apart?")
        raise Fail(f"{count} of {len(runs[verdict])} runs that are '{verdict}' are called '{said}':"
                   f" {advice} ({right} of {asked} right)")  # fmt: skip
    return f"right: {right} of {asked} stored runs"


def _ahead(psi: Tensor, theta: Tensor, loss: Callable[..., Tensor], k: int, lr: float) -> Tensor:
    for _ in range(k):
        slope = torch.autograd.grad(loss(theta, psi), psi, create_graph=True)[0]
        psi = psi - lr * slope
    return psi


@check("8.5", "right: the gradient goes through all of D's steps, and D stays where it was")
def unrolled_gradient(answer: Answer) -> None:
    """`answer(d_loss, g_loss, theta, psi, steps, lr)`: G's gradient through D's steps."""

    def d_loss(theta: Tensor, psi: Tensor) -> Tensor:
        return (psi * theta).sum() + 0.5 * psi.square().sum() + 0.1 * psi.pow(4).sum()

    def g_loss(theta: Tensor, psi: Tensor) -> Tensor:
        return -(psi * theta).sum() + 0.05 * theta.square().sum()

    def players() -> list[Tensor]:
        return [player.requires_grad_() for player in points(*vary([0.7, -0.4], [-0.3, 0.5]))]

    def gradient(k: int = 3, lr: float = 0.2, through: bool = True) -> Tensor:
        theta, psi = players()
        moved = _ahead(psi, theta, d_loss, k, lr)
        return torch.autograd.grad(g_loss(theta, moved if through else moved.detach()), theta)[0]

    (theta, psi), right = players(), gradient()
    found = tensor(answer(d_loss, g_loss, theta, psi, 3, 0.2), (2,), "the gradient")
    slips: Slips = {
        gradient(0): "this is the gradient without looking ahead: D's steps are not used",
        gradient(through=False): "D has moved, but as a constant: the gradient must go *through*"
        " its steps (create_graph, no detach)",
        gradient(lr=-0.2): "D moved uphill: it goes *down* its loss",
        gradient(2): "one step too few",
        gradient(4): "one step too many",
        -right: "that is minus the gradient",
        ...: f"your gradient is {found.tolist()}, right is {right.tolist()}",
    }
    equal(found, right, "the gradient", slips)
    stays = torch.equal(psi.detach(), players()[1].detach())
    need(stays, "right, but D's own parameters have moved: looking ahead is not a step")
