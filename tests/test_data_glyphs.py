"""Glyphs: the same bits however they are drawn, and each factor does what its name says."""

from __future__ import annotations

import itertools
import time

import pytest
import torch

from ganlab.data import glyphs, load
from ganlab.data.glyphs import change, draw, factors_at
from ganlab.errors import DataError


def plain(n, **values):
    """White characters on black without texture, upright and in the middle, then changed."""
    still = {"slant": 0.0, "thickness": 0.01, "x": 0.0, "y": 0.0, "scale": 0.5, "texture": 0}
    colours = {"ink": 1.0, "paper": 0.0, "paper2": 0.0}
    return change(factors_at(range(n)), **(still | colours | values))


def ink(factors, size=64):
    return draw(factors, size)[:, 0].double() / 255


def centroid(images):
    """(x, y) of the ink's centre of mass in shares of the picture, (N, 2)."""
    axis = (torch.arange(images.shape[-1]).double() + 0.5) / images.shape[-1]
    total = images.sum((1, 2))
    return torch.stack(
        [(images.sum(1) * axis).sum(1) / total, (images.sum(2) * axis).sum(1) / total], 1
    )


@pytest.mark.parametrize(("size", "channels"), [(32, 1), (32, 3), (28, 1), (64, 3), (17, 3)])
def test_one_by_one_and_in_a_batch_are_the_same_bits(size, channels):
    whole = glyphs.make(size=size, channels=channels, count=150)
    for i in (0, 1, 77, 149):
        alone = draw(factors_at([i], 0, color=channels == 3), size, channels)
        assert torch.equal(alone[0], whole.images[i])
    some = torch.tensor([149, 3, 3, 60])
    again = draw({k: v[some] for k, v in whole.factors.items()}, size, channels)
    assert torch.equal(again, whole.images[some])


def test_threads_do_not_change_a_bit():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = glyphs.make(channels=3, count=300).images
        torch.set_num_threads(3)
        assert torch.equal(one, glyphs.make(channels=3, count=300).images)
    finally:
        torch.set_num_threads(before)


def test_seed_split_and_index_decide():
    a = glyphs.make(count=200)
    assert torch.equal(a.images, glyphs.make(count=400).images[:200])
    assert not torch.equal(a.images, glyphs.make(count=200, seed=1).images)
    test = glyphs.make(count=200, split="test").images.flatten(1)
    assert (torch.cdist(a.images.flatten(1).float(), test.float()) > 0).all()


def test_load_gives_grey_or_colour_with_factors():
    grey, colour = load("glyphs", limit=50), load("glyphs-color", size=64, count=50)
    assert grey.shape == (1, 32, 32)
    assert colour.shape == (3, 64, 64)
    assert len(grey) == len(colour) == 50
    assert grey.classes == tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert torch.equal(grey.labels, grey.factors["character"])
    assert set(grey.factors) == set(glyphs.FACTORS)
    assert colour.factors["ink"].shape == (50, 3)
    assert torch.equal(draw(colour.factors, 64, 3), colour.images)
    assert len(load("glyphs")) == 20_000


def test_factors_are_uniform_and_unrelated():
    n = 20_000
    f = factors_at(range(n), color=True)
    single = {k: v.double() for k, v in f.items() if v.ndim == 1}
    table = torch.stack(list(single.values()))
    off = table.corrcoef().fill_diagonal_(0).abs()
    assert off.max() < 5 / n**0.5, "two factors share their random numbers"
    for name, kinds in (("character", 36), ("typeface", len(glyphs.TYPEFACES)), ("texture", 6)):
        counts = f[name].bincount(minlength=kinds).double()
        assert len(counts) == kinds
        assert ((counts - n / kinds).abs() < 5 * (n / kinds) ** 0.5).all()
    for name in ("slant", "x", "y", "scale", "thickness"):
        v = single[name]
        unit = (v - v.min()) / (v.max() - v.min())
        quarters = (unit * 4).long().clamp(max=3).bincount().double()
        assert ((quarters - n / 4).abs() < 5 * (n / 4) ** 0.5).all()


@pytest.mark.parametrize("color", [False, True])
def test_ink_always_stands_out_from_the_paper(color):
    f = factors_at(range(20_000), color=color)
    luma = {k: f[k] @ torch.tensor([0.2126, 0.7152, 0.0722]) for k in ("ink", "paper", "paper2")}
    for ground in ("paper", "paper2"):
        assert (luma["ink"] - luma[ground]).abs().min() > 0.3
    assert all(f[k].min() >= 0 and f[k].max() <= 1 for k in luma)
    light = (luma["ink"] > luma["paper"]).double().mean()
    assert 0.47 < light < 0.53 if color else light == 1


def test_characters_are_hardly_ever_cut_off():
    f = change(factors_at(range(4000), 5), texture=0, ink=1.0, paper=0.0)
    images = ink(f, 48)
    rim = torch.cat([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], 1)
    assert (rim.amax(1) > 0.5).double().mean() < 0.005


def test_every_character_of_every_typeface_is_there_and_distinct():
    faces = len(glyphs.TYPEFACES)
    n = 36 * faces
    f = plain(n, character=torch.arange(n) % 36, typeface=torch.arange(n) // 36)
    images = ink(f, 48).view(faces, 36, -1)
    assert images.mean(-1).min() > 0.01
    for face in images:
        distance = torch.cdist(face, face).fill_diagonal_(99)
        assert distance.min() > 1.5
    for character in images.transpose(0, 1):  # and no two typefaces are the same
        assert torch.cdist(character, character).fill_diagonal_(99).min() > 1.0


def test_position_moves_the_centre_of_mass_and_nothing_else():
    start = plain(40)
    for name, axis in (("x", 0), ("y", 1)):
        moved = centroid(ink(change(start, **{name: 0.0625}))) - centroid(ink(start))
        assert torch.allclose(moved[:, axis], torch.full((40,), 0.0625).double(), atol=2e-3)
        assert moved[:, 1 - axis].abs().max() < 1e-3
    # 0.0625 of 64 pixels is 4 pixels: the very same picture, shifted
    shifted = draw(change(start, x=0.0625), 64)
    assert (shifted[..., 4:].int() - draw(start, 64)[..., :-4].int()).abs().max() <= 1


def test_slant_shears_rows_and_keeps_their_ink():
    start = plain(40)
    a, b = ink(start), ink(change(start, slant=0.3))
    assert torch.allclose(a.sum(2), b.sum(2), atol=1.2)
    rows = a.sum(2) > 1
    axis = torch.arange(64).double() + 0.5
    shift = (b * axis).sum(2) / b.sum(2) - (a * axis).sum(2) / a.sum(2)
    expected = (0.3 * (32 - axis)).expand(40, 64)  # right at the top, left at the bottom
    assert (shift - expected)[rows].abs().max() < 0.35


def test_thickness_adds_ink_on_both_sides():
    masses = [ink(plain(60, thickness=t)).sum((1, 2)) for t in (-0.008, 0.0, 0.02, 0.045)]
    for thin, thick in itertools.pairwise(masses):
        assert (thick > thin).all()
    bar = plain(1, character=glyphs.CHARACTERS.index("I"), typeface=0)
    width = [ink(change(bar, thickness=t), 128)[0, 64].sum() for t in (0.0, 0.04)]
    # two sides of 0.04 cap heights, half a picture of 128 pixels high
    assert abs((width[1] - width[0]).item() - 2 * 0.04 * 0.5 * 128) < 0.3


def test_scale_is_the_cap_height():
    letters = plain(1, character=glyphs.CHARACTERS.index("H"), typeface=0, thickness=0.0)
    for scale in (0.42, 0.62):
        column = ink(change(letters, scale=scale), 128)[0].amax(1)
        assert abs(column.sum().item() - scale * 128) < 2


def test_colours_are_the_ones_asked_for():
    f = plain(30, ink=torch.tensor([1.0, 0.5, 0.0]), paper=torch.tensor([0.0, 0.2, 0.4]))
    images = draw(f, 64, 3)
    assert torch.equal(images[:, :, 0, 0], torch.tensor([[0, 51, 102]]).expand(30, 3).byte())
    cover = ink(plain(30), 64)
    solid = images.permute(0, 2, 3, 1)[cover == 1]
    assert (solid.int() - torch.tensor([255, 128, 0])).abs().max() <= 1
    blue = draw(change(f, ink=torch.tensor([0.0, 0.0, 1.0])), 64, 3).permute(0, 2, 3, 1)
    changed = (blue != images.permute(0, 2, 3, 1)).any(-1)
    assert not changed[cover == 0].any()
    assert changed[cover > 0.1].all()


def test_texture_lies_under_the_ink_and_only_there():
    cover = ink(plain(60))
    flat = draw(plain(60, paper=0.1, paper2=0.4), 64)
    for kind in range(1, len(glyphs.TEXTURES)):
        f = plain(60, paper=0.1, paper2=0.4, texture=kind, texture_strength=1.0)
        images = draw(f, 64)
        ground = images[:, 0][cover == 0]
        name = glyphs.TEXTURES[kind]
        assert ground.min() >= 25, name
        assert ground.max() <= 102, name
        assert images[:, 0].double().std((1, 2)).min() > flat.double().std((1, 2, 3)).min() * 0.5
        spread = torch.stack([p[c == 0].double().std() for p, c in zip(images[:, 0], cover)])
        assert spread.min() > 2, name
        assert (images[:, 0][cover == 1] == 255).all()


def test_a_linear_classifier_can_read_them():
    """Characters must be findable through the nuisance: far above chance (1/36) with no network."""
    train, test = glyphs.make(size=16, count=8000), glyphs.make(size=16, count=1500, split="test")
    x, y = (s.batch(torch.arange(len(s))).flatten(1).double() for s in (train, test))
    x, y = (torch.cat([v, torch.ones(len(v), 1).double()], 1) for v in (x, y))
    target = torch.nn.functional.one_hot(train.labels, 36).double()
    w = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1]).double(), x.T @ target)
    assert ((y @ w).argmax(1) == test.labels).double().mean() > 0.4


def test_thousands_a_second_on_one_core():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for size, channels in ((32, 1), (64, 3)):
            glyphs.make(size=size, channels=channels, count=10)  # builds the atlas
            start = time.process_time()
            glyphs.make(size=size, channels=channels, count=1500)
            assert 1500 / (time.process_time() - start) > 1000
    finally:
        torch.set_num_threads(before)


def test_only_the_papers_asked_for():
    data = load("glyphs-color", size=16, count=200, textures=["flat", "stripes"])
    assert set(data.factors["texture"].tolist()) == {0, 2}
    again = load("glyphs-color", size=16, count=200, textures="flat, stripes")  # a command line's
    assert torch.equal(data.images, again.images)
    everything = load("glyphs-color", size=16, count=200)
    for name in ("character", "x", "ink", "paper2"):  # the other factors stay as they were
        assert torch.equal(data.factors[name], everything.factors[name])


def test_other_characters_and_typefaces():
    s = glyphs.make(count=20, characters="ab&", typefaces=("italic", "times"))
    assert s.classes == ("a", "b", "&")
    assert s.labels.max() <= 2
    assert s.factors["typeface"].max() <= 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"size": 4}, "from 8 to 512"),
        ({"typefaces": ("romann",)}, "did you mean 'roman'"),
        ({"textures": ("flats",)}, "did you mean 'flat'"),
        ({"textures": "flat,stripe"}, "did you mean 'stripes'"),
        ({"textures": ()}, "at least one texture"),
        ({"characters": "AA"}, "once"),
        ({"characters": "A漢"}, "has no character '漢'"),
        ({"count": 0}, "at least 1"),
        ({"split": "valid"}, "'valid'"),
        ({"channels": 2}, "use 1"),
    ],
)
def test_mistakes_are_one_line_each(options, line):
    with pytest.raises(DataError, match=line) as caught:
        glyphs.make(**({"count": 5} | options))
    assert "\n" not in str(caught.value)


def test_wrong_factors_are_refused():
    f = factors_at(range(3))
    with pytest.raises(DataError, match="did you mean 'slant'"):
        change(f, slent=0.1)
    with pytest.raises(DataError, match=r"character must lie in 0\.\.35"):
        draw(change(f, character=36))
    with pytest.raises(DataError, match="lack scale"):
        draw({k: v for k, v in f.items() if k != "scale"})


def test_the_fonts_that_an_older_matplotlib_lacks_come_with_the_package(monkeypatch, tmp_path):
    # 3.8 to 3.10 have no cmti10.ttf; the picture must be the same with ours.
    import shutil

    import matplotlib

    from ganlab.data import atlas

    usual = atlas._drawn("g", atlas._font("italic"))
    here = tmp_path / "fonts" / "ttf"
    shutil.copytree(f"{matplotlib.get_data_path()}/fonts/ttf", here)
    (here / "cmti10.ttf").unlink(missing_ok=True)  # not in matplotlib up to 3.10
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    font = atlas._font("italic")
    assert font.path.parent.parent.name == "data"
    assert (atlas._drawn("g", font) == usual).all()
