"""From which small map a picture of some height and width is doubled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ganlab.data.sizes import Size, as_size, compact
from ganlab.errors import DataError, RecipeError

START = 4  # side of the map at which a square starts


class Start(NamedTuple):
    """A map of `height` x `width` places, to be doubled so many times."""

    height: int
    width: int
    doublings: int

    @property
    def places(self) -> int:
        """Of the map: 16 for a square."""
        return self.height * self.width

    @property
    def size(self) -> int | tuple[int, int]:
        """Of the picture: a square's side, else (height, width)."""
        return compact(*self.at(self.doublings))

    @property
    def square(self) -> int:
        """Side of the square picture with the same doublings, which has the same channels."""
        return START << self.doublings

    def at(self, stage: int) -> tuple[int, int]:
        """(height, width) after so many doublings."""
        return self.height << stage, self.width << stage


def start(size: Size, squares: Sequence[int], refusal: str) -> Start:
    """Where a picture starts: a square at 4x4, a rectangle with its shorter side from 4 to 7.

    A rectangle is doubled as often as the largest square (of side $4 · 2ⁿ$) that fits in it.

    Args:
        size: a square's side, or (height, width).
        squares: sides that the family has as squares, ascending.
        refusal: start of the line for another square; its side follows.

    Raises:
        RecipeError: no number of doublings leads to this size; the line names one that would do.
    """
    if isinstance(size, int):
        high = wide = size
    else:
        try:
            high, wide = as_size(size)
        except DataError as error:
            raise RecipeError(str(error)) from None
    if high == wide:
        if high not in squares:
            raise RecipeError(f"{refusal}{high}")
        return Start(START, START, (high // START).bit_length() - 1)
    short, most = min(high, wide), 2 * squares[-1] - 1
    if not squares[0] <= short <= most:
        raise RecipeError(
            f"size {high}x{wide}: the shorter side must be from {squares[0]} to {most} pixels"
        )
    doublings = (short // START).bit_length() - 1
    step = 1 << doublings
    if high % step or wide % step:
        raise RecipeError(
            f"size {high}x{wide}: both sides must be multiples of {step} ({doublings} doublings of"
            f" a start of at least {START}): try {_near(high, wide, step, squares)}"
        )
    return Start(high // step, wide // step, doublings)


def _near(high: int, wide: int, step: int, squares: Sequence[int]) -> str:
    """A size near by that the family has: the shorter side is rounded down."""
    short = min(high, wide) // step * step
    long = max(short, round(max(high, wide) / step) * step)
    if long == short and short not in squares:
        long += step
    return f"{short}x{long}" if high < wide else f"{long}x{short}"


def square_only(size: Size) -> int:
    """The side of a square picture, for networks that make no others.

    Raises:
        RecipeError: it is not square.
    """
    if isinstance(size, int):
        return size
    try:
        high, wide = as_size(size)
    except DataError as error:
        raise RecipeError(str(error)) from None
    if high != wide:
        raise RecipeError(
            f"size {high}x{wide}: networks that grow make squares only;"
            " dcgan, resnet, modern, stylegan2 and mlp take rectangles"
        )
    return high
