"""StyleGAN: a style for every layer (Karras et al. 2019, "A Style-Based Generator Architecture").

Written from the paper: Fig. 1b and Sec. 2 give the generator, Sec. 3.1 mixing, Sec. 3.2 the
noise inputs, App. B truncation, App. C training. The published networks have the channels of
ProGAN, `channel_base=16384` and `channel_max=512`, grow from 8x8, and take eight mapping layers.
The discriminator is ProGAN's with filtered halving.

The picture does not come from z: it starts as a learned constant, and w, a nonlinear function
of z, sets the mean and scale of every feature map after every convolution (AdaIN).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.data.sizes import Size
from ganlab.models import progan
from ganlab.models.equalized import (
    EqualConv2d,
    EqualLinear,
    active,
    full_precision,
    wide,
    widths,
)
from ganlab.models.fir import blurring
from ganlab.models.growing import Growing, doubled
from ganlab.models.latent import Classes
from ganlab.models.style_layers import Mapping, Noise, NoiseInput, StyleGenerator


class AdaIN(nn.Module):
    """Normalise each feature map of each sample, then give it w's scale and mean (Eq. 1).

    With μ and σ the mean and standard deviation of the map $x$,

        y = (1 + s) (x - μ)/σ + b

    where $s$ and $b$ are affine in $w$: a fresh network starts near a scale of 1.
    """

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.affine = EqualLinear(style, 2 * channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, C, n, n) and (B, W) -> (B, C, n, n)."""
        with full_precision(x):
            style = self.affine(w.to(self.affine.weight.dtype))
            scale, mean = style[:, :, None, None].chunk(2, 1)
            y = F.instance_norm(wide(x), eps=1e-8) * (scale + 1) + mean
        return y.to(x.dtype)


class Epilogue(nn.Module):
    """After a convolution: noise, bias, leaky ReLU, AdaIN (Fig. 1b)."""

    def __init__(self, style: int, channels: int, size: int) -> None:
        super().__init__()
        self.noise = Noise(size, channels)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.adain = AdaIN(style, channels)

    def forward(self, x: Tensor, w: Tensor, noise: str | Tensor) -> Tensor:
        """(B, C, n, n) and (B, W) -> (B, C, n, n)."""
        x = self.noise(x, noise) + self.bias.to(x.dtype)
        return self.adain(active(x), w)


class Generator(StyleGenerator, Growing):
    """z to w to a picture that starts as a constant and may grow from `first` to `size`.

    In training mode the picture has the phase's resolution. In evaluation mode it has `size`
    pixels, repeated where the network has not grown so far.

    Args:
        size: a power of two from 8 to 1024.
        channels: 1 or 3.
        latent: length of z.
        style: length of w.
        layers: of the mapping network.
        rate: the mapping's learning rate multiplier.
        channel_base, channel_max: base / resolution channels at a resolution, max at most.
        classes: 0 for an unconditional network.
        mixing: share of training samples with two styles.
        decay: of the running mean of w, per forward.
        growing, first, hold, fade: see `ganlab.models.growing.Growing`.

    Raises:
        RecipeError: the size or the phases do not fit.
    """

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        latent: int = 512,
        style: int = 512,
        layers: int = 8,
        rate: float = 0.01,
        channel_base: int = 16384,
        channel_max: int = 512,
        classes: int = 0,
        mixing: float = 0.9,
        decay: float = 0.995,
        growing: bool = True,
        first: int = 8,
        hold: int = 600_000,
        fade: int = 600_000,
    ) -> None:
        super().__init__(size, channels, growing, first, hold, fade)
        self.latent, self.mixing, self.decay = latent, mixing, decay
        self.mapping = Mapping(latent, style, layers, classes, rate)
        self.kinds = Classes(classes) if classes else None
        self.register_buffer("average", torch.zeros(style))
        wide_at = widths(self.size, channel_base, channel_max)
        self.start = nn.Parameter(torch.ones(wide_at[0], 4, 4))
        self.blur = blurring()
        # The first of each pair of convolutions comes after doubling; at 4x4 there is none.
        self.convs, self.epilogues = nn.ModuleList(), nn.ModuleList()
        for i, c in enumerate(wide_at):
            if i:
                self.convs.append(EqualConv2d(wide_at[i - 1], c, bias_gain=None))
            self.convs.append(EqualConv2d(c, c, bias_gain=None))
            self.epilogues.extend(Epilogue(style, c, 4 << i) for _ in range(2))
        self.to_pixels = nn.ModuleList(EqualConv2d(c, channels, 1, gain=1.0) for c in wide_at)

    @property
    def layers_used(self) -> int:
        """L: two per resolution up to the present one."""
        return 2 * (self.level + 1)

    def synthesis(self, ws: Tensor, noise: NoiseInput = None) -> Tensor:
        """(B, L, W) styles -> (B, C, n, n)."""
        count = 2 * (self.level + 1)
        inputs = self.noise_inputs(noise, count)
        x = before = self.start.expand(ws.shape[0], -1, -1, -1)
        for i in range(count):
            if i:
                if i % 2 == 0:
                    before, x = x, doubled(x)
                x = self.convs[i - 1](x)
                if i % 2 == 0:
                    x = self.blur(x)
            x = self.epilogues[i](x, ws[:, i], inputs[i])
        return self.picture(self.to_pixels, before, x)


class Discriminator(progan.Discriminator):
    """ProGAN's, with [1, 2, 1] before halving and 8x8 as the first phase."""

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        *,
        blur: bool = True,
        first: int = 8,
        **options: Any,
    ) -> None:
        super().__init__(size, channels, blur=blur, first=first, **options)
