"""Pictures higher or wider than a square: how they are named, cut, resized and cached."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ganlab.data import load
from ganlab.data.cache import _entry
from ganlab.data.native import native, resized
from ganlab.data.pictures import fit, fit_array
from ganlab.data.sizes import as_size, middle
from ganlab.errors import DataError


@pytest.fixture
def quarters(tmp_path, monkeypatch):
    """Twenty pictures of 48 x 128 pixels: red left, blue right, in the 96 columns in the middle;
    black at both ends; the lower half of all of it with green."""
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    page = np.zeros((48, 128, 3), np.uint8)
    page[:, 16:64, 0] = 255
    page[:, 64:112, 2] = 255
    page[24:, 16:112, 1] = 255
    (tmp_path / "mine").mkdir()
    for i in range(20):
        Image.fromarray(page).save(tmp_path / "mine" / f"{i}.png")
    return tmp_path / "mine"


def test_a_folder_is_cut_to_the_ratio_in_the_middle_and_resized(quarters):
    data = load(str(quarters), size=(32, 64))
    assert data.shape == (3, 32, 64)
    picture = data.images[7]
    assert picture[:, 4, 4].tolist() == [255, 0, 0]  # the black ends are cut off
    assert picture[:, 4, 60].tolist() == [0, 0, 255]
    assert picture[:, 28, 4].tolist() == [255, 255, 0]
    assert picture[:, 28, 60].tolist() == [0, 255, 255]
    assert picture[:, 0, 0].tolist() == [255, 0, 0]
    tall = load(str(quarters), size="64x32")
    assert tall.shape == (3, 64, 32)
    assert tall.images[0][:, 10, 3].tolist() == [255, 0, 0]
    assert tall.images[0][:, 60, 28].tolist() == [0, 255, 255]


def test_text_and_pairs_are_the_same_set_and_squares_keep_their_cache_entry(quarters, tmp_path):
    decoded = tmp_path / "cache" / "decoded"

    def entries():
        return sorted(p.name for p in decoded.iterdir() if p.is_dir())

    load(str(quarters), size=32)
    square = entries()
    assert load(str(quarters), size=(32, 32)).shape == (3, 32, 32)
    assert entries() == square
    assert len(square) == 1
    assert square[0].startswith("mine-train-32x3-")
    load(str(quarters), size=(32, 64))
    load(str(quarters), size="32x64")
    load(str(quarters), size=[32, 64])  # as JSON gives it back
    load(str(quarters), size=(64, 32))
    assert len(entries()) == 3


def test_the_key_of_a_square_is_the_one_of_before(quarters, monkeypatch):
    keys = []
    monkeypatch.setattr(
        "ganlab.data.cache._entry",
        lambda label, key: keys.append((label, key)) or _entry(label, key),
    )
    load(str(quarters), size=(32, 32))
    label, key = keys[0]
    assert label == "mine-train-32x3"
    assert json.loads(json.dumps(key)) == {
        "name": str(quarters), "source": key["source"], "size": 32, "channels": 3,
        "split": "train", "background": [255, 255, 255], "damaged": "skip", "category": "bedroom",
        "fit": "crop", "range": "auto",
    }  # fmt: skip


@pytest.mark.parametrize("size", [(16, 40), (40, 16), (20, 20)])
@pytest.mark.parametrize("shape", [(37, 90), (90, 37), (50, 50), (16, 40)])
def test_one_by_one_and_in_blocks_pictures_are_the_same(size, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    one = fit(Image.fromarray(noise), size, 3, (0, 0, 0)).astype(int)
    block = fit_array(noise.transpose(2, 0, 1)[None], size, 3)[0].astype(int)
    assert one.shape == block.shape == (3, *size)
    assert abs(one - block).max() <= 2


def test_a_photograph_on_its_side_is_turned_before_it_is_cut(tmp_path):
    page = np.zeros((400, 800, 3), np.uint8)
    page[:, :400] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter clockwise: the left half is on top
    Image.fromarray(page).save(tmp_path / "a.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "a.jpg") as picture:
        got = fit(picture, (32, 16), 1, (0, 0, 0))
    assert got.shape == (1, 32, 16)
    assert (got[0, :14] > 250).all()
    assert (got[0, 18:] < 5).all()


def test_the_middle_of_a_picture_by_hand():
    assert middle(48, 128, (32, 64)) == (0, 16, 48, 96)
    assert middle(128, 48, (32, 64)) == (52, 0, 24, 48)
    assert middle(7, 10, 5) == (0, 1, 7, 7)
    assert middle(1, 100, (64, 1)) == (0, 49, 1, 1)  # at least one pixel


def test_notes_say_what_was_done_to_pictures_for_a_rectangle(quarters):
    was = native(str(quarters))
    assert was.sizes == {(48, 128)}
    assert resized("mine", was, (3, 32, 64)) == [
        "mine: 48x128 px, resized to 32x64 px (bicubic, antialiased)",
        "mine: cut to the sides' ratio 32:64 in the middle",
    ]
    assert resized("mine", was, (3, 48, 128)) == []
    assert resized("mine", was, (3, 48, 48)) == ["mine: cut to the square in the middle"]
    assert resized("mine", was, (3, 32, 32)) == [
        "mine: 48 px, resized to 32 px (bicubic, antialiased)",
        "mine: cut to the square in the middle",
    ]


WRONG = "must be a whole number of pixels from 1 to 4096, or a height and a width"


@pytest.mark.parametrize(
    "size", [0, -4, 5000, 1.5, True, "axb", "64", "64x", "64x-2", "6x4x2", (64,), (64, 0),
             (1, 2, 3), (64, 64.0), (64, 5000), None, ""],
)  # fmt: skip
def test_a_size_that_is_none_is_refused_in_one_line(size):
    with pytest.raises(DataError, match=WRONG) as caught:
        as_size(size)
    assert repr(size) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_glyphs_stay_square():
    with pytest.raises(DataError, match="glyphs are drawn square, not 32x64: give size one number"):
        load("glyphs", size=(32, 64), limit=4)
    assert load("glyphs", size="32x32", limit=4).images.equal(load("glyphs", limit=4).images)


def test_glyphs_do_not_stand_in_for_rectangles(monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    with pytest.raises(DataError, match=r"mnist is not in .* are drawn square, not 28x56"):
        load("mnist", size=(28, 56), root=tmp_path)
