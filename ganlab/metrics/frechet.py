"""Fréchet distance between two Gaussians fitted to features (Heusel et al. 2017, Eq. 6).

With Inception features this is the FID; with the features of a small classifier it is the same
formula on another scale, comparable only with itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrechetDistance:
    """A distance with what it was computed from.

    Attributes:
        value: the squared Fréchet distance, >= 0 up to rounding.
        mean_part: the share of it that comes from the means, |mu1 - mu2|^2.
        n_real, n_fake: sample sizes; the estimate is biased upwards by about 1/n.
        dims: length of the feature vectors.
    """

    value: float
    mean_part: float
    n_real: int
    n_fake: int
    dims: int

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.n_real} real, {self.n_fake} generated, {self.dims}-d)"


def _matrix(x: object, name: str) -> Tensor:
    """(N, D) float64 on the CPU or the tensor's own device.

    Raises:
        ValueError: the shape is wrong, or a value is not finite.
    """
    features = torch.as_tensor(x).detach().to(torch.float64)
    if features.ndim != 2:
        raise ValueError(f"{name}: features must have shape (N, D), not {tuple(features.shape)}")
    if len(features) < 2:
        raise ValueError(f"{name}: a covariance needs at least 2 samples, not {len(features)}")
    if not bool(features.isfinite().all()):
        raise ValueError(f"{name}: features contain NaN or infinity")
    return features


def statistics(features: object, name: str = "features") -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D), with N-1, of (N, D) features in float64.

    Raises:
        ValueError: the shape is wrong, fewer than two samples, or a value is not finite.
    """
    x = _matrix(features, name)
    mu = x.mean(0)
    centered = x - mu
    return mu, centered.T @ centered / (len(x) - 1)


def frechet_distance(mu1: object, sigma1: object, mu2: object, sigma2: object) -> float:
    """|mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2).

    The trace of the square root is the sum of the square roots of the eigenvalues of
    S1^(1/2) S2 S1^(1/2), which is symmetric: no complex numbers, no added epsilon, and singular
    matrices are allowed.

    Args:
        mu1, sigma1: (D,) and (D, D), of the real data.
        mu2, sigma2: of the generated data.

    Raises:
        ValueError: shapes disagree or a value is not finite.
    """
    m1, s1, m2, s2 = (
        torch.as_tensor(v).detach().to(torch.float64) for v in (mu1, sigma1, mu2, sigma2)
    )
    for name, m, s in (("real", m1, s1), ("generated", m2, s2)):
        if m.ndim != 1 or s.shape != (len(m), len(m)):
            raise ValueError(
                f"{name}: mean {tuple(m.shape)} and covariance {tuple(s.shape)} do not fit:"
                " (D,) and (D, D) expected"
            )
        if not bool(m.isfinite().all() and s.isfinite().all()):
            raise ValueError(f"{name}: statistics contain NaN or infinity")
    if len(m1) != len(m2):
        raise ValueError(f"real features have {len(m1)} dimensions, generated ones {len(m2)}")
    values, vectors = torch.linalg.eigh(s1)
    root = vectors * values.clamp(min=0).sqrt()
    cross = torch.linalg.eigvalsh(root.T @ s2 @ root).clamp(min=0).sqrt().sum()
    return float((m1 - m2).square().sum() + s1.trace() + s2.trace() - 2 * cross)


def fid(real: object, fake: object) -> FrechetDistance:
    """Fréchet distance between two sets of features, real first.

    Args:
        real: (N, D) array or tensor of any float type.
        fake: (M, D).

    Raises:
        ValueError: shapes disagree, fewer than two samples, or a value is not finite; the text
            says which argument.
    """
    x, y = _matrix(real, "real"), _matrix(fake, "fake")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"real features have {x.shape[1]} dimensions, generated {y.shape[1]}")
    mu1, s1 = statistics(x)
    mu2, s2 = statistics(y)
    return FrechetDistance(
        value=frechet_distance(mu1, s1, mu2, s2),
        mean_part=float((mu1 - mu2).square().sum()),
        n_real=len(x),
        n_fake=len(y),
        dims=x.shape[1],
    )
