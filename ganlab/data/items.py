"""Single pictures of a list, a torch data set or a table, one after another.

What is asked here is somebody else's code. It may raise anything: that becomes one line with the
number of the item, and nothing that this package does itself is caught with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from ganlab import progress
from ganlab.data.formats import MODES, glance, is_deep, is_grey, opened, orientation, small
from ganlab.data.imageset import ImageSet
from ganlab.data.labels import as_labels, renumbered
from ganlab.data.left import Unread
from ganlab.data.pictures import fit
from ganlab.data.sizes import LARGEST
from ganlab.data.spots import kind_of, place
from ganlab.data.tensors import WHITE, Seen, fit_block, is_array, shaped
from ganlab.errors import DataError, one_line
from ganlab.files import reason

SILENT = 1000  # pictures that are read without a progress bar
LYING = (5, 6, 7, 8)  # orientations of a photograph whose sides are swapped

Shape = tuple[int, int, int]
T = TypeVar("T")


def asked(what: str, ask: Callable[[], T]) -> T:
    """The answer of a data set that is not ours.

    Raises:
        DataError: it raises an error; the line says where and which.
    """
    try:
        return ask()
    except MemoryError:
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:160]
        raise DataError(
            f"data: {what} cannot be had: your data set raises {type(error).__name__}"
            + (f": {one_line(told)}" if told else "")
        ) from error


def count_of(data: Any) -> int:
    """The length of a data set.

    Raises:
        DataError: it has none, or counting fails.
    """
    return asked(f"the length of {type(data).__name__}", lambda: len(data))


def indexed(data: Any, count: int) -> Iterator[Any]:
    """Its items by number."""
    for i in range(count):
        yield asked(f"item {i} of {count}", lambda i=i: data[i])  # type: ignore[misc]


def iterated(data: Any, count: int) -> Iterator[Any]:
    """Its items in order, which is faster for tables."""
    rows, end = asked("item 0", lambda: iter(data)), object()
    for i in range(count):
        row = asked(f"item {i} of {count}", lambda: next(rows, end))
        if row is end:
            raise DataError(f"data: item {i} of {count} is not there: the data set ends before it")
        yield row


def gathered(
    items: Callable[[], Iterable[Any]],
    count: int,
    size: tuple[int, int] | None,
    channels: int | None,
    name: str,
    names: Sequence[str] = (),
    seen: Seen | None = None,
) -> ImageSet:
    """A set of single pictures, with or without labels; the first decides what is not given.

    Args:
        items: begins to give them, each a picture, (picture, label) or a mapping.
        count: how many there are.
        size: (height, width).
        channels: of all pictures.
        name: of the set.
        names: of the classes, where labels are numbers.
        seen: the range of floats that is known already.

    Raises:
        DataError: one is no picture or cannot be had, or some have labels and others none.
    """
    seen = seen or Seen()
    rows, first, others = np.empty(0, np.uint8), None, 0
    labels: list[Any] = []
    side, depth = size, channels
    with progress.bar(count, "pictures", "picture", disable=count <= SILENT) as bar:
        for i, item in enumerate(items()):
            picture, label = _parted(item, f"item {i}")
            unsigned = 0 <= seen.low < math.inf
            pixels, shape = one(picture, side, depth, seen, f"item {i}")
            if unsigned and seen.low < 0:  # what came before was taken for [0, 1]: once more
                return gathered(items, count, size, channels, name, names, seen)
            free = (channels or shape[0], size or shape[1:])
            if first is None:
                first, side, depth = free, (pixels.shape[1], pixels.shape[2]), len(pixels)
                rows = np.empty((count, *pixels.shape), np.uint8)
            others += free != first
            rows[i] = pixels
            labels += [] if label is None else [label]
            bar.update()
    if first is None:
        raise DataError("data: there are no pictures in it")
    known, classes = as_labels(labels, count, names) if labels else (None, ())
    fitted = f"{others} of {count} pictures have another shape than the first and were fitted to it"
    notes = [seen.note, fitted if others else "", renumbered(classes if not names else ())]
    note = "; ".join(filter(None, notes))
    return ImageSet(name, torch.from_numpy(rows), known, classes, note=note)


def one(
    picture: Any, size: tuple[int, int] | None, channels: int | None, seen: Seen, what: str
) -> tuple[np.ndarray, Shape]:
    """uint8 (C, H, W) of a single picture, and the shape that it came in.

    Raises:
        DataError: it is none, or cannot be read.
    """
    if is_array(picture):
        x = shaped(picture[None], what, picture.shape)
        seen.take(x, what)
        c, h, w = x.shape[1:]
        return fit_block(seen.levels(x), size, channels, exact=True)[0], (c, h, w)
    if isinstance(picture, str | Path):
        loaded, shape = _file(picture, size)
    elif isinstance(picture, Image.Image):
        loaded, shape = _loaded(picture, size, what)
    else:
        kind = type(picture).__name__
        raise DataError(f"data: {what} is {kind}, not an array, a PIL image or a path")
    depth = channels or shape[0]
    if depth not in (1, 3, 4):
        raise DataError(f"data: {what} is a picture of colours, which has no {depth} channels")
    return fit(loaded, size or shape[1:], depth, WHITE), shape


def _file(path: str | Path, size: tuple[int, int] | None) -> tuple[Image.Image, Shape]:
    """A picture file decoded, and the shape that it has."""
    full, where = place(path), one_line(path)
    kind = kind_of(full)  # a pipe that is opened never ends
    try:
        if kind != "file":
            raise Unread(f"it is a {kind}" if kind else "there is no such file")
        data = full.read_bytes()
        height, width, grey = glance(data)
        return opened(data, size or LARGEST), (1 if grey else 3, height, width)
    except (Unread, OSError) as error:
        told = reason(error) if isinstance(error, OSError) else error
        raise DataError(f"data: {where} cannot be read as a picture: {told}") from error


def _loaded(
    picture: Image.Image, size: tuple[int, int] | None, what: str
) -> tuple[Image.Image, Shape]:
    """A PIL image whose pixels are in memory, and the shape that it has upright."""
    shape = (1 if is_grey(picture) else 3, picture.height, picture.width)
    try:
        if orientation(picture) in LYING:
            shape = (shape[0], picture.width, picture.height)
        if size is not None:
            small(picture, size)
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders, on a file that lies open
        told = one_line(" ".join(str(error).split()))[:160] or type(error).__name__
        raise DataError(f"data: {what} cannot be read as a picture: {told}") from error
    if picture.mode not in MODES and not is_deep(picture):
        raise DataError(
            f"data: {what} cannot be read as a picture: in colours that are not read:"
            f" {picture.mode}"
        )
    return picture, shape


def _parted(item: Any, what: str) -> tuple[Any, Any]:
    """The picture of an item, and its label or None."""
    if isinstance(item, Mapping):
        picture = next((item[k] for k in ("image", "img", "picture") if k in item), None)
        label = next((item[k] for k in ("label", "labels", "class") if k in item), None)
        if picture is None:
            raise DataError(f"data: {what} has {', '.join(map(str, item))}, but no 'image'")
        return picture, label
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    return (item[0], None) if isinstance(item, tuple | list) and len(item) == 1 else (item, None)


def table(data: Any, size: tuple[int, int] | None, channels: int | None, name: str) -> ImageSet:
    """The set of a Hugging Face table with a column of pictures, and maybe one of labels.

    Raises:
        DataError: there is no such column; see `gathered`.
    """
    kinds = {key: type(kind).__name__ for key, kind in data.features.items()}
    found = [k for k, kind in kinds.items() if kind == "Image"]
    count = count_of(data)
    if not found and count:
        first = asked(f"item 0 of {count}", lambda: data[0])
        found = [k for k, value in first.items() if isinstance(value, Image.Image)]
    if not found:
        raise DataError(f"data: no column of pictures among {', '.join(kinds)}")
    named = [k for k, kind in kinds.items() if kind == "ClassLabel"]
    label = next(iter(named + [k for k in ("label", "labels") if k in kinds]), None)
    names = data.features[label].names if named else ()

    def pairs() -> Iterator[Any]:
        for row in iterated(data, count):
            yield row[found[0]], row[label] if label else None

    return gathered(pairs, count, size, channels, name, names)
