"""Kernel distance, Inception Score and sliced Wasserstein: closed forms, 50 digits, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.metrics import inception_score, kid, sliced_wasserstein


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=torch.float64)


def by_hand(x: torch.Tensor, y: torch.Tensor) -> float:
    """The unbiased estimate, pair by pair, in 50 digits."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(50):
        a, b = ([[mp.mpf(v) for v in row] for row in t.tolist()] for t in (x, y))

        def mean(p: list, q: list, same: bool) -> object:
            values = [
                (mp.fdot(u, v) / len(u) + 1) ** 3
                for i, u in enumerate(p)
                for j, v in enumerate(q)
                if not (same and i == j)
            ]
            return mp.fsum(values) / len(values)

        return float(mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False))


def test_kid_of_the_whole_set_in_fifty_digits():
    x, y = normal(14, 6, 1) + 2, 1.2 * normal(14, 6, 2)
    found = kid(x, y, subsets=1, subset_size=14)
    assert found.value == pytest.approx(by_hand(x, y), rel=1e-13)
    assert found.std == 0
    assert (found.n_real, found.n_fake, found.dims) == (14, 14, 6)


@pytest.mark.parametrize("size", [5, 11])  # pairs of each subset; all pairs once
def test_kid_averages_over_subsets(size):
    x, y = normal(30, 6, 1), 1.2 * normal(26, 6, 2)
    subsets = 40
    draw = torch.Generator().manual_seed(3)
    values = []
    for _ in range(subsets):
        i = torch.randperm(30, generator=draw)[:size]
        j = torch.randperm(26, generator=draw)[:size]
        values.append(kid(x[i], y[j], 1, size).value)
    found = kid(x, y, subsets, size, seed=3)
    each = torch.tensor(values, dtype=torch.float64)
    assert found.value == pytest.approx(float(each.mean()), rel=1e-12)
    assert found.std == pytest.approx(float(each.std(correction=0)), rel=1e-10)
    assert found != kid(x, y, subsets, size, seed=4)


def test_kid_in_blocks(monkeypatch):
    x, y = normal(120, 6, 1), 1.2 * normal(110, 6, 2)
    whole = kid(x, y, 50, 90)
    monkeypatch.setattr("ganlab.metrics.kernel.rows_at_a_time", lambda columns: 17)
    assert kid(x, y, 50, 90).value == pytest.approx(whole.value, rel=1e-12)


def test_kid_of_constants_and_copies():
    a, b = torch.full((10, 4), 0.5), torch.ones(10, 4)
    assert kid(a, b, 3, 10).value == pytest.approx(1.25**3 + 2**3 - 2 * 1.5**3, rel=1e-14)
    x = normal(50, 4)
    assert kid(x, x.clone(), 1, 50).value < 0


def test_kid_has_no_bias():
    values = [kid(normal(40, 3, 2 * s), normal(40, 3, 2 * s + 1), 1, 40).value for s in range(200)]
    spread = torch.tensor(values).std() / 200**0.5
    assert abs(sum(values) / 200) < 4 * float(spread)
    assert min(values) < 0 < max(values)


def test_kid_says_what_does_not_fit():
    x = normal(30, 4)
    with pytest.raises(ValueError, match=r"subset_size=1000 is more than the data has \(30 real"):
        kid(x, x)
    with pytest.raises(ValueError, match="subset_size=20 and say so"):
        kid(x, x[:20], 5, 25)
    with pytest.raises(ValueError, match="subset_size must be at least 2"):
        kid(x, x, 5, 1)
    with pytest.raises(ValueError, match="subsets must be"):
        kid(x, x, 0, 5)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([1, 1, 1, 1], 4.0),  # balanced, certain
        ([1, 0, 0, 0], 1.0),
        ([1, 1, 1, 0], 3.0),
        ([2, 1, 1, 0], math.exp(1.5 * math.log(2))),  # exp of the entropy
    ],
)
def test_inception_score_of_certain_rows(shares, expected):
    rows = torch.eye(4)[torch.tensor([c for c, n in enumerate(shares) for _ in range(n)])]
    found = inception_score(rows.repeat(20, 1), splits=5)
    assert found.value == pytest.approx(expected, rel=1e-13)
    assert found.std == pytest.approx(0, abs=1e-13)


def test_inception_score_of_uncertain_rows_is_one():
    assert inception_score(torch.full((20, 10), 0.1), splits=2).value == pytest.approx(1, abs=1e-14)


def test_inception_score_in_fifty_digits():
    mp = pytest.importorskip("mpmath")
    p = normal(23, 5).mul(2).softmax(1)
    p[0] = torch.eye(5)[2]
    with mp.workdps(50):
        scores = []
        for i in range(3):
            part = p[i * 23 // 3 : (i + 1) * 23 // 3].tolist()
            mean = [mp.fsum(col) / len(part) for col in zip(*part)]
            kl = [mp.fsum(a * mp.log(a / m) for a, m in zip(row, mean) if a) for row in part]
            scores.append(mp.exp(mp.fsum(kl) / len(kl)))
        expected = float(mp.fsum(scores) / 3)
    found = inception_score(p, splits=3)
    assert found.value == pytest.approx(expected, rel=1e-13)
    assert (found.splits, found.n, found.classes) == (3, 23, 5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_inception_score_of_rough_probabilities(dtype):
    p = normal(200, 10).mul(2).softmax(1)
    exact = inception_score(p).value
    assert inception_score(p.to(dtype)).value == pytest.approx(exact, rel=5e-3)
    if dtype is not torch.bfloat16:  # numpy has none
        assert inception_score(p.to(dtype).numpy()) == inception_score(p.to(dtype))


def test_inception_score_refuses_logits():
    with pytest.raises(ValueError, match=r"probs: negative values; these look like logits"):
        inception_score(normal(100, 10))
    with pytest.raises(ValueError, match=r"probs: a row sums to .* apply softmax"):
        inception_score(normal(100, 10).abs())
    with pytest.raises(ValueError, match="splits=10 must lie between 1 and the number"):
        inception_score(torch.full((5, 2), 0.5))
    with pytest.raises(ValueError, match=r"probs: \(N, C\)"):
        inception_score(torch.full((5,), 0.2))


def test_sliced_distance_on_a_line_is_exact():
    # On a line every direction is the same: sorted samples meet.
    x, y = normal(9, 1), normal(9, 1, 1) * 2 + 1
    gap = x.sort(0).values - y.sort(0).values
    for order in (1, 2):
        expected = float(gap.abs().pow(order).mean()) ** (1 / order)
        found = sliced_wasserstein(x, y, 3, order=order)
        assert found.value == pytest.approx(expected, rel=1e-13)
        assert found.stderr == pytest.approx(0, abs=1e-12)


def test_unequal_samples_meet_by_quantiles():
    x, y = normal(4, 1), normal(6, 1, 1)
    both = sliced_wasserstein(x.repeat_interleave(3, 0), y.repeat_interleave(2, 0), 2)
    assert sliced_wasserstein(x, y, 2).value == pytest.approx(both.value, rel=1e-13)
    assert sliced_wasserstein(x, x[:1], 2).value == pytest.approx(
        float((x - x[0]).square().mean().sqrt()), rel=1e-13
    )
    scipy = pytest.importorskip("scipy.stats")
    expected = scipy.wasserstein_distance(x.flatten(), y.flatten())
    assert sliced_wasserstein(x, y, 2, order=1).value == pytest.approx(expected, rel=1e-12)


def test_sliced_distance_of_a_shift():
    # E (direction . v)^2 = |v|^2 / D.
    x, v = normal(50, 16), torch.arange(16.0)
    found = sliced_wasserstein(x, x + v, 4000)
    expected = float(v.norm()) / 4
    assert found.value == pytest.approx(expected, abs=4 * found.stderr)
    assert 0 < found.stderr < 0.05 * expected
    assert sliced_wasserstein(x, x.flip(0)).value == pytest.approx(0, abs=1e-12)


def test_sliced_distance_says_what_does_not_fit():
    x = normal(5, 3)
    with pytest.raises(ValueError, match="projections must be"):
        sliced_wasserstein(x, x, 0)
    with pytest.raises(ValueError, match="order must be 1 or 2"):
        sliced_wasserstein(x, x, order=3)
