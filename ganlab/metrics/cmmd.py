"""CMMD: the squared maximum mean discrepancy with a Gaussian kernel, of CLIP embeddings.

Jayasumana et al. 2024, "Rethinking FID", arXiv 2401.09603: bandwidth 10, times 1000 for reading.
The function takes feature vectors; with those of another network than CLIP it is the same formula
on another scale, comparable only with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import DataError
from ganlab.metrics.arrays import number, pair
from ganlab.metrics.mmd import pairs
from ganlab.metrics.result import Scalar


@dataclass(frozen=True)
class CMMD(Scalar):
    """A distance with what it was computed from.

    Attributes:
        value: the estimate, times `scale`. Unbiased, it may be negative and is not clipped.
        stderr: its standard error, times `scale`; NaN for fewer than four samples of a kind.
        sigma, scale: bandwidth of the kernel, and the factor.
        biased: whether pairs of a sample with itself were counted, as in the authors' program.
        n_real, n_fake: sample sizes.
        dims: length of the feature vectors.
    """

    value: float
    stderr: float
    sigma: float
    scale: float
    biased: bool
    n_real: int
    n_fake: int
    dims: int

    def __str__(self) -> str:
        return (
            f"{self.value:.4f} ± {self.stderr:.4f} ({self.n_real} real, {self.n_fake} generated,"
            f" {self.dims}-d, sigma {self.sigma:g})"
        )


def cmmd(
    real: Any,
    fake: Any,
    sigma: float = 10.0,
    scale: float = 1000.0,
    unit: bool = True,
    biased: bool = False,
) -> CMMD:
    """Squared MMD with a Gaussian kernel, over all pairs.

    The kernel is

        k(x, y) = exp(-‖x - y‖²/(2 σ²))

    With unit vectors and the paper's bandwidth every $‖x - y‖²/(2 σ²)$ is at most 0.02: the
    kernel is nearly linear there, and the value close to `scale / sigma**2` times the squared
    distance of the two means.

    Args:
        real: (N, D) features of any float type.
        fake: (M, D).
        sigma: the bandwidth σ; 10 in the paper.
        scale: factor of the result; 1000 in the paper.
        unit: bring each feature vector to length 1 first, as CLIP's are.
        biased: count each sample's pair with itself too, as the authors' program does: the floor
            is then above 0 and falls with $1/N$. The paper's formula leaves it out.

    Raises:
        DataError: shapes disagree, fewer than two samples, a value is not finite, or a vector of
            length 0 cannot be brought to length 1.
        RecipeError: a number is out of range.
    """
    x, y = pair(real, fake, 2, "a mean over pairs")
    sigma, scale = number("sigma", sigma, 0, above=True), number("scale", scale, 0, above=True)
    if unit:
        x, y = _unit(x, "real"), _unit(y, "fake")
    # Distances cancel to fewer digits far from the origin, and a common shift changes none.
    middle = torch.cat([x, y]).mean(0)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
        return squares.clamp_(min=0).div_(-2 * sigma**2).exp_()

    found = pairs(x - middle, y - middle, kernel)
    value = found.biased if biased else found.unbiased
    error = found.variance(len(x), len(y)) ** 0.5
    sizes = len(x), len(y), x.shape[1]
    return CMMD(scale * value, scale * error, sigma, scale, bool(biased), *sizes)


def _unit(x: Tensor, name: str) -> Tensor:
    length = x.norm(dim=1, keepdim=True)
    if bool((length == 0).any()):
        raise DataError(f"{name}: a feature vector of zeros has no direction: pass unit=False")
    return x / length
