"""Figures: grids of pictures, clouds of points, curves, and the discriminator's confidence.

One palette throughout the book, safe for colour-blind readers: data blue, generator orange,
discriminator green (Okabe and Ito).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganlab.data.imageset import to_float, to_uint8
from ganlab.data.sizes import Size, as_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA, FAKE, DISC = "#0072B2", "#D55E00", "#009E73"
MUTED, EXTRA, WARN = "#6B7280", "#CC79A7", "#E69F00"


def style() -> None:
    """Set the book's plot style: light, no box, readable at phone width."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 100,
            "figure.facecolor": "white",
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.grid": True,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "image.interpolation": "nearest",
            "axes.prop_cycle": cycler(color=[DATA, FAKE, DISC, EXTRA, WARN, MUTED]),
        }
    )


def tile(images: torch.Tensor, columns: int = 8, pad: int = 2) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        images: (N, C, H, W) floats in [-1, 1] or uint8; C is 1 or 3.
        columns: pictures a row.
        pad: pixels of white between them.

    Returns:
        (rows·(H+pad)+pad, columns·(W+pad)+pad, 3) uint8.
    """
    pixels = images.detach().cpu()
    if pixels.dtype != torch.uint8:
        pixels = to_uint8(pixels)
    if pixels.shape[1] == 1:
        pixels = pixels.expand(-1, 3, -1, -1)
    n, _, height, width = pixels.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), 255, np.uint8)
    for i, picture in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        top = pad + (i // columns) * (height + pad)
        left = pad + (i % columns) * (width + pad)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def save_grid(images: torch.Tensor, path: str | Path, columns: int = 8, zoom: int = 2) -> Path:
    """Write a grid of pictures as a PNG, each pixel `zoom` times enlarged. Returns the path."""
    from PIL import Image

    sheet = Image.fromarray(tile(images, columns))
    size = (sheet.width * zoom, sheet.height * zoom)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.resize(size, Image.Resampling.NEAREST).save(path, optimize=True)
    return path


def untile(path: str | Path, size: Size, zoom: int = 2, pad: int = 2) -> torch.Tensor:
    """The pictures of a grid that `save_grid` wrote, (N, 3, H, W) in [-1, 1].

    Places of the last row that hold no picture come out white.
    """
    from PIL import Image

    sheet = Image.open(path).convert("RGB")
    small = sheet.resize((sheet.width // zoom, sheet.height // zoom), Image.Resampling.NEAREST)
    pixels = torch.from_numpy(np.array(small))[pad:, pad:]
    h, w = as_size(size)
    cut = pixels.unfold(0, h, h + pad).unfold(1, w, w + pad)
    return to_float(cut.reshape(-1, 3, h, w))


def save_picture(image: torch.Tensor, path: str | Path) -> Path:
    """Write one (C, H, W) picture, C = 1 or 3, floats in [-1, 1], as a PNG. Returns the path."""
    from PIL import Image

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(tile(image[None], pad=0)).save(path)
    return path


def show(images: torch.Tensor, ax: Axes, columns: int = 8, title: str | None = None) -> Axes:
    """Draw a grid of pictures (as in `tile`) on `ax`."""
    ax.imshow(tile(images, columns))
    ax.set_axis_off()
    if title:
        ax.set_title(title)
    return ax


def grid(
    images: torch.Tensor, columns: int = 8, title: str | None = None, width: float = 6.0
) -> Figure:
    """A figure of pictures in rows, `width` inches wide. Images as in `tile`."""
    import matplotlib.pyplot as plt

    sheet = tile(images, columns)
    height = width * sheet.shape[0] / sheet.shape[1] + (0.35 if title else 0)
    figure, ax = plt.subplots(figsize=(width, height))
    show(images, ax, columns, title)
    figure.tight_layout(pad=0.2)
    return figure


def sheets(
    panels: Mapping[str, torch.Tensor], columns: int = 6, width: float = 9.0, across: int = 3
) -> Figure:
    """Several titled grids of pictures in one figure, `across` of them in a row."""
    import matplotlib.pyplot as plt

    across = min(across, len(panels))
    rows = math.ceil(len(panels) / across)
    shape = tile(next(iter(panels.values())), columns).shape
    each = width / across
    figure, axes = plt.subplots(
        rows, across, figsize=(width, rows * (each * shape[0] / shape[1] + 0.35)), squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, images) in zip(axes.flat, panels.items(), strict=False):
        show(images, ax, columns, title)
    figure.tight_layout(pad=0.4)
    return figure


def rows(panels: Mapping[str, torch.Tensor], columns: int, label_width: float = 2.9) -> Figure:
    """Rows of pictures with a name before each, pixel for pixel.

    Args:
        panels: name -> (N, C, H, W), of which the first `columns` are shown.
        columns: pictures a row.
        label_width: inches for the names.
    """
    import matplotlib.pyplot as plt

    sheet = _smaller(tile(torch.cat([images[:columns] for images in panels.values()]), columns))
    high, wide = (n / 100 for n in sheet.shape[:2])
    figure = plt.figure(figsize=(wide + label_width, high))
    across = wide + label_width
    ax = figure.add_axes((label_width / across, 0.0, wide / across, 1.0))
    ax.imshow(sheet)
    step = next(iter(panels.values())).shape[2] + 2
    ax.set_yticks([step * i + step / 2 + 1 for i in range(len(panels))], list(panels), fontsize=8)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return figure


def _smaller(sheet: np.ndarray, most: int = 75_000) -> np.ndarray:
    """A sheet in as many shades as keep its PNG below `most` bytes, 17 at the least."""
    from io import BytesIO

    from PIL import Image

    for step in (1, 4, 8, 15):
        coarse = sheet // step * step
        file = BytesIO()
        Image.fromarray(coarse).save(file, "png")
        if file.tell() <= most:
            break
    return coarse


def points(
    real: torch.Tensor | None,
    fake: torch.Tensor | None = None,
    ax: Axes | None = None,
    limit: float | None = None,
    title: str | None = None,
) -> Axes:
    """Scatter (N, 2) real points under (M, 2) generated ones; square axes of half-width `limit`."""
    import matplotlib.pyplot as plt

    ax = ax if ax is not None else plt.subplots(figsize=(3.6, 3.6))[1]
    for cloud, color, name in ((real, DATA, "data"), (fake, FAKE, "generator")):
        if cloud is not None:
            xy = torch.as_tensor(cloud).detach().cpu()
            ax.scatter(xy[:, 0], xy[:, 1], s=5, c=color, alpha=0.45, linewidths=0, label=name)
    if limit:
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit))
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    if title:
        ax.set_title(title)
    return ax


def curves(
    log: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    ax: Axes | None = None,
    labels: Sequence[str] | None = None,
    x: str = "step",
) -> Axes:
    """Plot the `keys` of a run's log (a list of records) against `x`."""
    import matplotlib.pyplot as plt

    ax = ax if ax is not None else plt.subplots(figsize=(6, 2.8))[1]
    for key, label in zip(keys, labels or keys, strict=True):
        pairs = [(record[x], record[key]) for record in log if key in record]
        color = {"d_loss": DISC, "g_loss": FAKE, "d_real": DATA, "d_fake": FAKE}.get(key)
        ax.plot(*zip(*pairs, strict=True), label=label, color=color, linewidth=1.4)
    ax.set_xlabel(x)
    ax.legend()
    return ax


def band(
    ax: Axes, x: Sequence[float], runs: Any, label: str, color: str | None = None
) -> np.ndarray:
    """Draw the mean of several runs with a band of one standard deviation.

    Args:
        ax: where.
        x: (T,) the shared abscissa.
        runs: (seeds, T) array-like.
        label: of the line.
        color: of line and band.

    Returns:
        (T,) the mean that was drawn.
    """
    values = np.asarray(runs, dtype=float)
    mean = values.mean(0)
    spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros_like(mean)
    (line,) = ax.plot(x, mean, label=label, color=color, linewidth=1.6)
    ax.fill_between(x, mean - spread, mean + spread, color=line.get_color(), alpha=0.2, lw=0)
    return mean


def confidence(
    histograms: Mapping[str, Sequence[float]], ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Histograms of D(x) on real and on generated pictures, as shares of the sample.

    Args:
        histograms: `{"real": shares, "fake": shares}`, equal bins over [0, 1].
        ax: where; a new figure if None.
        title: of the axes.
    """
    import matplotlib.pyplot as plt

    ax = ax if ax is not None else plt.subplots(figsize=(4.5, 2.8))[1]
    for key, color, label in (("real", DATA, "on data"), ("fake", FAKE, "on generated")):
        shares = np.asarray(histograms[key], dtype=float)
        edges = np.linspace(0, 1, len(shares) + 1)
        ax.stairs(
            shares / max(shares.sum(), 1e-12), edges, fill=True, alpha=0.5, color=color, label=label
        )
    ax.set(xlabel="D(x), the probability of real", ylabel="share", xlim=(0, 1))
    ax.legend()
    if title:
        ax.set_title(title)
    return ax
