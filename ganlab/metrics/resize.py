"""Two ways to bring pictures to the size that a network was trained at.

They give different features, hence different scores, for the same pictures: the choice belongs
to every number. Neither rounds to bytes in between.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganlab.errors import GanlabError, at_least, unknown
from ganlab.metrics.arrays import shaped


def _taps(before: int, after: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lower neighbour, upper neighbour and weight of the upper one for each output pixel."""
    place = torch.arange(after, dtype=torch.float32, device=device) * (before / after)
    low = place.long()
    return low, (low + 1).clamp(max=before - 1), place - low


def _checked(images: Tensor) -> Tensor:
    return shaped(images, "images", ("N", "C", "H", "W")).float()


def tf(images: Tensor, size: int) -> Tensor:
    """The bilinear filter of TensorFlow 1, with which FID was defined (Heusel et al. 2017).

    Output pixel $i$ samples the input at $i · "in"/"out"$: without the shift by half a pixel that
    other libraries have, and without antialiasing when it reduces.

    Args:
        images: (N, C, H, W), bytes or floats in 0..255.
        size: of both sides of the result, in pixels.

    Returns:
        (N, C, size, size) float32 in 0..255.

    Raises:
        DataError: pictures of another shape, or a value that is not finite.
        RecipeError: the size is no whole number from 1 to 10,000.
    """
    x, size = _checked(images), at_least("size", size, 1, 10_000)
    if x.shape[-2:] == (size, size):
        return x
    low, high, weight = _taps(x.shape[-2], size, x.device)
    x = torch.lerp(x[..., low, :], x[..., high, :], weight[:, None])
    low, high, weight = _taps(x.shape[-1], size, x.device)
    return torch.lerp(x[..., low], x[..., high], weight)


def clean(images: Tensor, size: int) -> Tensor:
    """The antialiased bicubic filter of clean-fid (Parmar et al. 2022), clamped to 0..255.

    Args:
        images: (N, C, H, W), bytes or floats in 0..255.
        size: of both sides of the result, in pixels.

    Returns:
        (N, C, size, size) float32 in 0..255.

    Raises:
        DataError: pictures of another shape, or a value that is not finite.
        RecipeError: the size is no whole number from 1 to 10,000.
    """
    x, size = _checked(images), at_least("size", size, 1, 10_000)
    if x.shape[-2:] == (size, size):
        return x
    x = torch.nn.functional.interpolate(x, (size, size), mode="bicubic", antialias=True)
    return x.clamp(0, 255)


RESIZERS: dict[str, Callable[[Tensor, int], Tensor]] = {"tf": tf, "clean": clean}


def resizer(name: str) -> Callable[[Tensor, int], Tensor]:
    """The filter of that name.

    Raises:
        GanlabError: there is none.
    """
    if not isinstance(name, str) or name not in RESIZERS:
        raise GanlabError(unknown("resizer", str(name), RESIZERS))
    return RESIZERS[name]
