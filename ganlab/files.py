"""A person's files: written whole or not at all, and what goes wrong with them said in one line.

A file is written beside its place under another name, flushed to the disk and moved there; the
move is atomic, so that a killed process or a full disk leaves the old file or the new one, never
half of one. Only regular files are ever replaced. What a killed process has left beside is
removed by the next one that writes there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ganlab.errors import FileError, one_line

PARTIAL = ".partial"
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # a process's number says nothing elsewhere
_BEGUN = re.compile(rf"\.(\d+)-([0-9a-f]{{8}}){re.escape(PARTIAL)}\.(.+)", re.DOTALL)


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
        raise FileError(f"{_asked(path)} cannot {doing} ({reason(error)}){hint}") from error
    except RuntimeError as error:  # what pathlib makes of a loop of links before Python 3.13
        if not str(error).startswith("Symlink loop"):
            raise
        raise FileError(f"{path} cannot {doing} (too many levels of symbolic links)") from error


def _asked(path: str | os.PathLike) -> str | os.PathLike:
    """The path that was asked for, of one that is written beside it."""
    begun = _BEGUN.fullmatch(os.path.basename(str(path)))
    return Path(path).with_name(begun[3]) if begun else path


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
        partial = full.with_name(f".{os.getpid()}-{_HOST}{PARTIAL}.{short}")
        try:
            yield partial
            flush(partial)
            os.replace(partial, full)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
        with suppress(OSError):  # it is written: the rest is care for the next power cut
            _flush_folder(full.parent)
            _sweep(full.parent)


def flush(path: str | os.PathLike) -> None:
    """Wait until what was written to a file is on the disk.

    Raises:
        OSError: it is not there, or the disk refuses.
    """
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Bring the names of its files to the disk; Windows does so by itself, and opens no folder."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _sweep(folder: Path) -> None:
    """Remove files that processes of this machine have begun and, killed, never ended."""
    if os.name != "posix":  # elsewhere asking after a process could end it
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            begun = _BEGUN.fullmatch(entry.name)
            if begun and begun[2] == _HOST and _gone(int(begun[1])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _gone(process: int) -> bool:
    """Whether no process of that number lives."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):  # a number that no process can have
        return True
    except OSError:  # it lives and is somebody else's
        return False
    return False


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
    """Write values as JSON, whole; numbers that are not finite, which JSON lacks, as null."""
    text = json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
