"""Where data lies on disk, and the cache of decoded pictures."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from ganlab.data import entry as entries
from ganlab.data.entry import Damaged, Unkept, keeping
from ganlab.data.entry import Decoded as Decoded
from ganlab.data.imageset import ImageSet
from ganlab.errors import FileError, one_line
from ganlab.files import as_path
from ganlab.progress import bar, tell, wanted

FORMAT = 1
BUILDING = ".building-"  # begins the names of folders of entries that are not whole yet
STALE = 24 * 3600  # seconds after which such a folder was left by a process that is dead
PATIENCE = 5.0  # seconds of waiting for another process in silence
AGAIN = 60.0  # seconds until the wait is told of again
#: What the system says where a disk knows no locks.
_LOCKLESS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


def say(line: str) -> None:
    """Print one line for the user on stderr, so that stdout stays clean for results."""
    tell(f"ganlab: {line}")


def cache_root() -> Path:
    """The folder that ganlab may write to: ``$GANLAB_CACHE`` or the user's cache folder.

    Raises:
        FileError: it is in the home of a user who does not exist, or who has none.
    """
    if given := os.environ.get("GANLAB_CACHE"):
        return as_path(given)
    try:
        return as_path(platformdirs.user_cache_dir("ganlab"))
    except RuntimeError:  # a user without a name, as in a container
        raise FileError("this user has no home for a cache: set GANLAB_CACHE to a folder") from None


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The folder that holds data sets: the argument, or ``$GANLAB_DATA``, or the cache folder."""
    return as_path(root or os.environ.get("GANLAB_DATA") or cache_root())


def writable(folder: Path) -> bool:
    """Whether files can be made in ``folder``, or in the first parent of it that exists."""
    for place in (folder, *folder.parents):
        if place.exists():
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False


def places(root: str | os.PathLike | None = None) -> list[Path]:
    """The folders to look in, in order: the root, and the cache folder if the root is read-only."""
    first = data_root(root)
    return [first] if writable(first) else [first, cache_root()]


def stamp(paths: Iterable[Path]) -> str:
    """A fingerprint of files by name, size and time of change, without reading them."""
    rows = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(paths)]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def progress(steps: Iterable[int], total: int, each: int, what: str) -> Iterable[int]:
    """``steps`` with a bar of ``total`` pictures, ``each`` a step, if there are thousands."""
    if total < 3000 or not wanted():
        return steps
    return _bar(steps, total, each, what)


def _bar(steps: Iterable[int], total: int, each: int, what: str) -> Iterator[int]:
    with bar(total, what, unit="pic") as drawn:
        for step in steps:
            yield step
            drawn.update(min(each, total - drawn.n))


def acquired(path: Path, doing: str) -> FileLock:
    """A lock that is held, for the caller to release; who waits for it is told why.

    On a disk that knows no locks it holds nobody off: what it guards must end in one step that
    does no harm twice.

    Args:
        path: of the lock, which stays; its folder exists.
        doing: what the other process does, for the line.

    Raises:
        OSError: no lock can be made there.
    """
    lock, wait = FileLock(path), PATIENCE
    while True:
        try:
            lock.acquire(timeout=wait)
            return lock
        except Timeout:
            if not os.path.lexists(path):  # nobody holds it: it could not be made, time after time
                raise OSError(errno.EACCES, "no lock can be made", str(path)) from None
            say(f"another process is {doing}: waiting for it ({one_line(path)} is its lock)")
            wait = AGAIN
        except NotImplementedError:
            return lock
        except OSError as error:
            if error.errno not in _LOCKLESS:
                raise
            return lock


def _entry(label: str, key: dict[str, Any]) -> Path:
    text = json.dumps({"format": FORMAT, **key}, sort_keys=True)
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return cache_root() / "decoded" / f"{label}-{mark}"


def lookup(name: str, label: str, key: dict[str, Any]) -> ImageSet | None:
    """The set that ``key`` describes if the cache has it whole."""
    try:
        return _whole(name, _entry(label, key), "it is not used")
    except Unkept:
        return None


def _whole(name: str, entry: Path, instead: str = "it is decoded again") -> ImageSet | None:
    try:
        return entries.read(name, entry)
    except Damaged as error:
        say(f"the decoded set {one_line(entry)} {error}: {instead}")
        return None


def cached(name: str, label: str, key: dict[str, Any], build: Callable[[], Decoded]) -> ImageSet:
    """The set that ``key`` describes: read from the cache, or built once and put there.

    The entry is a folder that is renamed into place when it is complete, so a reader never sees
    half of one; a lock keeps several processes (``torchrun``) from building the same set.
    An entry that is damaged is built again, with a line that says so. If the cache cannot be
    used (read-only, full, no folder), the set is built in memory, with a line as well.

    Args:
        name: the name of the set that is returned.
        label: readable start of the entry's file name.
        key: plain data; two sets with the same key are the same set.
        build: called only if there is no whole entry; once more if the disk fills up meanwhile.
    """
    entry = _entry(label, key)
    try:
        found = _whole(name, entry)
        return _stored(name, entry, build) if found is None else found
    except Unkept as error:
        say(
            f"{one_line(error)}: {name} is decoded into memory and not kept; GANLAB_CACHE can name"
            " another folder"
        )
    return entries.remember(name, build())


def _stored(name: str, entry: Path, build: Callable[[], Decoded]) -> ImageSet:
    """Build the entry unless another process has done so.

    Raises:
        Unkept: it cannot be stored.
    """
    home = entry.parent
    with keeping(home):
        home.mkdir(parents=True, exist_ok=True)
        lock = acquired(Path(f"{entry}.lock"), f"decoding {name}")
    try:
        try:
            found = entries.read(name, entry)  # another process may have built it meanwhile
        except Damaged:  # as has been said
            found = None
        if found is not None:
            return found
        _sweep(home)
        with keeping(home):
            scratch = Path(tempfile.mkdtemp(dir=home, prefix=BUILDING))
        try:
            entries.write(scratch, build())
            with keeping(entry):
                if entry.exists():
                    shutil.rmtree(entry)
                os.replace(scratch, entry)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        found = _whole(name, entry)
    finally:
        lock.release()
    if found is None:
        raise Unkept(f"{home} does not keep what is written to it")
    return found


def _sweep(home: Path) -> None:
    """Remove what killed processes have left."""
    for folder in home.glob(f"{BUILDING}*"):
        with suppress(OSError):  # another process may be faster
            newest = max(p.stat().st_mtime for p in (folder, *folder.iterdir()))
            if time.time() - newest > STALE:
                shutil.rmtree(folder)
