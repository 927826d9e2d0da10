"""Places on disk that are none, or that the system keeps closed: one line each."""

from __future__ import annotations

import errno
import os

import pytest
from data_kit import noise, one_line, own_folders, png  # noqa: F401

from ganlab.data import load
from ganlab.data.native import native
from ganlab.errors import DataError

GOOD = png(noise(8, 8))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("~nobody-of-this-name/pictures", "~nobody-of-this-name/pictures: there is no such user"),
        ("folder:~nobody-of-this-name", "there is no such user"),
        ("a\0b", r"a\x00b is no path (embedded null byte)"),
        ("folder:a\0b", "is no path"),
        ("zip:a\0b", "is no path"),
        ("x" * 300, "cannot be read (file name too long)"),
        ("no\nsuch", r"unknown data set 'no\nsuch'"),
        ("pipe", "there is no zip pipe: it is a pipe or device"),
        ("zip:pipe", "pipe or device"),
        ("one.png", "one.png is one picture: name its folder"),
        ("folder:one.png", "there is no folder one.png"),
        ("text.txt", "text.txt is not a zip that can be read (File is not a zip file)"),
        ("zip:.", "there is no zip .: it is a folder"),
        ("nowhere.npz", "there is no file nowhere.npz"),
        ("nowhere/", "there is no folder or zip nowhere"),
    ],
    ids=ascii,
)
def test_places_that_are_none_are_one_line(name, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    (tmp_path / "one.png").write_bytes(GOOD)
    (tmp_path / "text.txt").write_text("hello", encoding="utf-8")
    for ask in (load, native):
        with pytest.raises(DataError) as caught:
            ask(name)
        assert line in one_line(caught)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("root", "line"),
    [("~nobody-of-this-name", "there is no such user"), ("a\0b", "is no path"),
     ("x" * 300, "file name too long"), ("file", "is a file, not a folder of data sets")],
    ids=ascii,
)  # fmt: skip
def test_a_root_that_is_none_is_one_line(root, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load("mnist", root=root)
    assert line in one_line(caught)


def test_a_root_without_the_right_is_one_line(tmp_path, monkeypatch):
    good = os.stat

    def forbidden(path, *args, **kwargs):
        if "secret" in os.fspath(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return good(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", forbidden)
    for ask in (lambda: load("secret/f"), lambda: load("mnist", root="secret")):
        with pytest.raises(DataError, match=r"cannot be read \(permission denied\)") as caught:
            ask()
        one_line(caught)
