"""The words that checks are made of: claims, and tables of the slips that they can name.

A table of slips maps what a slip gives to its diagnosis. What it gives is a value, compared with
the one that was found, or `when(condition)`; `...`, the last line, stands for every other slip.
The first line that fits is the verdict. Tensors are keys by identity: slips that happen to give
equal tensors may stand in one table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.lab.checks import Fail
from ganlab.lab.checks.read import F64, number, tensor

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


def equal(found: Any, right: Any, what: str, slips: Slips | None = None, hint: str = "",
          within: float = 1e-5, named: bool = False) -> None:  # fmt: skip
    """The claim that `found` is `right`; a known slip is named before the general complaint.

    Args:
        found: what the answer gave, of any kind: it is read as a number, or as a tensor of the
            shape of `right`.
        right: number, tuple of numbers or tensor that it must be.
        what: what was found, in words, with which the general complaint begins.
        slips: table of slips; in the line of `...`, if there is one in place of the general
            complaint, the fields `{found}`, `{right}` and `{off}`, their largest difference, are
            filled in.
        hint: where the general complaint sends the reader.
        within: tolerance, absolute and relative, of the claim and of the slips.
        named: put `what` in front of each diagnosis of `slips`.
    """
    wanted = torch.as_tensor(right, dtype=F64).detach()
    one = tensor(found, wanted.shape, what) if wanted.ndim else number(found, what)
    if close(one, wanted, within):
        return
    off = (torch.as_tensor(one) - wanted).abs().max().item()
    line = f"{what} is off by up to {{off:.3g}}"
    if not wanted.ndim:
        sound = "{found:.5g} where {right:.5g} is right"
        line = f"{what} is {sound if math.isfinite(off) else '{found}: is there a division by 0?'}"
    table = {slip: f"{what}: {text}" if named else text for slip, text in (slips or {}).items()}
    general = table.get(..., f"{line}: see {hint}" if hint else line)
    filled = general.format(found=one, right=wanted if wanted.ndim else wanted.item(), off=off)
    refuse({**table, ...: filled}, one, within)


def of_batches(on_real: Tensor, on_fake: Tensor) -> Slips:
    """What slips of signs, sums and means make of the loss `on_real.mean() + on_fake.mean()`."""
    joined, real, fake = torch.cat([on_real, on_fake]), on_real.mean(), on_fake.mean()
    weighs = "one mean over both batches joined weighs the sides by their sizes: a mean over each"
    return {
        -real - fake: "the sign is turned: this is what D *maximises*, the loss is minus that",
        (real + fake) / 2: "half of it: the loss is a *sum* of two means, not their mean",
        joined.mean(): f"{weighs} batch, then add",
        2 * joined.mean(): f"{weighs} batch, then add",
        joined.sum(): "sums over the batches; expectations become means",
        +real: "the term of the generated samples is missing",
        +fake: "the term of the real samples is missing",
        real - fake: "the second term has the wrong sign",
    }
