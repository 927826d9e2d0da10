"""Checks of chapter 3, a first GAN: each plays the reader's code and names the usual slips."""

from __future__ import annotations

import copy
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
from ganlab.lab.checks.read import number
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


@check("3.1")
def g_step(answer: Answer) -> str:
    """`answer(G, D, opt_g, z)`: one non-saturating step that leaves nothing in D."""
    z = torch.randn(32, 2, generator=torch.Generator().manual_seed(5))
    start, judge = _pair()
    moved: dict[str, Tensor] = {}
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "right": lambda a: softplus(-a).mean(),
        "saturating": lambda a: -softplus(a).mean(),
        "label 0": lambda a: softplus(a).mean(),
        "sum": lambda a: softplus(-a).sum(),
    }
    for name, loss in losses.items():
        twin = copy.deepcopy(start)
        optimizer = _sgd(twin)
        loss(judge(twin(z))).backward()
        optimizer.step()
        moved[name] = _weights(twin)
    judge.zero_grad(set_to_none=True)

    G, D = copy.deepcopy(start), copy.deepcopy(judge)
    optimizer = _sgd(G)
    found = answer(G, D, optimizer, z)
    if found is ...:
        raise NotImplementedError
    if not _same(_weights(D), _weights(judge)):
        raise Fail("the discriminator's weights have changed: only opt_g may step")
    after = _weights(G)
    if _same(after, _weights(start)):
        raise Fail("the generator has not moved: is opt_g.step() there, and does the graph reach"
                   " from the loss to G (no detach, no no_grad)? See Hint 3")  # fmt: skip
    if not _same(after, moved["right"]):
        if _same(after, moved["label 0"]):
            raise Fail("the generator moves towards *generated*: it wants its samples to be called"
                       " real, so its label is 1")  # fmt: skip
        if _same(after, moved["saturating"]):
            raise Fail("this is the saturating loss, log(1 - D): take -log D, label 1")
        if _same(after, moved["sum"]):
            raise Fail("a sum over the batch: the loss is a mean")
        raise Fail("the generator moves, but not along the gradient of -log D(G(z))")
    expected = softplus(-judge(start(z))).mean().item()
    told = number(found, "what you return")
    if not math.isclose(told, expected, rel_tol=1e-4):
        raise Fail(f"the step is right, but the loss you return is {told:.4f}, not {expected:.4f}")

    for p in D.parameters():
        if not p.requires_grad:
            raise Fail("the discriminator is still frozen afterwards: it would never learn again")
    if any(p.grad is not None and p.grad.abs().sum() > 0 for p in D.parameters()):
        raise Fail("a gradient was left in the discriminator's weights: freeze it, see Hint 2")
    # A second call: what the first left in G must be cleared, not added.
    ref = copy.deepcopy(G)
    ref_optimizer = _sgd(ref)
    ref_optimizer.zero_grad()
    softplus(-judge(ref(z))).mean().backward()
    ref_optimizer.step()
    answer(G, D, optimizer, z)
    if not _same(_weights(G), _weights(ref)):
        raise Fail("right once, wrong when called twice: gradients of the first call are added to"
                   " those of the second; where is zero_grad?")  # fmt: skip
    return "right: G moves, and D keeps neither change nor gradient"


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
        def play(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor) -> None:
            _round(G, D, opt_g, opt_d, x, z, cut, before, label)

        ref_g, ref_d, _ = _after(play)
        return _same(g, ref_g) and _same(d, ref_d)

    if matches(True, True, 1.0):
        if reached:
            return "right; D's loss still runs back through G, which costs time and nothing else"
        return "right: after several rounds the weights are those of a right loop"
    start_g, start_d = map(_weights, _pair())
    if _same(d, start_d):
        raise Fail("the discriminator does not move at all: is opt_d.step() there?")
    if _same(g, start_g):
        raise Fail("the generator does not move at all: the graph must *not* be cut in its step")
    for cut, before, label in itertools.product((True, False), (True, False), (1.0, 0.0)):
        if not matches(cut, before, label):
            continue
        if label == 0.0 and (before or not cut):
            others = "" if before else "; and there are two slips more"
            raise Fail("the generator still asks for the label *generated*: it helps the"
                       f" discriminator{others}")  # fmt: skip
        if label == 0.0:
            raise Fail("two slips are left: the generator's label, and what its backward leaves"
                       " in the discriminator's gradients")  # fmt: skip
        if cut:
            raise Fail("G is served, but its backward leaves a gradient in D that is added to D's"
                       " own in the next round: clear gradients *before* backward")  # fmt: skip
        raise Fail("the label is mended, but gradients still cross: the discriminator's loss"
                   " leaves one in G, and G's loss one in D; see Hint 1")  # fmt: skip
    raise Fail(
        "the weights after three rounds are not those of a right loop, nor of any subset of"
        " the three repairs: is something else changed, such as the order of the steps?"
    )


@check("3.3")
def count_modes(answer: Answer) -> str:
    """`answer(samples, centers, std)` is (found, good) by the protocol."""
    centers = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    std = 0.5
    offsets = [(0, 0.1), (0, 0.4), (0, 0.9), (0, 1.3), (1, 1.2), (1, 1.9), (2, 1.8), (3, 1.35)]
    samples = torch.stack([centers[k] + torch.tensor([r, 0.0]) for k, r in offsets])
    samples[3] = torch.tensor([1.1, 1.1])  # distance 1.56 although each coordinate is within 1.5
    reply = answer(samples.clone(), centers.clone(), std)
    if not isinstance(reply, tuple | list) or len(reply) != 2:
        raise Fail("return two things: the number of modes found, and the share of good samples")
    if any(part is ... for part in reply):
        raise NotImplementedError
    found, good = number(reply[0], "found"), number(reply[1], "good")
    right = mode_coverage(samples, centers, std)  # 3 found, 5 of 8 good

    def at(radius: float) -> tuple[float, float]:
        score = mode_coverage(samples, centers, std, radius)
        return score.found, score.good

    def is_(pair: tuple[float, float]) -> bool:
        return math.isclose(found, pair[0]) and math.isclose(good, pair[1], abs_tol=1e-6)

    if not is_((right.found, right.good)):
        if is_((right.found, right.good * 100)):
            raise Fail("good is a share in [0, 1], not in per cent")
        if is_((right.found, right.good * len(samples))):
            raise Fail("good is the *number* of good samples: divide by all of them")
        if is_((right.good, right.found)):
            raise Fail("the two are in the wrong order: (found, good)")
        for radius in (1.0, 2.0):
            if is_(at(radius)):
                raise Fail(f"the radius is three standard deviations, yours is {radius:.0f}")
        if is_(at(3 / std)):
            raise Fail("the radius is 3·std; yours is 3: where is std?")
        if is_(at(math.sqrt(3 / std))) or is_(at(9 * std)):
            raise Fail("a squared distance is compared with an unsquared radius, or the other way")
        if math.isclose(found, 4) and math.isclose(good, right.good, abs_tol=1e-6):
            raise Fail("bad samples find modes too in your count: only good ones may (Hint 2)")
        box = ((samples[:, None] - centers).abs() <= 3 * std).all(2)
        if math.isclose(good, box.any(1).float().mean().item(), abs_tol=1e-6):
            raise Fail("you test each coordinate by itself: that is a square, not a disc")
        raise Fail(
            f"of 8 samples around 4 modes you find {found:g} modes and {good:.3f} good;"
            f" right are {right.found} and {right.good:.3f}"
        )
    reply = answer(centers + 1.95, centers, 0.01)
    if (number(reply[0], "found"), number(reply[1], "good")) != (0, 0):
        raise Fail("where no sample is good the answer is (0, 0)")
    return f"right: {right.found} of 4 modes, {right.good:.3f} good on the test points"


@check("3.4")
def smooth_d_loss(answer: Answer) -> str:
    """`answer(a_real, a_fake, target)`: BCE with soft labels on real samples only."""
    real = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    fake = torch.tensor([-0.3, 1.2, 0.4, -2.0, 0.9], dtype=torch.float64)
    t = 0.8

    def on(a: Tensor, target: float) -> Tensor:
        return target * softplus(-a) + (1 - target) * softplus(a)

    right = (on(real, t).mean() + on(fake, 0).mean()).item()
    found = number(answer(real, fake, t), "the loss")
    wrong = {
        (on(real, t).mean() + on(fake, 1 - t).mean()).item(): "this smooths both sides: the label"
        " of generated samples stays 0 (chapter 2 says why)",
        (on(real, 1).mean() + on(fake, 1 - t).mean()).item(): "this smooths the generated side;"
        " it is the real one that gets the target",
        (on(real, 1).mean() + on(fake, 0).mean()).item(): "the target is not used",
        (on(real, 1 - t).mean() + on(fake, 0).mean()).item(): "target is the label itself, not"
        " what is taken off it",
        (on(real, t).mean() + on(fake, 1).mean()).item(): "generated samples carry the label 1",
        (on(fake, t).mean() + on(real, 0).mean()).item(): "real and generated are exchanged",
        (t * softplus(-real).mean() + softplus(fake).mean()).item(): "this scales the real term:"
        " a soft label also has the part (1 - target)·softplus(a)",
        right / 2: "half of it: the loss is the *sum* of two means",
        torch.cat([on(real, t), on(fake, 0)]).mean().item(): "one mean over both batches joined"
        " weighs the sides by their sizes",
    }
    if not math.isclose(found, right, rel_tol=1e-5):
        for value, diagnosis in wrong.items():
            if math.isclose(found, value, rel_tol=1e-5):
                raise Fail(diagnosis)
        raise Fail(f"your loss is {found:.4f} where {right:.4f} is right: see Hint 2")
    if not math.isfinite(number(answer(-300 + 0 * real, 300 + 0 * fake, t), "the loss")):
        raise Fail("right, but not finite at logits of ±300: compute from logits")
    return "right, and finite at large logits"


@check("3.5")
def train_grid(answer: Answer) -> str:
    """`answer` is (generator, points shown): modes and precision on grid25."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Fail("return two things: the generator, and the number of real points shown")
    G, shown = answer[0], number(answer[1], "the number of points shown")
    if torch.is_tensor(G) or not hasattr(G, "sample_latent"):
        raise Fail("the first thing must be the generator itself, not its samples: it needs"
                   " sample_latent, as ganlab.models.mlp.Generator has")  # fmt: skip
    if not shown > 0:
        raise Fail("the number of points shown must be positive: rounds times batch size")
    grid = toy.make("grid25")
    training = G.training
    G.eval()
    with torch.no_grad():
        samples = G(G.sample_latent(2500, torch.Generator().manual_seed(2024)))
    G.train(training)
    if samples.shape != (2500, 2):
        raise Fail(f"2,500 latent vectors gave samples of shape {tuple(samples.shape)}")
    if not samples.isfinite().all():
        raise Fail("some samples are not finite: the training has blown up, try smaller steps")
    if samples.std(0).max() < 1e-3:
        raise Fail("all samples are one point: the generator has collapsed")
    assert grid.std is not None  # a mixture, not a curve
    score = mode_coverage(samples, grid.centers, grid.std)
    if shown > GRID_BUDGET:
        raise Fail(f"{score}, but {shown:,.0f} points shown: the budget is {GRID_BUDGET:,}")
    if score.found < GRID_MODES:
        advice = "many wander between modes" if score.good < GRID_GOOD else "some modes are lost"
        raise Fail(f"{score}: at least {GRID_MODES} modes are asked for; {advice}, see Hint 2")
    if score.good < GRID_GOOD:
        raise Fail(f"{score}: the modes are there, but {GRID_GOOD:.0%} must be good; see Hint 3")
    return f"{score}, with {shown:,.0f} real points shown"
