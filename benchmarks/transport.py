"""Exact Wasserstein-1 distances between sets of equally many samples, by matching."""

from __future__ import annotations

import math

import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

from ganlab.data import toy


def matched(a: Tensor, b: Tensor) -> float:
    """W1 between two sets (N, ...) in Euclidean distance: the mean over the best pairs."""
    table = cdist(a.flatten(1).numpy(), b.flatten(1).numpy())
    return float(table[linear_sum_assignment(table)].mean())


def to_heaps(samples: Tensor, data: str, points: int) -> list[float]:
    """W1 of each seed's first samples to as many points of the data, equally many of each heap.

    Args:
        samples: (seeds, n, 2).
        data: name of a set of heaps, as ring8.
        points: of either side, at most n.

    Returns:
        A distance a seed; infinite where a training has diverged.
    """
    heaps = toy.make(data)
    noise = torch.randn(points, 2, generator=torch.Generator().manual_seed(0))
    real = heaps.centers[torch.arange(points) % len(heaps.centers)] + heaps.std * noise
    return [
        round(matched(real, cloud[:points]), 4) if bool(cloud.isfinite().all()) else math.inf
        for cloud in samples
    ]
