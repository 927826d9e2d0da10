"""Grids of pictures: written, read back, and shown with names."""

import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from ganlab import plots
from ganlab.data import to_float
from ganlab.errors import GanlabError

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


@pytest.mark.parametrize("channels", range(1, 9))
def test_pictures_of_any_channels_are_drawn(channels, tmp_path):
    images = pictures(2, channels)
    sheet = plots.tile(images, pad=0)
    shown = torch.from_numpy(sheet[:, :16]).permute(2, 0, 1)
    first = images[0]
    if channels == 1:
        expected = first.expand(3, -1, -1)
    elif channels == 2:
        expected = torch.cat([first, torch.zeros_like(first[:1])])
    elif channels == 4:  # as Pillow lays it on white
        rgba = Image.fromarray(first.permute(1, 2, 0).numpy())
        white = Image.new("RGBA", rgba.size, "white")
        flat = np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
        expected = torch.from_numpy(flat.copy()).permute(2, 0, 1)
    else:
        expected = first[:3]
    assert (shown.int() - expected.int()).abs().max() <= 1
    assert plots.save_picture(images[0], tmp_path / "one.png").is_file()
    assert len(plots.grid(images).axes) == 1
    plt.close("all")


REFUSED = {
    "one picture": lambda x, to: plots.tile(x[0]),
    "none": lambda x, to: plots.tile(x[:0]),
    "an array": lambda x, to: plots.tile(x.numpy()),
    "NaN": lambda x, to: plots.tile(x.float() * torch.nan),
    "no column": lambda x, to: plots.grid(x, columns=0),
    "half a column": lambda x, to: plots.grid(x, columns=1.5),
    "a wide gap": lambda x, to: plots.tile(x, pad=10**9),
    "an ending": lambda x, to: plots.save_grid(x, to / "grid.v2"),
    "no ending": lambda x, to: plots.save_grid(x, to / "grid"),
    "a folder": lambda x, to: plots.save_grid(x, to / "in the way.png"),
    "a device": lambda x, to: plots.save_grid(x, to / "device.png"),
    "a side": lambda x, to: plots.save_grid(x, to / "tall.webp", 1, zoom=64),
    "zoom": lambda x, to: plots.save_grid(x, to / "grid.png", zoom=0),
    "no file": lambda x, to: plots.untile(to / "nothing.png", 16),
    "no picture": lambda x, to: plots.untile(to / "text.png", 16),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_line(what, tmp_path):
    (tmp_path / "in the way.png").mkdir()
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "device.png").symlink_to("/dev/null")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(GanlabError) as caught:
        REFUSED[what](pictures(20), tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_figures_do_not_pile_up_and_the_newest_are_shown():
    plt.close("all")
    mine = plt.figure()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = [plots.grid(pictures(2)) for _ in range(50)]
    assert len(plt.get_fignums()) <= 20
    assert plt.fignum_exists(mine.number)  # the reader's own stay
    assert all(plt.fignum_exists(f.number) for f in made[-10:])
    assert made[0].axes  # still good for savefig
    plt.close("all")


def test_a_released_figure_is_drawn_but_not_held(tmp_path):
    plt.close("all")
    figure = plots.released(plots.grid(pictures(4)))
    assert plt.get_fignums() == []
    figure.savefig(tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").width > 100
