"""Measures of disentanglement against closed forms."""

import math

import pytest
import torch

from ganlab import latent
from ganlab.errors import DataError
from ganlab.latent import gaps

LN2 = math.log(2)
N = 20_000


@pytest.fixture(scope="module")
def codes():
    return torch.randn(N, 4, generator=torch.Generator().manual_seed(0))


def coin(seed):
    return torch.rand(N, generator=torch.Generator().manual_seed(seed)) < 0.5


def test_labels_that_a_plane_parts_score_one(codes):
    slanted = codes @ torch.tensor([1.0, 2.0, -1.0, 0.5]) > 0.4
    score = latent.separability(codes, {"sign": codes[:, 0] > 0, "slanted": slanted})
    assert float(score) == pytest.approx(1, abs=0.1)
    assert max(score.entropies.values()) < 0.05


def test_labels_that_codes_say_nothing_of_double_the_score(codes):
    one = latent.separability(codes, coin(1))
    assert float(one) == pytest.approx(2, rel=1e-3)
    two = latent.separability(codes, {"a": coin(1), "b": coin(2)})
    assert float(two) == pytest.approx(4, rel=2e-3)
    assert list(two.entropies.values()) == pytest.approx([LN2, LN2], rel=2e-3)


def test_no_plane_parts_exclusive_or(codes):
    odd = (codes[:, 0] > 0) ^ (codes[:, 1] > 0)
    assert float(latent.separability(codes, odd)) == pytest.approx(2, rel=0.01)
    product = (codes[:, 0] * codes[:, 1])[:, None]  # a space in which they are parted
    assert float(latent.separability(product, odd)) == pytest.approx(1, abs=0.1)


def test_labels_that_are_wrong_in_a_known_share(codes):
    wrong = torch.rand(N, generator=torch.Generator().manual_seed(5)) < 0.1
    score = latent.separability(codes, (codes[:, 0] > 0) ^ wrong)
    binary = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert math.log(score.value) == pytest.approx(binary, rel=0.05)


def test_the_half_that_is_sure_is_judged(codes):
    # Noise makes labels wrong near the plane only: the surer half is parted, all are not.
    noisy = codes[:, 0] + 0.3 * torch.randn(N, generator=torch.Generator().manual_seed(6))
    everything = latent.separability(codes, noisy > 0)
    sure = latent.separability(codes, noisy > 0, confidence=noisy.abs())
    assert sure.n == N // 4
    assert everything.n == N // 2
    assert float(sure) < 1.05 < 1.3 < float(everything)
    with pytest.raises(DataError, match="one for each label"):
        latent.separability(codes, {"a": noisy > 0}, {"b": noisy.abs()})


def test_mutual_information_of_known_pairs(codes):
    factors = {
        "sign": (codes[:, 0] > 0).long(),
        "nothing": coin(3).long(),
        "itself": codes[:, 1],
        "copy": codes[:, 2].exp(),  # information knows no scale
    }
    found = latent.mutual_information(codes, factors)
    assert found.shape == (4, 4)
    assert float(found[0, 0]) == pytest.approx(LN2, rel=0.03)  # one bin lies across 0
    assert float(found[1, 2]) == pytest.approx(math.log(20), rel=0.01)
    assert float(found[2, 3]) == pytest.approx(math.log(20), rel=0.01)
    others = found.clone()
    others[0, 0] = others[1, 2] = others[2, 3] = 0
    assert float(others.max()) < 2e-3


def test_mutual_information_of_correlated_normals():
    rho = 0.8
    a, b = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(0)).unbind()
    b = rho * a + math.sqrt(1 - rho**2) * b
    exact = -0.5 * math.log(1 - rho**2)
    found = float(latent.mutual_information(a[:, None], b[:, None], bins=40))
    assert 0.95 * exact < found < exact  # bins lose a little


def test_exclusive_or_hides_in_pairs(codes):
    odd = ((codes[:, 0] > 0) ^ (codes[:, 1] > 0)).long()
    assert float(latent.mutual_information(codes, odd[:, None]).max()) < 2e-3
    assert latent.entropy(odd) == pytest.approx(LN2, rel=1e-3)
    sides = (codes[:, 0] > 0).long() * 2 + (codes[:, 1] > 0).long()
    assert latent.conditional_entropy(odd, sides) == pytest.approx(0, abs=1e-9)


def test_the_gap_is_one_on_axes_and_nought_turned(codes):
    factors = {"a": codes[:, 2], "b": codes[:, 0]}
    assert latent.mig(codes, factors) == pytest.approx(1, abs=0.01)
    turn = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)
    turned = codes[:, [0, 2]] @ turn
    assert latent.mig(turned, factors) == pytest.approx(0, abs=0.02)
    both = torch.stack([codes[:, 0], codes[:, 0], codes[:, 2]], 1)  # one factor in two places
    assert gaps(both, factors) == pytest.approx({"a": 1, "b": 0}, abs=0.01)
    with pytest.raises(DataError, match="never varies"):
        latent.mig(codes, torch.zeros(N, 1))
    with pytest.raises(DataError, match="two coordinates"):
        latent.mig(codes[:, :1], factors)


def test_linear_fits_tell_lines_from_curves(codes):
    found = latent.linear_fit(
        codes,
        {
            "line": codes @ torch.tensor([1.0, 1.0, 0.0, 3.0]) + 2,
            "square": codes[:, 0].square(),
            "half": codes[:, 0] + torch.randn(N, generator=torch.Generator().manual_seed(1)),
        },
    )
    assert found["line"] == pytest.approx(1, abs=1e-4)
    assert found["square"] == pytest.approx(0, abs=0.02)
    assert found["half"] == pytest.approx(0.5, abs=0.02)
    with pytest.raises(DataError, match="for 20000 codes"):
        latent.linear_fit(codes, torch.zeros(5))
