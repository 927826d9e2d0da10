"""Checks of chapter 6, the Wasserstein distance: each knows the usual wrong answers."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import draw, finite_number, parts, points, started, tensor
from ganlab.lab.checks.words import F64, Slips, close, equal, need, refuse, when


@check("6.1", "right: on a line the best plan pairs by rank")
def w1_sorted(answer: Answer) -> None:
    """`answer(a, b)` is the mean distance between sorted samples."""
    a, b = points([0.3, -3.2, 2.5, 0.9, -0.4], [1.1, 4.0, -0.7, 0.2, -1.9])
    kept = a.clone(), b.clone()
    found = finite_number(answer(a, b), "the distance")
    unchanged = torch.equal(a, kept[0]) and torch.equal(b, kept[1])
    need(unchanged, "your function changes its inputs: sort copies")
    gap = a.sort().values - b.sort().values
    slips: Slips = {
        (a - b).abs().mean(): "the points are paired as they come: sort both first",
        gap.abs().sum(): "a sum: each point carries the mass 1/n, see Hint 2",
        (a.mean() - b.mean()).abs(): "the distance of the *means*: it is 0 for two samples with"
        " one mean, however different",
        gap.mean(): "without absolute values moves to the left and to the right cancel",
        gap.square().mean(): "squared distances: W1 takes the first power",
        gap.square().mean().sqrt(): "this is the Wasserstein-2 distance: take |.|, not the root of"
        " the mean square",
        (a.sort().values - b.sort().values.flip(0)).abs().mean(): "one is sorted upwards, the"
        " other downwards: the dearest plan, not the cheapest",
        gap.abs().max(): "the largest move, not the mean of all",
        (a[:, None] - b).abs().mean(): "the mean over all pairs is the cost of the independent"
        " plan; the best plan pairs by rank",
        ...: "your W1 is {found:.4f} where {right:.4f} is right: see Hint 1",
    }
    equal(found, gap.abs().mean(), slips)
    again = finite_number(answer(a, a.flip(0)), "the distance")
    need(abs(again) <= 1e-9, "the same points in another order must have distance 0")


@check("6.2", "right: linear in every output")
def wgan_losses(answer: Answer) -> None:
    """`answer(a_real, a_fake)` is (critic's loss, generator's loss)."""
    real, fake = points([1.5, -0.5, 2.0], [0.4, -1.3, 0.9, 3.0, -0.2])
    what = "return two things: the critic's loss and the generator's"
    pair = parts(started(answer(real, fake)), 2, what)
    critic, generator = (finite_number(started(v), w) for v, w in zip(pair, ("L_D", "L_G")))
    up, down, joined = real.mean(), fake.mean(), fake.sum() - real.sum()
    right = down - up
    slips: Slips = {
        -right: "the sign of L_D is turned: this is the gain, which the critic *maximises*",
        joined: "sums over the batches; expectations become means",
        joined / 8: "one mean over both batches joined weighs the sides by their sizes",
        right / 2: "half of it: the gain is a difference, not a mean, of two means",
        down + up: "both terms have one sign: the critic wants *large* outputs on the data",
        -down: "the term of the real samples is missing: that is the generator's loss",
        -up: "the term of the generated samples is missing in L_D",
        fake.sigmoid().mean() - real.sigmoid().mean(): "no sigmoid: the critic's output is not a"
        " probability",
        softplus(-real).mean() + softplus(fake).mean(): "this is the cross-entropy of a"
        " discriminator: L_D is linear in the outputs",
        ...: "your L_D is {found:.4f} where {right:.4f} is right: see Hint 1",
    }
    equal(critic, right, slips)
    slips = {
        down: "the sign of L_G is turned: the generator wants *large* outputs",
        -right: "right as a direction, but L_G has no term of the real samples: they do not depend"
        " on the generator",
        right: "L_G is not L_D: the two play against each other",
        -fake.sum(): "a sum; L_G is a mean",
        softplus(-fake).mean(): "this is the non-saturating loss of a GAN: L_G is linear",
        ...: "L_D is right; your L_G is {found:.4f} where {right:.4f} is right",
    }
    equal(generator, -down, slips)


class _Watched(nn.Module):
    """f(x) = w·x + curvature, that remembers what it was shown."""

    def __init__(self, shape: tuple[int, ...], scale: float, bend: float = 0.0) -> None:
        super().__init__()
        w = draw(1, *shape)
        self.w = nn.Parameter(scale * w / w.norm())
        self.bend, self.seen = bend, []  # type: tuple[float, list[Tensor]]

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        flat = x.flatten(1)
        return flat @ self.w.flatten() + self.bend * flat.square().sum(1) / 2


@check("6.3", "right: per sample, on the lines, and it can be trained through")
def gradient_penalty(answer: Answer) -> None:
    """`answer(f, real, fake)` is E(|∇f| - 1)² at random interpolates, over all dimensions."""
    (n, *shape), rng = (6, 3, 4, 4), torch.Generator().manual_seed(0)
    real, fake = draw(rng, n, *shape), 5 + draw(rng, n, *shape)

    def penalty(f: nn.Module, *batches: Tensor) -> float:
        return finite_number(answer(f, *(batches or (real, fake))), "the penalty")

    f = _Watched(tuple(shape), 3.0)
    result = answer(f, real, fake)
    g = f.w.detach().expand(n, *shape)
    length, each = g.norm(), g.flatten(1).norm(dim=1)
    slips: Slips = {
        (g.norm(dim=1) - 1).square().mean(): "the norm is over dim=1 only, the channels at each"
        " pixel: flatten(1) first",
        (g.norm(dim=(2, 3)) - 1).square().mean(): "the norm is over height and width only, for"
        " each channel apart: flatten(1) first",
        (length - 1).square(): "one norm over the whole batch: it must be one a sample",
        (length / n - 1).square(): "one norm over the whole batch: one a sample",
        (each / n - 1).square().mean(): "the gradient of the *mean* output is B times too small:"
        " differentiate f(x).sum()",
        (each.square() - 1).square().mean(): "the norm is squared before 1 is subtracted",
        9.0: "this is |∇f|²: the penalty is (|∇f| - 1)², zero at slope 1",
        2.0: "the square is missing: (|∇f| - 1)²",
        3.0: "this is the norm itself",
        24.0: "a sum over the batch; take the mean",
        40.0: "multiplied by λ = 10: return the expectation alone",
        (g - 1).square().mean(): "1 is subtracted from every component; it belongs after the norm",
        ...: "for f(x) = <w, x> with |w| = 3 it must be 4; yours is {found:.4f}: see Hint 3",
    }
    equal(finite_number(result, "the penalty"), 4, slips)
    x = f.seen[-1]
    if x.shape != real.shape:
        raise Fail(f"f was shown a batch of shape {tuple(x.shape)}: interpolates have the shape"
                   f" of real, {tuple(real.shape)}")  # fmt: skip
    t = ((x - fake) / (real - fake)).flatten(1)
    first = t[:, 0]
    place = {0.0: "at the generated samples", 1.0: "at the real samples"}.get(
        round(first[0].item(), 9), f"at the same ε = {first[0]:.2f} for all pairs"
    )
    slips = {
        when((t - t[:, :1]).abs().max() > 1e-6): "ε differs between the dimensions of one sample,"
        " so that x̂ is not on the line: one ε a pair, see Hint 1",
        when(first.min() < -1e-9 or first.max() > 1 + 1e-9): "some x̂ lie outside the line between"
        " the pair: ε is uniform in [0, 1]",
        when((first - first[0]).abs().max() < 1e-9): f"all slopes are measured {place}: draw one ε"
        " for each pair",
    }
    refuse(slips)
    if not (isinstance(result, Tensor) and result.requires_grad):
        raise Fail("the value is right, but it has no gradient for the critic's weights:"
                   " create_graph=True")  # fmt: skip
    gradient = torch.autograd.grad(result, list(f.parameters()), materialize_grads=True)[0]
    slips = {...: "the value is right, but its gradient in the weights is not: create_graph=True"}
    equal(gradient.norm(), 4, slips, 1e-4)
    slips = {
        0.0: "slopes below 1 cost nothing here: that is the one-sided penalty, the exercise asks"
        " for the two-sided one",
        ...: "for |w| = 0.5 it must be 0.25; yours is {found:.4f}",
    }
    equal(penalty(_Watched(tuple(shape), 0.5)), 0.25, slips)
    slips = {...: "right for pictures; for points (B, 2) it is {found:.4f} and must be 4"}
    equal(penalty(_Watched((2,), 3.0), real[:, 0, 0, :2], fake[:, 0, 0, :2]), 4, slips)
    bent = _Watched(tuple(shape), 1.0, bend=0.3)
    value = penalty(bent)
    slopes = (bent.w.detach() + 0.3 * bent.seen[-1]).flatten(1).norm(dim=1)
    slips = {
        (slopes.mean() - 1).square(): "the mean slope is compared with 1: subtract and square"
        " *before* the mean",
        ...: "right for a linear f, wrong for a curved one: norm, minus 1, square, mean",
    }
    equal(value, (slopes - 1).square().mean(), slips)


@check("6.4", "right: mass times width, gap by gap")
def w1_histogram(answer: Answer) -> None:
    """`answer(x, p, q)` is the integral of |F_p - F_q| over uneven gaps."""
    x, p = points([-1.0, 0.0, 0.5, 3.0, 4.0], [0.3, 0.0, 0.1, 0.1, 0.5])
    q = torch.tensor([0.1, 0.4, 0.2, 0.2, 0.1], dtype=F64)
    gap, mass, width = (p - q).cumsum(0), (p - q).abs(), x.diff()
    inner = gap[:-1]
    slips: Slips = {
        mass.sum(): "sum of |p - q|: that does not look at places at all; compare the *cumulative*"
        " sums",
        mass.sum() / 2: "this is the total variation: it does not look at places; compare the"
        " *cumulative* sums",
        gap.abs().sum(): "each gap counts with its width, x[k+1] - x[k]: the grid is uneven",
        gap.abs().mean(): "each gap counts with its width: the grid is uneven",
        (inner * width).sum().abs(): "moves in the two directions cancel: absolute value inside"
        " the sum (this is the distance of the means)",
        (inner * width).sum(): "without absolute values this is a difference of means",
        (gap[1:].abs() * width).sum(): "shifted by one: F at place k belongs to the gap to its"
        " *right*",
        (mass[:-1] * width).sum(): "integrate the difference of the *distribution functions*, not"
        " of the masses: cumsum",
        (inner.square() * width).sum(): "squares: W1 takes the first power",
        inner.abs().sum() * width.mean(): "the mean gap for all: the grid is uneven",
        ...: "your W1 is {found:.4f} where {right:.4f} is right: see Hint 1",
    }
    found = finite_number(answer(x, p, q), "the distance")
    equal(found, (inner.abs() * width).sum(), slips)
    two = points([0.0, 7.0])[0], torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    slips = {...: "two single points 7 apart have W1 = 7; yours is {found:.4f}"}
    equal(finite_number(answer(*two), "the distance"), 7, slips)


@check("6.5", "right: and it shrinks with the width of every layer")
def clip_for(answer: Answer) -> None:
    """`answer(K, widths)` solves c^L prod sqrt(m n) = K."""
    bound, widths = 3.0, [2, 16, 9, 1]
    entries = [m * n for m, n in itertools.pairwise(widths)]
    n, units = len(entries), math.prod(widths)
    sizes = math.prod(math.sqrt(e) for e in entries)
    slips: Slips = {
        bound / sizes: "c stands in every layer: take the L-th root of K divided by the product",
        (bound / sizes) ** (1 / len(widths)): "there is one matrix less than there are widths: L ="
        " len(widths) - 1",
        (bound / sizes) ** (1 / (n - 1)): "every matrix counts, first and last too: L ="
        " len(widths) - 1",
        (bound / sizes**2) ** (1 / n): "the Frobenius norm is the *root* of m·n·c²",
        (bound / units) ** (1 / n): "the product of the widths is not the product of sqrt(m n):"
        " inner widths count in two matrices, the outer ones in one",
        (bound / math.sqrt(units)) ** (1 / n): "inner widths count in two matrices: go through the"
        " pairs of neighbours",
        (bound**n / sizes) ** (1 / n): "K bounds the whole network, not each layer",
        (1 / sizes) ** (1 / n): "K does not enter",
        (sizes / bound) ** (1 / n): "upside down: a larger network needs a smaller c",
        ...: f"for K = 3, widths {widths} c is {{right:.4f}}, yours is {{found:.4f}}: see Hint 2",
    }
    found = finite_number(answer(bound, list(widths)), "c")
    equal(found, (bound / sizes) ** (1 / n), slips)
    slips = {...: "a single weight w has slope |w|: for widths [1, 1] c must be K"}
    equal(finite_number(answer(0.5, [1, 1]), "c"), 0.5, slips)


@check("6.6", "right: every best critic lies between these two")
def extremes(answer: Answer) -> None:
    """`answer(points, values, x)` is (max f_i - d_i, min f_i + d_i)."""
    places = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=F64)
    values = torch.tensor([1.5, 0.0, 1.0], dtype=F64)
    x = torch.tensor([[1.0, 0.5], [3.0, 3.0], [-1.0, 0.2], [0.2, 0.1]], dtype=F64)
    what = "return two things: the smallest and the largest values"
    pair = parts(started(answer(places, values, x)), 2, what)
    low, high = tensor(pair[0], (4,), "the smallest"), tensor(pair[1], (4,), "the largest")
    apart = x[:, None] - places
    away, manhattan = apart.norm(dim=2), apart.abs().sum(2)
    least, most = (values - away).amax(1), (values + away).amin(1)
    loose = close(high, (values + away).amax(1)) or close(low, (values - away).amin(1))
    slips: Slips = {
        when(close(low, most) and close(high, least)): "the two are exchanged: (smallest, largest)",
        when(loose): "every point's bound must hold at once: the tightest upper bound is the"
        " *smallest* one, the tightest lower bound the largest",
        (values + away.square()).amin(1): "squared distances: a 1-Lipschitz function rises by at"
        " most |x - x_i|",
        (values + manhattan).amin(1): "the distance is Euclidean, not the sum of coordinate"
        " differences",
        values[away.argmin(1)] + away.amin(1): "only the nearest point is asked; a farther one may"
        " bind more tightly",
        values.min() + away.amin(1): "minimum of the sum, not sum of the minima: min_i [f_i + |x -"
        " x_i|]",
        (away - values).amin(1): "the sign of the values is turned: f_i + |x - x_i|",
        most: "the largest is right, the smallest is not: see Hint 2",
        when(close(low, least)): "the smallest is right, the largest is not: see Hint 2",
        ...: f"at {x[0].tolist()} they are {least[0]:.3f} and {most[0]:.3f}, yours {low[0]:.3f} and"
        f" {high[0]:.3f}: see Hint 2",
    }
    if not (close(low, least) and close(high, most)):
        refuse(slips, high)
