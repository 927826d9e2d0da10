"""From a picture of any kind and size to bytes of one size, one by one or in blocks."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor, ImageOps

from ganlab.data.cache import Decoded, progress, say
from ganlab.data.folder import Files, Layout
from ganlab.data.sizes import Size, as_size, middle
from ganlab.errors import DataError

#: What may be opened, whatever a file is called: decoders of pixels, nothing that runs programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
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
    picture: Image.Image, size: Size, channels: int, background: tuple[int, int, int]
) -> np.ndarray:
    """Give one picture this size: background under transparency, centre crop, resize.

    The largest part in the middle that has the sides' ratio of ``size`` (for a square: as wide
    as the shorter side) is resized with an antialiased bicubic filter, whose support grows with
    the reduction (Parmar et al. 2022, arXiv:2104.11222, on why this matters for scores).

    Args:
        size: the side of a square in pixels, or (height, width).

    Returns:
        ``uint8`` (channels, height, width).
    """
    h, w = as_size(size)
    if picture.format in ("JPEG", "MPO"):
        # a photograph of 12 megapixels need not be decoded whole for a thumbnail of 64 pixels;
        # the longer side both ways, because the picture may lie on its side
        picture.draft("RGB", (4 * max(h, w), 4 * max(h, w)))
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        deep = np.asarray(picture, dtype=np.float64)
        white = 65535.0 if picture.mode != "F" else max(1.0, float(deep.max()))
        picture = Image.fromarray((deep.clip(0, white) * (255 / white) + 0.5).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        under = Image.new("RGBA", picture.size, (*background, 255))
        picture = Image.alpha_composite(under, picture)
    mode = "L" if channels == 1 else "RGB"
    if picture.mode != mode:
        picture = picture.convert(mode)
    top, left, high, wide = middle(picture.height, picture.width, (h, w))
    if picture.size != (wide, high):
        picture = picture.crop((left, top, left + wide, top + high))
    if picture.size != (w, h):
        # rows, then columns: of a rectangle Pillow takes the cheaper order, which depends on its
        # version, and noise that is clipped in between has other bytes then
        picture = picture.resize((w, picture.height), Image.Resampling.BICUBIC)
        picture = picture.resize((w, h), Image.Resampling.BICUBIC)
    array = np.array(picture)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def fit_array(images: np.ndarray, size: Size, channels: int) -> np.ndarray:
    """The same for a block of pictures of equal size without transparency.

    Args:
        images: ``uint8`` (N, C, H, W) with C 1 or 3.
        size: the side of a square in pixels, or (height, width).

    Returns:
        ``uint8`` (N, channels, height, width), within 2 levels of :func:`fit`.
    """
    c, high, wide = images.shape[1:]
    h, w = as_size(size)
    if c == 3 and channels == 1:  # the luma weights of ITU-R BT.601, as Pillow has them
        weights = np.array([19595, 38470, 7471], dtype=np.uint32)[:, None, None]
        luma = (images.astype(np.uint32) * weights).sum(1, keepdims=True, dtype=np.uint32)
        images = ((luma + 0x8000) >> 16).astype(np.uint8)
    if (high, wide) != (h, w):
        top, left, high, wide = middle(high, wide, (h, w))
        part = images[:, :, top : top + high, left : left + wide]
        # on bytes torch rounds between the two passes, exactly as Pillow does
        x = torch.from_numpy(np.ascontiguousarray(part))
        x = F.interpolate(x, (h, w), mode="bicubic", antialias=True, align_corners=False)
        images = x.numpy()
    return np.repeat(images, 3, axis=1) if channels == 3 and images.shape[1] == 1 else images


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
    size: Size,
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
    bad: list[str] = []
    good: list[int] = []

    def one(i: int) -> np.ndarray | str:
        name = plan.names[i]
        try:
            with Image.open(io.BytesIO(files.open(name)), formats=FORMATS) as picture:
                return fit(picture, size, channels, under)
        except Exception as e:  # Pillow's decoders raise nearly anything on damaged input
            line = " ".join(str(e).replace(repr(name), "the file").split())
            return f"{type(e).__name__}: {line}"[:160]

    def several(numbers: np.ndarray) -> list[np.ndarray | str]:
        return [one(i) for i in numbers]

    def blocks() -> Iterator[np.ndarray]:
        rows: list[np.ndarray] = []
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in progress(range(0, len(keep), 512), len(keep), 512, f"decoding {what}"):
                part = keep[start : start + 512]
                with warnings.catch_warnings():  # Pillow's remarks on odd but readable files
                    warnings.simplefilter("ignore")
                    shares = np.array_split(part, -(-len(part) // 32))
                    done = [got for share in pool.map(several, shares) for got in share]
                for i, got in zip(part, done):
                    if isinstance(got, str):
                        if damaged == "refuse":
                            raise DataError(
                                f"damaged picture {plan.names[i]} in {files.where} ({got}); "
                                "damaged='skip' would leave it out"
                            )
                        bad.append(plan.names[i])
                        continue
                    rows.append(got)
                    good.append(i)
                if rows:
                    yield np.stack(rows)
                rows.clear()
        if plan.labels is not None:
            result.labels = np.array(plan.labels, dtype=np.int64)[good]
        result.factors = {name: values[good] for name, values in plan.factors.items()}
        if bad:
            more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            plural = "s" if len(bad) > 1 else ""
            line = f"skipped {len(bad)} damaged file{plural} in {files.where}: "
            line += ", ".join(bad[:NAMED]) + more
            result.notes.append(line)
            say(line)

    result = Decoded(blocks(), classes=plan.classes)
    return result
