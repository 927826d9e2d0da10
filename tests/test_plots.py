"""Grids of pictures: written, read back, and shown with names."""

import matplotlib
import numpy as np
import torch

from ganlab import plots
from ganlab.data import to_float

matplotlib.use("Agg")


def pictures(n, channels=3, size=16):
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, channels, size, size), generator=draw).to(torch.uint8)


def test_tiles_stand_in_rows_with_white_between():
    images = pictures(5)
    sheet = plots.tile(images, columns=3)
    assert sheet.shape == (2 * 18 + 2, 3 * 18 + 2, 3)
    assert np.array_equal(sheet[20:36, 2:18], images[3].permute(1, 2, 0).numpy())
    assert (sheet[20:36, 38:54] == 255).all()  # no sixth picture
    assert (sheet[:2] == 255).all()


def test_a_stored_grid_gives_its_pictures_back(tmp_path):
    images = pictures(6)
    path = plots.save_grid(images, tmp_path / "grid.png", columns=3)
    assert torch.equal(plots.untile(path, 16), to_float(images))
    grey = pictures(4, channels=1)
    path = plots.save_grid(grey, tmp_path / "grey.png", columns=4, zoom=1)
    assert torch.equal(plots.untile(path, 16, zoom=1), to_float(grey.expand(-1, 3, -1, -1)))


def test_rows_have_their_names_at_the_height_of_their_pictures():
    panels = {"first": pictures(7), "second": pictures(7)}
    figure = plots.rows(panels, columns=5)
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["first", "second"]
    assert [int(y) for y in ax.get_yticks()] == [10, 28]  # middles of 16 px rows, 2 px apart
    shown = ax.images[0].get_array()
    assert shown.shape[:2] == (2 * 18 + 2, 5 * 18 + 2)
    figure.canvas.draw()
    high, wide = ax.get_window_extent().height, ax.get_window_extent().width
    assert abs(wide / high - shown.shape[1] / shown.shape[0]) < 0.01  # pixel for pixel
