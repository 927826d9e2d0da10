"""The same features through torch-fidelity, torchmetrics, prdc and scikit-learn, where installed.

pip install torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2
"""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor, nn

from ganlab.metrics import fid, frechet_distance, inception_score, kid, prdc, precision_recall


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=torch.float64)


X, Y = normal(600, 32), 1.15 * normal(500, 32, 1) + 0.1


class AsTheyAre(nn.Module):
    """Features in, features out: torchmetrics takes no arrays."""

    num_features = 32

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_fid_of_torch_fidelity():
    theirs = pytest.importorskip("torch_fidelity.metric_fid")

    def of(x: Tensor, y: Tensor) -> float:
        stats = [theirs.fid_features_to_statistics(v) for v in (x, y)]
        found = theirs.fid_statistics_to_metric(*stats, verbose=False)
        return float(found["frechet_inception_distance"])

    assert fid(X, Y).value == pytest.approx(of(X, Y), rel=1e-12)
    assert fid(X, X).value == pytest.approx(of(X, X), abs=1e-10)
    # Fewer samples than dimensions: the eigenvalues of a singular product cost them digits.
    assert fid(X[:20], Y[:25]).value == pytest.approx(of(X[:20], Y[:25]), rel=1e-6)


def test_fid_of_a_matrix_square_root():
    linalg = pytest.importorskip("scipy.linalg")
    mu, cov = [v.mean(0) for v in (X, Y)], [torch.cov(v.T) for v in (X, Y)]
    root = torch.from_numpy(linalg.sqrtm((cov[0] @ cov[1]).numpy()).real)
    expected = (mu[0] - mu[1]).square().sum() + (cov[0] + cov[1] - 2 * root).trace()
    assert fid(X, Y).value == pytest.approx(float(expected), rel=1e-11)
    assert frechet_distance(mu[0], cov[0], mu[1], cov[1]) == pytest.approx(float(expected), 1e-11)


def test_fid_of_torchmetrics():
    theirs = pytest.importorskip("torchmetrics.image.fid")
    metric = theirs.FrechetInceptionDistance(feature=AsTheyAre()).set_dtype(torch.float64)
    metric.update(X, real=True)
    metric.update(Y, real=False)
    # Their sums of squares, and a value cast to the features' type.
    assert fid(X, Y).value == pytest.approx(float(metric.compute()), rel=1e-6)


def test_kid_of_torch_fidelity():
    theirs = pytest.importorskip("torch_fidelity.metric_kid")
    found = theirs.kid_features_to_metric(
        X[:500], Y, kid_subsets=1, kid_subset_size=500, verbose=False
    )
    ours = kid(X[:500], Y, 1, 500)
    assert ours.value == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-12)
    many = theirs.kid_features_to_metric(X, Y, kid_subsets=200, kid_subset_size=100, verbose=False)
    ours = kid(X, Y, 200, 100)  # other subsets: equal up to their spread
    error = 4 * ours.std * math.sqrt(2 / 200)
    assert ours.value == pytest.approx(many["kernel_inception_distance_mean"], abs=error)
    assert ours.std == pytest.approx(many["kernel_inception_distance_std"], rel=0.25)


def test_kid_of_scikit_learn():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    a, b = X[:500].numpy(), Y.numpy()
    k = [pairwise.polynomial_kernel(u, v, 3, 1 / 32, 1) for u, v in ((a, a), (b, b), (a, b))]
    within = sum((m.sum() - m.trace()) / (500 * 499) for m in k[:2])
    assert kid(X[:500], Y, 1, 500).value == pytest.approx(within - 2 * k[2].mean(), rel=1e-11)


@pytest.mark.parametrize(("d", "k"), [(32, 5), (3, 3)])
def test_prdc_of_its_authors(d, k):
    theirs = pytest.importorskip("prdc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = theirs.compute_prdc(X[:, :d].numpy(), Y[:, :d].numpy(), k)
    ours = prdc(X[:, :d], Y[:, :d], k)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(ours, name) == pytest.approx(found[name], rel=1e-14), name


def test_precision_and_recall_of_torch_fidelity():
    theirs = pytest.importorskip("torch_fidelity.metric_prc")
    found = theirs.prc_features_to_metric(Y, X, prc_neighborhood=3, verbose=False)
    ours = precision_recall(X, Y)
    assert ours.precision == pytest.approx(float(found["precision"]), rel=1e-6)
    assert ours.recall == pytest.approx(float(found["recall"]), rel=1e-6)


def test_inception_score_of_torch_fidelity():
    theirs = pytest.importorskip("torch_fidelity.metric_isc")
    logits = 2 * normal(503, 10)
    found = theirs.isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = inception_score(logits.softmax(1))
    assert ours.value == pytest.approx(found["inception_score_mean"], rel=1e-12)
    assert ours.std == pytest.approx(found["inception_score_std"], rel=1e-10)
