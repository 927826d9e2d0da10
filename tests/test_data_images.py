"""Pictures from folders and zips: what is read, how it is cut, what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from data_kit import noise, one_line, own_folders, png, write, zipped  # noqa: F401
from PIL import Image

from ganlab.data import ImageSet, available, load, pictures, to_float, to_uint8
from ganlab.errors import DataError


def test_bytes_to_floats_and_back():
    every = torch.arange(256, dtype=torch.uint8)
    floats = to_float(every)
    assert floats[0] == -1
    assert floats[255] == 1
    assert torch.equal(to_uint8(floats), every)
    assert to_uint8(torch.tensor([-7.0, 7.0, 0.0])).tolist() == [0, 255, 128]


def test_image_set_indexing():
    images = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8)
    data = ImageSet("x", images, torch.arange(5), tuple("abcde"), {"f": torch.arange(5) * 2})
    assert len(data) == 5
    assert data.shape == (3, 4, 4)
    assert torch.equal(data[2], to_float(images[2]))
    assert torch.equal(data.batch(torch.tensor([4, 4])), to_float(images[[4, 4]]))
    some = data.select(torch.tensor([3, 1]))
    assert some.labels.tolist() == [3, 1]
    assert some.factors["f"].tolist() == [6, 2]
    assert torch.equal(some.images[0], images[3])


def test_class_folders_become_labels(tmp_path):
    files = {
        "cat/1.png": noise(8, 8),
        "cat/2.PNG": noise(8, 8, 1),
        "dog/deep/1.png": noise(8, 8, 2),
    }
    data = load(f"folder:{write(tmp_path / 'pets', files)}", size=8)
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1]
    assert torch.equal(data.images[2], torch.from_numpy(np.array(noise(8, 8, 2))).permute(2, 0, 1))


def test_loose_pictures_have_no_labels_and_other_files_do_not_count(tmp_path):
    files = {"b.png": noise(8, 8), "a.png": noise(8, 8, 1), "notes.txt": b"hello"}
    files |= {".hidden.png": b"x", "__MACOSX/a.png": b"x"}
    data = load(str(write(tmp_path / "loose", files)), size=8)
    assert data.labels is None
    assert data.classes == ()
    assert data.note == ""
    expected = torch.from_numpy(np.array(noise(8, 8, 1))).permute(2, 0, 1)
    assert torch.equal(data.images[0], expected)  # sorted by name


def test_train_and_test_folders_are_splits(tmp_path):
    files = {f"set/{s}/{c}/{i}.png": noise(8, 8, i) for s in ("train", "val") for c in "ab"
             for i in range(3 if s == "train" else 1)}  # fmt: skip
    path = str(zipped(tmp_path / "set.zip", files))
    assert len(load(path, size=8)) == 6
    test = load(path, size=8, split="test")
    assert test.labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="has no split 'test'"):
        load(str(write(tmp_path / "flat", {"1.png": noise(8, 8)})), split="test")


def test_zip_and_folder_give_the_same_bits(tmp_path):
    files = {f"{c}/{i}.png": noise(20 + i, 30 - i, i, "RGBA") for c in "ab" for i in range(4)}
    a = load(f"folder:{write(tmp_path / 'f', files)}", size=16, background="red")
    b = load(f"zip:{zipped(tmp_path / 'z.zip', {f'top/{k}': v for k, v in files.items()})}",
             size=16, background="red")  # fmt: skip
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.labels, b.labels)
    assert a.classes == b.classes


def test_transparency_shows_the_background_exactly(tmp_path):
    clear = Image.new("RGBA", (12, 12), (200, 10, 10, 0))
    half = Image.new("RGBA", (12, 12), (255, 0, 0, 128))
    grey = Image.new("LA", (12, 12), (90, 0))
    palette = Image.new("P", (12, 12), 3)
    palette.putpalette([v for i in range(8) for v in (30 * i, 0, 0)])
    palette.info["transparency"] = 3
    folder = write(tmp_path / "f", {"a.png": clear, "b.png": half, "c.png": grey, "d.png": palette})
    data = load(str(folder), size=6, background="#0080ff")
    for i in (0, 2, 3):
        assert (data.images[i].permute(1, 2, 0) == torch.tensor([0, 128, 255])).all(), i
    mixed = torch.tensor([128, 64, 127])  # half red, half background
    assert (data.images[1].permute(1, 2, 0).int() - mixed).abs().max() <= 1
    assert (load(str(folder), size=6, channels=1, background=77).images[0] == 77).all()
    assert (load(str(folder), size=6).images[0] == 255).all()


def test_centre_crop_and_antialiased_resize(tmp_path):
    # a black bar left and right of a white square: only the square is kept
    wide = Image.new("RGB", (40, 20))
    wide.paste((255, 255, 255), (10, 0, 30, 20))
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    # a checkerboard of single pixels: averaged to grey, where nearest would give black or white
    checks = Image.fromarray(((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8))
    folder = write(tmp_path / "f", {"a.png": wide, "b.png": tall, "c.png": checks})
    data = load(str(folder), size=10)
    assert (data.images[:2] == 255).all()
    assert (data.images[2].int() - 127).abs().max() < 12


def test_arrays_and_files_are_resized_alike():
    for channels, size in ((3, 20), (1, 20), (3, 32), (1, 45)):
        picture = noise(32, 40)
        block = np.array(picture).transpose(2, 0, 1)[None]
        a = pictures.fit(picture, size, channels, (0, 0, 0)).astype(int)
        b = pictures.fit_array(block, size, channels)[0].astype(int)
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= 2


def test_deep_grey_and_rotated_photographs(tmp_path):
    deep = Image.fromarray(np.full((8, 8), 65535 // 2, np.uint16))
    turned = Image.new("RGB", (16, 16), "black")
    turned.paste((255, 255, 255), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    out = io.BytesIO()
    turned.save(out, "JPEG", exif=exif, quality=95)
    folder = write(tmp_path / "f", {"a.png": deep, "b.jpg": out.getvalue()})
    data = load(str(folder), size=8, channels=1)
    assert (data.images[0].int() - 127).abs().max() <= 1
    assert data.images[1, 0, 6:].min() > 200
    assert data.images[1, 0, :2].max() < 50


def test_damaged_files_are_named_counted_and_left_out(tmp_path, capsys):
    good = png(noise(16, 16))
    files = {"a/1.png": good, "a/cut.png": good[: len(good) // 2], "b/2.png": png(noise(16, 16, 2)),
             "b/empty.jpg": b"", "b/text.png": b"not a picture"}  # fmt: skip
    path = str(write(tmp_path / "f", files))
    data = load(path, size=16)
    assert len(data) == 2
    assert data.labels.tolist() == [0, 1]
    for text in (data.note, capsys.readouterr().err):
        assert f"left out 3 files in {path}: 2 damaged (a/cut.png, b/text.png)" in text
        assert "1 empty (b/empty.jpg)" in text
        assert len(text.strip().splitlines()) == 1
    assert load(path, size=16).note == data.note  # from the cache, too
    with pytest.raises(DataError) as caught:
        load(path, size=16, damaged="refuse")
    assert "a/cut.png" in one_line(caught)
    with pytest.raises(DataError, match="no picture could be read"):
        load(str(write(tmp_path / "g", {"x.png": b"?"})))


def test_a_damaged_member_of_a_zip_is_skipped(tmp_path):
    path = zipped(tmp_path / "z.zip", {f"{i}.png": noise(16, 16, i) for i in range(3)})
    content = bytearray(path.read_bytes())
    at = content.find(b"IDAT", content.find(b"1.png"))
    content[at + 20] ^= 0xFF  # its CRC no longer fits
    path.write_bytes(content)
    data = load(str(path), size=16)
    assert len(data) == 2
    assert data.note == f"left out 1 file in {path}: 1 damaged in the zip (1.png)"


def test_a_limit_is_a_fixed_choice_from_all_classes(tmp_path):
    files = {f"{c}/{i}.png": Image.new("L", (4, 4), 10 * k + i) for k, c in enumerate("abcd")
             for i in range(8)}  # fmt: skip
    path = str(write(tmp_path / "f", files))
    few = load(path, size=4, channels=1, limit=10)
    assert len(few.labels.unique()) >= 3
    whole = load(path, size=4, channels=1)
    again = load(path, size=4, channels=1, limit=10)  # now cut from the whole set
    assert torch.equal(few.images, again.images)
    assert torch.equal(few.labels, again.labels)
    fewer = load(path, size=4, channels=1, limit=5)
    values = [set(s.images[:, 0, 0, 0].tolist()) for s in (fewer, few, whole)]
    assert values[0] < values[1] < values[2]


def test_programs_cannot_hide_behind_a_picture_name(tmp_path):
    """PostScript is a language, and Pillow would hand it to Ghostscript."""
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"
    data = load(str(write(tmp_path / "f", {"a.png": script, "b.png": noise(8, 8)})), size=8)
    assert len(data) == 1
    assert "a.png" in data.note


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: load("mnsit"), "did you mean 'mnist'"),
        (lambda: load("zzz"), "choose from glyphs"),
        (lambda: load("glyphs", split="trian"), "did you mean 'train'"),
        (lambda: load("glyphs", size=0), "size=0"),
        (lambda: load("glyphs", size="32"), "whole number"),
        (lambda: load("glyphs", channels=4), "channels=4"),
        (lambda: load("glyphs", limit=0), "limit=0"),
        (lambda: load("glyphs", cuont=3), "did you mean 'count'"),
        (lambda: load("mnist", background="red"), "takes no option"),
        (lambda: load("./nowhere"), "no folder or zip nowhere"),
        (lambda: load("folder:/nowhere"), "no folder /nowhere"),
        (lambda: load("nowhere.zip"), "no zip nowhere.zip"),
        (lambda: load("emoji", split="test"), "only train"),
        (lambda: load("emoji", background="reddish"), "not a colour"),
        (lambda: load("emoji", background=(1, 2)), "not a colour"),
    ],
)
def test_mistakes_are_one_line_each(call, line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=line) as caught:
        call()
    one_line(caught)


def test_odd_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture in"):
        load(str(tmp_path / "empty"))
    (tmp_path / "text.zip").write_text("no zip", encoding="utf-8")
    with pytest.raises(DataError, match="is not a zip"):
        load(str(tmp_path / "text.zip"))
    folder = write(tmp_path / "f", {"a.png": noise(8, 8)})
    with pytest.raises(DataError, match="'skip' or 'refuse'"):
        load(str(folder), damaged="ignore")
    (folder / "loop").symlink_to(folder)
    assert len(load(str(folder), size=8)) == 1


def test_available_lists_everything_that_load_knows():
    rows = available()
    names = {r["name"] for r in rows}
    assert {"glyphs", "glyphs-color", "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100",
            "celeba", "lsun", "emoji", "stacked-mnist", "stacked-glyphs"} == names  # fmt: skip
    for r in rows:
        assert r["source"]
        assert r["licence"]
        assert r["here"] == ("built in" if "glyphs" in r["name"] else "no")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "gif", "tiff", "ppm"])
def test_a_folder_of_any_format_is_read_whole(ending, tmp_path):

    for i in range(3):
        Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / f"{i}.{ending}")
    made = load(str(tmp_path), size=8, channels=3)
    assert len(made) == 3
    assert not made.note
    red = made.images.float().mean((0, 2, 3))
    assert (red - torch.tensor([200.0, 0, 0])).abs().max() < 4
