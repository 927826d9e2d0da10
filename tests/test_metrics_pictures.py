"""Path length, feature distance and classification accuracy: closed forms and refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ganlab.data import ImageSet
from ganlab.metrics import (
    FeatureDistance,
    Network,
    classification_accuracy_score,
    feature_distance,
    ppl,
    slerp,
)

DRAW = torch.Generator().manual_seed(0)
W = torch.randn(20, 6, generator=DRAW, dtype=torch.float64)


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).sum(1)


def linear(z: Tensor) -> Tensor:
    return z @ W.to(z).T + 3


def exact(n: int, draw: torch.Generator) -> Tensor:
    return torch.randn(n, 6, generator=draw, dtype=torch.float64)


def test_a_linear_generator_has_a_closed_form():
    # The ends differ by N(0, 2 I): E |W (b - a)|^2 = 2 |W|_F^2, at any place and step.
    for options in ({}, {"place": "end"}, {"eps": 0.1}):
        found = ppl(linear, squared, 6000, path="lerp", trim=False, latent=exact, **options)
        assert found.value == pytest.approx(2 * float(W.square().sum()), abs=4 * found.stderr)
        assert found.kept == 6000
    assert float(found) == found.value


def test_slerp_on_the_sphere_has_a_closed_form():
    # A step of the angle at a random direction: E[angle^2] |W|_F^2 / D.
    def sphere(n: int, draw: torch.Generator) -> Tensor:
        return nn.functional.normalize(exact(n, draw))

    a, b = sphere(50000, DRAW).chunk(2)
    angle = (a * b).sum(1).arccos().square().mean()
    found = ppl(linear, squared, 6000, trim=False, latent=sphere)
    assert found.path == "slerp"
    assert found.value == pytest.approx(
        float(angle * W.square().sum() / 6), abs=4 * found.stderr + 0.3
    )


def test_slerp_keeps_the_length_and_the_speed():
    a, b = exact(5, DRAW), exact(5, DRAW)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    points = torch.stack([slerp(a, b, v.expand(5, 1)) for v in t])
    assert torch.allclose(points[0], a)
    assert torch.allclose(points[-1], b)
    lengths = torch.lerp(a.norm(dim=1), b.norm(dim=1), t[:, None])
    assert torch.allclose(points.norm(dim=2), lengths)
    unit = nn.functional.normalize(points, dim=2)
    steps = (unit[1:] * unit[:-1]).sum(2).arccos()
    assert torch.allclose(steps, steps[0].expand_as(steps))
    assert torch.allclose(slerp(a, a, t[:, None]), a)


def test_mapping_and_synthesis():
    mapping = nn.Linear(6, 6).double()
    plain = ppl(linear, squared, 500, space="w", mapping=mapping, latent=exact, trim=False)
    joined = ppl(lambda z: linear(mapping(z)), squared, 500, path="lerp", latent=exact, trim=False)
    assert plain.value == pytest.approx(joined.value, rel=1e-6)  # the mapping is affine
    assert (plain.space, plain.path) == ("w", "lerp")


def test_trimming_drops_both_ends():
    found = ppl(linear, squared, 1000, latent=exact)
    assert (found.n, found.kept) == (1000, 982)
    assert found.value < ppl(linear, squared, 1000, latent=exact, trim=False).value


def test_a_module_is_evaluated_and_left_as_it_was():
    class Generator(nn.Module):
        latent = 4

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))

        def forward(self, z: Tensor) -> Tensor:
            return self.net(z)

        def sample_latent(self, n: int, generator: torch.Generator) -> Tensor:
            return torch.randn(n, 4, generator=generator)

    g = Generator()
    g.net[2].eval()
    before = torch.random.get_rng_state()
    first = ppl(g, squared, 200)
    assert first == ppl(g, squared, 200, batch=64)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.value != ppl(g, squared, 200, seed=1).value
    assert g.training
    assert g.net[1].training
    assert not g.net[2].training
    assert int(g.net[1].num_batches_tracked) == 0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"latent": None}, "latent: the generator has no sample_latent"),
        ({"space": "x"}, 'space must be "z" or "w"'),
        ({"space": "w"}, "mapping: space="),
        ({"mapping": linear}, "mapping: it is used with"),
        ({"path": "arc"}, "path must be"),
        ({"place": "middle"}, "place must be"),
        ({"n": 1}, "n must be at least 2, not 1"),
        ({"distance": lambda a, b: (a - b).square().sum()}, "one number a pair expected"),
        ({"distance": lambda a, b: squared(a, b) * math.nan}, "not finite"),
        (
            {"generator": lambda z: linear(z).mul(127).to(torch.uint8)},
            "must be floats",
        ),
    ],
)
def test_path_length_says_what_does_not_fit(options, line):
    known = {"generator": linear, "distance": squared, "n": 10, "latent": 6}
    with pytest.raises(ValueError, match=line):
        ppl(**(known | options))


# ---- feature distance ----


def test_the_formula_by_hand():
    a, b = (torch.randn(3, 2, 4, 4, generator=DRAW, dtype=torch.float64) for _ in range(2))

    def maps(x: Tensor) -> list[Tensor]:
        return [x, 5 * x[:, :1].square()]

    expected = torch.zeros(3, dtype=torch.float64)
    for f, g in zip(maps(a), maps(b)):
        f, g = f / f.norm(dim=1, keepdim=True), g / g.norm(dim=1, keepdim=True)
        expected += (f - g).square().sum(1).mean((1, 2))
    assert torch.allclose(feature_distance(a, b, maps), expected, rtol=1e-6)
    assert torch.equal(feature_distance(a, a, maps), torch.zeros(3))


def test_our_classifier_and_chosen_layers():
    net = Network(1, 5)
    d = FeatureDistance(net)
    assert d.layers == ("body.2", "body.5", "body.8", "body.11")  # its ReLUs
    x = torch.rand(4, 1, 32, 32, generator=DRAW) * 2 - 1
    small, large = d(x, x + 0.01), d(x, x.flip(0))
    assert (small < large).all()
    assert torch.allclose(d(x, x.flip(0)), d(x.flip(0), x))
    assert not torch.allclose(FeatureDistance(net, ["body.2"])(x, x.flip(0)), large)
    assert not net.training
    with pytest.raises(ValueError, match=r"layers: body\.99 not in the network, which has"):
        FeatureDistance(net, ["body.99"])


def test_gradients_are_finite_where_features_are_zero():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1))
    nn.init.constant_(net[0].bias, -100.0)
    x = torch.zeros(2, 1, 8, 8, requires_grad=True)
    feature_distance(x, torch.ones(2, 1, 8, 8), net).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_feature_distance_says_what_does_not_fit():
    net = Network(1, 5)
    x = torch.zeros(2, 1, 32, 32)
    with pytest.raises(ValueError, match="different shapes"):
        feature_distance(x, x[:1], net)
    with pytest.raises(ValueError, match=r"floats in \[-1, 1\], not torch.uint8"):
        feature_distance(x.byte(), x.byte(), net)
    with pytest.raises(ValueError, match="layers: the network has no ReLU"):
        FeatureDistance(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="no feature map"):
        feature_distance(x, x, lambda both: [])


# ---- classification accuracy ----


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """16 px pictures of stripes across, down, or none, in noise."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    wave = (torch.arange(16) % 4 < 2).float() * 2 - 1
    shape = torch.stack([wave.expand(16, 16), wave.expand(16, 16).T, torch.zeros(16, 16)])
    x = 0.5 * shape[y][:, None] + 0.5 * torch.randn(n, 1, 16, 16, generator=draw)
    return x.clamp(-1, 1), y


def test_accuracy_score_sees_wrong_classes(monkeypatch):
    monkeypatch.setattr("ganlab.metrics.features.BATCH", 32)
    real, held = stripes(300, 0), stripes(150, 1)
    x, y = stripes(300, 2)
    before = torch.random.get_rng_state()
    good = classification_accuracy_score(real, (x, y), held, steps=25)
    assert good.real > 0.9
    assert good.value > 0.9
    assert (good.n_real, good.n_fake, good.n_held_out, good.steps) == (300, 300, 150, 25)
    wrong = classification_accuracy_score(real, (x, torch.where(y == 2, 1, y)), held, steps=25)
    assert wrong.real == good.real
    assert wrong.per_class[2] == 0  # never shown
    assert wrong.value < 0.7
    assert torch.equal(before, torch.random.get_rng_state())


def test_accuracy_score_says_what_does_not_fit():
    x, y = stripes(30, 0)
    with pytest.raises(ValueError, match="fake: bare has no labels"):
        classification_accuracy_score((x, y), ImageSet("bare", x.byte()), (x, y))
    with pytest.raises(ValueError, match=r"fake: \(N, C, H, W\) pictures and"):
        classification_accuracy_score((x, y), (x, y.float()), (x, y))
    with pytest.raises(ValueError, match="held_out: pictures of"):
        classification_accuracy_score((x, y), (x, y), (x[..., :8], y))
    with pytest.raises(ValueError, match="fake: at least 10"):
        classification_accuracy_score((x, y), (x[:5], y[:5]), (x, y))
