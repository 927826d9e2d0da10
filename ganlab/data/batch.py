"""What a stream gives to a game."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganlab.errors import DataError


class Batch(NamedTuple):
    """Pictures or points of one step. `len` is that of the tuple; `size` counts the pictures.

    Attributes:
        images: (B, C, H, W) in [-1, 1], or (B, d) points.
        labels: (B,) int64 class numbers, or None.
        source: (B, ...) what a translated picture is made from, or None.
    """

    images: Tensor
    labels: Tensor | None = None
    source: Tensor | None = None

    @property
    def size(self) -> int:
        """B, how many pictures or points."""
        return len(self.images)

    def to(self, device: str | torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(*(None if x is None else x.to(device) for x in self))  # type: ignore[arg-type]


def as_batch(x: Any) -> Batch:
    """A tensor, a pair (pictures, labels) or a batch, as a batch.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(x, Batch):
        return x
    if torch.is_tensor(x):
        return Batch(x)
    if isinstance(x, tuple | list) and len(x) == 2 and all(torch.is_tensor(part) for part in x):
        return Batch(*x)
    raise DataError(
        f"a batch is a tensor, a pair (pictures, labels) or a Batch, not a {type(x).__name__}"
    )
