"""Checks of chapter 6, the Wasserstein distance: each knows the usual wrong answers."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab.lab.checks import Answer, check
from ganlab.lab.checks.read import (
    F64,
    draw,
    either,
    number,
    numbers,
    parts,
    pick,
    points,
    tensor,
    vary,
)
from ganlab.lab.checks.words import Slips, close, equal, need, of_batches, refuse, when


@check("6.1", "right: on a line the best plan pairs by rank")
def w1_sorted(answer: Answer) -> None:
    """`answer(a, b)` is the mean distance between sorted samples."""
    a, b = points(*vary([0.3, -3.2, 2.5, 0.9, -0.4], [1.1, 4.0, -0.7, 0.2, -1.9]))
    kept = a.clone(), b.clone()
    found = number(answer(a, b), "the distance")
    unchanged = torch.equal(a, kept[0]) and torch.equal(b, kept[1])
    need(unchanged, "your function changes its inputs: sort copies")
    up, down = a.sort().values, b.sort(descending=True).values
    gap = up - down.flip(0)
    slips: Slips = {
        (a - b).abs().mean(): "the points are paired as they come: sort both first",
        gap.abs().sum(): "a sum: each point carries the mass 1/n, see Hint 2",
        (a.mean() - b.mean()).abs(): "the distance of the *means*, 0 for any samples of one mean",
        gap.mean(): "without absolute values moves to the left and to the right cancel",
        gap.square().mean(): "squared distances: W1 takes the first power",
        gap.square().mean().sqrt(): "this is Wasserstein-2: the mean of |.|, not of squares",
        (up - down).abs().mean(): "one sorted upwards, the other downwards: the dearest plan",
        gap.abs().max(): "the largest move, not the mean of all",
        (a[:, None] - b).abs().mean(): "the mean over all pairs is the cost of the independent"
        " plan; the best plan pairs by rank",
    }
    equal(found, gap.abs().mean(), "your W1", slips, "Hint 1")
    equal(answer(a, a.flip(0)), 0, "between a set and itself in another order the distance")


@check("6.2", "right: linear in every output")
def wgan_losses(answer: Answer) -> None:
    """`answer(a_real, a_fake)` is (critic's loss, generator's loss)."""
    real, fake = points(*vary([1.5, -0.5, 2.0], [0.4, -1.3, 0.9, 3.0, -0.2]))
    pair = numbers(answer(real, fake), "the critic's loss, L_D", "the generator's loss, L_G")
    up, down = real.mean(), fake.mean()
    right = down - up
    slips: Slips = {
        **of_batches(-real, fake),
        down + up: "both terms have one sign: the critic wants *large* outputs on the data",
        -down: "the term of the real samples is missing: that is the generator's loss",
        fake.sigmoid().mean() - real.sigmoid().mean(): "no sigmoid: outputs are no probabilities",
        softplus(-real).mean() + softplus(fake).mean(): "this is the cross-entropy of a"
        " discriminator: L_D is linear in the outputs",
    }
    equal(pair[0], right, "L_D", slips, "Hint 1", named=True)
    slips = {
        down: "the sign of L_G is turned: the generator wants *large* outputs",
        -right: "right as a direction, but L_G has no term of the real samples: G cannot move them",
        right: "L_G is not L_D: the two play against each other",
        -fake.sum(): "a sum; L_G is a mean",
        softplus(-fake).mean(): "this is the non-saturating loss of a GAN: L_G is linear",
    }
    equal(pair[1], -down, "L_D is right; your L_G", slips)


class _Watched(nn.Module):
    """f(x) = w·x + curvature, that remembers what it was shown."""

    def __init__(self, w: Tensor, scale: float, bend: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(scale * w / w.norm())
        self.bend, self.seen = bend, []  # type: tuple[float, list[Tensor]]

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        flat = x.flatten(1)
        return flat @ self.w.flatten() + self.bend * flat.square().sum(1) / 2


@check("6.3", "right: per sample, on the lines, and it can be trained through")
@either
def gradient_penalty(answer: Answer, dtype: torch.dtype) -> None:
    """`answer(f, real, fake)` is E(|∇f| - 1)² at random interpolates, over all dimensions."""
    # As many samples as rows and columns: an ε of the wrong shape is spread over these.
    n, shape = 4, (3, 4, 4)
    w, real, fake = draw(1, *shape, dtype=dtype), *draw(0, 2, n, *shape, dtype=dtype)
    fake += 5
    f = _Watched(w, 3.0)
    result = answer(f, real, fake)
    g = f.w.detach().expand(n, *shape)
    length, each = g.norm(), g.flatten(1).norm(dim=1)
    slips: Slips = {
        (g.norm(dim=1) - 1).square().mean(): "the norm is over dim=1 alone: flatten(1) first",
        (g.norm(dim=(2, 3)) - 1).square().mean(): "the norm is over height and width: flatten(1)",
        (length - 1).square(): "one norm over the whole batch: it must be one a sample",
        (length / n - 1).square(): "one norm over the whole batch: one a sample",
        (each / n - 1).square().mean(): "the gradient of the *mean* output is B times too small:"
        " differentiate f(x).sum()",
        (each.square() - 1).square().mean(): "the norm is squared before 1 is subtracted",
        9.0: "this is |∇f|²: the penalty is (|∇f| - 1)², zero at slope 1",
        2.0: "the square is missing: (|∇f| - 1)²",
        3.0: "this is the norm itself",
        4.0 * n: "a sum over the batch; take the mean",
        40.0: "multiplied by λ = 10: return the expectation alone",
        (g - 1).square().mean(): "1 is subtracted from every component; it belongs after the norm",
    }
    equal(result, 4, "for f(x) = <w, x> with |w| = 3 it", slips, "Hint 3")
    x, near = f.seen[-1], 1e-4
    need(x.shape == real.shape, f"f was shown a batch of shape {tuple(x.shape)}: interpolates have"
         f" the shape of real, {tuple(real.shape)}")  # fmt: skip
    t = (x - fake) / (real - fake)
    eps, torn = t[:, 0, 0, 0], (t - t[:, :1, :1, :1]).abs().max() > near
    place = {0.0: "at the generated samples", 1.0: "at the real samples"}.get(
        round(eps[0].item(), 4), f"at the same ε = {eps[0]:.2f} for all pairs"
    )
    line = "so that x̂ is not on the line: one ε a pair, of shape (B, 1, ..., 1), see Hint 1"
    slips = {
        when(torn and close(t, t[:1, :1, :, :1].expand_as(t), near)): "ε of shape (B, 1) runs along"
        f" the rows of every picture, {line}",
        when(torn and close(t, t[:1, :1, :1].expand_as(t), near)): "ε of shape (B,) runs along the"
        f" columns of every picture, {line}",
        when(torn): f"ε differs between the dimensions of one sample, {line}",
        when(eps.min() < -near or eps.max() > 1 + near): "some x̂ lie outside the line between the"
        " pair: ε is uniform in [0, 1]",
        when((eps - eps[0]).abs().max() < near): f"all slopes are measured {place}: one ε a pair",
    }
    refuse(slips)
    graph = isinstance(result, Tensor) and result.requires_grad
    need(graph, "the value is right, but no gradient reaches the critic: create_graph=True")
    gradient = torch.autograd.grad(result, list(f.parameters()), materialize_grads=True)[0]
    slips = {...: "the value is right, but its gradient in the weights is not: create_graph=True"}
    equal(gradient.norm(), 4, "its gradient", slips, within=1e-4)
    slips = {0.0: "slopes below 1 cost nothing here: that is the one-sided penalty, not both sides"}
    equal(answer(_Watched(w, 0.5), real, fake), 0.25, "for |w| = 0.5 it", slips)
    many, slope = draw(3, 10_000, 2, dtype=dtype), _Watched(w[0, 0, :2], 3.0)
    equal(answer(slope, many, many - 3), 4, "right for pictures; for points (B, 2) it")
    drawn = (slope.seen[-1] - many)[:, 0].sort().values / 3 + 1
    even = (drawn - (torch.arange(10_000) + 0.5) / 10_000).abs().max() < 0.03
    need(even, f"ε is not uniform in [0, 1]: half of yours lie below {drawn[5000]:.2f}, a quarter"
         f" below {drawn[2500]:.2f}; take torch.rand")  # fmt: skip
    bent = _Watched(w, 1.0, bend=0.3)
    value = answer(bent, real, fake)
    slopes = (bent.w.detach() + 0.3 * bent.seen[-1]).flatten(1).norm(dim=1)
    slips = {
        (slopes.mean() - 1).square(): "the mean slope is compared with 1: square *before* the mean",
        ...: "right for a linear f, wrong for a curved one: norm, minus 1, square, mean",
    }
    equal(value, (slopes - 1).square().mean(), "the penalty", slips)


@check("6.4", "right: mass times width, gap by gap")
def w1_histogram(answer: Answer) -> None:
    """`answer(x, p, q)` is the integral of |F_p - F_q| over uneven gaps."""
    x, p, q = points(
        vary([-1.0, 0.0, 0.5, 3.0, 4.0], by=0.1),
        *vary([0.3, 0.0, 0.1, 0.1, 0.5], [0.1, 0.4, 0.2, 0.2, 0.1]),
    )
    p, q = p / p.sum(), q / q.sum()
    gap, mass, width = (p - q).cumsum(0), (p - q).abs(), x.diff()
    inner, blind = gap[:-1], "it does not look at places; compare the *cumulative* sums"
    slips: Slips = {
        mass.sum(): f"this is the sum of |p - q|: {blind}",
        mass.sum() / 2: f"this is the total variation: {blind}",
        gap.abs().sum(): "each gap counts with its width, x[k+1] - x[k]: the grid is uneven",
        gap.abs().mean(): "each gap counts with its width: the grid is uneven",
        (inner * width).sum().abs(): "moves in the two directions cancel: absolute value inside"
        " the sum (this is the distance of the means)",
        (inner * width).sum(): "without absolute values this is a difference of means",
        (gap[1:].abs() * width).sum(): "shifted by one: F at place k belongs to the gap to its"
        " *right*",
        (mass[:-1] * width).sum(): "integrate the difference of *distribution functions*: cumsum",
        (inner.square() * width).sum(): "squares: W1 takes the first power",
        inner.abs().sum() * width.mean(): "the mean gap for all: the grid is uneven",
    }
    equal(answer(x, p, q), (inner.abs() * width).sum(), "your W1", slips, "Hint 1")
    two = points([0.0, 7.0])[0], torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    equal(answer(*two), 7, "W1 of two single points 7 apart")


@check("6.5", "right: and it shrinks with the width of every layer")
def clip_for(answer: Answer) -> None:
    """`answer(K, widths)` solves c^L prod sqrt(m n) = K."""
    bound, widths = vary(3.0), [2, pick(65, 16, 40), 9, 1]
    entries = [m * n for m, n in itertools.pairwise(widths)]
    n, units = len(entries), math.prod(widths)
    sizes = math.prod(math.sqrt(e) for e in entries)
    layers = "L = len(widths) - 1"
    slips: Slips = {
        bound / sizes: "c stands in every layer: take the L-th root of K divided by the product",
        (bound / sizes) ** (1 / len(widths)): f"there is one matrix less than widths: {layers}",
        (bound / sizes) ** (1 / (n - 1)): f"every matrix counts, first and last too: {layers}",
        (bound / sizes**2) ** (1 / n): "the Frobenius norm is the *root* of m·n·c²",
        (bound / units) ** (1 / n): "the product of the widths is not the product of sqrt(m n):"
        " inner widths count in two matrices, the outer ones in one",
        (bound / math.sqrt(units)) ** (1 / n): "inner widths count in two matrices: go through the"
        " pairs of neighbours",
        (bound**n / sizes) ** (1 / n): "K bounds the whole network, not each layer",
        (1 / sizes) ** (1 / n): "K does not enter",
        (sizes / bound) ** (1 / n): "upside down: a larger network needs a smaller c",
    }
    what = f"c for K = {bound:.3g}, widths {widths}"
    equal(answer(bound, list(widths)), (bound / sizes) ** (1 / n), what, slips, "Hint 2")
    equal(answer(0.5, [1, 1]), 0.5, "a weight w has slope |w|: c for K = 0.5, widths [1, 1]")


@check("6.6", "right: every best critic lies between these two")
def extremes(answer: Answer) -> None:
    """`answer(points, values, x)` is (max f_i - d_i, min f_i + d_i)."""
    places = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=F64)
    values = torch.tensor(vary([1.5, 0.0, 1.0], by=0.05), dtype=F64)
    x = torch.tensor(vary([[1.0, 0.5], [3.0, 3.0], [-1.0, 0.2], [0.2, 0.1]]), dtype=F64)
    pair = parts(answer(places, values, x), "the smallest values", "the largest values")
    low, high = tensor(pair[0], (4,), "the smallest"), tensor(pair[1], (4,), "the largest")
    apart = x[:, None] - places
    away, manhattan = apart.norm(dim=2), apart.abs().sum(2)
    least, most = (values - away).amax(1), (values + away).amin(1)
    loose = close(high, (values + away).amax(1)) or close(low, (values - away).amin(1))
    slips: Slips = {
        when(close(low, most) and close(high, least)): "the two are exchanged: (smallest, largest)",
        when(loose): "every point's bound must hold at once: the tightest upper bound is the"
        " *smallest* one, the tightest lower bound the largest",
        (values + away.square()).amin(1): "squared distances: f rises by at most |x - x_i|",
        (values + manhattan).amin(1): "the distance is Euclidean: no sum of coordinate differences",
        values[away.argmin(1)] + away.amin(1): "only the nearest point is asked; a farther one may"
        " bind more tightly",
        values.min() + away.amin(1): "the sum of the minima: take min_i [f_i + |x - x_i|]",
        (away - values).amin(1): "the sign of the values is turned: f_i + |x - x_i|",
        most: "the largest is right, the smallest is not: see Hint 2",
        when(close(low, least)): "the smallest is right, the largest is not: see Hint 2",
        ...: f"at {x[0].tolist()} they are {least[0]:.3f} and {most[0]:.3f}, yours {low[0]:.3f} and"
        f" {high[0]:.3f}: see Hint 2",
    }
    if not (close(low, least) and close(high, most)):
        refuse(slips, high)
