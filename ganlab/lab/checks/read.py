"""Reading an answer: a number, a tensor of the right shape or several things, or a diagnosis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.lab.checks import Fail
from ganlab.lab.checks.words import F64, need


def points(*rows: Sequence[Any]) -> list[Tensor]:
    """One float64 tensor for each row of numbers."""
    return [torch.tensor(row, dtype=F64) for row in rows]


def draw(seed: int | torch.Generator, *shape: int) -> Tensor:
    """Normal float64 numbers, apart from the global random state."""
    rng = torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
    return torch.randn(*shape, generator=rng, dtype=F64)


def started(value: Any) -> Any:
    """`value` itself.

    Raises:
        NotImplementedError: it is dots, or nothing.
    """
    if value is ... or value is None:
        raise NotImplementedError
    return value


def number(value: Any, what: str) -> float:
    """A plain number from a tensor or number.

    Raises:
        NotImplementedError: it is dots.
        Fail: it is nothing, or not one number.
    """
    if value is None:
        raise Fail(f"{what} is None: is a return missing?")
    found = torch.as_tensor(started(value), dtype=F64).detach()
    if found.numel() != 1:
        raise Fail(f"{what} must be one number, but has shape {tuple(found.shape)}")
    return found.item()


def number_or_blank(value: Any, what: str) -> float:
    """As `number`, but nothing counts as not started."""
    return number(started(value), what)


def finite_number(value: Any, what: str) -> float:
    """As `number_or_blank`, and finite."""
    found = number_or_blank(value, what)
    need(math.isfinite(found), f"{what} is {found}")
    return found


def tensor(value: Any, shape: Sequence[int], what: str) -> Tensor:
    """A float64 tensor of this shape, without its graph; nothing counts as not started."""
    found = torch.as_tensor(started(value)).detach().to(F64)
    if found.shape != tuple(shape):
        raise Fail(f"{what} must have shape {tuple(shape)}, yours has {tuple(found.shape)}")
    return found


def parts(value: Any, count: int, diagnosis: str) -> list[Any]:
    """The `count` things of a tuple or list, or the diagnosis.

    Raises:
        NotImplementedError: one of them is dots.
    """
    need(isinstance(value, tuple | list) and len(value) == count, diagnosis)
    if any(part is ... for part in value):
        raise NotImplementedError
    return list(value)
