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
from ganlab.lab.checks.read import draw, number, numbers, parts, pick, points, rng, seeded, vary
from ganlab.lab.checks.words import Slips, close, equal, need, of_batches, refuse, when
from ganlab.metrics import mode_coverage
from ganlab.models.mlp import Discriminator, Generator

#: Exercise 3.5: modes and share of good samples to reach, and real points that may be shown.
GRID_MODES, GRID_GOOD, GRID_BUDGET = 20, 0.05, 256_000


def _pair() -> tuple[nn.Module, nn.Module]:
    """Small networks for points, apart from the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(0))
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


@check("3.1", "right: G moves, and D gets neither change nor gradient")
def g_step(answer: Answer) -> None:
    """`answer(G, D, opt_g, z)`: one non-saturating step that leaves nothing new in D."""
    z = draw(5, 32, 2, dtype=torch.float32)
    start, judge = _pair()
    G, D = copy.deepcopy(start), copy.deepcopy(judge)
    for p in D.parameters():
        p.grad = torch.full_like(p, 0.5)  # of an earlier step of D: it may stay or go
    optimizer = _sgd(G)
    found = answer(G, D, optimizer, z)
    step, after = functools.partial(_moved, start, judge, z), _weights(G)

    def went(way: Tensor) -> when:
        return when(_same(after, way))

    slips: Slips = {
        when(not _same(_weights(D), _weights(judge))): "the discriminator's weights have changed:"
        " only opt_g may step",
        went(_weights(start)): "the generator has not moved: is opt_g.step() there, and does the"
        " graph reach from the loss to G (no detach, no no_grad)? See Hint 3",
        went(step(softplus)): "the generator moves towards *generated*: it wants its samples to be"
        " called real, so its label is 1",
        went(step(lambda a: -softplus(a))): "the saturating loss, log(1 - D): take -log D, label 1",
        went(step(lambda a: len(z) * softplus(-a))): "a sum over the batch: the loss is a mean",
        when(not went(step())): "the generator moves, but not along the gradient of -log D(G(z))",
    }
    refuse(slips)
    slips = {...: "the step is right, but the loss you return is {found:.4f}, not {right:.4f}"}
    equal(found, softplus(-judge(start(z))).mean(), "what you return", slips, within=1e-4)
    frozen, again = not all(p.requires_grad for p in D.parameters()), _moved(G, judge, z)
    need(not frozen, "the discriminator is still frozen afterwards: it would never learn again")
    left = [p.grad for p in D.parameters() if p.grad is not None]
    clean = all(bool((g == 0).all()) or bool((g == 0.5).all()) for g in left)
    need(clean, "a gradient was left in the discriminator's weights: freeze it, see Hint 2")
    answer(G, D, optimizer, z)  # what the first call left in G must be cleared, not added
    need(_same(_weights(G), again), "right once, wrong when called twice: gradients of the first"
         " call are added to those of the second; where is zero_grad?")  # fmt: skip


def _round(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor, cut: bool, before: bool,
           label: float) -> None:  # fmt: skip
    """One round with the three slips of Exercise 3.2 mended or not."""

    def step(optimizer: Any, *sides: tuple[Tensor, float]) -> None:
        losses = [bce(a, torch.full_like(a, target)) for a, target in sides]
        if before:
            optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        if not before:
            optimizer.zero_grad()

    step(opt_d, (D(x), 1.0), (D(G(z).detach() if cut else G(z)), 0.0))
    step(opt_g, (D(G(z)), label))


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
    source = rng(3)
    for _ in range(rounds):
        x, z = draw(source, 2, 32, 2, dtype=torch.float32)
        play(G, D, opt_g, opt_d, x + 1, z)
    return _weights(G), _weights(D), bool(reached) and reached[0]


@check("3.2")
def mended_round(answer: Answer) -> str:
    """`answer(G, D, opt_g, opt_d, x, z)` plays rounds like a right loop."""
    g, d, reached = _after(answer)

    def matches(cut: bool, before: bool, label: float) -> bool:
        ref_g, ref_d, _ = _after(functools.partial(_round, cut=cut, before=before, label=label))
        return _same(g, ref_g) and _same(d, ref_d)

    kinds = itertools.product((True, False), (True, False), (1.0, 0.0))
    cut, before, label = kind = next((k for k in kinds if matches(*k)), (None, None, None))
    if kind == (True, True, 1.0):
        if reached:
            return "right; D's loss still runs back through G, which costs time and nothing else"
        return "right: after several rounds the weights are those of a right loop"
    start_g, start_d = map(_weights, _pair())
    others = "" if before else "; and there are two slips more"
    slips = {
        when(_same(d, start_d)): "the discriminator does not move at all: is opt_d.step() there?",
        when(_same(g, start_g)): "the generator does not move at all: is its graph cut?",
        when(label is None): "the weights after three rounds are not those of a right loop, nor of"
        " any subset of the three repairs: is something else changed, such as the order of the"
        " steps?",
        when(label == 0 and (before or not cut)): "the generator still asks for the label"
        f" *generated*: it helps the discriminator{others}",
        when(label == 0): "two slips are left: the generator's label, and what its backward leaves"
        " in the discriminator's gradients",
        when(bool(cut)): "G is served, but its backward leaves a gradient in D that is added to D's"
        " own in the next round: clear gradients *before* backward",
    }
    refuse(slips)
    raise Fail("the label is mended, but gradients still cross: the discriminator's loss leaves"
               " one in G, and G's loss one in D; see Hint 1")  # fmt: skip


@check("3.3")
def count_modes(answer: Answer) -> str:
    """`answer(samples, centers, std)` is (found, good), where every slip counts differently."""
    centers, std = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]]), 0.5
    offsets = [(0, 0.1), (0, 0.2), (0, 0.4), (0, 0.9), (0, 1.3), (1, 1.2), (1, 1.9), (2, 1.8),
               (3, 1.35), (1, 2.6), (3, 3.5)]  # fmt: skip
    samples = torch.stack([centers[k] + torch.tensor([r, 0.0]) for k, r in offsets])
    samples[4] = torch.tensor([1.1, 1.1])  # distance 1.56 although each coordinate is within 1.5
    samples = torch.cat([samples, samples[: pick(34, 0, 7)]])  # some twice, or none
    names = "the number of modes found", "the share of good samples"

    def at(radius: float) -> tuple[float, float]:
        other = mode_coverage(samples, centers, std, radius)
        return other.found, other.good

    right = at(3)
    pair = found, good = numbers(answer(samples.clone(), centers.clone(), std), *names)
    box = ((samples[:, None] - centers).abs() <= 3 * std).all(2).any(1).double().mean()
    mixed = "a squared distance is compared with an unsquared radius, or the other way"
    slips = {
        right[::-1]: "the two numbers are in the wrong order: modes found first",
        when(close(good, 100 * right[1])): "good is a share in [0, 1], not in percent",
        when(
            close(good, right[1] * len(samples))
        ): f"{good:g} is the number of good ones: divide by the number of samples",
        when(close(good, 1)): "you call every sample good; it must lie within 3·std of a centre",
        at(1): "the protocol says three standard deviations; yours is 1",
        at(2): "the protocol says three standard deviations; yours is 2",
        at(3 / std): "the radius is 3·std; yours is 3: where is std?",
        at(math.sqrt(3 / std)): mixed,
        at(9 * std): mixed,
        (4, right[1]): "bad samples find modes too in your count: a mode needs a *good* sample",
        when(close(good, box)): "you test each coordinate by itself: that is a square, not a disc",
        ...: f"of {len(samples)} samples around 4 modes you find {found:g} modes and {good:.3f}"
        f" good; right are {right[0]} and {right[1]:.3f} (Hint 1)",
    }
    equal(pair, right, "the pair", slips)
    nothing = numbers(answer(centers + 1.95, centers, 0.01), *names)
    need(nothing == [0, 0], "where no sample is good the answer is (0, 0)")
    count, n = right[1] * len(samples), len(samples)
    many = f"{count:.0f} of {n} samples good on the test points"
    return f"right: {right[0]:g} of 4 modes found and {many}"


@check("3.4", "right, and finite at large logits")
def smooth_d_loss(answer: Answer) -> None:
    """`answer(a_real, a_fake, target)`: BCE with soft labels on real samples only."""
    real, fake = points(*vary([0.5, -1.0, 2.0], [-0.3, 1.2, 0.4, -2.0, 0.9]))
    t = vary(0.8)

    def on(a: Tensor, target: float) -> Tensor:
        return target * softplus(-a) + (1 - target) * softplus(a)

    def both(real_target: float, fake_target: float) -> Tensor:
        return on(real, real_target).mean() + on(fake, fake_target).mean()

    slips = {
        both(t, 1 - t): "this smooths both sides: generated ones keep the label 0 (chapter 2: why)",
        both(1, 1 - t): "this smooths the generated side; it is the real one that gets the target",
        both(1, 0): "the target is not used",
        both(1 - t, 0): "target is the label itself, not what is taken off it",
        both(t, 1): "generated samples carry the label 1",
        on(fake, t).mean() + on(real, 0).mean(): "real and generated are exchanged",
        t * softplus(-real).mean() + softplus(fake).mean(): "this scales the real term: a soft"
        " label also has the part (1 - target)·softplus(a)",
        **of_batches(on(real, t), on(fake, 0)),
    }
    equal(answer(real, fake, t), both(t, 0), "the loss", slips, "Hint 2")
    far = number(answer(-300 + 0 * real, 300 + 0 * fake, t), "the loss")
    need(math.isfinite(far), "right, but not finite at logits of ±300: compute from logits")


@check("3.5")
def train_grid(answer: Answer) -> str:
    """`answer` is (generator, points shown): modes and precision on grid25."""
    G, shown = parts(answer, "the generator", "the number of real points shown")
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
