"""Checks of chapter 3, a first GAN: each plays the reader's code and names the usual slips."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import softplus

from ganlab.data import toy
from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import number, parts, points
from ganlab.lab.checks.words import Slips, close, equal, need, refuse, when
from ganlab.metrics import mode_coverage
from ganlab.models.mlp import Discriminator, Generator

#: Exercise 3.5: modes and share of good samples to reach, and real points that may be shown.
GRID_MODES, GRID_GOOD, GRID_BUDGET = 20, 0.05, 256_000


def _pair(seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """Small networks for points, apart from the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator(2, 2, width=16, depth=2), Discriminator(2, width=16, depth=2)


def _sgd(network: nn.Module) -> torch.optim.Optimizer:
    # Plain descent: the change of the weights *is* the gradient, sizes included.
    return torch.optim.SGD(network.parameters(), lr=0.1)


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def _same(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a, b, rtol=1e-4, atol=1e-6))


def _moved(
    G: nn.Module, D: nn.Module, z: Tensor, loss: Callable[[Tensor], Tensor] = lambda a: softplus(-a)
) -> Tensor:
    """Weights of a copy of G after one step on this loss of D's logits."""
    twin = copy.deepcopy(G)
    optimizer = _sgd(twin)
    optimizer.zero_grad()
    loss(copy.deepcopy(D)(twin(z))).mean().backward()
    optimizer.step()
    return _weights(twin)


@check("3.1", "right: G moves, and D keeps neither change nor gradient")
def g_step(answer: Answer) -> None:
    """`answer(G, D, opt_g, z)`: one non-saturating step that leaves nothing in D."""
    z = torch.randn(32, 2, generator=torch.Generator().manual_seed(5))
    start, judge = _pair()
    G, D = copy.deepcopy(start), copy.deepcopy(judge)
    optimizer = _sgd(G)
    found = answer(G, D, optimizer, z)
    if found is ...:
        raise NotImplementedError
    after, step = _weights(G), functools.partial(_moved, start, judge, z)
    slips: Slips = {
        when(not _same(_weights(D), _weights(judge))): "the discriminator's weights have changed:"
        " only opt_g may step",
        when(_same(after, _weights(start))): "the generator has not moved: is opt_g.step() there,"
        " and does the graph reach from the loss to G (no detach, no no_grad)? See Hint 3",
        when(_same(after, step(softplus))): "the generator moves towards *generated*: it wants its"
        " samples to be called real, so its label is 1",
        when(_same(after, step(lambda a: -softplus(a)))): "this is the saturating loss, log(1 - D):"
        " take -log D, label 1",
        when(_same(after, step(lambda a: len(z) * softplus(-a)))): "a sum over the batch: the loss"
        " is a mean",
        when(not _same(after, step())): "the generator moves, but not along the gradient of -log"
        " D(G(z))",
    }
    refuse(slips)
    told, right = number(found, "what you return"), softplus(-judge(start(z))).mean()
    slips = {...: "the step is right, but the loss you return is {found:.4f}, not {right:.4f}"}
    equal(told, right, slips, 1e-4)
    frozen = not all(p.requires_grad for p in D.parameters())
    again = _moved(G, judge, z)
    slips = {
        when(frozen): "the discriminator is still frozen afterwards: it would never learn again",
        when(any(p.grad is not None and p.grad.abs().sum() > 0 for p in D.parameters())): "a"
        " gradient was left in the discriminator's weights: freeze it, see Hint 2",
        # A second call: what the first left in G must be cleared, not added.
        when(lambda: answer(G, D, optimizer, z) is ... or not _same(_weights(G), again)): "right"
        " once, wrong when called twice: gradients of the first call are added to those of the"
        " second; where is zero_grad?",
    }
    refuse(slips)


def _round(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor, cut: bool, before: bool,
           label: float) -> None:  # fmt: skip
    """One round with the three slips of Exercise 3.2 mended or not."""
    fake = G(z).detach() if cut else G(z)
    a_real, a_fake = D(x), D(fake)
    loss = bce(a_real, torch.ones_like(a_real)) + bce(a_fake, torch.zeros_like(a_fake))
    if before:
        opt_d.zero_grad()
    loss.backward()
    opt_d.step()
    if not before:
        opt_d.zero_grad()
    a_fake = D(G(z))
    loss = bce(a_fake, torch.full_like(a_fake, label))
    if before:
        opt_g.zero_grad()
    loss.backward()
    opt_g.step()
    if not before:
        opt_g.zero_grad()


def _after(play: Callable[..., Any], rounds: int = 3) -> tuple[Tensor, Tensor, bool]:
    """Weights of G and D after some rounds, and whether D's first step reached G."""
    G, D = _pair()
    opt_g, opt_d = _sgd(G), _sgd(D)
    reached: list[bool] = []
    step = opt_d.step

    def watched(*args: Any, **kwargs: Any) -> Any:
        reached.append(any(p.grad is not None for p in G.parameters()))
        return step(*args, **kwargs)

    opt_d.step = watched  # type: ignore[method-assign]
    draw = torch.Generator().manual_seed(3)
    for _ in range(rounds):
        x, z = torch.randn(2, 32, 2, generator=draw)
        if play(G, D, opt_g, opt_d, x + 1, z) is ...:
            raise NotImplementedError
    return _weights(G), _weights(D), bool(reached) and reached[0]


@check("3.2")
def mended_round(answer: Answer) -> str:
    """`answer(G, D, opt_g, opt_d, x, z)` plays rounds like a right loop."""
    g, d, reached = _after(answer)

    def matches(cut: bool, before: bool, label: float) -> bool:
        play = functools.partial(_round, cut=cut, before=before, label=label)
        ref_g, ref_d, _ = _after(play)
        return _same(g, ref_g) and _same(d, ref_d)

    if matches(True, True, 1.0):
        if reached:
            return "right; D's loss still runs back through G, which costs time and nothing else"
        return "right: after several rounds the weights are those of a right loop"
    start_g, start_d = map(_weights, _pair())
    kinds = itertools.product((True, False), (True, False), (1.0, 0.0))
    cut, before, label = next((kind for kind in kinds if matches(*kind)), (None, None, None))
    others = "" if before else "; and there are two slips more"
    slips = {
        when(_same(d, start_d)): "the discriminator does not move at all: is opt_d.step() there?",
        when(_same(g, start_g)): "the generator does not move at all: the graph must *not* be cut"
        " in its step",
        when(label is None): "the weights after three rounds are not those of a right loop, nor of"
        " any subset of the three repairs: is something else changed, such as the order of the"
        " steps?",
        when(label == 0 and (before or not cut)): "the generator still asks for the label"
        f" *generated*: it helps the discriminator{others}",
        when(label == 0): "two slips are left: the generator's label, and what its backward leaves"
        " in the discriminator's gradients",
        when(bool(cut)): "G is served, but its backward leaves a gradient in D that"
        " is added to D's own in the next round: clear gradients *before* backward",
    }
    refuse(slips)
    raise Fail("the label is mended, but gradients still cross: the discriminator's loss leaves"
               " one in G, and G's loss one in D; see Hint 1")  # fmt: skip


@check("3.3")
def count_modes(answer: Answer) -> str:
    """`answer(samples, centers, std)` is (found, good) by the protocol."""
    centers = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    std = 0.5
    offsets = [(0, 0.1), (0, 0.4), (0, 0.9), (0, 1.3), (1, 1.2), (1, 1.9), (2, 1.8), (3, 1.35)]
    samples = torch.stack([centers[k] + torch.tensor([r, 0.0]) for k, r in offsets])
    samples[3] = torch.tensor([1.1, 1.1])  # distance 1.56 although each coordinate is within 1.5
    what = "return two things: the number of modes found, and the share of good samples"

    def score(*case: Any) -> tuple[float, float]:
        reply = parts(answer(*case), 2, what)
        return number(reply[0], "found"), number(reply[1], "good")

    def at(radius: float) -> Tensor:
        other = mode_coverage(samples, centers, std, radius)
        return torch.tensor([other.found, other.good], dtype=torch.float64)

    right = mode_coverage(samples, centers, std)  # 3 found, 5 of 8 good
    found, good = pair = score(samples.clone(), centers.clone(), std)
    box = ((samples[:, None] - centers).abs() <= 3 * std).all(2).any(1).double().mean()
    mixed = "a squared distance is compared with an unsquared radius, or the other way"
    slips = {
        (right.found, right.good * 100): "good is a share in [0, 1], not in per cent",
        (right.found, right.good * 8): "good is the *number* of good samples: divide by all of"
        " them",
        (right.good, right.found): "the two are in the wrong order: (found, good)",
        at(1): "the radius is three standard deviations, yours is 1",
        at(2): "the radius is three standard deviations, yours is 2",
        at(3 / std): "the radius is 3·std; yours is 3: where is std?",
        at(math.sqrt(3 / std)): mixed,
        at(9 * std): mixed,
        (4, right.good): "bad samples find modes too in your count: only good ones may (Hint 2)",
        when(close(good, box, 1e-6)): "you test each coordinate by itself: that is a square, not a"
        " disc",
        ...: f"of 8 samples around 4 modes you find {found:g} modes and {good:.3f} good; right are"
        f" {right.found} and {right.good:.3f}",
    }
    equal(pair, (right.found, right.good), slips, 1e-6)
    nothing = score(centers + 1.95, centers, 0.01)
    need(nothing == (0, 0), "where no sample is good the answer is (0, 0)")
    return f"right: {right.found} of 4 modes, {right.good:.3f} good on the test points"


@check("3.4", "right, and finite at large logits")
def smooth_d_loss(answer: Answer) -> None:
    """`answer(a_real, a_fake, target)`: BCE with soft labels on real samples only."""
    (real, fake), t = points([0.5, -1.0, 2.0], [-0.3, 1.2, 0.4, -2.0, 0.9]), 0.8

    def on(a: Tensor, target: float) -> Tensor:
        return target * softplus(-a) + (1 - target) * softplus(a)

    def both(real_target: float, fake_target: float) -> Tensor:
        return on(real, real_target).mean() + on(fake, fake_target).mean()

    right = both(t, 0)
    slips = {
        both(t, 1 - t): "this smooths both sides: the label of generated samples stays 0 (chapter"
        " 2 says why)",
        both(1, 1 - t): "this smooths the generated side; it is the real one that gets the target",
        both(1, 0): "the target is not used",
        both(1 - t, 0): "target is the label itself, not what is taken off it",
        both(t, 1): "generated samples carry the label 1",
        on(fake, t).mean() + on(real, 0).mean(): "real and generated are exchanged",
        t * softplus(-real).mean() + softplus(fake).mean(): "this scales the real term: a soft"
        " label also has the part (1 - target)·softplus(a)",
        right / 2: "half of it: the loss is the *sum* of two means",
        torch.cat([on(real, t), on(fake, 0)]).mean(): "one mean over both batches joined weighs"
        " the sides by their sizes",
        ...: "your loss is {found:.4f} where {right:.4f} is right: see Hint 2",
    }
    equal(number(answer(real, fake, t), "the loss"), right, slips)
    far = number(answer(-300 + 0 * real, 300 + 0 * fake, t), "the loss")
    need(math.isfinite(far), "right, but not finite at logits of ±300: compute from logits")


@check("3.5")
def train_grid(answer: Answer) -> str:
    """`answer` is (generator, points shown): modes and precision on grid25."""
    what = "return two things: the generator, and the number of real points shown"
    G, shown = parts(answer, 2, what)
    shown = number(shown, "the number of points shown")
    slips = {
        when(torch.is_tensor(G) or not hasattr(G, "sample_latent")): "the first thing must be the"
        " generator itself, not its samples: it needs sample_latent, as"
        " ganlab.models.mlp.Generator has",
        when(not shown > 0): "the number of points shown must be positive: rounds times batch size",
    }
    refuse(slips)
    grid, training = toy.make("grid25"), G.training
    G.eval()
    with torch.no_grad():
        samples = G(G.sample_latent(2500, torch.Generator().manual_seed(2024)))
    G.train(training)
    shape = tuple(samples.shape)
    need(shape == (2500, 2), f"2,500 latent vectors gave samples of shape {shape}")
    finite = samples.isfinite().all()
    need(finite, "some samples are not finite: the training has blown up, try smaller steps")
    assert grid.std is not None  # a mixture, not a curve
    score = mode_coverage(samples, grid.centers, grid.std)
    advice = "many wander between modes" if score.good < GRID_GOOD else "some modes are lost"
    slips = {
        when(samples.std(0).max() < 1e-3): "all samples are one point: the generator has collapsed",
        when(shown > GRID_BUDGET): f"{score}, but {shown:,.0f} points shown: the budget is"
        f" {GRID_BUDGET:,}",
        when(score.found < GRID_MODES): f"{score}: at least {GRID_MODES} modes are asked for;"
        f" {advice}, see Hint 2",
        when(score.good < GRID_GOOD): f"{score}: the modes are there, but {GRID_GOOD:.0%} must be"
        " good; see Hint 3",
    }
    refuse(slips)
    return f"{score}, with {shown:,.0f} real points shown"
