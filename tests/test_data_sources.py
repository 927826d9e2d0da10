"""Named sets as they lie on disk, small copies of them and the real ones."""

from __future__ import annotations

import io
import os
import sys
import zipfile

import numpy as np
import pytest
from data_kit import mnist_files, noise, one_line, own_folders, png, write, zip_bytes, zipped  # noqa: F401

from ganlab.data import available, cache, emoji, fetch, load
from ganlab.errors import DataError


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
    (home / "list_attr_celeba.txt").write_text(f"5\nSmiling Male\n{rows}", encoding="utf-8")
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


@pytest.fixture
def drawings(monkeypatch):
    """A small set of emoji and its digest in the place of the real one."""
    files = {f"png/72/emoji_u{i:04x}.png": png(noise(72, 72, i, "RGBA")) for i in range(6)}
    whole = zipfile.ZipFile(io.BytesIO(zip_bytes(files)))
    monkeypatch.setattr(emoji, "SHA256", emoji.digest(whole))
    return files


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
