"""Streams of games that translate pictures: alignment, independence, degradations, resume."""

import math

import pytest
import torch

from ganlab.data import (
    Batch,
    DegradedStream,
    ImageSet,
    PairSet,
    PairStream,
    Stream,
    UnpairedStream,
    as_batch,
    degradation,
    to_float,
    to_uint8,
)
from ganlab.data.degrade import Blur, Grey, Hole, Noise, Smaller
from ganlab.errors import DataError


def coordinates(n, height, width):
    """Pictures whose pixels say where they are: (number, row, column) as bytes."""
    at = torch.meshgrid(torch.arange(n), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(at, 1).to(torch.uint8)


def paired(n=10, target=(8, 12), source=(8, 12), mapped=False):
    labels = torch.arange(n)
    return PairSet(
        "maps", coordinates(n, *target), coordinates(n, *source), labels=labels, mapped=mapped
    )


def shades(n, first=0):
    """Flat pictures, each in a grey of its own."""
    grey = torch.arange(first, first + n, dtype=torch.uint8).view(-1, 1, 1, 1)
    return ImageSet("shades", grey.expand(n, 3, 4, 4).contiguous(), torch.arange(n))


def noisy(n=10):
    draw = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (n, 3, 8, 8), generator=draw, dtype=torch.uint8)
    return ImageSet("noisy", pictures, torch.arange(n))


def same(a, b):
    """Whether two batches are bit-equal."""
    return all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a, b))


STREAMS = {
    "pairs": lambda b, **o: PairStream(paired(), b, flip=True, crop=(4, 6), labelled=True, **o),
    "mapped pairs": lambda b, **o: PairStream(
        paired(mapped=True), b, flip=True, crop=(4, 6), workers=0, **o
    ),
    "unpaired": lambda b, **o: UnpairedStream(noisy(10), noisy(13), b, flip=True, crop=6, **o),
    "grey": lambda b, **o: DegradedStream(noisy(), "grey", b, flip=True, **o),
    "smaller": lambda b, **o: DegradedStream(noisy(), "smaller:2", b, flip=True, **o),
    "hole": lambda b, **o: DegradedStream(noisy(), "hole:0.25", b, flip=True, crop=6, **o),
    "noise": lambda b, **o: DegradedStream(noisy(), "noise:0.2", b, labelled=True, **o),
    "blur": lambda b, **o: DegradedStream(noisy(), "blur:0.5", b, flip=True, **o),
}


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 7])  # 3 batches a pass
@pytest.mark.parametrize("name", STREAMS)
def test_resume_is_exact(name, taken):
    a, b = STREAMS[name](3, seed=5), STREAMS[name](3, seed=99)
    for _ in range(taken):
        next(a)
    state = a.state_dict()
    rest = [next(a) for _ in range(8)]
    for _ in range(5 if taken else 0):  # into a stream that has moved on
        next(b)
    b.load_state_dict(state)
    assert all(same(x, next(b)) for x in rest)
    assert a.seen == b.seen


@pytest.mark.parametrize("name", STREAMS)
def test_ranks_share_the_global_batch(name):
    whole = STREAMS[name](4, seed=1)
    parts = [STREAMS[name](2, seed=1, rank=r, world=2) for r in range(2)]
    for _ in range(5):
        expected, mine = next(whole), [next(p) for p in parts]
        for x, *sides in zip(expected, *mine):
            assert sides[0] is None if x is None else torch.equal(x, torch.cat(sides))


@pytest.mark.parametrize(
    ("target", "source", "crop", "shape"),
    [
        ((8, 12), (8, 12), (4, 6), (4, 6)),
        ((8, 12), (4, 6), (4, 6), (2, 3)),  # a larger picture is asked for
        ((4, 6), (12, 18), (2, 5), (6, 15)),  # a smaller one
        ((8, 12), (4, 6), None, (4, 6)),
    ],
)
def test_both_sides_show_the_same_part_the_same_way_round(target, source, crop, shape):
    pairs = paired(40, target, source)
    stream = PairStream(pairs, 40, flip=True, crop=crop, labelled=True)
    batch = next(stream)
    assert stream.shape == tuple(batch.images.shape[1:]) == (3, *(crop or target))
    assert stream.source_shape == tuple(batch.source.shape[1:]) == (3, *shape)
    # Every pixel says where it comes from; of the finer side k x k share one of the coarser.
    images, made_from = to_uint8(batch.images).long(), to_uint8(batch.source).long()
    assert torch.equal(images[:, 0, 0, 0], batch.labels)
    k = max(target[0] // source[0], source[0] // target[0])
    fine, coarse = (images, made_from) if target[0] >= source[0] else (made_from, images)
    spread = coarse.repeat_interleave(k, 2).repeat_interleave(k, 3)
    assert torch.equal(fine[:, 0], spread[:, 0])
    assert torch.equal(fine[:, 1:] // k, spread[:, 1:])
    mirrored = images[:, 2, 0, 0] > images[:, 2, 0, -1]
    assert 5 < int(mirrored.sum()) < 35
    if crop:
        assert len(images[:, 1, 0, 0].unique()) > 2  # parts from several heights


@pytest.mark.parametrize("workers", [0, 2])
def test_mapped_pairs_are_read_in_the_same_order(workers):
    options = dict(flip=True, crop=(4, 6), seed=2)
    resident = PairStream(paired(), 3, **options)
    loaded = PairStream(paired(mapped=True), 3, workers=workers, **options)
    assert not loaded.resident
    assert all(same(next(resident), next(loaded)) for _ in range(5))


def test_a_pair_stream_has_the_order_of_a_stream_of_its_targets():
    pairs = paired()
    plain = Stream(ImageSet("t", pairs.images), 3, seed=4, flip=True, crop=(4, 6))
    stream = PairStream(pairs, 3, seed=4, flip=True, crop=(4, 6))
    assert all(torch.equal(next(plain), next(stream).images) for _ in range(7))


def test_a_pair_set_is_a_set_of_its_targets():
    pairs = paired(10, (8, 12), (4, 6))
    assert (len(pairs), pairs.shape) == (10, (3, 8, 12))
    assert repr(pairs) == "PairSet('maps', 10 pairs, source 3x4x6 to target 3x8x12)"
    few = pairs.select(torch.tensor([7, 2]))
    assert few.labels.tolist() == [7, 2]
    batch = few.pairs(torch.tensor([1]))
    assert same(batch, Batch(few.batch(torch.tensor([1])), torch.tensor([2]), batch.source))
    assert torch.equal(to_uint8(batch.source), pairs.source[2:3])


def test_unpaired_sides_have_orders_and_passes_of_their_own():
    def ids(x):
        return to_uint8(x)[:, 0, 0, 0].tolist()

    stream = UnpairedStream(shades(8), shades(12), 4, seed=3)
    batches = [next(stream) for _ in range(6)]
    a = [i for batch in batches for i in ids(batch.source)]
    b = [i for batch in batches for i in ids(batch.images)]
    for start in (0, 8, 16):
        assert sorted(a[start : start + 8]) == list(range(8))
    for start in (0, 12):
        assert sorted(b[start : start + 12]) == list(range(12))
    assert (stream.a.seen, stream.b.seen, stream.seen) == (2, 1, 1)
    # The same set on both sides: neither order, nor flips, nor crops go together.
    twice = PairStream(paired(200), 200, flip=True, crop=(4, 6))
    images = ImageSet("c", twice.source.images)
    batch = next(UnpairedStream(images, images, 200, flip=True, crop=(4, 6)))
    one, two = to_uint8(batch.images).long(), to_uint8(batch.source).long()
    assert (one[:, 0, 0, 0] == two[:, 0, 0, 0]).sum() < 10
    assert 20 < int((one[:, 1, 0, 0] == two[:, 1, 0, 0]).sum()) < 65  # 1 of 5 heights
    turned = [x[:, 2, 0, 0] > x[:, 2, 0, -1] for x in (one, two)]
    assert 70 < int((turned[0] == turned[1]).sum()) < 130


def test_one_side_of_unpaired_sets_is_not_moved_by_the_other():
    few, many = (UnpairedStream(shades(n), shades(12), 4, seed=3) for n in (4, 9))
    assert all(torch.equal(next(few).images, next(many).images) for _ in range(7))


def test_unpaired_points():
    batch = next(UnpairedStream(torch.zeros(5, 2), torch.ones(6, 2), 4))
    assert batch.source.sum() == 0
    assert batch.images.sum() == 8


def test_a_degraded_stream_shows_the_pictures_of_its_stream():
    plain = Stream(noisy(), 3, seed=4, flip=True, labelled=True)
    made = DegradedStream(noisy(), "hole:0.3", 3, seed=4, flip=True, labelled=True)
    given = DegradedStream(Stream(noisy(), 3, seed=4, flip=True), Grey())
    for _ in range(5):
        (images, labels, _), batch, grey = next(plain), next(made), next(given)
        assert torch.equal(images, batch.images)
        assert torch.equal(labels, batch.labels)
        assert torch.equal(grey.source, Grey()(images))
        assert grey.labels is None
    assert made.source_shape == (4, 8, 8)
    assert given.source_shape == (1, 8, 8)
    assert DegradedStream(noisy(), "smaller:4", 3).source_shape == (3, 2, 2)


def test_a_degraded_stream_draws_anew_for_each_batch_and_leaves_other_random_states_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    stream = DegradedStream(torch.zeros(4, 1, 8, 8), "noise:1", 4)
    first, second = next(stream).source, next(stream).source
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_grey_is_luma():
    x = torch.eye(3).view(3, 3, 1, 1) * 2 - 1  # pure red, green and blue
    assert Grey()(x).flatten().tolist() == pytest.approx([2 * w - 1 for w in (0.299, 0.587, 0.114)])
    white = torch.ones(1, 3, 2, 2)
    assert torch.allclose(Grey()(white), torch.ones(1, 1, 2, 2))
    with pytest.raises(DataError, match=r"^grey needs pictures of 3 channels, not 1$"):
        Grey()(white[:, :1])


@pytest.mark.parametrize("method", ["bicubic", "area"])
def test_smaller_keeps_constants_and_the_middle_of_a_ramp(method):
    smaller = Smaller(4, method)
    assert torch.allclose(smaller(torch.full((2, 3, 8, 16), 0.3)), torch.full((2, 3, 2, 4), 0.3))
    ramp = torch.linspace(-0.9, 0.9, 64).expand(1, 1, 64, 64)
    blocks = ramp.view(1, 1, 16, 4, 16, 4).mean((3, 5))  # centre of each block of 4
    inside = smaller(ramp)[..., 2:-2, 2:-2]
    assert torch.allclose(inside, blocks[..., 2:-2, 2:-2], atol=1e-6)
    # A pattern finer than the small picture can show is gone, not aliased.
    fine = torch.tensor([1.0, -1.0]).repeat(32).expand(1, 1, 64, 64)
    assert smaller(fine)[..., 2:-2].abs().max() < 0.02
    assert smaller(torch.randn(1, 1, 64, 64).sign()).abs().max() <= 1
    with pytest.raises(
        DataError, match=r"^smaller:4 needs sides that are multiples of 4, not 6x8$"
    ):
        smaller(torch.zeros(1, 1, 6, 8))


@pytest.mark.parametrize("share", [0.02, 0.25, 0.6, 0.97])
def test_a_hole_is_one_rectangle_of_the_given_share(share):
    x = torch.rand(500, 3, 32, 48) + 0.1
    source = Hole(share)(x, torch.Generator().manual_seed(0))
    picture, mask = source[:, :3], source[:, 3]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    hidden = mask[:, None].expand_as(picture) == 1
    assert picture[hidden].abs().max() == 0
    assert torch.equal(picture[~hidden], x[~hidden])
    rows, columns = mask.amax(2), mask.amax(1)
    h, w = rows.sum(1), columns.sum(1)
    assert torch.equal(mask, rows[:, :, None] * columns[:, None])  # a product of two sides,
    for side in (rows, columns):  # each in one piece
        assert ((side.diff(dim=1) == 1).sum(1) <= 1).all()
    assert ((h * w - share * 32 * 48).abs() <= h / 2).all()  # the width is rounded
    assert (mask.mean() - share).abs() < 0.01
    ratio = (h / 32) / (w / 48)
    assert ratio.max() < 2.6
    assert ratio.min() > 1 / 2.6
    if share < 0.9:
        assert len(h.unique()) > 2


def test_a_hole_reaches_every_corner():
    mask = Hole(0.25)(torch.zeros(4000, 1, 8, 8), torch.Generator().manual_seed(0))[:, 1]
    corners = [mask[:, i, j].mean() for i in (0, -1) for j in (0, -1)]
    assert min(corners) > 0.03
    assert max(corners) - min(corners) < 0.03


def test_noise_has_its_standard_deviation_and_is_not_cut_off():
    x = torch.ones(50, 3, 32, 32)
    noise = Noise(0.2)(x, torch.Generator().manual_seed(0)) - x
    assert noise.std().item() == pytest.approx(0.2, rel=0.01)
    assert noise.mean().abs() < 0.005
    assert torch.equal(Noise(0.2)(x), Noise(0.2)(x)) is False


def test_blur_is_the_gaussian_and_keeps_constants():
    sigma, side = 1.5, 31
    point = torch.zeros(1, 2, side, side)
    point[..., 15, 15] = 1
    bell = torch.tensor([math.exp(-((i - 15) ** 2) / (2 * sigma**2)) for i in range(side)])
    bell[(torch.arange(side) - 15).abs() > 5] = 0  # 5 = ceil(3 sigma)
    expected = (bell[:, None] * bell) / bell.sum() ** 2
    assert torch.allclose(Blur(sigma)(point), expected.expand_as(point), atol=1e-7)
    flat = torch.full((1, 1, 9, 12), -0.7)
    assert torch.allclose(Blur(sigma)(flat), flat, atol=1e-6)
    # Mirrored at the border: the same as a blur of the mirrored picture, in the middle.
    x = torch.randn(1, 1, 9, 12)
    wide = torch.cat([x[..., 1:].flip(-1), x, x[..., :-1].flip(-1)], -1)
    assert torch.allclose(Blur(sigma)(wide)[..., 11:23], Blur(sigma)(x), atol=1e-6)
    with pytest.raises(
        DataError, match=r"^blur:1.5 reaches 5 pixels: too far for pictures of 5x9$"
    ):
        Blur(sigma)(torch.zeros(1, 1, 5, 9))


def test_degradations_have_words():
    words = ["grey", "smaller:4", "hole:0.25", "noise:0.2", "blur:1.5"]
    made = [Grey(), Smaller(4), Hole(0.25), Noise(0.2), Blur(1.5)]
    assert [degradation(word) for word in words] == made


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("gray", "unknown degradation 'gray': did you mean 'grey'?"),
        ("x", "unknown degradation 'x': choose from grey, smaller, hole, noise, blur"),
        ("grey:2", "grey takes no number, not 'grey:2'"),
        ("smaller", "smaller needs a whole number, as smaller:4, not 'smaller'"),
        ("smaller:2.5", "smaller needs a whole number, as smaller:4, not 'smaller:2.5'"),
        ("smaller:1", "smaller:1: the factor must be a whole number from 2"),
        ("hole:half", "hole needs a number, as hole:0.25, not 'hole:half'"),
        ("hole:1", "hole:1: the share must be between 0 and 1"),
        ("noise:nan", "noise:nan: the standard deviation must be above 0"),
        ("blur:-1", "blur:-1: sigma must be above 0 pixels"),
    ],
)
def test_words_that_are_none_are_refused(word, line):
    with pytest.raises(DataError) as error:
        degradation(word)
    assert str(error.value) == line


def bytes_of(*shape):
    return torch.zeros(shape, dtype=torch.uint8)


REFUSED = {
    "maps: pairs do not match: 4 targets, 5 sources": lambda: PairSet(
        "maps", bytes_of(4, 3, 8, 8), bytes_of(5, 1, 8, 8)
    ),
    "maps: pairs do not match: 4 targets, 4 sources, 3 labels": lambda: PairSet(
        "maps", bytes_of(4, 3, 8, 8), bytes_of(4, 1, 8, 8), labels=torch.arange(3)
    ),
    "maps: sizes do not match: targets are 8x8, sources 6x8; one must be a whole multiple of the"
    " other": lambda: PairSet("maps", bytes_of(4, 3, 8, 8), bytes_of(4, 1, 6, 8)),
    "maps: sources must be uint8 (N, C, H, W), not float32 (4, 1, 8, 8)": lambda: PairSet(
        "maps", bytes_of(4, 3, 8, 8), torch.zeros(4, 1, 8, 8)
    ),
    "crop 9x9 is larger than the pictures, 8x12": lambda: PairStream(paired(), 2, crop=9),
    "crop 5x4: sides must be multiples of 2, because the source is 2 times smaller": lambda: (
        PairStream(paired(source=(4, 6)), 2, crop=(5, 4))
    ),
    "10 pictures do not fill a batch of 12: use a smaller batch or more data": lambda: PairStream(
        paired(), 6, world=2
    ),
    "maps has no pictures": lambda: PairStream(paired(0), 2),
    "5 pictures do not fill a batch of 6: use a smaller batch or more data": lambda: UnpairedStream(
        shades(9), shades(5), 6
    ),
    "both sides must be pictures or both points, not one of each": lambda: UnpairedStream(
        shades(9), torch.zeros(9, 2), 3
    ),
    "the stream has a source already: degrade one of pictures alone": lambda: DegradedStream(
        PairStream(paired(), 2), "grey"
    ),
    "only pictures can be degraded, not points": lambda: DegradedStream(
        torch.zeros(5, 2), "noise:1", 2
    ),
    "a set needs a batch_size": lambda: DegradedStream(shades(4), "grey"),
    "the stream has its own batch_size, flip: give it there, or give a set": lambda: DegradedStream(
        Stream(shades(4), 2), "grey", 2, flip=True
    ),
    "smaller:3 needs sides that are multiples of 3, not 4x4": lambda: DegradedStream(
        shades(4), "smaller:3", 2
    ),
    "a batch is a tensor, a pair (pictures, labels) or a Batch, not a str": lambda: as_batch("x"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(line):
    with pytest.raises(DataError) as error:
        REFUSED[line]()
    assert str(error.value) == line


def test_batches():
    x, y = to_float(shades(4).images), torch.arange(4)
    assert as_batch(x).images is x
    assert as_batch((x, y)).labels is y
    batch = Batch(x, source=x)
    assert as_batch(batch) is batch
    assert (batch.size, len(batch)) == (4, 3)
    moved = batch.to("meta")
    assert moved.source.device.type == "meta"
    assert moved.labels is None
