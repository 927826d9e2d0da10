"""Figures: grids of pictures, clouds of points, curves, and the discriminator's confidence.

One palette throughout the book, safe for colour-blind readers: data blue, generator orange,
discriminator green (Okabe and Ito).
"""

from ganlab.plots.figures import (
    DATA,
    DISC,
    EXTRA,
    FAKE,
    MUTED,
    WARN,
    band,
    confidence,
    curves,
    grid,
    points,
    released,
    rows,
    sheets,
    show,
    style,
)
from ganlab.plots.tiles import save_grid, save_picture, tile, untile

__all__ = [
    "DATA",
    "DISC",
    "EXTRA",
    "FAKE",
    "MUTED",
    "WARN",
    "band",
    "confidence",
    "curves",
    "grid",
    "points",
    "released",
    "rows",
    "save_grid",
    "save_picture",
    "sheets",
    "show",
    "style",
    "tile",
    "untile",
]
