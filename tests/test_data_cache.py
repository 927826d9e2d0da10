"""The cache of decoded pictures: used once whole, built again when it is not."""

from __future__ import annotations

import io
import os
import threading

import pytest
import torch
from data_kit import noise, own_folders, write  # noqa: F401

from ganlab.data import cache, load, pictures


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
