"""Picture sets: what is read, what is cached, what is refused, and what the user is told."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import struct
import sys
import threading
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data import available, cache, emoji, fetch, load, pictures, to_float, to_uint8
from ganlab.data.imageset import ImageSet
from ganlab.errors import DataError


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path):
    """A data root and a cache of its own for each test, no waiting, no offline mode."""
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GANLAB_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GANLAB_OFFLINE", raising=False)
    monkeypatch.setattr(fetch, "WAIT", 0.0)


@pytest.fixture
def no_network(monkeypatch):
    """Every name look-up fails, as on a machine without a network."""
    asked = []

    def fail(host, *rest, **more):
        asked.append(host)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return asked


def noise(width, height, seed=0, mode="RGB"):
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(values.squeeze())


def png(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def write(folder, files):
    """Write {relative name: picture or bytes}."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else png(content))
    return folder


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes) else png(content))
    return path


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


# -- bytes and floats ---------------------------------------------------------------------------


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


# -- folders and zips ---------------------------------------------------------------------------


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
        assert "skipped 3 damaged files" in text
        assert all(name in text for name in ("a/cut.png", "b/empty.jpg", "b/text.png"))
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
    assert "skipped 1 damaged file in" in data.note
    assert "1.png" in data.note


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


# -- the cache ----------------------------------------------------------------------------------


def entries(tmp_path):
    return [p for p in (tmp_path / "cache" / "decoded").iterdir() if p.is_dir()]


@pytest.fixture
def counted(monkeypatch):
    """How many pictures have been decoded."""
    calls = []
    fit = pictures.fit
    monkeypatch.setattr(pictures, "fit", lambda *a: calls.append(1) or fit(*a))
    return calls


def test_decoded_once(tmp_path, counted):
    folder = write(tmp_path / "f", {f"{i}.png": noise(9, 9, i) for i in range(5)})
    first = load(str(folder), size=8)
    assert len(counted) == 5
    second = load(str(folder), size=8)
    assert len(counted) == 5
    assert torch.equal(first.images, second.images)
    load(str(folder), size=6)  # another size is another entry
    load(str(folder), size=8, background="black")
    assert len(counted) == 15
    write(folder, {"5.png": noise(9, 9, 5)})  # and so is a folder that has changed
    assert len(load(str(folder), size=8)) == 6


@pytest.mark.parametrize("victim", ["images.npy", "extras.npz", "meta.json"])
@pytest.mark.parametrize("harm", ["cut", "gone", "empty"])
def test_a_damaged_entry_is_built_again(tmp_path, counted, victim, harm):
    folder = write(tmp_path / "f", {f"{c}/{i}.png": noise(9, 9, i) for i in range(3) for c in "ab"})
    first = load(str(folder), size=8)
    (entry,) = entries(tmp_path)
    content = (entry / victim).read_bytes()
    (entry / victim).unlink()
    if harm != "gone":
        (entry / victim).write_bytes(content[: len(content) // 2] if harm == "cut" else b"")
    second = load(str(folder), size=8)
    assert len(counted) == 12
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    load(str(folder), size=8)
    assert len(counted) == 12


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    folder = write(tmp_path / "f", {"1.png": noise(9, 9)})
    monkeypatch.setattr(pictures.np, "stack", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load(str(folder), size=8)
    assert entries(tmp_path) == []
    monkeypatch.undo()
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    assert len(load(str(folder), size=8)) == 1


def test_several_at_once_decode_once(tmp_path, counted):
    folder = write(tmp_path / "f", {f"{i}.png": noise(9, 9, i) for i in range(20)})
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(load(str(folder), size=8))) for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(counted) == 20
    assert all(torch.equal(g.images, got[0].images) for g in got)
    assert len(got) == 4


def test_large_sets_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(cache._read, "__defaults__", (1000,))
    folder = write(tmp_path / "f", {f"{i}.png": noise(16, 16, i) for i in range(9)})
    data = load(str(folder), size=16)
    assert data.mapped
    with open("/proc/self/maps") if os.path.exists("/proc/self/maps") else io.StringIO() as f:
        assert not f.name or "images.npy" in f.read()
    monkeypatch.setattr(cache._read, "__defaults__", (10**9,))
    plain = load(str(folder), size=16)
    assert not plain.mapped
    assert torch.equal(plain.images, data.images)
    assert torch.equal(data.batch(torch.tensor([3, 1])), plain.batch(torch.tensor([3, 1])))
    assert not data.select(torch.tensor([1])).mapped


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch, counted):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "file"))
    folder = write(tmp_path / "f", {"1.png": noise(8, 8)})
    for _ in range(2):
        assert len(load(str(folder), size=8)) == 1
    assert len(counted) == 2


# -- named sets ---------------------------------------------------------------------------------


def idx(array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def mnist_files(count=30):
    rng = np.random.default_rng(0)
    files = {}
    for start, n in (("train", count), ("t10k", count // 3)):
        files[f"{start}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (n, 28, 28)))
        files[f"{start}-labels-idx1-ubyte"] = idx(np.arange(n) % 10)
    return files


def test_mnist_as_torchvision_keeps_it(tmp_path):
    files = mnist_files()
    write(tmp_path / "data" / "MNIST" / "raw", files)
    data = load("mnist")
    raw = np.frombuffer(files["train-images-idx3-ubyte"], np.uint8)[16:].reshape(-1, 1, 28, 28)
    assert np.array_equal(data.images.numpy(), raw)
    assert data.labels.tolist() == [i % 10 for i in range(30)]
    assert data.classes == tuple("0123456789")
    assert data.note == ""
    assert load("mnist", split="test").shape == (1, 28, 28)
    assert len(load("mnist", split="test")) == 10
    assert load("mnist", size=32, channels=3).shape == (3, 32, 32)
    assert [r["here"] for r in available() if r["name"] == "mnist"] == ["yes"]


def test_the_root_is_the_argument_then_the_environment(tmp_path, monkeypatch, no_network):
    write(tmp_path / "there" / "MNIST" / "raw", mnist_files())
    assert len(load("mnist", root=tmp_path / "there")) == 30
    with pytest.raises(DataError):
        load("mnist")
    monkeypatch.setenv("GANLAB_DATA", str(tmp_path / "there"))
    assert len(load("mnist")) == 30
    monkeypatch.delenv("GANLAB_DATA")
    assert cache.data_root() == tmp_path / "cache"


def test_a_set_that_was_cut_short_says_so(tmp_path):
    files = mnist_files()
    files["train-images-idx3-ubyte"] = files["train-images-idx3-ubyte"][:5000]
    write(tmp_path / "data" / "MNIST" / "raw", files)
    with pytest.raises(DataError, match="is damaged") as caught:
        load("mnist")
    assert str(tmp_path / "data" / "MNIST") in one_line(caught)


def test_cifar10_from_a_zip_of_class_folders(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    files = {f"{s}/{c}/{i:04}.jpg": noise(32, 32, i) for s in ("train", "test")
             for c in ("airplane", "truck") for i in range(2 if s == "test" else 3)}  # fmt: skip
    zipped(tmp_path / "data" / "cifar10-jpg.zip", files)
    data = load("cifar10")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.shape == (3, 32, 32)
    assert len(load("cifar10", split="test")) == 4
    assert "cifar10-jpg.zip" in data.note


def test_celeba_folder_with_its_splits_and_attributes(tmp_path):
    home = tmp_path / "data" / "celeba"
    numbers = (1, 2, 162_770, 162_771, 182_638)
    write(home / "img_align_celeba", {f"{n:06}.jpg": noise(178, 218, n) for n in numbers})
    rows = "".join(f"{n:06}.jpg {1 if n % 2 else -1} -1\n" for n in numbers)
    (home / "list_attr_celeba.txt").write_text(f"5\nSmiling Male\n{rows}")
    data = load("celeba")
    assert data.shape == (3, 64, 64)
    assert data.factors["Smiling"].tolist() == [1, 0, 0]
    assert data.factors["Male"].tolist() == [0, 0, 0]
    assert len(load("celeba", split="test")) == 1


def test_lsun_from_lmdb(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    place = tmp_path / "data" / "church_outdoor_train_lmdb"
    place.mkdir(parents=True)
    with lmdb.open(str(place)) as store, store.begin(write=True) as change:
        for i in range(4):
            change.put(f"key{i}".encode(), png(noise(30, 20, i)))
        change.put(b"key9", b"damaged")
    data = load("lsun", category="church_outdoor", size=16)
    assert len(data) == 4
    assert "key9" in data.note


def test_lsun_says_what_is_missing(tmp_path, monkeypatch):
    with pytest.raises(DataError) as caught:
        load("lsun", category="tower")
    line = one_line(caught)
    assert "tower_train_lmdb.zip" in line
    assert str(tmp_path / "data") in line
    place = tmp_path / "data" / "lsun" / "tower_val_lmdb"
    write(place, {"data.mdb": b"x"})
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DataError, match=r"pip install .*ganlab\[lsun\]"):
        load("lsun", category="tower", split="test")


# -- names and options --------------------------------------------------------------------------


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
    (tmp_path / "text.zip").write_text("no zip")
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
            "celeba", "lsun", "emoji"} == names  # fmt: skip
    for r in rows:
        assert r["source"]
        assert r["licence"]
        assert r["here"] == ("built in" if r["name"].startswith("glyphs") else "no")


# -- network ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist", "cifar10", "emoji"])
def test_no_network_is_one_line_with_the_way_out(name, tmp_path, no_network, capsys):
    with pytest.raises(DataError) as caught:
        load(name)
    line = one_line(caught)
    assert name in line
    assert str(tmp_path / "data") in line
    assert "GANLAB_OFFLINE=1" in line
    assert ("'glyphs-color'" if name in ("cifar10", "emoji") else "'glyphs'") in line
    assert len(no_network) >= fetch.TRIES
    err = capsys.readouterr().err
    assert "downloading" in err
    assert str(tmp_path / "data") in err
    left = [p for p in (tmp_path / "data").iterdir() if not p.name.endswith(".lock")]
    assert left == []


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("mnist", (1, 28, 28), 10), ("cifar10", (3, 32, 32), 10), ("emoji", (3, 64, 64), 36),
     ("cifar100", (3, 32, 32), 36), ("lsun", (3, 64, 64), 36)],
)  # fmt: skip
def test_offline_glyphs_stand_in_with_the_same_shape(
    name, shape, classes, monkeypatch, no_network, capsys
):
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    data = load(name, limit=300)
    assert data.shape == shape
    assert len(data) == 300
    assert len(data.classes) == classes
    assert data.labels.max() < classes
    assert data.name == name
    for text in (data.note, capsys.readouterr().err):
        assert name in text
        assert "glyphs" in text
        assert len(text.strip().splitlines()) == 1
    assert no_network == []


def test_offline_uses_what_is_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    write(tmp_path / "data" / "MNIST" / "raw", mnist_files())
    data = load("mnist")
    assert len(data) == 30
    assert data.note == ""
    monkeypatch.setenv("GANLAB_OFFLINE", "0")
    assert not fetch.offline()


@pytest.fixture
def fake_mnist(monkeypatch, tmp_path):
    """torchvision's downloader replaced by one that serves archives that we know."""
    import torchvision.datasets

    real = torchvision.datasets.MNIST
    files = mnist_files()
    archives = {f"{name}.gz": b"packed " + content for name, content in files.items()}

    def served(folder):
        os.makedirs(folder)
        for name, content in (files | archives).items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)

    class Both:
        def __new__(cls, root, train=True, download=False):
            if not download:
                return real(root, train=train)
            print("chatter")
            return served(os.path.join(root, "MNIST", "raw"))

    digests = {name: hashlib.sha256(content).hexdigest() for name, content in archives.items()}
    monkeypatch.setitem(fetch.SHA256, "MNIST", digests)
    monkeypatch.setattr(torchvision.datasets, "MNIST", Both)
    return archives


def test_a_download_is_checked_moved_into_place_and_announced(fake_mnist, tmp_path, capsys):
    data = load("mnist")
    assert len(data) == 30
    out, err = capsys.readouterr()
    assert out == ""
    assert f"downloading mnist (about 12 MB) to {tmp_path / 'data'}" in err
    left = {p.name for p in (tmp_path / "data" / "MNIST" / "raw").iterdir()}
    assert left == set(mnist_files())  # the archives are gone
    assert not [p for p in (tmp_path / "data").iterdir() if p.name.startswith(".MNIST-")]


def test_a_wrong_checksum_is_refused(fake_mnist, tmp_path, monkeypatch):
    name = "t10k-labels-idx1-ubyte.gz"
    monkeypatch.setitem(fetch.SHA256["MNIST"], name, "0" * 64)
    with pytest.raises(DataError, match="refused") as caught:
        load("mnist")
    assert name in one_line(caught)
    assert not (tmp_path / "data" / "MNIST").exists()


def test_a_download_is_tried_again(fake_mnist, monkeypatch):
    import torchvision.datasets

    real, tries = torchvision.datasets.MNIST, []

    class Shaky:
        def __new__(cls, root, train=True, download=False):
            if download:
                tries.append(1)
                if len(tries) < fetch.TRIES:
                    raise ConnectionResetError("gone")
            return real(root, train=train, download=download)

    monkeypatch.setattr(torchvision.datasets, "MNIST", Shaky)
    assert len(load("mnist")) == 30
    assert len(tries) == fetch.TRIES


def test_a_read_only_root_sends_downloads_to_the_cache(fake_mnist, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    real = os.access
    monkeypatch.setattr(
        cache.os, "access", lambda p, mode: str(p) != str(tmp_path / "data") and real(p, mode)
    )
    assert len(load("mnist")) == 30
    assert (tmp_path / "cache" / "MNIST").is_dir()
    assert list((tmp_path / "data").iterdir()) == []
    assert len(load("mnist", size=14)) == 30  # found there the next time


# -- emoji --------------------------------------------------------------------------------------


@pytest.fixture
def drawings(monkeypatch):
    """A small set of emoji and its digest in the place of the real one."""
    files = {f"png/72/emoji_u{i:04x}.png": png(noise(72, 72, i, "RGBA")) for i in range(6)}
    whole = zipfile.ZipFile(io.BytesIO(zip_bytes(files)))
    monkeypatch.setattr(emoji, "SHA256", emoji.digest(whole))
    return files


def zip_bytes(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_emoji_are_read_if_every_byte_is_right(tmp_path, drawings):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / emoji.FILE
    path.write_bytes(zip_bytes(drawings))
    data = load("emoji", size=72, background="black")
    assert len(data) == 6
    assert data.labels is None
    name = min(drawings)
    for bad in (
        drawings | {name: drawings[name][:-1] + b"\0"},
        drawings | {"png/72/more.png": b""},
        {k: v for k, v in drawings.items() if k != name},
        {k.replace("0000", "9999"): v for k, v in drawings.items()},
    ):
        path.write_bytes(zip_bytes(bad))
        with pytest.raises(DataError, match="refused") as caught:
            load("emoji", size=72)
        one_line(caught)
    path.write_bytes(b"no zip")
    with pytest.raises(DataError):
        load("emoji", size=72)


def test_the_digest_does_not_depend_on_packing_or_the_top_folder(drawings):
    other = {f"noto-emoji-2.047/{k}": v for k, v in reversed(drawings.items())}
    other |= {"noto-emoji-2.047/LICENSE": b"OFL", "noto-emoji-2.047/png/128/x.png": b"x"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in other.items():
            archive.writestr(name, content)
    assert emoji.digest(zipfile.ZipFile(out)) == emoji.SHA256


def test_emoji_download_keeps_the_drawings_of_the_right_release(tmp_path, drawings, monkeypatch):
    top = {f"noto-emoji-x/{k}": v for k, v in drawings.items()} | {"noto-emoji-x/LICENSE": b"OFL"}
    served = {"v2.047": zip_bytes(top | {"noto-emoji-x/png/72/new.png": b"x"}), "v2.048": b""}
    served["v2.048"] = zip_bytes(top | {"noto-emoji-x/big.bin": b"x" * 1000})
    asked = []

    def download(url, to):
        tag = url.rsplit("/", 1)[1].removesuffix(".zip")
        asked.append(tag)
        to.write_bytes(served[tag])

    monkeypatch.setattr(fetch, "download", download)
    assert len(load("emoji", size=72)) == 6
    assert asked == ["v2.047", "v2.048"]
    with zipfile.ZipFile(tmp_path / "data" / emoji.FILE) as kept:
        assert set(kept.namelist()) == set(drawings) | {"LICENSE"}
    (tmp_path / "data" / emoji.FILE).unlink()
    served["v2.048"] = served["v2.047"]
    with pytest.raises(DataError, match="not the known content") as caught:
        load("emoji", size=72)
    one_line(caught)
    assert not (tmp_path / "data" / emoji.FILE).exists()


# -- real data ----------------------------------------------------------------------------------

REAL = os.environ.get("GANLAB_DATA", "")


def real(file):
    there = bool(REAL) and os.path.exists(os.path.join(REAL, file))
    return pytest.mark.skipif(not there, reason=f"no {file} under GANLAB_DATA")


@real("MNIST/raw")
def test_real_mnist():
    data = load("mnist", root=REAL, split="test")
    assert len(data) == 10_000
    assert data.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert abs(data.images.double().mean().item() / 255 - 0.1325) < 1e-3


@real("cifar10-jpg.zip")
def test_real_cifar10():
    data = load("cifar10", root=REAL, split="test", limit=400)
    assert data.shape == (3, 32, 32)
    assert data.classes[0] == "airplane"
    assert len(data.labels.unique()) == 10
    assert data.note.startswith("from cifar10-jpg.zip")


@real("noto-emoji-72.zip")
def test_real_emoji():
    data = load("emoji", root=REAL, size=32, limit=200)
    assert len(data) == 200
    assert data.images[:, :, 0, 0].double().mean() > 230  # drawn on white
    emoji.check(cache.data_root(REAL) / emoji.FILE)
