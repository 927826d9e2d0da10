"""StyleGAN2 (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN").

Written from the paper: Sec. 2 and Eq. 1 to 3 give modulation and demodulation, Sec. 4 and Fig. 7
the skip generator and the residual discriminator, Sec. 4.2 the channels of configuration F:
`channel_base=32768`, `channel_max=512`. Halve the base for configuration E. The CIFAR-10
networks of the ADA paper are `size=32, layers=2` for the generator and
`residual=False, group=32` for the discriminator.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganlab.data.sizes import Size
from ganlab.errors import RecipeError, unknown
from ganlab.models.equalized import (
    HE,
    EqualConv2d,
    EqualLinear,
    active,
    widths,
)
from ganlab.models.fir import before_strided, doubling, halving
from ganlab.models.latent import Classes
from ganlab.models.layers import MinibatchStd
from ganlab.models.modulation import FORMS, Modulated
from ganlab.models.shapes import start
from ganlab.models.style_layers import Mapping, Noise, NoiseInput, StyleGenerator, projected

SIZES = tuple(8 << i for i in range(8))
_REFUSAL = f"the size must be a power of two from {SIZES[0]} to {SIZES[-1]}, not "


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU with a gain of √2 (Fig. 2d)."""

    def __init__(
        self, inputs: int, outputs: int, style: int, size: Size, up: bool, form: str
    ) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, style, up=up, form=form)
        self.noise = Noise(size, gain=HE)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: Tensor, w: Tensor, noise: str | Tensor) -> Tensor:
        """(B, inputs, n, n) and (B, W) -> (B, outputs, n', n')."""
        x = self.noise(self.conv(x, w), noise)
        return active(x + (self.bias * HE).to(x.dtype))


class ToPixels(nn.Module):
    """Modulated 1x1 convolution to pixels, linear, without demodulation."""

    def __init__(self, inputs: int, channels: int, style: int, form: str) -> None:
        super().__init__()
        self.conv = Modulated(
            inputs, channels, style, size=1, demodulate=False, gain=1.0, form=form
        )
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, inputs, n, n) and (B, W) -> (B, channels, n, n)."""
        x = self.conv(x, w)
        return x + self.bias.to(x.dtype)


class Generator(StyleGenerator):
    """z to w to a picture: the sum of what each resolution adds, all trained from the start.

    Args:
        size: a power of two from 8 to 1024, or (height, width); the channels of a rectangle are
            those of the largest such square in it.
        channels: 1 or 3.
        latent: length of z.
        style: length of w.
        layers: of the mapping network.
        rate: the mapping's learning rate multiplier.
        channel_base, channel_max: base / resolution channels at a resolution, max at most.
        classes: 0 for an unconditional network.
        skip: sum the pictures of all resolutions (Fig. 7b); False takes the last one's alone.
        mixing: share of training samples with two styles.
        decay: of the running mean of w, per forward.
        form: of modulation, "scale" or "grouped"; the same function. "scale" was faster in all
            sizes tried on a CPU.

    Raises:
        RecipeError: the size is not supported, or `form` is unknown.
    """

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        latent: int = 512,
        style: int = 512,
        layers: int = 8,
        rate: float = 0.01,
        channel_base: int = 32768,
        channel_max: int = 512,
        classes: int = 0,
        skip: bool = True,
        mixing: float = 0.9,
        decay: float = 0.995,
        form: str = "scale",
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise RecipeError(unknown("form", form, FORMS))
        first = start(size, SIZES, _REFUSAL)
        self.size, self.channels, self.latent = first.size, channels, latent
        self.mixing, self.decay = mixing, decay
        self.mapping = Mapping(latent, style, layers, classes, rate, bias_gain=HE)
        self.kinds = Classes(classes) if classes else None
        self.register_buffer("average", torch.zeros(style))
        wide = widths(first.square, channel_base, channel_max)
        self.start = nn.Parameter(torch.randn(wide[0], *first[:2]))
        self.layers = nn.ModuleList([StyledConv(wide[0], wide[0], style, first[:2], False, form)])
        for i in range(1, len(wide)):
            self.layers.append(StyledConv(wide[i - 1], wide[i], style, first.at(i), True, form))
            self.layers.append(StyledConv(wide[i], wide[i], style, first.at(i), False, form))
        self.to_pixels = nn.ModuleList(
            ToPixels(c, channels, style, form) if skip or i == len(wide) - 1 else nn.Identity()
            for i, c in enumerate(wide)
        )
        self.skip, self.enlarge = skip, doubling()

    @property
    def layers_used(self) -> int:
        """L: one per convolution, and one for the last picture; the others share their next."""
        return len(self.layers) + 1

    def synthesis(self, ws: Tensor, noise: NoiseInput = None) -> Tensor:
        """(B, L, W) styles -> (B, C, H, W)."""
        inputs = self.noise_inputs(noise, len(self.layers))
        x = self.start.expand(ws.shape[0], -1, -1, -1)
        picture: Tensor | None = None
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            x = layer(x, ws[:, i], inputs[i])
            if i % 2 == 0 and (self.skip or i == last):
                added = self.to_pixels[i // 2](x, ws[:, i + 1])
                picture = added if picture is None else added + self.enlarge(picture)
        assert picture is not None
        return picture


class DiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions, the second halving; in the residual form a 1x1 path beside them.

    Both paths are scaled by $1/√2$ (Sec. 4.1): the sum keeps its variance.
    """

    def __init__(self, wide: int, after: int, residual: bool) -> None:
        super().__init__()
        share = math.sqrt(0.5) if residual else 1.0
        self.first = EqualConv2d(wide, wide, bias_gain=HE)
        self.blur = before_strided()
        self.second = EqualConv2d(wide, after, gain=HE * share, bias_gain=HE * share, stride=2)
        self.halve = halving() if residual else None
        self.skip = EqualConv2d(wide, after, 1, share, bias_gain=None) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, wide, n, n) -> (B, after, n/2, n/2)."""
        h = active(self.second(self.blur(active(self.first(x)))))
        if self.skip is None or self.halve is None:
            return h
        return h + self.skip(self.halve(x))


class Discriminator(nn.Module):
    """A picture to one logit.

    With classes the logit is a projection, see `ganlab.models.style_layers.projected`.

    Args:
        size, channels, channel_base, channel_max: as in `Generator`.
        residual: residual blocks (Fig. 7c); False is the plain network of the CIFAR-10 setting.
        group: samples per group of the minibatch standard deviation; 0 leaves it out.
        classes: 0 for an unconditional network.

    Raises:
        RecipeError: the size is not supported.
    """

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        residual: bool = True,
        group: int = 4,
        classes: int = 0,
    ) -> None:
        super().__init__()
        end = start(size, SIZES, _REFUSAL)
        self.size, self.classes = end.size, classes
        wide = widths(end.square, channel_base, channel_max)
        self.from_pixels = EqualConv2d(channels, wide[-1], 1, bias_gain=HE)
        pairs = pairwise(wide[::-1])
        self.blocks = nn.ModuleList(DiscriminatorBlock(a, b, residual) for a, b in pairs)
        self.statistic = MinibatchStd(group) if group else nn.Identity()
        top = wide[0]
        self.last = EqualConv2d(top + bool(group), top, bias_gain=HE)
        self.dense = EqualLinear(top * end.places, top, HE, bias_gain=HE)
        self.head = EqualLinear(top, top if classes else 1)
        self.condition = Mapping(0, top, 8, classes, bias_gain=HE) if classes else None

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, channels at 4x4): what the last linear map reads.

        Raises:
            RecipeError: the batch is not a whole number of groups.
        """
        x = active(self.from_pixels(x))
        for block in self.blocks:
            x = block(x)
        x = active(self.last(self.statistic(x)))
        return active(self.dense(x.flatten(1)))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, C, H, W), and (B,) class numbers of a conditional network -> (B,) logits.

        Raises:
            RecipeError: labels are missing, or there are no classes.
        """
        return projected(self.features(x), self.head, self.condition, labels)
