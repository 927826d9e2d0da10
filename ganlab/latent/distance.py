"""How far a picture is from its target, with nothing to download and nothing to train."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import RecipeError

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
    """
    if a.shape != b.shape:
        raise RecipeError(f"pictures {tuple(a.shape)} and {tuple(b.shape)} have different shapes")
    difference = a - b
    levels = [difference.square().mean((1, 2, 3))]
    while min(difference.shape[2:]) >= 2 * COARSEST:
        difference = F.avg_pool2d(difference, 2)
        levels.append(difference.square().mean((1, 2, 3)))
    return torch.stack(levels).mean(0)
