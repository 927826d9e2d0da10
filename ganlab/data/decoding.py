"""Picture files decoded on all cores, in order: what was done to them and what was left out."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganlab.data import pictures
from ganlab.data.cache import Decoded, progress, say
from ganlab.data.folder import Layout
from ganlab.data.formats import deep_values, is_deep, opened
from ganlab.data.left import Unread, plural
from ganlab.data.listing import Files
from ganlab.data.ranges import Ranges, Span, extent
from ganlab.errors import DataError, one_line

if TYPE_CHECKING:
    from ganlab.data.found import Want


@dataclass(frozen=True)
class _Kept:
    """A picture as bytes, and what was done to it."""

    pixels: np.ndarray
    done: tuple[str, ...]


def decode(files: Files, plan: Layout, want: Want, what: str = "pictures") -> Decoded:
    """Decode the pictures of a layout, on all cores, in order.

    Its notes say, in a line each, what was left out and why, which values became black and white
    where pictures have more than 8 bits, and how many were fitted; stderr has them, too.

    Args:
        want: size, channels and options. With ``damaged="skip"`` files that cannot be decoded are
            left out, counted and named; with ``"refuse"`` the first one stops it.

    Raises:
        DataError: for a file that is left out if ``damaged="refuse"``, for a file that the system
            fails to read (both while the blocks are read).
    """
    refuse = want.damaged == "refuse"
    if refuse:
        for name, why in files.listing.left.items():
            raise _refused(name, why, files)
    keep = pictures.choose(len(plan.names), want.limit)
    background = pictures.colour(want.background)
    ranges = Ranges(want.range, lambda: _extents(files))
    left: list[tuple[str, Unread]] = []
    done: Counter[str] = Counter()
    good: list[int] = []

    def one(i: int) -> _Kept | Unread:
        try:
            picture = opened(files.open(plan.names[i]), want.size)
        except Unread as why:
            return why
        marks, span = [], None
        if pictures.uneven(picture.height, picture.width, want.size):
            marks.append("uneven")
        if is_deep(picture):
            marks.append("floats" if picture.mode == "F" else "deep")
            span = ranges.of(picture.mode == "F")
        if picture.info["coarse"]:
            marks.append("coarse")
        pixels = pictures.fit(picture, want.size, want.channels, background, want.fit, span)
        return _Kept(pixels, tuple(marks))

    def several(numbers: np.ndarray) -> list[_Kept | Unread]:
        return [one(i) for i in numbers]

    def blocks() -> Iterator[np.ndarray]:
        rows: list[np.ndarray] = []
        with _pool() as pool:
            for start in progress(range(0, len(keep), 512), len(keep), 512, f"decoding {what}"):
                part = keep[start : start + 512]
                with warnings.catch_warnings():  # Pillow's remarks on odd but readable files
                    warnings.simplefilter("ignore")
                    shares = np.array_split(part, -(-len(part) // 32))
                    made = [got for share in pool.map(several, shares) for got in share]
                for i, got in zip(part, made):
                    if isinstance(got, Unread):
                        if refuse:
                            raise _refused(plan.names[i], got, files)
                        left.append((plan.names[i], got))
                        continue
                    rows.append(got.pixels)
                    done.update(got.done)
                    good.append(i)
                if rows:
                    yield np.stack(rows)
                rows.clear()
        if plan.labels is not None:
            result.labels = np.array(plan.labels, dtype=np.int64)[good]
        result.factors = {name: values[good] for name, values in plan.factors.items()}
        lines = [*files.told(left), *plan.notes]
        for mark, floats in (("deep", False), ("floats", True)):
            if done[mark]:
                lines.append(ranges.told(floats, done[mark], len(good)))
        if done["coarse"]:
            lines.append(
                f"range: {done['coarse']:,} of {plural(len(good), 'picture')} have 16 bits a"
                " colour, of which the upper 8 were read"
            )
        lines.append(pictures.fitted(done["uneven"], len(good), want.size, want.fit))
        for line in filter(None, lines):
            result.notes.append(line)
            say(line)

    result = Decoded(blocks(), classes=plan.classes)
    return result


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))


def _refused(name: str, why: Unread, files: Files) -> DataError:
    text = f"{one_line(name)} in {files.where} is {why.words}"
    detail = f" ({why.detail})" if why.detail else ""
    return DataError(f"{text}{detail}: damaged='skip' would leave it out")


def _extents(files: Files) -> list[tuple[bool, Span | None]]:
    """Of each deep picture of the whole set, whatever is taken of it, so that all parts agree."""

    def one(name: str) -> tuple[bool, Span | None] | None:
        try:
            values = deep_values(files.open(name))
        except Unread:
            return None  # told where it is decoded
        return None if values is None else (values.dtype.kind == "f", extent(values))

    with _pool() as pool:
        return [row for row in pool.map(one, files.names) if row is not None]
