"""ProGAN: counts by hand, equal pace of all layers, pixel norm, growth and its state."""

import copy

import pytest
import torch
import torch.nn.functional as F

from ganlab.errors import RecipeError
from ganlab.models import (
    EqualConv2d,
    EqualLinear,
    channels_at,
    doubled,
    enlarged,
    halved,
    pixel_norm,
    progan,
)

SMALL = {"channel_base": 128, "channel_max": 16}
PHASES = {"first": 4, "hold": 100, "fade": 200}


def pair(size=16, **options):
    g = progan.Generator(size, 3, latent=8, **SMALL, **options)
    return g, progan.Discriminator(size, 3, group=2, **SMALL, **options)


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_the_published_1024_px_networks_have_the_parameters_of_their_layers():
    """Table 2 of the paper, layer by layer; the StyleGAN paper counts 23.1 million for G."""
    wide = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    g = 512 * 512 * 16 + 512 + 9 * 512 * 512 + 512
    d = 9 * 513 * 512 + 512 + 16 * 512 * 512 + 512 + 512 + 1
    for a, b in zip(wide, wide[1:]):  # noqa: RUF007
        g += 9 * a * b + b + 9 * b * b + b
        d += 9 * b * b + b + 9 * b * a + a
    g += sum(3 * c + 3 for c in wide)
    d += sum(3 * c + c for c in wide)
    with torch.device("meta"):
        assert count(progan.Generator(1024)) == g
        assert count(progan.Discriminator(1024)) == d
    assert round(g / 1e6, 1) == 23.1


def test_the_channel_rule():
    assert [channels_at(r, 16384, 512) for r in (4, 32, 64, 1024)] == [512, 512, 256, 16]
    assert channels_at(64, 16, 512) == 1


def test_layers_keep_the_variance_and_store_unit_weights():
    torch.manual_seed(0)
    for inputs in (16, 256):
        layer = EqualConv2d(inputs, 64, gain=1.0)
        assert layer.weight.std().item() == pytest.approx(1, abs=0.03)
        x = torch.randn(4, inputs, 8, 8)
        assert layer(x)[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1, abs=0.05)
        assert EqualLinear(inputs, 999)(x[:, :, 0, 0]).std().item() == pytest.approx(1, abs=0.1)


def test_one_adam_step_moves_narrow_and_wide_layers_by_the_same_share():
    moved = []
    for inputs in (4, 400):
        layer = EqualLinear(inputs, 50)
        before = (layer.weight * layer.scale).detach().clone()
        adam = torch.optim.Adam(layer.parameters(), lr=0.01)
        layer(torch.randn(32, inputs)).square().sum().backward()
        adam.step()
        moved.append(((layer.weight * layer.scale - before).abs().mean() / before.std()).item())
    assert moved[0] == pytest.approx(moved[1], rel=0.1)


def test_the_rate_divides_what_a_step_changes():
    torch.manual_seed(1)
    fast = EqualLinear(8, 8, rate=1.0)
    slow = EqualLinear(8, 8, rate=0.01)
    with torch.no_grad():
        slow.weight.copy_(fast.weight / 0.01)
    x = torch.randn(5, 8)
    torch.testing.assert_close(fast(x), slow(x))
    changes = []
    for layer in (fast, slow):
        before = layer(x).detach()
        adam = torch.optim.Adam(layer.parameters(), lr=1e-3)
        layer(x).sum().backward()
        adam.step()
        changes.append((layer(x) - before).abs().mean().item())
    assert changes[1] == pytest.approx(0.01 * changes[0], rel=1e-2)


def test_pixel_norm_is_its_formula():
    x = torch.randn(2, 5, 3, 3)
    y = pixel_norm(x)
    torch.testing.assert_close(y, x / (x.square().sum(1, keepdim=True) / 5 + 1e-8).sqrt())
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 3, 3))


def test_phases_in_images_shown():
    g, _ = pair(**PHASES)
    expected = {
        0: (4, 1.0), 99: (4, 1.0), 100: (8, 0.0), 200: (8, 0.5), 299: (8, 0.995),
        300: (8, 1.0), 399: (8, 1.0), 400: (16, 0.0), 600: (16, 1.0), 10**6: (16, 1.0),
    }  # fmt: skip
    assert {images: g.due(images) for images in expected} == expected
    g.grow(200)
    assert (g.resolution, float(g.alpha), g.fading) == (8, 0.5, True)


def test_a_new_resolution_starts_as_the_old_and_ends_as_its_own():
    g, d = pair()
    z = g.sample_latent(4)
    x8, x16 = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 16, 16)
    g.set_phase(8), d.set_phase(8)
    old, judged = g(z), d(halved(x16))
    assert old.shape == (4, 3, 8, 8)
    d(x8)
    g.set_phase(16, 0.0), d.set_phase(16, 0.0)
    torch.testing.assert_close(g(z), doubled(old))
    torch.testing.assert_close(d(x16), judged)
    g.set_phase(16, 0.25)
    quarter = g(z)
    g.set_phase(16)
    torch.testing.assert_close(quarter, 0.75 * doubled(old) + 0.25 * g(z))


def test_real_pictures_as_the_phase_shows_them():
    g, d = pair()
    x = torch.randn(2, 3, 16, 16)
    d.set_phase(8, 0.25)
    small = F.avg_pool2d(x, 2)
    expected = 0.75 * doubled(F.avg_pool2d(small, 2)) + 0.25 * small
    torch.testing.assert_close(d.shown(x), expected)
    d.set_phase(8)
    torch.testing.assert_close(d.shown(x), small)
    torch.testing.assert_close(d(x), d(small))  # whoever forgets it is reduced, not refused
    d.set_phase(16)
    assert torch.equal(d.shown(x), x)
    g.set_phase(4)
    g.eval()
    assert g(g.sample_latent(2)).shape == x.shape
    assert torch.equal(enlarged(x, 16), x)


def test_only_layers_in_use_learn():
    g, d = pair()
    g.set_phase(8, 0.5), d.set_phase(8, 0.5)
    d(g(g.sample_latent(4))).sum().backward()
    idle = {n for n, p in [*g.named_parameters(), *d.named_parameters()] if p.grad is None}
    assert {name.rsplit(".", 1)[0] for name in idle} == {
        "to_pixels.2", "blocks.1.first", "blocks.1.second", "from_pixels.2",
    }  # fmt: skip


def test_the_phase_is_in_the_state_and_follows_into_an_average():
    g, _ = pair(**PHASES)
    average = copy.deepcopy(g).eval()
    g.grow(200)
    fresh, _ = pair(**PHASES)
    fresh.load_state_dict(g.state_dict())
    z = g.sample_latent(2)
    assert (fresh.resolution, fresh.fading) == (8, True)
    assert torch.equal(fresh(z), g(z))
    with torch.no_grad():  # as `Average` does: buffers are copied, then eval() is called
        for mine, theirs in zip(average.buffers(), g.buffers()):
            mine.copy_(theirs)
    average.eval()
    torch.testing.assert_close(average(z), enlarged(g(z), 16))


def test_it_compiles_whole_and_runs_in_bf16_channels_last():
    g, d = pair()
    g.set_phase(16, 0.5), d.set_phase(16, 0.5)
    z = g.sample_latent(4)
    x = g(z)
    whole = torch.compile(lambda z: d(g(z)), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(whole(z), d(x))
    g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        y = g(z)
        logits = d(y)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y.float(), x, atol=0.1, rtol=0.1)
    logits.float().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in g.parameters())


def test_refusals():
    with pytest.raises(RecipeError, match="a power of two from 8 to 1024, not 48"):
        progan.Generator(48)
    with pytest.raises(RecipeError, match="'first' must be a power of two from 4 to 16, not 32"):
        pair(first=32)
    with pytest.raises(RecipeError, match="'hold' and 'fade' are numbers of images"):
        pair(hold=-1)
    with pytest.raises(RecipeError, match="no phase with resolution 32 and alpha 1"):
        pair()[0].set_phase(32)
