"""Pictures that a reader brings along, as an `ImageSet`: arrays, torch and Hugging Face data sets.

The same picture gives the same bytes as from a folder: it is fitted by `ganlab.data.pictures`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from ganlab import progress
from ganlab.data.imageset import ImageSet
from ganlab.data.pictures import FORMATS, fit, fit_array
from ganlab.data.sizes import Size, as_size
from ganlab.errors import DataError

WHITE = (255, 255, 255)
FORMS = (
    "an ImageSet, an array or tensor of pictures, (pictures, labels), a list of pictures, or a"
    " torch or Hugging Face data set"
)
BLOCK = 1024  # floats are turned into bytes so many pictures at a time
SILENT = 1000  # pictures that are read without a progress bar
LYING = (5, 6, 7, 8)  # EXIF orientations of a photograph whose sides are swapped
DAMAGED = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises


def own(
    data: Any, size: Size | None = None, channels: int | None = None, name: str = "own pictures"
) -> ImageSet:
    """Pictures in nearly any form as an `ImageSet`.

    Args:
        data: an `ImageSet`; uint8 (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3, channels
            first where both fit; floats of these shapes in [0, 1] or, where one of the set is
            below 0, in [-1, 1]; a pair (pictures, labels); a list or a map-style torch data set
            (or its DataLoader) of pictures, (picture, label) or {"image": picture, "label":
            label}; a Hugging Face data set, or the split "train" of several. A picture is an
            array, a PIL image or a path; transparent ones lie on white. A distribution of points
            (`sample` and `dim`) is returned as it is.
        size: a side, or (height, width); by default that of the first picture.
        channels: 1 or 3; by default those of the first picture.
        name: of the set.

    Returns:
        The set, in memory once. Its `note` says how floats were read, which split was taken, and
        how many pictures had to be fitted to the first.

    Raises:
        DataError: one line: what was given, and what is right.
    """
    if distribution(data):
        return data
    side = None if size is None else as_size(size)
    if channels not in (None, 1, 3):
        raise DataError(f"channels={channels!r} must be 1 (grey) or 3 (red, green, blue)")
    if isinstance(data, ImageSet):
        return _fitted(data, side, channels)
    if isinstance(data, str | Path):
        raise DataError(f"data: {str(data)!r} is a name or a path: ganlab.data.load reads those")
    if isinstance(data, DataLoader):
        data = data.dataset
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
        return _hugging_face(data, side, channels, name)
    tensors = getattr(data, "tensors", None)  # a TensorDataset
    if isinstance(tensors, tuple):
        if len(tensors) > 2:
            raise DataError(f"data: {len(tensors)} tensors are not (pictures,) or pictures, labels")
        data = tensors if len(tensors) == 2 else tensors[0]
    if _array(data):
        if data.ndim == 2 and data.shape[1] == 2:
            raise DataError(
                f"data: an array of shape {tuple(data.shape)} holds points: they need a recipe of"
                " points, and a distribution with .sample(n) and .dim"
            )
        images, seen = _shaped(data, "an array", data.shape), _Range()
        seen.take(images, "an array")
        made = ImageSet(name, seen.levels(images), note=seen.note)
        return _fitted(made, side, channels, exact=True)
    if isinstance(data, tuple) and len(data) == 2 and _pair(*data):
        known, classes = as_labels(data[1], len(data[0]))
        return replace(own(data[0], side, channels, name), labels=known, classes=classes)
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")) or isinstance(data, Mapping):
        raise DataError(f"data: {type(data).__name__} is not {FORMS}")
    return _items(lambda: (data[i] for i in range(len(data))), len(data), side, channels, name)


def distribution(data: Any) -> bool:
    """Whether these are points to draw from, as `ganlab.data.toy` has them, not pictures."""
    return hasattr(data, "sample") and hasattr(data, "dim")


def _array(x: Any) -> bool:
    return torch.is_tensor(x) or isinstance(x, np.ndarray)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _pair(first: Any, second: Any) -> bool:
    """Whether two things are pictures and labels, not two pictures or two items."""
    if _array(first):
        return first.ndim > 2 and not (_array(second) and second.shape == first.shape)
    return isinstance(first, list)


@dataclass
class _Range:
    """Between which values the floats of a set lie, and so how they become bytes."""

    low: float = math.inf
    high: float = -math.inf

    @property
    def note(self) -> str:
        read = "[-1, 1]" if self.low < 0 else "[0, 1]"
        seen = self.low <= self.high
        return f"floats from {self.low:g} to {self.high:g}, read as {read}" if seen else ""

    def take(self, x: torch.Tensor, what: str) -> None:
        """Widen it by the pictures `x`; refuse what lies in no range of pictures."""
        if x.dtype == torch.uint8:
            return
        ends = torch.stack([torch.stack(torch.aminmax(b.float())) for b in x.split(BLOCK)])
        low, high = ends[:, 0].min().item(), ends[:, 1].max().item()
        if not -1 <= low <= high <= 1:
            raise DataError(
                f"data: floats from {low:g} to {high:g} in {what} are not read: pictures lie in"
                " [0, 1] or [-1, 1], or are uint8"
            )
        self.low, self.high = min(low, self.low), max(high, self.high)

    def levels(self, x: torch.Tensor) -> torch.Tensor:
        """Values as bytes."""
        if x.dtype == torch.uint8:
            return x.contiguous()
        out = torch.empty(x.shape, dtype=torch.uint8)
        for block, to in zip(x.split(BLOCK), out.split(BLOCK)):
            to.copy_(((block.float() + 1) / 2 if self.low < 0 else block.float()).mul(255).round())
        return out


def _shaped(x: Any, what: str, shape: Sequence[int]) -> torch.Tensor:
    """Bytes or floats (N, C, H, W) of an array; `what` it is and its `shape` are for messages."""
    single = x.ndim > len(shape)
    if not torch.is_tensor(x):
        if x.dtype.kind == "f":  # torch knows neither foreign byte orders nor more than 64 bits
            x = x.astype(x.dtype.newbyteorder("=") if x.itemsize <= 8 else np.float64, copy=False)
        if x.dtype == np.uint8 or x.dtype.kind == "f":
            x = torch.from_numpy(np.require(x, requirements=["C", "W"]))
    if not torch.is_tensor(x) or not (x.dtype == torch.uint8 or x.is_floating_point()):
        raise DataError(f"data: {what} of type {x.dtype} is not read: use uint8 or floats")
    x = x.detach().cpu()
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.permute(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not x.numel():
        right = "(N, H, W), (N, C, H, W) or (N, H, W, C)"
        right = right.replace("N, ", "") if single else right
        raise DataError(
            f"data: {what} of shape {tuple(shape)} is not pictures: {right}, with C 1 or 3"
        )
    return x


def _fitted(
    made: ImageSet, size: tuple[int, int] | None, channels: int | None, exact: bool = False
) -> ImageSet:
    """A set of another size or colour, with the bytes that a loader gives, or exactly a folder."""
    c, h, w = made.shape
    if size in (None, (h, w)) and channels in (None, c):
        return made
    side, depth = size or (h, w), channels or c
    out = np.empty((len(made), depth, *side), np.uint8)
    with progress.bar(len(out), "fitting", "picture", disable=len(out) <= SILENT) as bar:
        for start in range(0, len(out), BLOCK):
            block, to = made.images[start : start + BLOCK], out[start : start + BLOCK]
            if exact:
                to[:] = [fit(_image(x), side, depth, WHITE) for x in block]
            else:  # within 2 levels, ten times as fast
                to[:] = fit_array(block.numpy(), side, depth)
            bar.update(len(to))
    return replace(made, images=torch.from_numpy(out), mapped=False)


def _image(x: torch.Tensor) -> Image.Image:
    """The PIL image of bytes (C, H, W)."""
    return Image.fromarray(x[0].numpy() if len(x) == 1 else x.permute(1, 2, 0).numpy())


def _one(
    picture: Any, size: tuple[int, int] | None, channels: int | None, seen: _Range, what: str
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """uint8 (C, H, W) of a single picture, and the shape that it came in."""
    if _array(picture):
        x = _shaped(picture[None], what, picture.shape)
        seen.take(x, what)
        picture = _image(seen.levels(x)[0])
    try:
        if isinstance(picture, str | Path):
            what = str(picture)
            with Image.open(picture, formats=FORMATS) as opened:
                return _one(opened, size, channels, seen, what)
        if not isinstance(picture, Image.Image):
            kind = type(picture).__name__
            raise DataError(f"data: {what} is {kind}, not an array, a PIL image or a path")
        grey = picture.mode in ("1", "L", "LA", "La", "I", "F") or picture.mode.startswith("I;16")
        shape = (1 if grey else 3, picture.height, picture.width)
        if picture.getexif().get(0x0112) in LYING:
            shape = (shape[0], picture.width, picture.height)
        return fit(picture, size or shape[1:], channels or shape[0], WHITE), shape
    except DataError:
        raise
    except DAMAGED as error:
        line = " ".join(str(error).split())
        raise DataError(f"data: {what} cannot be read as a picture: {line}") from error


def _items(
    items: Callable[[], Iterable[Any]],
    count: int,
    size: tuple[int, int] | None,
    channels: int | None,
    name: str,
    names: Sequence[str] = (),
    seen: _Range | None = None,
) -> ImageSet:
    """A set of single pictures, with or without labels; the first decides what is not given."""
    seen = seen or _Range()
    rows, first, others = np.empty(0, np.uint8), None, 0
    labels: list[Any] = []
    side, depth = size, channels
    with progress.bar(count, "pictures", "picture", disable=count <= SILENT) as bar:
        for i, item in enumerate(items()):
            picture, label = _parted(item, f"item {i}")
            unsigned = 0 <= seen.low < math.inf
            one, shape = _one(picture, side, depth, seen, f"item {i}")
            if unsigned and seen.low < 0:  # what came before was taken for [0, 1]: once more
                return _items(items, count, size, channels, name, names, seen)
            free = (channels or shape[0], size or shape[1:])
            if first is None:
                first, side, depth = free, (one.shape[1], one.shape[2]), len(one)
                rows = np.empty((count, *one.shape), np.uint8)
            others += free != first
            rows[i] = one
            labels += [] if label is None else [label]
            bar.update()
    if first is None:
        raise DataError("data: there are no pictures in it")
    known, classes = as_labels(labels, count, names) if labels else (None, ())
    fitted = f"{others} of {count} pictures have another shape than the first and were fitted to it"
    note = _joined(seen.note, fitted if others else "")
    return ImageSet(name, torch.from_numpy(rows), known, classes, note=note)


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


def _hugging_face(
    data: Any, size: tuple[int, int] | None, channels: int | None, name: str
) -> ImageSet:
    """A table with a column of pictures, and maybe one of labels."""
    kinds = {key: type(kind).__name__ for key, kind in data.features.items()}
    found = [k for k, kind in kinds.items() if kind == "Image"]
    if not found and len(data):
        found = [k for k, value in data[0].items() if isinstance(value, Image.Image)]
    if not found:
        raise DataError(f"data: no column of pictures among {', '.join(kinds)}")
    named = [k for k, kind in kinds.items() if kind == "ClassLabel"]
    label = next(iter(named + [k for k in ("label", "labels") if k in kinds]), None)
    names = data.features[label].names if named else ()
    pairs = lambda: ((row[found[0]], row[label] if label else None) for row in data)  # noqa: E731
    return _items(pairs, len(data), size, channels, name, names)


def as_labels(
    given: Any, count: int, names: Sequence[str] = ()
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Class numbers (count,) from 0, and the names of the classes in natural order.

    Args:
        given: (N,) or (N, 1) whole numbers of any type, one-hot rows (N, K), or words.
        count: of the pictures.
        names: of the classes, where whole numbers count them from 0; else what is given names them.

    Raises:
        DataError: another number of labels than of pictures, fractions, or a number below 0.
    """
    if torch.is_tensor(given):
        given = np.asarray(given.tolist())
    if isinstance(given, str | bytes | Mapping) or not hasattr(given, "__len__"):
        raise DataError(f"labels: {type(given).__name__} is not a label for each picture")
    rows = np.atleast_1d(given).tolist() if isinstance(given, np.ndarray) else list(given)
    if len(rows) != count:
        raise DataError(f"labels: {len(rows)} of them for {count} pictures")
    try:
        x = np.asarray([r.tolist() if _array(r) else r for r in rows])
    except ValueError:  # numpy's on lists of several lengths
        x = np.asarray([None])
    if x.dtype.kind not in "biufU":
        kinds = ", ".join(sorted({type(r).__name__ for r in rows}))
        raise DataError(f"labels of type {kinds} are not read: give each picture a number or word")
    if x.ndim == 2 and x.shape[1] > 1 and x.dtype.kind != "U":
        if not (np.isin(x, (0, 1)).all() and (x.sum(1) == 1).all()):
            raise DataError(f"labels: rows of {x.shape[1]} numbers are not one-hot")
        return torch.from_numpy(x.argmax(1)), tuple(map(str, range(x.shape[1])))
    if x.size != len(x):
        raise DataError(f"labels: an array of shape {x.shape} is not one label a picture")
    x = x.reshape(-1)
    if x.dtype.kind == "f":
        if not (np.isfinite(x) & (x == x.round())).all():
            raise DataError("labels: fractions are not class numbers")
        x = x.astype(np.int64)
    if x.dtype.kind == "i" and min(x, default=0) < 0:
        raise DataError(f"labels: {min(x)} is below 0: classes are numbered from 0 or from 1")
    if names and x.dtype.kind in "iu":
        if max(x) >= len(names):
            raise DataError(f"labels: {max(x)} is none of the {len(names)} named classes from 0")
        return torch.from_numpy(x.astype(np.int64)), tuple(names)
    values, place = np.unique(x, return_inverse=True)
    order = sorted(range(len(values)), key=lambda i: _natural(str(values[i])))
    return torch.from_numpy(np.argsort(order)[place]), tuple(str(values[i]) for i in order)


def _natural(name: str) -> list[Any]:
    """A key by which "2" comes before "10"."""
    parts: list[Any] = re.split(r"([0-9]+)", name)
    parts[1::2] = map(int, parts[1::2])
    return parts
