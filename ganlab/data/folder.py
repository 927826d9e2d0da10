"""Any folder or zip of pictures: class folders optional, what is no picture file told apart."""

from __future__ import annotations

import errno
import hashlib
import lzma
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ganlab.data.cache import stamp
from ganlab.data.formats import SUFFIXES
from ganlab.data.left import Unread, named, plural
from ganlab.data.listing import Files, Listing, ending, hidden, listed, natural
from ganlab.data.spots import kind_of
from ganlab.errors import DataError, one_line
from ganlab.files import reason

SPLITS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation", "testing")}
LARGEST_FILE = 2**29  # bytes of one picture file, unpacked: all of it has to be in memory
#: What zipfile raises on a damaged entry.
UNPACKING = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError)


def folder_files(path: Path) -> Files:
    """The pictures in a folder and all folders below it (links are followed, loops are not).

    Raises:
        DataError: if there is no such folder, or it or one below it cannot be read.
    """
    if kind_of(path) != "folder":
        raise DataError(f"there is no folder {one_line(path)}")

    def refuse(error: OSError) -> None:
        where = one_line(error.filename or path)
        raise DataError(
            f"the folder {where} cannot be read ({reason(error)}): give the right to read it, or"
            " take it away"
        ) from None

    rows: list[tuple[str, Unread | None]] = []
    marks, seen = [], set()
    for here, folders, files in os.walk(path, followlinks=True, onerror=refuse):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        # of two links to one folder always the same is followed
        folders[:] = sorted(name for name in folders if not hidden(name))
        for file in files:
            full = os.path.join(here, file)
            name = Path(full).relative_to(path).as_posix()
            if ending(name) not in SUFFIXES:
                rows.append((name, None))
                continue
            why, size, changed = _about(full)
            rows.append((name, why))
            if why is None:
                marks.append((name, size, changed))
    listing = listed(rows, natural)
    content: Any = sorted(marks)
    if listing.left or listing.others:
        told = sorted((name, str(why)) for name, why in listing.left.items())
        content = content, told, sorted(listing.others.items())
    mark = hashlib.sha256(repr(content).encode()).hexdigest()

    def read(name: str) -> bytes:
        with reading(name, path):
            return (path / name).read_bytes()

    return Files(path, mark, lambda: listing, read)


def _about(full: str) -> tuple[Unread | None, int, int]:
    """What forbids to open a file, its size and time of change, without opening it.

    A pipe that is opened never ends.
    """
    try:
        about = os.stat(full)
    except FileNotFoundError:
        return Unread("a link to nothing"), 0, 0
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Unread("a link to nothing"), 0, 0
        if error.errno != errno.EACCES:
            raise DataError(f"{one_line(full)} cannot be read ({reason(error)})") from None
        return Unread("not readable", reason(error)), 0, 0
    why = None
    if not stat.S_ISREG(about.st_mode):
        why = Unread("no regular file")
    elif not os.access(full, os.R_OK):
        why = Unread("not readable", "permission denied")
    elif about.st_size > LARGEST_FILE:
        why = Unread("too large", f"over {LARGEST_FILE >> 20} MB")
    return why, about.st_size, about.st_mtime_ns


@contextmanager
def reading(name: str, where: Path) -> Iterator[None]:
    """Turn the system's refusal to read a file now into an error: it is no word on the file.

    Such a file is not left out, because the decoded set is kept, and would lack it for ever.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{one_line(name)} in {one_line(where)} cannot be read ({reason(error)}): try again, or"
            " take the file away"
        ) from error


def zip_files(path: Path, order: Callable[[str], Any] = natural) -> Files:
    """The pictures in a zip, in natural order or another one (published sets keep theirs).

    Raises:
        DataError: if there is no such file; when it is listed, if it is not a zip.
    """
    kind = kind_of(path)
    if kind != "file":
        raise DataError(f"there is no zip {one_line(path)}" + (f": it is a {kind}" if kind else ""))
    archive: zipfile.ZipFile | None = None
    entries: dict[str, zipfile.ZipInfo] = {}
    lock = threading.Lock()  # one file handle for all threads

    def listing() -> Listing:
        nonlocal archive
        try:
            archive = zipfile.ZipFile(path)
        except (*UNPACKING, OSError, NotImplementedError) as e:
            told = reason(e) if isinstance(e, OSError) else str(e)
            raise DataError(
                f"{one_line(path)} is not a zip that can be read ({one_line(told)})"
            ) from None
        for info in archive.infolist():
            if not info.filename.endswith(("/", "\\")):
                entries[_inside(info.filename)] = info
        return listed([(name, _packed(info)) for name, info in entries.items()], order)

    def read(name: str) -> bytes:
        if archive is None:
            _ = made.listing
        assert archive is not None
        with lock, reading(name, path):
            try:
                return archive.read(entries[name])
            except UNPACKING as error:
                raise Unread("damaged in the zip") from error
            except NotImplementedError as error:
                raise Unread("packed in a way that is not read", str(error)) from error
            except OSError as error:
                if error.errno is None:  # bz2's word on damaged bytes, not the system's
                    raise Unread("damaged in the zip") from error
                raise

    with reading(path.name, path.parent):
        made = Files(path, stamp([path]), listing, read)
    return made


def _inside(name: str) -> str:
    """A path as zips have it, whatever system wrote it."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "/".join(p for p in parts if p not in ("/", ".", ".."))


def _packed(info: zipfile.ZipInfo) -> Unread | None:
    """What forbids to unpack an entry, without unpacking it."""
    if info.flag_bits & 1:
        return Unread("encrypted")
    if info.create_system == 3 and stat.S_ISLNK(info.external_attr >> 16):
        return Unread("no regular file")
    if info.file_size > LARGEST_FILE:
        return Unread("too large", f"over {LARGEST_FILE >> 20} MB unpacked")
    return None


@dataclass(frozen=True)
class Layout:
    """Which files make up a split, the class of each (None: no class folders), other factors.

    Attributes:
        notes: lines on files that are left out, or classes that are none.
    """

    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def layout(files: Files, split: str) -> Layout:
    """Read split and class folders off the paths.

    Folders that all files share are ignored. If what is left starts with a folder ``train``, the
    split chooses the folder (``test``: test, val, valid or validation). After that, if every file
    lies in a folder, the first folder is its class; classes are in natural order.

    Raises:
        DataError: if the split is not there.
    """
    notes: list[str] = []
    rows = _strip([(name, name.split("/")) for name in files.names])
    tops = {parts[0].lower() for _, parts in rows if len(parts) > 1}
    if tops & set(SPLITS["train"]) and tops & set(SPLITS["test"]):
        known = {*SPLITS["train"], *SPLITS["test"]}
        stray = [n for n, p in rows if len(p) < 2 or p[0].lower() not in known]
        if stray:
            notes.append(
                f"{plural(len(stray), 'picture')} of {files.where} left out, in no folder of a"
                f" split ({named(stray)})"
            )
        rows = [(n, p) for n, p in rows if len(p) > 1 and p[0].lower() in SPLITS[split]]
        rows = [(n, p[1:]) for n, p in rows]
    elif split != "train":
        raise DataError(
            f"{files.where} has no split '{split}': put its pictures in folders named "
            "train and test, or use split 'train' for all of them"
        )
    names = tuple(name for name, _ in rows)
    if all(len(parts) > 1 for _, parts in rows):
        classes = sorted({parts[0] for _, parts in rows}, key=natural)
        if len(classes) > 1:
            number = {c: i for i, c in enumerate(classes)}
            shown = tuple(map(one_line, classes))  # they are printed, and stored as text
            labels = tuple(number[p[0]] for _, p in rows)
            return Layout(names, labels, shown, notes=tuple(notes))
    loose = [name for name, parts in rows if len(parts) == 1]
    if 0 < len(loose) < len(rows):
        notes.append(
            f"no labels: {len(loose):,} of {plural(len(rows), 'picture')} of {files.where} in no"
            f" class folder ({named(loose)})"
        )
    return Layout(names, None, (), notes=tuple(notes))


def _strip(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    while all(len(p) > 1 for _, p in rows) and len({p[0] for _, p in rows}) == 1:
        rows = [(n, p[1:]) for n, p in rows]
    return rows
