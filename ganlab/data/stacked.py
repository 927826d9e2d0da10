"""Stacks of three digits: a thousand modes of equal weight, each with a number to its name.

Three digits drawn independently of each other become the red, green and blue of one picture, so
that a picture of a 3, a 0 and a 7 belongs to mode 307. A classifier of single digits can say
which modes a generator has found. The set was made for unrolled GANs (Metz et al. 2017, Sec. 3.3)
and is scored as VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018) score it.

No picture is stored: a stack is three positions in the set of digits, and is put together when it
is asked for, on the device where the digits are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ganlab.data.hashing import uniform
from ganlab.data.imageset import ImageSet
from ganlab.errors import DataError

MODES = 1000
COUNTS = {"train": 128_000, "test": 26_000}  # the published sizes: to learn from, and to score
DIGITS = "0123456789"
CLASSES = tuple(f"{mode:03d}" for mode in range(MODES))


@dataclass(frozen=True)
class Stacks:
    """Stands where a tensor of bytes (N, 3, H, W) would, and gathers what is indexed.

    Attributes:
        digits: ``torch.uint8`` (M, 1, H, W).
        values: ``torch.int64`` (M,), what each digit is.
        table: ``torch.int64`` (N, 3), which digit is the red, green and blue of each picture.
    """

    digits: Tensor
    values: Tensor
    table: Tensor

    dtype = torch.uint8

    def __len__(self) -> int:
        return len(self.table)

    @property
    def shape(self) -> torch.Size:
        """(N, 3, H, W)."""
        return torch.Size((len(self.table), 3, *self.digits.shape[2:]))

    @property
    def device(self) -> torch.device:
        """Where the digits are, and so where pictures are put together."""
        return self.digits.device

    def to(self, device: torch.device | str) -> Stacks:
        """The same stacks on another device: its share of memory is that of the digits."""
        return replace(self, digits=self.digits.to(device), table=self.table.to(device))

    def __getitem__(self, index: Any) -> Tensor:
        """Pictures as bytes (..., 3, H, W), for any index into the first dimension."""
        # Flat, because a two-dimensional index into the digits is several times slower.
        rows = self.table[index]
        found = self.digits[:, 0].index_select(0, rows.reshape(-1))
        return found.view(*rows.shape, *found.shape[1:])


def stack(digits: ImageSet, count: int, seed: int = 0, name: str = "stacked") -> ImageSet:
    """Stack ``count`` triples of digits, each a function of the seed and its index alone.

    Args:
        digits: grey pictures with ten classes, in the order of their value.
        count: stacks; the first ones of the endless set with this seed.
        seed: any whole number.
        name: of the set that is returned.

    Returns:
        A set of ``count`` pictures (3, H, W). Its label is the three-digit number that red, green
        and blue spell; its factor ``digits`` (N, 3) has the three apart.

    Raises:
        DataError: the pictures are not grey, or are not of ten classes.
    """
    if digits.labels is None or len(digits.classes) != 10 or digits.shape[0] != 1:
        raise DataError(f"{digits.name} cannot be stacked: grey pictures of ten classes are needed")
    if count < 1:
        raise DataError(f"count={count} must be at least 1")
    at = np.arange(count)
    rows = [uniform(seed, at, channel) * len(digits) for channel in ("red", "green", "blue")]
    table = torch.from_numpy(np.stack(rows, 1).astype(np.int64))
    values = digits.labels[table]
    return ImageSet(
        name=name,
        images=cast(Tensor, Stacks(digits.images, digits.labels, table)),
        labels=values @ torch.tensor([100, 10, 1]),
        classes=CLASSES,
        factors={"digits": values},
        mapped=digits.mapped,
        note=digits.note,
    )


def single(data: ImageSet) -> ImageSet:
    """The digits under a set of stacks, with their labels: what its judge learns from.

    Raises:
        DataError: the set is not one of stacks.
    """
    if not stacked(data):
        raise DataError(f"{data.name} is not a set of stacked digits")
    images = cast(Stacks, data.images)
    return ImageSet(
        name=data.name.removeprefix("stacked-"),  # so that its judge is the one of that set
        images=images.digits,
        labels=images.values,
        classes=tuple(DIGITS),
        note=data.note,
    )


def stacked(data: Any) -> bool:
    """Whether a set is one of stacks."""
    return isinstance(getattr(data, "images", None), Stacks)
