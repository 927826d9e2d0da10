"""What all results that are one number share."""

from __future__ import annotations


class Scalar:
    """A result with more than its number, which may be used as that number: `float(result)`."""

    value: float

    def __float__(self) -> float:
        return self.value
