"""Points whose distribution is known exactly: where the modes are, and often the density.

The ring and the grid have the sizes of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761) and
PacGAN (Lin et al. 2018, arXiv:1712.04086): 8 Gaussians of standard deviation 0.01 on a circle of
radius 1, and 25 of 0.05 on the grid {-4, -2, 0, 2, 4}^2.

Every distribution has ``name``, ``dim``, ``sample(n, generator)``, ``log_prob(x)``, ``centers``
((K, dim) or None) and ``std`` (of one mode, or None).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import DataError, unknown

_BLOCK = 2**22  # pairs (point, node) that are looked at at a time


def _where(generator: torch.Generator | None) -> torch.device:
    return torch.device("cpu") if generator is None else generator.device


def _mixture_log_prob(x: Tensor, nodes: Tensor, log_weights: Tensor, std: float) -> Tensor:
    """Log density of equal round Gaussians at ``nodes`` with the given weights, in float64."""
    if x.ndim != 2 or x.shape[1] != nodes.shape[1]:
        raise DataError(f"points must have the shape (n, {nodes.shape[1]}), not {tuple(x.shape)}")
    nodes, log_weights = nodes.to(x.device), log_weights.to(x.device)
    constant = -0.5 * nodes.shape[1] * math.log(2 * math.pi * std**2)
    parts = []
    for part in x.double().split(max(1, _BLOCK // len(nodes))):
        square = part.square().sum(1, keepdim=True) - 2 * part @ nodes.T + nodes.square().sum(1)
        parts.append(torch.logsumexp(log_weights - square / (2 * std**2), dim=1))
    return (torch.cat(parts) + constant).to(x.dtype if x.is_floating_point() else torch.float32)


@dataclass(frozen=True)
class Mixture:
    """Round Gaussians of equal weight and spread.

    Attributes:
        name: what it is called.
        points: the mode centres, K tuples of ``dim`` numbers.
        std: standard deviation of each mode in each direction, 0 for point masses.
    """

    name: str
    points: tuple[tuple[float, ...], ...]
    std: float

    def __post_init__(self) -> None:
        if not self.points or not self.points[0]:
            raise DataError(f"{self.name} needs at least one centre")
        if not self.std >= 0:
            raise DataError(f"std={self.std} must not be negative")

    @property
    def dim(self) -> int:
        """Numbers per point."""
        return len(self.points[0])

    @property
    def centers(self) -> Tensor:
        """Mode centres, ``float32`` (K, dim)."""
        return torch.tensor(self.points, dtype=torch.float32)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` independent points, ``float32`` (n, dim), on the generator's device."""
        where = _where(generator)
        mode = torch.randint(len(self.points), (n,), generator=generator, device=where)
        noise = torch.randn(n, self.dim, generator=generator, device=where)
        return self.centers.to(where)[mode] + self.std * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density (n,) at points (n, dim), natural logarithm.

        Raises:
            DataError: if the points have another shape, or if there is no density (``std`` 0).
        """
        if self.std == 0:
            raise DataError(f"{self.name} is a point mass: it has no density")
        nodes = torch.tensor(self.points, dtype=torch.float64)
        weights = torch.full((len(nodes),), -math.log(len(nodes)), dtype=torch.float64)
        return _mixture_log_prob(x, nodes, weights, self.std)


@dataclass(frozen=True)
class Curve:
    """A point that moves along curves in the plane, seen through round Gaussian noise.

    The density is the integral of the noise's density along the curves, by Gauss-Legendre
    quadrature on pieces shorter than the noise is wide: exact to about 1e-10.

    Attributes:
        name: what it is called.
        pieces: functions of u in [0, 1] (any shape, ``float64``) that return (x, y); each is
            chosen with the same probability, and u is uniform.
        lengths: an upper bound of the speed |d(x, y)/du| of each piece.
        noise: standard deviation of the noise in each direction.
    """

    name: str
    pieces: tuple[Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], ...]
    lengths: tuple[float, ...]
    noise: float
    dim: int = 2
    centers: None = None
    std: None = None

    def __post_init__(self) -> None:
        if not self.noise >= 0:
            raise DataError(f"noise={self.noise} must not be negative")

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` independent points, ``float32`` (n, 2), on the generator's device."""
        where = _where(generator)
        piece = torch.randint(len(self.pieces), (n,), generator=generator, device=where)
        u = torch.rand(n, generator=generator, device=where, dtype=torch.float64)
        noise = torch.randn(n, 2, generator=generator, device=where)
        at = u.cpu().numpy()
        spots = np.stack([np.stack(curve(at), axis=1) for curve in self.pieces])
        spots = spots[piece.cpu().numpy(), np.arange(n)]
        return torch.from_numpy(spots).float().to(where) + self.noise * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density (n,) at points (n, 2), natural logarithm.

        Raises:
            DataError: if the points have another shape, or if there is no density (``noise`` 0).
        """
        if self.noise == 0:
            raise DataError(f"{self.name} without noise lies on a curve: it has no density")
        nodes, log_weights = self._nodes()
        return _mixture_log_prob(x, nodes, log_weights, self.noise)

    def _nodes(self) -> tuple[Tensor, Tensor]:
        spots, weights = [], []
        x, w = _legendre()
        for curve, length in zip(self.pieces, self.lengths):
            parts = math.ceil(length / (1.5 * self.noise))
            u = ((np.arange(parts)[:, None] + (x + 1) / 2) / parts).ravel()
            spots.append(np.stack(curve(u), axis=1))
            weights.append(np.tile(w / (2 * parts * len(self.pieces)), parts))
        return (
            torch.from_numpy(np.concatenate(spots)),
            torch.from_numpy(np.log(np.concatenate(weights))),
        )


@lru_cache(maxsize=1)
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(12)


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Gaussians evenly spaced on a circle around the origin, the first at angle 0."""
    if modes < 1:
        raise DataError(f"modes={modes} must be at least 1")
    angles = [2 * math.pi * i / modes for i in range(modes)]
    points = tuple((radius * math.cos(a), radius * math.sin(a)) for a in angles)
    return Mixture(f"ring{modes}", points, std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """``side`` x ``side`` Gaussians on a square lattice around the origin."""
    if side < 1:
        raise DataError(f"side={side} must be at least 1")
    steps = [(i - (side - 1) / 2) * spacing for i in range(side)]
    return Mixture(f"grid{side * side}", tuple((x, y) for x in steps for y in steps), std)


def _upper_moon(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.cos(np.pi * u) - 0.5, np.sin(np.pi * u) - 0.25


def _lower_moon(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 0.5 - np.cos(np.pi * u), 0.25 - np.sin(np.pi * u)


def two_moons(noise: float = 0.05) -> Curve:
    """Two interleaved half circles of radius 1, turned into each other at the origin."""
    return Curve("moons", (_upper_moon, _lower_moon), (math.pi, math.pi), noise)


_ROLL = (1.5 * math.pi, 4.5 * math.pi)


def _roll(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    angle = _ROLL[0] + (_ROLL[1] - _ROLL[0]) * u
    return 2 * angle / _ROLL[1] * np.cos(angle), 2 * angle / _ROLL[1] * np.sin(angle)


def swiss_roll(noise: float = 0.05) -> Curve:
    """A spiral of one and a half turns around the origin, from radius 2/3 to radius 2."""
    speed = 2 * (_ROLL[1] - _ROLL[0]) / _ROLL[1] * math.hypot(1.0, _ROLL[1])
    return Curve("swissroll", (_roll,), (speed,), noise)


def dirac(at: tuple[float, ...] = (0.0, 0.0)) -> Mixture:
    """One point with all the mass: the Dirac-GAN of Mescheder et al. 2018 (arXiv:1801.04406)."""
    return Mixture("dirac", (tuple(float(v) for v in at),), 0.0)


#: What :func:`make` knows.
NAMES: dict[str, Callable[[], Mixture | Curve]] = {
    "ring8": ring,
    "grid25": grid,
    "moons": two_moons,
    "swissroll": swiss_roll,
    "dirac": dirac,
}


def make(name: str) -> Mixture | Curve:
    """A distribution with its usual sizes, by name.

    Raises:
        DataError: for a name that is not in :data:`NAMES`.
    """
    if name not in NAMES:
        raise DataError(unknown("distribution", name, NAMES))
    return NAMES[name]()
