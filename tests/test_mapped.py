"""Sets that are mapped from their files: to other processes they go as paths, not as pictures."""

from __future__ import annotations

import copy
import io
import pickle
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
import torch.multiprocessing  # teaches the pickler of its workers about tensors
from data_kit import noise, own_folders, write  # noqa: F401

from ganlab.data import PairSet, PairStream, Stacks, Stream, entry, load
from ganlab.data import mapped as files
from ganlab.data import stream as streams_
from ganlab.errors import DataError

Mapped, mapped, _Rows = files.Mapped, files.mapped, streams_._Rows

SHAPE = (20, 3, 16, 16)


@pytest.fixture
def file(tmp_path):
    """A file of noise with a header of 100 bytes, and what it holds."""
    values = torch.randint(256, SHAPE, dtype=torch.uint8)
    (tmp_path / "x").write_bytes(bytes(100) + values.numpy().tobytes())
    return tmp_path / "x", values


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A set of the cache that is mapped."""
    monkeypatch.setattr(entry, "MAP_ABOVE", 1000)
    pictures = {f"{c}/{i}.png": noise(16, 16, i) for i in range(10) for c in "ab"}
    made = load(str(write(tmp_path / "f", pictures)), size=16)
    assert made.mapped
    return made


def packed(x, how):
    """Bytes of a pickle, as it goes into a file or to a worker that is not forked."""
    if how == "file":
        return pickle.dumps(x)
    out = io.BytesIO()
    ForkingPickler(out).dump(x)
    return out.getvalue()


@pytest.mark.parametrize("how", ["file", "worker"])
def test_a_mapped_set_is_pickled_as_its_place(data, how):
    sent = packed(data, how)
    assert len(sent) < 3000 < data.images.numel()
    back = pickle.loads(sent)
    assert isinstance(back.images, Mapped)
    assert torch.equal(back.images, data.images)
    assert torch.equal(back.labels, data.labels)
    assert (back.name, back.classes, back.mapped) == (data.name, data.classes, True)
    assert len(packed(back, how)) < 3000  # and from there further on


@pytest.mark.parametrize("how", ["file", "worker"])
def test_whatever_holds_mapped_pictures_is_small_to_send(file, how):
    path, values = file
    images = mapped(path, 100, SHAPE)
    pairs = PairSet("p", images, images, mapped=True)
    stacks = Stacks(mapped(path, 100, (60, 1, 16, 16)), torch.zeros(60).long(), torch.zeros(4, 3))
    for held in (images, _Rows([images, images]), pairs, stacks):
        assert len(packed(held, how)) < 3000
    back = pickle.loads(packed(pairs, how))
    assert torch.equal(back.images, values)
    assert torch.equal(back.source, values)


def test_what_is_computed_from_it_is_a_plain_tensor(file):
    path, values = file
    images = mapped(path, 100, SHAPE)
    assert torch.equal(images, values)
    index = torch.tensor([3, 1])
    for part in (images[index], images[2:5], images.float(), images.clone(), images.flip(-1)):
        assert type(part) is torch.Tensor
    assert torch.equal(pickle.loads(pickle.dumps(images[2:5])), values[2:5])
    assert np.array_equal(images.numpy(), values.numpy())


def test_a_copy_has_pages_of_its_own_and_the_file_stays(file):
    path, values = file
    before = path.read_bytes()
    images = mapped(path, 100, SHAPE)
    twin = copy.deepcopy(images)
    twin[0] = 7
    assert torch.equal(images, values)
    assert int(twin[0].float().mean()) == 7
    assert path.read_bytes() == before


def test_a_file_that_is_gone_or_shorter_is_one_line(file):
    path, _ = file
    sent = pickle.dumps(mapped(path, 100, SHAPE))
    path.write_bytes(bytes(200))
    with pytest.raises(DataError, match="has changed while it was used: load the set again"):
        pickle.loads(sent)
    path.unlink()
    with pytest.raises(DataError, match="has changed while it was used"):
        pickle.loads(sent)


@pytest.mark.parametrize("kind", ["set", "pairs"])
def test_streams_of_it_give_the_batches_of_one_in_memory(data, kind):
    plain = replace(data, images=data.images.clone(), mapped=False)
    made = Stream
    if kind == "pairs":
        made = PairStream
        plain, data = (PairSet("p", x.images, x.images, mapped=x.mapped) for x in (plain, data))
    streams = [made(x, 6, seed=3, flip=True, workers=0) for x in (plain, data)]
    assert not streams[1].resident
    for _ in range(5):
        one, other = (next(s) for s in streams)
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[-1], other[-1])


def test_a_worker_that_is_not_forked_reads_the_same(data):
    """What a DataLoader does under spawn, by hand: the second process is this one."""
    rows = pickle.loads(packed(_Rows([data.images]), "worker"))
    assert len(rows) == len(data)
    assert all(torch.equal(rows[i][0], data.images[i]) for i in range(len(data)))
