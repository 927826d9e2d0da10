"""Fully connected generator and discriminator, for points and small pictures."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ganlab.errors import RecipeError, unknown
from ganlab.models import layers as shared
from ganlab.models.latent import NormalLatent


class Generator(NormalLatent, nn.Module):
    """Latent vectors to points or pictures.

    For pictures the network of the first GANs on MNIST: widths that double from `width`, ReLU,
    BatchNorm after the first layer, tanh at the end. For points: plain ReLU layers, linear end.

    Args:
        latent: length of z.
        out: an integer for points in that many dimensions, or a picture shape (C, H, W).
        width: units of the first hidden layer.
        depth: hidden layers.
        batch_norm: BatchNorm between hidden layers; by default only for pictures.
        norm: None, or "spectral": every linear layer spectrally normalised, beside BatchNorm.

    Raises:
        RecipeError: an unknown `norm`.
    """

    def __init__(
        self,
        latent: int = 64,
        out: int | tuple[int, int, int] = (1, 28, 28),
        width: int = 256,
        depth: int = 3,
        batch_norm: bool | None = None,
        norm: str | None = None,
    ) -> None:
        super().__init__()
        if norm not in (None, "spectral"):
            raise RecipeError(unknown("norm", norm, ("spectral",)))
        self.latent, self.out = latent, out
        picture = not isinstance(out, int)
        normed = picture if batch_norm is None else batch_norm
        layers: list[nn.Module] = []
        before = latent
        for i in range(depth):
            units = width * 2**i if picture else width
            layers.append(nn.Linear(before, units, bias=not (normed and i)))
            if normed and i:
                layers.append(nn.BatchNorm1d(units))
            layers.append(nn.LeakyReLU(0.2) if picture else nn.ReLU())
            before = units
        layers.append(nn.Linear(before, out if isinstance(out, int) else math.prod(out)))
        if picture:
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers)
        if norm == "spectral":
            shared.spectral(self)

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) -> (B, out) or (B, C, H, W) in [-1, 1]."""
        x = self.layers(z)
        return x if isinstance(self.out, int) else x.view(-1, *self.out)


class Discriminator(nn.Module):
    """Points or pictures to one logit each.

    Args:
        out: the generator's `out`: dimensions of a point, or (C, H, W).
        width: units of the widest hidden layer.
        depth: hidden layers; for pictures their widths halve.
        dropout: probability after each hidden layer.
        norm: None, "spectral" (every linear layer) or "layer" (LayerNorm before each
            activation, as the gradient penalty allows; Gulrajani et al. 2017, Sec. 4).
        minibatch: None, "stddev" or "discrimination": what the last layer also learns about
            the rest of the batch (`ganlab.models.layers`).

    Raises:
        RecipeError: an unknown `norm` or `minibatch`.
    """

    def __init__(
        self,
        out: int | tuple[int, int, int] = (1, 28, 28),
        width: int = 512,
        depth: int = 2,
        dropout: float = 0.0,
        norm: str | None = None,
        minibatch: str | None = None,
    ) -> None:
        super().__init__()
        if norm not in (None, "spectral", "layer"):
            raise RecipeError(unknown("norm", norm, ("spectral", "layer")))
        picture = not isinstance(out, int)
        before = out if isinstance(out, int) else math.prod(out)
        layers: list[nn.Module] = [nn.Flatten()]
        for i in range(depth):
            units = width // 2**i if picture else width
            layers.append(nn.Linear(before, units))
            if norm == "layer":
                layers.append(nn.LayerNorm(units))
            layers.append(nn.LeakyReLU(0.2))
            if dropout:
                layers.append(nn.Dropout(dropout))
            before = units
        if minibatch:
            layer, added = shared.minibatch(minibatch, before)
            layers.append(layer)
            before += added
        layers.append(nn.Linear(before, 1))
        self.layers = nn.Sequential(*layers)
        if norm == "spectral":
            shared.spectral(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B,) logits."""
        return self.layers(x).squeeze(1)

    def features(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, F): what the last layer reads."""
        return shared.features(self.layers, x)
