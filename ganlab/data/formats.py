"""Which files are pictures, and one of them opened: what is wrong with it in its own words."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, features

from ganlab.data.left import Unread
from ganlab.data.sizes import Size, as_size

SUFFIXES = frozenset(
    ".png .jpg .jpeg .jfif .webp .bmp .gif .tif .tiff .ppm .pgm .pbm".split()  # noqa: SIM905
)
#: What may be opened, whatever a file is called: decoders of pixels, nothing that runs programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
#: What Pillow's decoders raise on damaged input; another exception is no word on the file.
DECODING = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
#: Modes that become grey or colours; of others (LAB) Pillow knows no way.
MODES = frozenset("1 L LA La P PA RGB RGBA RGBa RGBX CMYK YCbCr HSV I F".split())  # noqa: SIM905
GREY = frozenset(["1", "L", "LA", "La", "I", "F"])

#: How files of other formats begin, which people find under the name of a picture.
_STRANGERS = {
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"%!PS": "PostScript",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"<!doctype": "HTML",
    b"<html": "HTML",
}
#: Formats that a Pillow may be built without: how they begin, the feature, and its name.
_PARTS = ((b"RIFF", "webp", "WebP"), (b"\xff\xd8", "jpg", "JPEG"), (b"\x89PNG", "zlib", "PNG"))
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def missing() -> list[str]:
    """The formats that this Pillow was built without."""
    return [name for _, part, name in _PARTS if not features.check(part)]


def is_grey(picture: Image.Image) -> bool:
    """Whether it has no colours, by its mode."""
    return picture.mode in GREY or picture.mode.startswith("I;16")


def is_deep(picture: Image.Image) -> bool:
    """Whether its values have more than 8 bits."""
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def orientation(picture: Image.Image) -> int:
    """How a photograph lies, 1 to 8, by its EXIF; 1 where there is none that can be read."""
    try:
        found = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODING:  # the pixels may be whole all the same
        return 1
    return found if found in _TURNS else 1


def plain(picture: Image.Image) -> Image.Image:
    """A picture upright, as grey (L), RGB or RGBA, or as it is if it has more than 8 bits."""
    turn = orientation(picture)
    if turn != 1:
        kept = picture.info.get("transparency")
        picture = picture.transpose(_TURNS[turn])
        # without what says how it lies, or it would be turned again
        picture.info = {} if kept is None else {"transparency": kept}
    if is_deep(picture):
        return picture
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if picture.has_transparency_data:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    mode = "L" if picture.mode in ("1", "L") else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def small(picture: Image.Image, size: Size) -> None:
    """Let a photograph be decoded no larger than is needed for `size`.

    Of 12 megapixels a thumbnail of 64 needs few. The longer side both ways, because the picture
    may lie on its side.
    """
    if picture.format in ("JPEG", "MPO"):
        longer = 4 * max(as_size(size))
        picture.draft("RGB", (longer, longer))


def opened(data: bytes, size: Size) -> Image.Image:
    """A picture file decoded: upright, grey, RGB, RGBA or with more than 8 bits.

    Its ``info["coarse"]`` is true if it has 16 bits a colour, of which Pillow gives the upper 8.

    Args:
        data: the bytes of the file.
        size: what the picture shall become; a JPEG file is decoded no larger than it needs.

    Raises:
        Unread: it cannot be decoded; in its own words.
    """
    with _decoding(data) as picture:
        if picture.mode not in MODES and not is_deep(picture):
            raise Unread("in colours that are not read", picture.mode)
        coarse = not is_deep(picture) and any(";16" in str(tile[3]) for tile in picture.tile)
        small(picture, size)
        picture.load()
        made = plain(picture)
    made.info["coarse"] = coarse
    return made


def deep_values(data: bytes) -> np.ndarray | None:
    """The values of a picture with more than 8 bits; None of any other, which is not decoded.

    Raises:
        Unread: it cannot be decoded.
    """
    with _decoding(data) as picture:
        return np.asarray(picture) if is_deep(picture) else None


def glance(data: bytes) -> tuple[int, int, bool]:
    """(height, width, whether it is grey) of a picture file, upright, from its beginning.

    Raises:
        Unread: it is no picture.
    """
    with _decoding(data) as picture:
        sides = picture.height, picture.width
        if isinstance(picture, TiffImagePlugin.TiffImageFile):
            # which some versions of Pillow turn when they open it
            sides = picture.tag_v2[257], picture.tag_v2[256]
        if orientation(picture) in (5, 6, 7, 8):
            sides = sides[::-1]
        return *sides, is_grey(picture)


@contextmanager
def _decoding(data: bytes) -> Iterator[Any]:
    """A picture file that is open; what Pillow says of it becomes `Unread`."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            yield picture
    except Image.DecompressionBombError:
        raise Unread("of too many pixels", f"over {2 * (Image.MAX_IMAGE_PIXELS or 0):,}") from None
    except DECODING as error:
        raise _why(data, error) from error


def _why(data: bytes, error: Exception) -> Unread:
    """What a decoder's refusal means."""
    text = str(error)
    if "out of memory" in text:  # Pillow's word for it is an OSError
        raise MemoryError(text) from error
    for start, part, name in _PARTS:
        if data.startswith(start) and not features.check(part):
            return Unread("of a format that this Pillow cannot decode", name)
    if "decoder" in text and "not available" in text:
        return Unread("of a format that this Pillow cannot decode", text)
    head = data[:64].lstrip().lower()
    if data[4:8] == b"ftyp":
        kind = data[8:12].decode("latin-1").strip().upper()
        return Unread("of a format that is not read", "AVIF" if kind == "AVIF" else "HEIC or MP4")
    for start, name in _STRANGERS.items():
        if data.startswith(start) or (start[:1] == b"<" and head.startswith(start)):
            return Unread("of a format that is not read", name)
    if not data:
        return Unread("empty")
    return Unread("damaged", f"{type(error).__name__}: {text}")
