"""Exercise checks: one module a chapter (`c01`, `c02`, …), one function an exercise.

A check receives the reader's answer and either returns (right) or raises `Fail` with a
diagnosis: what was found, what was expected, and where to look. `run` never raises: a check
that breaks on a strange answer is a failed check with the exception as its diagnosis.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Answer = Any


class Fail(Exception):
    """The answer is not right yet; the text is the diagnosis the reader sees."""


@dataclass(frozen=True)
class Check:
    """What a check found: `status` is 'passed', 'failed' or 'not started'.

    `source` is the code of the answer, where Python can find it.
    """

    exercise: str
    status: str
    message: str
    source: str = field(default="", compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """True when the answer is right."""
        return self.status == "passed"

    def _ipython_display_(self) -> None:
        """Nothing: `lab.check` has printed the verdict already."""

    def __str__(self) -> str:
        mark = {"passed": "✓", "failed": "✗", "not started": "○"}[self.status]
        return f"{mark} {self.exercise}: {self.message}"


_REGISTRY: dict[str, tuple[Callable[[Answer], str | None], str]] = {}

NOT_STARTED = "not started: replace the dots, then run both cells again"


def check(exercise: str, praise: str = "right") -> Callable[[Callable], Callable]:
    """Register the decorated function as the check of `exercise` ('2.1': chapter 2, first).

    `praise` is what the reader sees when the function returns; one that it returns comes first.
    """

    def register(function: Callable[[Answer], str | None]) -> Callable:
        _REGISTRY[exercise] = function, praise
        return function

    return register


def _blank(answer: Answer) -> bool:
    """True for an untouched starter: dots, nothing, or a tuple of them."""
    if isinstance(answer, tuple | list):
        return bool(answer) and any(_blank(item) for item in answer)
    return answer is Ellipsis or answer is None


def _watched(answer: Callable) -> Callable:
    """The reader's function, which has not been started yet if what it returns is dots."""

    @functools.wraps(answer)
    def call(*args: Any, **options: Any) -> Any:
        value = answer(*args, **options)
        parts = value if isinstance(value, tuple | list) else (value,)
        if any(part is Ellipsis for part in parts):
            raise NotImplementedError
        return value

    return call


def written(answer: Answer) -> str:
    """The code of an answer, or of each function in a tuple of answers; empty where unknown."""
    if isinstance(answer, tuple | list):
        return "\n\n".join(filter(None, map(written, answer)))
    try:
        return inspect.getsource(inspect.unwrap(answer)).strip() if callable(answer) else ""
    except Exception:  # whatever a reader gave: a verdict needs no source
        return ""


def run(exercise: str, answer: Answer) -> Check:
    """Run the check of `exercise` on `answer`. Never raises for a wrong answer.

    Raises:
        KeyError: there is no such exercise.
        GanlabError: `GANLAB_CHECK_SEED` is no whole number.
    """
    from ganlab.lab.checks.read import cases

    cases()
    if exercise not in _REGISTRY:
        chapter = exercise.split(".")[0]
        try:
            importlib.import_module(f"ganlab.lab.checks.c{int(chapter):02d}")
        except ImportError as error:
            raise KeyError(f"no checks for chapter {chapter}") from error
    if exercise not in _REGISTRY:
        raise KeyError(f"no exercise {exercise}")
    if _blank(answer):
        return Check(exercise, "not started", NOT_STARTED)
    if callable(answer):
        answer = _watched(answer)
    function, praise = _REGISTRY[exercise]
    try:
        message = function(answer)
    except Fail as failure:
        return Check(exercise, "failed", str(failure))
    except NotImplementedError:
        return Check(exercise, "not started", NOT_STARTED)
    except Exception as error:
        # A starter that returns dots breaks inside the check, not in the reader's code.
        if _returns_dots(answer):
            return Check(exercise, "not started", NOT_STARTED)
        kind = type(error).__name__
        return Check(exercise, "failed", f"your code stopped with {kind}: {error}")
    return Check(exercise, "passed", message or praise)


def _returns_dots(answer: Answer) -> bool:
    """True if the function's body is still the starter's `...`."""
    code = getattr(inspect.unwrap(answer) if callable(answer) else answer, "__code__", None)
    if code is None:
        return False
    return Ellipsis in code.co_consts
