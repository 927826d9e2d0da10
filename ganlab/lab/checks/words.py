"""The words that checks are made of: claims, and tables of the slips that they can name.

A table of slips maps what a slip gives to its diagnosis. What it gives is a value, compared with
the one that was found, or `when(condition)`; `...`, the last line, stands for every other slip.
The first line that fits is the verdict. Tensors are keys by identity: slips that happen to give
equal tensors may stand in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.lab.checks import Fail

F64 = torch.float64
Slips = Mapping[Any, str]


@dataclass(frozen=True, eq=False)
class when:
    """A slip that is known by a condition; a function of no arguments waits for its turn."""

    condition: bool | Tensor | Callable[[], bool | Tensor]

    def __bool__(self) -> bool:
        return bool(self.condition() if callable(self.condition) else self.condition)


def close(a: Any, b: Any, within: float = 1e-5) -> bool:
    """Whether two numbers, tuples of numbers or tensors agree, absolutely and relatively."""
    one, two = (torch.as_tensor(value, dtype=F64).detach() for value in (a, b))
    return torch.allclose(one, two, rtol=within, atol=within)


def need(condition: Any, diagnosis: str) -> None:
    """The claim that `condition` holds."""
    if not condition:
        raise Fail(diagnosis)


def refuse(slips: Slips, found: Any = None, within: float = 1e-5) -> None:
    """The claim that none of `slips` was made; those given by a value are compared with `found`."""
    for slip, diagnosis in slips.items():
        known = bool(slip) if isinstance(slip, when) else slip is ... or close(found, slip, within)
        if known:
            raise Fail(diagnosis)


def equal(found: Any, right: Any, slips: Slips, within: float = 1e-5) -> None:
    """The claim that `found` is `right`; a known slip is named before the general complaint.

    Args:
        found: number, tuple of numbers or tensor that the answer gave.
        right: what it must be.
        slips: table of slips; in the line of `...` the fields `{found}`, `{right}` and `{off}`,
            their largest difference, are filled in.
        within: tolerance, absolute and relative, of the claim and of the slips.
    """
    if close(found, right, within):
        return
    one, two = (torch.as_tensor(value, dtype=F64).detach() for value in (found, right))
    filled = slips[...].format(found=found, right=right, off=(one - two).abs().max().item())
    refuse({**slips, ...: filled}, found, within)
