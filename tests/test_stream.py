"""The stream: every picture once a pass, exact resume, ranks, and equal loader path."""

import pytest
import torch

from ganlab.data import Stream
from ganlab.errors import DataError

IMAGES = torch.arange(10, dtype=torch.uint8).view(-1, 1, 1, 1).expand(10, 1, 2, 2).contiguous()


class Pictures:
    """A minimal picture set."""

    def __init__(self, images=IMAGES, mapped=False):
        self.images, self.mapped = images, mapped
        self.shape = tuple(images.shape[1:])

    def __len__(self):
        return len(self.images)


def ids(batch):
    return ((batch[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_a_pass_shows_every_picture_once_in_a_new_order():
    stream = Stream(Pictures(), 5)
    first = ids(next(stream)) + ids(next(stream))
    second = ids(next(stream)) + ids(next(stream))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert stream.epoch == 1


def test_range_and_type():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    batch = next(Stream(Pictures(images), 2))
    assert batch.dtype == torch.float32
    assert sorted(batch.flatten().tolist()) == [-1.0, 1.0]


def test_flips_are_whole_pictures_and_about_half():
    wide = torch.tensor([[0, 255]], dtype=torch.uint8).expand(1000, 1, 1, 2).contiguous()
    batch = next(Stream(Pictures(wide), 1000, flip=True))
    left = batch[:, 0, 0, 0]
    assert torch.equal(left, -batch[:, 0, 0, 1])
    assert 420 < int((left > 0).sum()) < 580


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("flip", [False, True])
def test_resume_is_exact(taken, flip):
    a = Stream(Pictures(), 3, flip=flip, seed=5)
    for _ in range(taken):
        next(a)
    state = a.state_dict()
    rest = [next(a) for _ in range(8)]
    b = Stream(Pictures(), 3, flip=flip, seed=99)
    b.load_state_dict(state)
    assert all(torch.equal(x, next(b)) for x in rest)


def test_ranks_share_the_global_batch():
    whole = Stream(Pictures(), 4, seed=1)
    parts = [Stream(Pictures(), 2, seed=1, rank=r, world=2) for r in range(2)]
    for _ in range(5):
        expected = next(whole)
        assert torch.equal(expected, torch.cat([next(p) for p in parts]))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_gives_the_same_batches(workers):
    resident = Stream(Pictures(), 3, flip=True, seed=2)
    loaded = Stream(Pictures(mapped=True), 3, flip=True, seed=2, workers=workers)
    assert not loaded.resident
    for _ in range(5):
        assert torch.equal(next(resident), next(loaded))
    again = Stream(Pictures(mapped=True), 3, flip=True, seed=7, workers=0)
    again.load_state_dict(loaded.state_dict())
    assert torch.equal(next(resident), next(again))


def test_points_are_fresh_and_resumable():
    class Normal:
        dim = 2

        def sample(self, n, generator=None):
            return torch.randn(n, 2, generator=generator)

    a = Stream(Normal(), 4, seed=3)
    next(a)
    state = a.state_dict()
    x = next(a)
    b = Stream(Normal(), 4)
    b.load_state_dict(state)
    assert torch.equal(x, next(b))
    assert not torch.equal(x, next(b))


def test_too_few_pictures_and_bad_batches_are_refused():
    with pytest.raises(DataError, match="10 pictures do not fill a batch of 16"):
        Stream(Pictures(), 8, world=2)
    with pytest.raises(DataError, match="at least 1"):
        Stream(Pictures(), 0)
