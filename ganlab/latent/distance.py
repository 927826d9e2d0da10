"""How far a picture is from its target, with nothing to download and nothing to train."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import DataError, RecipeError
from ganlab.metrics.arrays import shaped

COARSEST = 4  # pixels


def pyramid_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of the pictures and of their halvings down to 4x4, averaged.

    Fine detail that lies a little off costs its part at the fine sizes only; so there is a slope
    towards the right place from farther away than with pixels alone. It grows with the square of
    a small change. For what people see, give a `FeatureDistance` of a trained network instead.

    Args:
        a, b: (B, C, H, W) in [-1, 1].

    Returns:
        (B,), not negative.

    Raises:
        RecipeError: the shapes differ.
        DataError: they are no pictures, or a value is not finite.
    """
    for name, x in (("a", a), ("b", b)):
        shaped(x, name, ("B", "C", "H", "W"))
        if not x.is_floating_point():
            raise DataError(f"{name}: floats in [-1, 1] expected, not {x.dtype}")
    if a.shape != b.shape:
        raise RecipeError(f"pictures {tuple(a.shape)} and {tuple(b.shape)} have different shapes")
    difference = a - b
    levels = [difference.square().mean((1, 2, 3))]
    while min(difference.shape[2:]) >= 2 * COARSEST:
        difference = F.avg_pool2d(difference, 2)
        levels.append(difference.square().mean((1, 2, 3)))
    return torch.stack(levels).mean(0)
