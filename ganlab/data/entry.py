"""A decoded set on disk: a folder with its pictures, their labels, and checksums of both.

A damaged file of the right length would go unseen, and be trained on. So every entry carries
SHA-256 of its files, block by block, and they are compared when it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.data.imageset import ImageSet
from ganlab.data.mapped import mapped
from ganlab.errors import DataError
from ganlab.files import reason

MAP_ABOVE = 256 * 2**20  # bytes; a larger set is mapped from its file instead of read
BLOCK = 16 * 2**20  # bytes that have a checksum of their own
#: Bytes; of a larger file only some blocks are compared. All take 1.2 s/GB on one core, so at
#: most 5 s; LSUN's 37 GB would take 45 s, and minutes from a slow disk, at each start.
WHOLE_UP_TO = 4 * 2**30
SOME = 64  # blocks of a larger file: the first, the last and others by chance
PIXELS, EXTRAS, META = "images.npy", "extras.npz", "meta.json"


class Damaged(Exception):
    """An entry that must not be used; the text says why, after its name."""


class Unkept(Exception):
    """The cache's disk cannot be used; the text says why."""


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into `Unkept`."""
    try:
        yield
    except OSError as error:
        raise Unkept(f"{path} cannot be written ({reason(error)})") from error


@dataclass
class Decoded:
    """Pictures on their way into the cache.

    ``blocks`` yields uint8 arrays (B, C, H, W); the other fields are read after the last block,
    so that a reader may fill them (labels of the files that could be read) as it goes.
    """

    blocks: Iterable[np.ndarray]
    labels: list[int] | np.ndarray | None = None
    classes: tuple[str, ...] = ()
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        """All notes in one line."""
        return "; ".join(self.notes)

    def arrays(self) -> dict[str, np.ndarray]:
        """Labels and factors."""
        found = {f"factor {k}": v for k, v in self.factors.items()}
        if self.labels is not None:
            found["labels"] = np.asarray(self.labels, dtype=np.int64)
        return found


def _pour(decoded: Decoded) -> Iterator[np.ndarray]:
    """The blocks in one piece of memory each.

    Raises:
        DataError: there is no picture in them.
    """
    count = 0
    for block in decoded.blocks:
        count += len(block)
        yield np.ascontiguousarray(block, dtype=np.uint8)
    if not count:
        raise DataError("; ".join(["no picture could be read", *decoded.notes]))


def _made(
    name: str,
    images: Tensor,
    arrays: dict[str, np.ndarray],
    classes: Iterable[str],
    note: str,
    large: bool = False,
) -> ImageSet:
    got = {k: torch.from_numpy(v) for k, v in arrays.items()}
    return ImageSet(
        name=name,
        images=images,
        labels=got.pop("labels", None),
        classes=tuple(classes),
        factors={k.removeprefix("factor "): v for k, v in got.items()},
        note=note,
        mapped=large,
    )


def remember(name: str, decoded: Decoded) -> ImageSet:
    """The set in memory, for want of a cache.

    Raises:
        DataError: no picture could be read.
    """
    pixels, shape = bytearray(), (0,)  # it grows in place: no second copy in the end
    for block in _pour(decoded):
        shape = block.shape[1:]
        pixels += block.data
    images = torch.from_numpy(np.frombuffer(pixels, np.uint8).reshape(-1, *shape))
    return _made(name, images, decoded.arrays(), decoded.classes, decoded.note)


def _header(shape: tuple[int, ...]) -> bytes:
    """The start of an ``.npy`` file of bytes (numpy pads it, so that N may change later)."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def write(folder: Path, decoded: Decoded) -> None:
    """Write one entry; pictures stream to the file, so a set may be larger than memory.

    Raises:
        Unkept: the disk is full, or cannot be written.
        DataError: no picture could be read.
    """
    shape: tuple[int, ...] = ()
    count = 0
    with keeping(folder):
        out = open(folder / PIXELS, "wb")  # noqa: SIM115 (closing it may fail too)
    try:
        for block in _pour(decoded):
            with keeping(folder):
                if not shape:
                    shape = block.shape[1:]
                    out.write(_header((0, *shape)))
                out.write(block.data)
            count += len(block)
        with keeping(folder):
            out.seek(0)
            out.write(_header((count, *shape)))
            out.flush()
            os.fsync(out.fileno())
    finally:
        with suppress(OSError):  # a full disk has been told of, or something else
            out.close()
    arrays = decoded.arrays()
    with keeping(folder):
        np.savez(folder / EXTRAS, **arrays)  # type: ignore[arg-type]
        files = (PIXELS, EXTRAS)
        meta = {
            "shape": [count, *shape],
            "start": len(_header((count, *shape))),
            "sizes": {n: (folder / n).stat().st_size for n in files},
            "block": BLOCK,
            "sha256": {n: digests(folder / n, BLOCK) for n in files},
            "classes": list(decoded.classes),
            "note": decoded.note,
        }
        text = json.dumps({"meta": meta, "sha256": _seal(meta)})
        (folder / META).write_text(text, encoding="utf-8")
        for name in (EXTRAS, META):  # else a crash may leave zeros under their names
            with open(folder / name, "rb+") as file:
                os.fsync(file.fileno())


def _seal(meta: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def digests(path: Path, block: int, which: Iterable[int] | None = None) -> list[str]:
    """SHA-256 of each block of a file, or of those with these numbers."""

    def one(number: int) -> str:
        with open(path, "rb", buffering=0) as file:
            file.seek(number * block)
            found, left = hashlib.sha256(), block
            while left and (data := file.read(min(left, 2**20))):
                found.update(data)
                left -= len(data)
        return found.hexdigest()

    if which is None:
        which = range(-(-path.stat().st_size // block))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, which))


def _compare(folder: Path, meta: dict[str, Any]) -> None:
    for name, right in meta["sha256"].items():
        size = (folder / name).stat().st_size
        if size != meta["sizes"][name]:
            raise Damaged(f"is damaged ({name} has {size:,} bytes, not {meta['sizes'][name]:,})")
        numbers = list(range(len(right)))
        if size > WHOLE_UP_TO:
            # by the system's chance: other blocks each time, and no seed of a training is used
            chosen = random.SystemRandom().sample(numbers, min(SOME, len(numbers)))
            numbers = sorted({*chosen, numbers[0], numbers[-1]})
        found = digests(folder / name, meta["block"], numbers)
        if found != [right[number] for number in numbers]:
            raise Damaged(f"is damaged (the SHA-256 of {name} is another)")


def _meta(folder: Path) -> dict[str, Any]:
    """What an entry says of itself; from here on all of it is as it was written."""
    try:
        whole = json.loads((folder / META).read_text(encoding="utf-8"))
    except ValueError as error:
        raise Damaged(f"is damaged ({META} is no JSON)") from error
    if isinstance(whole, dict) and "sizes" in whole:
        raise Damaged("has no checksums (an earlier version wrote it)")
    meta = whole.get("meta") if isinstance(whole, dict) else None
    if not isinstance(meta, dict) or whole.get("sha256") != _seal(meta):
        raise Damaged(f"is damaged (the SHA-256 of {META} is another)")
    return meta


def read(name: str, folder: Path) -> ImageSet | None:
    """An entry that has been found whole; None if there is none.

    Args:
        name: of the set.
        folder: the entry's.

    Raises:
        Damaged: it is not as it was written, or has no checksums.
        Unkept: the system forbids to read it.
    """
    try:
        if not folder.is_dir():
            return None
        meta = _meta(folder)
        _compare(folder, meta)
        large = meta["sizes"][PIXELS] > MAP_ABOVE
        with np.load(folder / EXTRAS, allow_pickle=False) as extras:
            arrays = {k: extras[k] for k in extras.files}
        if large:
            images: Tensor = mapped(folder / PIXELS, meta["start"], tuple(meta["shape"]))
        else:
            images = torch.from_numpy(np.load(folder / PIXELS, allow_pickle=False))
    except PermissionError as error:
        raise Unkept(f"{folder} cannot be read ({reason(error)})") from error
    except OSError as error:  # a file that is gone, a bad sector
        raise Damaged(f"is damaged ({reason(error)})") from error
    return _made(name, images, arrays, meta["classes"], meta["note"], large)
