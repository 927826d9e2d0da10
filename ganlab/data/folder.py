"""Any folder or zip of pictures: class folders optional, any size, damaged files named."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor, ImageOps

from ganlab.data.cache import Decoded, progress, say
from ganlab.errors import DataError

SUFFIXES = frozenset(
    ".png .jpg .jpeg .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .jfif".split()
)
SPLITS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation", "testing")}
NAMED = 5  # damaged files named one by one before "and N more"

Colour = str | int | Sequence[int]


def colour(value: Colour) -> tuple[int, int, int]:
    """A colour as (red, green, blue), each 0..255, from a name, '#rrggbb', a grey or a triple.

    Raises:
        DataError: for anything else.
    """
    try:
        if isinstance(value, str):
            r, g, b = ImageColor.getrgb(value)[:3]
        elif isinstance(value, int):
            r = g = b = value
        else:
            r, g, b = (int(v) for v in value)
    except (ValueError, TypeError):
        r = -1
        g = b = 0
    if not all(0 <= v <= 255 for v in (r, g, b)):
        raise DataError(
            f"background {value!r} is not a colour: use a name such as 'white', '#ff8800', "
            "a grey 0..255 or three such numbers"
        )
    return r, g, b


def fit(
    picture: Image.Image, size: int, channels: int, background: tuple[int, int, int]
) -> np.ndarray:
    """Make one picture a square: background under transparency, resize, centre crop.

    The shorter side is resized to ``size`` with an antialiased bicubic filter (its support grows
    with the reduction; Parmar et al. 2022, arXiv:2104.11222, on why this matters for scores).

    Returns:
        ``uint8`` (channels, size, size).
    """
    if picture.format in ("JPEG", "MPO"):
        # a photograph of 12 megapixels need not be decoded whole for a thumbnail of 64 pixels
        picture.draft("RGB", (4 * size, 4 * size))
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        deep = np.asarray(picture, dtype=np.float64)
        top = 65535.0 if picture.mode != "F" else max(1.0, float(deep.max(initial=0.0)))
        picture = Image.fromarray((deep.clip(0, top) * (255 / top) + 0.5).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        under = Image.new("RGBA", picture.size, (*background, 255))
        picture = Image.alpha_composite(under, picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    width, height = picture.size
    short = min(width, height)
    if short != size:
        wide = (round(width * size / short), round(height * size / short))
        picture = picture.resize(wide, Image.Resampling.BICUBIC)
        width, height = wide
    left, top_ = (width - size) // 2, (height - size) // 2
    if (width, height) != (size, size):
        picture = picture.crop((left, top_, left + size, top_ + size))
    array = np.array(picture)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def fit_array(images: np.ndarray, size: int, channels: int) -> np.ndarray:
    """The same for a block of pictures of equal size without transparency.

    Args:
        images: ``uint8`` (N, C, H, W) with C 1 or 3.

    Returns:
        ``uint8`` (N, channels, size, size), within 1 level of :func:`fit`.
    """
    n, c, h, w = images.shape
    if c == 3 and channels == 1:  # the luma weights of ITU-R BT.601, as Pillow has them
        weights = np.array([19595, 38470, 7471], dtype=np.uint32)[:, None, None]
        luma = (images.astype(np.uint32) * weights).sum(1, keepdims=True, dtype=np.uint32)
        images = ((luma + 0x8000) >> 16).astype(np.uint8)
    if (h, w) != (size, size):
        short = min(h, w)
        wide = (round(h * size / short), round(w * size / short))
        x = torch.from_numpy(np.ascontiguousarray(images)).float()
        x = F.interpolate(x, wide, mode="bicubic", antialias=True, align_corners=False)
        top, left = (wide[0] - size) // 2, (wide[1] - size) // 2
        x = x[:, :, top : top + size, left : left + size]
        images = x.round_().clamp_(0, 255).to(torch.uint8).numpy()
    return np.repeat(images, 3, axis=1) if channels == 3 and images.shape[1] == 1 else images


@dataclass(frozen=True)
class Files:
    """Named picture files, wherever they lie.

    Attributes:
        where: the folder or zip, for messages.
        names: '/'-separated paths below it, sorted.
        open: the bytes of one of them.
        fingerprint: changes when a file does.
    """

    where: str
    names: tuple[str, ...]
    open: Callable[[str], bytes]
    fingerprint: str


def _is_picture(name: str) -> bool:
    parts = name.split("/")
    hidden = any(p.startswith(".") or p == "__MACOSX" for p in parts)
    return not hidden and os.path.splitext(parts[-1])[1].lower() in SUFFIXES


def folder_files(path: Path) -> Files:
    """The pictures in a folder and all folders below it (links are followed, loops are not).

    Raises:
        DataError: if there is no such folder, or no picture in it.
    """
    if not path.is_dir():
        raise DataError(f"there is no folder {path}")
    rows, seen = [], set()
    for here, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for file in files:
            name = (Path(here) / file).relative_to(path).as_posix()
            if _is_picture(name):
                try:
                    about = (Path(here) / file).stat()
                    rows.append((name, about.st_size, about.st_mtime_ns))
                except OSError:  # a link to nothing: read later, and named as damaged
                    rows.append((name, 0, 0))
    return _files(path, rows, lambda name: (path / name).read_bytes())


def zip_files(path: Path) -> Files:
    """The pictures in a zip.

    Raises:
        DataError: if there is no such file, it is not a zip, or has no picture in it.
    """
    if not path.is_file():
        raise DataError(f"there is no zip {path}")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as e:
        raise DataError(f"{path} is not a zip that can be read: {e}") from None
    rows = [
        (i.filename, i.file_size, i.CRC)
        for i in archive.infolist()
        if not i.is_dir() and _is_picture(i.filename)
    ]
    lock = threading.Lock()  # one file handle for all threads

    def read(name: str) -> bytes:
        with lock:
            return archive.read(name)

    return _files(path, rows, read)


def _files(path: Path, rows: list[tuple[str, int, int]], read: Callable[[str], bytes]) -> Files:
    rows.sort()
    if not rows:
        kinds = " ".join(sorted(SUFFIXES))
        raise DataError(f"no picture in {path} (files ending in {kinds} count)")
    mark = hashlib.sha256(repr(rows).encode()).hexdigest()
    return Files(str(path), tuple(name for name, _, _ in rows), read, mark)


@dataclass(frozen=True)
class Layout:
    """Which files make up a split, and the class of each (None: there are no class folders)."""

    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]


def layout(files: Files, split: str) -> Layout:
    """Read split and class folders off the paths.

    Folders that all files share are ignored. If what is left starts with a folder ``train``, the
    split chooses the folder (``test``: test, val, valid or validation). After that, if every file
    lies in a folder, the first folder is its class.

    Raises:
        DataError: if the split is not there.
    """
    rows = [(name, name.split("/")) for name in files.names]
    rows = _strip(rows)
    tops = {parts[0].lower() for _, parts in rows if len(parts) > 1}
    if tops & set(SPLITS["train"]) and tops & set(SPLITS["test"]):
        rows = [(n, p) for n, p in rows if len(p) > 1 and p[0].lower() in SPLITS[split]]
        rows = [(n, p[1:]) for n, p in rows]
    elif split != "train":
        raise DataError(
            f"{files.where} has no split '{split}': put its pictures in folders named "
            "train and test, or use split 'train' for all of them"
        )
    names = tuple(name for name, _ in rows)
    if all(len(parts) > 1 for _, parts in rows):
        classes = tuple(sorted({parts[0] for _, parts in rows}))
        if len(classes) > 1:
            number = {c: i for i, c in enumerate(classes)}
            return Layout(names, tuple(number[p[0]] for _, p in rows), classes)
    return Layout(names, None, ())


def _strip(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    while all(len(p) > 1 for _, p in rows) and len({p[0] for _, p in rows}) == 1:
        rows = [(n, p[1:]) for n, p in rows]
    return rows


def choose(count: int, limit: int | None) -> np.ndarray:
    """Which of ``count`` pictures a limited set keeps: a fixed random choice, in their old order.

    The choice for a smaller limit is part of the choice for a larger one. Files often lie sorted
    by class, so the first ``limit`` would be one class.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])


def decode(
    files: Files,
    plan: Layout,
    *,
    size: int,
    channels: int,
    background: Colour = "white",
    damaged: str = "skip",
    limit: int | None = None,
    what: str = "pictures",
) -> Decoded:
    """Decode the pictures of a layout, on all cores, in order.

    Args:
        damaged: ``"skip"`` leaves out files that cannot be decoded, counts them and names the
            first few in the notes and on stderr; ``"refuse"`` stops at the first.

    Raises:
        DataError: for a damaged file if ``damaged="refuse"`` (while the blocks are read), or an
            option that does not exist.
    """
    if damaged not in ("skip", "refuse"):
        raise DataError(f"damaged={damaged!r} is not a choice: use 'skip' or 'refuse'")
    under = colour(background)
    keep = choose(len(plan.names), limit)
    labels: list[int] | None = None if plan.labels is None else []
    bad: list[str] = []

    def one(i: int) -> np.ndarray | str:
        name = plan.names[i]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(files.open(name))) as picture:
                    return fit(picture, size, channels, under)
        except Exception as e:  # Pillow's decoders raise nearly anything on damaged input
            line = " ".join(str(e).replace(repr(name), "the file").split())
            return f"{type(e).__name__}: {line}"[:160]

    def blocks() -> Iterator[np.ndarray]:
        rows: list[np.ndarray] = []
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in progress(range(0, len(keep), 512), len(keep), 512, f"decoding {what}"):
                part = keep[start : start + 512]
                for i, got in zip(part, pool.map(one, part)):
                    if isinstance(got, str):
                        if damaged == "refuse":
                            raise DataError(
                                f"damaged picture {plan.names[i]} in {files.where} ({got}); "
                                "damaged='skip' would leave it out"
                            )
                        bad.append(plan.names[i])
                        continue
                    rows.append(got)
                    if labels is not None and plan.labels is not None:
                        labels.append(plan.labels[i])
                if rows:
                    yield np.stack(rows)
                rows.clear()
        if bad:
            more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            plural = "s" if len(bad) > 1 else ""
            line = f"skipped {len(bad)} damaged file{plural} in {files.where}: "
            line += ", ".join(bad[:NAMED]) + more
            result.notes.append(line)
            say(line)

    result = Decoded(blocks(), labels=labels, classes=plan.classes)
    return result
