"""Values that change in the course of a training: rates, weights of penalties, decays, chances.

A schedule is plain text, so that a recipe holds it like any other value:

    cosine:2e-4:5e-5          from 2e-4 to 5e-5 along half a cosine, over the whole training
    linear:1:0.1:0.25         from 1 to 0.1 in a straight line over the first quarter, then 0.1
    0.01                      constant
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganlab.errors import RecipeError, unknown

KINDS = ("constant", "linear", "cosine")
WORDS = "a number, or a schedule such as cosine:2e-4:5e-5 or linear:1:0.1:0.25"


@dataclass(frozen=True)
class Schedule:
    """A value as a function of the share of the training that has passed.

    Attributes:
        kind: "constant", "linear" or "cosine" (half a period, Loshchilov & Hutter 2017, Eq. 5).
        start, end: values at the two ends.
        over: share of the training after which `end` is reached and kept, in (0, 1].
    """

    kind: str
    start: float
    end: float
    over: float = 1.0

    def __call__(self, share: float) -> float:
        """The value after `share` of the training, from 0 at its start to 1."""
        if self.kind == "constant":
            return self.start
        t = min(max(share / self.over, 0.0), 1.0)
        if self.kind == "cosine":
            t = (1 - math.cos(math.pi * t)) / 2
        return self.start + (self.end - self.start) * t


def schedule(value: float | str) -> Schedule:
    """The schedule that a number or a text says.

    Raises:
        RecipeError: it says none.
    """
    if isinstance(value, str):
        kind, *parts = value.split(":")
        if kind not in KINDS and not parts:
            parts, kind = [kind], "constant"
        if kind not in KINDS:
            raise RecipeError(unknown("schedule", kind, KINDS))
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = [math.nan]
        if kind == "constant":
            numbers = numbers * 2 if len(numbers) == 1 else [math.nan]
        over = numbers[2] if len(numbers) == 3 else 1.0
        if len(numbers) not in (2, 3) or not all(map(math.isfinite, numbers)) or not 0 < over <= 1:
            raise RecipeError(f"'{value}' is not {WORDS}")
        return Schedule(kind, numbers[0], numbers[1], over)
    return Schedule("constant", float(value), float(value))


def changes(value: float | str) -> bool:
    """Whether a field's value moves during the training."""
    found = schedule(value)
    return found.kind != "constant" and found.start != found.end
