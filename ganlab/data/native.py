"""Size and channels of pictures before anything is done to them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganlab.data.folder import folder_files, zip_files
from ganlab.data.images import available
from ganlab.data.pictures import FORMATS
from ganlab.errors import DataError, unknown


@dataclass(frozen=True)
class Native:
    """How pictures are before anything is done to them.

    Attributes:
        channels: 1 if all that was looked at are grey, else 3.
        short: the shorter side of the smallest, in pixels.
        kinds: how many sizes there are.
        square: whether all are.
    """

    channels: int
    short: int
    kinds: int = 1
    square: bool = True


def native(name: str, look: int = 200) -> Native:
    """Size and channels of a data set by its name, or of the pictures in a folder or zip.

    Args:
        name: as for `ganlab.data.load`.
        look: at so many files at most, evenly spread.

    Raises:
        DataError: no picture can be read there.
    """
    known = {row["name"]: row for row in available()}
    if name in known:
        return Native(known[name]["channels"], known[name]["size"])
    path = Path(name.removeprefix("folder:").removeprefix("zip:")).expanduser()
    if not path.exists() and len(path.parts) == 1:
        raise DataError(unknown("data set, folder or zip", name, known))
    files = folder_files(path) if path.is_dir() else zip_files(path)
    sizes, modes = set(), set()
    for one in files.names[:: max(1, len(files.names) // look)]:
        try:
            with Image.open(io.BytesIO(files.open(one)), formats=FORMATS) as picture:
                sizes.add(picture.size)
                modes.add(picture.mode)
        except (OSError, ValueError):
            continue  # named when it is decoded
    if not sizes:
        raise DataError(f"no picture in {path} can be read")
    grey = modes <= {"L", "1", "I", "I;16", "F"}
    short = min(min(size) for size in sizes)
    return Native(1 if grey else 3, short, len(sizes), all(w == h for w, h in sizes))


def resized(name: str, was: Native, shape: tuple[int, ...]) -> list[str]:
    """What was done to pictures to give them `shape`, (C, H, W); empty if nothing."""
    notes = []
    if was.short != shape[1] or was.kinds > 1:
        sizes = f"{was.short} px" if was.kinds == 1 else f"different sizes from {was.short} px on"
        notes.append(f"{name}: {sizes}, resized to {shape[1]} px (bicubic, antialiased)")
    if not was.square:
        notes.append(f"{name}: cut to the square in the middle")
    if was.channels != shape[0]:
        notes.append(f"{name}: {'grey' if was.channels == 1 else 'colours'} as {shape[0]} channels")
    return notes
