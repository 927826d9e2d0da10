"""A tensor that is read from its file page by page, and goes to other processes as a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlab.errors import DataError


class Mapped(torch.Tensor):
    """Bytes of a file as a ``torch.uint8`` tensor; what is computed from it is a plain tensor.

    Pickled, as for the workers of a DataLoader that are not forked, it is its place in the file,
    which they open again: torch would copy all of it into shared memory.

    Attributes:
        place: path, first byte and shape.
    """

    place: tuple[str, int, tuple[int, ...]]

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Its place."""
        return mapped, self.place

    def __deepcopy__(self, memo: Any) -> Mapped:
        """Another one: what is written to one is not seen in the other."""
        return mapped(*self.place)


def mapped(path: str | os.PathLike, start: int, shape: tuple[int, ...]) -> Mapped:
    """Map a part of a file. Pages that are written to are private copies.

    Args:
        path: of the file.
        start: the first byte.
        shape: of the tensor.

    Raises:
        DataError: the file is not there any more, or is another one.
    """
    try:
        # torch warns about arrays that it cannot write to
        array = np.memmap(path, np.uint8, mode="c", offset=start, shape=shape)
    except (OSError, ValueError) as error:  # ValueError: it is shorter
        raise DataError(f"{path} has changed while it was used: load the set again") from error
    made = torch.from_numpy(array).as_subclass(Mapped)  # type: ignore[arg-type]
    made.place = str(Path(path).absolute()), start, tuple(shape)
    return made
