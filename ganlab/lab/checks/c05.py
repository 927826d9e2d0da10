"""Checks of chapter 5, dynamics: each knows the usual wrong answers and names them."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import F64, number, points, rng, tensor, vary
from ganlab.lab.checks.words import Slips, close, equal, need, refuse, when


def _formula(answer: Answer, cases: tuple[tuple[float, ...], ...], right: Tensor, slips: Slips,
             what: str, hint: str) -> None:  # fmt: skip
    """The claim that `answer` gives `right` on the cases; a slip must fit all of them."""
    found = [number(answer(*case), what) for case in cases]
    off = [i for i in range(len(cases)) if not close(found[i], right[i])]
    if off:
        refuse(slips, found)
        where = f"{what} at ({', '.join(f'{v:g}' for v in cases[off[0]])})"
        equal(found[off[0]], right[off[0]], where, hint=hint)


@check("5.1", "right: above 1 for every step size")
def growth(answer: Answer) -> None:
    """`answer(eta, f, rounds)` is (1 + eta² f²)^(rounds/2)."""
    cases = vary((0.5, 0.7, 10), (0.9, 0.25, 3), (0.2, 2.0, 25))
    e, f, n = points(*zip(*cases, strict=True))
    one = (1 + (e * f) ** 2).sqrt()
    slips = {
        one ** (2 * n): "this is the growth of the *squared* distance: take the root",
        (1 + e * f) ** n: "1 + eta·f is the step along one real direction; here it is at right"
        " angles to where you stand: Pythagoras",
        (1 + e**2) ** (n / 2): "the slope is missing: the eigenvalue is eta·f·i, not eta·i",
        (1 + e**2 * f) ** (n / 2): "f enters squared, as eta does: |1 + i·eta·f|² = 1 + (eta·f)²",
        one: "this is one round; factors of several rounds multiply",
        n * one: "a linear growth: each round multiplies the distance that the last one left",
        1.0: "no growth: that is the flow, or steps in turns; simultaneous steps leave",
        (1 - (e * f) ** 2) ** (n / 2): "the sign is turned: 1 - (eta·f)² would come home",
        (n * (e * f) ** 2 / 2).exp(): "the limit for small steps; an exact round has a square root",
    }
    _formula(answer, cases, one**n, slips, "the factor", "Hint 1")


@check("5.2", "right: determinant 1, and eigenvalues on the unit circle up to eta = 2")
def round_matrix(answer: Answer) -> None:
    """`answer(eta)` is [[1 - eta², eta], [-eta, 1]]."""
    for e in vary(0.3, 1.2):
        m, less = tensor(answer(e), (2, 2), "the 2x2 matrix"), 1 - e**2
        det, turned = torch.linalg.det(m).item(), [round(v, 3) for v in m[:, 0].tolist()]
        slips = {
            ((1, e), (-e, 1)): "this is the round of *simultaneous* steps: the generator must"
            " answer the new slope, psi - eta·theta",
            ((1, e), (-e, less)): "here the generator moves first; the discriminator does",
            ((less, -e), (e, 1)): "transposed, or the field with its signs turned: v = (psi,"
            " -theta), and the first row makes the new theta",
            ((1 + e**2, e), (-e, 1)): "eta² has the wrong sign: the new slope has *minus* it",
            ((-(e**2), e), (-e, 0)): "this is the change in a round; add the identity",
            ((0, 1), (-1, 0)): "this is the matrix of the field, not of a round with step eta",
            ((1, -e), (e, less)): "the order of the state is (theta, psi): theta's row first",
            when(not close(det, 1)): f"the determinant is {det:.4f}; two shears give 1: Hint 2",
            ...: f"determinant 1, but (1, 0) goes to {turned}; put psi' into theta' as in Hint 1",
        }
        equal(m, ((less, e), (-e, 1)), "the matrix", slips)


@check("5.3", "right on both sides, and largest where they meet, at gamma = 2f")
def largest_step(answer: Answer) -> None:
    """`answer(gamma, f)` is the step limit on both sides of gamma = 2f."""
    below = vary((0.4, 0.5), (1.1, 0.9), (0.2, 1.3))
    above = vary((3.0, 0.5), (5.0, 1.5), (8.0, 1.0))
    g, f = points(*zip(*below, strict=True))
    slips = {
        4 / g: "this is |Re| = gamma/2 alone: rotation limits the step too, eta < 2|Re|/|lambda|²",
        g / (2 * f**2): "a factor of 2 is missing: 2|Re| is gamma, not gamma/2",
        2 * g / f**2: "twice too large: |Re| of the pair is gamma/2",
        g / f: "the modulus enters squared: |lambda|² = f²",
        2 / g: "the limit of a real eigenvalue -gamma; below 2f the eigenvalues are a pair",
        f**2 / g: "upside down",
    }
    hint = "Hint 1, the pair has Re = -gamma/2 and |lambda|² = f²"
    _formula(answer, below, g / f**2, slips, "below gamma = 2f the step", hint)
    g, f = points(*zip(*above, strict=True))
    root = (g**2 / 4 - f**2).sqrt()
    right = 2 / (g / 2 + root)
    slips = {
        g / f**2: "right below 2f; above it the eigenvalues are real, and gamma/f² promises steps"
        " that diverge: see Hint 2",
        2 / (g / 2 - root): "above 2f the *larger* |lambda| decides, the plus sign before the root",
        2 / g: "2/gamma is near, but the faster eigenvalue is -gamma/2 - sqrt(gamma²/4 - f²)",
        right / 2: "half of it: for a real eigenvalue the limit is 2/|lambda|",
        4 / g: "4/gamma is the limit at gamma = 2f; beyond, the root is not 0",
    }
    _formula(answer, above, right, slips, "right below 2f; above it the step", "Hint 2")


@check("5.4", "right: two looks, one step")
def extra_round(answer: Answer) -> None:
    """`answer(field, w, eta)` is w + eta·field(w + eta·field(w))."""
    calls: list[Tensor] = []

    def field(w: Tensor) -> Tensor:
        calls.append(w.detach().clone())
        return torch.stack([w[1] - 0.3 * w[0] ** 2, -w[0] + 0.2 * w[1] ** 3])

    (w, before), eta = points(*vary([0.8, -0.5], [0.8, -0.5])), vary(0.4)
    found = tensor(answer(field, w, eta), (2,), "the next w")
    seen, kept = len(calls), torch.equal(w, before)
    need(kept, "w itself was changed in place: the caller still needs the old one")
    first = field(w)
    trial = w + eta * first
    second = field(trial)
    right, back = w + eta * second, field(w - eta * first)
    ends = [[round(v, 4) for v in end.tolist()] for end in (found, right)]
    slips = {
        trial: "this is a plain simultaneous step: the second look is missing",
        trial + eta * second: "two plain steps in a row: the trial point is to be thrown away",
        w + eta * (first + second) / 2: "this is the mean of both directions (Heun's method); here"
        " the first one only finds the trial point, and the second alone is used",
        w + eta * field(w + eta / 2 * first): "the trial step is half as long as the step (the"
        " midpoint rule): both use eta",
        eta * second: "this is the direction; the step goes from the old w",
        w + eta * back: "the trial point looks backwards: it is w *plus* eta·field(w)",
        w - eta * second: "the final step goes the wrong way: field points to the goals",
        w + eta * field(w + first): "the trial step has length 1, not eta",
        w + second: "the final step has length 1, not eta",
        w + eta * (2 * second - first): "2·second - first: an optimistic step, in the wrong order",
        ...: f"from {before.tolist()} yours goes to {ends[0]}, right is {ends[1]}: see Hint 1",
    }
    equal(found, right, "the next w", slips)
    need(seen <= 2, f"right, but the field was evaluated {seen} times; two are enough")


@check("5.5", "right: constant on each orbit, different between orbits")
def kept(answer: Answer) -> None:
    """`answer(theta, psi, eta)` is constant on each path and differs between paths."""
    for eta in vary(0.6, 1.1):
        _kept_at(answer, eta)


def _kept_at(answer: Answer, eta: float) -> None:
    def value(*state: float) -> float:
        return number(answer(*(torch.tensor(v, dtype=F64) for v in state), eta), "E")

    states, steps = [], 40
    for theta, psi in vary((1.0, 0.0), (0.3, -1.2), (2.0, 1.0)):
        for _ in range(steps):
            states.append((theta, psi))
            psi = psi - eta * theta
            theta = theta + eta * psi
    # In any order: or values that were kept from another time would be constant, too.
    found = {i: value(*states[i]) for i in torch.randperm(len(states), generator=rng(55)).tolist()}
    paths = [[found[i] for i in range(k, k + steps)] for k in range(0, len(states), steps)]
    # What counts is not how large E is, but how far it is from one path to another.
    levels, size = [path[0] for path in paths], max(abs(v) for path in paths for v in path)
    apart, moves = max(levels) - min(levels), max(max(path) - min(path) for path in paths)
    same = "it is the same on every ellipse: a constant says nothing about the path"
    need(apart + moves > 1e-7 * size, same)
    if moves <= 1e-3 * apart:
        return
    mixed = {
        0.0: "theta² + psi² is what the *flow* keeps; steps in turns walk on a skewed ellipse",
        eta: "the mixed term has the wrong sign: the other order of moves, or the field's sign",
        -2 * eta: "the mixed term is twice too large: see Hint 2",
        -eta / 2: "the mixed term is half of what it must be: see Hint 2",
        -1.0: "the mixed term must carry eta: without steps there is no skew",
        -(eta**2): "the mixed term carries eta, not eta squared",
        -0.6: "right at eta = 0.6 alone: take the eta that is given",
    }
    t, p = points([1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, -1.0])
    theta, psi = 1 - eta**2, -eta
    slips = {t**2 + p**2 + m * t * p: diagnosis for m, diagnosis in mixed.items()} | {
        ...: f"at eta = {eta:.3g} one round leads from (1, 0) to ({theta:.2f}, {psi:.2f}); there"
        f" yours goes from {value(1.0, 0.0):.4f} to {value(theta, psi):.4f}: see Hint 2"
    }
    refuse(slips, [value(*at) - value(0.0, 0.0) for at in zip(t.tolist(), p.tolist())])


@check("5.6", "right: the critic's penalty and its loss pull equally there")
def resting_place(answer: Answer) -> None:
    """`answer(beta, f)` is 2·beta/f."""
    cases = vary((2.0, 1.0), (3.0, 0.5), (0.7, 2.0))
    b, f = points(*zip(*cases, strict=True))
    slips = {
        b / f: "half of it: the derivative of beta·(psi - 1)² at 0 is -2·beta, not -beta",
        2 * b: "the slope f is missing: the loss pushes with f·theta, not with theta",
        2 * b * f: "f divides: a weaker loss needs a *larger* theta to balance the penalty",
        0.0: "that is the goal; with the penalty the forces on psi do not balance there",
        -2 * b / f: "the distance is asked for, not where theta stands: no sign",
        f / (2 * b): "upside down: a stronger penalty rests farther away",
        2 * b / f**2: "f enters once: only the discriminator's force is balanced",
    }
    _formula(answer, cases, 2 * b / f, slips, "the distance", "Hint 2")
