"""What is asked of a reader of pictures, and what it answers: shared by all sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganlab.data.cache import Decoded
from ganlab.data.pictures import Colour
from ganlab.data.sizes import as_size


@dataclass(frozen=True)
class Want:
    """What the user asked for, in the form in which a reader needs it.

    ``size`` is one number for a square, so that its cache entries keep their names.
    """

    size: int | tuple[int, int]
    channels: int
    split: str
    limit: int | None = None
    background: Colour = "white"
    damaged: str = "skip"
    category: str = "bedroom"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, *as_size(self.size)


@dataclass(frozen=True)
class Found:
    """A set that is on disk: what it depends on, and how to decode it."""

    fingerprint: str
    decode: Callable[[Want], Decoded]
