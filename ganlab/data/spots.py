"""A set's place on disk as people write it: a folder, a zip or an array file."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

from ganlab.data.cache import data_root, places
from ganlab.data.formats import SUFFIXES
from ganlab.errors import DataError, FileError, one_line, unknown
from ganlab.files import as_path, reason

ARRAYS = (".npy", ".npz")
PREFIXES = ("folder", "zip")


def place(text: str | os.PathLike) -> Path:
    """A path with `~` filled in.

    Raises:
        DataError: it is none, or there is no such user.
    """
    try:
        return as_path(text)
    except FileError as error:
        raise DataError(one_line(error)) from None


def kind_of(path: Path) -> str:
    """What lies there: "folder", "file", "pipe or device", or nothing ("").

    Raises:
        DataError: the system forbids to look, or it is no path.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise DataError(f"{one_line(path)} cannot be read ({reason(error)})") from None
    except ValueError as error:  # a zero byte
        raise DataError(f"{one_line(path)} is no path ({reason(error)})") from None
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "pipe or device"


def spot(name: str, known: Sequence[str]) -> tuple[str, Path]:
    """("folder", "zip" or "array", path) of a set that is named by its place.

    Args:
        name: folder:PATH, zip:PATH or a path.
        known: names of sets, for the line on a name that is none.

    Raises:
        DataError: there is nothing in that place.
    """
    prefix, colon, rest = name.partition(":")
    if colon and prefix in PREFIXES:
        return prefix, place(rest)
    path = place(name)
    kind, end = kind_of(path), path.suffix.lower()
    if kind == "folder":
        return "folder", path
    if end in ARRAYS:
        if kind != "file":
            raise DataError(f"there is no file {one_line(path)}")
        return "array", path
    if kind == "file" and end in SUFFIXES:
        raise DataError(f"{one_line(path)} is one picture: name its folder")
    if kind or end == ".zip":
        return "zip", path
    if len(path.parts) > 1 or name.startswith((".", "~")) or name.endswith(("/", os.sep)):
        raise DataError(f"there is no folder or zip {one_line(path)}")
    raise DataError(unknown("data set", one_line(name), [*known, "folder:PATH", "zip:PATH"]))


def absolute(name: str, known: Collection[str]) -> str:
    """The name of a set such that it means the same from any folder: of a place its whole path.

    Args:
        name: as for `spot`.
        known: names of sets, which stay as they are.
    """
    prefix, colon, rest = name.partition(":")
    if not colon or prefix not in PREFIXES:
        prefix, colon, rest = "", "", name
    # what is not there is refused where it is read
    if not os.path.exists(rest) or (not colon and name in known):
        return name
    return f"{prefix}{colon}{os.path.abspath(rest)}"


def roots(root: str | os.PathLike | None) -> list[Path]:
    """The folders to look in.

    Raises:
        DataError: one is no folder, or the system forbids to look.
    """
    if root is not None:
        place(root)  # ~nobody
    try:
        found = places(root)
    except RuntimeError as error:  # the same, of $GANLAB_DATA
        raise DataError(f"$GANLAB_DATA or $GANLAB_CACHE: {error}") from None
    except (OSError, ValueError):
        found = [data_root(root)]  # said by the next line
    for one in found:
        if kind_of(one) not in ("folder", ""):
            raise DataError(f"{one_line(one)} is a {kind_of(one)}, not a folder of data sets")
    return found
