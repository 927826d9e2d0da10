"""Chapter 5's exercise checks: right answers pass, each usual mistake gets its own diagnosis."""

import math

import pytest
import torch

from ganlab.lab import run
from ganlab.lab.checks import NOT_STARTED


def matrix(eta):
    return torch.tensor([[1 - eta**2, eta], [-eta, 1.0]])


def largest(gamma, f):
    if gamma <= 2 * f:
        return gamma / f**2
    return 2 / (gamma / 2 + math.sqrt(gamma**2 / 4 - f**2))


def extra(field, w, eta):
    return w + eta * field(w + eta * field(w))


RIGHT = {
    "5.1": lambda eta, f, rounds: (1 + (eta * f) ** 2) ** (rounds / 2),
    "5.2": matrix,
    "5.3": largest,
    "5.4": extra,
    "5.5": lambda theta, psi, eta: theta**2 + psi**2 - eta * theta * psi,
    "5.6": lambda beta, f: 2 * beta / f,
}


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_right_answer_passes(exercise):
    verdict = run(exercise, RIGHT[exercise])
    assert verdict.passed, verdict
    assert verdict.message.startswith("right")


ALSO_RIGHT = [
    ("5.1", lambda eta, f, rounds: torch.tensor(1 + (eta * f) ** 2).sqrt() ** rounds),
    ("5.2", lambda eta: [[1 - eta**2, eta], [-eta, 1]]),
    (
        "5.3",
        lambda g, f: min(
            2 * abs(s.real) / abs(s) ** 2
            for s in (
                -g / 2 + complex(g**2 / 4 - f**2) ** 0.5,
                -g / 2 - complex(g**2 / 4 - f**2) ** 0.5,
            )
        ),
    ),
    ("5.5", lambda theta, psi, eta: 3 * (theta**2 + psi**2 - eta * theta * psi)),
    ("5.5", lambda theta, psi, eta: torch.sqrt(theta**2 + psi**2 - eta * theta * psi)),
    ("5.6", lambda beta, f: torch.tensor(2 * beta / f)),
]


@pytest.mark.parametrize(("exercise", "answer"), ALSO_RIGHT)
def test_another_spelling_of_the_right_answer_passes(exercise, answer):
    verdict = run(exercise, answer)
    assert verdict.passed, verdict


def untouched(*arguments, **options):
    return ...


def raising(*arguments, **options):
    raise NotImplementedError


@pytest.mark.parametrize("exercise", RIGHT)
@pytest.mark.parametrize("answer", [..., None, untouched, raising])
def test_the_starter_is_not_started(exercise, answer):
    verdict = run(exercise, answer)
    assert verdict.status == "not started"
    assert verdict.message == NOT_STARTED


def in_place(field, w, eta):
    w += eta * field(w + eta * field(w))
    return w


def three_looks(field, w, eta):
    field(w)
    return extra(field, w, eta)


def two_steps(field, w, eta):
    trial = w + eta * field(w)
    return trial + eta * field(trial)


def flipped(eta):
    return torch.tensor([[1 - eta**2, -eta], [eta, 1.0]])


WRONG = [
    ("5.1", lambda e, f, n: (1 + (e * f) ** 2) ** n, "*squared*"),
    ("5.1", lambda e, f, n: (1 + e * f) ** n, "Pythagoras"),
    ("5.1", lambda e, f, n: (1 + e**2) ** (n / 2), "slope is missing"),
    ("5.1", lambda e, f, n: (1 + e**2 * f) ** (n / 2), "f enters squared"),
    ("5.1", lambda e, f, n: (1 + (e * f) ** 2) ** 0.5, "one round"),
    ("5.1", lambda e, f, n: n * (1 + (e * f) ** 2) ** 0.5, "linear growth"),
    ("5.1", lambda e, f, n: 1.0, "no growth"),
    ("5.1", lambda e, f, n: (1 - (e * f) ** 2) ** (n / 2), "sign"),
    ("5.1", lambda e, f, n: math.exp(n * (e * f) ** 2 / 2), "limit for small steps"),
    ("5.1", lambda e, f, n: 7.0, "Hint 1"),
    ("5.1", lambda e, f, n: (1 + 1j * e * f) ** n, "complex"),
    ("5.1", lambda e, f, n: torch.ones(3), "one number"),
    ("5.1", lambda e, f, n: math.inf, "division"),
    ("5.2", lambda eta: torch.tensor([[1.0, eta], [-eta, 1.0]]), "*simultaneous*"),
    ("5.2", lambda eta: torch.tensor([[1.0, eta], [-eta, 1 - eta**2]]), "generator moves first"),
    ("5.2", lambda eta: matrix(eta).T, "transposed"),
    ("5.2", flipped, "signs turned"),
    ("5.2", lambda eta: torch.tensor([[1 + eta**2, eta], [-eta, 1.0]]), "has the wrong sign"),
    ("5.2", lambda eta: matrix(eta) - torch.eye(2), "add the identity"),
    ("5.2", lambda eta: torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), "matrix of the field"),
    ("5.2", lambda eta: torch.tensor([[1.0, -eta], [eta, 1 - eta**2]]), "theta's row first"),
    ("5.2", lambda eta: 2 * torch.eye(2), "determinant is"),
    ("5.2", lambda eta: torch.eye(2), "Hint 1"),
    ("5.2", lambda eta: torch.ones(2), "2x2"),
    ("5.3", lambda g, f: 4 / g, "rotation limits"),
    ("5.3", lambda g, f: g / (2 * f**2), "factor of 2"),
    ("5.3", lambda g, f: 2 * g / f**2, "twice too large"),
    ("5.3", lambda g, f: g / f, "squared"),
    ("5.3", lambda g, f: 2 / g, "real eigenvalue -gamma"),
    ("5.3", lambda g, f: f**2 / g, "upside down"),
    ("5.3", lambda g, f: 0.1, "|lambda|² = f²"),
    ("5.3", lambda g, f: g / f**2, "above it the eigenvalues are real"),
    (
        "5.3",
        lambda g, f: g / f**2 if g <= 2 * f else 2 / (g / 2 - math.sqrt(g**2 / 4 - f**2)),
        "*larger*",
    ),
    ("5.3", lambda g, f: g / f**2 if g <= 2 * f else 2 / g, "faster eigenvalue"),
    ("5.3", lambda g, f: g / f**2 if g <= 2 * f else largest(g, f) / 2, "half of it"),
    ("5.3", lambda g, f: g / f**2 if g <= 2 * f else 4 / g, "at gamma = 2f"),
    ("5.3", lambda g, f: g / f**2 if g <= 2 * f else 0.0, "above it the step"),
    ("5.4", lambda field, w, eta: w + eta * field(w), "second look"),
    ("5.4", two_steps, "thrown away"),
    (
        "5.4",
        lambda field, w, eta: w + eta * (field(w) + field(w + eta * field(w))) / 2,
        "mean of both",
    ),
    ("5.4", lambda field, w, eta: w + eta * field(w + eta / 2 * field(w)), "midpoint"),
    ("5.4", lambda field, w, eta: eta * field(w + eta * field(w)), "old w"),
    ("5.4", lambda field, w, eta: w + eta * field(w - eta * field(w)), "backwards"),
    ("5.4", lambda field, w, eta: w - eta * field(w + eta * field(w)), "wrong way"),
    ("5.4", lambda field, w, eta: w + eta * field(w + field(w)), "trial step has length 1"),
    ("5.4", lambda field, w, eta: w + field(w + eta * field(w)), "final step has length 1"),
    (
        "5.4",
        lambda field, w, eta: w + eta * (2 * field(w + eta * field(w)) - field(w)),
        "optimistic",
    ),
    ("5.4", in_place, "in place"),
    ("5.4", three_looks, "3 times"),
    ("5.4", lambda field, w, eta: w, "Hint 1"),
    ("5.4", lambda field, w, eta: w[0], "shape (2,)"),
    ("5.5", lambda t, p, eta: t**2 + p**2, "*flow*"),
    ("5.5", lambda t, p, eta: t**2 + p**2 + eta * t * p, "wrong sign"),
    ("5.5", lambda t, p, eta: t**2 + p**2 - 2 * eta * t * p, "twice too large"),
    ("5.5", lambda t, p, eta: t**2 + p**2 - eta / 2 * t * p, "half"),
    ("5.5", lambda t, p, eta: t**2 + p**2 - t * p, "must carry eta"),
    ("5.5", lambda t, p, eta: t**2 + p**2 - eta**2 * t * p, "not eta squared"),
    ("5.5", lambda t, p, eta: t**2 + p**2 - 0.6 * t * p, "alone"),
    ("5.5", lambda t, p, eta: t**2 + p**2 + 10**6, "*flow*"),
    ("5.5", lambda t, p, eta: t**2 + p**2 + eta * t * p + 10**6, "wrong sign"),
    ("5.5", lambda t, p, eta: 10**6, "constant says nothing"),
    ("5.5", lambda t, p, eta: 1.0, "constant says nothing"),
    ("5.5", lambda t, p, eta: t + p, "Hint 2"),
    ("5.6", lambda beta, f: beta / f, "half of it"),
    ("5.6", lambda beta, f: 2 * beta, "slope f is missing"),
    ("5.6", lambda beta, f: 2 * beta * f, "f divides"),
    ("5.6", lambda beta, f: 0.0, "that is the goal"),
    ("5.6", lambda beta, f: -2 * beta / f, "no sign"),
    ("5.6", lambda beta, f: f / (2 * beta), "upside down"),
    ("5.6", lambda beta, f: 2 * beta / f**2, "f enters once"),
    ("5.6", lambda beta, f: 1.0, "Hint 2"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_a_usual_mistake_is_named(exercise, answer, words):
    verdict = run(exercise, answer)
    assert verdict.status == "failed", verdict
    assert words in verdict.message


@pytest.mark.parametrize("exercise", RIGHT)
def test_diagnoses_are_one_short_line(exercise):
    for number, answer, _ in WRONG:
        if number == exercise:
            message = run(exercise, answer).message
            assert "\n" not in message
            assert len(message) < 220


def test_broken_code_is_reported_not_raised():
    verdict = run("5.1", lambda eta, f, rounds: eta.nonsense())
    assert verdict.status == "failed"
    assert "AttributeError" in verdict.message
