"""Chapter 6's exercise checks: right answers pass, each usual mistake gets its own diagnosis."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from live_kit import needs_node, played
from torch.nn.functional import softplus

from ganlab.lab import run
from ganlab.lab.checks import NOT_STARTED


def penalty(f, real, fake, eps="pair", of=lambda x: x.sum(), norm=None, graph=True, end=None,
            at=None, draw=lambda t: t):  # fmt: skip
    """The right penalty, with each part replaceable."""
    n, pair = len(real), (len(real), *[1] * (real.ndim - 1))
    shapes = {"pair": pair, "one": (1,), "all": real.shape, "rows": (n, 1), "columns": (n,)}
    shape = shapes[eps] if real.ndim > 2 else pair
    t = draw(torch.rand(shape, dtype=real.dtype))
    t = t if at is None else torch.full((1,), at, dtype=real.dtype)
    x = (t * real + (1 - t) * fake).requires_grad_()
    (g,) = torch.autograd.grad(of(f(x)), x, create_graph=graph)
    n = (norm or (lambda g: g.flatten(1).norm(dim=1)))(g)
    return (end or (lambda n: (n - 1).square().mean()))(n)


def clip(K, widths):
    pairs = [math.sqrt(m * n) for m, n in itertools.pairwise(widths)]
    return (K / math.prod(pairs)) ** (1 / len(pairs))


def away(points, x):
    return (x[:, None] - points[None]).norm(dim=2)


def gap(x, p, q):
    return (p - q).cumsum(0)[:-1], x.diff()


RIGHT = {
    "6.1": lambda a, b: (a.sort().values - b.sort().values).abs().mean(),
    "6.2": lambda r, f: (f.mean() - r.mean(), -f.mean()),
    "6.3": penalty,
    "6.4": lambda x, p, q: (gap(x, p, q)[0].abs() * x.diff()).sum(),
    "6.5": clip,
    "6.6": lambda p, v, x: ((v - away(p, x)).max(1).values, (v + away(p, x)).min(1).values),
}


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_right_answer_passes(exercise):
    verdict = run(exercise, RIGHT[exercise])
    assert verdict.passed, verdict
    assert verdict.message.startswith("right")


def lerp_penalty(f, real, fake):
    eps = torch.rand(len(real), dtype=real.dtype).view(-1, *[1] * (real.ndim - 1))
    x = torch.lerp(real, fake, eps).requires_grad_()
    g = torch.autograd.grad(f(x), x, torch.ones(len(x), dtype=x.dtype), create_graph=True)[0]
    return ((g.square().flatten(1).sum(1).sqrt() - 1) ** 2).mean()


ALSO_RIGHT = [
    ("6.1", lambda a, b: float(sum(abs(x - y) for x, y in zip(sorted(a), sorted(b))) / len(a))),
    ("6.2", lambda r, f: [-(r.mean() - f.mean()), f.neg().mean()]),
    ("6.3", lerp_penalty),
    ("6.4", lambda x, p, q: torch.trapezoid((p - q).cumsum(0).abs()[:-1].repeat_interleave(2),
                                            x.repeat_interleave(2)[1:-1])),
    ("6.5", lambda K, w: math.exp(math.log(clip(K**2, w)) - math.log(K) / (len(w) - 1))),
]  # fmt: skip


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


@pytest.mark.parametrize("exercise", ["6.2", "6.6"])
def test_a_pair_of_dots_is_not_started(exercise):
    assert run(exercise, lambda *a: (..., ...)).status == "not started"


def s(t):
    return t.sort().values


def P(**options):
    return lambda f, real, fake: penalty(f, real, fake, **options)


WRONG = [
    # the exercise, a usual wrong answer, what the diagnosis must say
    ("6.1", lambda a, b: (a - b).abs().mean(), "sort both first"),
    ("6.1", lambda a, b: (s(a) - s(b)).abs().sum(), "a sum"),
    ("6.1", lambda a, b: (a.mean() - b.mean()).abs(), "*means*"),
    ("6.1", lambda a, b: (s(a) - s(b)).mean(), "cancel"),
    ("6.1", lambda a, b: (s(a) - s(b)).square().mean(), "first power"),
    ("6.1", lambda a, b: (s(a) - s(b)).square().mean().sqrt(), "Wasserstein-2"),
    ("6.1", lambda a, b: (s(a) - s(b).flip(0)).abs().mean(), "dearest"),
    ("6.1", lambda a, b: (s(a) - s(b)).abs().max(), "largest move"),
    ("6.1", lambda a, b: (a[:, None] - b).abs().mean(), "independent plan"),
    ("6.1", lambda a, b: (s(a) - s(b)).abs(), "one number"),
    ("6.1", lambda a, b: torch.tensor(9.0), "Hint 1"),
    ("6.1", lambda a, b: (a.copy_(s(a)) - b.copy_(s(b))).abs().mean(), "changes its inputs"),
    ("6.2", lambda r, f: (r.mean() - f.mean(), -f.mean()), "*maximises*"),
    ("6.2", lambda r, f: (f.sum() - r.sum(), -f.mean()), "sums over"),
    ("6.2", lambda r, f: ((f.sum() - r.sum()) / (len(r) + len(f)), -f.mean()), "joined"),
    ("6.2", lambda r, f: ((f.mean() - r.mean()) / 2, -f.mean()), "half"),
    ("6.2", lambda r, f: (f.mean() + r.mean(), -f.mean()), "one sign"),
    ("6.2", lambda r, f: (-f.mean(), -f.mean()), "real samples is missing"),
    ("6.2", lambda r, f: (-r.mean(), -f.mean()), "generated samples is missing"),
    ("6.2", lambda r, f: (f.sigmoid().mean() - r.sigmoid().mean(), -f.mean()), "no sigmoid"),
    ("6.2", lambda r, f: (softplus(-r).mean() + softplus(f).mean(), -f.mean()), "cross-entropy"),
    ("6.2", lambda r, f: ((f.mean() - r.mean()).abs(), -f.mean()), "*maximises*"),
    ("6.2", lambda r, f: (torch.tensor(7.0), -f.mean()), "Hint 1"),
    ("6.2", lambda r, f: (f.mean() - r.mean(), f.mean()), "sign of L_G"),
    ("6.2", lambda r, f: (f.mean() - r.mean(), r.mean() - f.mean()), "no term of the real"),
    ("6.2", lambda r, f: (f.mean() - r.mean(), f.mean() - r.mean()), "L_G is not L_D"),
    ("6.2", lambda r, f: (f.mean() - r.mean(), -f.sum()), "a sum"),
    ("6.2", lambda r, f: (f.mean() - r.mean(), softplus(-f).mean()), "non-saturating"),
    ("6.2", lambda r, f: (f.mean() - r.mean(), torch.tensor(7.0)), "your L_G"),
    ("6.2", lambda r, f: f.mean() - r.mean(), "two things"),
    ("6.3", P(norm=lambda g: g.norm(dim=1)), "dim=1 alone"),
    ("6.3", P(norm=lambda g: g.norm(dim=(2, 3))), "height and width"),
    ("6.3", P(norm=lambda g: g.norm()), "whole batch"),
    ("6.3", P(of=lambda a: a.mean()), "B times too small"),
    ("6.3", P(end=lambda n: (n.square() - 1).square().mean()), "squared before"),
    ("6.3", P(end=lambda n: n.square().mean()), "zero at slope 1"),
    ("6.3", P(end=lambda n: (n - 1).mean()), "square is missing"),
    ("6.3", P(end=lambda n: n.mean()), "norm itself"),
    ("6.3", P(end=lambda n: (n - 1).square().sum()), "a sum over"),
    ("6.3", P(end=lambda n: 10 * (n - 1).square().mean()), "λ = 10"),
    ("6.3", P(norm=lambda g: g), "every component"),
    ("6.3", P(end=lambda n: (n - 5).square().mean() + 1), "see Hint 3"),
    ("6.3", P(eps="all"), "one ε a pair"),
    ("6.3", P(eps="rows"), "along the rows"),
    ("6.3", P(eps="columns"), "along the columns"),
    ("6.3", P(draw=lambda t: t**2), "not uniform"),
    ("6.3", P(draw=lambda t: t.round()), "not uniform"),
    ("6.3", P(draw=lambda t: (t + torch.rand_like(t)) / 2), "not uniform"),
    ("6.3", P(draw=lambda t: t / 2), "half of yours lie below 0.2"),
    ("6.3", P(eps="one"), "for all pairs"),
    ("6.3", P(at=1.0), "at the real samples"),
    ("6.3", P(at=0.0), "at the generated samples"),
    ("6.3", P(at=1.5), "outside the line"),
    ("6.3", P(graph=False), "create_graph=True"),
    ("6.3", lambda *a: penalty(*a).item(), "create_graph=True"),
    ("6.3", P(end=lambda n: (n - 1).clamp(min=0).square().mean()), "one-sided"),
    ("6.3", P(end=lambda n: (n.mean() - 1).square()), "*before* the mean"),
    ("6.3", P(end=lambda n: (n - 1).square()), "one number"),
    ("6.3", lambda f, r, g: penalty(f, r, g, norm=lambda v: v.norm(dim=(1, 2, 3))), "your code"),
    ("6.4", lambda x, p, q: (p - q).abs().sum(), "*cumulative*"),
    ("6.4", lambda x, p, q: (p - q).abs().sum() / 2, "total variation"),
    ("6.4", lambda x, p, q: (p - q).cumsum(0).abs().sum(), "its width"),
    ("6.4", lambda x, p, q: (p - q).cumsum(0).abs().mean(), "its width"),
    ("6.4", lambda x, p, q: (gap(x, p, q)[0] * x.diff()).sum().abs(), "cancel"),
    ("6.4", lambda x, p, q: ((p - q).cumsum(0)[1:].abs() * x.diff()).sum(), "shifted by one"),
    ("6.4", lambda x, p, q: ((p - q)[:-1].abs() * x.diff()).sum(), "cumsum"),
    ("6.4", lambda x, p, q: (gap(x, p, q)[0].square() * x.diff()).sum(), "first power"),
    ("6.4", lambda x, p, q: gap(x, p, q)[0].abs().sum() * x.diff().mean(), "mean gap"),
    ("6.4", lambda x, p, q: torch.tensor(0.1), "Hint 1"),
    ("6.4", lambda x, p, q: (gap(x, p, q)[0].abs() * x.diff()).sum().clamp(max=5), "7 apart"),
    ("6.5", lambda K, w: clip(K, w) ** (len(w) - 1), "L-th root"),
    ("6.5", lambda K, w: clip(K, w) ** ((len(w) - 1) / len(w)), "one matrix less"),
    ("6.5", lambda K, w: clip(K, w) ** ((len(w) - 1) / (len(w) - 2)), "every matrix counts"),
    ("6.5", lambda K, w: clip(K, w) ** 2 / K ** (1 / (len(w) - 1)), "*root*"),
    ("6.5", lambda K, w: (K / math.prod(w)) ** (1 / (len(w) - 1)), "two matrices"),
    ("6.5", lambda K, w: (K / math.prod(w) ** 0.5) ** (1 / (len(w) - 1)), "neighbours"),
    ("6.5", lambda K, w: clip(K ** (len(w) - 1), w), "not each layer"),
    ("6.5", lambda K, w: clip(1, w), "does not enter"),
    ("6.5", lambda K, w: 1 / clip(K, w), "upside down"),
    ("6.5", lambda K, w: 0.01, "Hint 2"),
    ("6.6", lambda p, v, x: RIGHT["6.6"](p, v, x)[::-1], "exchanged"),
    (
        "6.6",
        lambda p, v, x: ((v - away(p, x)).min(1).values, (v + away(p, x)).max(1).values),
        "at once",
    ),
    (
        "6.6",
        lambda p, v, x: (
            (v - away(p, x) ** 2).max(1).values,
            (v + away(p, x) ** 2).min(1).values,
        ),
        "squared",
    ),
    (
        "6.6",
        lambda p, v, x: (v[0] + 0 * x[:, 0], (v + (x[:, None] - p).abs().sum(2)).min(1).values),
        "Euclidean",
    ),
    (
        "6.6",
        lambda p, v, x: (v[0] + 0 * x[:, 0], v[away(p, x).argmin(1)] + away(p, x).min(1).values),
        "nearest",
    ),
    ("6.6", lambda p, v, x: (v[0] + 0 * x[:, 0], v.min() + away(p, x).min(1).values), "sum of the"),
    ("6.6", lambda p, v, x: (v[0] + 0 * x[:, 0], (away(p, x) - v).min(1).values), "sign"),
    (
        "6.6",
        lambda p, v, x: (v[0] + 0 * x[:, 0], (v + away(p, x)).min(1).values),
        "the largest is right",
    ),
    ("6.6", lambda p, v, x: (x[:, 0], x[:, 1]), "Hint 2"),
    ("6.6", lambda p, v, x: (v, v), "shape"),
    ("6.6", lambda p, v, x: x[:, 0], "two things"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_a_usual_mistake_is_named(exercise, answer, words):
    torch.manual_seed(0)
    verdict = run(exercise, answer)
    assert verdict.status == "failed", verdict
    assert words in verdict.message
    assert "\n" not in verdict.message
    assert len(verdict.message) < 220


def test_the_penalty_check_does_not_depend_on_luck():
    for seed in range(20):
        torch.manual_seed(seed)
        assert run("6.3", penalty).passed


SCRIPT = Path(__file__).resolve().parents[1] / "book" / "static" / "live" / "transport.js"
PROGRAM = """
require(process.argv[1]);
const live = globalThis.transportLive, at = (theta, split, width) => ({ theta, split, width });
const far = at(3, 0, 0.2), steps = { js: { ...far }, w1: { ...far } };
for (const name of ["js", "w1"]) live.descend(steps[name], name, 20);
const { js, w1, f, p, q } = live.measure(at(1, 0.8, 0.3));
let gain = 0, steepest = 0;
for (let i = 1; i < f.length; i++) {
  gain += 0.01 * f[i] * (p[i] - q[i]);
  steepest = Math.max(steepest, Math.abs(f[i] - f[i - 1]) / 0.01);
}
console.log(JSON.stringify({ js: steps.js.theta, w1: steps.w1.theta, gain, steepest, exact: w1,
  shifts: [0, 0.25, 1, 3].map((t) => live.measure(at(t, 0, 0.2)).w1),
  far: live.measure(far).js, near: live.measure(at(0, 0, 0.2)).js,
  grains: live.grains(p).length }));
"""


@needs_node
def test_the_live_figure_computes_the_chapter():
    live = played(PROGRAM, SCRIPT)
    assert live["shifts"] == pytest.approx([0, 0.25, 1, 3], abs=1e-6)
    assert live["far"] == pytest.approx(math.log(2), abs=1e-6)
    assert live["near"] == pytest.approx(0, abs=1e-9)
    assert live["steepest"] <= 1 + 1e-9
    assert live["gain"] == pytest.approx(live["exact"], abs=0.01)  # the dual is tight
    assert live["grains"] == 21
    assert live["js"] == pytest.approx(3, abs=1e-3)  # flat: it goes nowhere
    assert live["w1"] == pytest.approx(1, abs=1e-3)  # 20 steps of 0.1


def test_the_live_figure_asks_nobody():
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text) < 20_000
    assert not any(word in text for word in ("http", "fetch(", "import(", "XMLHttp"))
    assert SCRIPT.with_suffix(".png").stat().st_size < 40_000
