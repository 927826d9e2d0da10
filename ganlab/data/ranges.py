"""Values of more than 8 bits as bytes: which become black and white, for a whole set at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ganlab.data.left import plural
from ganlab.errors import DataError, one_line

Span = tuple[float, float]  # what becomes 0, and what becomes 255
WHOLE: Span = (0.0, 65535.0)
UNIT: Span = (0.0, 1.0)


def as_range(value: Any) -> str:
    """The option `range` in one spelling: "auto", "full" or "LOW:HIGH".

    Raises:
        DataError: it is none of these, or LOW is not below HIGH.

    >>> as_range("0:4095"), as_range((0, 1)), as_range("auto")
    ('0.0:4095.0', '0.0:1.0', 'auto')
    """
    if value in ("auto", "full"):
        return str(value)
    try:
        low, high = map(float, value.split(":") if isinstance(value, str) else value)
    except (ValueError, TypeError, OverflowError):
        low = high = 0.0
    if not (math.isfinite(high / 2 - low / 2) and _wide(low, high)):
        raise DataError(
            f"range={one_line(repr(value))} is not a choice: use 'auto' (from the lowest to the"
            " highest value of the set), 'full' (0:65535, for floats 0:1) or LOW:HIGH, as 0:4095"
        )
    return f"{low!r}:{high!r}"


def _wide(low: float, high: float) -> bool:
    return low < high and math.isfinite(255 / (high / 2 - low / 2))


def levels(values: np.ndarray, span: Span) -> np.ndarray:
    """Numbers of any type and shape as ``uint8``: `span` becomes 0 to 255, the rest is cut off.

    What is not a number becomes 0.
    """
    low, high = span
    x = np.nan_to_num(np.asarray(values, np.float64), nan=low, posinf=high, neginf=low)
    # halves, because the difference of two finite numbers may be none
    return ((x.clip(low, high) / 2 - low / 2) * (255 / (high / 2 - low / 2)) + 0.5).astype(np.uint8)


def extent(values: np.ndarray) -> Span | None:
    """The lowest and highest finite number; None if there is none."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None


class Ranges:
    """How the deep pictures of a set become bytes; looked up once, when the first one is met.

    Args:
        option: as `as_range` gives it.
        look: for each deep picture of the set whether its values are floats, and its extent.
    """

    def __init__(self, option: str, look: Callable[[], Iterable[tuple[bool, Span | None]]]) -> None:
        self.option, self._look = option, look
        self._lock = threading.Lock()
        self._found: dict[bool, Span] | None = None

    def of(self, floats: bool) -> Span:
        """The span of whole numbers, or of floats."""
        usual = UNIT if floats else WHOLE
        if self.option == "full":
            return usual
        if self.option != "auto":
            low, high = map(float, self.option.split(":"))
            return low, high
        with self._lock:
            if self._found is None:
                self._found = _joined(self._look())
        span = self._found.get(floats, usual)
        return span if _wide(*span) else usual  # all of one value: nothing to spread

    def told(self, floats: bool, count: int, total: int) -> str:
        """One line on what was done to so many of all pictures."""
        low, high = self.of(floats)
        what = "hold floats" if floats else "have more than 8 bits"
        how = {"auto": "the lowest and highest of the set", "full": "the range of the type"}
        return (
            f"range: {count:,} of {plural(total, 'picture')} {what}: values {low:,.6g} to"
            f" {high:,.6g} became 0 to 255"
            + (f" ({self.option}: {how[self.option]})" if self.option in how else "")
        )


def _joined(rows: Iterable[tuple[bool, Span | None]]) -> dict[bool, Span]:
    found: dict[bool, Span] = {}
    for floats, span in rows:
        if span is not None:
            low, high = found.get(floats, span)
            found[floats] = min(low, span[0]), max(high, span[1])
    return found
