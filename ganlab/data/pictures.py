"""From a picture of any kind and size to bytes of one size, one by one or in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor

from ganlab.data.formats import FORMATS as FORMATS
from ganlab.data.formats import is_deep, plain, small
from ganlab.data.left import plural
from ganlab.data.ranges import UNIT, WHOLE, Span, extent, levels
from ganlab.data.sizes import Size, as_size, middle
from ganlab.errors import DataError, one_line

#: What is done to a picture whose sides have another ratio, and the words for it.
FITS = {"crop": "cut to {} in the middle", "pad": "padded to {} with the background",
        "stretch": "stretched to {}"}  # fmt: skip

Colour = str | int | Sequence[int]
Rgb = tuple[int, int, int]


def colour(value: Colour) -> Rgb:
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
    except (ValueError, TypeError, OverflowError):
        r = -1
        g = b = 0
    if not all(0 <= v <= 255 for v in (r, g, b)):
        raise DataError(
            f"background {one_line(repr(value))} is not a colour: use a name such as 'white',"
            " '#ff8800', a grey 0..255 or three such numbers"
        )
    return r, g, b


def fit(
    picture: Image.Image,
    size: Size,
    channels: int,
    background: Rgb,
    how: str = "crop",
    span: Span | None = None,
) -> np.ndarray:
    """Give one picture this size: background under transparency, the sides' ratio, resize.

    It is resized with an antialiased bicubic filter, whose support grows with the reduction
    (Parmar et al. 2022, arXiv:2104.11222, on why this matters for scores).

    Args:
        size: the side of a square in pixels, or (height, width).
        channels: 1 (grey), 3 (colours) or 4 (colours and what they cover, 0 to 255: no background
            lies under transparency then).
        how: what becomes of another ratio of the sides than that of `size`: "crop" takes the
            largest part in the middle that has it (for a square: as wide as the shorter side),
            "pad" keeps all and lays it on the background (which is transparent if there are 4
            channels), "stretch" keeps all and bends it.
        span: the values that become 0 and 255, of a picture with more than 8 bits; by default
            (0, 65535), of floats (0, the highest value or 1).

    Returns:
        ``uint8`` (channels, height, width).
    """
    sides = as_size(size)
    small(picture, sides)
    picture = plain(picture)
    if is_deep(picture):
        values = np.asarray(picture)
        picture = Image.fromarray(levels(values, span or _usual(values)))
    if picture.mode == "RGBA" and channels != 4:
        under = Image.new("RGBA", picture.size, (*background, 255))
        picture = Image.alpha_composite(under, picture)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if picture.mode != mode:
        picture = picture.convert(mode)
    array = np.array(_shaped(picture, sides, how, background))
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def _usual(values: np.ndarray) -> Span:
    if values.dtype.kind != "f":
        return WHOLE
    return 0.0, max(UNIT[1], (extent(values) or UNIT)[1])


def _shaped(picture: Image.Image, size: tuple[int, int], how: str, background: Rgb) -> Image.Image:
    h, w = size
    if how == "crop":
        top, left, high, wide = middle(picture.height, picture.width, size)
        if picture.size != (wide, high):
            picture = picture.crop((left, top, left + wide, top + high))
    if how != "pad" or not uneven(picture.height, picture.width, size):
        return _resized(picture, h, w)
    high, wide = inside(picture.height, picture.width, size)
    page = Image.new("RGBA", (w, h), (*background, 0 if picture.mode == "RGBA" else 255))
    page = page if picture.mode == "RGBA" else page.convert("RGB").convert(picture.mode)
    page.paste(_resized(picture, high, wide), ((w - wide) // 2, (h - high) // 2))
    return page


def _resized(picture: Image.Image, h: int, w: int) -> Image.Image:
    if picture.size == (w, h):
        return picture
    # Of RGBA Pillow weights the colours, so that hidden ones do not shine through at the edges.
    # Rows, then columns: of a rectangle Pillow takes the cheaper order, which depends on its
    # version, and noise that is clipped in between has other bytes then
    picture = picture.resize((w, picture.height), Image.Resampling.BICUBIC)
    return picture.resize((w, h), Image.Resampling.BICUBIC)


def uneven(height: int, width: int, size: Size) -> bool:
    """Whether a picture's sides have another ratio than `size`, to a pixel."""
    return middle(height, width, size)[2:] != (height, width)


def inside(height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a picture that is made as large as fits into `size`."""
    h, w = size
    if width * h >= height * w:
        return max(1, (2 * height * w + width) // (2 * width)), w
    return h, max(1, (2 * width * h + height) // (2 * height))


def fitted(count: int, total: int, size: Size, how: str) -> str:
    """One line on pictures that had other sides; empty if none had."""
    h, w = as_size(size)
    form = "a square" if h == w else f"the sides' ratio {h}:{w}"
    told = f"fit: {count:,} of {plural(total, 'picture')} {FITS[how].format(form)}"
    return told if count else ""


def recoloured(images: np.ndarray, channels: int, background: Rgb) -> np.ndarray:
    """A block of pictures with another number of channels, as files get it.

    Args:
        images: ``uint8`` (N, C, H, W); with 4 channels the last says what the others cover.
        channels: 1, 3 or 4, or C.
        background: under what is transparent.

    Raises:
        DataError: there is no such way.
    """
    c = images.shape[1]
    if c == channels:
        return images
    if c not in (1, 3, 4) or channels not in (1, 3, 4):
        raise DataError(f"pictures of {plural(c, 'channel')} do not become pictures of {channels}")
    if c == 4:
        alpha = images[:, 3:].astype(np.uint32)
        under = np.array(background, np.uint32)[:, None, None]
        mixed = images[:, :3] * alpha + under * (255 - alpha)
        images = ((mixed + 127) // 255).astype(np.uint8)
    if channels == 1:
        if images.shape[1] == 3:  # the luma weights of ITU-R BT.601, as Pillow has them
            weights = np.array([19595, 38470, 7471], dtype=np.uint32)[:, None, None]
            luma = (images.astype(np.uint32) * weights).sum(1, keepdims=True, dtype=np.uint32)
            images = ((luma + 0x8000) >> 16).astype(np.uint8)
        return images
    if images.shape[1] == 1:
        images = np.repeat(images, 3, axis=1)
    if channels == 3:
        return images
    return np.concatenate([images, np.full_like(images[:, :1], 255)], axis=1)


def fit_array(
    images: np.ndarray,
    size: Size,
    channels: int,
    how: str = "crop",
    background: Rgb = (255, 255, 255),
) -> np.ndarray:
    """The same as `fit` for a block of pictures of equal size.

    Args:
        images: ``uint8`` (N, C, H, W).
        size: the side of a square in pixels, or (height, width).
        channels: C, or another number that :func:`recoloured` knows.
        how, background: see `fit`.

    Returns:
        ``uint8`` (N, channels, height, width), within 2 levels of :func:`fit`.

    Raises:
        DataError: the channels do not become that many.
    """
    images = recoloured(images, channels, background)
    high, wide = images.shape[2:]
    h, w = as_size(size)
    if how == "crop":
        top, left, high, wide = middle(high, wide, (h, w))
        images = images[:, :, top : top + high, left : left + wide]
    if how == "pad" and uneven(high, wide, size):
        high, wide = inside(high, wide, (h, w))
        pages = np.tile(_paint(background, channels), (len(images), 1, h, w))
        top, left = (h - high) // 2, (w - wide) // 2
        pages[:, :, top : top + high, left : left + wide] = _scaled(images, high, wide)
        return pages
    return _scaled(images, h, w)


def _paint(background: Rgb, channels: int) -> np.ndarray:
    """The background as one pixel (1, channels, 1, 1), as `fit` has it at the sides."""
    pixel = np.array([*background, 0], np.uint8)[None, :, None, None]
    if channels in (3, 4):
        return pixel[:, :channels]
    return np.repeat(recoloured(pixel[:, :3], 1, background), channels, axis=1)


def _scaled(images: np.ndarray, h: int, w: int) -> np.ndarray:
    if images.shape[2:] == (h, w):
        return images
    # on bytes torch rounds between the two passes, exactly as Pillow does
    x = torch.from_numpy(np.ascontiguousarray(images))
    return F.interpolate(x, (h, w), mode="bicubic", antialias=True, align_corners=False).numpy()


def choose(count: int, limit: int | None) -> np.ndarray:
    """Which of ``count`` pictures a limited set keeps: a fixed random choice, in their old order.

    The choice for a smaller limit is part of the choice for a larger one. Files often lie sorted
    by class, so the first ``limit`` would be one class.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])
