"""What every metric asks of the numbers that it is given, and the answer when they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def tensor(x: Any, name: str, what: str = "values") -> Tensor:
    """Any array, tensor or nested list of numbers -> float64, detached, on its own device.

    Raises:
        ValueError: it is not an array of real numbers, or one is not finite.
    """
    if not isinstance(x, Tensor):
        if isinstance(x, list | tuple) and x and isinstance(x[0], Tensor):
            x = torch.stack(tuple(x))
        else:
            try:  # by way of numpy: Python floats keep their digits, and its own types are known
                array = np.asarray(x)
                if array.dtype.kind not in "fiub":
                    array = array.astype(np.float64, casting="safe")
                x = torch.from_numpy(np.array(array, dtype=np.float64))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: not an array of real numbers ({error})") from error
    if x.is_complex():
        raise ValueError(f"{name}: real numbers expected, not {x.dtype}")
    if x.device.type == "mps":  # has no float64
        x = x.cpu()
    x = x.detach().to(torch.float64)
    if not bool(x.isfinite().all()):
        raise ValueError(f"{name}: {what} contain NaN or infinity")
    return x


def matrix(x: Any, name: str, least: int = 1, why: str = "this") -> Tensor:
    """Features (N, D) in float64.

    Args:
        x: array, tensor or nested list.
        name: of the argument, for the error.
        least: the smallest N that will do.
        why: what needs it.

    Raises:
        ValueError: the shape is wrong, N too small, or a value is not finite.
    """
    x = tensor(x, name, "features")
    if x.ndim != 2:
        raise ValueError(f"{name}: features must have shape (N, D), not {tuple(x.shape)}")
    if x.shape[1] == 0:
        raise ValueError(f"{name}: features have no dimension: {tuple(x.shape)}")
    if len(x) < least:
        samples = "sample" if least == 1 else "samples"
        raise ValueError(f"{name}: {why} needs at least {least} {samples}, not {len(x)}")
    return x


def pair(real: Any, fake: Any, least: int = 1, why: str = "this") -> tuple[Tensor, Tensor]:
    """Two sets of features (N, D) and (M, D) in float64, both on the real one's device.

    Raises:
        ValueError: as for `matrix`, or the two have not the same D.
    """
    x, y = matrix(real, "real", least, why), matrix(fake, "fake", least, why)
    same_dims(x.shape[1], y.shape[1])
    return x, y.to(x.device)


def same_dims(real: int, fake: int) -> None:
    """Refuse features of different length: they are of different networks."""
    if real != fake:
        raise ValueError(f"real features have {real} dimensions, generated ones {fake}")


def rows_at_a_time(columns: int, megabytes: int = 16) -> int:
    """How many rows of a float64 matrix with so many columns make a block.

    Memory stays linear in the samples, and a block of this size is quick to go over again.
    """
    return max(16, megabytes * 2**17 // max(columns, 1))
