"""Stacked digits: the data, its judge, and modes counted against known coverage."""

import math

import pytest
import torch

from ganlab.data import Stacks, Stream, available, load, single, stack, to_float, to_uint8
from ganlab.errors import DataError
from ganlab.metrics import expected_modes, features, scoring, stack_judge, stacked_modes


@pytest.fixture(scope="module")
def data():
    return load("stacked-glyphs", size=16, count=3000)


@pytest.fixture(scope="module")
def judge(data, tmp_path_factory):
    """Trained briefly on small glyphs; the tests of coverage ask for exact answers of it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GANLAB_CACHE", str(tmp_path_factory.mktemp("judge")))
    patch.setattr(features, "STEPS", 150)
    made = stack_judge(data)
    patch.undo()
    return made


class Reader:
    """A judge that reads a digit from the brightness of its corner: no training, no mistakes."""

    def read(self, images):
        digit = (images[:, :, 0, 0].long() / 25).round().long()
        number = digit @ torch.tensor([100, 10, 1])
        return number, torch.ones(len(images))


def drawn(modes):
    """Pictures that `Reader` reads as these modes."""
    modes = torch.as_tensor(modes)
    digits = torch.stack([modes // 100, modes // 10 % 10, modes % 10], 1)
    return (digits * 25).to(torch.uint8)[:, :, None, None].expand(-1, -1, 4, 4)


def test_a_stack_is_three_digits_and_its_label_spells_them(data):
    images, values = data.images.digits, data.images.values
    for i in (0, 17, 2999):
        for channel in range(3):
            row = int(data.images.table[i, channel])
            assert torch.equal(data.images[i][channel], images[row, 0])
            assert data.factors["digits"][i, channel] == values[row]
        a, b, c = data.factors["digits"][i].tolist()
        assert data.labels[i] == 100 * a + 10 * b + c
        assert data.classes[data.labels[i]] == f"{a}{b}{c}"
    assert data.shape == (3, 16, 16)
    assert data.images.shape == (3000, 3, 16, 16)
    assert torch.equal(data[5], data.batch(torch.tensor([5]))[0])
    assert torch.equal(data[5], to_float(data.images[5]))


def test_the_same_seed_gives_the_same_stacks_and_more_of_them(data):
    again = load("stacked-glyphs", size=16, count=100)
    assert torch.equal(again.images[:], data.images[:100])
    assert torch.equal(again.labels, data.labels[:100])
    assert torch.equal(load("stacked-glyphs", size=16, limit=100).labels, again.labels)
    other = load("stacked-glyphs", size=16, count=100, seed=1)
    assert (other.labels != again.labels).sum() > 90


def test_channels_are_independent_and_modes_uniform(data):
    many = stack(single(data), 200_000, seed=3)
    digits = many.factors["digits"]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        joint = torch.bincount(digits[:, a] * 10 + digits[:, b], minlength=100).double() / 200_000
        alone = [torch.bincount(digits[:, k], minlength=10).double() / 200_000 for k in (a, b)]
        product = alone[0][:, None] * alone[1]
        # The plug-in mutual information of independent digits is 81/(2N) on average.
        information = float((joint * (joint / product.flatten()).log()).sum())
        assert information < 3 * 81 / 400_000
    assert len(many.labels.unique()) == 1000


def test_memory_is_that_of_the_digits(data):
    assert data.images.digits.data_ptr() == single(data).images.data_ptr()
    assert data.images.to("cpu").digits.data_ptr() == data.images.digits.data_ptr()


@pytest.mark.parametrize("resident", [True, False])
def test_stream_resumes_exactly(data, resident):
    def stream(seed):
        return Stream(data, 64, seed=seed, flip=True, resident=resident, workers=0)

    a = stream(5)
    for _ in range(50):  # into the second pass
        next(a)
    state = a.state_dict()
    rest = [next(a) for _ in range(3)]
    assert rest[0].shape == (64, 3, 16, 16)
    assert -1 <= rest[0].min() < rest[0].max() <= 1
    b = stream(6)
    b.load_state_dict(state)
    assert all(torch.equal(x, next(b)) for x in rest)


def test_stream_shows_stacks_of_the_set(data):
    whole = {picture.numpy().tobytes() for picture in data.images[:]}
    assert all(x.numpy().tobytes() in whole for x in to_uint8(next(Stream(data, 8, seed=1))))


def test_what_cannot_be_loaded_is_refused():
    with pytest.raises(DataError, match="three channels"):
        load("stacked-glyphs", channels=1)
    with pytest.raises(DataError, match="unknown option"):
        load("stacked-glyphs", typefaces=["x"])
    with pytest.raises(DataError, match="at least 1"):
        load("stacked-glyphs", size=16, count=0)
    with pytest.raises(DataError, match="cannot be stacked"):
        stack(load("glyphs", limit=10), 5)
    with pytest.raises(DataError, match="not a set of stacked"):
        single(load("glyphs", limit=10))


def test_offline_glyph_digits_stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    data = load("stacked-mnist", size=16, root=tmp_path / "none")
    assert isinstance(data.images, Stacks)
    assert data.name == "stacked-mnist"
    assert len(data) == 128_000
    assert data.shape == (3, 16, 16)
    assert "stand in" in data.note
    assert int(data.labels.min()) >= 0
    assert int(data.labels.max()) <= 999
    glyphs = load("stacked-glyphs", size=16)
    assert torch.equal(data.images[:20], glyphs.images[:20])


def test_it_is_listed():
    rows = {row["name"]: row for row in available()}
    row = rows["stacked-mnist"]
    assert (row["channels"], row["count"], row["here"]) == (3, 128_000, rows["mnist"]["here"])
    assert rows["stacked-glyphs"]["here"] == "built in"


@pytest.mark.parametrize("k", [1, 2, 300, 1000])
def test_known_coverage_is_counted_exactly(k):
    modes = torch.randperm(1000)[:k]
    result = stacked_modes(drawn(modes.repeat(7)), Reader())
    assert result.found == result.found_good == k
    assert result.reverse_kl == pytest.approx(math.log(1000 / k), abs=1e-12)
    assert result.samples == sum(result.counts) == 7 * k
    assert set(torch.tensor(result.counts).nonzero().flatten().tolist()) == set(modes.tolist())


def test_only_the_first_samples_are_scored():
    pictures = drawn(torch.arange(1000))
    result = stacked_modes(pictures, Reader(), samples=250)
    assert (result.found, result.samples) == (250, 250)
    assert torch.equal(torch.tensor(result.counts[:250]), torch.ones(250, dtype=torch.long))
    with pytest.raises(ValueError, match="no picture"):
        stacked_modes(pictures[:0], Reader())


def test_floats_score_like_the_bytes_they_round_to(judge, data):
    few = data.images[:40]
    noisy = to_float(few) + 0.2 / 127.5
    assert stacked_modes(noisy, judge) == stacked_modes(few, judge)
    with pytest.raises(ValueError, match="stacks are"):
        stacked_modes(few[:, :1], judge)


@pytest.mark.parametrize("samples", [2000, 26_000])
def test_expectation_of_exact_samples(samples):
    draw = torch.Generator().manual_seed(0)
    one = torch.rand(10, generator=draw, dtype=torch.float64) + 0.5
    one = one / one.sum()
    shares = (one[:, None, None] * one[:, None] * one).flatten()
    found, kl = expected_modes(shares, samples)
    trials = []
    for _ in range(30):
        modes = torch.multinomial(shares, samples, replacement=True, generator=draw)
        counts = torch.bincount(modes, minlength=1000).double()
        kept = counts[counts > 0] / samples
        trials.append([float(len(kept)), float((kept * kept.log()).sum()) + math.log(1000)])
    mean, error = torch.tensor(trials).mean(0), torch.tensor(trials).std(0) / 30**0.5
    assert abs(mean[0] - found) < 4 * error[0] + 0.05
    assert abs(mean[1] - kl) < 4 * error[1]


def test_expectation_in_closed_form():
    found, kl = expected_modes(torch.full((1000,), 1e-3), 26_000)
    assert found == pytest.approx(1000 * (1 - 0.999**26_000), rel=1e-12)
    assert kl == pytest.approx(999 / 52_000, rel=0.02)  # the first term of the expansion
    # Two modes, two samples: one half of the time both are found.
    found, kl = expected_modes(torch.tensor([0.5, 0.5]), 2)
    assert (found, kl) == pytest.approx((1.5, math.log(2) / 2))
    found, kl = expected_modes(torch.tensor([1.0, 0.0]), 100)
    assert (found, kl) == pytest.approx((1.0, math.log(2)), abs=1e-9)


def test_exact_samples_of_the_published_size():
    modes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    result = stacked_modes(drawn(modes), Reader())
    _, kl = expected_modes(torch.full((1000,), 1e-3), 26_000)
    assert result.found >= 999
    # The statistic 2N KL is close to chi-squared with 999 degrees: standard deviation 44.7.
    assert result.reverse_kl == pytest.approx(kl, abs=4 * 44.7 / 52_000)
    assert result.samples == 26_000


def test_the_judge_reads_stacks(judge, data):
    number, sure = judge.read(data.images[:1000])
    assert (number == data.labels[:1000]).double().mean() > 0.95
    assert judge.accuracy > 0.97
    assert judge.features(data.images[:7]).shape == (7, 192)
    assert float(judge.mode_shares().sum()) == pytest.approx(1)
    noise = torch.randint(0, 256, (1000, 3, 16, 16), dtype=torch.uint8)
    assert float((judge.read(noise)[1] >= 0.99).double().mean()) < 0.2
    assert float((sure >= 0.99).double().mean()) > 0.4


def test_the_judge_of_mnist(real_data, monkeypatch):
    monkeypatch.setattr(features, "STEPS", 300)
    judge = stack_judge(load("stacked-mnist", size=16, root=real_data))
    held = load("stacked-mnist", size=16, split="test", root=real_data)  # of other digits
    assert len(held) == 26_000
    number, _ = judge.read(held.images[:2000])
    assert (number == held.labels[:2000]).double().mean() > 0.93
    seen = load("stacked-mnist", size=16, root=real_data)
    number, _ = judge.read(seen.images[:2000])
    assert (number == seen.labels[:2000]).double().mean() > 0.95


def test_misread_digits_find_modes_that_certain_ones_do_not(judge):
    test = load("stacked-glyphs", size=16, split="test", count=60_000)
    known = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:50]
    rows = torch.isin(test.labels, known).nonzero().flatten()
    result = stacked_modes(test.images[rows], judge)
    assert result.found > result.found_good >= 45
    assert result.found_good < 60


def test_scores_of_a_run_have_both(data, judge, monkeypatch):
    monkeypatch.setattr(scoring, "stack_judge", lambda _: judge)

    def sample(n, seed):  # a generator that knows the even hundreds only
        even = (data.factors["digits"][:, 0] % 2 == 0).nonzero().flatten()
        return data.batch(even[torch.arange(n) % len(even)])

    scores = scoring.score(sample, data, False, n=500, modes=2000)
    assert scores["kind"] == "frechet"
    assert scores["frechet"] > 2 * scores["floor"] > 0
    assert scores["dims"] == 192
    assert 350 < scores["found"] < 520 < scores["real_found"] <= scores["modes"] == 1000
    assert math.log(2) < scores["reverse_kl"] < math.log(2) + 0.5
    assert scores["reverse_kl"] > scores["real_reverse_kl"] > 0
    assert scores["modes_n"] == 2000
    line = scoring.verdict(scores)
    assert f"{scores['found']} of 1000 modes" in line
    assert "n = 2000" in line
