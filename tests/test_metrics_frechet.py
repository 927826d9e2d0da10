"""Fréchet distance: its three routes against each other and 50 digits; streamed statistics."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from ganlab.metrics import (
    Statistics,
    congruent,
    fid,
    fid_bias,
    fid_infinity,
    frechet_distance,
    gram,
    statistics,
)


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=torch.float64)


def exact(x: torch.Tensor, y: torch.Tensor) -> float:
    """Eq. 6 in 50-digit arithmetic, by the eigenvalues of S1 S2."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(50):

        def gaussian(data: torch.Tensor) -> tuple:
            m = mp.matrix(data.tolist())
            mu = [mp.fsum(m[:, j]) / m.rows for j in range(m.cols)]
            c = mp.matrix(m.rows, m.cols)
            for i in range(m.rows):
                for j in range(m.cols):
                    c[i, j] = m[i, j] - mu[j]
            return mu, c.T * c / (m.rows - 1)

        (m1, s1), (m2, s2) = gaussian(x), gaussian(y)
        values = mp.eig(s1 * s2, left=False, right=False)
        cross = mp.fsum(mp.sqrt(abs(mp.re(v))) for v in values)
        traces = mp.fsum(s1[j, j] + s2[j, j] for j in range(s1.rows))
        return float(mp.fsum((a - b) ** 2 for a, b in zip(m1, m2)) + traces - 2 * cross)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 25, 5), (4, 5, 8), (3, 20, 6), (2, 2, 4)])
def test_fifty_digits(n, m, d):
    x, y = normal(n, d, 1), 1.3 * normal(m, d, 2) + 0.4
    expected = exact(x, y)
    assert fid(x, y).value == pytest.approx(expected, rel=1e-13, abs=1e-13)
    # Covariances have lost the null space of fewer samples than dimensions to rounding.
    loose = 1e-12 if min(n, m) > d else 1e-6
    assert fid(Statistics.of(x), y).value == pytest.approx(expected, rel=loose)


def test_fifty_digits_far_from_the_origin():
    x, y = normal(20, 4, 1) + 1e6, normal(20, 4, 2) + 1e6
    assert fid(x, y).value == pytest.approx(exact(x, y), rel=1e-8)
    assert fid(Statistics.of(x), y).value == pytest.approx(exact(x, y), rel=1e-8)


@pytest.mark.parametrize("n", [100, 299, 301, 700])  # both sides of D = 300, a large one
def test_routes_agree(n):
    x, y = normal(n, 300), 1.2 * normal(n - 20, 300, 1)
    streamed = fid(Statistics.of(x), Statistics.of(y))
    assert fid(Statistics.of(y), Statistics.of(x)).value == pytest.approx(streamed.value, 1e-8)
    assert streamed.value == pytest.approx(fid(x, y).value, rel=1e-8)
    assert streamed.n_fake == n - 20
    root = torch.linalg.eigvals(statistics(x)[1] @ statistics(y)[1]).sqrt().real.sum()
    traces = x.var(0).sum() + y.var(0).sum()
    plain = (x.mean(0) - y.mean(0)).square().sum() + traces - 2 * root
    assert streamed.value == pytest.approx(float(plain), rel=1e-7)


@pytest.mark.parametrize("n", [5, 64, 400])
def test_identical_sets(n):
    x = normal(n, 64)
    assert abs(fid(x, x).value) < 1e-11
    assert abs(fid(Statistics.of(x), Statistics.of(x)).value) < 1e-5


@pytest.mark.parametrize("n", [2, 5, 40])
def test_shift_scale_and_constants(n):
    x, v = normal(n, 8), torch.arange(8.0)
    assert fid(x, x + v).value == pytest.approx(float(v @ v), rel=1e-12)
    assert fid(x, x + v).mean_part == pytest.approx(float(v @ v), rel=1e-12)
    mu, s = statistics(x)
    scaled = (0.7**2) * float(mu @ mu + s.trace())
    assert fid(x, 1.7 * x).value == pytest.approx(scaled, rel=1e-12)
    assert fid(torch.full((n, 8), 3.0), torch.full((n, 8), 4.0)).value == 8
    dead = torch.cat([x, torch.zeros(n, 3)], 1)  # units that never fire
    assert fid(dead, 1.7 * dead).value == pytest.approx(scaled, rel=1e-12)


def test_compare_gan():
    real, fake = torch.ones(100, 2), torch.full((100, 2), 9.0)
    real[:50, 0] = 2
    fake[50:, 0] = 2
    assert fid(real, fake).value == pytest.approx(80 + 9 / 0.99, rel=1e-14)


def test_a_stream_equals_the_batch():
    x = normal(1000, 20) * torch.linspace(0.1, 5, 20) + 1e4
    whole = Statistics.of(x)
    parts = Statistics(20)
    for part in x.split([1, 7, 0, 500, 492]):
        parts.update(part)
    merged = Statistics(20)
    for rank in range(3):  # uneven parts, as ranks have
        one = Statistics(20)
        for batch in x[rank * 450 : (rank + 1) * 450].split(64):
            one.update(batch)
        merged.merge(one)
    merged.merge(Statistics(20))
    cov = np.cov(x.numpy(), rowvar=False)
    for found in (whole, parts, merged):
        assert found.count == 1000
        assert torch.allclose(found.mean, x.mean(0), rtol=1e-14)
        np.testing.assert_allclose(found.covariance, cov, rtol=1e-11, atol=1e-12)
    y = normal(300, 20)
    assert fid(parts, y).value == pytest.approx(fid(x, y).value, rel=1e-9)


def test_ranks_end_with_the_same_statistics(monkeypatch):
    x = normal(100, 4)
    ranks = [Statistics.of(x[:10]), Statistics(4), Statistics.of(x[10:])]
    assert ranks[0].across_ranks() is ranks[0]  # alone

    def all_gather(found, mine):  # one process plays all
        for slot, one in zip(found, ranks):
            state = one.state_dict()
            slot.copy_(torch.cat([torch.tensor([one.count]), state["mean"], *state["scatter"]]))

    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 3)
    monkeypatch.setattr("torch.distributed.all_gather", all_gather)
    whole = ranks[1].across_ranks()
    assert whole.count == 100
    assert torch.allclose(whole.covariance, torch.cov(x.T), rtol=1e-13)
    assert ranks[1].count == 0


def test_statistics_are_kept_in_a_file(tmp_path):
    found = Statistics.of(normal(50, 6))
    found.save(tmp_path / "a.safetensors", {"features": "abc"})
    again = Statistics.load(tmp_path / "a.safetensors")
    assert again.count == 50
    assert torch.equal(again.covariance, found.covariance)
    again.update(normal(5, 6))
    assert again.count == 55
    (tmp_path / "b.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="holds no statistics"):
        Statistics.load(tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="7 dimensions expected"):
        Statistics(7).load_state_dict(found.state_dict())


def test_statistics_refuse_and_stay_as_they_were():
    found = Statistics.of(normal(50, 6))
    before = found.covariance
    bad = normal(5, 6)
    bad[0, 0] = math.inf
    with pytest.raises(ValueError, match="features: features contain NaN or infinity"):
        found.update(bad)
    with pytest.raises(ValueError, match="6 dimensions expected, not 5"):
        found.update(normal(5, 5))
    with pytest.raises(ValueError, match="6 and of 5"):
        found.merge(Statistics(5))
    assert found.count == 50
    assert torch.equal(found.covariance, before)
    with pytest.raises(ValueError, match="real: a covariance needs at least 2 samples, not 1"):
        fid(Statistics.of(normal(1, 6)), found)
    with pytest.raises(ValueError, match="a mean needs at least 1"):
        _ = Statistics(3).mean


def test_products():
    x = normal(300, 600)
    assert torch.allclose(gram(x), x.T @ x, rtol=0, atol=1e-11)
    assert torch.equal(gram(x)[:256, 256:], gram(x)[256:, :256].T)
    lower, s = normal(600, 600).tril(), gram(x)
    assert torch.allclose(congruent(lower, s), lower.T @ s @ lower, rtol=1e-10, atol=1e-7)


def test_given_statistics_are_checked():
    mu, s = statistics(normal(50, 3))
    assert frechet_distance(mu, s, mu.numpy(), s.tolist()) == pytest.approx(0, abs=1e-12)
    crooked = s.clone()
    crooked[0, 1] += 1
    with pytest.raises(ValueError, match="generated: the covariance is not symmetric"):
        frechet_distance(mu, s, mu, crooked)
    with pytest.raises(ValueError, match="generated covariance: values contain NaN"):
        frechet_distance(mu, s, mu, s * math.nan)


def test_bias_and_extrapolation():
    d, n = 16, 2000
    assert fid_bias(d, n) == (d * (d + 1) / 2 + 2 * d) / n
    assert fid_bias(d, n, 4.0, math.inf) == pytest.approx(2 * fid_bias(d, n))
    x, y = normal(n, d), normal(n, d, 1)
    line = fid_infinity(x, y, both=True)
    assert line.sizes[0] == 200
    assert line.sizes[-1] == n
    assert line.values[-1] == pytest.approx(fid(x, y).value, rel=1e-9)  # all, in another order
    assert abs(line.value) < 0.2 * fid(x, y).value
    assert line.slope == pytest.approx(n * fid_bias(d, n), rel=0.1)
    assert line.at(n) == pytest.approx(fid(x, y).value, abs=3 * line.residual)
    half = fid_infinity(x, y)
    assert half == fid_infinity(Statistics.of(x), y)
    with pytest.raises(ValueError, match="both=True cuts the real set"):
        fid_infinity(Statistics.of(x), y, both=True)
    with pytest.raises(ValueError, match="15 sizes between 2 and 10 samples"):
        fid_infinity(x, y[:10])


def test_what_extrapolation_leaves():
    # With the real set whole, half of the bias is its own, and stays; cut as well, none.
    whole = cut = 0.0
    for seed in range(20):
        x, y = normal(1000, 12, 2 * seed), normal(1000, 12, 2 * seed + 1)
        whole += fid_infinity(x, y, 6, smallest=250).value / 20
        cut += fid_infinity(x, y, 6, smallest=250, both=True).value / 20
    assert whole == pytest.approx(fid_bias(12, 1000, n_fake=math.inf), rel=0.3)
    assert abs(cut) < 0.2 * fid_bias(12, 1000)


def test_large_statistics_take_seconds():
    x = Statistics.of(normal(1100, 1024))
    start = time.process_time()
    fid(x, x)
    assert time.process_time() - start < 5  # 0.2 s where it was written
