"""Size and channels of pictures before anything is done to them."""

from __future__ import annotations

from dataclasses import dataclass

from ganlab.data.arrays import array_file
from ganlab.data.folder import folder_files, zip_files
from ganlab.data.formats import glance
from ganlab.data.images import available
from ganlab.data.left import Unread
from ganlab.data.sizes import middle
from ganlab.data.spots import spot
from ganlab.errors import DataError, one_line


@dataclass(frozen=True)
class Native:
    """How pictures are before anything is done to them.

    Attributes:
        channels: 1 if all that was looked at are grey, else 3 (what is transparent lies on a
            background); of an array its own.
        sizes: (height, width) in pixels, upright, each once.
    """

    channels: int
    sizes: frozenset[tuple[int, int]]

    @property
    def short(self) -> int:
        """The shorter side of the smallest, in pixels."""
        return min(map(min, self.sizes))


def native(name: str, look: int = 200) -> Native:
    """Size and channels of a data set by its name, or of a folder, zip or array of pictures.

    Args:
        name: as for `ganlab.data.load`.
        look: at so many files at most, evenly spread.

    Raises:
        DataError: no picture can be read there.
    """
    known = {row["name"]: row for row in available()}
    if name in known:
        size = known[name]["size"]
        return Native(known[name]["channels"], frozenset([(size, size)]))
    kind, path = spot(name, list(known))
    if kind == "array":
        (c, h, w), _ = array_file(path)
        return Native(c, frozenset([(h, w)]))
    files = folder_files(path) if kind == "folder" else zip_files(path)
    sizes, grey = set(), True
    for one in files.names[:: max(1, len(files.names) // look)]:
        try:
            high, wide, without = glance(files.open(one))
        except Unread:
            continue  # named when it is decoded
        sizes.add((high, wide))
        grey = grey and without
    if not sizes:
        raise DataError(f"no picture in {one_line(path)} can be read")
    return Native(1 if grey else 3, frozenset(sizes))


def resized(name: str, was: Native, shape: tuple[int, ...]) -> list[str]:
    """What was done to pictures to give them `shape`, (C, H, W); empty if nothing."""
    notes = []
    h, w = shape[1:]
    square = h == w
    parts = {size: middle(*size, (h, w))[2:] for size in was.sizes}
    if len(parts) > 1 or set(parts.values()) != {(h, w)}:
        before = f"different sizes from {was.short} px on"
        if len(parts) == 1:
            high, wide = next(iter(parts))
            before = f"{was.short} px" if square else f"{high}x{wide} px"
        after = f"{h}" if square else f"{h}x{w}"
        notes.append(f"{name}: {before}, resized to {after} px (bicubic, antialiased)")
    if any(part != size for size, part in parts.items()):
        form = "the square" if square else f"the sides' ratio {h}:{w}"
        notes.append(f"{name}: cut to {form} in the middle")
    if was.channels != shape[0]:
        notes.append(f"{name}: {'grey' if was.channels == 1 else 'colours'} as {shape[0]} channels")
    return notes
