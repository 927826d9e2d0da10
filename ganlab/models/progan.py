"""ProGAN: progressive growing (Karras et al. 2018, "Progressive Growing of GANs").

Written from the paper: Table 2 gives the layers, Sec. 2 the growth, Sec. 3 the minibatch
statistic, Sec. 4 the two normalisations. The published networks have 512 channels up to 32 px
and half as many for each doubling above it: `channel_base=16384`, `channel_max=512`. Pictures
leave the generator by a linear 1x1 convolution, without tanh.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganlab.data.sizes import Size
from ganlab.models.equalized import (
    EqualConv2d,
    EqualLinear,
    active,
    pixel_norm,
    widths,
)
from ganlab.models.fir import blurring
from ganlab.models.growing import Growing, doubled, halved
from ganlab.models.latent import NormalLatent
from ganlab.models.layers import MinibatchStd
from ganlab.models.style_layers import Mapping, projected


class GeneratorBlock(nn.Module):
    """Two 3x3 convolutions, each with leaky ReLU and pixel norm, at twice the size."""

    def __init__(self, before: int, wide: int) -> None:
        super().__init__()
        self.first, self.second = EqualConv2d(before, wide), EqualConv2d(wide, wide)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, n, n) -> (B, wide, 2n, 2n)."""
        x = pixel_norm(active(self.first(doubled(x))))
        return pixel_norm(active(self.second(x)))


class Generator(NormalLatent, Growing):
    """z, projected onto the sphere (Sec. A.1), to a picture that grows from `first` to `size`.

    In training mode the picture has the phase's resolution. In evaluation mode it has `size`
    pixels, repeated where the network has not grown so far.

    Args:
        size: a power of two from 8 to 1024.
        channels: 1 or 3.
        latent: length of z.
        channel_base, channel_max: base / resolution channels at a resolution, max at most.
        growing, first, hold, fade: see `ganlab.models.growing.Growing`.

    Raises:
        RecipeError: the size or the phases do not fit.
    """

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        latent: int = 512,
        channel_base: int = 16384,
        channel_max: int = 512,
        growing: bool = True,
        first: int = 4,
        hold: int = 600_000,
        fade: int = 600_000,
    ) -> None:
        super().__init__(size, channels, growing, first, hold, fade)
        self.latent = latent
        wide = widths(self.size, channel_base, channel_max)
        # A 4x4 convolution of a padded 1x1 map: He's constant counts all 16 taps.
        self.project = EqualLinear(latent, wide[0] * 16, math.sqrt(2) / 4, bias_gain=None)
        self.bias = nn.Parameter(torch.zeros(wide[0], 1, 1))
        self.start = EqualConv2d(wide[0], wide[0])
        pairs = pairwise(wide)
        self.blocks = nn.ModuleList(GeneratorBlock(a, b) for a, b in pairs)
        self.to_pixels = nn.ModuleList(EqualConv2d(c, channels, 1, gain=1.0) for c in wide)

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) -> (B, C, n, n), around [-1, 1] but not bounded."""
        x = self.project(pixel_norm(z)).unflatten(1, (-1, 4, 4))
        x = pixel_norm(active(x + self.bias.to(x.dtype)))
        x = pixel_norm(active(self.start(x)))
        before = x
        for i in range(self.level):
            before, x = x, self.blocks[i](x)
        return self.picture(self.to_pixels, before, x)


class DiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions with leaky ReLU, then half the size."""

    def __init__(self, wide: int, after: int, blur: bool) -> None:
        super().__init__()
        self.first, self.second = EqualConv2d(wide, wide), EqualConv2d(wide, after)
        self.blur = blurring() if blur else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, wide, n, n) -> (B, after, n/2, n/2)."""
        x = active(self.first(x))
        return halved(active(self.second(self.blur(x))))


class Discriminator(Growing):
    """A picture of the phase's resolution to one logit; larger pictures are reduced first.

    Args:
        size, channels, channel_base, channel_max: as in `Generator`.
        group: samples per group of the minibatch standard deviation.
        blur: filter with [1, 2, 1] before halving (Karras et al. 2019, Sec. 2).
        growing, first, hold, fade: as in `Generator`.
        classes: with more than 0 the logit is a projection, as in the later families.

    Raises:
        RecipeError: the size or the phases do not fit.
    """

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        channel_base: int = 16384,
        channel_max: int = 512,
        group: int = 4,
        blur: bool = False,
        growing: bool = True,
        first: int = 4,
        hold: int = 600_000,
        fade: int = 600_000,
        classes: int = 0,
    ) -> None:
        super().__init__(size, channels, growing, first, hold, fade)
        wide = widths(self.size, channel_base, channel_max)
        self.from_pixels = nn.ModuleList(EqualConv2d(channels, c, 1) for c in wide)
        pairs = pairwise(wide)
        self.blocks = nn.ModuleList(DiscriminatorBlock(b, a, blur) for a, b in pairs)
        self.statistic = MinibatchStd(group)
        self.last = EqualConv2d(wide[0] + 1, wide[0])
        self.dense = EqualLinear(wide[0] * 16, wide[0], math.sqrt(2))
        self.classes = classes
        self.head = EqualLinear(wide[0], wide[0] if classes else 1)
        self.condition = Mapping(0, wide[0], 8, classes) if classes else None

    def features(self, x: Tensor) -> Tensor:
        """(B, C, n, n) -> (B, channels at 4x4): what the last linear map reads.

        Raises:
            RecipeError: the batch is not a whole number of groups.
        """
        while x.shape[-1] > self.resolution:
            x = halved(x)
        h = active(self.from_pixels[self.level](x))
        for i in reversed(range(self.level)):
            h = self.blocks[i](h)
            if self.fading and i == self.level - 1:
                h = self.blend(active(self.from_pixels[i](halved(x))), h)
        h = active(self.last(self.statistic(h)))
        return active(self.dense(h.flatten(1)))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, C, n, n), and (B,) class numbers of a conditional network -> (B,) logits.

        Raises:
            RecipeError: labels are missing, or there are no classes.
        """
        return projected(self.features(x), self.head, self.condition, labels)
