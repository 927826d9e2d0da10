"""Files are written whole or not at all, and refusals are one line that names the path."""

from __future__ import annotations

import json
import math
import os
import stat

import pytest

from ganlab import files
from ganlab.errors import FileError, GanlabError, one_line
from ganlab.metrics.scoring import verdict
from ganlab.recipes import Recipe
from ganlab.runs import Run

REFUSED = [  # path below the test's folder, and what the line says
    ("folder", "is a folder: name a file"),
    ("file/below", "not a directory"),
    ("pipe", "no regular file"),
    ("loop", "too many levels of symbolic links"),
    ("x" * 300, "file name too long"),
    ("/dev/full", "no regular file"),
    ("/dev/null", "no regular file"),
    ("/proc/nothing/here", "cannot be written"),
    ("~nobody-of-that-name/x", "there is no such user"),
    ("zero\0byte", "is no path"),
]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(("path", "words"), REFUSED)
def test_what_is_no_place_for_a_file_is_refused_in_one_line(place, path, words):
    full = path if path[0] in "/~" else f"{place}/{path}"
    before = sorted(p.name for p in place.rglob("*"))
    with pytest.raises(FileError, match=words) as caught:
        files.write_text(full, "mine")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, GanlabError)
    assert isinstance(caught.value, OSError)
    assert sorted(p.name for p in place.rglob("*")) == before


def test_folders_are_made_and_a_link_stays_a_link(place):
    made = files.write_json(place / "a" / "b.json", {"ä": 1})
    assert made.read_bytes() == '{\n  "ä": 1\n}\n'.encode()
    (place / "link").symlink_to("file")
    files.write_text(place / "link", "new")
    assert (place / "link").is_symlink()
    assert (place / "file").read_text(encoding="utf-8") == "new"


def half_written(path, error):
    with files.replacing(path) as partial:
        partial.write_bytes(b"half")
        raise error


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(place):
    with pytest.raises(FileError, match="no space left"):
        half_written(place / "file", OSError(28, "No space left on device"))
    with pytest.raises(KeyboardInterrupt):
        half_written(place / "file", KeyboardInterrupt())
    assert (place / "file").read_text(encoding="utf-8") == "mine"
    assert not [p for p in place.iterdir() if files.PARTIAL in p.name]


def test_the_kind_of_a_file_is_kept_and_others_may_read_it(place):
    files.write_bytes(place / "new", b"x")
    assert stat.S_IMODE((place / "new").stat().st_mode) & 0o044


def test_text_is_read_as_utf8_or_named(place):
    (place / "latin").write_bytes(b"\xff\xfe\xfa")
    for path, words in (("latin", "not text"), ("none", "no such file"), ("pipe", "no regular")):
        with pytest.raises(FileError, match=words):
            files.read_text(place / path)
    assert files.read_text(place / "file") == "mine"


def test_a_line_cannot_move_the_cursor():
    assert one_line("a\nb\x1b[31m\udcff é\n") == "a\\nb\\x1b[31m\\udcff é"


def test_stored_json_is_json(tmp_path):
    """Python would write Infinity and NaN, which no other reader takes; scores are read back."""
    values = {"reverse_kl": math.inf, "list": [math.nan, 1.5, (math.inf,)], "found": 0}
    path = files.write_json(tmp_path / "scores.json", values)
    stored = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert stored == {"reverse_kl": None, "list": [None, 1.5, [None]], "found": 0}
    files.write_text(tmp_path / "recipe.json", Recipe("r", data="ring8", network="mlp").to_json())
    scores = Run(tmp_path).scores
    assert scores["reverse_kl"] == math.inf
    modes = scores | {"kind": "modes", "modes": 8, "good": 0.0, "real_found": 8, "n": 9}
    assert "reverse KL inf" in verdict(modes | {"real_good": 0.989})
