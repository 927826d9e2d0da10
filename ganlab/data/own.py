"""Pictures that a reader brings along, as an `ImageSet`: arrays, torch and Hugging Face data sets.

The same picture gives the same bytes as from a folder: it is fitted by `ganlab.data.pictures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganlab import progress
from ganlab.data.imageset import ImageSet
from ganlab.data.pictures import fit, fit_array
from ganlab.data.sizes import Size
from ganlab.errors import DataError

WHITE = (255, 255, 255)
FORMS = (
    "an ImageSet, an array or tensor of pictures, (pictures, labels), a list of pictures, or a"
    " torch or Hugging Face data set"
)


def own(
    data: Any, size: Size | None = None, channels: int | None = None, name: str = "own pictures"
) -> ImageSet:
    """Pictures in nearly any form as an `ImageSet`.

    Args:
        data: an `ImageSet`; uint8 (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3; floats of
            these shapes in [0, 1] or, where one is below 0, in [-1, 1]; a pair (pictures, labels);
            a list or a map-style torch data set (or its DataLoader) of pictures, (picture, label)
            or {"image": picture, "label": label}; a Hugging Face data set. A picture is an array, a
            PIL image or a path.
        size: a side, or (height, width); by default that of the first picture.
        channels: 1 or 3; by default those of the first picture.
        name: of the set.

    Raises:
        DataError: one line: what was given, and what is right.
    """
    if isinstance(data, ImageSet):
        return _fitted(data, size, channels)
    if hasattr(data, "dataset") and hasattr(data, "batch_size"):  # a DataLoader
        data = data.dataset
    note = ""
    if isinstance(data, Mapping) and hasattr(next(iter(data.values()), None), "column_names"):
        split = "train" if "train" in data else next(iter(data))
        data, note = data[split], f"the split '{split}' of {len(data)}"
    if hasattr(data, "column_names") and hasattr(data, "features"):
        made = _hugging_face(data, size, channels, name)
        return replace(made, note=note or made.note)
    tensors = getattr(data, "tensors", None)  # a TensorDataset
    if isinstance(tensors, tuple):
        data = tensors if len(tensors) > 1 else tensors[0]
    if _array(data):
        return _fitted(ImageSet(name, _bytes(data)), size, channels)
    if isinstance(data, tuple) and len(data) == 2 and _array(data[0]):
        images = _bytes(data[0])
        labels, classes = as_labels(data[1], len(images))
        return _fitted(ImageSet(name, images, labels, classes), size, channels)
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")) or isinstance(data, Mapping):
        raise DataError(f"data: a {type(data).__name__} is not {FORMS}")
    return _items((data[i] for i in range(len(data))), len(data), size, channels, name)


def _array(x: Any) -> bool:
    return torch.is_tensor(x) or isinstance(x, np.ndarray)


def _bytes(x: Any) -> torch.Tensor:
    """uint8 (N, C, H, W) of an array."""
    x = torch.as_tensor(x).detach().cpu()
    shape = tuple(x.shape)
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.permute(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not len(x):
        raise DataError(
            f"data: an array of shape {shape} is not pictures: (N, H, W), (N, C, H, W) or"
            " (N, H, W, C), with C 1 or 3"
        )
    return _depth(x).contiguous()


def _depth(x: torch.Tensor) -> torch.Tensor:
    """Values as bytes, by rule."""
    if x.dtype == torch.uint8:
        return x
    if not x.is_floating_point():
        raise DataError(f"data: pictures of type {x.dtype} are not read: use uint8 or floats")
    low, high = float(x.min()), float(x.max())
    if not (-1 <= low <= high <= 1):
        raise DataError(
            f"data: floats from {low:g} to {high:g} are not read: pictures lie in [0, 1] or"
            " [-1, 1], or are uint8"
        )
    x = x.float() if low >= 0 else (x.float() + 1) / 2
    return (x * 255).round_().to(torch.uint8)


def _fitted(made: ImageSet, size: Size | None, channels: int | None) -> ImageSet:
    c, h, w = made.shape
    same = size in (None, (h, w)) or (h == w == size)
    if same and channels in (None, c):
        return made
    images = fit_array(made.images.numpy(), size or (h, w), channels or c)
    return replace(made, images=torch.from_numpy(images), mapped=False)


def _one(picture: Any, size: Size | None, channels: int | None) -> np.ndarray:
    """uint8 (C, H, W) of a single picture."""
    if isinstance(picture, str | Path):
        try:
            picture = Image.open(picture)
        except OSError as error:
            raise DataError(f"data: {picture} cannot be read as a picture") from error
    if isinstance(picture, Image.Image):
        grey = picture.mode in ("1", "L", "I", "F") or picture.mode.startswith("I;16")
        side = size or (picture.height, picture.width)
        return fit(picture, side, channels or (1 if grey else 3), WHITE)
    if not _array(picture):
        raise DataError(f"data: an item is a {type(picture).__name__}, not a picture")
    x = torch.as_tensor(picture)
    images = _bytes(x[None] if x.ndim == 3 else x[None, None])
    _, c, h, w = images.shape
    return fit_array(images.numpy(), size or (h, w), channels or c)[0]


def _items(
    items: Iterable[Any], count: int, size: Size | None, channels: int | None, name: str
) -> ImageSet:
    """A set of single pictures, with or without labels; the first decides what is not given."""
    rows: Any = None
    labels: list[Any] = []
    bar = progress.bar(count, disable=count < 1000)
    for i, item in enumerate(items):
        picture, label = _parted(item)
        one = _one(picture, size, channels)
        if rows is None:
            size, channels = size or one.shape[1:], channels or len(one)
            rows = np.empty((count, *one.shape), np.uint8)
        rows[i] = one
        labels += [] if label is None else [label]
        bar.update()
    bar.close()
    if rows is None:
        raise DataError("data: there are no pictures in it")
    known, classes = as_labels(labels, count) if labels else (None, ())
    return ImageSet(name, torch.from_numpy(rows), known, classes)


def _parted(item: Any) -> tuple[Any, Any]:
    """The picture of an item, and its label or None."""
    if isinstance(item, Mapping):
        picture = next((item[k] for k in ("image", "img", "picture") if k in item), None)
        label = next((item[k] for k in ("label", "labels", "class") if k in item), None)
        if picture is None:
            raise DataError(f"data: items have {', '.join(map(str, item))}, but no 'image'")
        return picture, label
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    return (item[0], None) if isinstance(item, tuple | list) and len(item) == 1 else (item, None)


def _hugging_face(data: Any, size: Size | None, channels: int | None, name: str) -> ImageSet:
    kinds = {key: type(kind).__name__ for key, kind in data.features.items()}
    image = next((k for k, kind in kinds.items() if kind == "Image"), None)
    if image is None:
        raise DataError(f"data: no column of pictures among {', '.join(kinds)}")
    label = next((k for k, kind in kinds.items() if kind == "ClassLabel"), None)
    rows = ((row[image], row[label]) if label else row[image] for row in data)
    made = _items(rows, len(data), size, channels, name)
    if label is None:
        return made
    numbers = torch.tensor([int(made.classes[int(i)]) for i in made.labels])  # type: ignore
    return replace(made, labels=numbers, classes=tuple(data.features[label].names))


def as_labels(given: Any, count: int) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Class numbers (count,) from 0, and the names of the classes in natural order.

    Args:
        given: (N,) or (N, 1) whole numbers of any type, one-hot rows (N, K), or words.
        count: of the pictures.

    Raises:
        DataError: another number of labels than of pictures, or fractions.
    """
    rows: Sequence[Any] = given.tolist() if _array(given) else list(given)
    if len(rows) != count:
        raise DataError(f"labels: {len(rows)} of them for {count} pictures")
    x = np.asarray([r.tolist() if _array(r) else r for r in rows])
    if x.ndim == 2 and x.shape[1] > 1:
        if not (np.isin(x, (0, 1)).all() and (x.sum(1) == 1).all()):
            raise DataError(f"labels: rows of {x.shape[1]} numbers are not one-hot")
        return torch.from_numpy(x.argmax(1)), tuple(map(str, range(x.shape[1])))
    x = x.reshape(len(x)) if x.ndim <= 2 and x.size == len(x) else x
    if x.ndim != 1:
        raise DataError(f"labels: an array of shape {x.shape} is not one label a picture")
    if x.dtype.kind == "f":
        if not np.equal(x, x.round()).all():
            raise DataError("labels: fractions are not class numbers")
        x = x.astype(np.int64)
    names = sorted({str(v) for v in x.tolist()}, key=_natural)
    place = {name: i for i, name in enumerate(names)}
    return torch.tensor([place[str(v)] for v in x.tolist()]), tuple(names)


def _natural(name: str) -> list[Any]:
    """A key by which "2" comes before "10"."""
    parts = re.split(r"(\d+)", name)
    return [int(p) if p.isdigit() else p for p in parts]
