"""Signed distance fields of characters, made once from the fonts that matplotlib ships.

A distance field can be sampled at any position, size and slant, and thresholded at any distance
to make strokes thicker or thinner (Green 2007, "Improved alpha-tested magnification", SIGGRAPH
courses, doi:10.1145/1281500.1281665).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganlab.errors import DataError, unknown

#: Name of each typeface -> the file in matplotlib's font folder. Chosen to be told apart by eye.
FONTS = {
    "sans": "DejaVuSans.ttf",
    "sans-bold": "DejaVuSans-Bold.ttf",
    "serif": "DejaVuSerif.ttf",
    "serif-bold": "DejaVuSerif-Bold.ttf",
    "italic": "cmti10.ttf",
    "times": "STIXGeneral.ttf",
    "times-bold-italic": "STIXGeneralBolIta.ttf",
    "roman": "cmr10.ttf",
    "typewriter": "cmtt10.ttf",
}
TYPEFACES = tuple(FONTS)
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

TILE = 96  # side of one field in atlas pixels
CAP = 60  # atlas pixels in one cap height, the unit of every length below
OVER = 3  # fine pixels per atlas pixel; odd, so that atlas pixels have a fine centre
REACH = 8  # atlas pixels to each side of an outline for which the field is exact
WIDEST = 1.05  # cap heights; wider characters (W, M) are condensed to this, so that they fit
TALLEST = 1.25  # cap heights; the same for characters with deep tails


@dataclass(frozen=True)
class Atlas:
    """The fields of all characters in all typefaces.

    Attributes:
        field: ``float32`` (1, 1, T*K*TILE, TILE), tile ``typeface * K + character`` from the top;
            distance to the outline in cap heights, positive inside.
        characters: the K characters.
        typefaces: the names of the T typefaces.
    """

    field: Tensor
    characters: str
    typefaces: tuple[str, ...]


@lru_cache(maxsize=8)
def atlas(characters: str = CHARACTERS, typefaces: tuple[str, ...] = TYPEFACES) -> Atlas:
    """Draw every character in every typeface and turn it into a distance field (about 1 s).

    Raises:
        DataError: if a typeface is unknown, a character stands twice or a font lacks it.
    """
    if not characters or len(set(characters)) != len(characters):
        raise DataError(f"characters={characters!r} must name each character once")
    if not typefaces or len(set(typefaces)) != len(typefaces):
        raise DataError(f"typefaces={typefaces!r} must name each typeface once")
    tiles = [
        _fields(np.stack([_drawn(c, font) for c in characters])) for font in map(_font, typefaces)
    ]
    field = torch.from_numpy(np.concatenate(tiles)) / CAP
    return Atlas(field.reshape(1, 1, -1, TILE), characters, tuple(typefaces))


@dataclass(frozen=True)
class _Font:
    name: str
    path: Path
    cap: float  # cap height at size 1
    codes: frozenset[int]


def _font(name: str) -> _Font:
    import matplotlib
    from matplotlib.ft2font import FT2Font

    if name not in FONTS:
        raise DataError(unknown("typeface", name, FONTS))
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FONTS[name]
    if not path.is_file():  # matplotlib up to 3.10, which Colab has, ship no italic
        path = Path(__file__).with_name("fonts") / FONTS[name]
    _, top, _, bottom = ImageFont.truetype(str(path), 1000).getbbox("H", anchor="ls")
    return _Font(name, path, (bottom - top) / 1000, frozenset(FT2Font(str(path)).get_charmap()))


def _drawn(character: str, font: _Font) -> np.ndarray:
    """Ink (True) or not at OVER pixels per atlas pixel, the character's box in the middle."""
    if ord(character) not in font.codes:
        raise DataError(f"typeface '{font.name}' has no character {character!r}")
    face = ImageFont.truetype(str(font.path), round(CAP * OVER / font.cap))
    box = face.getbbox(character, anchor="ls")
    ink = Image.new("L", (round(box[2] - box[0]), round(box[3] - box[1])), 0)
    ImageDraw.Draw(ink).text((-box[0], -box[1]), character, fill=255, font=face, anchor="ls")
    limits = (round(WIDEST * CAP * OVER), round(TALLEST * CAP * OVER))
    small = (min(ink.width, limits[0]), min(ink.height, limits[1]))
    if small != ink.size:
        ink = ink.resize(small, Image.Resampling.BOX)
    side = TILE * OVER
    page = Image.new("L", (side, side), 0)
    page.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return np.asarray(page) > 127


def _fields(ink: np.ndarray) -> np.ndarray:
    """Signed distance in atlas pixels from their centres to the outline, positive inside.

    Args:
        ink: bool (n, TILE * OVER, TILE * OVER).

    Returns:
        ``float32`` (n, TILE, TILE), clipped to REACH.
    """
    field = (_nearest(~ink) - _nearest(ink)) / OVER
    smooth = torch.tensor([1.0, 6.0, 1.0]) / 8  # takes off the last steps of the pixel grid
    x = F.conv2d(torch.from_numpy(field)[:, None], smooth.view(1, 1, 3, 1), padding=(1, 0))
    return F.conv2d(x, smooth.view(1, 1, 1, 3), padding=(0, 1))[:, 0].numpy()


def _nearest(marked: np.ndarray) -> np.ndarray:
    """Distance in fine pixels from each atlas pixel's centre to the marked area (0 within it).

    An exact Euclidean transform, along rows and then along columns (Felzenszwalb & Huttenlocher
    2012, doi:10.4086/toc.2012.v008a019), by brute force over the few shifts within reach.
    """
    n, side, _ = marked.shape
    reach = REACH * OVER
    far = np.int16(2 * side)
    place = np.arange(side, dtype=np.int16)
    before = np.maximum.accumulate(np.where(marked, place, -far), axis=2)
    after = np.minimum.accumulate(np.where(marked, place, 2 * far)[:, :, ::-1], axis=2)[:, :, ::-1]
    centre = slice(OVER // 2, None, OVER)
    row = np.minimum(place[centre] - before[:, :, centre], after[:, :, centre] - place[centre])
    square = np.full((n, side + 2 * reach, TILE), float(reach) ** 2, dtype=np.float32)
    square[:, reach : reach + side] = np.minimum(row, reach).astype(np.float32) ** 2
    best = np.full((n, TILE, TILE), float(reach) ** 2, dtype=np.float32)
    first = reach + OVER // 2
    for shift in range(-reach, reach + 1):
        rows = square[:, first + shift : first + shift + (TILE - 1) * OVER + 1 : OVER]
        np.minimum(best, rows + np.float32(shift * shift), out=best)
    # between the centres of a marked and an unmarked pixel lies half a pixel to the outline
    return np.maximum(np.sqrt(best) - np.float32(0.5), 0)
