"""Where a command may write: never over what a run keeps, and known before the work begins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from ganlab.errors import FileError
from ganlab.files import PARTIAL, as_path, placed, told

#: Files that make a folder a run's, or a stored result's.
MARKS = (("recipe.json", "about.json"), ("results.json", "generator.safetensors"))
#: What a command may never replace in such a folder, whatever its ending.
KEPT = ("recipe.json", "about.json", "results.json")


def home_of(path: Path) -> Path | None:
    """The run that a path lies in: the nearest folder above it that is one."""
    with told(path):
        for folder in path.resolve().parents:
            if any(all((folder / name).is_file() for name in mark) for mark in MARKS):
                return folder
    return None


def ready(path: str | Path, endings: Iterable[str]) -> Path:
    """The path with `~` filled in, if a file can be written there; its folder is made.

    Args:
        path: of the file.
        endings: which a file of this kind may have within a run's folder.

    Raises:
        FileError: there is a folder or a device in its place, it belongs to what a run keeps, or
            the system forbids it.
    """
    full = as_path(path)
    run = home_of(full)
    if run is not None:
        real = full.resolve()
        fits = real.suffix.lower() in endings and real.name not in KEPT
        if real.parent != run or not fits:
            raise FileError(f"{path} lies among what the run itself keeps: name a file with --out")
    full = placed(path)
    with (
        told(path, instead="choose another --out"),
        tempfile.NamedTemporaryFile(dir=full.parent, prefix=".", suffix=PARTIAL),
    ):
        return full
