"""`ganlab sample`: grids, folders, archives and arrays, written batch by batch."""

from __future__ import annotations

import io
import json
import weakref
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab import cli, runs
from ganlab.cli import sample as command
from ganlab.data import load, to_uint8
from ganlab.errors import GanlabError

SMALL = {"size": 16, "batch": 8, "steps": 1, "samples": 4, "precision": "fp32"}
CLASSES = ["ant", "bee", "cat", "2"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Three runs: grey pictures, pictures with classes of known names, points."""
    folder = tmp_path_factory.mktemp("home")
    narrow = {"generator": {"width": 8}, "discriminator": {"width": 8}}
    grey = load("glyphs", size=16, limit=64)
    runs.train("dcgan-glyphs", folder / "grey", data=grey, evaluate=False, device="cpu",
               **SMALL, **narrow)  # fmt: skip
    four = load("glyphs", size=16, limit=64, characters="0123")
    style = {"generator": {"channel_base": 64, "channel_max": 8, "latent": 8, "style": 8}}
    style["discriminator"] = {"channel_base": 64, "channel_max": 8}
    runs.train("stylegan2-glyphs", folder / "named", data=four, evaluate=False, device="cpu",
               channels=1, classes=4, **SMALL, **style)  # fmt: skip
    about = folder / "named" / "about.json"
    about.write_text(
        json.dumps(json.loads(about.read_text(encoding="utf-8")) | {"classes": CLASSES}),
        encoding="utf-8",
    )
    runs.train("mlp-ring", folder / "points", steps=1, evaluate=False, device="cpu")
    return folder


def run_command(home, name, *words):
    return cli.main(["sample", str(home / name), *map(str, words)])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected(home, name, n, seed=0, label=None):
    """(n, H, W, C) bytes."""
    return to_uint8(runs.Run(home / name).sample(n, seed, label)).permute(0, 2, 3, 1).numpy()


def test_every_form_holds_the_same_samples(home, here, capsys):
    want = expected(home, "grey", 300, 7)
    for out in ("many", "slash.v2/", "all.zip", "all.npy", "all.NPZ", "deep/down/all.npz"):
        assert run_command(home, "grey", "-n", 300, "--seed", 7, "--out", out) == 0
        assert capsys.readouterr().out == f"300 pictures in {out}\n"
    for folder in ("many", "slash.v2"):
        files = sorted((here / folder).iterdir())
        assert [f.name for f in files][:2] == ["00000.png", "00001.png"]
        seen = np.stack([np.asarray(Image.open(f)) for f in files])
        assert np.array_equal(seen[..., None], want)  # grey files, not colours
    with zipfile.ZipFile("all.zip") as archive:
        assert archive.testzip() is None
        first = Image.open(io.BytesIO(archive.read("00299.png")))
        assert np.array_equal(np.asarray(first), want[299, ..., 0])
    assert np.array_equal(np.load("all.npy"), want)
    for name in ("all.NPZ", "deep/down/all.npz"):
        assert np.array_equal(np.load(name)["arr_0"], want)
    assert want.dtype == np.uint8
    assert not [f for f in here.rglob("*") if "partial" in f.name]
    assert load(str(here / "all.zip"), size=16, channels=1).shape == (1, 16, 16)


def test_points_go_to_arrays_and_lines(home, here):
    want = runs.Run(home / "points").sample(300, 1).numpy()
    for out in ("p.npy", "p.npz", "p.csv", "p.png"):
        assert run_command(home, "points", "-n", 300, "--seed", 1, "--out", out) == 0
    assert np.array_equal(np.load("p.npy"), want)
    assert np.array_equal(np.load("p.npz")["arr_0"], want)
    assert np.array_equal(np.loadtxt("p.csv", delimiter=",", dtype=np.float32), want)
    assert Image.open("p.png").width > 100


@pytest.mark.parametrize("out", ["many", "all.zip", "all.npz", "all.npy"])
def test_no_more_than_two_batches_are_alive(home, here, monkeypatch, out):
    from ganlab.models import latent

    alive: list[weakref.ref] = []
    most = 0

    def parts(g, n, seed, labels):
        nonlocal most
        for start in range(0, n, 10):
            batch = torch.zeros(min(10, n - start), 1, 4, 4)
            alive.append(weakref.ref(batch))
            most = max(most, sum(ref() is not None for ref in alive))
            yield batch
            del batch

    monkeypatch.setattr(latent, "drawn", parts)
    assert run_command(home, "grey", "-n", 1000, "--out", out) == 0
    assert len(alive) == 100
    assert most <= 2


def test_a_class_has_a_name_or_a_number(home, here, capsys):
    for label, number in (("bee", 1), ("0", 0), ("2", 3), ("3", 3)):  # the last is named "2"
        assert run_command(home, "named", "-n", 5, "--label", label, "--out", "x.npy") == 0
        assert np.array_equal(np.load("x.npy"), expected(home, "named", 5, 0, number))
    capsys.readouterr()
    for name, label, line in (
        ("named", "bees", "unknown class 'bees': did you mean 'bee'?"),
        ("named", "7", "labels are class numbers from 0 to 3"),
        ("named", "-1", "labels are class numbers from 0 to 3"),
        ("grey", "bee", "this generator has no classes: take --label away"),
        ("grey", "1", "this generator has no classes: take the labels away"),
    ):
        assert run_command(home, name, f"--label={label}", "--out", "y.npy") == 2
        assert capsys.readouterr().err == f"ganlab: {line}\n"
    assert not (here / "y.npy").exists()


def test_without_names_a_class_is_a_number():
    class Nameless:
        classes = ()
        recipe = type("Plan", (), {"classes": 10})

    assert command.class_number("7", Nameless) == 7
    with pytest.raises(GanlabError, match="take a number from 0 to 9"):
        command.class_number("seven", Nameless)


HOSTILE = {
    "a dot": ("grey", "--out samples.v2", ".png .jpg .jpeg .webp make a grid"),
    "a text": ("grey", "--out a.txt", ".txt is none of them"),
    "points in a folder": ("points", "--out many", "points are no pictures; name a .csv"),
    "points in a zip": ("points", "--out many.zip", "points are no pictures"),
    "pictures as lines": ("grey", "--out a.csv", ".csv is none of them"),
    "none": ("grey", "-n 0", "-n must be at least 1, not 0"),
    "less than none": ("grey", "-n -3", "-n must be at least 1, not -3"),
    "a large grid": ("grey", "-n 10001", "-n must be at most 10,000, not 10001"),
    "too many": ("grey", "-n 1000000000000 --out m/", "-n must be at most 10,000,000"),
    "a seed below": ("grey", "--seed -1", "--seed must be at least 0, not -1"),
    "a large seed": ("grey", f"--seed {2**70}", "--seed must be at most 4,294,967,295"),
    "a folder in the way": ("grey", "--out folder.png", "folder.png is a folder: name a file"),
    "a folder for an array": ("grey", "--out folder.npz", "folder.npz is a folder: name a file"),
    "a file in the way": ("grey", "--out file", "file cannot be a folder of pictures"),
    "a file on the way": ("grey", "--out file/a.png", "cannot be written"),
    "a device": ("grey", "--out device.png", "is no regular file"),
    "a forbidden place": ("grey", "--out /proc/a.png", "cannot be written"),
    "a full disk": ("grey", "--out full.npz", "cannot be written"),
    "somebody's folder": ("grey", "--out letters", "holds other files (a letter)"),
    "more of an earlier call": ("grey", "-n 2 --out earlier", "holds other files (00007.png)"),
    "nobody's place": ("grey", "--out ~nobody-here/a.png", "there is no such user"),
    "the run": ("grey", "--out {run}", "holds other files"),
    "its checkpoints": ("grey", "--out {run}/checkpoints", "holds other files"),
    "its samples": ("grey", "--out {run}/samples/a.png", "what the run itself keeps"),
    "its weights": ("grey", "--out {run}/generator.safetensors", "is none of them"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_mistake_is_one_line_and_writes_nothing(what, home, here, capsys, monkeypatch):
    name, words, line = HOSTILE[what]
    (here / "folder.png").mkdir()
    (here / "folder.npz").mkdir()
    (here / "folder.npz" / "x").write_text("x", encoding="utf-8")
    (here / "file").write_text("a file", encoding="utf-8")
    (here / "device.png").symlink_to("/dev/null")
    (here / "letters").mkdir()
    (here / "letters" / "a letter").write_text("dear", encoding="utf-8")
    (here / "earlier").mkdir()
    (here / "earlier" / "00007.png").write_text("of an earlier call", encoding="utf-8")
    if what == "a full disk":

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ganlab.cli.streams._array", full)
    before = sorted(here.rglob("*")), sorted(home.rglob("*"))
    words = words.format(run=home / name).split()
    assert run_command(home, name, *words) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1
    assert (sorted(here.rglob("*")), sorted(home.rglob("*"))) == before


def test_pictures_that_are_not_finite_are_not_written(home, here, capsys, monkeypatch):
    from ganlab.models import latent

    monkeypatch.setattr(
        latent,
        "drawn",
        lambda *_: iter([torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4).log() * 0]),
    )
    for out in ("a.npz", "a.npy", "a.zip"):
        assert run_command(home, "grey", "-n", 4, "--out", out) == 2
        assert "contain NaN or infinity" in capsys.readouterr().err
        assert list(here.iterdir()) == []


def test_a_folder_takes_the_same_call_again(home, here):
    for _ in range(2):
        assert run_command(home, "grey", "-n", 3, "--out", "many") == 0
    (here / "many" / ".DS_Store").write_text("hidden", encoding="utf-8")
    assert run_command(home, "grey", "-n", 12, "--out", "many") == 0
    assert len(list((here / "many").glob("*.png"))) == 12
