"""The norm-free residual networks: counts by hand, the start, resampling, torch.func."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap

from ganlab.errors import RecipeError
from ganlab.models import modern

SMALL = {"width": (16, 8, 8, 4), "blocks": 1}


def count(network):
    return sum(p.numel() for p in network.parameters())


def blocks(network):
    return [m for m in network.modules() if isinstance(m, modern.Block)]


def wake(network):
    """As if trained a little: no convolution is zero any more."""
    for block in blocks(network):
        nn.init.normal_(block.narrow.weight, 0, 0.2)
        nn.init.normal_(block.mix.bias, 0, 0.2)
    return network


def block_parameters(width, group):
    inner = 2 * width
    return width * inner + inner + inner * 9 * group + inner + inner * width


def test_the_published_32_px_networks_have_the_parameters_of_their_layers():
    # CIFAR-10: 768 channels at 4, 8, 16, 32 px, two blocks each, 96 groups of 16 channels.
    trunk = 8 * block_parameters(768, 16)
    with torch.device("meta"):
        g, d = modern.Generator(32, 3), modern.Discriminator(32, 3)
        same = modern.Generator(32, 3, cardinality=96)
    assert count(g) == count(same) == 64 * 768 + 16 * 768 + trunk + 3 * 768
    assert count(d) == 3 * 768 + trunk + 16 * 768 + 768


def test_the_published_64_px_widths_keep_16_channels_in_a_group():
    widths = (768, 768, 768, 768, 384)  # FFHQ-64: the last stage has 48 groups
    with torch.device("meta"):
        g = modern.Generator(64, 3, width=widths, cardinality=96)
    assert [b.mix.groups for b in blocks(g)] == [96] * 8 + [48] * 2
    trunk = 8 * block_parameters(768, 16) + 2 * block_parameters(384, 16)
    assert count(g) == 64 * 768 + 16 * 768 + trunk + 768 * 384 + 3 * 384


def test_patches_only_change_the_first_and_the_last_layer():
    g = modern.Generator(32, 1, width=(16, 8, 8), blocks=1, patch=2)
    trunk = block_parameters(16, 16) + 2 * block_parameters(8, 16)
    assert count(g) == 64 * 16 + 16 * 16 + trunk + 16 * 8 + 8 * 4
    d = modern.Discriminator(32, 1, width=(16, 8, 8), blocks=1, patch=2)
    assert count(d) == 4 * 8 + trunk + 8 * 16 + 16 * 16 + 16


@pytest.mark.parametrize("size", modern.SIZES)
@pytest.mark.parametrize(("channels", "patch"), [(1, 1), (3, 1), (3, 2)])
def test_sizes(size, channels, patch):
    options = {"width": 8, "blocks": 1, "patch": patch}
    g = wake(modern.Generator(size, channels, latent=6, **options))
    x = g(g.sample_latent(2))
    assert x.shape == (2, channels, size, size)
    d = modern.Discriminator(size, channels, **options)
    assert d(x).shape == (2,)
    features = d.features(x)
    assert features.shape == (2, 8)
    torch.testing.assert_close(d.head(features).flatten(), d(x))


def test_nothing_normalises_and_no_buffer_changes():
    for network in (modern.Generator(32, **SMALL), modern.Discriminator(32, **SMALL)):
        names = {type(m).__name__ for m in network.modules()}
        assert names == {"Conv2d", "Linear", "Sequential", "Block", "Resample",
                         "Generator" if "Generator" in names else "Discriminator",
                         "PixelShuffle" if "Generator" in names else "PixelUnshuffle"}  # fmt: skip
        assert not set(network.state_dict()) - {n for n, _ in network.named_parameters()}
    d = wake(modern.Discriminator(32, **SMALL))
    before = {n: b.clone() for n, b in d.named_buffers()}
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(d(x)[:1], d(x[:1]))  # samples do not see each other
    assert all(torch.equal(b, before[n]) for n, b in d.named_buffers())


def test_a_block_starts_as_its_shortcut():
    block = modern.Block(8, 2, 4, blocks=3)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    wake(nn.Sequential(block))
    assert not torch.allclose(block(x), x)


def test_inner_convolutions_start_at_he_times_fixup():
    d = modern.Discriminator(32, width=64, blocks=4)
    he = (2 / 1.04) ** 0.5 * 16**-0.25  # 4 stages of 4 blocks
    for block in blocks(d):
        assert block.widen.weight.std().item() == pytest.approx(he / 64**0.5, rel=0.05)
        assert block.mix.weight.std().item() == pytest.approx(he / (9 * 16) ** 0.5, rel=0.05)
        assert not block.narrow.weight.any()
        assert block.narrow.bias is None


@pytest.mark.parametrize("size", modern.SIZES)
@pytest.mark.parametrize("depth", [1, 4])
def test_the_output_starts_in_bounds_at_any_depth(size, depth):
    torch.manual_seed(0)
    g = modern.Generator(size, 3, width=16, blocks=depth)
    d = modern.Discriminator(size, 3, width=16, blocks=depth)
    with torch.no_grad():
        assert 0.2 < g(g.sample_latent(32)).std().item() < 1.5
        assert 0.01 < d(torch.randn(32, 3, size, size)).std().item() < 3


def step_size(depth, seed):
    """How far one plain gradient step on the blocks moves the logits."""
    torch.manual_seed(seed)
    d = modern.Discriminator(16, 1, width=16, blocks=depth).double()
    x = torch.randn(8, 1, 16, 16, dtype=torch.float64)
    before = d(x)
    before.mean().backward()
    with torch.no_grad():
        for block in blocks(d):
            for p in block.parameters():
                p -= 1e-2 * p.grad
        return (d(x) - before).square().mean().sqrt()


def test_one_step_moves_the_function_as_much_at_any_depth():
    # What Fixup is for; at He's scale the step would grow with the depth, here eightfold.
    shallow, deep = (torch.stack([step_size(n, s) for s in range(6)]).mean() for n in (1, 8))
    assert 0.5 < (deep / shallow).item() < 2


def test_resampling_keeps_constants_and_means_and_does_not_shift():
    up, down = modern.Resample(6, up=True).double(), modern.Resample(6, up=False).double()
    small = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    large = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    for layer, x in ((up, small), (down, large)):
        torch.testing.assert_close(layer(torch.ones_like(x)).min().item(), 1.0)
        torch.testing.assert_close(layer(x).mean((2, 3)), x.mean((2, 3)))
        torch.testing.assert_close(layer(x.flip(3)), layer(x).flip(3))  # symmetric: no shift
    bilinear = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(up(small), bilinear)
    # one is the other's transpose over 4: <up(s), l> = 4 <s, down(l)>
    torch.testing.assert_close((up(small) * large).sum(), 4 * (small * down(large)).sum())


def test_doubling_is_repetition_and_the_filter_1_2_1():
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    repeated = F.pad(F.interpolate(x, scale_factor=2), (1, 1, 1, 1), mode="replicate")
    f = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    smooth = F.conv2d(repeated, (f[:, None] * f)[None, None])
    torch.testing.assert_close(modern.Resample(4, up=True).double()(x), smooth)


@pytest.mark.parametrize("patch", [1, 2])
def test_gradients_reach_every_parameter(patch):
    width = SMALL["width"] if patch == 1 else SMALL["width"][:3]
    options = {"width": width, "blocks": 2, "patch": patch}
    g, d = modern.Generator(32, 1, **options), modern.Discriminator(32, 1, **options)
    d(g(g.sample_latent(4))).sum().backward()
    for b in [*blocks(g), *blocks(d)]:  # at the start only the zero layer learns ...
        assert b.narrow.weight.grad.abs().sum() > 0
        assert b.widen.weight.grad.abs().sum() == 0
    wake(g), wake(d)
    d(g(g.sample_latent(4))).sum().backward()
    for name, p in [*g.named_parameters(), *d.named_parameters()]:  # ... then all of them
        assert p.grad.abs().sum() > 0, name


def test_r1_by_torch_func_is_r1_by_autograd():
    torch.manual_seed(0)
    d = wake(modern.Discriminator(16, 1, width=8, blocks=1)).double()
    x = torch.randn(3, 1, 16, 16, dtype=torch.float64)
    params = dict(d.named_parameters())

    def r1(p):
        return grad(lambda x: functional_call(d, p, (x,)).sum())(x).square().sum()

    pure = grad(r1)({n: p.detach() for n, p in params.items()})
    x.requires_grad_()
    (g,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    g.square().sum().backward()
    for name, p in params.items():
        if p.grad is not None:
            torch.testing.assert_close(pure[name], p.grad)


def test_many_networks_run_under_one_vmap():
    nets = [wake(modern.Discriminator(16, 1, width=8, blocks=1)) for _ in range(3)]
    params, buffers = torch.func.stack_module_state(nets)
    x = torch.randn(2, 1, 16, 16)
    many = vmap(lambda p, b: functional_call(nets[0], (p, b), (x,)))(params, buffers)
    torch.testing.assert_close(many, torch.stack([n(x) for n in nets]), rtol=1e-4, atol=1e-5)


def test_channels_last_is_the_same_function():
    d = wake(modern.Discriminator(32, **SMALL))
    x = torch.randn(2, 3, 32, 32)
    plain = d(x)
    d = d.to(memory_format=torch.channels_last)
    last = d(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


def test_latent_vectors_are_reproducible():
    g = modern.Generator(16, width=8, latent=5)
    z = g.sample_latent(7, torch.Generator().manual_seed(1))
    assert z.shape == (7, 5)
    assert torch.equal(z, g.sample_latent(7, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 28}, r"sizes \(16, 32, 64\), not 28"),
        ({"size": 128}, "not 128"),
        ({"width": (8, 8)}, "width is one number or 4 .* 32x32"),
        ({"width": 0}, "at least 1"),
        ({"blocks": (1, 1)}, "blocks is one number or 4"),
        ({"cardinality": 3}, "16 channels cannot be split into 3 groups"),
        ({"patch": 3}, "patch must be 1, 2 or 4, not 3"),
    ],
)
@pytest.mark.parametrize("family", [modern.Generator, modern.Discriminator])
def test_wrong_options_say_so_in_one_line(family, options, says):
    with pytest.raises(RecipeError, match=says) as error:
        family(**{"width": 8, **options})
    assert "\n" not in str(error.value)
