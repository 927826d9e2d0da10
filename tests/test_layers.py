"""Statistics over the batch, packing, and the discriminators' options."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganlab.errors import RecipeError
from ganlab.models import MinibatchDiscrimination, MinibatchStd, Packed, dcgan, mlp


def count(network):
    return sum(p.numel() for p in network.parameters())


# Statistics over the batch


def test_minibatch_std_by_formula():
    x = torch.randn(8, 3, 2, 2)
    y = MinibatchStd(4)(x)
    assert torch.equal(y[:, :3], x)
    for i in range(8):
        group = x[[j for j in range(8) if j % 2 == i % 2]]
        expected = group.std(0, unbiased=False).mean()
        assert torch.allclose(y[i, 3], expected.expand(2, 2), atol=2e-4)


def test_minibatch_std_on_points():
    x = torch.randn(6, 5)
    y = MinibatchStd(6)(x)
    assert y.shape == (6, 6)
    expected = x.std(0, unbiased=False).mean()
    assert torch.allclose(y[:, 5], expected.expand(6), atol=2e-4)
    assert MinibatchStd(4)(x[:3]).shape == (3, 6)  # a batch smaller than a group is one


def test_a_collapsed_batch_gives_zero_with_a_finite_gradient():
    x = torch.randn(1, 3, 4, 4).repeat(8, 1, 1, 1).requires_grad_()
    channel = MinibatchStd(4)(x)[:, 3]
    assert torch.equal(channel, torch.zeros_like(channel))
    channel.sum().backward()
    assert x.grad.isfinite().all()


def test_minibatch_std_refuses_a_broken_group():
    with pytest.raises(RecipeError, match="batch of 6 is not a whole number of groups of 4"):
        MinibatchStd(4)(torch.zeros(6, 2))


def test_minibatch_discrimination_by_loops():
    layer = MinibatchDiscrimination(6, kernels=3, dim=2)
    x = torch.randn(4, 6)
    y = layer(x)
    assert y.shape == (4, 9)
    assert torch.equal(y[:, :6], x)
    t = layer.tensor.detach().view(6, 3, 2)
    for i in range(4):
        for b in range(3):
            m = [x[j] @ t[:, b] for j in range(4)]
            near = [torch.exp(-(m[i] - m[j]).abs().sum()) for j in range(4) if j != i]
            assert y[i, 6 + b].item() == pytest.approx(sum(near).item() / 3, abs=1e-5)


def test_minibatch_discrimination_tells_collapse_at_any_batch_size():
    layer = MinibatchDiscrimination(6)
    for n in (2, 16):
        same = layer(torch.randn(1, 6).repeat(n, 1))[:, 6:]
        assert torch.allclose(same, torch.ones_like(same))
        assert layer(100 * torch.randn(n, 6))[:, 6:].mean() < 0.2
    assert torch.equal(layer(torch.randn(1, 6))[:, 6:], torch.zeros(1, 32))


# Packing


def test_packed_equals_reshaping_by_hand():
    d = dcgan.Discriminator(16, 2 * 3, width=4, batch_norm=False)
    x = torch.randn(6, 3, 16, 16)
    by_hand = torch.stack([torch.cat([x[2 * i], x[2 * i + 1]]) for i in range(3)])
    packed = Packed(d, 2)
    assert torch.equal(packed(x), d(by_hand))
    assert packed(x).shape == (3,)
    assert torch.equal(packed.features(x), d.features(by_hand))
    assert torch.equal(packed(x.to(memory_format=torch.channels_last)), d(by_hand))


def test_packed_points_and_parameters():
    one, three = mlp.Discriminator(2, width=16), mlp.Discriminator(3 * 2, width=16)
    packed = Packed(three, 3)
    x = torch.randn(9, 2)
    by_hand = torch.stack([torch.cat([x[3 * i], x[3 * i + 1], x[3 * i + 2]]) for i in range(3)])
    assert torch.equal(packed(x), three(by_hand))
    assert count(packed) == count(three) == count(one) + 2 * 2 * 16  # the first layer's


def test_packed_refuses_what_does_not_divide():
    packed = Packed(mlp.Discriminator(4), 2)
    with pytest.raises(RecipeError, match="batch of 5 is not a whole number of packs of 2"):
        packed(torch.zeros(5, 2))
    with pytest.raises(RecipeError, match="at least 1, not 0"):
        Packed(mlp.Discriminator(2), 0)


# Options of the discriminators


OPTIONS = [
    {"norm": n, "minibatch": m}
    for n in (None, "spectral", "layer")
    for m in (None, "stddev", "discrimination")
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("family", ["points", "mlp", "dcgan"])
def test_the_head_reads_the_features(family, options):
    if family == "points":
        d, x = mlp.Discriminator(2, width=16, **options), torch.randn(8, 2)
    elif family == "mlp":
        d, x = mlp.Discriminator((1, 8, 8), width=16, **options), torch.randn(8, 1, 8, 8)
    else:
        d, x = dcgan.Discriminator(16, 3, width=4, **options), torch.randn(8, 3, 16, 16)
    d.eval()
    features, head = d.features(x), d.layers[-1]
    assert features.dim() == 2
    by_hand = features @ head.weight.flatten(1).T + (0 if head.bias is None else head.bias)
    assert torch.allclose(d(x), by_hand.squeeze(1), atol=1e-5)
    assert d(x).shape == (8,)


def test_defaults_are_as_they_were():
    torch.manual_seed(5)
    d = dcgan.Discriminator(16, 1, width=4)
    torch.manual_seed(5)
    convs = [nn.Conv2d(*a, bias=False) for a in ((1, 4, 4, 2, 1), (4, 8, 4, 2, 1), (8, 1, 4))]
    norm = nn.BatchNorm2d(8)
    for m in (convs[0], convs[1], norm, convs[2]):
        dcgan.initialise(m)
    keys = [k for k in d.state_dict() if k.endswith("weight")]
    assert keys == [f"layers.{i}.weight" for i in (0, 2, 3, 5)]
    for key, m in zip(keys, (convs[0], convs[1], norm, convs[2]), strict=True):
        assert torch.equal(d.state_dict()[key], m.weight)


def test_minibatch_options_add_their_parameters():
    points, pictures = mlp.Discriminator(2, width=8), dcgan.Discriminator(16, 1, width=4)
    std = {"minibatch": "stddev"}
    assert count(mlp.Discriminator(2, width=8, **std)) == count(points) + 1
    assert count(dcgan.Discriminator(16, 1, width=4, **std)) == count(pictures) + 4 * 4
    added = 32 + 8 * 32 * 4  # weights of the last layer, and the tensor T
    other = mlp.Discriminator(2, width=8, minibatch="discrimination")
    assert count(other) == count(points) + added


def test_norm_in_dcgan_replaces_batch_norm():
    for norm, kinds in (("batch", 2), ("layer", 0), ("spectral", 0), ("none", 0)):
        d = dcgan.Discriminator(32, 1, width=4, norm=norm)
        assert sum(isinstance(m, nn.BatchNorm2d) for m in d.modules()) == kinds
    layered = dcgan.Discriminator(32, 1, width=4, norm="layer")
    x = torch.randn(4, 1, 32, 32)
    assert torch.allclose(layered(x)[:2], layered(x[:2]), atol=1e-6)  # samples are apart
    g = dcgan.Generator(16, 1, latent=4, width=4, norm="spectral")
    assert sum(isinstance(m, nn.BatchNorm2d) for m in g.modules()) == 2
    assert sum(parametrize.is_parametrized(m) for m in g.modules()) == 3
    g = mlp.Generator(4, 2, width=8, norm="spectral")
    assert sum(parametrize.is_parametrized(m) for m in g.modules()) == 4


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda: mlp.Discriminator(2, norm="spektral"), "did you mean 'spectral'"),
        (lambda: dcgan.Discriminator(32, norm="spektral"), "did you mean 'spectral'"),
        (lambda: dcgan.Generator(32, norm="batch"), "unknown norm 'batch'"),
        (lambda: mlp.Discriminator(2, minibatch="std"), "unknown minibatch layer 'std'"),
        (lambda: dcgan.Discriminator(32, minibatch="stdev"), "did you mean 'stddev'"),
    ],
)
def test_unknown_options_are_refused(build, line):
    with pytest.raises(RecipeError, match=line) as error:
        build()
    assert "\n" not in str(error.value)
