"""Downloads: announced, tried again, checked; without a network, one line and a way out."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import threading

import pytest
from data_kit import mnist_files, one_line, own_folders, write  # noqa: F401
from filelock import FileLock

from ganlab.data import cache, fetch, load, sources
from ganlab.errors import DataError


@pytest.fixture
def no_network(monkeypatch):
    """Every name look-up fails, as on a machine without a network."""
    asked = []

    def fail(host, *rest, **more):
        asked.append(host)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return asked


def test_the_root_is_the_argument_then_the_environment(tmp_path, monkeypatch, no_network):
    write(tmp_path / "there" / "MNIST" / "raw", mnist_files())
    assert len(load("mnist", root=tmp_path / "there")) == 30
    with pytest.raises(DataError):
        load("mnist")
    monkeypatch.setenv("GANLAB_DATA", str(tmp_path / "there"))
    assert len(load("mnist")) == 30
    monkeypatch.delenv("GANLAB_DATA")
    assert cache.data_root() == tmp_path / "cache"


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOTDIR])
def test_a_disk_that_takes_no_file_is_not_tried_again(number, tmp_path):
    tries = []

    def get():
        tries.append(1)
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    with pytest.raises(fetch.Unreachable) as caught:
        fetch.persist("x", 1, tmp_path, get)
    reason = os.strerror(number)
    assert str(caught.value) == f"{tmp_path} cannot be written: {reason[0].lower()}{reason[1:]}"
    assert len(tries) == 1


def test_who_waits_for_a_download_is_told(tmp_path, monkeypatch, capsys):
    """Without progress bars too, when what torchvision prints goes nowhere."""
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    other = FileLock(tmp_path / ".MNIST.lock", thread_local=False)
    other.acquire()
    threading.Timer(0.4, other.release).start()
    fetch.persist("mnist", 12, tmp_path, lambda: fetch.torchvision("MNIST")(tmp_path, lambda: True))
    assert "another process is downloading MNIST: waiting for it" in capsys.readouterr().err


def test_every_archive_has_a_hash_of_64_digits():
    for kind, files in fetch.SHA256.items():
        assert files, kind
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in files.values())
    # and each set that is downloaded is one of these, or is checked by its own hash
    names = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST",
             "cifar10": "CIFAR10", "cifar100": "CIFAR100", "celeba": "CelebA"}  # fmt: skip
    fetched = {name for name, source in sources.SOURCES.items() if source.fetch}
    assert fetched == {*names, "emoji"}
    assert set(names.values()) == set(fetch.SHA256)
