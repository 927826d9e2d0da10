"""Where data lies on disk, and the cache of decoded pictures."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from filelock import FileLock

from ganlab.data.imageset import ImageSet
from ganlab.errors import DataError
from ganlab.progress import bar, wanted

FORMAT = 1
MAP_ABOVE = 256 * 2**20  # bytes; a larger set is mapped from its file instead of read


def say(line: str) -> None:
    """Print one line for the user on stderr, so that stdout stays clean for results."""
    print(f"ganlab: {line}", file=sys.stderr, flush=True)


def cache_root() -> Path:
    """The folder that ganlab may write to: ``$GANLAB_CACHE`` or the user's cache folder."""
    return Path(os.environ.get("GANLAB_CACHE") or platformdirs.user_cache_dir("ganlab"))


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The folder that holds data sets: the argument, or ``$GANLAB_DATA``, or the cache folder."""
    return Path(root or os.environ.get("GANLAB_DATA") or cache_root()).expanduser()


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


def _entry(label: str, key: dict[str, Any]) -> Path:
    text = json.dumps({"format": FORMAT, **key}, sort_keys=True)
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return cache_root() / "decoded" / f"{label}-{mark}"


def lookup(name: str, label: str, key: dict[str, Any]) -> ImageSet | None:
    """The set that ``key`` describes if the cache has it whole."""
    return _read(name, _entry(label, key))


def cached(name: str, label: str, key: dict[str, Any], build: Callable[[], Decoded]) -> ImageSet:
    """The set that ``key`` describes: read from the cache, or built once and put there.

    The entry is a folder that is renamed into place when it is complete, so a reader never sees
    half of one; a lock keeps several processes (``torchrun``) from building the same set.
    An entry that is damaged is built again. If the cache folder cannot be written, the set is
    built in memory.

    Args:
        name: the name of the set that is returned.
        label: readable start of the entry's file name.
        key: plain data; two sets with the same key are the same set.
        build: called only if there is no whole entry.
    """
    home = cache_root() / "decoded"
    entry = _entry(label, key)
    found = _read(name, entry)
    if found is not None:
        return found
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{entry}.lock")
        lock.acquire()
    except OSError:
        with tempfile.TemporaryDirectory() as scratch:
            _write(Path(scratch), build())
            got = _read(name, Path(scratch), map_above=None)
            assert got is not None
            return got
    try:
        found = _read(name, entry)  # another process may have built it meanwhile
        if found is not None:
            return found
        shutil.rmtree(entry, ignore_errors=True)
        scratch = tempfile.mkdtemp(dir=home, prefix=".building-")
        try:
            _write(Path(scratch), build())
            os.replace(scratch, entry)
        except OSError as e:
            raise DataError(f"cannot store the decoded {name} in {home}: {e}") from e
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        found = _read(name, entry)
        if found is None:
            raise DataError(f"the decoded {name} was damaged while it was stored in {home}")
        return found
    finally:
        lock.release()


def _header(shape: tuple[int, ...]) -> bytes:
    """The start of an ``.npy`` file of bytes (numpy pads it, so that N may change later)."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def _write(folder: Path, decoded: Decoded) -> None:
    """Write one entry; pictures stream to the file, so a set may be larger than memory."""
    count, shape = 0, None
    with open(folder / "images.npy", "wb") as f:
        for block in decoded.blocks:
            if shape is None:
                shape = block.shape[1:]
                f.write(_header((0, *shape)))
            f.write(np.ascontiguousarray(block, dtype=np.uint8).data)
            count += len(block)
        if shape is None or count == 0:
            raise DataError("; ".join(["no picture could be read", *decoded.notes]))
        f.seek(0)
        f.write(_header((count, *shape)))
    extras: dict[str, np.ndarray] = {f"factor {k}": v for k, v in decoded.factors.items()}
    if decoded.labels is not None:
        extras["labels"] = np.asarray(decoded.labels, dtype=np.int64)
    np.savez(folder / "extras.npz", **extras)  # type: ignore[arg-type]
    meta = {
        "shape": [count, *shape],
        "sizes": {n: (folder / n).stat().st_size for n in ("images.npy", "extras.npz")},
        "classes": list(decoded.classes),
        "note": "; ".join(decoded.notes),
    }
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _read(name: str, folder: Path, map_above: int | None = MAP_ABOVE) -> ImageSet | None:
    """Read an entry, or None if there is none or it is not whole."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if any((folder / n).stat().st_size != size for n, size in meta["sizes"].items()):
            return None
        large = map_above is not None and meta["sizes"]["images.npy"] > map_above
        # "c": private copy-on-write pages, because torch warns about arrays it cannot write to
        array = np.load(folder / "images.npy", mmap_mode="c" if large else None)
        with np.load(folder / "extras.npz", allow_pickle=False) as extras:
            got = {k: torch.from_numpy(extras[k]) for k in extras.files}
        if list(array.shape) != meta["shape"] or array.dtype != np.uint8:
            return None
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return ImageSet(
        name=name,
        images=torch.from_numpy(array),
        labels=got.pop("labels", None),
        classes=tuple(meta["classes"]),
        factors={k.removeprefix("factor "): v for k, v in got.items()},
        note=meta["note"],
        mapped=large,
    )
