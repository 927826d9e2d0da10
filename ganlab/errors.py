"""Errors that are the user's to mend: one clear line each, never a traceback."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable
from typing import Any


class GanlabError(Exception):
    """Base of every error that a user can mend; its text is one line that says how."""


class DataError(GanlabError, ValueError):
    """A data set that is unknown, missing, damaged or of the wrong form."""


class RecipeError(GanlabError, ValueError):
    """A recipe or one of its fields that does not exist or does not fit."""


class CheckpointError(GanlabError, RuntimeError):
    """A checkpoint that is missing, damaged, or made by another recipe."""


class NonFiniteLoss(GanlabError, ArithmeticError):
    """A loss became infinite or not a number; training has stopped."""


class FileError(GanlabError, OSError):
    """A file or folder that cannot be read or written; the text names it and says why."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def one_line(text: object) -> str:
    """A text as one line that any terminal may show: what would move the cursor is escaped.

    >>> print(one_line("a\\nb\\x1b[31m"))
    a\\nb\\x1b[31m
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text).strip())


def at_least(name: str, value: Any, least: int = 1, most: int = 10_000_000) -> int:
    """A whole number from `least` to `most`, as an int: a count, or with other ends a seed.

    >>> at_least("n", 5)
    5

    Raises:
        RecipeError: it is none, or lies outside; the line has the name, the bound and the value.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        short = isinstance(value, str | float | bool | None)
        told = one_line(repr(value))[:40] if short else f"a {type(value).__name__}"
        raise RecipeError(f"{name} must be a whole number, not {told}")
    if least <= number <= most:
        return number
    given = str(number) if number.bit_length() < 128 else f"one of {number.bit_length()} bits"
    bound = f"at least {least:,}" if number < least else f"at most {most:,}"
    raise RecipeError(f"{name} must be {bound}, not {given}")


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that does not exist: the nearest one that does, or all of them.

    >>> unknown("recipe", "dcgan-mnits", ["dcgan-mnist", "mlp-mnist"])
    "unknown recipe 'dcgan-mnits': did you mean 'dcgan-mnist'?"
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(known)}"
    return f"unknown {kind} '{name}': {hint}"
