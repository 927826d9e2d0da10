"""From a picture to numbers: the encoder of a VAE, and a classifier."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError
from ganlab.models import dcgan


class Encoder(nn.Module):
    """Pictures to `out` numbers: strided convolutions with BatchNorm down to 4 px, then linear.

    The mirror image of DCGAN's generator (Radford et al. 2016, Sec. 3); its discriminator with
    BatchNorm from the first layer on and as many outputs as wanted.

    Args:
        size: side of the pictures in pixels, 4 times a power of two.
        channels: of the pictures.
        out: numbers a picture.
        width: channels of the first layer, doubled at each halving.

    Raises:
        RecipeError: another size.
    """

    def __init__(self, size: int = 32, channels: int = 1, out: int = 10, width: int = 32) -> None:
        super().__init__()
        halvings = size.bit_length() - 3 if isinstance(size, int) else 0
        if halvings < 1 or size != 4 * 2**halvings:
            raise RecipeError(f"size {size}: an encoder needs a side of 8, 16, 32, 64, ... pixels")
        widths = [channels, *(width * 2**i for i in range(halvings))]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 16, out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, out)."""
        return self.layers(x)


class VAE(nn.Module):
    """The networks of a variational autoencoder (Kingma & Welling 2014).

    Args:
        size, channels: of the pictures.
        latent: numbers of a code.
        width: of both networks.
    """

    def __init__(
        self, size: int = 32, channels: int = 1, latent: int = 32, width: int = 32
    ) -> None:
        super().__init__()
        self.encoder = Encoder(size, channels, 2 * latent, width)
        self.decoder = dcgan.Generator(size, channels, latent=latent, width=width)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructions, and the codes' means and log variances.

        Args:
            x: (B, C, H, W) in [-1, 1].
            noise: (B, latent), standard normal.

        Returns:
            (B, C, H, W), (B, latent), (B, latent); the code is $μ + σ · "noise"$ (Sec. 2.4).
        """
        mean, log_var = self.encoder(x).float().chunk(2, 1)
        return self.decoder(mean + torch.exp(log_var / 2) * noise), mean, log_var
