"""What all results that are one number share."""

from __future__ import annotations

import math

from ganlab.errors import DataError


class Scalar:
    """A result with more than its number, which may be used as that number: `float(result)`."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise DataError(
                f"{type(self).__name__}: the result is {self.value}: values are too large to score"
            )

    def __float__(self) -> float:
        return self.value
