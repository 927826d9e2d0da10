"""What is asked of a reader of pictures, and what it answers: shared by all sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ganlab.data.cache import Decoded
from ganlab.data.pictures import FITS, Colour, colour
from ganlab.data.ranges import as_range
from ganlab.data.sizes import as_size
from ganlab.errors import DataError, one_line


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
    fit: str = "crop"
    range: str = "auto"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, *as_size(self.size)

    def checked(self) -> Want:
        """The same with its options in one spelling each.

        Raises:
            DataError: an option has a value that does not exist.
        """
        for name, known in (("damaged", ("skip", "refuse")), ("fit", tuple(FITS))):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                *most, last = map(repr, known)
                raise DataError(
                    f"{name}={one_line(repr(value))} is not a choice: use {', '.join(most)} or"
                    f" {last}"
                )
        return replace(self, background=colour(self.background), range=as_range(self.range))


@dataclass(frozen=True)
class Found:
    """A set that is on disk: what it depends on, and how to decode it."""

    fingerprint: str
    decode: Callable[[Want], Decoded]
