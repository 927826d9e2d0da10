"""Fréchet distance between two Gaussians fitted to features (Heusel et al. 2017, Eq. 6).

With μ₁, μ₂ the means and Σ₁, Σ₂ the covariances of real and of generated features it is

    ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr (Σ₁ Σ₂)^(1/2)

With Inception features this is the FID; with the features of a small classifier it is the same
formula on another scale, comparable only with itself.

The hard part is the last term. With $Σ₁ = R₁ R₁ᵀ$ and $Σ₂ = R₂ R₂ᵀ$ its trace is the sum of the
singular values of $R₁ᵀ R₂$, whatever roots are taken: no complex numbers, no added epsilon, and
singular matrices are allowed. Three roots are used here. The centred data itself is one, exact to
rounding also where there are fewer samples than dimensions; the Cholesky factor is the fastest
where a covariance has full rank; the eigenvectors always work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import DataError
from ganlab.metrics.arrays import matrix, pair, same_dims, tensor
from ganlab.metrics.products import congruent
from ganlab.metrics.result import Scalar
from ganlab.metrics.streaming import Statistics

SMALL = 256  # dimensions up to which the data's own root costs next to nothing


@dataclass(frozen=True)
class FrechetDistance(Scalar):
    """A distance with what it was computed from.

    Attributes:
        value: the squared Fréchet distance, >= 0 up to rounding.
        mean_part: the share of it that comes from the means, $‖μ₁ - μ₂‖²$.
        n_real, n_fake: sample sizes; the estimate is biased upwards by about $1/n$.
        dims: length of the feature vectors.
    """

    value: float
    mean_part: float
    n_real: int
    n_fake: int
    dims: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.n_real} real, {self.n_fake} generated, {self.dims}-d)"


def statistics(features: Any, name: str = "features") -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D), with N-1, of (N, D) features in float64.

    Raises:
        DataError: the shape is wrong, fewer than two samples, or a value is not finite.
    """
    found = Statistics.of(matrix(features, name, 2, "a covariance"))
    return found.mean, found.covariance


def frechet_distance(mu1: Any, sigma1: Any, mu2: Any, sigma2: Any) -> float:
    """The distance of two Gaussians, from their means and covariances (Eq. 6).

        ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr (Σ₁ Σ₂)^(1/2)

    Args:
        mu1, sigma1: (D,) and (D, D), of the real data.
        mu2, sigma2: of the generated data.

    Raises:
        DataError: shapes disagree, a covariance is not symmetric, or a value is not finite.
    """
    m1, s1 = _gaussian(mu1, sigma1, "real")
    m2, s2 = _gaussian(mu2, sigma2, "generated")
    same_dims(len(m1), len(m2))
    return _distance(m1, s1, m2.to(m1.device), s2.to(m1.device))


def fid(real: Any, fake: Any) -> FrechetDistance:
    """Fréchet distance between two sets of features, real first.

    Args:
        real: (N, D) array or tensor of any float type, or `Statistics`.
        fake: (M, D), or `Statistics`.

    Raises:
        DataError: shapes disagree, fewer than two samples, or a value is not finite; the text
            says which argument.
    """
    if isinstance(real, Statistics) or isinstance(fake, Statistics):
        return _of_statistics(_as_statistics(real, "real"), _as_statistics(fake, "fake"))
    x, y = pair(real, fake, 2, "a covariance")
    n, m, dims = len(x), len(y), x.shape[1]
    if dims > SMALL and max(n, m) > dims:
        return _of_statistics(Statistics.of(x), Statistics.of(y))
    shift = (x.mean(0) - y.mean(0)).square().sum()
    a, b = (_root((v - v.mean(0)) / (len(v) - 1) ** 0.5) for v in (x, y))
    if not bool(torch.cat([a.flatten(), b.flatten(), shift[None]]).isfinite().all()):
        raise DataError("features are too large: their distance is not finite")
    cross = torch.linalg.svdvals(a @ b.T).sum()
    value = shift + a.square().sum() + b.square().sum() - 2 * cross
    return FrechetDistance(float(value), float(shift), n, m, dims)


def _as_statistics(x: Any, name: str) -> Statistics:
    found = x if isinstance(x, Statistics) else Statistics.of(x, name)
    if found.count < 2:
        raise DataError(f"{name}: a covariance needs at least 2 samples, not {found.count}")
    return found


def _of_statistics(real: Statistics, fake: Statistics) -> FrechetDistance:
    same_dims(real.dims, fake.dims)
    mu1, s1 = real.mean, real.covariance
    mu2, s2 = fake.mean.to(mu1.device), fake.covariance.to(mu1.device)
    return FrechetDistance(
        value=_distance(mu1, s1, mu2, s2),
        mean_part=float((mu1 - mu2).square().sum()),
        n_real=real.count,
        n_fake=fake.count,
        dims=real.dims,
    )


def _gaussian(mu: Any, sigma: Any, name: str) -> tuple[Tensor, Tensor]:
    m, s = tensor(mu, f"{name} mean"), tensor(sigma, f"{name} covariance")
    if m.ndim != 1 or len(m) == 0 or s.shape != (len(m), len(m)):
        raise DataError(
            f"{name}: mean {tuple(m.shape)} and covariance {tuple(s.shape)} do not fit:"
            " (D,) and (D, D) expected"
        )
    if float((s - s.T).abs().max()) > 1e-6 * float(s.abs().max()):
        raise DataError(f"{name}: the covariance is not symmetric")
    return m, s.to(m.device)


def _distance(m1: Tensor, s1: Tensor, m2: Tensor, s2: Tensor) -> float:
    apart = (m1 - m2).square().sum() + s1.trace() + s2.trace()
    if not bool(apart.isfinite()):  # before a decomposition fails on it
        raise DataError("features are too large: their distance is not finite")
    return float(apart - 2 * _overlap(s1, s2))


def _root(centred: Tensor) -> Tensor:
    """(N, D) -> at most D rows with the same product $Aᵀ A$."""
    return torch.linalg.qr(centred, mode="r").R if len(centred) > centred.shape[1] else centred


def _overlap(s1: Tensor, s2: Tensor) -> Tensor:
    """$tr (Σ₁ Σ₂)^(1/2)$ of two symmetric matrices."""
    for a, b in ((s1, s2), (s2, s1)):
        root, failed = torch.linalg.cholesky_ex(a)
        if not int(failed):
            return _sum_of_roots(congruent(root, b))
    values, vectors = torch.linalg.eigh(s1)
    root = vectors * values.clamp(min=0).sqrt()
    return _sum_of_roots(root.T @ s2 @ root)


def _sum_of_roots(product: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
