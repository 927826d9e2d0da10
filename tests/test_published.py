"""Published generators are found by name, whole, and refused in one line."""

import hashlib
import json

import pytest
import torch

import ganlab
from ganlab.errors import CheckpointError, FileError, GanlabError
from ganlab.models import drawn
from ganlab.recipes import networks, recipe
from ganlab.runs import published, stored

SMALL = {"channel_base": 64, "channel_max": 16, "latent": 8, "style": 8, "layers": 2}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of results that holds one small generator, as `benchmarks/publish.py` stores it."""
    plan = recipe("stylegan2-glyphs", generator=SMALL, size=16)
    torch.manual_seed(0)
    g, _ = networks(plan, (3, 16, 16))
    folder = tmp_path / "tiny"
    folder.mkdir()
    stored.save_generator(g, folder / "generator.safetensors", half=True)
    facts = {"recipe": json.loads(plan.to_json()), "shape": [3, 16, 16], "seeds": [0]}
    (folder / "results.json").write_text(json.dumps(facts), encoding="utf-8")
    (tmp_path / "table").mkdir()  # a result without a generator
    monkeypatch.setenv("GANLAB_RESULTS", str(tmp_path))
    return g.eval()


def test_a_published_generator_draws_what_was_stored(shelf):
    g = ganlab.load("tiny")
    z = g.sample_latent(3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = shelf(z)
    assert torch.allclose(g(z), expected, atol=0.05)  # weights were stored in 16 bits
    assert not g.training
    assert not any(p.requires_grad for p in g.parameters())
    assert published.about("tiny")["seeds"] == [0]


def test_weights_are_held_against_the_sum_that_was_published(shelf, tmp_path):
    folder = tmp_path / "tiny"
    path = folder / "generator.safetensors"
    told = published.stamp(folder)
    assert told == hashlib.sha256(path.read_bytes()).hexdigest()
    assert published.about("tiny")["sha256"] == told
    assert published.about("tiny")["seeds"] == [0]  # the rest is as it was
    ganlab.load("tiny")
    # another generator of the same networks: its own sum is right, and it is not what was scored
    g = ganlab.load("tiny")
    with torch.no_grad():
        next(g.parameters()).add_(1)
    stored.save_generator(g, path, half=True)
    with pytest.raises(CheckpointError, match=r"not the file that results\.json describes"):
        ganlab.load("tiny")
    published.stamp(folder)
    ganlab.load("tiny")
    path.unlink()
    with pytest.raises(FileError, match="fetch it again"):
        published.read(folder)


def test_names_are_those_that_hold_a_generator(shelf):
    assert published.names() == ["tiny"]
    assert published.folder("table").is_dir()


def test_an_unknown_name_is_one_line_that_names_the_nearest(shelf):
    with pytest.raises(GanlabError, match="did you mean 'tiny'"):
        ganlab.load("tinny")
    with pytest.raises(GanlabError, match="no stored result 'nothing'"):
        published.folder("nothing")


def test_every_generator_in_the_book_loads_and_is_small():
    for name in published.names():
        g = ganlab.load(name)
        assert all(part.isfinite().all() for part in drawn(g, 2))
        size = (published.folder(name) / published.WEIGHTS).stat().st_size
        assert size <= 5e6, f"{name}: {size / 1e6:.1f} MB"


@pytest.mark.parametrize(
    ("file", "content", "kind", "line"),
    [
        ("results.json", b"{", CheckpointError, "is damaged: no JSON"),
        ("results.json", b"[1]", CheckpointError, "is damaged: no table"),
        ("results.json", b"\xff", FileError, "is damaged: it is not text"),
        ("results.json", b"{}", CheckpointError, "has no recipe or no shape"),
        ("results.json", None, FileError, "cannot be read"),
        ("generator.safetensors", b"\0" * 20, CheckpointError, "is damaged"),
        ("generator.safetensors", b"", CheckpointError, "is damaged"),
    ],
)
def test_a_damaged_result_is_one_line_that_names_the_file(shelf, file, content, kind, line):
    path = published.folder("tiny") / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind, match=line) as told:
        published.load("tiny")
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_weights_that_vanish_while_they_are_read_are_a_line(shelf):
    here = published.folder("tiny")
    (here / "generator.safetensors").unlink()
    with pytest.raises(FileError, match=r"generator.safetensors cannot be read"):
        published.read(here)
