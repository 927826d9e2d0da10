"""StyleGAN: counts, AdaIN, the mapping, mixing, truncation, noise, growth."""

import math

import pytest
import torch

from ganlab.errors import RecipeError
from ganlab.models import Mapping, Noise, doubled, pixel_norm, progan, stylegan

SMALL = {"channel_base": 128, "channel_max": 16}


def generator(size=16, **options):
    torch.manual_seed(0)
    options = {"latent": 8, "style": 12, "layers": 3, **SMALL, **options}
    return wake(stylegan.Generator(size, 3, growing=False, **options))


def wake(network):
    """As if trained a little: noise has a strength, and w a mean away from 0."""
    for module in network.modules():
        if isinstance(module, Noise):
            torch.nn.init.normal_(module.strength, 0, 0.3)
    torch.nn.init.normal_(network.average, 0, 0.5)
    return network


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_the_published_1024_px_generator_has_the_parameters_of_its_layers():
    """Fig. 1b and Sec. 2 of the paper, layer by layer; the authors' program prints the sum."""
    wide = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    mapping = 8 * (512 * 512 + 512)

    def epilogue(c):  # noise strengths, biases, and the map from w to scale and mean
        return c + c + 512 * 2 * c + 2 * c

    total = mapping + 512 * 16 + 2 * epilogue(512) + 9 * 512 * 512
    for a, b in zip(wide, wide[1:]):  # noqa: RUF007
        total += 9 * a * b + 9 * b * b + 2 * epilogue(b)
    total += sum(3 * c + 3 for c in wide)
    with torch.device("meta"):
        g, d = stylegan.Generator(1024), stylegan.Discriminator(1024)
    assert count(g) == total == 26_219_627
    with torch.device("meta"):
        assert count(d) == count(progan.Discriminator(1024))
    assert g.layers_used == 4  # it starts at 8x8
    g.set_phase(1024)
    assert g.layers_used == 18


def test_adain_gives_every_map_the_styles_mean_and_scale():
    layer = stylegan.AdaIN(style=6, channels=4)
    x, w = torch.randn(3, 4, 8, 8) * 5 + 2, torch.randn(3, 6)
    scale, mean = layer.affine(w).chunk(2, 1)
    y = layer(x, w)
    torch.testing.assert_close(y.mean((2, 3)), mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((2, 3), unbiased=False), (1 + scale).abs(), atol=1e-5, rtol=0)


def test_w_depends_on_the_direction_of_z_alone():
    m = Mapping(8, 12, layers=3)
    z = torch.randn(4, 8)
    torch.testing.assert_close(m(z), m(3 * z))
    with torch.autocast("cpu", torch.bfloat16):
        assert m(z).dtype == torch.float32


def test_a_class_steers_w_and_must_be_given():
    m = Mapping(8, 12, layers=2, classes=5)
    z = torch.randn(4, 8)
    assert m.layers[0].weight.shape == (12, 16)  # z and the embedding, side by side
    w = m(z, torch.tensor([0, 1, 2, 3]))
    embedded = pixel_norm(m.embed(torch.eye(5)[:4]))
    x = torch.cat([pixel_norm(z), embedded], 1)
    for layer in m.layers:
        x = torch.nn.functional.leaky_relu(layer(x), 0.2)
    torch.testing.assert_close(w, x)
    assert (m(z, torch.tensor([4, 4, 4, 4])) - w).abs().min() > 0
    with pytest.raises(RecipeError, match="give labels, numbers below 5"):
        m(z)
    with pytest.raises(RecipeError, match="no classes: take the labels away"):
        Mapping(8, 12)(z, torch.zeros(4, dtype=torch.long))


def test_psi_0_gives_one_picture_and_the_cutoff_spares_fine_layers():
    g = generator().eval()
    z = g.sample_latent(4)
    same = g(z, psi=0.0)
    torch.testing.assert_close(same, same[:1].expand(4, -1, -1, -1))
    assert (g(z) - same).abs().max() > 0.1
    ws = g.styles(z)
    half = g.styles(z, psi=0.5, cutoff=2)
    torch.testing.assert_close(half[:, :2], (ws[:, :2] + g.average) / 2)
    assert torch.equal(half[:, 2:], ws[:, 2:])
    assert torch.equal(g.styles(z, psi=1.0), ws)


def test_mixed_styles_keep_the_coarse_layers():
    g = generator().eval()
    a, b = g.styles(g.sample_latent(1)), g.styles(g.sample_latent(1))
    seen = []
    for module in g.epilogues:
        module.adain.register_forward_hook(lambda m, args, out: seen.append(args[1]))
    for layer in (2, 4):
        seen.clear()
        picture = g.synthesis(g.mixed(a, b, layer))
        expected = [a[:, 0]] * layer + [b[:, 0]] * (g.layers_used - layer)
        assert all(torch.equal(x, y) for x, y in zip(seen, expected, strict=True))
        # The finer the crossover, the nearer to the picture of the coarse styles.
        distance = (picture - g.synthesis(a)).square().mean()
        assert distance < (g.synthesis(b) - g.synthesis(a)).square().mean()


def test_training_mixes_as_often_as_asked_and_crosses_anywhere():
    g = generator(mixing=0.75)
    n = 4000
    g.train()
    with torch.no_grad():
        ws = g.styles(torch.randn(n, 8))
    changes = (ws[:, 1:] != ws[:, :-1]).any(2)
    assert changes.sum(1).max() == 1
    layers = g.layers_used
    assert changes.float().mean(0) == pytest.approx([0.75 / (layers - 1)] * (layers - 1), abs=0.03)
    g.mixing = 0.0
    assert not (g.styles(torch.randn(8, 8)).diff(dim=1)).any()


def test_the_mean_of_w_runs_in_training_only():
    g = generator(mixing=0.0, decay=0.9)
    z = g.sample_latent(16)
    before, mean = g.average.clone(), g.mapping(z).mean(0)
    g.eval()
    g(z)
    assert torch.equal(g.average, before)
    g.train()
    g(z)
    torch.testing.assert_close(g.average, 0.9 * before + 0.1 * mean)
    assert "average" in g.state_dict()


def test_noise_is_random_in_training_fixed_in_evaluation_or_given():
    g = generator(mixing=0.0)
    z = g.sample_latent(2)
    assert not torch.equal(g(z), g(z))
    assert torch.equal(g(z, noise="fixed"), g(z, noise="fixed"))
    given = [m.fixed for m in g.modules() if isinstance(m, Noise)]
    assert torch.equal(g(z, noise=given), g(z, noise="fixed"))
    quiet = g(z, noise="none")
    assert not torch.equal(quiet, g(z, noise="fixed"))
    torch.testing.assert_close(quiet, g(z, noise=[torch.zeros_like(n) for n in given]))
    g.eval()
    assert torch.equal(g(z), g(z, noise="fixed"))
    for m in g.modules():
        if isinstance(m, Noise):
            torch.nn.init.zeros_(m.strength)  # as at the start
    assert torch.equal(g(z), g(z, noise="none"))
    with pytest.raises(RecipeError, match="random, fixed, none, or tensors, not 'loud'"):
        g(z, noise="loud")
    with pytest.raises(RecipeError, match="noise for 1 layers, but the network has 6"):
        g(z, noise=given[:1])


def test_it_grows_as_progan_does():
    torch.manual_seed(0)
    g = wake(stylegan.Generator(16, 3, 8, 12, 3, hold=100, fade=100, mixing=0.0, **SMALL))
    d = stylegan.Discriminator(16, 3, hold=100, fade=100, **SMALL)
    assert g.resolution == d.resolution == 8
    z = g.sample_latent(4)
    old = g(z, noise="fixed")
    g.grow(100), d.grow(100)
    assert (g.resolution, float(g.alpha)) == (16, 0.0)
    torch.testing.assert_close(g(z, noise="fixed"), doubled(old))
    d(g(z)).sum().backward()
    g.grow(200)
    assert g.layers_used == 6


def test_halving_is_filtered_in_the_discriminator():
    torch.manual_seed(0)
    finest = (1 - 2 * (torch.arange(16) % 2)).float().expand(2, 16, 16, 16)
    plain, blurred = (stylegan.Discriminator(16, 3, blur=b, **SMALL).blocks[-1] for b in (0, 1))
    assert torch.equal(plain.blur(finest), finest)
    assert blurred.blur(finest)[:, :, 1:-1, 1:-1].abs().max() < 1e-6


def test_it_compiles_whole_and_runs_in_bf16_channels_last():
    g = generator(8, mixing=0.9, layers=1)
    g.set_phase(8, 0.5)
    z, before = g.sample_latent(4), g.average.clone()
    run = torch.compile(g, backend="aot_eager", fullgraph=True)
    torch.manual_seed(1)
    x = run(z)
    assert not torch.equal(g.average, before)  # the compiled network keeps its mean as well
    torch.manual_seed(1)
    torch.testing.assert_close(x, g(z))
    g.to(memory_format=torch.channels_last).train()
    with torch.autocast("cpu", torch.bfloat16):
        y = g(z, noise="fixed")
    y.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in g.parameters() if p.grad is not None)
    assert math.isfinite(y.float().std().item())
