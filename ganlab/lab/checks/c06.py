"""Checks of chapter 6, the Wasserstein distance: each knows the usual wrong answers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import F64, close, finite_number, started, tensor


def _pair(value: Any, what: str) -> tuple[Any, Any]:
    started(value)
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Fail(f"return two things: {what}")
    if value[0] is ... or value[1] is ...:
        raise NotImplementedError
    return value[0], value[1]


def _diagnose(found: float, wrong: dict[float, str]) -> None:
    for value, diagnosis in wrong.items():
        if close(found, value):
            raise Fail(diagnosis)


@check("6.1")
def w1_sorted(answer: Answer) -> str:
    """`answer(a, b)` is the mean distance between sorted samples."""
    a = torch.tensor([0.3, -3.2, 2.5, 0.9, -0.4], dtype=F64)
    b = torch.tensor([1.1, 4.0, -0.7, 0.2, -1.9], dtype=F64)
    kept = a.clone(), b.clone()
    found = finite_number(answer(a, b), "the distance")
    if not (torch.equal(a, kept[0]) and torch.equal(b, kept[1])):
        raise Fail("your function changes its inputs: sort copies")
    gap = a.sort().values - b.sort().values
    right = gap.abs().mean().item()
    if not close(found, right):
        _diagnose(
            found,
            {
                (a - b).abs().mean().item(): "the points are paired as they come: sort both first",
                gap.abs().sum().item(): "a sum: each point carries the mass 1/n, see Hint 2",
                (a.mean() - b.mean()).abs().item(): "the distance of the *means*: it is 0 for two"
                " samples with one mean, however different",
                gap.mean().item(): "without absolute values moves to the left and to the right"
                " cancel",
                gap.square().mean().item(): "squared distances: W1 takes the first power",
                gap.square().mean().sqrt().item(): "this is the Wasserstein-2 distance: take |.|,"
                " not the root of the mean square",
                (a.sort().values - b.sort(descending=True).values).abs().mean().item(): "one is"
                " sorted upwards, the other downwards: the dearest plan, not the cheapest",
                gap.abs().max().item(): "the largest move, not the mean of all",
                (a[:, None] - b[None]).abs().mean().item(): "the mean over all pairs is the cost of"
                " the independent plan; the best plan pairs by rank",
            },
        )
        raise Fail(f"your W1 is {found:.4f} where {right:.4f} is right: see Hint 1")
    if abs(finite_number(answer(a, a.flip(0)), "the distance")) > 1e-9:
        raise Fail("the same points in another order must have distance 0")
    return "right: on a line the best plan pairs by rank"


@check("6.2")
def wgan_losses(answer: Answer) -> str:
    """`answer(a_real, a_fake)` is (critic's loss, generator's loss)."""
    real = torch.tensor([1.5, -0.5, 2.0], dtype=F64)
    fake = torch.tensor([0.4, -1.3, 0.9, 3.0, -0.2], dtype=F64)
    pair = _pair(answer(real, fake), "the critic's loss and the generator's")
    critic, generator = (finite_number(v, w) for v, w in zip(pair, ("L_D", "L_G"), strict=True))
    up, down = real.mean().item(), fake.mean().item()
    right = down - up
    if not close(critic, right):
        joined = (fake.sum() - real.sum()).item()
        _diagnose(
            critic,
            {
                -right: "the sign of L_D is turned: this is the gain, which the critic *maximises*",
                joined: "sums over the batches; expectations become means",
                joined / 8: "one mean over both batches joined weighs the sides by their sizes",
                right / 2: "half of it: the gain is a difference, not a mean, of two means",
                down + up: "both terms have one sign: the critic wants *large* outputs on the data",
                -down: "the term of the real samples is missing: that is the generator's loss",
                -up: "the term of the generated samples is missing in L_D",
                (fake.sigmoid().mean() - real.sigmoid().mean()).item(): "no sigmoid: the critic's"
                " output is not a probability",
                (
                    nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()
                ).item(): "this is the cross-entropy of a discriminator: L_D is linear in the"
                " outputs",
            },
        )
        raise Fail(f"your L_D is {critic:.4f} where {right:.4f} is right: see Hint 1")
    if not close(generator, -down):
        _diagnose(
            generator,
            {
                down: "the sign of L_G is turned: the generator wants *large* outputs",
                -right: "right as a direction, but L_G has no term of the real samples: they do not"
                " depend on the generator",
                right: "L_G is not L_D: the two play against each other",
                -fake.sum().item(): "a sum; L_G is a mean",
                nn.functional.softplus(-fake).mean().item(): "this is the non-saturating loss of a"
                " GAN: L_G is linear",
            },
        )
        raise Fail(f"L_D is right; your L_G is {generator:.4f} where {-down:.4f} is right")
    return "right: linear in every output"


class _Watched(nn.Module):
    """f(x) = w·x + curvature, that remembers what it was shown."""

    def __init__(self, shape: tuple[int, ...], scale: float, bend: float = 0.0) -> None:
        super().__init__()
        w = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=F64)
        self.w = nn.Parameter(scale * w / w.norm())
        self.bend, self.seen = bend, []  # type: tuple[float, list[Tensor]]

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        flat = x.flatten(1)
        return flat @ self.w.flatten() + self.bend * flat.square().sum(1) / 2


@check("6.3")
def gradient_penalty(answer: Answer) -> str:
    """`answer(f, real, fake)` is E(|∇f| - 1)² at random interpolates, over all dimensions."""
    shape, n = (3, 4, 4), 6
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(n, *shape, generator=rng, dtype=F64)
    fake = 5 + torch.randn(n, *shape, generator=rng, dtype=F64)
    f = _Watched(shape, 3.0)
    result = answer(f, real, fake)
    found = finite_number(result, "the penalty")
    if not close(found, 4.0):
        g = f.w.detach().expand(n, *shape)
        one_sided = g.flatten(1)
        _diagnose(
            found,
            {
                (g.norm(dim=1) - 1).square().mean().item(): "the norm is over dim=1 only, the"
                " channels at each pixel: flatten(1) first",
                (g.norm(dim=(2, 3)) - 1).square().mean().item(): "the norm is over height and"
                " width only, for each channel apart: flatten(1) first",
                (g.norm() - 1).square().item(): "one norm over the whole batch: it must be one a"
                " sample",
                ((g / n).norm() - 1).square().item(): "one norm over the whole batch: one a sample",
                ((g / n).flatten(1).norm(dim=1) - 1).square().mean().item(): "the gradient of the"
                " *mean* output is B times too small: differentiate f(x).sum()",
                (one_sided.norm(dim=1).square() - 1).square().mean().item(): "the norm is squared"
                " before 1 is subtracted",
                9.0: "this is |∇f|²: the penalty is (|∇f| - 1)², zero at slope 1",
                2.0: "the square is missing: (|∇f| - 1)²",
                3.0: "this is the norm itself",
                24.0: "a sum over the batch; take the mean",
                40.0: "multiplied by λ = 10: return the expectation alone",
                (g - 1).square().mean().item(): "1 is subtracted from every component; it belongs"
                " after the norm",
            },
        )
        raise Fail(f"for f(x) = <w, x> with |w| = 3 it must be 4; yours is {found:.4f}: see Hint 3")
    x = f.seen[-1]
    if x.shape != real.shape:
        raise Fail(f"f was shown a batch of shape {tuple(x.shape)}: interpolates have the shape"
                   f" of real, {tuple(real.shape)}")  # fmt: skip
    t = ((x - fake) / (real - fake)).flatten(1)
    if float((t - t[:, :1]).abs().max()) > 1e-6:
        raise Fail("ε differs between the dimensions of one sample, so that x̂ is not on the line:"
                   " one ε a pair, see Hint 1")  # fmt: skip
    t = t[:, 0]
    if float(t.min()) < -1e-9 or float(t.max()) > 1 + 1e-9:
        raise Fail("some x̂ lie outside the line between the pair: ε is uniform in [0, 1]")
    if float((t - t[0]).abs().max()) < 1e-9:
        where = {0.0: "at the generated samples", 1.0: "at the real samples"}
        place = where.get(round(t[0].item(), 9), f"at the same ε = {t[0]:.2f} for all pairs")
        raise Fail(f"all slopes are measured {place}: draw one ε for each pair")
    weights = list(f.parameters())
    if not (isinstance(result, Tensor) and result.requires_grad):
        raise Fail("the value is right, but it has no gradient for the critic's weights:"
                   " create_graph=True")  # fmt: skip
    gradient = torch.autograd.grad(result, weights, allow_unused=True)[0]
    if gradient is None or not close(gradient.norm(), 4.0, 1e-4):
        raise Fail("the value is right, but its gradient in the weights is not: create_graph=True")
    below = finite_number(answer(_Watched(shape, 0.5), real, fake), "the penalty")
    if not close(below, 0.25):
        if close(below, 0.0):
            raise Fail("slopes below 1 cost nothing here: that is the one-sided penalty, the"
                       " exercise asks for the two-sided one")  # fmt: skip
        raise Fail(f"for |w| = 0.5 it must be 0.25; yours is {below:.4f}")
    points = finite_number(answer(_Watched((2,), 3.0), real[:, 0, 0, :2], fake[:, 0, 0, :2]), "it")
    if not close(points, 4.0):
        raise Fail(f"right for pictures; for points (B, 2) it is {points:.4f} and must be 4")
    bent = _Watched(shape, 1.0, bend=0.3)
    value = finite_number(answer(bent, real, fake), "the penalty")
    slopes = (bent.w.detach() + 0.3 * bent.seen[-1]).flatten(1).norm(dim=1)
    if not close(value, (slopes - 1).square().mean().item()):
        if close(value, (slopes.mean() - 1).square().item()):
            raise Fail("the mean slope is compared with 1: subtract and square *before* the mean")
        raise Fail("right for a linear f, wrong for a curved one: norm, minus 1, square, mean")
    return "right: per sample, on the lines, and it can be trained through"


@check("6.4")
def w1_histogram(answer: Answer) -> str:
    """`answer(x, p, q)` is the integral of |F_p - F_q| over uneven gaps."""
    x = torch.tensor([-1.0, 0.0, 0.5, 3.0, 4.0], dtype=F64)
    p = torch.tensor([0.3, 0.0, 0.1, 0.1, 0.5], dtype=F64)
    q = torch.tensor([0.1, 0.4, 0.2, 0.2, 0.1], dtype=F64)
    found = finite_number(answer(x, p, q), "the distance")
    gap = (p - q).cumsum(0)
    right = (gap[:-1].abs() * x.diff()).sum().item()
    if not close(found, right):
        _diagnose(
            found,
            {
                (p - q).abs().sum().item(): "sum of |p - q|: that does not look at places at all;"
                " compare the *cumulative* sums",
                (p - q).abs().sum().item() / 2: "this is the total variation: it does not look at"
                " places; compare the *cumulative* sums",
                gap.abs().sum().item(): "each gap counts with its width, x[k+1] - x[k]: the grid is"
                " uneven",
                gap.abs().mean().item(): "each gap counts with its width: the grid is uneven",
                (gap[:-1] * x.diff()).sum().abs().item(): "moves in the two directions cancel:"
                " absolute value inside the sum (this is the distance of the means)",
                (gap[:-1] * x.diff()).sum().item(): "without absolute values this is a difference"
                " of means",
                (gap[1:].abs() * x.diff()).sum().item(): "shifted by one: F at place k belongs to"
                " the gap to its *right*",
                ((p - q)[:-1].abs() * x.diff()).sum().item(): "integrate the difference of the"
                " *distribution functions*, not of the masses: cumsum",
                (gap[:-1].square() * x.diff()).sum().item(): "squares: W1 takes the first power",
                (gap[:-1].abs().sum() * x.diff().mean()).item(): "the mean gap for all: the grid is"
                " uneven",
            },
        )
        raise Fail(f"your W1 is {found:.4f} where {right:.4f} is right: see Hint 1")
    two = torch.tensor([0.0, 7.0], dtype=F64)
    one = finite_number(
        answer(two, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])), "the distance"
    )
    if not close(one, 7.0):
        raise Fail(f"two single points 7 apart have W1 = 7; yours is {one:.4f}")
    return "right: mass times width, gap by gap"


@check("6.5")
def clip_for(answer: Answer) -> str:
    """`answer(K, widths)` solves c^L prod sqrt(m n) = K."""
    bound, widths = 3.0, [2, 16, 9, 1]
    found = finite_number(answer(bound, list(widths)), "c")
    entries = [m * n for m, n in itertools.pairwise(widths)]
    layers = len(entries)
    sizes = math.prod(math.sqrt(e) for e in entries)
    right = (bound / sizes) ** (1 / layers)
    if not close(found, right):
        units = math.prod(widths)
        _diagnose(
            found,
            {
                bound / sizes: "c stands in every layer: take the L-th root of K divided by the"
                " product",
                (bound / sizes) ** (1 / len(widths)): "there is one matrix less than there are"
                " widths: L = len(widths) - 1",
                (bound / sizes) ** (1 / (layers - 1)): "every matrix counts, first and last too:"
                " L = len(widths) - 1",
                (bound / sizes**2) ** (1 / layers): "the Frobenius norm is the *root* of m·n·c²",
                (bound / units) ** (1 / layers): "the product of the widths is not the product of"
                " sqrt(m n): inner widths count in two matrices, the outer ones in one",
                (bound / math.sqrt(units)) ** (1 / layers): "inner widths count in two matrices:"
                " go through the pairs of neighbours",
                (bound**layers / sizes) ** (1 / layers): "K bounds the whole network, not each"
                " layer",
                (1 / sizes) ** (1 / layers): "K does not enter",
                (sizes / bound) ** (1 / layers): "upside down: a larger network needs a smaller c",
            },
        )
        raise Fail(f"for K = 3, widths {widths} c is {right:.4f}, yours is {found:.4f}: see Hint 2")
    if not close(finite_number(answer(0.5, [1, 1]), "c"), 0.5):
        raise Fail("a single weight w has slope |w|: for widths [1, 1] c must be K")
    return "right: and it shrinks with the width of every layer"


@check("6.6")
def extremes(answer: Answer) -> str:
    """`answer(points, values, x)` is (max f_i - d_i, min f_i + d_i)."""
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=F64)
    values = torch.tensor([1.5, 0.0, 1.0], dtype=F64)
    x = torch.tensor([[1.0, 0.5], [3.0, 3.0], [-1.0, 0.2], [0.2, 0.1]], dtype=F64)
    pair = _pair(answer(points, values, x), "the smallest and the largest values")
    low = tensor(pair[0], x.shape[:1], "the smallest")
    high = tensor(pair[1], x.shape[:1], "the largest")
    away = (x[:, None] - points[None]).norm(dim=2)
    right = (values - away).max(1).values, (values + away).min(1).values
    if close(low, right[0]) and close(high, right[1]):
        return "right: every best critic lies between these two"
    if close(low, right[1]) and close(high, right[0]):
        raise Fail("the two are exchanged: (smallest, largest)")
    if close(high, (values + away).max(1).values) or close(low, (values - away).min(1).values):
        raise Fail(
            "every point's bound must hold at once: the tightest upper bound is the *smallest* one,"
            " the tightest lower bound the largest"
        )
    squared = away.square()
    if close(high, (values + squared).min(1).values):
        raise Fail("squared distances: a 1-Lipschitz function rises by at most |x - x_i|")
    manhattan = (x[:, None] - points[None]).abs().sum(2)
    if close(high, (values + manhattan).min(1).values):
        raise Fail("the distance is Euclidean, not the sum of coordinate differences")
    nearest = away.argmin(1)
    if close(high, values[nearest] + away.min(1).values):
        raise Fail("only the nearest point is asked; a farther one may bind more tightly")
    if close(high, values.min() + away.min(1).values):
        raise Fail("minimum of the sum, not sum of the minima: min_i [f_i + |x - x_i|]")
    if close(high, (away - values).min(1).values):
        raise Fail("the sign of the values is turned: f_i + |x - x_i|")
    if close(high, right[1]):
        raise Fail("the largest is right, the smallest is not: see Hint 2")
    if close(low, right[0]):
        raise Fail("the smallest is right, the largest is not: see Hint 2")
    raise Fail(
        f"at {x[0].tolist()} they are {right[0][0]:.3f} and {right[1][0]:.3f}, yours {low[0]:.3f}"
        f" and {high[0]:.3f}: see Hint 2"
    )
