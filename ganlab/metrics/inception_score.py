"""Inception Score (Salimans et al. 2016): are pictures clear, and are they of all classes?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import tensor
from ganlab.metrics.result import Scalar


@dataclass(frozen=True)
class InceptionScore(Scalar):
    """A score with what it was computed from.

    Attributes:
        value: mean over the splits, between 1 and the number of classes.
        std: spread over the splits (divided by their number).
        splits: into how many consecutive parts the samples were cut.
        n: samples.
        classes: length of a row of probabilities.
    """

    value: float
    std: float
    splits: int
    n: int
    classes: int

    def __str__(self) -> str:
        return (
            f"{self.value:.3f} ± {self.std:.3f} over {self.splits} splits"
            f" ({self.n} generated, {self.classes} classes)"
        )


def inception_score(probs: Any, splits: int = 10) -> InceptionScore:
    """How clear and how varied pictures are, over consecutive splits.

    With $p(y|x)$ the classifier's probabilities for a picture and $p(y)$ their mean over a split,
    its score is

        exp E KL(p(y|x) ‖ p(y))

    Real pictures are not asked: the score knows nothing of the data but the classes. It also
    depends on the splits, as $p(y)$ is that of a split; samples sorted by class should be shuffled
    before. With the Inception network the original takes the logits *without bias*.

    Args:
        probs: (N, C) probabilities of the classes, each row summing to 1.
        splits: 10 in the paper.

    Raises:
        DataError: rows are not probabilities (say, logits), more splits than samples, or a
            value is not finite.
        RecipeError: no split.
    """
    half = getattr(getattr(probs, "dtype", None), "itemsize", 8) == 2
    p = _probabilities(probs, 0.05 if half else 1e-3)
    n = len(p)
    splits = at_least("splits", splits)
    if splits > n:
        raise DataError(f"splits={splits} must lie between 1 and the number of samples, {n}")
    scores = []
    for i in range(splits):
        part = p[i * n // splits : (i + 1) * n // splits]
        mean = part.mean(0)
        # xlogy: 0 log 0 is 0. KL(p || mean) in the mean is H(mean) - mean of H(p).
        gain = torch.xlogy(part, part).sum(1).mean() - torch.xlogy(mean, mean).sum()
        scores.append(gain.clamp(min=0).exp())
    found = torch.stack(scores)
    spread = float(found.std(correction=0))
    return InceptionScore(float(found.mean()), spread, splits, n, p.shape[1])


def _probabilities(probs: Any, slack: float) -> Tensor:
    """(N, C) float64 whose rows sum to 1 exactly."""
    p = tensor(probs, "probs")
    if p.ndim != 2 or 0 in p.shape:
        raise DataError(f"probs: (N, C) probabilities expected, not {tuple(p.shape)}")
    if float(p.min()) < 0:
        raise DataError("probs: negative values; these look like logits, apply softmax(1) first")
    off = float((p.sum(1) - 1).abs().max())
    if off > slack:
        raise DataError(
            f"probs: a row sums to 1 ± {off:.3g}; if these are logits, apply softmax(1) first"
        )
    return p / p.sum(1, keepdim=True)
