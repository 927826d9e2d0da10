"""A person's files: written whole or not at all, and what goes wrong with them said in one line.

A file is written beside its place under another name, flushed to the disk and moved there; the
move is atomic, so that a killed process or a full disk leaves the old file or the new one, never
half of one. Only regular files are ever replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ganlab.errors import FileError, one_line

PARTIAL = ".partial"


def reason(error: OSError | ValueError) -> str:
    """Why the system refused, in a few words and without the path that it repeats."""
    if isinstance(error, FileError):
        return str(error)
    text = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return text[0].lower() + text[1:] if text[:2] != text[:2].upper() else text


@contextmanager
def told(path: str | os.PathLike, doing: str = "be written", instead: str = "") -> Iterator[None]:
    """Turn the system's refusal into one line that names the path.

    Args:
        path: what the block works on.
        doing: ends "PATH cannot ...".
        instead: what to do, after a colon.

    Raises:
        FileError: "PATH cannot DOING (reason): INSTEAD".
    """
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        hint = f": {instead}" if instead else ""
        raise FileError(f"{path} cannot {doing} ({reason(error)}){hint}") from error


def as_path(path: str | os.PathLike) -> Path:
    """What a person typed as a path, with `~` filled in.

    Raises:
        FileError: it is none, or the user after `~` does not exist.
    """
    try:
        full = Path(path).expanduser()
    except RuntimeError as error:
        raise FileError(f"{path}: there is no such user") from error
    except TypeError as error:
        raise FileError(f"{type(path).__name__} is no path") from error
    if "\0" in str(full):
        raise FileError(f"{one_line(full)} is no path (embedded null byte)")
    return full


def placed(path: str | os.PathLike) -> Path:
    """The path with `~` filled in, if a file may be written there; its folder is made.

    Raises:
        FileError: there is a folder, a device or a pipe in its place, a part of the path is a
            file, or the system forbids it.
    """
    full = as_path(path)
    with told(path, instead="choose another place"):
        try:
            kind = os.stat(full).st_mode
        except FileNotFoundError:
            full.parent.mkdir(parents=True, exist_ok=True)
            return full
    if stat.S_ISDIR(kind):
        raise FileError(f"{path} is a folder: name a file")
    if not stat.S_ISREG(kind):
        raise FileError(f"{path} is no regular file: name a file")
    return full


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A path to write to, beside `path`; moved to it if the block ends well, else removed.

    Raises:
        FileError: the file cannot be written there.
    """
    full = placed(path)
    with told(path, instead="choose another place, or make room"):
        # a link stays a link: what it points to is replaced
        full = Path(os.path.realpath(full))
        # the name's end stays, because writers read the format off it
        short = full.name[-100:]
        partial = full.with_name(f".{os.getpid()}{PARTIAL}.{short}")
        try:
            yield partial
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, full)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write a file whole; returns its path.

    Raises:
        FileError: the file cannot be written there.
    """
    with replacing(path) as partial:
        partial.write_bytes(data)
    return as_path(path)


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write text whole, as UTF-8 with plain line ends on every platform."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike, values: Any) -> Path:
    """Write values as JSON, whole."""
    return write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_text(path: str | os.PathLike) -> str:
    """The text of a UTF-8 file.

    Raises:
        FileError: it is not there, cannot be read, or is no text.
    """
    with told(path, "be read"):
        if not os.path.isfile(path) and os.path.exists(path):
            raise FileError(f"{path} is no regular file")
        try:
            return Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise FileError(f"{path} is damaged: it is not text in UTF-8") from error


def digest(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
