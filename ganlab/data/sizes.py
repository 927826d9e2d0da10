"""Sizes of pictures as people give them: one number for a square, or height and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from ganlab.errors import DataError

LARGEST = 4096  # pixels, of one side

#: Side of a square in pixels, or (height, width), or that as text: "64x128".
Size = int | str | Sequence[int]


def as_size(size: Size) -> tuple[int, int]:
    """(height, width) in pixels.

    Args:
        size: a whole number for a square, a pair (height, width), or text such as "64x128",
            height first.

    Raises:
        DataError: it is none of these, or a side is not from 1 to 4096.

    >>> as_size(64), as_size((64, 128)), as_size("64x128")
    ((64, 64), (64, 128), (64, 128))
    """
    sides: Sequence[object]
    if isinstance(size, str):
        parts = size.strip().lower().split("x")
        sides = [int(p) if p.isascii() and p.isdigit() else p for p in parts]
    else:
        sides = size if isinstance(size, Sequence) else (size, size)
    if len(sides) != 2 or not (_pixels(sides[0]) and _pixels(sides[1])):
        raise DataError(
            f"size={size!r} must be a whole number of pixels from 1 to {LARGEST}, or a height and"
            " a width, as (64, 128) or 64x128"
        )
    return sides[0], sides[1]


def _pixels(side: object) -> TypeGuard[int]:
    return isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= LARGEST


def compact(height: int, width: int) -> int | tuple[int, int]:
    """A square as its side, anything else as (height, width)."""
    return height if height == width else (height, width)


def middle(height: int, width: int, size: Size) -> tuple[int, int, int, int]:
    """The largest part of a picture that has the sides' ratio of `size`, in the middle.

    Args:
        height, width: of the picture.
        size: what it shall be resized to afterwards.

    Returns:
        (top, left, height, width) of the part in whole pixels.
    """
    h, w = as_size(size)
    if width * h >= height * w:
        high, across = height, max(1, (2 * height * w + h) // (2 * h))
    else:
        high, across = max(1, (2 * width * h + w) // (2 * w)), width
    return (height - high) // 2, (width - across) // 2, high, across
