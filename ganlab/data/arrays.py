"""Pictures that lie in one file as an array: ``.npy``, or ``.npz`` with labels and splits."""

from __future__ import annotations

import tokenize
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ganlab.data.cache import Decoded, progress, say, stamp
from ganlab.data.folder import SPLITS, UNPACKING
from ganlab.data.found import Found, Want
from ganlab.data.imageset import MOST
from ganlab.data.labels import as_labels, renumbered
from ganlab.data.left import named
from ganlab.data.pictures import choose, colour, fit_array, fitted, recoloured, uneven
from ganlab.data.ranges import Ranges, Span, extent, levels
from ganlab.data.tensors import readings
from ganlab.errors import DataError, one_line
from ganlab.files import reason

PICTURES = ("images", "pictures", "x", "data")
LABELS = ("labels", "y", "label")
#: What numpy and zipfile raise on a file that is damaged or of another kind.
DAMAGED = (*UNPACKING, SyntaxError, tokenize.TokenError, NotImplementedError)


@dataclass(frozen=True)
class Head:
    """What an array file says of itself: shape and type, and where its values begin."""

    shape: tuple[int, ...]
    dtype: np.dtype
    start: int

    @property
    def bytes(self) -> int:
        """Of the file, if it is whole."""
        count = 1
        for side in self.shape:
            count *= side
        return self.start + count * self.dtype.itemsize


class Arrays:
    """The arrays in a file: known by their headers, read when they are asked for.

    Raises:
        DataError: it is no such file, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, one_line(path)
        self.packed = path.suffix.lower() == ".npz"
        self.heads: dict[str, Head] = {}
        try:
            if not self.packed:
                with open(path, "rb") as file:
                    self._head("", file, path.stat().st_size)
                return
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if info.flag_bits & 1:
                        raise ValueError("encrypted")
                    if info.filename.endswith(".npy"):
                        with archive.open(info) as member:
                            self._head(info.filename.removesuffix(".npy"), member, info.file_size)
        except (*DAMAGED, OSError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> DataError:
        if isinstance(error, OSError) and error.errno is not None:
            return DataError(f"{self.where} cannot be read ({reason(error)})")
        told = one_line(" ".join(str(error).split()))[:160] or type(error).__name__
        return DataError(f"{self.where} is damaged or no {self.path.suffix} file ({told})")

    def _head(self, name: str, file: IO[bytes], size: int) -> None:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"format {version[0]}.{version[1]}")
        shape, _, dtype = read(file)
        head = Head(tuple(shape), dtype, file.tell())
        if not dtype.hasobject and size != head.bytes:
            raise ValueError(f"{size:,} bytes in place of {head.bytes:,}")
        self.heads[name] = head

    def pictures(self, split: str) -> str | None:
        """The name of the array that has the pictures of a split; None if there is no such test.

        Raises:
            DataError: it is not clear which that is.
        """
        if not self.packed:
            return "" if split == "train" else None
        found = self._named(PICTURES, split)
        if found is not None:
            return found
        others = [n for n in self.heads if n not in (self.labels("train"), self.labels("test"))]
        many = [n for n in others if len(self.heads[n].shape) >= 3]
        if self._named(PICTURES, "train") is not None or (split == "test" and len(many) == 1):
            return None
        if len(many) == 1:
            return many[0]
        what = named(list(self.heads)) or "nothing"
        raise DataError(
            f"{self.where} holds {what}: name its pictures 'images' and its labels 'labels'"
        )

    def labels(self, split: str) -> str | None:
        """The name of the array that has the labels of a split; None if there are none."""
        return self._named(LABELS, split) if self.packed else None

    def _named(self, names: tuple[str, ...], split: str) -> str | None:
        lower = {name.lower(): name for name in self.heads}
        parts = SPLITS[split]
        tried = [f"{a}_{b}" for p in parts for n in names for a, b in ((n, p), (p, n))]
        tried += list(names) if split == "train" else []
        return next((lower[name] for name in tried if name in lower), None)

    def read(self, name: str) -> np.ndarray:
        """One of the arrays; of an .npy file page by page, as it is used.

        Raises:
            DataError: it is damaged, or does not fit into memory.
        """
        try:
            if not self.packed:
                return np.load(self.path, mmap_mode="r", allow_pickle=False)
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as member:
                return np.lib.format.read_array(member, allow_pickle=False)
        except MemoryError:
            raise DataError(
                f"{self.where}: its {self.heads[name].bytes >> 20:,} MB do not fit into memory:"
                " save it as .npy, which is read in parts"
            ) from None
        except (*DAMAGED, OSError) as error:
            raise self._refused(error) from error

    def order(self, name: str) -> tuple[bool, str]:
        """Whether an array has its channels last, and a note where both readings are possible.

        Raises:
            DataError: it does not hold pictures.
        """
        shape, dtype = self.heads[name].shape, self.heads[name].dtype
        what = f"{self.where}: {name + ' ' if name else ''}"
        if dtype.kind not in "buif":
            told = "objects" if dtype.hasobject else f"values of type {dtype}"
            raise DataError(f"{what}holds {told}: pictures are bytes, whole numbers, floats, bools")
        right = f"(N, H, W), (N, C, H, W) or (N, H, W, C) with C from 1 to {MOST}"
        ways = readings(shape)
        if len(shape) != 3 and not ways:
            raise DataError(f"{what}an array of shape {shape} is not pictures: {right}")
        if 0 in shape:
            raise DataError(f"{what}an array of shape {shape} is empty")
        last = ways[:1] == [True]
        if len(ways) < 2:
            return last, ""
        read = "(N, H, W, C)" if last else "(N, C, H, W)"
        return last, f"{what}an array of shape {shape} was read as {read}"

    def shape(self, name: str) -> tuple[int, int, int]:
        """(C, H, W) of its pictures.

        Raises:
            DataError: see `order`.
        """
        last, _ = self.order(name)
        shape = self.heads[name].shape
        if len(shape) == 3:
            return 1, shape[1], shape[2]
        return (shape[3], shape[1], shape[2]) if last else (shape[1], shape[2], shape[3])


def array_file(path: Path) -> tuple[tuple[int, int, int], Found]:
    """(C, H, W) of the pictures in an array file, and the set.

    ``.npy`` holds (N, H, W), (N, C, H, W) or (N, H, W, C) with C from 1 to 8, of bytes, bools,
    other whole numbers or floats; the last two become bytes by the option `range`, over the whole
    file. ``.npz`` holds such an array, by itself or named ``images``, with ``labels`` or ``y``
    beside it; ``x_train`` and ``x_test`` (or ``train_images`` ...) are splits.

    Raises:
        DataError: it is not such a file, or damaged.
    """
    held = Arrays(path)
    train = held.pictures("train")
    assert train is not None
    return held.shape(train), Found(stamp([path]), lambda want: _decode(held, want))


def _decode(held: Arrays, want: Want) -> Decoded:
    name = held.pictures(want.split)
    if name is None:
        raise DataError(
            f"{held.where} has no split '{want.split}': name its arrays x_train and x_test"
        )
    last, note = held.order(name)
    c, high, wide = held.shape(name)
    known: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    labels = held.labels(want.split)
    if labels is not None:
        try:
            found, classes = as_labels(held.read(labels), held.heads[name].shape[0])
        except DataError as error:
            raise DataError(f"{held.where}: {error}") from error
        known = found.numpy()
    background = colour(want.background)
    try:  # before anything takes time
        recoloured(np.zeros((1, c, 1, 1), np.uint8), want.channels, background)
    except DataError as error:
        raise DataError(f"{held.where}: {error}: leave channels out, or give {c}") from None
    images = held.read(name)
    keep = choose(len(images), want.limit)
    floats = images.dtype.kind == "f"
    deep = images.dtype != np.uint8 and images.dtype.kind != "b"
    ranges = Ranges(want.range, lambda: _extents(held))
    step = max(1, min(1024, 2**24 // (c * high * wide)))

    def blocks() -> Iterator[np.ndarray]:
        for i in progress(range(0, len(keep), step), len(keep), step, "fitting pictures"):
            block = images[keep[i : i + step]]
            if deep:
                block = levels(block, ranges.of(floats))
            elif block.dtype != np.uint8:
                block = block.astype(np.uint8) * 255
            block = block[:, None] if block.ndim == 3 else block
            block = block.transpose(0, 3, 1, 2) if last else block
            yield fit_array(block, want.size, want.channels, want.fit, background)
        odd = len(keep) if uneven(high, wide, want.size) else 0
        lines = [
            note,
            renumbered(classes),
            ranges.told(floats, len(keep), len(keep)) if deep else "",
        ]
        for line in filter(None, [*lines, fitted(odd, len(keep), want.size, want.fit)]):
            made.notes.append(line)
            say(line)

    made = Decoded(blocks(), labels=None if known is None else known[keep], classes=classes)
    return made


def _extents(held: Arrays) -> list[tuple[bool, Span | None]]:
    """Of the pictures of all splits, so that they agree."""
    rows = []
    for name in {held.pictures("train"), held.pictures("test")} - {None}:
        assert name is not None
        held.order(name)
        array = held.read(name)
        step = max(1, 2**24 // max(1, array[0].size))
        for i in range(0, len(array), step):
            rows.append((array.dtype.kind == "f", extent(np.asarray(array[i : i + step]))))
    return rows
