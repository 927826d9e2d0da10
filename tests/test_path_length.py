"""Path lengths of linear generators are known; the running mean, the laziness, the gradient."""

import math

import pytest
import torch
from torch import nn

from ganlab.errors import RecipeError
from ganlab.models import stylegan2
from ganlab.penalties import Judged, PathLength, penalty

LAYERS, WIDTH, SIZE = 3, 5, 4


class LinearGenerator(nn.Module):
    """Each layer's style adds Aw to the picture; all singular values of A are `gain`."""

    latent = WIDTH

    def __init__(self, gain=2.0):
        super().__init__()
        basis = torch.linalg.qr(torch.randn(3 * SIZE * SIZE, LAYERS * WIDTH)).Q
        self.a = nn.Parameter(basis * gain)
        self.mapping = nn.Module()
        self.mapping.classes = 0

    def styles(self, z, labels=None):
        return z.to(self.a.dtype)[:, None].expand(-1, LAYERS, -1).requires_grad_()

    def synthesis(self, ws, noise=None):
        return (ws.flatten(1) @ self.a.T).view(-1, 3, SIZE, SIZE)


def judged(generator, n=512):
    fake = torch.zeros(n, 3, SIZE, SIZE)
    return Judged(nn.Identity(), fake, fake, fake.new_zeros(n), fake.new_zeros(n), generator)


def test_lengths_of_a_linear_generator():
    p, g = PathLength(2.0), LinearGenerator(gain=2.0)
    lengths = p.lengths(g, 4000, torch.device("cpu"))
    # |A'y|² is gain² times a chi-square of L W degrees; the scale is 1 / (HW) and 1 / L.
    expected = 2.0**2 * LAYERS * WIDTH / (SIZE * SIZE) / LAYERS
    assert lengths.square().mean().item() == pytest.approx(expected, rel=0.03)


def test_the_weight_is_the_papers_at_any_size():
    # λ = ln 2 / (r² (ln r - ln 2)) on the sum over layers and unscaled pixels is a weight of 2
    # on ours, squared lengths being r² times the number of layers smaller.
    for size in (32, 256, 1024):
        layers = 2 * int(math.log2(size)) - 2
        paper = math.log(2) / (size**2 * (math.log(size) - math.log(2)))
        assert paper * size**2 * layers == pytest.approx(PathLength.default)


def test_the_mean_runs_and_the_penalty_is_the_distance_from_it():
    p, g = PathLength(1.0, every=1, decay=0.9), LinearGenerator()
    mean = 0.0
    for seed in range(3):
        torch.manual_seed(seed)
        lengths = p.lengths(g, 256, torch.device("cpu")).detach()
        mean = 0.9 * mean + 0.1 * float(lengths.mean())
        torch.manual_seed(seed)
        term = p.term(judged(g))
        assert float(p.mean) == pytest.approx(mean, rel=1e-5)
        assert term.item() == pytest.approx(float((lengths - mean).square().mean()), rel=1e-4)


def test_the_batch_is_halved_and_the_term_is_lazy():
    p = penalty("path-length")
    assert (p.weight, p.every, p.side) == (2.0, 4, "g")
    assert [p.due(step) for step in range(5)] == [True, False, False, False, True]
    seen = []
    p.lengths = lambda g, n, device: seen.append(n) or torch.full((n,), 3.0)
    value = p(judged(LinearGenerator(), n=32))
    assert seen == [16]
    assert float(p.mean) == pytest.approx(0.03)
    assert float(value) == pytest.approx(2.0 * 4 * (3 - 0.03) ** 2)


def test_resumed_it_goes_on_as_if_never_stopped():
    g = LinearGenerator()
    one = PathLength(2.0)
    one.term(judged(g))
    other = PathLength(2.0)
    other.load_state_dict(one.state_dict())
    torch.manual_seed(1)
    a = one.term(judged(g))
    torch.manual_seed(1)
    assert torch.equal(other.term(judged(g)), a)
    assert torch.equal(one.mean, other.mean)


def test_the_gradient_is_that_of_finite_differences():
    g = LinearGenerator().double()
    p = PathLength(1.0, every=1)

    def value():
        p.mean = torch.tensor(0.5, dtype=torch.float64)
        torch.manual_seed(3)
        return p.term(judged(g, n=8))

    # The mean moves with the lengths but carries no gradient: with decay near 1 it hardly does.
    p.decay = 1 - 1e-9
    (slope,) = torch.autograd.grad(value(), g.a)
    for place in [(0, 0), (7, 3), (40, 14)]:
        with torch.no_grad():
            g.a[place] += 1e-5
        up = value().item()
        with torch.no_grad():
            g.a[place] -= 2e-5
        down = value().item()
        with torch.no_grad():
            g.a[place] += 1e-5
        assert (up - down) / 2e-5 == pytest.approx(slope[place].item(), rel=1e-5, abs=1e-9)


def test_it_reaches_every_weight_that_shapes_the_picture():
    g = stylegan2.Generator(16, latent=8, style=8, layers=2, channel_base=256, channel_max=16)
    g.train()
    x = g(g.sample_latent(4))
    loss = penalty("path-length")(Judged(nn.Identity(), x, x, x[:, 0, 0, 0], x[:, 0, 0, 0], g))
    loss.backward()
    silent = {n for n, p in g.named_parameters() if p.grad is None or not p.grad.abs().sum()}
    # A picture's offset has no slope; the first mixing draws may spare no layer.
    assert silent <= {f"to_pixels.{i}.bias" for i in range(3)}


def test_refusals():
    with pytest.raises(RecipeError, match=r"'decay' of penalty 'path-length' must be in \[0, 1\)"):
        PathLength(2.0, decay=1.0)
    with pytest.raises(RecipeError, match="'shrink' of penalty 'path-length' must be at least 1"):
        PathLength(2.0, shrink=0)
    with pytest.raises(RecipeError, match="needs a generator with styles and synthesis"):
        PathLength(2.0).term(judged(nn.Linear(2, 2)))
