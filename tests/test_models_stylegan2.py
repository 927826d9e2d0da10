"""StyleGAN2: published counts, modulation by hand and in two forms, skip, residual, projection."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from ganlab.errors import RecipeError
from ganlab.models import Noise, fir, modulation, stylegan2
from ganlab.penalties import Judged, penalty

SMALL = {"channel_base": 128, "channel_max": 16}


def generator(size=16, **options):
    torch.manual_seed(0)
    options = {"latent": 8, "style": 12, "layers": 2, **SMALL, **options}
    g = stylegan2.Generator(size, 3, **options)
    for module in g.modules():  # as if trained a little
        if isinstance(module, Noise):
            nn.init.constant_(module.strength, 0.3)
        if isinstance(module, stylegan2.StyledConv | stylegan2.ToPixels):
            nn.init.normal_(module.bias, 0, 0.3)
    return g


def count(network):
    return sum(p.numel() for p in network.parameters())


def by_layers(size, base=32768, layers=8, residual=True):
    """Parameters of both networks from the layers of Sec. 4 and Fig. 7, z and w of 512."""
    wide = [min(base // (4 << i), 512) for i in range(int(math.log2(size)) - 1)]

    def styled(a, b):  # weight, bias, noise strength, map from w to the input's scales
        return 9 * a * b + b + 1 + 512 * a + a

    g = layers * (512 * 512 + 512) + wide[0] * 16 + styled(wide[0], wide[0])
    g += sum(styled(a, b) + styled(b, b) for a, b in zip(wide, wide[1:]))  # noqa: RUF007
    g += sum(3 * c + 3 + 512 * c + c for c in wide)
    d = 3 * wide[-1] + wide[-1] + 9 * 513 * 512 + 512 + 16 * 512 * 512 + 512 + 512 + 1
    for a, b in zip(wide, wide[1:]):  # noqa: RUF007
        d += 9 * b * b + b + 9 * b * a + a + (b * a if residual else 0)
    return g, d


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_configuration_f_has_the_published_counts(size):
    with torch.device("meta"):
        g, d = stylegan2.Generator(size), stylegan2.Discriminator(size)
        e = stylegan2.Generator(size, channel_base=16384)
    assert (count(g), count(d)) == by_layers(size)
    assert count(e) == by_layers(size, base=16384)[0]
    assert g.layers_used == 2 * int(math.log2(size)) - 2
    if (
        size == 1024
    ):  # the second, with two mapping layers, as a log of the authors' program prints it
        assert (count(g), count(d)) == (30_370_060, 29_012_513)
        with torch.device("meta"):
            assert count(stylegan2.Generator(size, layers=2)) == 28_794_124


def test_the_cifar_configuration():
    with torch.device("meta"):
        g = stylegan2.Generator(32, layers=2)
        d = stylegan2.Discriminator(32, residual=False, group=32)
        conditional = stylegan2.Generator(32, layers=2, classes=10)
        judge = stylegan2.Discriminator(32, residual=False, group=32, classes=10)
    assert (count(g), count(d)) == by_layers(32, layers=2, residual=False)
    assert {p.shape[0] for n, p in d.named_parameters() if "blocks" in n} == {512}
    # The embedding doubles the first mapping layer's input.
    embedding = 10 * 512 + 512
    assert count(conditional) - count(g) == embedding + 512 * 512
    # An embedding, eight layers, and 512 outputs in place of one.
    assert count(judge) - count(d) == embedding + 8 * (512 * 512 + 512) + 511 * 513


def test_modulation_is_its_formula_sample_by_sample():
    x, style = torch.randn(3, 4, 6, 6), torch.randn(3, 4) + 1
    w = torch.randn(5, 4, 3, 3)
    for form in modulation.FORMS:
        y = modulation.modulated(x, w, style, gain=2.0, form=form)
        for i in range(3):
            scaled = w * style[i][None, :, None, None]  # Eq. 1
            scaled = scaled / (scaled.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # Eq. 3
            torch.testing.assert_close(y[i], 2 * F.conv2d(x[i], scaled, padding=1))
        plain = modulation.modulated(x, w, style, demodulate=False, form=form)
        torch.testing.assert_close(
            plain[1], F.conv2d(x[1], w * style[1][None, :, None, None], padding=1),
            atol=1e-5, rtol=1e-5,
        )  # fmt: skip


def test_demodulation_brings_the_variance_back():
    torch.manual_seed(0)
    x, style = torch.randn(8, 64, 16, 16), torch.randn(8, 64) * 5
    y = modulation.modulated(x, torch.randn(32, 64, 3, 3), style)[:, :, 1:-1, 1:-1]
    assert y.std((1, 2, 3)).tolist() == pytest.approx([1.0] * 8, abs=0.05)


@pytest.mark.parametrize("up", [False, True])
def test_both_forms_are_one_function_with_one_gradient(up):
    x, style, w = torch.randn(3, 6, 8, 8), torch.randn(3, 6) + 1, torch.randn(4, 6, 3, 3)
    for t in (x, style, w):
        t.requires_grad_()
    resample = fir.after_transposed() if up else None
    results = []
    for form in modulation.FORMS:
        y = modulation.modulated(x, w, style, up=resample, form=form)
        results.append([y, *torch.autograd.grad(y.square().sum(), (x, style, w))])
    assert results[0][0].shape == (3, 4, 16, 16) if up else (3, 4, 8, 8)
    for a, b in zip(*results):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_both_forms_are_one_network():
    a, b = generator(form="scale"), generator(form="grouped")
    z = a.sample_latent(4)
    a.eval(), b.eval()
    torch.testing.assert_close(a(z), b(z), atol=1e-5, rtol=1e-5)
    gradients = []
    for g in (a, b):
        g(z).square().mean().backward()
        gradients.append([p.grad for p in g.parameters()])
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_two_derivatives_through_modulation_and_filter():
    def f(x, style, w):
        return modulation.modulated(x, w, style, up=fir.after_transposed()).tanh()

    shapes = (2, 2, 3, 3), (2, 2), (2, 2, 3, 3)
    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    # Demodulation works in fp32 at least, which here would limit the digits.
    assert modulation.demodulation(inputs[2], inputs[1]).dtype == torch.float64
    assert gradcheck(f, inputs)
    assert gradgradcheck(f, inputs)


def test_the_picture_is_the_sum_of_what_each_size_adds():
    g = generator().eval()
    parts = []
    for layer in g.to_pixels:
        layer.register_forward_hook(lambda m, args, out: parts.append(out))
    picture = g(g.sample_latent(2))
    total = parts[0]
    for part in parts[1:]:
        total = part + fir.doubling()(total)
    assert [p.shape[-1] for p in parts] == [4, 8, 16]
    torch.testing.assert_close(picture, total)
    assert count(generator(skip=False)) < count(g)
    assert generator(skip=False)(torch.randn(2, 8)).shape == (2, 3, 16, 16)


def test_styles_mix_truncate_and_reach_their_layers():
    g = generator().eval()
    nn.init.normal_(g.average, 0, 0.3)
    z = g.sample_latent(4)
    same = g(z, psi=0.0)
    torch.testing.assert_close(same, same[:1].expand(4, -1, -1, -1))
    a, b = g.styles(z[:1]), g.styles(z[1:2])
    seen = []
    for layer in g.layers:
        layer.conv.register_forward_hook(lambda m, args, out: seen.append(args[1]))
    g.synthesis(g.mixed(a, b, 3))
    assert [torch.equal(w, a[:, 0]) for w in seen] == [True] * 3 + [False] * 2
    g.train()
    before = g.average.clone()
    g(z)
    assert not torch.equal(g.average, before)


def test_a_conditional_generator_and_the_projection():
    g = generator(classes=3).eval()
    z, labels = g.sample_latent(4), torch.tensor([0, 1, 2, 0])
    assert (g(z, labels) - g(z, labels.roll(1)))[1:].abs().amax((1, 2, 3)).min() > 0
    d = stylegan2.Discriminator(16, 3, classes=3, **SMALL)
    x = torch.randn(4, 3, 16, 16)
    h, c = d.head(d.features(x)), d.condition(None, labels)
    torch.testing.assert_close(d(x, labels), (h * c).sum(1) / math.sqrt(h.shape[1]))
    with pytest.raises(RecipeError, match="give labels, numbers below 3"):
        d(x)
    with pytest.raises(RecipeError, match="no classes: take the labels away"):
        stylegan2.Discriminator(16, 3, **SMALL)(x, labels)


def test_the_residual_block_is_two_paths_and_keeps_the_variance():
    torch.manual_seed(0)
    block = stylegan2.DiscriminatorBlock(64, 64, residual=True)
    x = torch.randn(8, 64, 16, 16)
    h = F.leaky_relu(block.first(x) / math.sqrt(2), 0.2) * math.sqrt(2)  # the gain as published
    second = F.conv2d(block.blur(h), block.second.weight / math.sqrt(64 * 9), stride=2)
    skip = F.conv2d(fir.halving()(x), block.skip.weight / 8)
    expected = (F.leaky_relu(second, 0.2) * math.sqrt(2) + skip) / math.sqrt(2)
    torch.testing.assert_close(block(x), expected)


def test_lazy_r1_is_sixteen_times_as_strong_and_exact():
    torch.manual_seed(0)
    d = stylegan2.Discriminator(8, 1, **SMALL, group=0)
    d.double()
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    p = penalty("r1", 10.0, every=16)
    assert [step for step in range(40) if p.due(step)] == [0, 16, 32]
    real = x.clone().requires_grad_()
    a = d(real)
    value = p(Judged(d, real, x, a, a))
    slope = torch.zeros_like(x)
    with torch.no_grad():
        for i in range(x[0].numel()):
            step = torch.zeros_like(x)
            step.flatten(1)[:, i] = 1e-5
            slope.flatten(1)[:, i] = (d(x + step) - d(x - step)) / 2e-5
    expected = 16 * 10 / 2 * slope.square().flatten(1).sum(1).mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    value.backward()
    assert d.from_pixels.weight.grad.abs().sum() > 0


def test_it_compiles_whole():
    g = generator(size=8, mixing=0.0, layers=1).train()
    d = stylegan2.Discriminator(8, 3, group=2, **SMALL)
    z, before = g.sample_latent(4), g.average.clone()

    def judged(z):
        return d(g(z, noise="fixed"))

    whole = torch.compile(judged, backend="aot_eager", fullgraph=True)
    logits = whole(z)
    assert not torch.equal(g.average, before)  # the compiled network keeps its mean as well
    torch.testing.assert_close(logits, judged(z))
    logits.sum().backward()
    assert g.layers[0].conv.weight.grad.abs().sum() > 0


def test_bf16_and_channels_last():
    g = generator(mixing=0.0)
    d = stylegan2.Discriminator(16, 3, **SMALL)
    z = g.sample_latent(4)
    x = g(z, noise="fixed")
    logits = d(x)
    g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)
    torch.testing.assert_close(g(z, noise="fixed"), x, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        y = g(z, noise="fixed")
        judged = d(y).float()
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y.float(), x, atol=0.1, rtol=0.1)
    torch.testing.assert_close(judged, logits, atol=0.1, rtol=0.1)
    judged.sum().backward()
    assert all(p.grad.isfinite().all() for p in [*g.parameters(), *d.parameters()])


def test_refusals():
    with pytest.raises(RecipeError, match="a power of two from 8 to 1024, not 48"):
        stylegan2.Generator(48)
    with pytest.raises(RecipeError, match="did you mean 'scale'"):
        stylegan2.Generator(16, form="scales", **SMALL)
