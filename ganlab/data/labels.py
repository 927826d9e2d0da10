"""Classes in any form as class numbers from 0: numbers from anywhere, one-hot rows, words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch

from ganlab.data.listing import natural
from ganlab.errors import DataError, one_line


def as_labels(
    given: Any, count: int, names: Sequence[str] = ()
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Class numbers (count,) from 0, and the names of the classes in natural order.

    Numbers that do not count from 0 (1 to 10, or 3, 7 and 9) are the names of so many classes.

    Args:
        given: (N,) or (N, 1) whole numbers of any type, one-hot rows (N, K), or words.
        count: of the pictures.
        names: of the classes, where whole numbers count them from 0; else what is given names them.

    Raises:
        DataError: another number of labels than of pictures, fractions, or a number below 0.
    """
    x = _column(given, count)
    if x.ndim == 2 and x.shape[1] > 1 and x.dtype.kind != "U":
        if not (np.isin(x, (0, 1)).all() and (x.sum(1) == 1).all()):
            raise DataError(f"labels: rows of {x.shape[1]} numbers are not one-hot")
        return torch.from_numpy(x.argmax(1)), tuple(map(str, range(x.shape[1])))
    if x.size != len(x):
        raise DataError(f"labels: an array of shape {x.shape} is not one label a picture")
    x = x.reshape(-1)
    if x.dtype.kind == "f":
        if not (np.isfinite(x) & (x == x.round()) & (np.abs(x) < 2**53)).all():
            raise DataError("labels: fractions are not class numbers")
        x = x.astype(np.int64)
    if x.dtype.kind == "i" and min(x, default=0) < 0:
        raise DataError(f"labels: {min(x)} is below 0: classes are numbered from 0 or from 1")
    if names and x.dtype.kind in "iu":
        if max(x, default=0) >= len(names):
            raise DataError(f"labels: {max(x)} is none of the {len(names)} named classes from 0")
        return torch.from_numpy(x.astype(np.int64)), tuple(names)
    values, place = np.unique(x, return_inverse=True)
    order = sorted(range(len(values)), key=lambda i: natural(str(values[i])))
    return torch.from_numpy(np.argsort(order)[place]), tuple(str(values[i]) for i in order)


def _column(given: Any, count: int) -> np.ndarray:
    """Numbers, truths or words as an array whose first axis counts the pictures."""
    if torch.is_tensor(given):
        given = np.asarray((given if given.layout == torch.strided else given.to_dense()).tolist())
    unordered = isinstance(given, str | bytes | Mapping | Set)
    if unordered or not (hasattr(given, "__len__") and hasattr(given, "__iter__")):
        raise DataError(f"labels: {type(given).__name__} is not a label for each picture")
    rows = np.atleast_1d(given).tolist() if isinstance(given, np.ndarray) else list(given)
    if len(rows) != count:
        raise DataError(f"labels: {len(rows)} of them for {count} pictures")
    plain = [r.tolist() if torch.is_tensor(r) or isinstance(r, np.ndarray) else r for r in rows]
    try:
        x = np.asarray(plain)
    except (ValueError, OverflowError):  # numpy's on lists of several lengths
        x = np.asarray([None])
    words = x.dtype.kind == "U"
    if x.dtype.kind not in "biufU" or (words and x.ndim == 1 and not _words(plain)):
        kinds = ", ".join(sorted({type(r).__name__ for r in rows}))
        raise DataError(f"labels of type {kinds} are not read: give each picture a number or word")
    return x


def _words(rows: list[Any]) -> bool:
    """Whether all are words: of words among numbers numpy makes words of both."""
    return all(isinstance(row, str) for row in rows)


def renumbered(classes: Sequence[str]) -> str:
    """One line where class numbers are not those that were given; else nothing.

    >>> renumbered(("1", "2", "3"))
    'labels 1 to 3 are numbered from 0 and keep their names'
    """
    if not classes or list(classes) == [str(i) for i in range(len(classes))]:
        return ""
    if not all(re.fullmatch("[0-9]+", name) for name in classes):
        return ""
    told = " to ".join(dict.fromkeys((one_line(classes[0]), one_line(classes[-1]))))
    return f"labels {told} are numbered from 0 and keep their names"
