"""What every metric accepts and refuses, and that none touches the global random state."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ganlab import metrics

X = torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = 1.1 * X.flip(0)[:36] + 0.2

PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "fid": metrics.fid,
    "kid": lambda a, b: metrics.kid(a, b, 10, 20),
    "prdc": metrics.prdc,
    "precision_recall": metrics.precision_recall,
    "density_coverage": metrics.density_coverage,
    "sliced_wasserstein": lambda a, b: metrics.sliced_wasserstein(a, b, 32),
    "fid_infinity": lambda a, b: metrics.fid_infinity(a, b, 5),
    "leave_one_out_accuracy": lambda a, b: metrics.leave_one_out_accuracy(a[:36], b),
    "nearest_neighbour_test": lambda a, b: metrics.nearest_neighbour_test(a, b, X[:30] * 2),
}
every = pytest.mark.parametrize("name", PAIRS)


def numbers(result: Any) -> list[float]:
    fields = dataclasses.asdict(result).values()
    return [v for v in fields if isinstance(v, int | float) and math.isfinite(v)]


@every
def test_arrays_lists_and_all_float_types(name):
    metric = PAIRS[name]
    expected = numbers(metric(X, Y))
    assert expected == numbers(metric(X.numpy(), Y.numpy()))
    assert expected == numbers(metric(X.tolist(), Y.tolist()))
    assert expected == numbers(metric(list(X), [row.numpy() for row in Y]))
    assert expected == numbers(metric(X.clone().requires_grad_(), Y))
    for low in (torch.float32, torch.float16, torch.bfloat16):
        exact = numbers(metric(X.to(low).double(), Y.to(low).double()))
        assert exact == numbers(metric(X.to(low), Y.to(low)))  # float64 inside
    half = X.numpy().astype(np.float16)
    assert numbers(metric(half, Y)) == numbers(metric(half.astype(np.float64), Y))


@every
def test_the_global_random_state_is_untouched_and_results_repeat(name):
    before, old = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = PAIRS[name](X, Y), PAIRS[name](X, Y)
    assert numbers(first) == numbers(second)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (old == np.random.get_state()[1]).all()  # noqa: NPY002
    assert "nan" not in str(first)
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.n_real = 3


@every
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_by_name(name, value):
    bad = Y.clone()
    bad[7, 3] = value
    with pytest.raises(ValueError, match="fake: features contain NaN or infinity"):
        PAIRS[name](X, bad)


@every
def test_shapes_are_refused_by_name(name):
    metric = PAIRS[name]
    with pytest.raises(ValueError, match="5 dimensions, generated ones 4"):
        metric(X, Y[:, :4])
    with pytest.raises(ValueError, match=r"fake: features must have shape \(N, D\), not \(36,\)"):
        metric(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"fake: .* needs at least"):
        metric(X, Y[:0])
    with pytest.raises(ValueError, match="fake: features have no dimension"):
        metric(X, Y[:, :0])
    with pytest.raises(ValueError, match=r"fake: real numbers expected, not torch\.complex"):
        metric(X, torch.complex(Y, Y))
    with pytest.raises(ValueError, match="fake: not an array of real numbers"):
        metric(X, [["a", "b"]])


def test_real_comes_first():
    tight = 0.1 * X
    assert metrics.prdc(X, tight).precision > metrics.prdc(tight, X).precision
    assert metrics.fid(X, Y[:30]).n_real == 40


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (metrics.fid(X, X + 1), "5.000 (40 real, 40 generated, 5-d)"),
        (metrics.kid(torch.zeros(9, 2), torch.zeros(9, 2), 3, 9), "0.00000 ± 0.00000 over 3 sub"),
        (metrics.prdc(X, X), "precision 1.000, recall 1.000, density 1.000, coverage 1.000 (k = 5"),
        (metrics.precision_recall(X, X), "precision 1.000, recall 1.000 (k = 3, 40 real, 40 gen"),
        (metrics.density_coverage(X, X), "density 1.000, coverage 1.000 (k = 5"),
        (metrics.inception_score(torch.eye(4), 1), "4.000 ± 0.000 over 1 splits (4 generated, 4 c"),
        (metrics.leave_one_out_accuracy(X, X), "0.0% (real 0.0%, generated 0.0%; chance: 50 %; 4"),
        (metrics.sliced_wasserstein(X, X, 8), "0.0000 ± 0.0000 over 8 directions (40 real, 40 g"),
    ],
)
def test_results_print_well(result, text):
    assert str(result).startswith(text)
    if hasattr(result, "value"):
        assert float(result) == result.value


def test_every_public_name_exists_and_is_sorted():
    names = metrics.__all__
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(metrics, name).__doc__
