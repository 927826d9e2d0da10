"""CMMD and the standard errors of kernel distances: by hand, against the true spread, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.metrics import cmmd, kid, mmd


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=torch.float64)


def by_hand(x: torch.Tensor, y: torch.Tensor, biased: bool, sigma: float = 10.0) -> float:
    """The paper's formula, pair by pair, in 50 digits."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(50):
        a, b = ([[mp.mpf(v) for v in row] for row in t.tolist()] for t in (x, y))

        def mean(p: list, q: list, skip: bool) -> object:
            values = [
                mp.exp(-mp.fsum((s - t) ** 2 for s, t in zip(u, v)) / (2 * mp.mpf(sigma) ** 2))
                for i, u in enumerate(p)
                for j, v in enumerate(q)
                if not (skip and i == j)
            ]
            return mp.fsum(values) / len(values)

        within = mean(a, a, not biased) + mean(b, b, not biased)
        return float(1000 * (within - 2 * mean(a, b, False)))


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("sigma", [10.0, 1.5])
def test_cmmd_is_the_papers_formula(biased, sigma):
    x, y = normal(11, 5, 1) + 2, 1.2 * normal(8, 5, 2)
    found = cmmd(x, y, sigma, unit=False, biased=biased)
    assert found.value == pytest.approx(by_hand(x, y, biased, sigma), rel=1e-9)
    assert (found.n_real, found.n_fake, found.dims, found.biased) == (11, 8, 5, biased)


def test_vectors_are_brought_to_length_one():
    x, y = normal(20, 5, 1) + 1, normal(20, 5, 2) - 1
    units = [v / v.norm(dim=1, keepdim=True) for v in (x, y)]
    found = cmmd(x.float() * 7, y.float())
    assert found.value == pytest.approx(cmmd(*units, unit=False).value, rel=1e-5)
    assert found.value != pytest.approx(cmmd(x, y, unit=False).value, rel=0.1)


def test_with_unit_vectors_it_is_nearly_the_distance_of_the_means():
    # |x - y|^2 <= 4, so the exponent is at most 0.02 and the kernel nearly linear.
    x, y = (v / v.norm(dim=1, keepdim=True) for v in (normal(500, 8, 1) + 1, normal(500, 8, 2)))
    linear = 1000 / 100 * float((x.mean(0) - y.mean(0)).square().sum())
    assert cmmd(x, y, biased=True).value == pytest.approx(linear, rel=0.025)


def test_cmmd_has_no_bias_and_its_biased_form_has():
    found = [(normal(40, 6, 2 * s), normal(40, 6, 2 * s + 1)) for s in range(150)]
    plain = torch.tensor([cmmd(x, y).value for x, y in found])
    assert abs(float(plain.mean())) < 4 * float(plain.std()) / 150**0.5
    assert float(plain.min()) < 0 < float(plain.max())
    assert min(cmmd(x, y, biased=True).value for x, y in found) > 0


def test_a_common_shift_and_blocks_change_nothing(monkeypatch):
    x, y = normal(120, 6, 1), 1.3 * normal(110, 6, 2)
    whole = cmmd(x, y, unit=False)
    shifted = cmmd(x + 1e4, y + 1e4, unit=False)
    assert shifted.value == pytest.approx(whole.value, rel=1e-5)
    monkeypatch.setattr("ganlab.metrics.mmd.rows_at_a_time", lambda columns: 17)
    blocks = cmmd(x, y, unit=False)
    assert blocks.value == pytest.approx(whole.value, rel=1e-11)
    assert blocks.stderr == pytest.approx(whole.stderr, rel=1e-9)


def test_cmmd_says_what_does_not_fit():
    x = normal(5, 3)
    with pytest.raises(ValueError, match="real: a feature vector of zeros has no direction"):
        cmmd(torch.zeros(5, 3), x)
    assert cmmd(torch.zeros(5, 3), x, unit=False).value > 0
    with pytest.raises(ValueError, match="sigma must be a number above 0"):
        cmmd(x, x, sigma=0)
    with pytest.raises(ValueError, match="needs at least 2 samples"):
        cmmd(x, x[:1])
    with pytest.raises(ValueError, match="3 dimensions, generated ones 2"):
        cmmd(x, x[:, :2])
    assert math.isnan(cmmd(x, x[:3]).stderr)
    assert "3-d, sigma 10" in str(cmmd(x, x))


@pytest.mark.parametrize(("n", "m", "d"), [(9, 6, 3), (5, 7, 2)])
def test_the_parts_of_the_variance_are_those_of_the_centred_kernel(n, m, d):
    x, y = normal(n, d, 1), normal(m, d, 2) + 1

    def kernel(a, b):
        return (a @ b.T + 1) ** 2

    found = mmd.pairs(x, y, kernel)
    k, off = kernel(x, y), 1 - torch.eye(n, dtype=torch.float64)
    k = k - k.mean(0) - k.mean(1, keepdim=True) + k.mean()
    assert found.second_xy == pytest.approx(float(k.square().sum()) / ((n - 1) * (m - 1)))
    own = kernel(x, x) * off
    rows = own.sum(1) / (n - 1)
    own = (own - rows[:, None] - rows + rows.mean()) * off
    assert found.second_x == pytest.approx(float(own.square().sum()) / (n * (n - 3)))


@pytest.mark.parametrize(
    ("shift", "n", "subsets", "size"),
    [(0.0, 150, 1, 150), (0.3, 150, 1, 150), (0.0, 150, 40, 50), (0.3, 150, 40, 50)],
)
def test_the_standard_error_of_kid_is_its_true_spread(shift, n, subsets, size):
    values, errors, divided = [], [], []
    for seed in range(200):  # fresh samples each time: the spread that a reader wants to know
        x, y = normal(2 * n, 6, seed).chunk(2)
        found = kid(x, y + shift, subsets, size, seed)
        values.append(found.value)
        errors.append(found.stderr)
        divided.append(found.std / subsets**0.5)
    true, told, wrong = (float(torch.tensor(v).square().mean().sqrt()) for v in
                         ([v - sum(values) / 200 for v in values], errors, divided))  # fmt: skip
    assert told == pytest.approx(true, rel=0.25)  # the spread of 200 is itself known to 5 %
    if subsets > 1:  # subsets overlap: their spread over the root of their number is no error
        assert wrong < 0.6 * true


def test_the_standard_error_of_cmmd_is_its_true_spread():
    for shift in (0.0, 0.3):
        found = [cmmd(*(normal(200, 6, s) + shift * e).chunk(2)) for s, e in
                 ((s, torch.arange(200)[:, None] >= 100) for s in range(200))]  # fmt: skip
        true = float(torch.tensor([f.value for f in found]).std())
        told = sum(f.stderr for f in found) / 200
        assert told == pytest.approx(true, rel=0.25)


def test_more_subsets_of_the_same_samples_tell_nothing_new():
    x, y = normal(300, 6, 1), normal(300, 6, 2)
    few, many, whole = kid(x, y, 10, 100), kid(x, y, 1000, 100), kid(x, y, 1, 300)
    assert many.std / 1000**0.5 < 0.15 * many.stderr
    assert many.stderr == pytest.approx(whole.stderr, rel=0.05)
    assert few.stderr > many.stderr
    assert f"± {few.stderr:.5f}" in str(few)
    assert math.isnan(kid(x[:3], y[:3], 1, 3).stderr)


def test_a_large_sample_tells_its_error_from_a_part(monkeypatch):
    x, y = normal(900, 6, 1), normal(800, 6, 2) + 0.5
    whole = kid(x, y, 20, 200)
    monkeypatch.setattr("ganlab.metrics.kernel.ENOUGH", 400)
    part = kid(x, y, 20, 200)
    assert part.value == whole.value
    assert part.stderr == pytest.approx(whole.stderr, rel=0.2)
