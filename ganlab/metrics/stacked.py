"""How many of the thousand modes of stacked digits a generator has found.

The protocol of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018): a classifier of
single digits reads the three channels of 26,000 samples; a mode is found if one sample falls
into it, and the reverse KL is that of the samples' modes against the uniform distribution.

That protocol believes the classifier in whatever it sees. One that errs on one digit in a hundred
puts three samples in a hundred into a wrong mode, and so finds modes that are not there: of a
generator that knows few, the count is too high. So the share of samples of whose three digits it
is all but certain, and the modes that these alone find, stand beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.data.imageset import ImageSet
from ganlab.data.stacked import MODES, single
from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import as_bytes, picture_set, raw, shaped
from ganlab.metrics.features import Classifier, classifier

SAMPLES = 26_000  # of the published protocol
SURE = 0.99  # probability from which a digit counts as recognised


@dataclass(frozen=True)
class StackedModes:
    """What samples cover of the thousand stacks.

    Attributes:
        found: modes into which at least one sample falls.
        modes: modes that there are, 1000.
        good: share of samples whose three digits are each recognised with a probability of at
            least `SURE`, in [0, 1].
        found_good: modes into which at least one of those falls.
        reverse_kl: $KL("samples" ‖ "uniform")$ over the modes, in nats. 0 is balanced, 6.908, the
            log of 1000, is one mode only; exact samples have more than 0 (`expected_modes`).
        samples: how many were scored.
        counts: samples per mode.
    """

    found: int
    modes: int
    good: float
    found_good: int
    reverse_kl: float
    samples: int
    counts: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"{self.found}/{self.modes} modes in {self.samples:,} samples,"
            f" reverse KL {self.reverse_kl:.3f}, {self.good:.1%} of them clear"
        )


@dataclass
class StackJudge:
    """A classifier of single digits that reads three at a time.

    Attributes:
        digits: the classifier; its `accuracy` is that of one held-out digit.
        shares: (10,) how often each digit occurs in the data.
        task: what its features were learned from.
    """

    digits: Classifier
    shares: Tensor
    task: str = "digits"

    @property
    def accuracy(self) -> float:
        """Of one held-out digit; a stack is read right with its third power."""
        return self.digits.accuracy

    @property
    def fingerprint(self) -> str:
        """Of the weights; scores are comparable only if it agrees."""
        return self.digits.fingerprint

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1], or uint8 -> (N, 192) float64: those of the three digits."""
        return self.digits.features(_apart(images)).view(len(images), -1)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The three-digit numbers (N,) int64, and how sure of its least sure digit (N,)."""
        sure, digit = self.digits.predict(_apart(images)).view(len(images), 3, 10).max(2)
        return digit @ torch.tensor([100, 10, 1]), sure.min(1).values

    def mode_shares(self) -> Tensor:
        """(1000,) float64: how often each mode occurs in endless data."""
        one = self.shares
        return (one[:, None, None] * one[:, None] * one).flatten()


def _apart(images: Tensor) -> Tensor:
    """(N, 3, H, W) -> (3N, 1, H, W)."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"stacks are (N, 3, H, W), not {tuple(images.shape)}")
    return images.reshape(-1, 1, *images.shape[2:])


def stack_judge(data: ImageSet, device: torch.device | str = "cpu", seed: int = 0) -> StackJudge:
    """The judge of a set of stacks: from the cache, or trained now on its single digits.

    Args:
        data: from `load("stacked-mnist")`, or its stand-in.
        device, seed: see `ganlab.metrics.classifier`.

    Raises:
        DataError: the data are not stacks.
    """
    digits = single(picture_set(data))
    assert digits.labels is not None
    counts = torch.bincount(digits.labels, minlength=10).double()
    return StackJudge(classifier(digits, device, seed), counts / counts.sum())


def stacked_modes(
    images: Any, judge: StackJudge, samples: int = SAMPLES, batch: int = 1024
) -> StackedModes:
    """Count the modes that pictures cover.

    Args:
        images: (N, 3, H, W) bytes, or floats in [-1, 1], which are rounded to bytes first: a
            picture that is stored and read scores the same.
        judge: from `stack_judge`.
        samples: at most this many are scored, the first ones. Fewer find fewer modes and have a
            larger reverse KL, so numbers of different counts are not comparable.
        batch: pictures at a time.

    Raises:
        DataError: no picture, not of three channels, or a value is not finite.
        RecipeError: `samples` or `batch` is no count.
    """
    x, samples = raw(images, "images"), at_least("samples", samples)
    if not hasattr(judge, "read"):
        raise DataError(f"judge: one from stack_judge expected, not a {type(judge).__name__}")
    if x.ndim == 0 or len(x) == 0:
        raise DataError("there is no picture to score")
    parts = [judge.read(as_bytes(p)) for p in x[:samples].split(at_least("batch", batch))]
    mode, sure = (torch.cat(part) for part in zip(*parts))
    counts = torch.bincount(mode, minlength=MODES)
    clear = sure >= SURE
    shares = counts[counts > 0].double() / len(mode)
    return StackedModes(
        found=int((counts > 0).sum()),
        modes=MODES,
        good=float(clear.double().mean()),
        found_good=len(mode[clear].unique()),
        reverse_kl=float((shares * shares.log()).sum()) + math.log(MODES),
        samples=len(mode),
        counts=tuple(counts.tolist()),
    )


def expected_modes(shares: Tensor, samples: int) -> tuple[float, float]:
    """What exact samples score on average: modes found, and reverse KL in nats.

    The count $c$ of a mode of share $p$ is binomial, so the modes found and the reverse KL are

        ∑_p (1 - (1 - p)^N)
        log K + ∑_p E[c/N log(c/N)]

    the latter computed exactly up to counts 12 standard deviations off. For equal shares it is
    close to $(K - 1)/(2 N)$.

    Args:
        shares: (K,) probabilities of the modes.
        samples: N.

    Raises:
        DataError: the shares are no probabilities.
        RecipeError: no sample.
    """
    samples = at_least("samples", samples)
    p = shaped(raw(shares, "shares"), "shares", ("K",)).double()
    if float(p.min()) < 0 or abs(float(p.sum()) - 1) > 1e-3:
        raise DataError(f"shares: probabilities that sum to 1 expected, not to {float(p.sum()):g}")
    found = float(-torch.expm1(samples * torch.log1p(-p)).sum())
    p = p.clamp(max=1 - 1e-15)  # a share of 1 is the limit
    most = min(samples, int(samples * float(p.max()) + 12 * math.sqrt(samples) + 40))
    total = 0.0
    count = torch.arange(1, most + 1, dtype=torch.float64)
    n = torch.tensor(float(samples), dtype=torch.float64)
    choose = torch.lgamma(n + 1) - torch.lgamma(count + 1) - torch.lgamma(n - count + 1)
    term = count / n * (count / n).log()
    # Modes of equal share, of which stacks have many, cost one sum.
    for value, times in zip(*(t.tolist() for t in p[p > 0].unique(return_counts=True))):
        log = choose + count * math.log(value) + (n - count) * math.log1p(-value)
        total += times * float((log.exp() * term).sum())
    return found, total + math.log(len(p))
