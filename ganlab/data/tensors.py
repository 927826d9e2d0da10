"""Arrays and tensors of pictures as bytes (N, C, H, W)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganlab.data.imageset import MOST
from ganlab.data.pictures import fit, fit_array
from ganlab.errors import DataError

WHITE = (255, 255, 255)
BLOCK = 1024  # floats are turned into bytes so many pictures at a time


def is_array(x: Any) -> bool:
    """Whether it is a tensor or an array."""
    return torch.is_tensor(x) or isinstance(x, np.ndarray)


@dataclass
class Seen:
    """Between which values the floats of a set lie, and so how they become bytes."""

    low: float = math.inf
    high: float = -math.inf

    @property
    def note(self) -> str:
        """How they were read; empty where there were none."""
        read = "[-1, 1]" if self.low < 0 else "[0, 1]"
        seen = self.low <= self.high
        return f"floats from {self.low:g} to {self.high:g}, read as {read}" if seen else ""

    def take(self, x: torch.Tensor, what: str) -> None:
        """Widen it by the pictures `x`.

        Raises:
            DataError: they lie in no range of pictures.
        """
        if x.dtype == torch.uint8:
            return
        ends = torch.stack([torch.stack(torch.aminmax(b.float())) for b in x.split(BLOCK)])
        low, high = ends[:, 0].min().item(), ends[:, 1].max().item()
        if not -1 <= low <= high <= 1:
            raise DataError(
                f"data: floats from {low:g} to {high:g} in {what} are not read: pictures lie in"
                " [0, 1] or [-1, 1], or are uint8"
            )
        self.low, self.high = min(low, self.low), max(high, self.high)

    def levels(self, x: torch.Tensor) -> torch.Tensor:
        """Values as bytes."""
        if x.dtype == torch.uint8:
            return x.contiguous()
        out = torch.empty(x.shape, dtype=torch.uint8)
        for block, to in zip(x.split(BLOCK), out.split(BLOCK)):
            to.copy_(((block.float() + 1) / 2 if self.low < 0 else block.float()).mul(255).round())
        return out


def readings(shape: Sequence[int]) -> list[bool]:
    """Ways to read an array of four axes, the one that is taken first: whether C comes last.

    >>> readings((9, 3, 32, 32)), readings((9, 32, 32, 3)), readings((9, 8, 3, 3))
    ([False], [True], [True, False])
    """
    if len(shape) != 4:
        return []
    usual = (1, 3, 4)
    found = [last for last in (False, True) if 1 <= shape[3 if last else 1] <= MOST]
    if len(found) == 2 and shape[3] in usual and shape[1] not in usual:
        found.reverse()
    return found


def shaped(x: Any, what: str, shape: Sequence[int]) -> torch.Tensor:
    """Bytes or floats (N, C, H, W) of an array.

    Args:
        x: (N, H, W), (N, C, H, W) or (N, H, W, C). Where both of the last fit, C comes first,
            unless only the last is a usual number of channels (1, 3 or 4).
        what, shape: of what was given, for messages.

    Raises:
        DataError: it is of another type or shape.
    """
    single = x.ndim > len(shape)
    if not torch.is_tensor(x):
        if x.dtype.kind == "f":  # torch knows neither foreign byte orders nor more than 64 bits
            x = x.astype(x.dtype.newbyteorder("=") if x.itemsize <= 8 else np.float64, copy=False)
        if x.dtype == np.uint8 or x.dtype.kind == "f":
            x = torch.from_numpy(np.require(x, requirements=["C", "W"]))
    elif x.layout != torch.strided:
        raise DataError(f"data: {what} is sparse, which is not read: use .to_dense()")
    if not torch.is_tensor(x) or not (x.dtype == torch.uint8 or x.is_floating_point()):
        raise DataError(f"data: {what} of type {x.dtype} is not read: use uint8 or floats")
    x = x.detach().cpu()
    if x.ndim == 3:
        x = x[:, None]
    if readings(x.shape)[:1] == [True]:
        x = x.permute(0, 3, 1, 2)
    if x.ndim != 4 or not 1 <= x.shape[1] <= MOST or not x.numel():
        right = "(N, H, W), (N, C, H, W) or (N, H, W, C)"
        right = right.replace("N, ", "") if single else right
        raise DataError(
            f"data: {what} of shape {tuple(shape)} is not pictures: {right}, with C from 1 to"
            f" {MOST}"
        )
    return x


def fit_block(
    images: torch.Tensor, size: tuple[int, int] | None, channels: int | None, exact: bool
) -> np.ndarray:
    """Bytes (N, C, H, W) in another size or number of channels.

    Args:
        exact: as from files; else within 2 levels of it, ten times as fast. Grey and colours only.

    Raises:
        DataError: there is no way from C channels to so many.
    """
    c, h, w = images.shape[1:]
    side, depth = size or (h, w), channels or c
    if (side, depth) == ((h, w), c):
        return images.numpy()
    if exact and {c, depth} <= {1, 3}:
        return np.stack([fit(image(x), side, depth, WHITE) for x in images])
    if c != depth and not {c, depth} <= {1, 3, 4}:
        raise DataError(
            f"data: pictures of {c} channels do not become pictures of {depth}: leave channels"
            f" out, or give {c}"
        )
    return fit_array(images.numpy(), side, depth)


def image(x: torch.Tensor) -> Image.Image:
    """The PIL image of bytes (C, H, W), C 1 or 3."""
    return Image.fromarray(x[0].numpy() if len(x) == 1 else x.permute(1, 2, 0).numpy())
