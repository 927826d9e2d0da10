"""Reading an answer: a number or a tensor of the right shape, or a diagnosis."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ganlab.lab.checks import Fail

F64 = torch.float64


def started(value: Any) -> None:
    """Stop, as not started, at a value that is missing.

    Raises:
        NotImplementedError: it is dots, or nothing.
    """
    if value is ... or value is None:
        raise NotImplementedError


def number(value: Any, what: str) -> float:
    """A plain number from a tensor or number.

    Raises:
        NotImplementedError: it is dots.
        Fail: it is nothing, or not one number.
    """
    if value is ...:
        raise NotImplementedError
    if value is None:
        raise Fail(f"{what} is None: is a return missing?")
    found = torch.as_tensor(value, dtype=F64).detach()
    if found.numel() != 1:
        raise Fail(f"{what} must be one number, but has shape {tuple(found.shape)}")
    return found.item()


def number_or_blank(value: Any, what: str) -> float:
    """As `number`, but nothing counts as not started."""
    started(value)
    return number(value, what)


def finite_number(value: Any, what: str) -> float:
    """As `number_or_blank`, and finite."""
    found = number_or_blank(value, what)
    if not math.isfinite(found):
        raise Fail(f"{what} is {found}")
    return found


def tensor(value: Any, shape: torch.Size, what: str) -> Tensor:
    """A float64 tensor of this shape, without its graph; nothing counts as not started."""
    started(value)
    found = torch.as_tensor(value).detach().to(F64)
    if found.shape != shape:
        raise Fail(f"{what} must have shape {tuple(shape)}, yours has {tuple(found.shape)}")
    return found


def close(a: Tensor | float, b: Tensor | float, tolerance: float = 1e-5) -> bool:
    """Whether two numbers or tensors agree, absolutely and relatively."""
    one, two = torch.as_tensor(a, dtype=F64), torch.as_tensor(b, dtype=F64)
    return bool(torch.allclose(one, two, rtol=tolerance, atol=tolerance))
