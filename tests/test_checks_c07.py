"""Chapter 7: its checks tell right answers from the usual wrong ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import softplus

from ganlab.lab import run
from ganlab.losses import objective


def hinge(real, fake):
    goal = objective("hinge")
    return goal.d_loss(real, fake), goal.g_loss(fake)


def hinge_d(d_loss):
    return lambda r, f: (d_loss(r, f), -f.mean())


def hinge_g(g_loss):
    return lambda r, f: (hinge(r, f)[0], g_loss(f))


def pairs(real, fake):
    goal = objective("relativistic")
    return goal.d_loss(real, fake), goal.g_loss(fake, real)


def pairs_of(loss):
    """Both losses from one function of (up, down), mirrored."""
    return lambda r, f: (loss(r, f), loss(f, r))


def average(up, down):
    return softplus(-(up - down.mean())).mean() + softplus(down - up.mean()).mean()


def r1(network, real, gamma, create=True, reduce=lambda g: g.flatten(1).square().sum(1).mean() / 2,
       start=lambda a: a.sum()):  # fmt: skip
    x = real.detach().clone().requires_grad_()
    g = torch.autograd.grad(start(network(x)), x, create_graph=create)[0]
    return gamma * reduce(g)


def r1_with(**options):
    return lambda network, real, gamma: r1(network, real, gamma, **options)


def r1_in_place(network, real, gamma):
    g = torch.autograd.grad(network(real.requires_grad_()).sum(), real, create_graph=True)[0]
    return gamma / 2 * g.flatten(1).square().sum(1).mean()


def r1_detached(network, real, gamma):
    value = r1(network, real, gamma)
    return value.detach() + 0 * next(network.parameters()).sum()


def r1_pictures_only(network, real, gamma):
    def reduce(g):
        total = g.square().sum((1, 2, 3)) if g.ndim == 4 else g.square().mean(1)
        return total.mean() / 2

    return r1(network, real, gamma, reduce=reduce)


def largest(weight, iterations, read=lambda w: w.flatten(1), end=lambda m, v: (m @ v).norm()):
    m = read(weight)
    v = torch.randn(m.shape[1], dtype=m.dtype)
    v = v / v.norm()
    for _ in range(iterations):
        u = m @ v
        v = m.T @ (u / u.norm())
        v = v / v.norm()
    return end(m, v)


def largest_with(**options):
    return lambda weight, iterations: largest(weight, iterations, **options)


def wild(weight, iterations):
    m = weight.flatten(1)
    v = torch.randn(m.shape[1], dtype=m.dtype)
    for _ in range(iterations):
        v = m.T @ (m @ v)
    return (m @ v).norm() / v.norm()


def unfinished(weight, iterations):
    m = weight.flatten(1)
    v = torch.randn(m.shape[1], dtype=m.dtype)
    for _ in range(iterations):
        v = m.T @ (m @ (v / v.norm()))
    return v.norm().sqrt() * 1.2 if iterations == 1 else v.norm().sqrt()


def gammas(gamma):
    return gamma / 4, gamma * 127.5**2, 16 * gamma, gamma / 8


def changed(place, factor):
    def answer(gamma):
        values = list(gammas(gamma))
        values[place] = factor * gamma
        return values

    return answer


def pull(s, z, alpha, b, c, freeze=True, factor=1.0, swap=False, goal=None):
    scale = torch.tensor(s, dtype=z.dtype, requires_grad=True)
    inner = torch.tensor(s, dtype=z.dtype) if freeze else scale
    x = scale * z
    share = torch.sigmoid(inner.log() + x**2 / 2 * (1 / inner**2 - 1))
    if swap:
        alpha, b = b, alpha
    loss = (alpha + (b - alpha) * share - (c if goal is None else goal(b))).square().mean() / 2
    return factor * torch.autograd.grad(loss, scale)[0]


def pull_with(**options):
    return lambda s, z, alpha, b, c: pull(s, z, alpha, b, c, **options)


RIGHT = {
    "7.1": hinge,
    "7.2": pairs,
    "7.3": r1,
    "7.4": largest,
    "7.5": gammas,
    "7.6": pull,
}
WRONG = {
    "hinge exchanged": ("7.1", lambda r, f: hinge(r, f)[::-1], "exchanged"),
    "hinge halved": ("7.1", hinge_d(lambda r, f: hinge(r, f)[0] / 2), "*sum* of two means"),
    "hinge summed": (
        "7.1",
        hinge_d(lambda r, f: torch.relu(1 - r).sum() + torch.relu(1 + f).sum()),
        "become means",
    ),
    "hinge sides": ("7.1", hinge_d(lambda r, f: hinge(-r, -f)[0]), "real and fake are exchanged"),
    "hinge maximised": ("7.1", hinge_d(lambda r, f: -hinge(r, f)[0]), "sign is turned"),
    "no maximum": ("7.1", hinge_d(lambda r, f: (1 - r).mean() + (1 + f).mean()), "plus 2"),
    "no margin": (
        "7.1",
        hinge_d(lambda r, f: torch.relu(-r).mean() + torch.relu(f).mean()),
        "margin of 1 is missing",
    ),
    "margin of means": (
        "7.1",
        hinge_d(lambda r, f: torch.relu(1 - r.mean()) + torch.relu(1 + f.mean())),
        "belongs to each sample",
    ),
    "joined": (
        "7.1",
        hinge_d(lambda r, f: torch.cat([torch.relu(1 - r), torch.relu(1 + f)]).mean()),
        "joined",
    ),
    "margin in G": ("7.1", hinge_g(lambda f: torch.relu(1 - f).mean()), "D's alone"),
    "G turned": ("7.1", hinge_g(lambda f: f.mean()), "wants large logits"),
    "G minimax": ("7.1", hinge_g(lambda f: -torch.relu(1 + f).mean()), "learn nothing"),
    "one loss": ("7.1", lambda r, f: hinge(r, f)[0], "return two things"),
    "not scalar": ("7.1", lambda r, f: (torch.relu(1 - r), -f.mean()), "one number"),
    "hinge else": ("7.1", hinge_d(lambda r, f: hinge(r, f)[0] + 0.3), "Hint 1"),
    "pairs turned": ("7.2", lambda r, f: pairs(r, f)[::-1], "exchanged"),
    "means first": ("7.2", pairs_of(lambda u, d: softplus(d.mean() - u.mean())), "not pairs"),
    "average": ("7.2", pairs_of(average), "relativistic *average*"),
    "half the average": ("7.2", pairs_of(lambda u, d: average(u, d) / 2), "half the relativistic"),
    "separable": (
        "7.2",
        pairs_of(lambda u, d: softplus(-u).mean() + softplus(d).mean()),
        "judged alone",
    ),
    "all pairs": (
        "7.2",
        pairs_of(lambda u, d: softplus(d[:, None] - u[None]).mean()),
        "row i",
    ),
    "linear": ("7.2", pairs_of(lambda u, d: (d - u).mean()), "softplus is missing"),
    "pairs summed": ("7.2", pairs_of(lambda u, d: softplus(d - u).sum()), "take the mean"),
    "old G": ("7.2", lambda r, f: (pairs(r, f)[0], softplus(-f).mean()), "real ones count"),
    "zero-sum": ("7.2", lambda r, f: (pairs(r, f)[0], -pairs(r, f)[0]), "zero-sum"),
    "overflow": (
        "7.2",
        pairs_of(lambda u, d: (1 + (d - u).exp()).log().mean()),
        "use softplus",
    ),
    "clamped": (
        "7.2",
        pairs_of(lambda u, d: -(torch.sigmoid(u - d) + 1e-12).log().mean()),
        "hides the slope",
    ),
    "no half": ("7.3", r1_with(reduce=lambda g: g.flatten(1).square().sum(1).mean()), "½"),
    "no gamma": ("7.3", lambda n, x, gamma: r1(n, x, 1.0), "γ is missing"),
    "no square": ("7.3", r1_with(reduce=lambda g: g.flatten(1).norm(dim=1).mean() / 2), "squared"),
    "channels": ("7.3", r1_with(reduce=lambda g: g.norm(dim=1).square().mean() / 2), "dim=1"),
    "pixels": ("7.3", r1_with(reduce=lambda g: g.square().mean() / 2), "place of the sum"),
    "batch sum": ("7.3", r1_with(reduce=lambda g: g.square().sum() / 2), "over the batch"),
    "mean logit": ("7.3", r1_with(start=lambda a: a.mean()), "differentiate the sum"),
    "slope 1": (
        "7.3",
        r1_with(reduce=lambda g: (g.flatten(1).norm(dim=1) - 1).square().mean()),
        "not 1",
    ),
    "no graph": ("7.3", r1_with(create=False), "create_graph"),
    "number": ("7.3", lambda n, x, gamma: r1(n, x, gamma).item(), "create_graph"),
    "detached": ("7.3", r1_detached, "its gradient in the weights"),
    "in place": ("7.3", r1_in_place, "detached clone"),
    "pictures": ("7.3", r1_pictures_only, "for points"),
    "squared": ("7.4", largest_with(end=lambda m, v: (m.T @ (m @ v)).norm()), "σ²"),
    "Frobenius": ("7.4", lambda w, k: w.norm(), "Frobenius"),
    "largest entry": ("7.4", lambda w, k: w.abs().max(), "largest entry"),
    "wrong matrix": (
        "7.4",
        largest_with(read=lambda w: w.permute(1, 0, *range(2, w.ndim)).flatten(1)),
        "*output* channel",
    ),
    "no norm": ("7.4", wild, "normalise"),
    "decomposition": ("7.4", lambda w, k: torch.linalg.matrix_norm(w.flatten(1), 2), "iterate"),
    "too large": ("7.4", unfinished, "never too large"),
    "changes the weight": ("7.4", lambda w, k: largest(w.mul_(1.1), k), "changed"),
    "inverse": ("7.5", changed(0, 4.0), "the wrong way"),
    "not squared": ("7.5", changed(0, 0.5), "c², not c"),
    "no change": ("7.5", changed(1, 1.0), "unchanged?"),
    "old range": ("7.5", changed(1, 255.0**2), "length 2"),
    "lazy divided": ("7.5", changed(2, 1 / 16), "work of sixteen"),
    "lazy squared": ("7.5", changed(2, 256.0), "linear in γ"),
    "lambda": ("7.5", changed(3, 0.25), "½ of R1"),
    "one gamma": ("7.5", lambda gamma: gammas(3.0), "γ = 3 only"),
    "three": ("7.5", lambda gamma: gammas(gamma)[:3], "return four things"),
    "not frozen": ("7.6", pull_with(freeze=False), "not frozen"),
    "twice": ("7.6", pull_with(factor=2.0), "½"),
    "a sum": ("7.6", pull_with(factor=500.0), "take the mean"),
    "a step": ("7.6", pull_with(factor=-1.0), "sign is turned"),
    "labels": ("7.6", pull_with(swap=True), "turned round"),
    "goal": ("7.6", pull_with(goal=lambda b: b), "c is an argument"),
    "zero": ("7.6", pull_with(factor=0.0), "requires grad"),
    "text": ("7.6", lambda s, z, alpha, b, c: math.pi, "Hint 3"),
}


@pytest.mark.parametrize("exercise", RIGHT)
def test_right_answers_pass(exercise):
    found = run(exercise, RIGHT[exercise])
    assert found.passed, found


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_get_their_diagnosis(name):
    exercise, answer, part = WRONG[name]
    found = run(exercise, answer)
    assert found.status == "failed"
    assert part in found.message, found


@pytest.mark.parametrize("exercise", RIGHT)
def test_untouched_starters_are_not_started(exercise):
    count = {"7.1": 2, "7.2": 2, "7.5": 4}.get(exercise)
    starter = (lambda *a: (...,) * count) if count else lambda *a: ...
    assert run(exercise, starter).status == "not started"
    assert run(exercise, ...).status == "not started"


def test_checks_leave_the_random_state_of_r1_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    run("7.5", gammas)
    run("7.6", pull)
    assert torch.equal(before, torch.get_rng_state())
