"""Data sets that are somebody else's code: what they raise is told, and is not taken for ours."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

import ganlab
from ganlab.data import items, own
from ganlab.errors import DataError
from ganlab.recipes import recipe

GREY = np.zeros((8, 8), np.uint8)


class Set(torch.utils.data.Dataset):
    """Ten pictures, of which the fourth does something else."""

    def __init__(self, fourth):
        self.fourth = fourth

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return self.fourth() if i == 3 else GREY


class Lengthless(Set):
    """Its length is the fault."""

    def __len__(self):
        return self.fourth()


class Table(Set):
    """Stands for one of Hugging Face, read in order."""

    def __init__(self, fourth):
        super().__init__(fourth)
        self.features = {"image": type("Image", (), {})()}
        self.column_names = list(self.features)

    def __iter__(self):
        for i in range(10):
            yield {"image": self[i]}


class Short(Table):
    """It ends before its length."""

    def __iter__(self):
        yield {"image": GREY}


class Six(Set):
    """It has fewer than it says."""

    def __getitem__(self, i):
        return ([GREY] * 6)[i]


class Lazy(Image.Image):
    """A picture that is read when it is looked at."""

    def __init__(self, error):
        super().__init__()
        self._size, self._mode, self.error = (8, 8), "L", error

    def load(self):
        raise self.error


def raising(error):
    def fail():
        raise error

    return fail


def at(kind, error):
    """A data set of that kind which raises `error`, and how its line begins."""
    if kind == "item":
        return Set(raising(error)), "data: item 3 of 10 cannot be had: your data set raises "
    if kind == "length":
        start = "data: the length of Lengthless cannot be had: your data set raises "
        return Lengthless(raising(error)), start
    return Table(raising(error)), "data: item 3 of 10 cannot be had: your data set raises "


ERRORS = [
    KeyError("label"),
    FileNotFoundError(2, "No such file or directory", "a.png"),
    ValueError("two\nlines"),
    RuntimeError("\x1b[31mred"),
    StopIteration("early"),
    IndexError(),
    ZeroDivisionError("division by zero"),
    NotImplementedError(),
    DataError("of a set that calls ganlab itself"),
    type("Theirs", (Exception,), {})("their own kind"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("kind", ["item", "length", "table"])
def test_what_a_data_set_raises_is_one_line_with_the_item(kind, error):
    if (kind, type(error)) == ("table", StopIteration):
        pytest.skip("Python makes a RuntimeError of it")
    data, start = at(kind, error)
    with pytest.raises(DataError) as caught:
        own(data)
    line = str(caught.value)
    assert line.startswith(start + type(error).__name__)
    assert line.isprintable()
    assert " ".join(str(error).split())[:3].replace("\x1b", "\\x1b") in line
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError()])
@pytest.mark.parametrize("kind", ["item", "length", "table"])
def test_what_stops_a_program_stops_it(kind, error):
    with pytest.raises(type(error)) as caught:
        own(at(kind, error)[0])
    assert caught.value is error


@pytest.mark.parametrize(
    ("fourth", "line"),
    [
        (lambda: None, "item 3 is NoneType, not an array"),
        (lambda: {"x": 1}, "item 3 has x, but no 'image'"),
        (lambda: np.zeros((2, 2, 2, 2, 2), np.uint8), "item 3 of shape (2, 2, 2, 2, 2) is not"),
        (lambda: np.full((8, 8), 7.0), "floats from 7 to 7 in item 3 are not read"),
        (lambda: (GREY, 1), "labels: 1 of them for 10 pictures"),
        (lambda: Lazy(OSError("broken")), "item 3 cannot be read as a picture: broken"),
        (lambda: Lazy(AttributeError("seek")), "item 3 cannot be read as a picture: seek"),
        (lambda: Lazy(KeyError()), "item 3 cannot be read as a picture: KeyError"),
        (lambda: Image.new("LAB", (8, 8)), "in colours that are not read: LAB"),
        (lambda: "/nowhere/a.png", "/nowhere/a.png cannot be read as a picture: there is no such"),
        (lambda: "/", "/ cannot be read as a picture: it is a folder"),
    ],
)
def test_an_item_that_is_no_picture_is_one_line(fourth, line):
    with pytest.raises(DataError) as caught:
        own(Set(fourth))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_that_is_shorter_than_it_says_is_one_line():
    with pytest.raises(DataError, match="item 1 of 10 is not there: the data set ends before it"):
        own(Short(lambda: GREY))
    with pytest.raises(DataError, match=r"item 6 of 10 cannot be had: .* IndexError"):
        own(Six(None))


@pytest.mark.parametrize("error", [ValueError("ours"), OSError("ours"), IndexError("ours")])
@pytest.mark.parametrize("form", ["array", "picture", "path"])
def test_a_mistake_of_ours_is_not_told_as_theirs(form, error, monkeypatch, tmp_path):
    picture = Image.fromarray(GREY)
    picture.save(tmp_path / "a.png")
    fourth = {"array": GREY, "picture": picture, "path": str(tmp_path / "a.png")}[form]

    def broken(*rest, **more):
        raise error

    where = "fit_block" if form == "array" else "fit"
    monkeypatch.setattr(items, where, broken)
    with pytest.raises(type(error)) as caught:
        own([fourth])
    assert caught.value is error


def test_a_picture_that_lies_open_and_is_damaged_is_one_line():
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(out, "PNG")
    half = io.BytesIO(out.getvalue()[:2000])
    with pytest.raises(DataError, match="item 0 cannot be read as a picture: "):
        own([Image.open(half)])


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os = pytest.importorskip("os")
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="it is a pipe or device"):
        own([tmp_path / "a.png"])


def test_train_says_the_same_and_leaves_no_run(tmp_path):
    plan = recipe("dcgan-glyphs", steps=1, size=16)
    with pytest.raises(DataError, match="item 3 of 10 cannot be had: your data set raises KeyErr"):
        ganlab.train(plan, tmp_path / "run", data=Set(raising(KeyError("x"))), evaluate=False)
    assert not (tmp_path / "run").exists()


def test_bytes_of_a_path_are_those_of_the_folder(tmp_path):
    """A large JPEG is decoded no larger than it is needed, here as there."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    (tmp_path / "f").mkdir()
    Image.fromarray(noise).save(tmp_path / "f" / "a.jpg")
    mine = own([tmp_path / "f" / "a.jpg"], size=32)
    assert torch.equal(mine.images, ganlab.data.load(str(tmp_path / "f"), size=32).images)
    assert own([tmp_path / "f" / "a.jpg"]).shape == (3, 700, 900)
