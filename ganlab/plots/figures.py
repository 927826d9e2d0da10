"""Figures of pictures, points and curves, in one palette."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganlab.plots.tiles import tile

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


_opened: list[weakref.ref[Figure]] = []


def _subplots(*shape: int, **options: Any) -> tuple[Figure, Any]:
    """A figure of pyplot, so that `plt.show()` shows it, and its axes.

    Those that these functions open never pile up: where matplotlib would warn of too many, the
    oldest of them is given up first.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    most = mpl.rcParams["figure.max_open_warning"]
    alive = [f for f in (ref() for ref in _opened) if f is not None]
    alive = [f for f in alive if plt.fignum_exists(getattr(f, "number", -1))]
    while most and alive and len(plt.get_fignums()) >= most:
        plt.close(alive.pop(0))
    figure, axes = plt.subplots(*shape, **options)
    _opened[:] = [weakref.ref(f) for f in (*alive, figure)]
    return figure, axes


def released(figure: Figure) -> Figure:
    """The figure, which pyplot then no longer holds: for one that is returned, not shown.

    As a notebook cell's last line it is drawn once, `savefig` works, and nothing piles up.
    """
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


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
    sheet = tile(images, columns)
    height = width * sheet.shape[0] / sheet.shape[1] + (0.35 if title else 0)
    figure, ax = _subplots(figsize=(width, height))
    show(images, ax, columns, title)
    figure.tight_layout(pad=0.2)
    return figure


def sheets(
    panels: Mapping[str, torch.Tensor], columns: int = 6, width: float = 9.0, across: int = 3
) -> Figure:
    """Several titled grids of pictures in one figure, `across` of them in a row."""
    across = min(across, len(panels))
    rows = math.ceil(len(panels) / across)
    shape = tile(next(iter(panels.values())), columns).shape
    each = width / across
    figure, axes = _subplots(
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
    sheet = _smaller(tile(torch.cat([images[:columns] for images in panels.values()]), columns))
    high, wide = (n / 100 for n in sheet.shape[:2])
    across = wide + label_width
    figure, ax = _subplots(figsize=(across, high))
    ax.set_position((label_width / across, 0.0, wide / across, 1.0))
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
    ax = ax if ax is not None else _subplots(figsize=(3.6, 3.6))[1]
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
    ax = ax if ax is not None else _subplots(figsize=(6, 2.8))[1]
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
    ax = ax if ax is not None else _subplots(figsize=(4.5, 2.8))[1]
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
