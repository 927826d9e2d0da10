"""Residual networks: the published layers, counted by hand, and what each option changes."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganlab.errors import RecipeError
from ganlab.models import resnet


def count(network):
    return sum(p.numel() for p in network.parameters())


def conv(before, after, kernel=3, bias=True):
    return before * after * kernel**2 + (after if bias else 0)


def test_wgan_gp_32_has_the_parameters_of_its_layers():
    # Gulrajani et al. 2017: z 128, 128 channels everywhere, BatchNorm (gain, shift) in G only.
    up = 2 * 128 + conv(128, 128) + 2 * 128 + conv(128, 128) + conv(128, 128, 1)
    g = 128 * 2048 + 2048 + 3 * up + 2 * 128 + conv(128, 3)
    assert count(resnet.Generator(32, 3)) == g == 1_204_483
    first = conv(3, 128) + conv(128, 128) + conv(3, 128, 1)
    down = 2 * conv(128, 128) + conv(128, 128, 1)
    plain = 2 * conv(128, 128)
    d = first + down + 2 * plain + 129
    assert count(resnet.Discriminator(32, 3)) == d == 1_053_825


def test_sngan_32_has_the_parameters_of_its_layers():
    # Miyato et al. 2018, appendix: as above with 256 channels in the generator.
    up = 2 * 256 + conv(256, 256) + 2 * 256 + conv(256, 256) + conv(256, 256, 1)
    g = 128 * 4096 + 4096 + 3 * up + 2 * 256 + conv(256, 3)
    assert count(resnet.Generator(32, 3, width=256)) == g == 4_276_739
    # Spectral normalisation divides weights; it has none of its own.
    d = resnet.Discriminator(32, 3, norm="spectral", pool="sum")
    assert count(d) == count(resnet.Discriminator(32, 3)) == 1_053_825


def test_wgan_gp_64_has_the_parameters_of_its_layers():
    # The authors' 64 px script: no bias in the first 3x3 of a block, a norm before each.
    def block(before, after, inner):
        norms = 2 * before + 2 * inner
        return norms + conv(before, inner, bias=False) + conv(inner, after) + conv(before, after, 1)

    ups = [(512, 512), (512, 256), (256, 128), (128, 64)]
    g = 128 * 8192 + 8192 + sum(block(a, b, b) for a, b in ups) + 2 * 64 + conv(64, 3)
    assert count(resnet.Generator(64, 3)) == g
    downs = [(64, 128), (128, 256), (256, 512), (512, 512)]
    d = conv(3, 64) + sum(block(a, b, a) for a, b in downs) + 16 * 512 + 1
    assert count(resnet.Discriminator(64, 3, norm="layer")) == d


@pytest.mark.parametrize("size", resnet.SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_and_ranges(size, channels):
    g = resnet.Generator(size, channels, latent=8, width=4)
    x = g(g.sample_latent(2))
    assert x.shape == (2, channels, size, size)
    assert x.abs().max() <= 1
    d = resnet.Discriminator(size, channels, width=4)
    assert d(x).shape == (2,)
    features = d.features(x)
    assert features.shape == (2, 4 if size == 32 else 8 * 4 * 16)
    torch.testing.assert_close(d.head(features).flatten(), d(x))


def test_maps_halve_where_the_papers_say():
    sides = []
    for size in resnet.SIZES:
        d, seen = resnet.Discriminator(size, 3, width=4), []
        for block in d.modules():
            if isinstance(block, resnet.Block):
                block.register_forward_hook(lambda _m, _i, out, s=seen: s.append(out.shape[-1]))
        d(torch.zeros(1, 3, size, size))
        sides.append(seen)
    assert sides == [[16, 8, 8, 8], [32, 16, 8, 4]]


def test_shortcuts_on_the_smaller_map_are_the_published_function():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    up, down = resnet.Block(3, 5, "up"), resnet.Block(3, 5, "down")
    for block in (up, down):  # silence the branch: what remains is the shortcut
        nn.init.zeros_(block.conv2.weight)
    big = nn.functional.interpolate(x, scale_factor=2)
    torch.testing.assert_close(up(x), up.shortcut(big))
    torch.testing.assert_close(down(x), nn.functional.avg_pool2d(down.shortcut(x), 2))


def test_the_critic_has_no_norm_unless_asked():
    def norms(d):
        return sum(isinstance(m, nn.BatchNorm2d | nn.GroupNorm) for m in d.modules())

    assert norms(resnet.Discriminator(32, 3, width=4)) == 0
    assert norms(resnet.Discriminator(32, 3, width=4, norm="none")) == 0
    assert norms(resnet.Discriminator(32, 3, width=4, norm="layer")) == 6  # not in the first
    assert norms(resnet.Discriminator(64, 3, width=4, norm="batch")) == 8
    assert not any(isinstance(m, nn.BatchNorm2d) for m in resnet.Generator(32, norm=None).modules())


def test_without_norm_samples_do_not_see_each_other():
    d = resnet.Discriminator(32, 3, width=4)
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(d(x)[:1], d(x[:1]))


def test_spectral_normalisation_is_on_every_layer():
    d = resnet.Discriminator(32, 3, width=8, norm="spectral", pool="sum")
    layers = [m for m in d.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 2 * 4 + 2 + 1  # two per block, two shortcuts, the last
    for _ in range(50):  # power iterations
        d(torch.zeros(1, 3, 32, 32))
    d.eval()
    for layer in layers:
        assert parametrize.is_parametrized(layer, "weight")
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.02)


def test_sum_pooling_is_the_mean_times_the_places():
    mean, total = resnet.Discriminator(32, 1, width=4), resnet.Discriminator(32, 1, 4, pool="sum")
    total.load_state_dict(mean.state_dict())
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(total.features(x), 64 * mean.features(x))


@pytest.mark.parametrize(("kind", "more"), [("stddev", 1), ("discrimination", 32)])
def test_minibatch_layers_widen_the_features_and_see_the_batch(kind, more):
    d = resnet.Discriminator(32, 1, width=4, minibatch=kind)
    x = torch.randn(4, 1, 32, 32)
    apart, same = d.features(x), d.features(x[:1].expand(4, -1, -1, -1))
    assert apart.shape == (4, 4 + more)
    assert not torch.allclose(apart[0, 4:], same[0, 4:])


def test_initial_weights_are_glorots():
    g = resnet.Generator(32, 3, width=64)
    block = next(m for m in g.modules() if isinstance(m, resnet.Block))
    glorot = (2 / (9 * 64 + 9 * 64)) ** 0.5
    assert block.conv1.weight.std().item() == pytest.approx(2**0.5 * glorot, rel=0.02)
    assert block.shortcut.weight.std().item() == pytest.approx((1 / 64) ** 0.5, rel=0.05)
    assert not block.conv1.bias.any()


@pytest.mark.parametrize("size", resnet.SIZES)
def test_gradients_reach_every_parameter(size):
    g = resnet.Generator(size, 1, latent=8, width=4)
    d = resnet.Discriminator(size, 1, width=4, norm="spectral")
    d(g(g.sample_latent(4))).sum().backward()
    for name, p in [*g.named_parameters(), *d.named_parameters()]:
        # BatchNorm takes out what a bias before it adds
        if size == 32 and isinstance(p, nn.Parameter) and name.endswith("conv1.bias"):
            continue
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


def test_a_gradient_penalty_differentiates_through_the_critic():
    d = resnet.Discriminator(32, 1, width=4)
    params = dict(d.named_parameters())
    x = torch.randn(2, 1, 32, 32)

    def judge(x, p):
        return torch.func.functional_call(d, p, (x,)).sum()

    def penalty(p):
        return torch.func.grad(judge)(x, p).square().sum()

    functional = torch.func.grad(penalty)(params)
    x.requires_grad_()
    (g,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    g.square().sum().backward()
    for name, p in d.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(functional[name], p.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 28}, r"sizes \(32, 64\), not 28"),
        ({"norm": "spectrl"}, "did you mean 'spectral'"),
        ({"pool": "max"}, "unknown pool 'max'"),
        ({"width": (8, 8)}, "width is one number or 4"),
        ({"minibatch": "std"}, "minibatch"),
    ],
)
def test_wrong_options_say_so_in_one_line(options, says):
    with pytest.raises(RecipeError, match=says) as error:
        resnet.Discriminator(**{"width": 4, **options})
    assert "\n" not in str(error.value)


def test_the_generator_refuses_what_it_cannot_make():
    with pytest.raises(RecipeError, match="not 48"):
        resnet.Generator(48)
    with pytest.raises(RecipeError, match="'batch' or None"):
        resnet.Generator(32, norm="spectral")
    with pytest.raises(RecipeError, match="one number or 5"):
        resnet.Generator(64, width=[8, 8])
    with pytest.raises(RecipeError, match="one number or 4"):
        resnet.Generator(32, width=[8, 8, 8])
