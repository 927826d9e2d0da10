"""Networks: published parameter counts, initialisation, shapes and ranges."""

import pytest
import torch
from torch import nn

from ganlab.errors import RecipeError
from ganlab.models import dcgan, mlp


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_dcgan_64_has_the_parameters_of_the_public_script():
    # The PyTorch examples' DCGAN (ngf = ndf = 64, nz = 100).
    assert count(dcgan.Generator(64, 3, width=64)) == 3_576_704
    assert count(dcgan.Discriminator(64, 3, width=64)) == 2_765_568


def test_dcgan_64_has_the_published_channels():
    # Radford et al. 2015, Figure 1: 1024, 512, 256, 128 channels at 4, 8, 16, 32 px.
    g = dcgan.Generator(64, 3, width=128)
    convs = [m for m in g.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in convs] == [1024, 512, 256, 128, 3]
    expected = 16 * (100 * 1024 + 1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    expected += 2 * (1024 + 512 + 256 + 128)  # BatchNorm
    assert count(g) == expected


def test_mlp_on_mnist_has_the_parameters_of_its_layers():
    g = mlp.Generator(100, (1, 28, 28), width=128, depth=4)
    linear = 100 * 128 + 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784 + 784
    assert count(g) == linear + 2 * (256 + 512 + 1024)
    d = mlp.Discriminator((1, 28, 28), width=512, depth=2)
    assert count(d) == 784 * 512 + 512 + 512 * 256 + 256 + 256 + 1


@pytest.mark.parametrize("size", dcgan.SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_sizes(size, channels):
    g = dcgan.Generator(size, channels, latent=8, width=4)
    x = g(g.sample_latent(2))
    assert x.shape == (2, channels, size, size)
    assert x.abs().max() <= 1
    assert dcgan.Discriminator(size, channels, width=4)(x).shape == (2,)


def test_dcgan_initialisation_is_the_papers():
    g = dcgan.Generator(32, 3, width=64)
    weights = torch.cat([m.weight.flatten() for m in g.modules()
                         if isinstance(m, nn.ConvTranspose2d)])  # fmt: skip
    assert weights.mean().abs() < 1e-4
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    gains = torch.cat([m.weight for m in g.modules() if isinstance(m, nn.BatchNorm2d)])
    assert gains.mean().item() == pytest.approx(1, abs=0.01)
    assert gains.std().item() == pytest.approx(0.02, rel=0.2)


def test_batch_norm_is_where_the_paper_puts_it():
    g, d = dcgan.Generator(32, 3, width=4), dcgan.Discriminator(32, 3, width=4)
    assert isinstance(list(g.layers)[-1], nn.Tanh)
    assert not isinstance(list(g.layers)[-3], nn.BatchNorm2d)  # none on the output
    assert isinstance(list(d.layers)[1], nn.LeakyReLU)  # none on the input
    assert sum(isinstance(m, nn.BatchNorm2d) for m in g.modules()) == 3
    assert sum(isinstance(m, nn.BatchNorm2d) for m in d.modules()) == 2


def test_ablations_change_what_they_say():
    plain = dcgan.Discriminator(32, 1, width=4, batch_norm=False)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    relu = dcgan.Discriminator(32, 1, width=4, activation="relu")
    assert not any(isinstance(m, nn.LeakyReLU) for m in relu.modules())
    pooled = dcgan.Discriminator(32, 1, width=4, pool=True)
    assert pooled(torch.zeros(2, 1, 32, 32)).shape == (2,)
    nearest = dcgan.Generator(32, 1, width=4, upsample="nearest")
    assert nearest(nearest.sample_latent(2)).shape == (2, 1, 32, 32)


def test_sizes_that_do_not_exist_are_refused():
    with pytest.raises(RecipeError, match="16, 32, 64, 128"):
        dcgan.Generator(48)


def test_latent_vectors_are_reproducible_and_normal():
    g = mlp.Generator(16, 2)
    z = g.sample_latent(4000, torch.Generator().manual_seed(3))
    assert torch.equal(z, g.sample_latent(4000, torch.Generator().manual_seed(3)))
    assert z.std().item() == pytest.approx(1, abs=0.02)
