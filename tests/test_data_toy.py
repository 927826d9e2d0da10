"""Points: samplers against moments, densities against quadrature, modes against the papers."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.data import toy
from ganlab.errors import DataError


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def mass(dist, low, high, steps):
    """Midpoint rule over a square, and the first moment by the same rule."""
    axis = low + (high - low) * (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    x = torch.cartesian_prod(axis, axis)
    p = dist.log_prob(x).exp() * ((high - low) / steps) ** 2
    return p.sum().item(), (p[:, None] * x).sum(0)


def test_sizes_of_veegan_and_pacgan():
    ring, grid = toy.make("ring8"), toy.make("grid25")
    assert ring.std == 0.01
    assert grid.std == 0.05
    assert torch.allclose(ring.centers.norm(dim=1), torch.ones(8))
    gap = ring.centers - ring.centers.roll(1, 0)
    assert torch.allclose(gap.norm(dim=1), torch.full((8,), 2 * math.sin(math.pi / 8)), atol=1e-6)
    want = {(x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)}
    assert {tuple(c) for c in grid.centers.tolist()} == want


@pytest.mark.parametrize("name", ["ring8", "grid25"])
def test_each_mode_has_its_share_mean_and_spread(name):
    dist = toy.make(name)
    n = 100_000
    x = dist.sample(n, gen())
    assert x.shape == (n, 2)
    assert x.dtype == torch.float32
    nearest = torch.cdist(x, dist.centers).argmin(1)
    k = len(dist.centers)
    counts = nearest.bincount(minlength=k).double()
    expected = n / k
    assert ((counts - expected).abs() < 5 * math.sqrt(expected)).all()
    for mode in range(k):
        own = (x[nearest == mode] - dist.centers[mode]).double() / dist.std
        error = 5 / math.sqrt(len(own))
        assert (own.mean(0).abs() < error).all()
        assert torch.allclose(own.T.cov(), torch.eye(2).double(), atol=2 * error)


def test_share_of_exact_samples_within_three_deviations():
    """1 - exp(-9/2) = 98.89 % in two dimensions: the ceiling of the 'high quality' score."""
    for name in ("ring8", "grid25"):
        dist = toy.make(name)
        near = torch.cdist(dist.sample(200_000, gen()), dist.centers).amin(1) < 3 * dist.std
        assert abs(near.double().mean().item() - (1 - math.exp(-4.5))) < 0.002


def test_densities_integrate_to_one_and_have_the_right_mean():
    cases = [
        (toy.ring(std=0.05), -1.6, 1.6),
        (toy.grid(side=3, spacing=1.0, std=0.05), -1.6, 1.6),
        (toy.two_moons(noise=0.05), -2.0, 2.0),
        (toy.swiss_roll(noise=0.08), -2.6, 2.6),
    ]
    for dist, low, high in cases:
        total, mean = mass(dist, low, high, 100)
        assert abs(total - 1) < 1e-6, dist.name
        sampled = dist.sample(50_000, gen()).double().mean(0)
        assert (mean - sampled).abs().max() < 0.03, dist.name


def test_density_matches_the_sampler_cell_by_cell():
    """Counts of samples in the cells of a square against the density integrated over them."""
    for dist, reach in ((toy.two_moons(0.15), 2.1), (toy.swiss_roll(0.15), 2.6)):
        n, cells, fine = 200_000, 12, 10
        step = 2 * reach / (cells * fine)
        axis = -reach + step * (torch.arange(cells * fine, dtype=torch.float64) + 0.5)
        p = dist.log_prob(torch.cartesian_prod(axis, axis)).exp() * step**2
        p = p.view(cells, fine, cells, fine).sum((1, 3))
        cell = ((dist.sample(n, gen()) + reach) / (2 * reach) * cells).long().clamp(0, cells - 1)
        counts = (cell[:, 0] * cells + cell[:, 1]).bincount(minlength=cells**2).view(cells, cells)
        error = (counts - n * p).abs() / (n * p + 1).sqrt()
        assert error.max() < 5.5, dist.name


def test_density_of_the_moons_against_direct_integration():
    dist = toy.two_moons(noise=0.05)
    x = torch.tensor([[0.5, 0.25], [-0.5, 0.75], [0.0, 0.0], [1.5, 0.2]], dtype=torch.float64)
    t = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000 * math.pi
    arcs = torch.stack(
        [
            torch.stack([t.cos() - 0.5, t.sin() - 0.25], 1),
            torch.stack([0.5 - t.cos(), 0.25 - t.sin()], 1),
        ]
    )
    for point, got in zip(x, dist.log_prob(x)):
        square = (arcs - point).square().sum(-1)
        plain = (-square / (2 * 0.05**2)).exp().mean() / (2 * math.pi * 0.05**2)
        assert math.isclose(got.exp().item(), plain.item(), rel_tol=1e-7, abs_tol=1e-12)


def test_density_of_one_gaussian_in_closed_form():
    dist = toy.ring(modes=1, std=0.5)
    normal = torch.distributions.Normal(torch.tensor([1.0, 0.0]), 0.5)
    x = torch.randn(20, 2, generator=gen())
    assert torch.allclose(dist.log_prob(x), normal.log_prob(x).sum(1), atol=1e-5)


def test_far_away_the_log_density_stays_finite():
    for name in ("ring8", "grid25", "moons", "swissroll"):
        got = toy.make(name).log_prob(torch.tensor([[30.0, -30.0]]))
        assert torch.isfinite(got).all()
        assert got.dtype == torch.float32


def test_dirac_has_its_point_and_no_density():
    dist = toy.dirac(at=(0.5,))
    assert dist.dim == 1
    assert torch.equal(dist.sample(4, gen()), torch.full((4, 1), 0.5))
    assert torch.equal(dist.centers, torch.tensor([[0.5]]))
    with pytest.raises(DataError, match="no density"):
        dist.log_prob(torch.zeros(1, 1))
    with pytest.raises(DataError, match="no density"):
        toy.two_moons(noise=0.0).log_prob(torch.zeros(1, 2))


def test_moons_without_noise_lie_on_their_circles():
    x = toy.two_moons(noise=0.0).sample(1000, gen())
    upper = (x - torch.tensor([-0.5, -0.25])).norm(dim=1)
    lower = (x - torch.tensor([0.5, 0.25])).norm(dim=1)
    assert torch.minimum((upper - 1).abs(), (lower - 1).abs()).max() < 1e-6


def test_same_generator_same_points():
    for name in toy.NAMES:
        dist = toy.make(name)
        assert torch.equal(dist.sample(100, gen(3)), dist.sample(100, gen(3)))
        if name != "dirac":
            assert not torch.equal(dist.sample(100, gen(3)), dist.sample(100, gen(4)))


def test_mistakes_are_one_line_each():
    with pytest.raises(DataError, match="did you mean 'ring8'"):
        toy.make("rign8")
    with pytest.raises(DataError, match=r"shape \(n, 2\)"):
        toy.ring().log_prob(torch.zeros(3))
    for make in (
        lambda: toy.ring(modes=0),
        lambda: toy.grid(side=0),
        lambda: toy.ring(std=-1.0),
        lambda: toy.two_moons(noise=-0.1),
        lambda: toy.dirac(at=()),
    ):
        with pytest.raises(DataError):
            make()
