"""Any folder or zip of pictures: class folders optional, any size, damaged files named."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ganlab.data.cache import stamp
from ganlab.errors import DataError

SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".jfif",
    ]
)
SPLITS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation", "testing")}


class Files:
    """Named picture files, wherever they lie; listed when they are first asked for.

    Attributes:
        where: the folder or zip, for messages.
        open: returns the bytes of one of them.
        fingerprint: changes when a file does.
    """

    def __init__(
        self,
        where: str | Path,
        fingerprint: str,
        listing: Callable[[], Sequence[str]],
        open: Callable[[str], bytes],
    ) -> None:
        self.where, self.fingerprint, self.open = str(where), fingerprint, open
        self._listing = listing

    @cached_property
    def names(self) -> tuple[str, ...]:
        """'/'-separated paths below ``where``, sorted.

        Raises:
            DataError: if there is no picture, or the place cannot be read.
        """
        names = tuple(sorted(name for name in self._listing() if _is_picture(name)))
        if not names:
            kinds = " ".join(sorted(SUFFIXES))
            raise DataError(f"no picture in {self.where} (files ending in {kinds} count)")
        return names


def _is_picture(name: str) -> bool:
    parts = name.split("/")
    hidden = any(p.startswith(".") or p == "__MACOSX" for p in parts)
    return not hidden and os.path.splitext(parts[-1])[1].lower() in SUFFIXES


def folder_files(path: Path) -> Files:
    """The pictures in a folder and all folders below it (links are followed, loops are not).

    Raises:
        DataError: if there is no such folder, or no picture in it.
    """
    if not path.is_dir():
        raise DataError(f"there is no folder {path}")
    rows, seen = [], set()
    for here, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for file in files:
            name = (Path(here) / file).relative_to(path).as_posix()
            if _is_picture(name):
                try:
                    about = (Path(here) / file).stat()
                    rows.append((name, about.st_size, about.st_mtime_ns))
                except OSError:  # a link to nothing: read later, and named as damaged
                    rows.append((name, 0, 0))
    mark = hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()
    names = [name for name, _, _ in rows]
    return Files(path, mark, lambda: names, lambda name: (path / name).read_bytes())


def zip_files(path: Path) -> Files:
    """The pictures in a zip.

    Raises:
        DataError: if there is no such file; when it is listed, if it is not a zip.
    """
    if not path.is_file():
        raise DataError(f"there is no zip {path}")
    opened: list[zipfile.ZipFile] = []
    lock = threading.Lock()  # one file handle for all threads

    def listing() -> list[str]:
        try:
            opened.append(zipfile.ZipFile(path))
        except (zipfile.BadZipFile, OSError) as e:
            raise DataError(f"{path} is not a zip that can be read: {e}") from None
        return opened[0].namelist()

    def read(name: str) -> bytes:
        with lock:
            return opened[0].read(name)

    return Files(path, stamp([path]), listing, read)


@dataclass(frozen=True)
class Layout:
    """Which files make up a split, the class of each (None: no class folders), other factors."""

    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]
    factors: dict[str, np.ndarray] = field(default_factory=dict)


def layout(files: Files, split: str) -> Layout:
    """Read split and class folders off the paths.

    Folders that all files share are ignored. If what is left starts with a folder ``train``, the
    split chooses the folder (``test``: test, val, valid or validation). After that, if every file
    lies in a folder, the first folder is its class.

    Raises:
        DataError: if the split is not there.
    """
    rows = _strip([(name, name.split("/")) for name in files.names])
    tops = {parts[0].lower() for _, parts in rows if len(parts) > 1}
    if tops & set(SPLITS["train"]) and tops & set(SPLITS["test"]):
        rows = [(n, p) for n, p in rows if len(p) > 1 and p[0].lower() in SPLITS[split]]
        rows = [(n, p[1:]) for n, p in rows]
    elif split != "train":
        raise DataError(
            f"{files.where} has no split '{split}': put its pictures in folders named "
            "train and test, or use split 'train' for all of them"
        )
    names = tuple(name for name, _ in rows)
    if all(len(parts) > 1 for _, parts in rows):
        classes = tuple(sorted({parts[0] for _, parts in rows}))
        if len(classes) > 1:
            number = {c: i for i, c in enumerate(classes)}
            return Layout(names, tuple(number[p[0]] for _, p in rows), classes)
    return Layout(names, None, ())


def _strip(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    while all(len(p) > 1 for _, p in rows) and len({p[0] for _, p in rows}) == 1:
        rows = [(n, p[1:]) for n, p in rows]
    return rows
