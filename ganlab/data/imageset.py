"""A set of pictures in memory (or mapped from disk): what every loader returns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ganlab.errors import DataError

MOST = 8  # channels of a picture


def to_float(images: Tensor) -> Tensor:
    """Turn bytes into the range that a tanh generator draws in.

    Args:
        images: ``torch.uint8``, any shape, 0..255.

    Returns:
        ``torch.float32`` of the same shape in [-1, 1]: 0 becomes -1 and 255 becomes 1.
    """
    return images.to(torch.float32).mul_(1 / 127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Turn pictures in [-1, 1] into bytes; values outside the range are clamped, the rest rounded.

    Inverse of :func:`to_float` for every byte.

    Args:
        images: floating point, any shape.

    Returns:
        ``torch.uint8`` of the same shape.
    """
    return images.detach().float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class ImageSet:
    """Pictures of one size as bytes, with what is known about them.

    Attributes:
        name: the name it was asked for by.
        images: ``torch.uint8`` (N, C, H, W), C from 1 to 8; mapped from the cache file when it
            is large (see `ganlab.data.mapped`).
        labels: ``torch.int64`` (N,), an index into ``classes``, or None where there are none.
        classes: the names of the classes; empty where there are none.
        factors: what the pictures were drawn from, each (N,) or (N, k); empty for photographs.
        mapped: whether ``images`` is read from its file page by page, as it is used.
        note: one line on anything unusual: skipped files, or a set that stands in for another.

    Raises:
        DataError: the pictures or labels are of another type or shape, or a label is none of the
            classes.
    """

    name: str
    images: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    factors: dict[str, Tensor] = field(default_factory=dict)
    note: str = ""
    mapped: bool = False

    def __post_init__(self) -> None:
        parts = {"images": (self.images, torch.uint8, "(N, C, H, W)", 4)}
        if self.labels is not None:
            parts["labels"] = (self.labels, torch.int64, "(N,), one for each picture", 1)
        for what, (x, dtype, right, axes) in parts.items():
            # not isinstance: stacks stand where a tensor would
            kind, shape = getattr(x, "dtype", type(x).__name__), tuple(getattr(x, "shape", ()))
            if kind != dtype or len(shape) != axes or shape[0] != len(self.images):
                raise DataError(
                    f"{what} of {self.name!r} are {kind} {shape}, and must be {dtype} {right}:"
                    " ganlab.data.own reads other forms"
                )
        shape = tuple(self.images.shape)
        if not 1 <= shape[1] <= MOST or 0 in shape[2:]:
            raise DataError(
                f"images of {self.name!r} are {shape}, which is not (N, C, H, W) with C from 1 to"
                f" {MOST}"
            )
        if self.labels is not None and len(self.labels):
            low, high = (int(end) for end in torch.aminmax(self.labels))
            if low < 0 or (self.classes and high >= len(self.classes)):
                wrong = low if low < 0 else high
                many = f"{len(self.classes)} " if self.classes else ""
                raise DataError(
                    f"labels of {self.name!r}: {wrong} is none of the {many}classes from 0"
                )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one picture."""
        _, c, h, w = self.images.shape
        return c, h, w

    def __getitem__(self, i: int) -> Tensor:
        """Picture ``i`` as ``float32`` (C, H, W) in [-1, 1]."""
        return to_float(self.images[i])

    def batch(self, index: Tensor) -> Tensor:
        """Pictures ``index`` (an integer tensor of shape (B,)) as ``float32`` in [-1, 1]."""
        return to_float(self.images[index])

    def select(self, index: Tensor) -> ImageSet:
        """The same set with only the pictures ``index``, in that order."""
        return replace(
            self,
            images=self.images[index],
            mapped=False,
            labels=None if self.labels is None else self.labels[index],
            factors={k: v[index] for k, v in self.factors.items()},
        )

    def __repr__(self) -> str:
        c, h, w = self.shape
        kinds = f", {len(self.classes)} classes" if self.classes else ""
        note = f", note={self.note!r}" if self.note else ""
        return f"ImageSet({self.name!r}, {len(self):,} pictures {c}x{h}x{w}{kinds}{note})"
