"""Checks of chapter 5, dynamics: each knows the usual wrong answers and names them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import started

F64 = torch.float64


def _number(value: Any, what: str) -> float:
    """A plain finite number from a tensor or number, or a diagnosis."""
    started(value)
    number = torch.as_tensor(value)
    if number.is_complex():
        raise Fail(f"{what} must be a real number, yours is complex: {number.item():.3g}")
    if number.numel() != 1:
        raise Fail(f"{what} must be one number, but has shape {tuple(number.shape)}")
    found = number.detach().to(F64).item()
    if not math.isfinite(found):
        raise Fail(f"{what} is {found}: check for a division by zero")
    return found


def _near(a: float, b: float, tolerance: float = 1e-5) -> bool:
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def _named(
    function: Callable[..., Any],
    wrong: dict[str, Callable[..., float]],
    right: Callable[..., float],
    cases: Sequence[tuple[float, ...]],
    what: str,
    hint: str,
) -> None:
    """Compare on all cases; a formula of `wrong` that fits all of them is the diagnosis."""
    found = [_number(function(*case), what) for case in cases]
    expected = [right(*case) for case in cases]
    if all(map(_near, found, expected)):
        return
    for diagnosis, formula in wrong.items():
        if all(_near(v, formula(*case)) for v, case in zip(found, cases, strict=True)):
            raise Fail(diagnosis)
    at = next(i for i, pair in enumerate(zip(found, expected, strict=True)) if not _near(*pair))
    where = ", ".join(f"{v:g}" for v in cases[at])
    raise Fail(f"at ({where}) yours is {found[at]:.5g}, right is {expected[at]:.5g}: {hint}")


@check("5.1")
def growth(answer: Answer) -> str:
    """`answer(eta, f, rounds)` is (1 + eta² f²)^(rounds/2)."""
    wrong: dict[str, Callable[..., float]] = {
        "this is the growth of the *squared* distance: take the root": lambda e, f, n: (
            (1 + (e * f) ** 2) ** n
        ),
        "1 + eta·f is the step along one real direction; here it is at right angles to where you"
        " stand: Pythagoras": lambda e, f, n: (1 + e * f) ** n,
        "the slope is missing: the eigenvalue is eta·f·i, not eta·i": lambda e, f, n: (
            (1 + e**2) ** (n / 2)
        ),
        "f enters squared, as eta does: |1 + i·eta·f|² = 1 + (eta·f)²": lambda e, f, n: (
            (1 + e**2 * f) ** (n / 2)
        ),
        "this is one round; factors of several rounds multiply": lambda e, f, n: math.sqrt(
            1 + (e * f) ** 2
        ),
        "a linear growth: each round multiplies the distance that the last one left": (
            lambda e, f, n: n * math.sqrt(1 + (e * f) ** 2)
        ),
        "no growth: that is the flow, or steps in turns; simultaneous steps leave": (
            lambda e, f, n: 1.0
        ),
        "the sign is turned: 1 - (eta·f)² would come home": lambda e, f, n: (
            (1 - (e * f) ** 2) ** (n / 2)
        ),
        "this is the limit for small steps; the exact factor of a round is a square root": (
            lambda e, f, n: math.exp(n * (e * f) ** 2 / 2)
        ),
    }
    _named(
        answer,
        wrong,
        lambda e, f, n: (1 + (e * f) ** 2) ** (n / 2),
        [(0.5, 0.7, 10), (0.9, 0.25, 3), (0.2, 2.0, 25)],
        "the factor",
        "see Hint 1",
    )
    return "right: above 1 for every step size"


@check("5.2")
def round_matrix(answer: Answer) -> str:
    """`answer(eta)` is [[1 - eta², eta], [-eta, 1]]."""
    value = answer(0.3)
    started(value)
    for eta in (0.3, 1.2):
        value = answer(eta)
        m = torch.as_tensor(value).detach().to(F64)
        if m.shape != (2, 2):
            raise Fail(f"a 2x2 matrix is asked for, yours has shape {tuple(m.shape)}")
        both = torch.tensor([[1.0, eta], [-eta, 1.0]], dtype=F64)
        d_first = torch.tensor([[1 - eta**2, eta], [-eta, 1.0]], dtype=F64)
        g_first = torch.tensor([[1.0, eta], [-eta, 1 - eta**2]], dtype=F64)
        wrong = {
            "this is the round of *simultaneous* steps: the generator must answer the new slope,"
            " psi - eta·theta": both,
            "here the generator moves first; the discriminator does": g_first,
            "transposed, or the field with its signs turned: v = (psi, -theta), and the first row"
            " makes the new theta": d_first.T,
            "the sign of eta² is wrong: the new slope holds *minus* eta·theta": torch.tensor(
                [[1 + eta**2, eta], [-eta, 1.0]], dtype=F64
            ),
            "this is the change in a round; add the identity": d_first - torch.eye(2, dtype=F64),
            "this is the matrix of the field, not of a round with step eta": torch.tensor(
                [[0.0, 1.0], [-1.0, 0.0]], dtype=F64
            ),
            "the order of the state is (theta, psi): theta's row first": torch.tensor(
                [[1.0, -eta], [eta, 1 - eta**2]], dtype=F64
            ),
        }
        if torch.allclose(m, d_first, atol=1e-6):
            continue
        for diagnosis, other in wrong.items():
            if torch.allclose(m, other, atol=1e-6):
                raise Fail(diagnosis)
        det = torch.linalg.det(m).item()
        if not _near(det, 1.0):
            raise Fail(f"at eta = {eta} the determinant is {det:.4f}; two shears give 1: Hint 2")
        raise Fail(f"determinant 1, but (1, 0) goes to {[round(v, 3) for v in m[:, 0].tolist()]};"
                   " put psi' into theta' as in Hint 1")  # fmt: skip
    return "right: determinant 1, and eigenvalues on the unit circle up to eta = 2"


def _largest(gamma: float, f: float) -> float:
    if gamma <= 2 * f:
        return gamma / f**2
    return 2 / (gamma / 2 + math.sqrt(gamma**2 / 4 - f**2))


@check("5.3")
def largest_step(answer: Answer) -> str:
    """`answer(gamma, f)` is the step limit on both sides of gamma = 2f."""

    def slow(gamma: float, f: float) -> float:
        return 2 / (gamma / 2 - math.sqrt(gamma**2 / 4 - f**2))

    below = [(0.4, 0.5), (1.1, 0.9), (0.2, 1.3)]
    above = [(3.0, 0.5), (5.0, 1.5), (8.0, 1.0)]
    _named(
        answer,
        {
            "this is |Re| = gamma/2 alone: rotation limits the step too, eta < 2|Re|/|lambda|²": (
                lambda g, f: 4 / g
            ),
            "a factor of 2 is missing: 2|Re| is gamma, not gamma/2": lambda g, f: g / (2 * f**2),
            "twice too large: |Re| of the pair is gamma/2": lambda g, f: 2 * g / f**2,
            "the modulus enters squared: |lambda|² = f²": lambda g, f: g / f,
            "this is the limit for a real eigenvalue -gamma; below 2f the eigenvalues are a pair": (
                lambda g, f: 2 / g
            ),
            "upside down": lambda g, f: f**2 / g,
        },
        _largest,
        below,
        "the step",
        "below gamma = 2f the pair has Re = -gamma/2 and |lambda|² = f²",
    )
    _named(
        answer,
        {
            "right below 2f; above it the eigenvalues are real, and gamma/f² promises steps that"
            " diverge: see Hint 2": lambda g, f: g / f**2,
            "above 2f the *larger* |lambda| decides, the plus sign before the root": slow,
            "2/gamma is near, but the faster eigenvalue is -gamma/2 - sqrt(gamma²/4 - f²)": (
                lambda g, f: 2 / g
            ),
            "half of it: for a real eigenvalue the limit is 2/|lambda|": (
                lambda g, f: _largest(g, f) / 2
            ),
            "4/gamma is the limit at gamma = 2f; beyond, the root is not 0": lambda g, f: 4 / g,
        },
        _largest,
        above,
        "the step",
        "right below 2f; above it use Hint 2",
    )
    return "right on both sides, and largest where they meet, at gamma = 2f"


@check("5.4")
def extra_round(answer: Answer) -> str:
    """`answer(field, w, eta)` is w + eta·field(w + eta·field(w))."""
    calls: list[Tensor] = []

    def field(w: Tensor) -> Tensor:
        calls.append(w.detach().clone())
        return torch.stack([w[1] - 0.3 * w[0] ** 2, -w[0] + 0.2 * w[1] ** 3])

    w, eta = torch.tensor([0.8, -0.5], dtype=F64), 0.4
    before = w.clone()
    value = answer(field, w, eta)
    started(value)
    found = torch.as_tensor(value).detach().to(F64)
    if found.shape != (2,):
        raise Fail(f"the next w has shape (2,), yours has {tuple(found.shape)}")
    if not torch.equal(w, before):
        raise Fail("w itself was changed in place: the caller still needs the old one")
    seen = len(calls)
    first = field(w)
    trial = w + eta * first
    second = field(trial)
    right = w + eta * second
    if torch.allclose(found, right, atol=1e-9):
        if seen > 2:
            raise Fail(f"right, but the field was evaluated {seen} times; two are enough")
        return "right: two looks, one step"
    wrong = {
        "this is a plain simultaneous step: the second look is missing": trial,
        "two plain steps, one after the other: the trial point is to be thrown away": trial
        + eta * second,
        "this is the mean of both directions (Heun's method); here the first one only finds the"
        " trial point, and the second alone is used": w + eta * (first + second) / 2,
        "the trial step is half as long as the step (the midpoint rule): both use eta": w
        + eta * field(w + eta / 2 * first),
        "this is the direction; the step goes from the old w": eta * second,
        "the trial point looks backwards: it is w *plus* eta·field(w)": w
        + eta * field(w - eta * first),
        "the final step goes the wrong way: field already points where the players want to go": w
        - eta * second,
        "the trial step has length 1, not eta": w + eta * field(w + first),
        "the final step has length 1, not eta": w + second,
        "this extrapolates, 2·second - first: an optimistic step in the wrong order": w
        + eta * (2 * second - first),
    }
    for diagnosis, other in wrong.items():
        if torch.allclose(found, other, atol=1e-9):
            raise Fail(diagnosis)
    raise Fail(
        f"from {before.tolist()} yours goes to {[round(v, 4) for v in found.tolist()]},"
        f" right is {[round(v, 4) for v in right.tolist()]}: see Hint 1"
    )


@check("5.5")
def kept(answer: Answer) -> str:
    """`answer(theta, psi, eta)` is constant on each path and differs between paths."""
    eta = 0.6

    def value(theta: float, psi: float) -> float:
        return _number(answer(torch.tensor(theta), torch.tensor(psi), eta), "E")

    starts = ((1.0, 0.0), (0.3, -1.2), (2.0, 1.0))
    levels, spread = [], []
    for start in starts:
        theta, psi = start
        path = []
        for _ in range(40):
            path.append(value(theta, psi))
            psi = psi - eta * theta
            theta = theta + eta * psi
        levels.append(path[0])
        spread.append(max(path) - min(path))
    scale = max(abs(v) for v in levels) or 1.0
    constant = all(s < 1e-3 * scale for s in spread)
    if constant:
        if max(levels) - min(levels) < 1e-3 * scale:
            raise Fail("it is the same on every ellipse: a constant says nothing about the path")
        return "right: constant on each orbit, different between orbits"
    points = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0))
    found = [value(*p) for p in points]
    wrong = {
        "theta² + psi² is what the *flow* keeps; steps in turns walk on a skewed ellipse": 0.0,
        "the mixed term has the wrong sign: that is the other order of moves, or the other sign of"
        " the field": eta,
        "the mixed term is twice too large: see Hint 2": -2 * eta,
        "the mixed term is half of what it must be: see Hint 2": -eta / 2,
        "the mixed term must carry eta: without steps there is no skew": -1.0,
        "the mixed term carries eta, not eta squared": -(eta**2),
    }
    for diagnosis, mixed in wrong.items():
        form = [t * t + p * p + mixed * t * p for t, p in points]
        if all(map(_near, found, form)):
            raise Fail(diagnosis)
    theta, psi = 1 - eta**2, -eta
    raise Fail(
        f"at eta = {eta} one round leads from (1, 0) to ({theta:.2f}, {psi:.2f}); there yours"
        f" goes from {value(1.0, 0.0):.4f} to {value(theta, psi):.4f}: see Hint 2"
    )


@check("5.6")
def resting_place(answer: Answer) -> str:
    """`answer(beta, f)` is 2·beta/f."""
    _named(
        answer,
        {
            "half of it: the derivative of beta·(psi - 1)² at 0 is -2·beta, not -beta": (
                lambda b, f: b / f
            ),
            "the slope f is missing: the loss pushes with f·theta, not with theta": (
                lambda b, f: 2 * b
            ),
            "f divides: a weaker loss needs a *larger* theta to balance the penalty": (
                lambda b, f: 2 * b * f
            ),
            "that is the goal; with the penalty the forces on psi do not balance there": (
                lambda b, f: 0.0
            ),
            "the distance is asked for, not where theta stands: no sign": lambda b, f: -2 * b / f,
            "upside down: a stronger penalty rests farther away": lambda b, f: f / (2 * b),
            "f enters once: only the discriminator's force is balanced": lambda b, f: 2 * b / f**2,
        },
        lambda b, f: 2 * b / f,
        [(2.0, 1.0), (3.0, 0.5), (0.7, 2.0)],
        "the distance",
        "see Hint 2",
    )
    return "right: the critic's penalty and its loss pull equally there"
