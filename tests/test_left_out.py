"""What is left out of a set: each kind in its own words, and nothing that is our own mistake."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import zipfile
import zlib

import numpy as np
import pytest
from data_kit import noise, one_line, own_folders, png, write, zipped  # noqa: F401
from PIL import Image, features

from ganlab.data import arrays, decoding, folder, formats, load, pictures
from ganlab.data.native import native
from ganlab.errors import DataError

GOOD = png(noise(8, 8))


@pytest.mark.parametrize(
    "error", [MemoryError(), KeyError("x"), NotImplementedError(), ValueError("x"), EOFError(),
              ZeroDivisionError(), TypeError()], ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_our_own_mistake_is_no_damaged_file(error, tmp_path, monkeypatch):
    path = str(write(tmp_path / "f", {"a.png": GOOD}))

    def fit(*args):
        raise error

    monkeypatch.setattr(pictures, "fit", fit)
    with pytest.raises(type(error)) as caught:
        load(path, size=8)
    assert caught.value is error


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x"), NotImplementedError()])
def test_what_is_no_decoding_error_is_no_damaged_file(error, tmp_path, monkeypatch):
    path = str(write(tmp_path / "f", {"a.png": GOOD}))

    def load_pixels(*args):
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load_pixels)
    with pytest.raises(type(error)):
        load(path, size=8)


def test_memory_that_a_decoder_lacks_is_no_damage(monkeypatch):
    def load_pixels(*args):
        raise OSError("out of memory error when reading image file")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load_pixels)
    with pytest.raises(MemoryError):
        formats.opened(GOOD, 8)


def bomb():
    """A PNG that says it has 30,000 x 30,000 pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"?"))


def lab():
    out = io.BytesIO()
    Image.new("LAB", (8, 8)).save(out, "TIFF")
    return out.getvalue()


FILES = {
    "cut.png": (GOOD[:90], "1 damaged (cut.png)"),
    "text.png": (b"hello", "1 damaged (text.png)"),
    "nothing.jpg": (b"", "1 empty (nothing.jpg)"),
    "bomb.png": (bomb(), "1 of too many pixels (over 178,956,970: bomb.png)"),
    "iphone.jpg": (b"\0\0\0\x18ftypheic" + bytes(99),
                   "1 of a format that is not read (HEIC or MP4: iphone.jpg)"),
    "new.jpg": (b"\0\0\0\x1cftypavif" + bytes(99),
                "1 of a format that is not read (AVIF: new.jpg)"),
    "page.jpg": (b"\n<!DOCTYPE html><html>", "1 of a format that is not read (HTML: page.jpg)"),
    "drawing.png": (b"%!PS-Adobe", "1 of a format that is not read (PostScript: drawing.png)"),
    "lab.tif": (lab(), "1 in colours that are not read (LAB: lab.tif)"),
    "b\x1b[31m\nc.png": (b"?", r"1 damaged (b\x1b[31m\nc.png)"),
    os.fsdecode(b"caf\xe9.png"): (b"?", r"1 damaged (caf\udce9.png)"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES, ids=ascii)
def test_each_reason_has_its_own_words(name, tmp_path, capsys):
    data, words = FILES[name]
    path = str(write(tmp_path / "f", {name: data, "good.png": GOOD}))
    made = load(path, size=8)
    assert len(made) == 1
    assert made.note == f"left out 1 file in {path}: {words}"
    assert made.note in capsys.readouterr().err
    assert load(path, size=8).note == made.note  # from the cache
    assert native(path).sizes == {(8, 8)}
    with pytest.raises(DataError, match="'skip' would leave it out") as caught:
        load(path, size=8, damaged="refuse")
    assert one_line(caught).isprintable()


def test_reasons_are_grouped_and_a_few_files_named(tmp_path):
    files = {f"{i}.png": b"?" for i in range(12)} | {"good.png": GOOD, "x.jpg": b""}
    made = load(str(write(tmp_path / "f", files)), size=8)
    told = "12 damaged (0.png, 1.png, 2.png, 3.png, 4.png and 7 more), 1 empty (x.jpg)"
    assert told in made.note


def test_pipes_links_and_files_without_the_right_are_told_before_they_are_opened(
    tmp_path, monkeypatch
):
    path = write(tmp_path / "f", {"good.png": GOOD, "secret.png": GOOD, "big.png": GOOD})
    os.mkfifo(path / "pipe.png")
    (path / "gone.png").symlink_to("nowhere.png")
    (path / "loop.png").symlink_to("loop.png")
    (path / "null.png").symlink_to("/dev/null")
    with open(path / "big.png", "r+b") as file:
        file.truncate(folder.LARGEST_FILE + 1)
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda p, m: "secret" not in str(p) and allowed(p, m))
    made = load(str(path), size=8)
    for words in (
        "left out 6 files", "2 no regular file (null.png, pipe.png)",
        "2 a link to nothing (gone.png, loop.png)",
        "1 not readable (permission denied: secret.png)", "1 too large (over 512 MB: big.png)",
    ):  # fmt: skip
        assert words in made.note
    assert len(made) == 1
    monkeypatch.undo()
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    assert len(load(str(path), size=8)) == 2  # with the right, there is one more
    (path / "good.png").unlink()
    (path / "secret.png").unlink()
    with pytest.raises(DataError, match=r"no picture in .*left out 5 files") as caught:
        load(str(path), size=8)
    one_line(caught)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ENOENT])
def test_a_file_that_the_system_fails_to_read_once_is_not_left_out_for_ever(
    number, tmp_path, monkeypatch
):
    path = str(write(tmp_path / "f", {"a.png": GOOD, "b.png": GOOD}))
    good = type(tmp_path).read_bytes

    def read_bytes(self):
        if self.name == "b.png":
            raise OSError(number, os.strerror(number), str(self))
        return good(self)

    monkeypatch.setattr(type(tmp_path), "read_bytes", read_bytes)
    with pytest.raises(DataError, match=r"b\.png in .* cannot be read \(") as caught:
        load(path, size=8)
    one_line(caught)
    monkeypatch.setattr(type(tmp_path), "read_bytes", good)
    assert len(load(path, size=8)) == 2


def test_a_folder_below_that_cannot_be_read_does_not_halve_the_set(tmp_path, monkeypatch):
    path = write(tmp_path / "f", {"a/1.png": GOOD, "b/1.png": GOOD, ".cache/x.png": GOOD})
    good = os.scandir

    def scandir(where):
        if os.path.basename(where) in ("b", ".cache"):
            raise PermissionError(errno.EACCES, "Permission denied", str(where))
        return good(where)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"the folder .*/f/b cannot be read \(permission denied\)"):
        load(str(path), size=8)


def test_files_that_are_not_looked_at_are_counted(tmp_path):
    files = {f"{i}.jpg": GOOD for i in range(3)} | {f"{i}.HEIC": b"?" for i in range(8)}
    files |= {"a.avif": b"?", "b": b"?", "README": b"?", "labels.csv": b"?", ".DS_Store": b"?"}
    path = write(tmp_path / "f", files)
    made = load(str(path), size=8)
    assert made.note == (
        "10 files were not looked at (.heic, .avif, no ending): only .bmp .gif .jfif .jpeg .jpg"
        " .pbm .pgm .png .ppm .tif .tiff .webp are read"
    )
    write(path, {"c.avif": b"?"})  # the cached set is not the same any more
    assert "11 files were" in load(str(path), size=8).note
    in_zip = load(str(zipped(tmp_path / "z.zip", files)), size=8)
    assert in_zip.note == made.note
    with pytest.raises(DataError, match=r"no picture in .*1 file was not looked at \(.avif\)"):
        load(str(write(tmp_path / "g", {"c.avif": b"?"})))


def test_a_missing_decoder_is_no_damage_and_another_pillow_reads_them(tmp_path, monkeypatch):
    out = io.BytesIO()
    noise(8, 8).save(out, "WEBP")
    path = str(write(tmp_path / "f", {"a.png": GOOD, "b.webp": out.getvalue()}))
    good, open_ = features.check, Image.open

    def without(data, formats):
        return open_(data, formats=[f for f in formats if f != "WEBP"])

    monkeypatch.setattr(features, "check", lambda part: part != "webp" and good(part))
    monkeypatch.setattr(Image, "open", without)
    made = load(path, size=8)
    assert "1 of a format that this Pillow cannot decode (WebP: b.webp)" in made.note
    assert formats.missing() == ["WebP"]
    monkeypatch.setattr(features, "check", good)
    monkeypatch.setattr(Image, "open", open_)
    assert len(load(path, size=8)) == 2


def changed(path, name, **fields):
    """A zip whose entry says something else of itself, in both of its headers."""
    content = bytearray(path.read_bytes())
    places = {"flag": (6, 8), "method": (8, 10), "size": (22, 24)}
    for field, value in fields.items():
        width = 4 if field == "size" else 2
        local = content.find(name.encode()) - 30
        central = content.rfind(name.encode()) - 46
        for start, place in ((local, places[field][0]), (central, places[field][1])):
            content[start + place : start + place + width] = value.to_bytes(width, "little")
    path.write_bytes(content)
    return path


ENTRIES = {
    "encrypted (1.png)": {"flag": 1},
    "packed in a way that is not read (That compression method is not supported: 1.png)": {
        "method": 9
    },
    "too large (over 512 MB unpacked: 1.png)": {"size": 2**31},
}


@pytest.mark.parametrize("words", ENTRIES)
def test_each_reason_in_a_zip_has_its_own_words(words, tmp_path):
    path = zipped(tmp_path / "z.zip", {f"{i}.png": GOOD for i in range(3)})
    made = load(str(changed(path, "1.png", **ENTRIES[words])), size=8)
    assert len(made) == 2
    assert made.note == f"left out 1 file in {path}: 1 {words}"


def test_a_link_in_a_zip_is_no_picture(tmp_path):
    path = zipped(tmp_path / "z.zip", {"1.png": GOOD})
    link = zipfile.ZipInfo("2.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "1.png")
    assert "1 no regular file (2.png)" in load(str(path), size=8).note


def test_numbers_in_names_are_in_their_order_and_backslashes_are_folders(tmp_path):
    names = [f"{c}/{i}.png" for c in (0, 2, 10, 1) for i in (10, 9)]
    files = {n: Image.new("L", (4, 4), 20 * k) for k, n in enumerate(names)}
    made = load(str(write(tmp_path / "f", files)), size=4, channels=1)
    assert made.classes == ("0", "1", "2", "10")
    shades = [1, 0, 7, 6, 3, 2, 5, 4]
    assert made.images[:, 0, 0, 0].tolist() == [20 * s for s in shades]
    windows = {"set\\" + n.replace("/", "\\"): v for n, v in files.items()}
    other = load(str(zipped(tmp_path / "z.zip", windows)), size=4, channels=1)
    assert other.classes == made.classes
    assert other.images.equal(made.images)
    assert other.labels.equal(made.labels)
    digits = "1" * 5000  # more than Python turns into a number
    assert folder.natural(digits + "2.png") > folder.natural(digits + ".png")


def test_pictures_outside_of_all_splits_or_classes_are_told(tmp_path):
    files = {
        "train/a/1.png": GOOD,
        "train/b/1.png": GOOD,
        "test/a/1.png": GOOD,
        "extra/1.png": GOOD,
    }
    path = write(tmp_path / "f", files)
    told = f"1 picture of {path} left out, in no folder of a split (extra/1.png)"
    made = load(str(path), size=8)
    assert made.note == load(str(path), size=8, split="test").note == told
    assert made.classes == ("a", "b")
    path = write(tmp_path / "g", {"a/1.png": GOOD, "b/1.png": GOOD, "2.png": GOOD})
    made = load(str(path), size=8)
    assert made.labels is None
    assert made.note == f"no labels: 1 of 3 pictures of {path} in no class folder (2.png)"


def test_classes_with_odd_names_may_be_printed(tmp_path):
    files = {"a\x1b[2J/1.png": GOOD, os.fsdecode(b"\xff/1.png"): GOOD}
    made = load(str(write(tmp_path / "f", files)), size=8)
    assert made.classes == ("a\\x1b[2J", "\\udcff")


def test_the_modules_say_their_lines_once(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 8), np.uint16))
    load(str(tmp_path / "a.npy"), size=4)
    assert capsys.readouterr().err.count("ganlab: fit: ") == 1
    assert arrays.say is decoding.say
