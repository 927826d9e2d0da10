"""Paper for the glyphs: plain, graded, striped, checked, dotted or clouded, at any resolution.

Pixels are computed with +, -, *, /, floor, min and max only: these are rounded the same way in
every lane of a vector unit, which sin and exp are not, so a picture has the same bits whether it
is drawn alone or in a batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.data.hashing import uniform

TEXTURES = ("flat", "gradient", "stripes", "checks", "dots", "clouds")


def texture(f: dict[str, Tensor], axis: Tensor) -> Tensor:
    """Share of the second paper colour, (n, size, size) in 0..1."""
    size = len(axis)
    out = torch.zeros(len(f["texture"]), size, size)
    t = f["texture_angle"]
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    blur = 1 / size  # edges are softened over one pixel
    for kind, name in enumerate(TEXTURES):
        rows = (f["texture"] == kind).nonzero().view(-1)
        if name == "flat" or len(rows) == 0:
            continue
        c, s, phase, period = (
            v[rows].view(-1, 1, 1) for v in (cos, sin, f["texture_phase"], f["texture_period"])
        )
        x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)
        along, across = x * c + y * s, y * c - x * s
        if name == "gradient":
            out[rows] = (along * 0.8 + phase * 0.5 + 0.25).clamp_(0, 1)
        elif name == "clouds":
            out[rows] = _clouds(phase, period, size)
        else:
            p = along / period + phase
            q = across / period + phase
            # distance in repeats from the nearest edge of a half-period band
            a = 0.25 - (p - (p + 0.5).floor()).abs()
            b = 0.25 - (q - (q + 0.5).floor()).abs()
            soft = period / blur
            if name == "stripes":
                out[rows] = (a * soft + 0.5).clamp_(0, 1)
            elif name == "checks":
                a = (a * soft + 0.5).clamp_(0, 1)
                b = (b * soft + 0.5).clamp_(0, 1)
                out[rows] = a + b - 2 * a * b
            else:  # dots: the squared distance is compared, so that no root is needed
                p, q = 0.25 - a, 0.25 - b
                out[rows] = ((0.09 - p * p - q * q) * soft * 1.7 + 0.5).clamp_(0, 1)
    return out


@lru_cache(maxsize=1)
def _sheet() -> Tensor:
    """One sheet of smooth noise, 256x256 in 0..1, that every cloud is cut from."""
    cells = uniform(0x5EED, np.arange(64 * 64), "clouds").reshape(1, 1, 64, 64)
    noise = torch.from_numpy(cells).float()
    return F.interpolate(noise, (256, 256), mode="bicubic", align_corners=False).clamp_(0, 1)


def _clouds(phase: Tensor, period: Tensor, size: int) -> Tensor:
    """A window of the noise sheet per picture: ``period`` is two cells wide, ``phase`` moves it."""
    n = len(phase)
    width = (2 * 2 / 64) / period.view(-1, 1)  # of the picture, in grid units of the sheet (2)
    room = 2 - width
    places = phase.view(-1, 1) * 97.0  # two unrelated positions from one number
    left = -1 + room * (places - places.floor())
    places = phase.view(-1, 1) * 61.0
    top = -1 + room * (places - places.floor())
    steps = ((torch.arange(size, dtype=torch.float32) + 0.5) / size).view(1, -1)
    grid = torch.empty(1, n * size, size, 2)
    x, y = left + width * steps, top + width * steps
    grid[0, :, :, 0] = x[:, None, :].expand(n, size, size).reshape(n * size, size)
    grid[0, :, :, 1] = y.reshape(n * size, 1)
    got = F.grid_sample(_sheet(), grid, mode="bilinear", align_corners=False)
    return got.view(n, size, size)
