"""Modes found and share of good samples, where the truth is a known mixture.

The protocol of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018): a sample is good
if it lies within three standard deviations of its nearest centre; a mode is found if it has at
least one good sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ganlab.errors import DataError
from ganlab.metrics.arrays import number, tensor


@dataclass(frozen=True)
class ModeCoverage:
    """What a sample covers of a known mixture.

    Attributes:
        found: modes with at least one good sample.
        modes: modes that there are.
        good: share of samples within the radius of a centre, in [0, 1]. Exact samples of a 2-D
            mixture score $1 - exp(-9/2)$, about 0.989, not 1.
        reverse_kl: $KL("generated" ‖ "uniform")$ over the modes of the good samples, in nats; 0 is
            balanced, the log of `modes` is one mode only, infinite if no sample is good.
        counts: good samples per mode.
    """

    found: int
    modes: int
    good: float
    reverse_kl: float
    counts: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.found}/{self.modes} modes, {self.good:.1%} good samples"


def mode_coverage(
    samples: object, centers: object, std: float, radius: float = 3.0
) -> ModeCoverage:
    """Count modes and good samples.

    Args:
        samples: (N, d) generated points.
        centers: (K, d) the modes.
        std: standard deviation of each mode.
        radius: of a good sample, in units of `std`.

    Raises:
        DataError: shapes disagree, no sample, or a value is not finite.
        RecipeError: std or radius is not positive.
    """
    x = tensor(samples, "samples").cpu()
    c = tensor(centers, "centers").cpu()
    if x.ndim != 2 or c.ndim != 2 or x.shape[1] != c.shape[1]:
        raise DataError(
            f"samples {tuple(x.shape)} and centers {tuple(c.shape)} do not fit:"
            " (N, d) and (K, d) expected"
        )
    if len(x) == 0 or len(c) == 0:
        raise DataError("samples and centers must not be empty")
    std, radius = number("std", std, 0, above=True), number("radius", radius, 0, above=True)
    # Direct differences: the matrix-product form of cdist loses digits far from the origin.
    distance = torch.cdist(x, c, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.min(1)
    good = nearest.values <= radius * std
    counts = torch.bincount(nearest.indices[good], minlength=len(c))
    shares = counts[counts > 0].double() / max(int(counts.sum()), 1)
    kl = float((shares * shares.log()).sum()) + math.log(len(c)) if len(shares) else math.inf
    return ModeCoverage(
        found=int((counts > 0).sum()),
        modes=len(c),
        good=float(good.double().mean()),
        reverse_kl=kl,
        counts=tuple(counts.tolist()),
    )
