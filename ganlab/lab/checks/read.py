"""Reading an answer: a number, a tensor of the right shape or several things, or a diagnosis."""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.lab.checks import Answer, Fail

F64 = torch.float64


def points(*rows: Sequence[Any]) -> list[Tensor]:
    """One float64 tensor for each row of numbers."""
    return [torch.tensor(row, dtype=F64) for row in rows]


def cases() -> int:
    """Which cases the checks try, as `GANLAB_CHECK_SEED` says: 0 are those that everybody sees.

    Raises:
        GanlabError: it is no whole number from 0 to 2**31 - 1.
    """
    given = os.environ.get("GANLAB_CHECK_SEED") or "0"
    if given.isascii() and given.isdigit() and len(given) < 11 and int(given) < 2**31:
        return int(given)
    least = "GANLAB_CHECK_SEED must be a whole number from 0 to 2,147,483,647"
    raise GanlabError(f"{least}, not {given[:40]!r}")


def seeded(seed: int) -> int:
    """The seed of a case, another one for other cases."""
    return seed + 1_000_003 * cases()


def rng(seed: int) -> torch.Generator:
    """Random numbers apart from the global random state, others for other cases."""
    return torch.Generator().manual_seed(seeded(seed))


def draw(seed: int | torch.Generator, *shape: int, dtype: torch.dtype = F64) -> Tensor:
    """Normal numbers, apart from the global random state; from a seed, others for other cases."""
    source = rng(seed) if isinstance(seed, int) else seed
    return torch.randn(*shape, generator=source, dtype=F64).to(dtype)


def vary(*values: Any, by: float = 0.15) -> Any:
    """Numbers as they stand, or for other cases each float moved by up to `by` of itself.

    Whole numbers and zeros stay, and the same numbers are always moved alike. One value comes
    back as it is, several as a tuple; rows may be lists or tuples.
    """

    def move(value: Any, source: torch.Generator) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(move(v, source) for v in value)
        factor = 1 + by * (2 * torch.rand((), generator=source, dtype=F64).item() - 1)
        return value * factor if isinstance(value, float) else value

    if cases():
        values = tuple(move(v, rng(zlib.crc32(repr(v).encode()))) for v in values)
    return values[0] if len(values) == 1 else values


def pick(seed: int, low: int, high: int) -> int:
    """`low`, or for other cases than those that everybody sees a number above it, up to `high`."""
    return int(torch.randint(low + 1, high + 1, (), generator=rng(seed))) if cases() else low


def either(play: Callable[[Answer, torch.dtype], Any]) -> Callable[[Answer], Any]:
    """The check in 32 bits, as notebooks compute, or in 64 where the answer's own numbers are."""

    @functools.wraps(play)
    def both(answer: Answer) -> Any:
        try:
            return play(answer, torch.float32)
        except RuntimeError:
            return play(answer, F64)

    return both


def _read(value: Any, what: str) -> Tensor:
    if value is None:
        raise Fail(f"{what} is None: is a return missing?")
    try:
        # A copy: torch takes no array that numpy reads backwards.
        found = torch.as_tensor(value.copy() if isinstance(value, np.ndarray) else value).detach()
    except (TypeError, ValueError, RuntimeError):
        kind = type(value).__name__
        raise Fail(f"{what} must be a tensor or a number; you returned {kind}") from None
    if found.is_complex():
        raise Fail(f"{what} is complex: take the real part, or look where the root is taken")
    return found.to(F64)


def number(value: Any, what: str) -> float:
    """A plain number from a tensor, an array or a number.

    Raises:
        Fail: it is nothing, complex, or not one number.
    """
    found = _read(value, what)
    if found.numel() != 1:
        raise Fail(f"{what} must be one number, but has shape {tuple(found.shape)}")
    return found.item()


def tensor(value: Any, shape: Sequence[int], what: str) -> Tensor:
    """A float64 tensor of this shape, without its graph, from a tensor, an array or a list.

    Raises:
        Fail: it is nothing, complex, or of another shape.
    """
    found = _read(value, what)
    if found.shape != tuple(shape):
        raise Fail(f"{what} must have shape {tuple(shape)}, yours has {tuple(found.shape)}")
    return found


def parts(value: Any, *names: str) -> list[Any]:
    """As many things as there are names, from a tuple, a list, or the rows of a tensor.

    Raises:
        Fail: it is one thing, or more, or fewer.
    """
    several = isinstance(value, tuple | list) or getattr(value, "ndim", 0) > 0
    if not several or len(value) != len(names):
        count = {2: "two", 3: "three", 4: "four"}[len(names)]
        raise Fail(f"return {count} things: {', '.join(names)}")
    return list(value)


def numbers(value: Any, *names: str) -> list[float]:
    """As `parts`, each a number."""
    return [number(v, name) for v, name in zip(parts(value, *names), names, strict=True)]
