"""A picture that the generator made is found again; the schedule and penalty are the paper's."""

import math

import pytest
import torch
from latent_kit import LinearGenerator, PlainGenerator, small

from ganlab import latent
from ganlab.errors import GanlabError, RecipeError
from ganlab.latent import noise_penalty, ramp


def test_a_linear_generators_w_is_found_exactly():
    g = LinearGenerator()
    w = latent.mapped(g, latent.draw(g, 3))
    target = latent.render(g, w)
    found = latent.project(g, target, steps=200)
    assert found.ws.shape == (3, g.layers_used, 6)
    torch.testing.assert_close(found.ws, w[:, None].expand_as(found.ws), rtol=0, atol=0.02)
    assert bool((found.distance < 1e-3 * found.history[0]).all())
    torch.testing.assert_close(found.distance, latent.pyramid_distance(found.images, target))


def test_styles_that_differ_from_layer_to_layer_need_w_plus():
    g = LinearGenerator()
    ws = torch.randn(2, g.layers_used, 6)
    target = latent.render(g, ws)
    one, each = (latent.project(g, target, space, steps=200) for space in ("w", "w+"))
    assert bool((each.distance < 1e-2 * one.distance).all())
    # In W the best is between the layers' styles, and no layer has one of its own.
    assert bool((one.ws == one.ws[:, :1]).all())
    torch.testing.assert_close(each.ws, ws, rtol=0, atol=0.05)


def test_a_network_finds_its_own_picture_and_w_plus_comes_as_near():
    g = small()
    target = latent.render(g, latent.mapped(g, latent.draw(g, 2, seed=4)))
    one = latent.project(g, target, steps=100, noise=None)
    assert bool((one.distance < 0.05 * one.history[0]).all())
    torch.testing.assert_close(one.images, g.synthesis(one.ws))
    each = latent.project(g, target, "w+", steps=50, noise=None, start=one.ws, spread=0)
    assert bool((each.distance <= one.distance).all())
    assert (each.ws[:, 1:] != each.ws[:, :1]).any()
    assert "projected into w+" in str(each)


def test_noise_maps_stay_noise():
    g = small()
    target = latent.render(g, latent.mapped(g, latent.draw(g, 1, seed=4)))
    found = latent.project(g, target, steps=60)
    for map_ in found.noise:
        assert float(map_.mean()) == pytest.approx(0, abs=1e-5)
        assert float(map_.square().mean()) == pytest.approx(1, rel=1e-4)
    assert float(noise_penalty(found.noise[-1])) < 1e-3
    torch.testing.assert_close(found.images, g.synthesis(found.ws, found.noise))
    kept = latent.edit(g, found.ws, torch.ones(12), [0.0], noise=found.noise)[0]
    torch.testing.assert_close(kept, found.images)


def test_the_penalty_of_known_maps():
    # cos(2πx/n) of variance 1: correlation with itself one pixel on is cos(2π/n) along x; along y
    # it does not change, so 1. Halved, its mean of neighbours times 2 has another amplitude.
    n = 16
    x = torch.arange(n, dtype=torch.float64)
    wave = (math.sqrt(2) * torch.cos(2 * math.pi * x / n)).expand(1, 1, n, n)
    fine = math.cos(2 * math.pi / n) ** 2 + 1
    power = (2 * math.cos(math.pi / n)) ** 2  # of the halved map
    coarse = power**2 * (math.cos(4 * math.pi / n) ** 2 + 1)
    assert float(noise_penalty(wave)) == pytest.approx(fine + coarse)
    white = torch.randn(64, 1, 64, 64)
    assert float(noise_penalty(white)) / 64 < 0.05
    smooth = torch.nn.functional.avg_pool2d(white, 3, 1, 1)
    assert float(noise_penalty(smooth / smooth.std())) / 64 > 0.5


def test_the_learning_rate_rises_stays_and_falls():
    assert ramp(0.025) == pytest.approx(0.5)
    assert ramp(0.05) == ramp(0.5) == ramp(0.75) == 1
    assert ramp(0.875) == pytest.approx(0.5)
    assert ramp(1.0) == pytest.approx(0, abs=1e-12)


def test_the_centre_of_w():
    matrix = torch.diag(torch.tensor([3.0, 1.0, 1.0, 0.0, 0.0, 0.0]))
    mean, radius = latent.centre(LinearGenerator(matrix=matrix), 20_000)
    torch.testing.assert_close(mean, torch.full((6,), 0.5), rtol=0, atol=0.06)
    assert radius == pytest.approx(math.sqrt(9 + 1 + 1), rel=0.02)


def test_a_generator_without_styles_is_searched_in_z():
    g = PlainGenerator()
    z = latent.draw(g, 2, seed=8)
    found = latent.project(g, latent.render(g, z), "z", steps=200)
    torch.testing.assert_close(found.ws, z, rtol=0, atol=0.05)
    assert not found.noise


def test_targets_do_not_see_each_other_and_seeds_decide():
    g = small()
    target = latent.render(g, latent.mapped(g, latent.draw(g, 2, seed=4)))
    a, b = (latent.project(g, target, steps=8, seed=s).ws for s in (0, 0))
    assert torch.equal(a, b)
    assert not torch.equal(a, latent.project(g, target, steps=8, seed=1).ws)
    pair, alone = (
        latent.project(g, t, steps=8, noise=None, spread=0).ws for t in (target, target[:1])
    )
    torch.testing.assert_close(pair[:1], alone, rtol=1e-3, atol=1e-4)


def test_another_distance_is_what_is_made_small():
    g = LinearGenerator()
    target = latent.render(g, latent.mapped(g, latent.draw(g, 1)))
    found = latent.project(
        g, target, steps=200, distance=lambda a, b: (a - b).mean((1, 2, 3)).square()
    )
    assert float(found.images.mean()) == pytest.approx(float(target.mean()), abs=1e-3)
    assert (found.images - target).abs().max() > 0.1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"space": "w++"}, "unknown space 'w\\+\\+': did you mean 'w\\+'"),
        ({"space": "z"}, "for generators without styles"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"start": torch.zeros(2, 6)}, "for 1 targets of width 6"),
        ({"distance": lambda a, b: (a - b).mean()}, "one finite number a picture"),
        ({"distance": lambda a, b: (a - b).mean((1, 2, 3)) / 0}, "one finite number a picture"),
    ],
)
def test_refusals(options, line):
    with pytest.raises(GanlabError, match=line) as e:
        latent.project(LinearGenerator(), torch.ones(1, 3, 8, 8), **options)
    assert "\n" not in str(e.value)


def test_a_target_of_another_size_is_refused():
    with pytest.raises(RecipeError, match=r"draws \(3, 8, 8\), the targets are \(3, 16, 16\)"):
        latent.project(LinearGenerator(), torch.zeros(1, 3, 16, 16))
