"""Drawn characters whose every factor is known: the data set that needs no download.

A picture is a function of its factors (:func:`draw`), and its factors are a function of a seed
and its index (:func:`factors_at`), so picture 17 is the same whatever it is drawn together with.

Lengths are shares of the picture's side; strokes are measured in cap heights; colours are red,
green, blue in 0..1. The factors, in the order of :data:`FACTORS`:

=================  =========  ==========================================================
character          (N,)       index into ``characters``
typeface           (N,)       index into ``typefaces``
slant              (N,)       shift to the right per unit of height, -0.3..0.3
thickness          (N,)       ink added on each side of a stroke, -0.008..0.045 cap heights
x, y               (N,)       centre of the character from the centre of the picture, -0.07..0.07
scale              (N,)       cap height as a share of the picture, 0.42..0.62
ink                (N, 3)     colour of the strokes
paper              (N, 3)     colour behind them
paper2             (N, 3)     second colour of the paper's texture, light if the paper is light
texture            (N,)       index into :data:`TEXTURES`
texture_strength   (N,)       how much of ``paper2`` shows, 0.25..1
texture_period     (N,)       length of one repeat, 0.14..0.4
texture_angle      (N,)       -1..1: tangent of half the angle of the repeat's direction
texture_phase      (N,)       shift in repeats, 0..1
=================  =========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.data.atlas import CAP, CHARACTERS, TILE, TYPEFACES, atlas
from ganlab.data.hashing import uniform
from ganlab.data.imageset import ImageSet
from ganlab.data.sizes import Size, as_size
from ganlab.data.textures import TEXTURES, texture
from ganlab.errors import DataError, unknown

FACTORS = (
    "character", "typeface", "slant", "thickness", "x", "y", "scale", "ink", "paper", "paper2",
    "texture", "texture_strength", "texture_period", "texture_angle", "texture_phase",
)  # fmt: skip
COUNTS = {"train": 20_000, "test": 5_000}
_RANGES = {
    "slant": (-0.3, 0.3),
    "thickness": (-0.008, 0.045),
    "x": (-0.07, 0.07),
    "y": (-0.07, 0.07),
    "scale": (0.42, 0.62),
    "texture_strength": (0.25, 1.0),
    "texture_period": (0.14, 0.4),
    "texture_angle": (-1.0, 1.0),
    "texture_phase": (0.0, 1.0),
}
_CHUNK = 2**18  # pixels drawn at a time: the working set stays in the processor's cache


def _coloured(hue: np.ndarray, luma: np.ndarray, vivid: np.ndarray) -> np.ndarray:
    """The colour (N, 3) of a hue (0..1) and a luma (Rec. 709); ``vivid`` 0 is grey, 1 pure."""
    sixth = hue[:, None] * 6 + np.array([0.0, 4.0, 2.0])
    pure = np.clip(np.abs(np.mod(sixth, 6) - 3) - 1, 0, 1)
    weights = np.array([0.2126, 0.7152, 0.0722])
    own = (pure[:, 0] * weights[0] + pure[:, 1] * weights[1] + pure[:, 2] * weights[2])[:, None]
    luma = luma[:, None]
    darker = pure * (luma / own)
    lighter = pure + (1 - pure) * ((luma - own) / (1 - own))
    vivid = vivid[:, None]
    return luma + (np.where(luma < own, darker, lighter) - luma) * vivid


def factors_at(
    index: Tensor | np.ndarray | Sequence[int],
    seed: int = 0,
    *,
    color: bool = False,
    characters: str = CHARACTERS,
    typefaces: Sequence[str] = TYPEFACES,
    textures: Sequence[str] = TEXTURES,
) -> dict[str, Tensor]:
    """The factors of pictures ``index`` of the endless set with this seed.

    Every factor is uniform over its range and independent of the others, except that ink and
    paper always differ in luma by 0.3 or more: in colour one is light and the other dark (either
    way round); in grey the ink is light and the paper dark, as in MNIST.

    Returns:
        One entry for each name in :data:`FACTORS`; ``int64`` indices and ``float32`` numbers.

    Raises:
        DataError: there is no texture, or one does not exist.
    """
    if not textures:
        raise DataError(f"glyphs need at least one texture of {', '.join(TEXTURES)}")
    for kind in textures:
        if kind not in TEXTURES:
            raise DataError(unknown("texture", kind, TEXTURES))
    kinds = np.array([TEXTURES.index(kind) for kind in textures])
    at = np.asarray(index, dtype=np.int64).reshape(-1)

    def u(stream: str, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        return low + (high - low) * uniform(seed, at, stream)

    got: dict[str, np.ndarray] = {
        "character": (u("character") * len(characters)).astype(np.int64),
        "typeface": (u("typeface") * len(typefaces)).astype(np.int64),
        "texture": kinds[(u("texture") * len(kinds)).astype(np.int64)],
    }
    got |= {name: u(name, *limits) for name, limits in _RANGES.items()}
    if color:
        light = u("polarity") < 0.5  # the ink is the light one
        for name in ("ink", "paper", "paper2"):
            high, low = u(f"{name} light", 0.68, 0.92), u(f"{name} dark", 0.06, 0.3)
            luma = np.where(light == (name == "ink"), high, low)
            got[name] = _coloured(u(f"{name} hue"), luma, u(f"{name} vivid", 0.4, 1.0))
    else:
        greys = {"ink": (0.75, 1.0), "paper": (0.0, 0.1), "paper2": (0.12, 0.32)}
        got |= {n: np.repeat(u(f"{n} grey", *g)[:, None], 3, 1) for n, g in greys.items()}
    return {
        name: torch.from_numpy(got[name] if got[name].dtype == np.int64 else got[name].astype("f4"))
        for name in FACTORS
    }


def change(factors: Mapping[str, Tensor], **values: float | Sequence[float] | Tensor) -> dict:
    """The same factors with some replaced, a single value standing for all pictures.

    >>> upright = change(factors_at(range(8)), slant=0.0)
    """
    out = dict(factors)
    for name, value in values.items():
        if name not in out:
            raise DataError(unknown("factor", name, out))
        old = out[name]
        out[name] = torch.as_tensor(value, dtype=old.dtype).expand_as(old).clone()
    return out


def draw(
    factors: Mapping[str, Tensor],
    size: Size = 32,
    channels: int = 1,
    *,
    characters: str = CHARACTERS,
    typefaces: Sequence[str] = TYPEFACES,
) -> Tensor:
    """Draw one picture for each row of the factors.

    Each picture depends on its own row only, bit for bit. Edges are antialiased over one pixel.

    Args:
        factors: as :func:`factors_at` returns them, perhaps after :func:`change`.
        size: side in pixels, 8..512; pictures are square.
        channels: 1 (the red, green and blue of each colour averaged) or 3.

    Returns:
        ``uint8`` (N, channels, size, size).

    Raises:
        DataError: for a size, a channel count or a factor that cannot be drawn.
    """
    if not isinstance(size, int):
        h, w = as_size(size)
        if h != w:
            raise DataError(f"glyphs are drawn square, not {h}x{w}: give size one number")
        size = h
    if not 8 <= size <= 512:
        raise DataError(f"glyphs can be drawn from 8 to 512 pixels, not at size={size}")
    if channels not in (1, 3):
        raise DataError(f"channels={channels} is not a choice: use 1 (grey) or 3 (colour)")
    missing = [name for name in FACTORS if name not in factors]
    if missing:
        raise DataError(f"factors lack {', '.join(missing)}")
    count = len(factors["character"])
    for name, most in (
        ("character", len(characters)), ("typeface", len(typefaces)), ("texture", len(TEXTURES)),
    ):  # fmt: skip
        values = factors[name]
        if count and not (int(values.min()) >= 0 and int(values.max()) < most):
            raise DataError(f"factor {name} must lie in 0..{most - 1}")
    field = atlas(characters, tuple(typefaces)).field
    out = torch.empty(count, channels, size, size, dtype=torch.uint8)
    step = max(1, _CHUNK // size**2)
    for i in range(0, count, step):
        part = {name: factors[name][i : i + step] for name in FACTORS}
        out[i : i + step] = _draw(part, size, channels, field, len(characters))
    return out


def _draw(f: dict[str, Tensor], size: int, channels: int, field: Tensor, kinds: int) -> Tensor:
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) / size - 0.5
    scale = f["scale"].view(-1, 1)
    v = (axis - f["y"].view(-1, 1)) / scale  # cap heights below the centre, (n, size)
    u = (axis - f["x"].view(-1, 1)) / scale
    u = u[:, None, :] + (f["slant"].view(-1, 1) * v)[:, :, None]
    n = len(scale)
    tile = (f["typeface"] * kinds + f["character"]).view(-1, 1) * TILE
    # positions in the atlas in pixels, kept half a pixel inside the tile
    col = (u * CAP + TILE / 2).clamp_(0.5, TILE - 0.5)
    row = (v * CAP + TILE / 2).clamp_(0.5, TILE - 0.5) + tile
    grid = torch.empty(1, n * size, size, 2)
    grid[0, :, :, 0] = (col * (2 / TILE) - 1).view(n * size, size)
    grid[0, :, :, 1] = (row * (2 / field.shape[2]) - 1).view(n * size, 1)
    distance = F.grid_sample(field, grid, mode="bilinear", align_corners=False)
    distance = distance.view(n, size, size)
    pixels = scale.view(-1, 1, 1) * size
    cover = ((distance + f["thickness"].view(-1, 1, 1)) * pixels + 0.5).clamp_(0, 1)[:, None]

    colours = {
        name: f[name] if channels == 3 else _grey(f[name]) for name in ("ink", "paper", "paper2")
    }
    ink, paper, paper2 = (colours[k][:, :, None, None] for k in ("ink", "paper", "paper2"))
    share = (texture(f, axis) * f["texture_strength"].view(-1, 1, 1))[:, None]
    ground = paper + (paper2 - paper) * share
    picture = ground + (ink - ground) * cover
    return (picture * 255 + 0.5).clamp_(0, 255).to(torch.uint8)


def _grey(rgb: Tensor) -> Tensor:
    return (rgb[:, 0:1] + rgb[:, 1:2] + rgb[:, 2:3]) / 3


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return names.replace(" ", "").split(",") if isinstance(names, str) else names


def make(
    *,
    size: Size = 32,
    channels: int = 1,
    split: str = "train",
    count: int | None = None,
    seed: int = 0,
    characters: str = CHARACTERS,
    typefaces: str | Sequence[str] = TYPEFACES,
    textures: str | Sequence[str] = TEXTURES,
) -> ImageSet:
    """A set of glyphs: the first ``count`` pictures of the endless set with this seed.

    The splits come from seeds that have nothing in common; each character is a class. Typefaces
    and textures may also be given as one string, with commas between their names.

    Raises:
        DataError: for an option that cannot be drawn.
    """
    if split not in COUNTS:
        raise DataError(f"glyphs have no split '{split}': use 'train' or 'test'")
    count = COUNTS[split] if count is None else count
    if count < 1:
        raise DataError(f"count={count} must be at least 1")
    typefaces, textures = _listed(typefaces), _listed(textures)
    own = 2 * seed + (split == "test")
    factors = factors_at(
        np.arange(count),
        own,
        color=channels == 3,
        characters=characters,
        typefaces=typefaces,
        textures=textures,
    )
    images = draw(factors, size, channels, characters=characters, typefaces=typefaces)
    return ImageSet(
        name="glyphs-color" if channels == 3 else "glyphs",
        images=images,
        labels=factors["character"].clone(),
        classes=tuple(characters),
        factors=factors,
    )
