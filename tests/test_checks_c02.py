"""Chapter 2's exercise checks: right answers pass, each usual mistake gets its own diagnosis."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from ganlab.lab import run
from ganlab.lab.checks import NOT_STARTED


def js(p, q):
    m = ((p + q) / 2).clamp(min=1e-300)
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum() / 2


def shares(counts):
    return counts.double() / counts.sum()


def kl(p, q):
    return (p * (p / q).log()).sum()


def value(p, q, prior, d):
    v = torch.xlogy(prior * p, d) + torch.xlogy((1 - prior) * q, 1 - d)
    return v.sum()


def best(p, q, prior):
    return prior * p / (prior * p + (1 - prior) * q)


RIGHT = {
    "2.1": lambda lp, lq: torch.sigmoid(lp - lq),
    "2.2": lambda r, f: softplus(-r).mean() + softplus(f).mean(),
    "2.3": lambda p, q: js(shares(p), shares(q)),
    "2.4": lambda p, q, alpha=0.9, beta=0.0: (alpha * p + beta * q) / (p + q),
    "2.5": lambda p, q, prior, dx: (
        best(p, q, prior),
        value(p, q, prior, best(p, q, prior)) * dx,
    ),
    "2.6": lambda p, q, dx: 2 * kl((p + q) / 2, p) * dx,
}


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_right_answer_passes(exercise):
    verdict = run(exercise, RIGHT[exercise])
    assert verdict.passed, verdict
    assert verdict.message.startswith("right")


ALSO_RIGHT = [
    ("2.1", lambda lp, lq: 1 / (1 + torch.exp(lq - lp))),
    ("2.2", lambda r, f: -torch.nn.functional.logsigmoid(r).mean() + softplus(f).mean()),
    ("2.3", lambda p, q: float(js(shares(p), shares(q)))),
    ("2.6", lambda p, q, dx: kl(q, p) * dx - 2 * js(p, q) * dx),  # the theorem's first form
    ("2.6", lambda p, q, dx: ((p + q) * ((p + q) / p).log()).sum() * dx - 2 * math.log(2)),
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
    assert (verdict.status, verdict.message) == ("not started", NOT_STARTED)


def test_half_a_pair_is_not_started():
    verdict = run("2.5", lambda p, q, prior, dx: (best(p, q, prior), ...))
    assert verdict.status == "not started"


WRONG = [
    # the exercise, a usual wrong answer, what the diagnosis must say
    ("2.1", lambda lp, lq: torch.sigmoid(lq - lp), "swap"),
    ("2.1", lambda lp, lq: lp - lq, "logit"),
    ("2.1", lambda lp, lq: (lp - lq).exp(), "ratio"),
    ("2.1", lambda lp, lq: lp / (lp + lq), "logarithms of densities"),
    ("2.1", lambda lp, lq: torch.sigmoid(lp.exp() - lq.exp()), "difference of *logarithms*"),
    ("2.1", lambda lp, lq: lp.exp() / (lp.exp() + lq.exp()), "underflow"),
    ("2.1", lambda lp, lq: lp.exp() / (lp.exp() + lq.exp() + 1e-8), "underflow"),
    ("2.1", lambda lp, lq: torch.full_like(lp, 0.5), "the best is"),
    ("2.1", lambda lp, lq: torch.tensor(0.5), "shape"),
    ("2.2", lambda r, f: -softplus(-r).mean() - softplus(f).mean(), "sign is turned"),
    ("2.2", lambda r, f: (softplus(-r).mean() + softplus(f).mean()) / 2, "half"),
    ("2.2", lambda r, f: torch.cat([softplus(-r), softplus(f)]).mean(), "joined"),
    ("2.2", lambda r, f: 2 * torch.cat([softplus(-r), softplus(f)]).mean(), "joined"),
    ("2.2", lambda r, f: softplus(-r).sum() + softplus(f).sum(), "sums over the batches"),
    ("2.2", lambda r, f: softplus(r).mean() + softplus(-f).mean(), "exchanged"),
    ("2.2", lambda r, f: softplus(-r).mean() - softplus(f).mean(), "second term"),
    ("2.2", lambda r, f: softplus(-r).mean(), "generated samples is missing"),
    ("2.2", lambda r, f: softplus(f).mean(), "real samples is missing"),
    ("2.2", lambda r, f: f.mean() - r.mean(), "critic"),
    ("2.2", lambda r, f: 3 + softplus(-r).mean() + softplus(f).mean(), "log 4"),
    ("2.2", lambda r, f: softplus(-r) + 1, "one number"),
    (
        "2.2",
        lambda r, f: -torch.sigmoid(r).log().mean() - (1 - torch.sigmoid(f)).log().mean(),
        "softplus of the logit",
    ),
    (
        "2.2",
        lambda r, f: (
            -(torch.sigmoid(r) + 1e-8).log().mean() - (1 - torch.sigmoid(f) + 1e-8).log().mean()
        ),
        "hides the slope",
    ),
    ("2.3", lambda p, q: js(shares(p), shares(q)) / math.log(2), "bits"),
    ("2.3", lambda p, q: 2 * js(shares(p), shares(q)), "half"),
    ("2.3", lambda p, q: js(shares(p), shares(q)).sqrt(), "square root"),
    ("2.3", lambda p, q: kl(shares(p), (shares(p) + shares(q)) / 2), "other half"),
    ("2.3", lambda p, q: kl(shares(p), shares(q)), "KL(p||q)"),
    ("2.3", lambda p, q: kl(shares(q), shares(p)), "KL(q||p)"),
    ("2.3", lambda p, q: (kl(shares(p), shares(q)) + kl(shares(q), shares(p))) / 2, "Jeffreys"),
    ("2.3", lambda p, q: -js(shares(p), shares(q)), "sign"),
    ("2.3", lambda p, q: js(p.double(), q.double()), "not normalised"),
    ("2.3", lambda p, q: js(p / (p.sum() + q.sum()), q / (p.sum() + q.sum())), "*own* total"),
    (
        "2.3",
        lambda p, q: (
            (
                kl((shares(p) + shares(q)) / 2, shares(p))
                + kl((shares(p) + shares(q)) / 2, shares(q))
            )
            / 2
        ),
        "turned round",
    ),
    (
        "2.3",
        lambda p, q: (
            (
                kl(shares(p), (shares(p) + shares(q)) / 2)
                + kl(shares(q), (shares(p) + shares(q)) / 2)
            )
            / 2
        ),
        "NaN where bins are empty",
    ),
    (
        "2.3",
        lambda p, q: js(shares(p), shares(q)) if ((p > 0) & (q > 0)).any() else torch.tensor(0.0),
        "without a common bin",
    ),
    ("2.3", lambda p, q: torch.tensor(0.123), "Hint 3"),
    ("2.4", lambda p, q, a=0.9, b=0.0: a * p / (a * p + q), "also carries"),
    ("2.4", lambda p, q, a=0.9, b=0.0: p / (p + q), "without smoothing"),
    ("2.4", lambda p, q, a=0.9, b=0.0: (1 - a) * p / (p + q), "taken off"),
    ("2.4", lambda p, q, a=0.9, b=0.0: a * q / (p + q), "exchanged"),
    ("2.4", lambda p, q, a=0.9, b=0.0: torch.full_like(p, a), "Hint 1"),
    ("2.4", lambda p, q, a=0.9, b=0.0: a * p / (p + q), "beta does not enter"),
    ("2.4", lambda p, q, a=0.9, b=0.0: (a * p - b * q) / (p + q), "both targets soft"),
    (
        "2.4",
        lambda p, q, a=0.9, b=0.0: (a * p + (1 - b) * q * (b > 0)) / (p + q),
        "not its distance",
    ),
    ("2.5", lambda p, q, prior, dx: p / (p + q), "two things"),
    ("2.5", lambda p, q, prior, dx: (p / (p + q), 0.0), "ignores the prior"),
    ("2.5", lambda p, q, prior, dx: (best(p, q, 1 - prior), 0.0), "1 - prior"),
    ("2.5", lambda p, q, prior, dx: (1 - best(p, q, prior), 0.0), "*fake*"),
    ("2.5", lambda p, q, prior, dx: (prior * p / (p + q), 0.0), "denominator"),
    ("2.5", lambda p, q, prior, dx: (0 * p, 0.0), "must be the prior"),
    (
        "2.5",
        lambda p, q, prior, dx: (
            best(p, q, prior),
            value(p, q, prior, best(p, q, prior)) * dx
            - prior * math.log(prior)
            - (1 - prior) * math.log(1 - prior),
        ),
        "weighted JS alone",
    ),
    (
        "2.5",
        lambda p, q, prior, dx: (
            best(p, q, prior),
            2 * value(p, q, 0.5, best(p, q, prior)) * dx,
        ),
        "its weight too",
    ),
    (
        "2.5",
        lambda p, q, prior, dx: (
            best(p, q, prior),
            -value(p, q, prior, best(p, q, prior)) * dx,
        ),
        "sign",
    ),
    (
        "2.5",
        lambda p, q, prior, dx: (best(p, q, prior), value(p, q, prior, best(p, q, prior))),
        "factor dx",
    ),
    (
        "2.5",
        lambda p, q, prior, dx: (
            best(p, q, prior),
            2 * value(p, q, prior, best(p, q, prior)) * dx,
        ),
        "twice too large",
    ),
    ("2.5", lambda p, q, prior, dx: (best(p, q, prior), 0.0), "Hint 3"),
    (
        "2.5",
        lambda p, q, prior, dx: (
            best(p, q, prior),
            dx
            * (
                prior * p * best(p, q, prior).log()
                + (1 - prior) * q * (1 - best(p, q, prior)).log()
            ).sum(),
        ),
        "torch.xlogy",
    ),
    ("2.6", lambda p, q, dx: js(p, q) * dx, "this is JS"),
    ("2.6", lambda p, q, dx: 2 * js(p, q) * dx, "*saturating*"),
    ("2.6", lambda p, q, dx: kl(q, p) * dx, "reverse KL"),
    ("2.6", lambda p, q, dx: kl(p, q) * dx, "KL(p_data||p_g)"),
    ("2.6", lambda p, q, dx: 2 * kl((p + q) / 2, q) * dx, "compared with p_data"),
    ("2.6", lambda p, q, dx: kl((p + q) / 2, q) * dx, "compared with p_data"),
    ("2.6", lambda p, q, dx: 2 * kl(p, (p + q) / 2) * dx, "2 KL(p_data||m)"),
    ("2.6", lambda p, q, dx: kl(p, (p + q) / 2) * dx, "wrong way round"),
    ("2.6", lambda p, q, dx: kl((p + q) / 2, p) * dx, "half as strong"),
    ("2.6", lambda p, q, dx: 4 * kl((p + q) / 2, p) * dx, "twice as strong"),
    ("2.6", lambda p, q, dx: -2 * kl((p + q) / 2, p) * dx, "sign turned"),
    ("2.6", lambda p, q, dx: 2 * kl((p + q) / 2, p), "factor dx"),
    ("2.6", lambda p, q, dx: ((p + q) * ((p + q) / p).log() - q).sum() * dx, "shift it to 0"),
    ("2.6", lambda p, q, dx: ((p - q) ** 2).sum() * dx, "Hint 1"),
    ("2.6", lambda p, q, dx: 2 * kl((p + q) / 2, p).item() * dx, "no gradient"),
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
    verdict = run("2.1", lambda lp, lq: lp.nonsense())
    assert verdict.status == "failed"
    assert "AttributeError" in verdict.message
