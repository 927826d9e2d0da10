"""Every exercise takes a right answer by whatever route it was reached, and names wrong ones.

Routes that are the same for all exercises (32 bits, 64 bits, arrays in place of tensors) are made
from the right answers in the tests of the chapters; other idioms stand in `checks_idioms_*`.
"""

from __future__ import annotations

import importlib
from typing import Any

import checks_idioms_1
import checks_idioms_2
import checks_idioms_3
import numpy as np
import pytest
import torch

from ganlab.lab import checks, run

IDIOMS = checks_idioms_1.IDIOMS | checks_idioms_2.IDIOMS | checks_idioms_3.IDIOMS
CHAPTERS = {c: importlib.import_module(f"test_checks_c{c:02d}") for c in range(1, 12)}
for _c in CHAPTERS:
    importlib.import_module(f"ganlab.lab.checks.c{_c:02d}")
# The tests of the words of the checks register an exercise of a chapter 0.
OWN = sorted((n for n in checks._REGISTRY if n[0] != "0"), key=lambda n: float(n))

#: Answers that must keep a graph or act on networks: no arrays can stand in for their results.
GRAPHS = {"2.2", "2.6", "3.1", "3.2", "3.5", "4.4", "4.5", "6.3", "7.2", "7.3", "8.2", "8.3", "8.4"}
GRAPHS |= {"4.6", "4.7", "10.3"}
#: Answers whose arguments are networks of 32 bits, or are no tensors.
FIXED = {"3.1", "3.2", "3.5", "4.5", "4.6", "4.7"}


def table(name: str) -> dict[str, list[Any]]:
    """Answers of all chapters' tests, by exercise: of `RIGHT` with `ALSO_RIGHT`, or of `WRONG`."""
    found: dict[str, list[Any]] = {n: [] for n in OWN}
    for module in CHAPTERS.values():
        for rows in (getattr(module, name, []), getattr(module, f"ALSO_{name}", [])):
            pairs = rows.items() if isinstance(rows, dict) else rows
            for row in pairs:
                row = row[1] if name == "WRONG" and isinstance(rows, dict) else row
                found[row[0]].append(row[1:] if len(row) > 2 else row[1])
    return found


RIGHT, WRONG = table("RIGHT"), table("WRONG")


def cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, list):
        return [cast(v, dtype) for v in value]
    return value.to(dtype) if torch.is_tensor(value) and value.is_floating_point() else value


def array(value: Any) -> Any:
    """Tensors as arrays of numpy, floats as its 32-bit numbers."""
    if isinstance(value, tuple | list):
        return type(value)(map(array, value))
    if torch.is_tensor(value):
        return value.detach().numpy()
    return np.float32(value) if isinstance(value, float) else value


def in_bits(answer: Any, dtype: torch.dtype) -> Any:
    """The answer to arguments of this type."""
    return lambda *a: answer(*(cast(v, dtype) for v in a))


def as_arrays(answer: Any) -> Any:
    return lambda *a: array(answer(*a))


def routes() -> list[Any]:
    """(exercise, answer) for each route, with an id."""
    found = []
    for number in OWN:
        for i, answer in enumerate(IDIOMS[number]):
            found.append(pytest.param(number, answer, id=f"{number}-idiom {i + 1}"))
        for i, answer in enumerate(RIGHT[number]):
            if number not in FIXED:
                for bits, dtype in ((32, torch.float32), (64, torch.float64)):
                    one = in_bits(answer, dtype)
                    found.append(pytest.param(number, one, id=f"{number}-{bits} bits {i + 1}"))
            if number not in GRAPHS:
                found.append(pytest.param(number, as_arrays(answer), id=f"{number}-arrays {i + 1}"))
    return found


ROUTES = routes()


@pytest.mark.parametrize(("number", "answer"), ROUTES)
def test_a_right_answer_passes_by_every_route(number: str, answer: Any) -> None:
    torch.manual_seed(0)
    verdict = run(number, answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize("number", OWN)
def test_every_exercise_has_three_right_answers_and_three_wrong_ones(number: str) -> None:
    assert len(RIGHT[number]) + sum(p.values[0] == number for p in ROUTES) >= 3
    assert len({words for *_, words in WRONG[number]}) >= 3
