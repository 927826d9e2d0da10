"""Fréchet distance and mode coverage against closed forms; the classifier's features."""

import math

import pytest
import torch

from ganlab.metrics import classifier, fid, frechet_distance, mode_coverage, statistics

DRAW = torch.Generator().manual_seed(0)
X = torch.randn(300, 6, generator=DRAW, dtype=torch.float64)


def test_shifted_features_give_the_squared_shift():
    v = torch.arange(6.0, dtype=torch.float64)
    result = fid(X, X + v)
    assert result.value == pytest.approx(float(v @ v), rel=1e-9)
    assert result.mean_part == pytest.approx(float(v @ v), rel=1e-9)
    assert (result.n_real, result.n_fake, result.dims) == (300, 300, 6)


@pytest.mark.parametrize("n", [300, 4])  # 4 < 6: singular covariances
def test_scaled_features_have_a_closed_form(n):
    x, c = X[:n], 1.7
    mu, sigma = statistics(x)
    expected = (c - 1) ** 2 * float(mu @ mu + sigma.trace())
    assert fid(x, c * x).value == pytest.approx(expected, rel=1e-6)


def test_published_closed_form_of_compare_gan():
    # google/compare_gan's unit test: 80 + 9/0.99.
    real, fake = torch.ones(100, 2), torch.full((100, 2), 9.0)
    real[:50, 0] = 2
    fake[50:, 0] = 2
    assert fid(real, fake).value == pytest.approx(80 + 9 / 0.99, rel=1e-3)


def test_constant_features():
    assert fid(torch.zeros(5, 8), torch.ones(5, 8)).value == pytest.approx(8)
    assert fid(X, X).value == pytest.approx(0, abs=1e-9)


def test_bias_of_two_samples_of_one_gaussian():
    # (D(D+1)/2 + 2D)/N in the mean, derived in the evaluation chapter.
    n, d, runs = 500, 16, 20
    values = [
        fid(torch.randn(n, d, generator=DRAW), torch.randn(n, d, generator=DRAW)).value
        for _ in range(runs)
    ]
    assert sum(values) / runs == pytest.approx((d * (d + 1) / 2 + 2 * d) / n, rel=0.06)


def test_agreement_with_a_general_matrix_square_root():
    y = torch.randn(200, 6, generator=DRAW, dtype=torch.float64) @ torch.diag(
        torch.arange(1.0, 7).double()
    )
    mu1, s1 = statistics(X)
    mu2, s2 = statistics(y)
    eigenvalues = torch.linalg.eigvals(s1 @ s2)
    expected = (
        (mu1 - mu2).square().sum() + s1.trace() + s2.trace() - 2 * eigenvalues.sqrt().real.sum()
    )
    assert frechet_distance(mu1, s1, mu2, s2) == pytest.approx(float(expected), rel=1e-10)


def test_statistics_are_numpys():
    import numpy as np

    mu, sigma = statistics(X)
    assert np.allclose(mu, X.numpy().mean(0))
    assert np.allclose(sigma, np.cov(X.numpy(), rowvar=False))


def test_bad_features_are_refused_by_name():
    bad = X.clone()
    bad[3, 2] = math.nan
    with pytest.raises(ValueError, match=r"fake: features contain NaN"):
        fid(X, bad)
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        fid(X[0], X)
    with pytest.raises(ValueError, match="at least 2"):
        fid(X, X[:1])
    with pytest.raises(ValueError, match="6 dimensions"):
        fid(X, X[:, :5])


CENTERS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_modes_are_counted():
    exact = CENTERS[:2].repeat(50, 1)
    result = mode_coverage(exact, CENTERS, std=1.0)
    assert (result.found, result.modes, result.good) == (2, 3, 1.0)
    assert result.counts == (50, 50, 0)
    assert result.reverse_kl == pytest.approx(math.log(3 / 2))


def test_the_radius_is_three_deviations():
    near = torch.tensor([[2.99, 0.0], [3.01, 0.0]])
    assert mode_coverage(near, CENTERS, std=1.0).good == 0.5


def test_exact_gaussians_score_989_permille():
    x = CENTERS[torch.randint(3, (20000,), generator=DRAW)] + torch.randn(20000, 2, generator=DRAW)
    assert mode_coverage(x, CENTERS, 1.0).good == pytest.approx(1 - math.exp(-4.5), abs=3e-3)


def test_no_good_sample_and_bad_input():
    far = torch.full((5, 2), 99.0)
    assert mode_coverage(far, CENTERS, 1.0).reverse_kl == math.inf
    for bad in (torch.zeros(0, 2), torch.zeros(3, 3), torch.full((1, 2), math.nan)):
        with pytest.raises(ValueError, match="samples"):
            mode_coverage(bad, CENTERS, 1.0)
    with pytest.raises(ValueError, match="std"):
        mode_coverage(CENTERS, CENTERS, 0)


@pytest.fixture(scope="module")
def judge_and_data():
    from ganlab.data import load

    data = load("glyphs", size=16, limit=2000)
    patch = pytest.MonkeyPatch()
    patch.setattr("ganlab.metrics.features.STEPS", 150)
    yield data, patch
    patch.undo()


def test_classifier_learns_is_cached_and_carries_its_fingerprint(
    judge_and_data, tmp_path, monkeypatch
):
    data, _ = judge_and_data
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    first = classifier(data)
    assert first.task == "classes"
    assert first.accuracy > 5 / len(data.classes)  # far above chance after 150 steps
    monkeypatch.setattr("ganlab.metrics.features.train", None)  # a second training would fail
    again = classifier(data)
    assert again.fingerprint == first.fingerprint
    x = data.images[:10]
    assert torch.equal(first.features(x), again.features(x))
    assert torch.allclose(first.predict(data.batch(torch.arange(10))).sum(1), torch.ones(10))


def test_features_tell_noise_from_pictures(judge_and_data):
    data, _ = judge_and_data
    judge = classifier(data)
    half = len(data) // 2
    real, other = judge.features(data.images[:half]), judge.features(data.images[half:])
    noise = torch.randint(0, 256, data.images[:half].shape, dtype=torch.uint8, generator=DRAW)
    assert fid(real, judge.features(noise)).value > 20 * fid(real, other).value


def test_without_labels_it_learns_rotations(judge_and_data, monkeypatch):
    from dataclasses import replace

    data, _ = judge_and_data
    bare = replace(data, labels=None, classes=(), name="bare")
    judge = classifier(bare)
    assert judge.task == "rotation"
    assert judge.accuracy > 0.4  # chance is 0.25
