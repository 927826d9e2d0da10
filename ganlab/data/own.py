"""Pictures that a reader brings along, as an `ImageSet`: arrays, torch and Hugging Face data sets.

The same picture gives the same bytes as from a folder: it is fitted by `ganlab.data.pictures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from ganlab import progress
from ganlab.data.imageset import MOST, ImageSet
from ganlab.data.items import SILENT, count_of, gathered, indexed, table
from ganlab.data.labels import as_labels as as_labels
from ganlab.data.labels import renumbered
from ganlab.data.sizes import Size, as_size
from ganlab.data.tensors import BLOCK, Seen, fit_block, is_array, shaped
from ganlab.errors import DataError

FORMS = (
    "an ImageSet, an array or tensor of pictures, (pictures, labels), a list of pictures, or a"
    " torch or Hugging Face data set"
)


def own(
    data: Any, size: Size | None = None, channels: int | None = None, name: str = "own pictures"
) -> ImageSet:
    """Pictures in nearly any form as an `ImageSet`.

    Args:
        data: an `ImageSet`; uint8 (N, H, W), (N, C, H, W) or (N, H, W, C) with C from 1 to 8,
            channels first where both fit (see `ganlab.data.tensors.shaped`); floats of these
            shapes in [0, 1] or, where one of the set is below 0, in [-1, 1]; a pair (pictures,
            labels), see `ganlab.data.labels.as_labels`; a list or a map-style torch data set (or
            its DataLoader) of pictures, (picture, label) or {"image": picture, "label": label}; a
            Hugging Face data set, or the split "train" of several. A picture is an array, a PIL
            image or a path; transparent ones lie on white. A distribution of points (`sample` and
            `dim`) is returned as it is.
        size: a side, or (height, width); by default that of the first picture.
        channels: 1 (grey), 3 (colours) or another number that the pictures have; by default that
            of the first picture.
        name: of the set.

    Returns:
        The set, in memory once. Its `note` says how floats were read, which split was taken, how
        many pictures had to be fitted to the first, and whether classes had other numbers.

    Raises:
        DataError: one line: what was given, and what is right; or which item of a data set raised
            which error.
    """
    if distribution(data):
        return data
    side = None if size is None else as_size(size)
    whole = isinstance(channels, int) and not isinstance(channels, bool)
    if channels is not None and not (whole and 1 <= channels <= MOST):
        raise DataError(
            f"channels={channels!r} must be 1 (grey), 3 (red, green, blue) or what the pictures"
            f" have, up to {MOST}"
        )
    if isinstance(data, ImageSet):
        return _fitted(_named(data), side, channels)
    if isinstance(data, str | Path):
        raise DataError(f"data: {str(data)!r} is a name or a path: ganlab.data.load reads those")
    if isinstance(data, DataLoader):
        data = _under(data)
    if isinstance(data, Mapping) and hasattr(next(iter(data.values()), None), "column_names"):
        split = "train" if "train" in data else next(iter(data))
        made = own(data[split], side, channels, name)
        return replace(made, note=_joined(f"the split '{split}' of {', '.join(data)}", made.note))
    endless = hasattr(data, "__iter__") and not hasattr(data, "__len__")
    if endless or isinstance(data, IterableDataset):
        raise DataError(
            f"data: {type(data).__name__} is a stream, and pictures are kept in memory: make a"
            " list of them first, as list(itertools.islice(data, 10_000))"
        )
    if hasattr(data, "column_names") and hasattr(data, "features"):
        return table(data, side, channels, name)
    tensors = getattr(data, "tensors", None)  # a TensorDataset
    if isinstance(tensors, tuple):
        if len(tensors) > 2:
            raise DataError(f"data: {len(tensors)} tensors are not (pictures,) or pictures, labels")
        if len(tensors) == 2:
            return _labelled(own(tensors[0], side, channels, name), tensors[1])
        data = tensors[0]
    if is_array(data):
        if data.ndim == 2 and data.shape[1] == 2:
            raise DataError(
                f"data: an array of shape {tuple(data.shape)} holds points: they need a recipe of"
                " points, and a distribution with .sample(n) and .dim"
            )
        images, seen = shaped(data, "an array", data.shape), Seen()
        seen.take(images, "an array")
        made = ImageSet(name, seen.levels(images), note=seen.note)
        return _fitted(made, side, channels, exact=True)
    if isinstance(data, tuple) and len(data) == 2 and _pair(*data):
        return _labelled(own(data[0], side, channels, name), data[1])
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")) or isinstance(data, Mapping):
        raise DataError(f"data: {type(data).__name__} is not {FORMS}")
    count = count_of(data)
    return gathered(lambda: indexed(data, count), count, side, channels, name)


def distribution(data: Any) -> bool:
    """Whether these are points to draw from, as `ganlab.data.toy` has them, not pictures."""
    return hasattr(data, "sample") and hasattr(data, "dim")


def _under(loader: DataLoader) -> Any:
    """The data set of a loader that gives all of it.

    Raises:
        DataError: its sampler chooses.
    """
    sampler: Any = getattr(loader, "sampler", None)
    own_batches = loader.batch_sampler is not None and (
        type(loader.batch_sampler) is not torch.utils.data.BatchSampler
    )
    streamed = isinstance(loader.dataset, IterableDataset)
    if not streamed and (own_batches or type(sampler) not in (SequentialSampler, RandomSampler)):
        which = loader.batch_sampler if own_batches else sampler
        raise DataError(
            f"data: the loader's {type(which).__name__} chooses among its pictures, and they are"
            " taken from its data set: give torch.utils.data.Subset(dataset, indices)"
        )
    return loader.dataset


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _labelled(made: ImageSet, labels: Any) -> ImageSet:
    known, classes = as_labels(labels, len(made))
    note = _joined(made.note, renumbered(classes))
    return replace(made, labels=known, classes=classes, note=note)


def _named(made: ImageSet) -> ImageSet:
    """The same with names for its classes: their numbers, where it has none."""
    if made.labels is None or made.classes or not len(made):
        return made
    return replace(made, classes=tuple(map(str, range(int(made.labels.max()) + 1))))


def _pair(first: Any, second: Any) -> bool:
    """Whether two things are pictures and labels, not two pictures or two items."""
    if is_array(first):
        return first.ndim > 2 and not (is_array(second) and second.shape == first.shape)
    return isinstance(first, list)


def _fitted(
    made: ImageSet, size: tuple[int, int] | None, channels: int | None, exact: bool = False
) -> ImageSet:
    """A set of another size or colour, with the bytes that a loader gives, or exactly a folder."""
    c, h, w = made.shape
    if size in (None, (h, w)) and channels in (None, c):
        return made
    out = np.empty((len(made), channels or c, *(size or (h, w))), np.uint8)
    with progress.bar(len(out), "fitting", "picture", disable=len(out) <= SILENT) as bar:
        for start in range(0, len(out), BLOCK):
            block, to = made.images[start : start + BLOCK], out[start : start + BLOCK]
            to[:] = fit_block(block, size, channels, exact)
            bar.update(len(to))
    return replace(made, images=torch.from_numpy(out), mapped=False)
