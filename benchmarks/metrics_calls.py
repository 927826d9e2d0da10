"""What `metrics.py` times: the same computation in each library, on the same features."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def call(case: str, library: str, x: Any, y: Any) -> Callable[[], Any]:
    """What is timed: no import and no conversion that a user would not pay for each time."""
    kind = case.split("-")[0]
    if library == "ganlab":
        from ganlab import metrics

        if case == "fid-statistics":
            stats = [v for f in (x, y) for v in metrics.statistics(f)]
            return lambda: metrics.frechet_distance(*stats)
        if kind == "prdc":
            return lambda: tuple(vars(metrics.prdc(x, y)).values())[:4]
        return lambda: float((metrics.fid if kind == "fid" else metrics.kid)(x, y))
    if library == "loop":
        return lambda: loop(x.tolist(), y.tolist(), 5)
    if library == "prdc":
        from prdc import compute_prdc

        a, b = x.numpy(), y.numpy()
        return lambda: tuple(float(v) for v in compute_prdc(a, b, 5).values())
    if library == "pytorch-fid":
        import numpy as np
        from pytorch_fid.fid_score import calculate_frechet_distance

        def gaussian(f: Any) -> tuple[Any, Any]:
            return np.mean(f, axis=0), np.cov(f, rowvar=False)

        a, b = x.numpy(), y.numpy()
        if case == "fid-statistics":
            known = (*gaussian(a), *gaussian(b))
            return lambda: float(calculate_frechet_distance(*known))
        return lambda: float(calculate_frechet_distance(*gaussian(a), *gaussian(b)))
    if library == "torch-fidelity":
        from torch_fidelity import metric_fid, metric_kid

        def distance(*both: Any) -> float:
            found = metric_fid.fid_statistics_to_metric(*both, verbose=False)
            return float(found["frechet_inception_distance"])

        of = metric_fid.fid_features_to_statistics
        if case == "fid-statistics":
            both = of(x), of(y)
            return lambda: distance(*both)
        if kind == "fid":
            return lambda: distance(of(x), of(y))
        return lambda: metric_kid.kid_features_to_metric(
            x, y, kid_subsets=100, kid_subset_size=1000, verbose=False
        )["kernel_inception_distance_mean"]
    return torchmetrics_call(case, x, y)


def torchmetrics_call(case: str, x: Any, y: Any) -> Callable[[], Any]:
    """Torchmetrics takes features through a module that returns its input."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance, _compute_fid
    from torchmetrics.image.kid import KernelInceptionDistance

    class AsTheyAre(torch.nn.Module):
        num_features = x.shape[1]

        def forward(self, features: Any) -> Any:
            return features

    if case == "fid-statistics":
        known = [v for f in (x, y) for v in (f.double().mean(0), torch.cov(f.double().T))]
        return lambda: float(_compute_fid(*known))

    def run() -> float:
        if case.startswith("fid"):
            metric: Any = FrechetInceptionDistance(feature=AsTheyAre())
        else:
            metric = KernelInceptionDistance(feature=AsTheyAre(), subsets=100, subset_size=1000)
        metric.update(x, real=True)
        metric.update(y, real=False)
        found = metric.compute()
        return float(found if case.startswith("fid") else found[0])

    return run


def loop(x: list, y: list, k: int) -> tuple[float, float, float, float]:
    """PRDC pair by pair in plain Python."""

    def radii(a: list) -> list[float]:
        return [
            sorted(math.dist(p, q) for j, q in enumerate(a) if j != i)[k - 1]
            for i, p in enumerate(a)
        ]

    of_x, of_y = radii(x), radii(y)
    inside = [[math.dist(p, q) < r for q in y] for p, r in zip(x, of_x)]
    recalled = sum(any(math.dist(p, q) < r for q, r in zip(y, of_y)) for p in x)
    precise = sum(any(column) for column in zip(*inside))
    density = sum(map(sum, inside)) / (k * len(y))
    return precise / len(y), recalled / len(x), density, sum(map(any, inside)) / len(x)


def features(n: int, d: int) -> tuple[Any, Any]:
    """Two different Gaussians, correlated as the features of a network are."""
    import torch

    draw = torch.Generator().manual_seed(0)
    mix = torch.eye(d) + torch.randn(d, d, generator=draw) / d**0.5
    x = torch.randn(n, d, generator=draw) @ mix
    y = torch.randn(n, d, generator=draw) @ mix * 1.02 + 0.02
    return x, y
