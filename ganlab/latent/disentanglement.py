"""How far apart a latent space keeps the factors that its pictures vary in.

Four measures: can a plane part the pictures that have an attribute from those that have not
(separability, Karras et al. 2019, Sec. 4.2); does each factor sit in one coordinate (mutual
information gap, Chen et al. 2018); is it a linear function of the code; is a straight path also
even in the picture (perceptual path length, Karras et al. 2019, Sec. 4.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.errors import DataError, at_least
from ganlab.latent.linear import columns_of, explained, halves, logistic, ridge
from ganlab.metrics.arrays import number, shaped

Table = Mapping[str, Tensor]

BINS = 20


def entropy(labels: Tensor) -> float:
    """$H = -∑_i p_i log p_i$ of class numbers (N,) with shares $p_i$, in nats.

    Raises:
        DataError: another shape, or a value that is not finite.
    """
    shaped(labels, "labels", ("N",))
    shares = torch.unique(labels, return_counts=True)[1].double() / labels.numel()
    return float(-(shares * shares.log()).sum())


def conditional_entropy(labels: Tensor, given: Tensor) -> float:
    """$H("labels" | "given")$ of class numbers, both (N,), in nats.

    Raises:
        DataError: another shape, or a value that is not finite.
    """
    shaped(given, "given", tuple(shaped(labels, "labels", ("N",)).shape))
    labels, given = (torch.unique(x, return_inverse=True)[1] for x in (labels, given))
    _, less, together, _ = _entropies(labels, given)
    return together - less


@dataclass(frozen=True)
class Separability:
    """A separability score with its parts.

    Attributes:
        value: exp of the sum of the conditional entropies: 1 where planes part all labels; each
            label that codes say nothing of multiplies it by exp of its entropy, 2 at most.
        entropies: $H("label" | "side of the plane")$ of each, in nats.
        n: codes that each plane was judged on.
    """

    value: float
    entropies: dict[str, float]
    n: int

    def __float__(self) -> float:
        return self.value


def separability(
    codes: Tensor,
    labels: Table | Tensor,
    confidence: Table | Tensor | None = None,
    keep: float = 0.5,
    penalty: float = 1e-3,
    seed: int = 0,
) -> Separability:
    """How well planes in the latent space part two-class labels (Karras et al. 2019, Sec. 4.2).

    The planes are those of logistic regression, not of a support vector machine as published,
    and they are judged on the half of the codes that they were not fitted to.

    Args:
        codes: (N, D), z or w.
        labels: (N,), (N, F) or a dict of (N,): bool, or 0 and 1.
        confidence: of the labels, in the same form: only the share `keep` with the largest is
            used, chosen for each label by itself. None uses all.
        keep: the published half.
        penalty: see `ganlab.latent.linear.logistic`.
        seed: of the halves.

    Raises:
        DataError: numbers disagree, a value is not finite, or a label has one class only.
        RecipeError: `keep` or `penalty` is out of range.
    """
    codes, keep = shaped(codes, "codes", ("N", "D")), number("keep", keep, 0, 1, above=True)
    columns = _columns(labels, len(codes))
    sure = None if confidence is None else _columns(confidence, len(codes))
    if sure is not None and list(sure) != list(columns):
        raise DataError("confidence: one for each label is needed, under the same names")
    codes = codes.detach().cpu().double()
    entropies, used = {}, 0
    for name, y in columns.items():
        index = torch.arange(len(codes))
        if sure is not None:
            order = sure[name].argsort(descending=True, stable=True)
            index = order[: max(4, round(keep * len(order)))]
        learn, judge = (index[part] for part in halves(len(index), seed))
        side = logistic(codes[learn], y[learn], penalty)(codes[judge]) > 0
        entropies[name] = conditional_entropy(y[judge], side)
        used = len(judge)
    return Separability(math.exp(sum(entropies.values())), entropies, used)


def mutual_information(codes: Tensor, factors: Table | Tensor, bins: int = BINS) -> Tensor:
    """I between each coordinate and each factor, in nats, from histograms.

    Numbers are put into bins of equal counts, classes are taken as they are. A histogram of a
    finite sample shows information where there is none; the leading term of that, known from
    the numbers of cells that are not empty (Miller 1955), is taken off.

    Args:
        codes: (N, D).
        factors: (N, F), or a dict of (N,): floats, or whole numbers for classes.
        bins: of numbers, 2 to 100,000.

    Returns:
        (D, F) float64, not negative.

    Raises:
        DataError: numbers disagree, or a value is not finite.
        RecipeError: `bins` is out of range: a single bin tells nothing.
    """
    codes, bins = shaped(codes, "codes", ("N", "D")), at_least("bins", bins, 2, 100_000)
    truth = [_classes(v, bins) for v in _columns(factors, len(codes)).values()]
    found = torch.empty(codes.shape[1], len(truth), dtype=torch.float64)
    for d, column in enumerate(codes.detach().cpu().T):
        own = _classes(column, bins)
        for f, classes in enumerate(truth):
            found[d, f] = _information(own, classes)
    return found


def mig(codes: Tensor, factors: Table | Tensor, bins: int = BINS) -> float:
    """Mutual information gap (Chen et al. 2018, Sec. 4): 1 if each factor has its coordinate.

    For each factor the information in the best coordinate less that in the second best, over
    the factor's entropy; the mean over factors. With $I_i$ the information between coordinate
    $i$ and factor $f$, and the best first, the part of a factor is

        (I_1 - I_2)/(H(f))

    It asks for axes: a rotation of a perfect space
    has a gap of about 0. W was never asked to have its factors along axes.

    Args:
        codes: (N, D), at least two coordinates.
        factors, bins: see `mutual_information`.

    Raises:
        DataError: numbers disagree, a value is not finite, or a factor never varies.
        RecipeError: `bins` is out of range.
    """
    shaped(codes, "codes", ("N", "D"))
    return sum(gaps(codes, factors, bins).values()) / len(_columns(factors, len(codes)))


def gaps(codes: Tensor, factors: Table | Tensor, bins: int = BINS) -> dict[str, float]:
    """Each factor's part of `mig`.

    Raises:
        DataError, RecipeError: as for `mig`.
    """
    codes, bins = shaped(codes, "codes", ("N", "D")), at_least("bins", bins, 2, 100_000)
    columns = _columns(factors, len(codes))
    if codes.shape[1] < 2:
        raise DataError("a gap needs two coordinates at least")
    best = mutual_information(codes, factors, bins).topk(2, 0).values
    found = {}
    for (name, values), (first, second) in zip(columns.items(), best.T.tolist()):
        most = entropy(_classes(values, bins))
        if most == 0:
            raise DataError(f"factor {name} never varies")
        found[name] = (first - second) / most
    return found


def linear_fit(codes: Tensor, factors: Table | Tensor, seed: int = 0) -> dict[str, float]:
    """R² of each factor as a linear function of the code, fitted to one half, on the other.

    Args:
        codes: (N, D).
        factors: (N, F), or a dict of (N,); numbers, not classes.
        seed: of the halves.

    Raises:
        DataError: numbers disagree, or a value is not finite.
        RecipeError: the seed is out of range.
    """
    learn, judge = halves(len(shaped(codes, "codes", ("N", "D"))), seed)
    return {
        name: explained(y[judge], ridge(codes[learn], y[learn])(codes[judge]))
        for name, y in _columns(factors, len(codes)).items()
    }


def _columns(table: Table | Tensor, n: int) -> dict[str, Tensor]:
    found = columns_of(table)
    for name, value in found.items():
        if value.shape != (n,):
            raise DataError(f"{name}: {tuple(value.shape)} for {n} codes")
    return found


def _classes(values: Tensor, bins: int) -> Tensor:
    """Class numbers from 0 without gaps; numbers go into bins of equal counts."""
    if values.is_floating_point() and len(values.unique()) > bins:
        inner = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
        edges = torch.quantile(values.double(), inner)
        values = torch.bucketize(values.double(), edges)
    return torch.unique(values, return_inverse=True)[1]


def _entropies(a: Tensor, b: Tensor) -> tuple[float, float, float, int]:
    """H(a), H(b), H(a, b) in nats of class numbers without gaps, and how many pairs occur."""
    wide = int(b.max()) + 1
    counts = torch.bincount(a * wide + b, minlength=(int(a.max()) + 1) * wide).view(-1, wide)
    shares = counts.double() / len(a)
    h = [-float(torch.xlogy(p, p).sum()) for p in (shares.sum(1), shares.sum(0), shares)]
    return h[0], h[1], h[2], int((counts > 0).sum())


def _information(a: Tensor, b: Tensor) -> float:
    own, other, together, cells = _entropies(a, b)
    extra = (cells - int(a.max()) - int(b.max()) - 1) / (2 * len(a))
    return max(0.0, own + other - together - extra)
