"""Precision, recall, density and coverage; tests of copying by nearest neighbours."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor

from ganlab.metrics import (
    density_coverage,
    expected_coverage,
    leave_one_out_accuracy,
    nearest_neighbour_test,
    neighbours,
    prdc,
    precision_recall,
)


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=torch.float64)


def by_definition(x: Tensor, y: Tensor, k: int) -> tuple[float, float, float, float]:
    """Pair by pair."""

    def radii(a: list) -> list[float]:
        return [sorted(math.dist(p, q) for j, q in enumerate(a) if j != i)[k - 1]
                for i, p in enumerate(a)]  # fmt: skip

    a, b = x.tolist(), y.tolist()
    ra, rb = radii(a), radii(b)
    inside = [[math.dist(p, q) < r for q in b] for p, r in zip(a, ra)]  # real balls
    precision = sum(any(row[j] for row in inside) for j in range(len(b))) / len(b)
    recall = sum(any(math.dist(p, q) < r for q, r in zip(b, rb)) for p in a) / len(a)
    density = sum(map(sum, inside)) / (k * len(b))
    return precision, recall, density, sum(map(any, inside)) / len(a)


@pytest.mark.parametrize(("n", "m", "d", "k"), [(60, 45, 3, 5), (40, 70, 10, 3), (6, 6, 2, 5)])
def test_definition_pair_by_pair(n, m, d, k):
    x, y = normal(n, d), 0.8 * normal(m, d, 1) + 0.3
    found = prdc(x, y, k)
    expected = by_definition(x, y, k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(expected)
    pr, dc = precision_recall(x, y, k), density_coverage(x, y, k)
    assert (pr.precision, pr.recall) == (found.precision, found.recall)
    assert (dc.density, dc.coverage) == (found.density, found.coverage)


def test_far_from_the_origin():
    x, y = normal(300, 8), normal(300, 8, 1)
    assert prdc(x + 1e5, y + 1e5) == prdc(x, y)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_identical_sets_have_ties_and_they_are_outside(offset):
    # A ball holds itself and the k-1 neighbours before the one on its border.
    x = normal(500, 16) + offset
    found = prdc(x, x.clone())
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == 1


def test_far_apart_and_constant():
    x = normal(50, 4)
    assert prdc(x, x + 1000) == prdc(torch.zeros(50, 4), torch.ones(50, 4))
    assert str(prdc(x, x + 1000)).startswith("precision 0.000, recall 0.000, density 0.000")
    constant = prdc(torch.full((50, 4), 0.1), torch.full((50, 4), 0.1))
    assert constant.density == constant.recall == 0  # nothing is nearer than nought


def test_coverage_of_the_same_distribution():
    assert expected_coverage(400, 400, 5) == pytest.approx(0.9693, abs=1e-4)
    draws = [prdc(normal(400, 4, 2 * s), normal(400, 4, 2 * s + 1)) for s in range(8)]
    mean = sum(d.coverage for d in draws) / 8
    assert mean == pytest.approx(draws[0].expected_coverage, abs=0.006)
    assert sum(d.density for d in draws) / 8 == pytest.approx(1, abs=0.05)


def test_dropped_modes_and_outliers():
    centres = torch.tensor([[0.0, 0.0], [50.0, 0.0]], dtype=torch.float64)
    both = normal(400, 2) + centres.repeat(200, 1)
    one = normal(400, 2, 1)
    found = prdc(both, one)
    assert found.precision > 0.95
    assert found.recall == pytest.approx(0.5, abs=0.03)
    assert found.coverage == pytest.approx(0.5, abs=0.03)
    # One outlier's ball is huge: precision believes it, density hardly.
    wrong = normal(400, 2, 2) + 1000
    real = torch.cat([one, wrong[:1] + 500])
    assert prdc(real, wrong).precision == 1
    assert prdc(real, wrong).density == pytest.approx(1 / 5)


def test_blocks_change_nothing_and_bound_the_memory(monkeypatch):
    x, y = normal(700, 5), normal(650, 5, 1) * 1.1
    whole = prdc(x, y)
    monkeypatch.setattr(neighbours, "rows_at_a_time", lambda columns: 33)
    assert prdc(x, y) == whole
    sizes = []
    plain = neighbours._blocks

    def watched(a, b):
        for rows, squared in plain(a, b):
            sizes.append(squared.numel())
            yield rows, squared

    monkeypatch.setattr(neighbours, "_blocks", watched)
    prdc(x, y)
    assert max(sizes) <= 33 * 700


def test_ten_times_the_pairwise_loop():
    x, y = normal(150, 16), normal(150, 16, 1)
    prdc(x, y)
    start = time.process_time()
    by_definition(x, y, 5)
    loop = time.process_time() - start
    start = time.process_time()
    for _ in range(3):
        prdc(x, y)
    assert loop > 10 * (time.process_time() - start) / 3


def test_k_must_leave_a_neighbour():
    x = normal(5, 3)
    with pytest.raises(ValueError, match="real: a radius by neighbour k=5 needs at least 6 sampl"):
        prdc(x, normal(50, 3))
    with pytest.raises(ValueError, match="fake: a radius by neighbour k=3 needs at least 4"):
        precision_recall(x, x[:3])
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        density_coverage(x, x, 0)


# ---- copying ----


def test_copies_are_found_and_new_samples_are_not():
    train, fresh, held = normal(400, 8), normal(300, 8, 1), normal(350, 8, 2)
    honest = nearest_neighbour_test(train, fresh, held)
    assert honest.value == pytest.approx(0.5, abs=0.08)
    assert honest.p > 0.01
    copies = nearest_neighbour_test(train, train[:300], held)
    assert copies.value == 1
    assert copies.median_fake == 0
    assert copies.p < 1e-30
    assert copies.z < -10
    near = train[:300] + 0.3 * fresh
    assert nearest_neighbour_test(train, near, held).p < 1e-6
    far = nearest_neighbour_test(train, 2 * fresh, held)
    assert far.value < 0.1  # underfitting: farther from the training set than real ones
    assert far.z > 5
    assert far.p > 0.99


def test_the_rank_sum_is_scipys():
    scipy = pytest.importorskip("scipy.stats")
    # Whole numbers: ties within and between.
    train = torch.zeros(1, 1)
    fake = torch.randint(0, 6, (40, 1), generator=torch.Generator().manual_seed(1)).double()
    held = torch.randint(0, 8, (55, 1), generator=torch.Generator().manual_seed(2)).double()
    found = nearest_neighbour_test(train, fake, held)
    known = scipy.mannwhitneyu(
        held[:, 0], fake[:, 0], alternative="greater", method="asymptotic", use_continuity=False
    )
    assert found.value == pytest.approx(known.statistic / (40 * 55), rel=1e-12)
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)


def test_null_is_calibrated():
    p = [
        nearest_neighbour_test(
            normal(60, 3, 3 * s), normal(50, 3, 3 * s + 1), normal(50, 3, 3 * s + 2)
        ).p
        for s in range(300)
    ]
    assert sum(v < 0.1 for v in p) / 300 == pytest.approx(0.1, abs=0.06)


def test_everything_equal_is_chance():
    same = torch.ones(5, 2)
    found = nearest_neighbour_test(same, same, same)
    assert (found.value, found.z, found.p) == (0.5, 0.0, 0.5)


def test_leave_one_out():
    x, y = normal(400, 3), normal(400, 3, 1)
    same = leave_one_out_accuracy(x, y)
    assert same.value == pytest.approx(0.5, abs=0.07)
    assert leave_one_out_accuracy(x, y + 100).value == 1
    assert leave_one_out_accuracy(x, x.clone()).value == 0
    # Collapse: generated samples sit together, around a real one.
    few = leave_one_out_accuracy(x, x[:4].repeat(100, 1) + 0.01 * y)
    assert few.fake > 0.9
    assert few.real < 1
    with pytest.raises(ValueError, match="real has 400 samples and fake 399"):
        leave_one_out_accuracy(x, y[:399])


def test_copy_test_names_the_argument():
    x = normal(10, 3)
    with pytest.raises(ValueError, match="held_out: 3 dimensions expected, not 2"):
        nearest_neighbour_test(x, x, x[:, :2])
    with pytest.raises(ValueError, match="train: features contain NaN"):
        nearest_neighbour_test(x * math.nan, x, x)
