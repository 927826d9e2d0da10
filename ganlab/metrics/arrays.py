"""What every metric asks of the numbers that it is given, and the answer when they do not fit."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.data.imageset import ImageSet, to_uint8
from ganlab.errors import DataError, RecipeError, one_line

Shape = tuple[int | str, ...]
MOST = sys.float_info.max


def tensor(x: Any, name: str, what: str = "values") -> Tensor:
    """Any array, tensor or nested list of numbers -> float64, detached, on its own device.

    Raises:
        DataError: it is not an array of real numbers, or one is not finite.
    """
    if not isinstance(x, Tensor):
        if isinstance(x, list | tuple) and x and isinstance(x[0], Tensor):
            try:
                x = torch.stack(tuple(x))
            except (TypeError, RuntimeError) as error:
                raise DataError(f"{name}: tensors of one shape expected") from error
        else:
            try:  # by way of numpy: Python floats keep their digits, and its own types are known
                array = np.asarray(x)
                if array.dtype.kind not in "fiub":
                    array = array.astype(np.float64, casting="safe")
                x = torch.from_numpy(np.array(array, dtype=np.float64))
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{name}: not an array of real numbers ({one_line(error)})"
                ) from error
    if x.is_complex():
        raise DataError(f"{name}: real numbers expected, not {x.dtype}")
    if x.device.type == "mps":  # has no float64
        x = x.cpu()
    x = x.detach().to(torch.float64)
    if not bool(x.isfinite().all()):
        raise DataError(f"{name}: {what} contain NaN or infinity")
    return x


def matrix(x: Any, name: str, least: int = 1, why: str = "this") -> Tensor:
    """Features (N, D) in float64.

    Args:
        x: array, tensor or nested list.
        name: of the argument, for the error.
        least: the smallest N that will do.
        why: what needs it.

    Raises:
        DataError: the shape is wrong, N too small, or a value is not finite.
    """
    x = tensor(x, name, "features")
    if x.ndim != 2:
        raise DataError(f"{name}: features must have shape (N, D), not {tuple(x.shape)}")
    if x.shape[1] == 0:
        raise DataError(f"{name}: features have no dimension: {tuple(x.shape)}")
    if len(x) < least:
        samples = "sample" if least == 1 else "samples"
        raise DataError(f"{name}: {why} needs at least {least} {samples}, not {len(x)}")
    return x


def pair(real: Any, fake: Any, least: int = 1, why: str = "this") -> tuple[Tensor, Tensor]:
    """Two sets of features (N, D) and (M, D) in float64, both on the real one's device.

    Raises:
        DataError: as for `matrix`, or the two have not the same D.
    """
    x, y = matrix(real, "real", least, why), matrix(fake, "fake", least, why)
    same_dims(x.shape[1], y.shape[1])
    return x, y.to(x.device)


def same_dims(real: int, fake: int) -> None:
    """Refuse features of different length: they are of different networks."""
    if real != fake:
        raise DataError(f"real features have {real} dimensions, generated ones {fake}")


def raw(x: Any, name: str) -> Tensor:
    """Any array, tensor or nested list of numbers as a tensor of its own type.

    Raises:
        DataError: it is none.
    """
    try:
        return torch.as_tensor(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name}: not an array of numbers ({one_line(error)[:80]})") from error


def shaped(x: Any, name: str, *shapes: Shape) -> Tensor:
    """A tensor of finite numbers in one of these shapes, as it is: nothing is converted.

    Args:
        x: what was given.
        name: of the argument, for the error.
        shapes: in each a number stands for itself, and a word for any length from 1.

    Raises:
        DataError: it is no tensor, has another shape, or a value is not finite.
    """
    words = " or ".join(
        f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" for shape in shapes
    )
    if not isinstance(x, Tensor):
        raise DataError(f"{name}: a tensor {words} expected, not a {type(x).__name__}")
    if x.is_complex():
        raise DataError(f"{name}: real numbers expected, not {x.dtype}")
    if not any(_fits(x.shape, shape) for shape in shapes):
        raise DataError(f"{name}: {words} expected, not {tuple(x.shape)}")
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise DataError(f"{name}: values contain NaN or infinity")
    return x


def _fits(found: torch.Size, shape: Shape) -> bool:
    if len(found) != len(shape):
        return False
    return all(n > 0 if isinstance(w, str) else n == w for n, w in zip(found, shape))


def as_bytes(images: Any, name: str = "pictures", channels: int | str = "C") -> Tensor:
    """Pictures (N, C, H, W) as bytes: as they are, or floats in [-1, 1] rounded.

    Raises:
        DataError: no pictures, others, or one has NaN or infinity, which no byte can show.
    """
    x = shaped(images, name, ("N", channels, "H", "W"))
    if x.dtype == torch.uint8:
        return x
    if not x.is_floating_point():
        raise DataError(f"{name}: bytes or floats in [-1, 1] expected, not {x.dtype}")
    return to_uint8(x)


def picture_set(data: Any, name: str = "data", labelled: bool = False) -> ImageSet:
    """A set of pictures, with labels where a score needs them.

    Raises:
        DataError: it is something else, or has no labels.
    """
    if not isinstance(data, ImageSet):
        raise DataError(
            f"{name}: an ImageSet expected, not a {type(data).__name__}; ganlab.data.own makes one"
        )
    if labelled and (data.labels is None or len(data.classes) < 2):
        raise DataError(f"{data.name} has no classes, and this score needs them")
    return data


def number(
    name: str, value: Any, low: float = -MOST, high: float = MOST, above: bool = False
) -> float:
    """A number from `low` to `high`, as a float; with `above`, greater than `low`.

    Raises:
        RecipeError: it is no number, NaN, or lies outside.
    """
    try:
        found = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        found = math.nan
    inside = low < found if above else low <= found
    if not (inside and found <= high):
        bounds = f" {'above' if above else 'from'} {low:g}" if low > -MOST else ""
        bounds += f" to {high:g}" if high < MOST else ""
        told = f"{found:g}" if not math.isnan(found) else one_line(f"{value!r}")[:40]
        raise RecipeError(f"{name} must be a number{bounds}, not {told}")
    return found


def rows_at_a_time(columns: int, megabytes: int = 16) -> int:
    """How many rows of a float64 matrix with so many columns make a block.

    Memory stays linear in the samples, and a block of this size is quick to go over again.
    """
    return max(16, megabytes * 2**17 // max(columns, 1))
