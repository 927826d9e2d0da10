"""The cache of decoded pictures: used once whole, built again when it is not."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import threading
import time
from pathlib import Path

import pytest
import torch
from data_kit import noise, own_folders, write  # noqa: F401
from filelock import FileLock

from ganlab.data import cache, entry, load, pictures
from ganlab.errors import FileError


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
@pytest.mark.parametrize("harm", ["cut", "gone", "empty", "zeros", "bit"])
def test_a_damaged_entry_is_built_again(tmp_path, counted, victim, harm, capsys):
    folder = write(tmp_path / "f", {f"{c}/{i}.png": noise(9, 9, i) for i in range(3) for c in "ab"})
    first = load(str(folder), size=8)
    (entry,) = entries(tmp_path)
    content = (entry / victim).read_bytes()
    (entry / victim).unlink()
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    harmed = {"cut": content[:half], "empty": b"", "zeros": bytes(len(content)), "bit": flipped}
    if harm != "gone":
        (entry / victim).write_bytes(harmed[harm])
    capsys.readouterr()
    second = load(str(folder), size=8)
    assert len(counted) == 12
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"ganlab: the decoded set {entry} is damaged (")
    assert err.endswith("): it is decoded again\n")
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    load(str(folder), size=8)
    assert len(counted) == 12
    assert capsys.readouterr().err == ""


def test_an_entry_without_checksums_is_built_again(tmp_path, counted, capsys):
    folder = write(tmp_path / "f", {"1.png": noise(9, 9)})
    load(str(folder), size=8)
    (place,) = entries(tmp_path)
    meta = json.loads((place / "meta.json").read_text(encoding="utf-8"))["meta"]
    old = {k: meta[k] for k in ("shape", "sizes", "classes", "note")}  # as earlier versions wrote
    (place / "meta.json").write_text(json.dumps(old), encoding="utf-8")
    load(str(folder), size=8)
    assert (
        "has no checksums (an earlier version wrote it): it is decoded" in capsys.readouterr().err
    )
    load(str(folder), size=8)
    assert len(counted) == 2


def test_a_class_name_that_was_changed_on_disk_is_damage(tmp_path, counted, capsys):
    folder = write(tmp_path / "f", {f"{c}/1.png": noise(9, 9) for c in ("cat", "dog")})
    load(str(folder), size=8)
    (place,) = entries(tmp_path)
    text = (place / "meta.json").read_text(encoding="utf-8")
    (place / "meta.json").write_text(text.replace('"dog"', '"dag"'), encoding="utf-8")
    assert load(str(folder), size=8).classes == ("cat", "dog")
    assert "is damaged (the SHA-256 of meta.json is another)" in capsys.readouterr().err
    assert len(counted) == 4


def test_a_damaged_whole_set_is_not_cut_to_a_limit(tmp_path, counted, capsys):
    folder = write(tmp_path / "f", {f"{i}.png": noise(9, 9, i) for i in range(5)})
    whole = load(str(folder), size=8)
    (place,) = entries(tmp_path)
    size = (place / "images.npy").stat().st_size
    (place / "images.npy").write_bytes(bytes(size))
    few = load(str(folder), size=8, limit=3)
    assert "it is not used" in capsys.readouterr().err
    assert torch.equal(few.images, whole.select(torch.from_numpy(pictures.choose(5, 3))).images)


def blocked(tmp_path, content):
    """A file and the SHA-256 of its blocks of 1000 bytes."""
    path = tmp_path / "blocks"
    path.write_bytes(content)
    parts = [content[i : i + 1000] for i in range(0, len(content), 1000)]
    return path, [hashlib.sha256(part).hexdigest() for part in parts]


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5500])
def test_blocks_are_hashed_one_by_one(tmp_path, size):
    path, right = blocked(tmp_path, os.urandom(size))
    assert entry.digests(path, 1000) == right
    if len(right) > 1:
        last = len(right) - 1
        assert entry.digests(path, 1000, [last, 0]) == [right[last], right[0]]


def test_of_a_very_large_set_some_blocks_are_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(entry, "WHOLE_UP_TO", 10_000)
    monkeypatch.setattr(entry, "SOME", 5)
    path, right = blocked(tmp_path, os.urandom(100_500))
    meta = {"sha256": {path.name: right}, "sizes": {path.name: 100_500}, "block": 1000}
    asked = []
    real = entry.digests
    monkeypatch.setattr(entry, "digests", lambda *a: asked.append(a[2]) or real(*a))
    for _ in range(3):
        entry._compare(tmp_path, meta)
    assert all({0, 100} <= set(numbers) and 5 <= len(numbers) <= 7 for numbers in asked)
    assert len({tuple(numbers) for numbers in asked}) > 1  # others each time
    state = torch.get_rng_state(), random.getstate()
    path.write_bytes(bytes(100_500))
    with pytest.raises(entry.Damaged, match="the SHA-256 of blocks is another"):
        entry._compare(tmp_path, meta)
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1] == random.getstate()


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
    monkeypatch.setattr(entry, "MAP_ABOVE", 1000)
    folder = write(tmp_path / "f", {f"{i}.png": noise(16, 16, i) for i in range(9)})
    data = load(str(folder), size=16)
    assert data.mapped
    maps = Path("/proc/self/maps")
    assert not maps.exists() or "images.npy" in maps.read_text(encoding="utf-8")
    monkeypatch.setattr(entry, "MAP_ABOVE", 10**9)
    plain = load(str(folder), size=16)
    assert not plain.mapped
    assert torch.equal(plain.images, data.images)
    assert torch.equal(data.batch(torch.tensor([3, 1])), plain.batch(torch.tensor([3, 1])))
    assert not data.select(torch.tensor([1])).mapped


# ---- a cache that cannot be used ----


def in_the_way(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "file"))


def no_folder(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "decoded").write_text("in the way", encoding="utf-8")


def read_only(tmp_path, monkeypatch):
    real = os.mkdir

    def mkdir(path, *rest, **more):  # (root may write to read-only folders)
        if "cache" in str(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "mkdir", mkdir)


def folder_as_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FileLock", lambda p: FileLock(tmp_path))  # a folder


def no_lock_file(tmp_path, monkeypatch):
    """As on /proc, where filelock tries for ever."""
    monkeypatch.setattr(cache, "PATIENCE", 0.05)
    monkeypatch.setattr(FileLock, "_acquire", lambda self: None)


def no_scratch(tmp_path, monkeypatch):
    def full(*rest, **more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.tempfile, "mkdtemp", full)


def no_replace(tmp_path, monkeypatch):
    def refuse(*rest):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(cache.os, "replace", refuse)


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (in_the_way, "cannot be written (not a directory)"),
        (no_folder, "cannot be written (file exists)"),
        (read_only, "cannot be written (read-only file system)"),
        (folder_as_lock, "cannot be written (is a directory)"),
        (no_lock_file, "cannot be written (no lock can be made)"),
        (no_scratch, "cannot be written (no space left on device)"),
        (no_replace, "cannot be written (invalid cross-device link)"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_a_cache_that_cannot_be_used_is_done_without(tmp_path, monkeypatch, capsys, harm, line):
    folder = write(tmp_path / "f", {f"{c}/{i}.png": noise(8, 8, i) for i in range(3) for c in "ab"})
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "elsewhere"))
    right = load(str(folder), size=8)
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    harm(tmp_path, monkeypatch)
    capsys.readouterr()
    start = time.monotonic()
    for _ in range(2):
        made = load(str(folder), size=8)
        err = capsys.readouterr().err
        assert line in err
        assert "f is decoded into memory and not kept; GANLAB_CACHE can" in err.replace(
            str(folder), "f"
        )
        assert err.count("\n") == 1
        assert torch.equal(made.images, right.images)
        assert torch.equal(made.labels, right.labels)
        assert made.classes == right.classes
        made.images[0] = 0  # it is memory like any other
    assert time.monotonic() - start < 5
    assert not list(tmp_path.glob("cache/decoded/.building-*"))


def test_a_disk_that_is_full_while_decoding_keeps_nothing(tmp_path, monkeypatch, capsys):
    resource = pytest.importorskip("resource")
    folder = write(tmp_path / "f", {f"{i}.png": noise(32, 32, i) for i in range(40)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # of 122,880 bytes
    try:
        made = load(str(folder), size=32)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "(file too large)" in capsys.readouterr().err
    assert made.images.shape == (40, 3, 32, 32)
    assert [p.name for p in (tmp_path / "cache/decoded").iterdir() if p.suffix != ".lock"] == []
    kept = load(str(folder), size=32)
    assert torch.equal(kept.images, made.images)
    assert len(entries(tmp_path)) == 1


def test_what_a_reader_raises_is_not_taken_for_the_cache_s(tmp_path, capsys):
    def build():
        calls.append(1)
        raise PermissionError("of the reader")

    calls = []
    with pytest.raises(PermissionError, match="of the reader"):
        cache.cached("x", "x", {}, build)
    assert len(calls) == 1
    assert capsys.readouterr().err == ""


def test_a_disk_without_locks_has_a_cache_all_the_same(tmp_path, monkeypatch, counted, capsys):
    def lacking(self):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(FileLock, "_acquire", lacking)
    folder = write(tmp_path / "f", {"1.png": noise(8, 8)})
    for _ in range(2):
        load(str(folder), size=8)
    assert len(counted) == 1
    assert capsys.readouterr().err == ""


def test_who_waits_for_another_process_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    other = FileLock(tmp_path / "x.lock", thread_local=False)
    other.acquire()
    threading.Timer(0.4, other.release).start()
    lock = cache.acquired(tmp_path / "x.lock", "decoding faces")
    lock.release()
    assert capsys.readouterr().err == (
        "ganlab: another process is decoding faces: waiting for it"
        f" ({tmp_path / 'x.lock'} is its lock)\n"
    )


def test_what_killed_processes_left_is_swept_away(tmp_path):
    home = tmp_path / "cache" / "decoded"
    for name, hours in (("old", 25), ("young", 23), ("busy", 25)):
        place = home / f".building-{name}"
        place.mkdir(parents=True)
        (place / "images.npy").write_bytes(b"x")
        when = time.time() - hours * 3600
        os.utime(place / "images.npy", None if name == "busy" else (when, when))
        os.utime(place, (when, when))
    folder = write(tmp_path / "f", {"1.png": noise(8, 8)})
    load(str(folder), size=8)
    assert {p.name for p in home.glob(".building-*")} == {".building-young", ".building-busy"}


def test_a_home_that_does_not_exist_is_one_line(monkeypatch):
    monkeypatch.setenv("GANLAB_CACHE", "~nobody-here/x")
    with pytest.raises(FileError, match="there is no such user"):
        cache.cache_root()
