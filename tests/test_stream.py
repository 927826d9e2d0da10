"""The stream: every picture once a pass, exact resume, ranks, and equal loader path."""

import pytest
import torch

from ganlab.data import Stream, to_uint8
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


def coordinates(n, height, width):
    """Pictures whose pixels say where they are: (number, row, column) as bytes."""
    at = torch.meshgrid(torch.arange(n), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(at, 1).to(torch.uint8)


def test_a_crop_is_a_whole_part_of_one_picture_and_any_part_is_as_likely():
    data = Pictures(coordinates(250, 6, 9))
    number, row, column = to_uint8(next(Stream(data, 250, crop="4x8"))).long().unbind(1)
    assert sorted(number[:, 0, 0].tolist()) == list(range(250))
    assert torch.equal(number, number[:, :1, :1].expand(250, 4, 8))
    assert torch.equal(row - row[:, :1], torch.arange(4)[:, None].expand(250, 4, 8))
    assert torch.equal(column - column[:, :, :1], torch.arange(8).expand(250, 4, 8))
    corners = (row[:, 0, 0] * 2 + column[:, 0, 0]).bincount(minlength=6)
    assert len(corners) == 6  # 3 rows x 2 columns of room
    assert corners.min() > 30


def test_a_crop_of_the_whole_picture_gives_the_first_pass_of_no_crop():
    whole, cropped = Stream(Pictures(), 5, seed=3), Stream(Pictures(), 5, seed=3, crop=2)
    assert torch.equal(next(whole), next(cropped))
    assert cropped.shape == whole.shape == (1, 2, 2)


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("mapped", [False, True])
def test_crops_and_flips_resume_exactly(taken, mapped):
    options = dict(flip=True, crop=4, workers=0)
    a = Stream(Pictures(coordinates(10, 6, 6), mapped), 3, seed=5, **options)
    for _ in range(taken):
        next(a)
    state = a.state_dict()
    rest = [next(a) for _ in range(8)]
    b = Stream(Pictures(coordinates(10, 6, 6)), 3, seed=99, **options)
    b.load_state_dict(state)
    assert all(torch.equal(x, next(b)) for x in rest)


def test_ranks_share_crops_and_flips():
    data, options = Pictures(coordinates(10, 6, 6)), dict(seed=1, flip=True, crop=(3, 5))
    whole = Stream(data, 4, **options)
    parts = [Stream(data, 2, rank=r, world=2, **options) for r in range(2)]
    for _ in range(5):
        assert torch.equal(next(whole), torch.cat([next(p) for p in parts]))


def test_a_stream_that_was_set_back_to_its_beginning_resumes_exactly():
    a = Stream(Pictures(), 3, seed=5)
    start = a.state_dict()
    first = next(a)
    a.load_state_dict(start)  # as the trainer does to time a round
    assert torch.equal(next(a), first)
    state = a.state_dict()
    rest = [next(a) for _ in range(8)]
    b = Stream(Pictures(), 3, seed=99)
    b.load_state_dict(state)
    assert all(torch.equal(x, next(b)) for x in rest)


@pytest.mark.parametrize("rewind", [0, 1, 3, 7])
@pytest.mark.parametrize("options", [{}, {"flip": True}, {"crop": 2, "workers": 0}])
def test_a_pass_has_an_order_of_its_own_after_the_stream_was_set_back(rewind, options):
    """The trainer takes a batch before it begins, and gives it back."""
    mapped = "workers" in options
    plain = Stream(Pictures(mapped=mapped), 5, seed=5, **options)
    again = Stream(Pictures(mapped=mapped), 5, seed=5, **options)
    start = again.state_dict()
    for _ in range(rewind):
        next(again)
    again.load_state_dict(start)
    passes = []
    for number in range(4):
        batches = [next(again), next(again)]
        assert all(torch.equal(batch, next(plain)) for batch in batches)
        assert again.seen == number
        passes.append([abs(i) for batch in batches for i in ids(batch)])
        assert sorted(passes[-1]) == list(range(10))
    assert len({tuple(order) for order in passes}) == 4
    assert str(again.state_dict()) == str(plain.state_dict())


def test_a_first_pass_that_earlier_versions_counted_as_before_the_first_is_gone_on_with():
    new = Stream(Pictures(), 3, seed=5, flip=True)
    start = new.state_dict()
    shown = [next(new) for _ in range(3)]
    # a stream that was set back had drawn the order and kept the state of its beginning
    old = {
        "epoch": -1, "position": 3,
        "generator": start["generator"], "epoch_generator": start["generator"],
    }  # fmt: skip
    resumed = Stream(Pictures(), 3, seed=99, flip=True)
    resumed.load_state_dict(old)
    assert [torch.equal(next(resumed), batch) for batch in shown[1:]] == [True, True]
    for _ in range(6):  # the passes after it are those of a stream of today
        assert torch.equal(next(resumed), next(new))
    assert str(resumed.state_dict()) == str(new.state_dict())


def test_a_state_of_any_time_comes_back_as_it_was():
    for taken in range(8):
        a = Stream(Pictures(), 3, flip=True, seed=5)
        for _ in range(taken):
            next(a)
        b = Stream(Pictures(), 3, flip=True, seed=9)
        next(b)
        b.load_state_dict(a.state_dict())
        assert str(a.state_dict()) == str(b.state_dict())


def test_the_order_is_that_of_the_first_edition():
    # Trained networks that the book shows saw the pictures in this order.
    stream = Stream(Pictures(), 5, seed=0, flip=True)
    assert [ids(next(stream)) for _ in range(3)] == [
        [4, 1, 7, 5, 3],
        [9, 0, 8, 6, 2],
        [3, 9, 1, 7, 6],
    ]
    assert set(stream.state_dict()) == {"epoch", "position", "generator", "epoch_generator"}


def test_crops_that_do_not_fit_are_refused():
    data = Pictures(coordinates(4, 6, 9))
    with pytest.raises(DataError, match=r"^crop 7x7 is larger than the pictures, 6x9$"):
        Stream(data, 2, crop=7)
    with pytest.raises(DataError, match="size='wide' must be a whole number of pixels"):
        Stream(data, 2, crop="wide")
    with pytest.raises(DataError, match=r"^only pictures can be cropped, not points$"):
        Stream(torch.zeros(4, 2), 2, crop=1)
    with pytest.raises(DataError, match=r"^this set has no pictures$"):
        Stream(Pictures(IMAGES[:0]), 2)
