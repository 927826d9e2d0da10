"""A modern baseline: residual networks without normalisation (after R3GAN, Huang et al. 2024).

Written from the paper (arXiv 2501.05441, Sec. 4 and its last configuration), not from its code.
Both players are the same trunk, one the mirror of the other: at each size from 4x4 to the
picture a few residual blocks, between sizes a resampling. There is no BatchNorm, no style, no
minibatch statistic; what keeps the signal in bounds is the initialisation of Fixup (Zhang et
al. 2019, arXiv 1901.09321): the last convolution of a block starts at zero, so that the block
starts as the identity, and the others start at He's scale times $L^(-1/4)$, with $L$ the number of
blocks of the network.

Everything here is a pure function of its parameters: no buffer changes, nothing is written in
place. So `torch.func.grad`, `torch.vmap` and a whole compiled step with R1 and R2 take it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.data.sizes import Size, as_size
from ganlab.errors import RecipeError
from ganlab.models.latent import NormalLatent
from ganlab.models.shapes import Start, start

SIZES = (16, 32, 64)
SLOPE = 0.2  # of the leaky ReLU


def _start(size: Size, patch: int) -> tuple[Start, int]:
    """The smallest map, and how many of the sizes 4x4, 8x8, ..., size / patch there are."""
    first = start(size, SIZES, f"the modern networks are defined for sizes {SIZES}, not ")
    if patch not in (1, 2, 4):
        raise RecipeError(f"patch must be 1, 2 or 4, not {patch}")
    return first, first.doublings + 2 - patch.bit_length()


def _per_stage(
    value: int | Sequence[int], first: Start, stages: int, name: str, least: int
) -> list[int]:
    values = [value] * stages if isinstance(value, int) else list(value)
    if len(values) != stages or min(values) < least:
        (a, b), (c, d), (e, f) = first.at(0), first.at(1), first.at(stages - 1)
        raise RecipeError(
            f"{name} is one number or {stages} (at {a}x{b}, {c}x{d}, ..., {e}x{f}), "
            f"each at least {least}, not {value}"
        )
    return values


def _groups(widths: list[int], expansion: int, cardinality: int | None) -> list[int]:
    """Groups of the 3x3 convolution in each stage: the same channels in every group."""
    top = max(widths)
    if cardinality is None:
        cardinality = max(1, top * expansion // 16)
    groups = [max(1, cardinality * w // top) for w in widths]
    for width, count in zip(widths, groups):
        if width * expansion % count:
            raise RecipeError(
                f"{width * expansion} channels cannot be split into {count} groups: "
                "change width or cardinality"
            )
    return groups


def _scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """Weights from N(0, $"gain"²/"inputs"$), biases 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """What a branch adds to its input: $x + f(x)$.

    The branch goes by a 1x1 convolution up to `expansion` times the width, and by a grouped 3x3
    and a 1x1 down again.

    The bias belongs to the activation: the two inner convolutions have one, the last has none.

    Args:
        width: channels in and out.
        expansion: channels inside, as a multiple of the width.
        groups: of the 3x3 convolution.
        blocks: $L$, the residual blocks of the whole network, for the initialisation.
    """

    def __init__(self, width: int, expansion: int, groups: int, blocks: int) -> None:
        super().__init__()
        inner = width * expansion
        gain = math.sqrt(2 / (1 + SLOPE**2)) * blocks**-0.25
        self.widen = _scaled(nn.Conv2d(width, inner, 1), gain)
        self.mix = _scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=groups), gain)
        self.narrow = _scaled(nn.Conv2d(inner, width, 1, bias=False), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        h = F.leaky_relu(self.widen(x), SLOPE)
        h = F.leaky_relu(self.mix(h), SLOPE)
        return x + self.narrow(h)


class Resample(nn.Module):
    """Doubles a map by linear interpolation, or halves it by the adjoint of that.

    Doubling repeats each pixel and smooths with the filter [1, 2, 1] / 4 in each direction, the
    border pixel repeated, which is bilinear interpolation between pixel centres. Halving is
    its transpose over 4: smooth with [1, 2, 1] / 4, then average 2x2. Both keep a constant and
    the mean of any picture exactly, also at the border, and neither shifts it by half a pixel, as
    [1, 2, 1] with a stride of 2 would.

    Each direction is one product with a small constant matrix. It has derivatives of all
    orders and the same bits in every run, and on a CPU (channels first) it was the fastest when
    differentiated twice (against interpolation, a depthwise convolution, sums of slices).

    Args:
        size: of the smaller of the two maps: the side of a square, or (height, width).
        up: doubling, else halving.
    """

    matrix: Tensor
    across: Tensor | None

    def __init__(self, size: Size, up: bool) -> None:
        super().__init__()
        high, wide = as_size(size)
        self.register_buffer("matrix", _resampling(high, up), persistent=False)
        other = _resampling(wide, up) if wide != high else None
        self.register_buffer("across", other, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W) or (B, C, H/2, W/2)."""
        across = self.matrix if self.across is None else self.across
        return self.matrix @ x @ across.T


def _resampling(size: int, up: bool) -> Tensor:
    """(2 size, size) to double one axis, (size, 2 size) to halve it."""
    row = torch.arange(2 * size)
    near = row // 2
    far = (near + (row % 2) * 2 - 1).clamp(0, size - 1)
    matrix = torch.zeros(2 * size, size)
    matrix[row, near] += 0.75
    matrix[row, far] += 0.25
    return matrix if up else matrix.T / 2


def _blocks(width: int, count: int, expansion: int, groups: int, total: int) -> list[nn.Module]:
    return [Block(width, expansion, groups, total) for _ in range(count)]


def _match(before: int, after: int) -> list[nn.Module]:
    """A 1x1 convolution where the width changes; it always stands on the smaller map."""
    return [] if before == after else [_scaled(nn.Conv2d(before, after, 1, bias=False))]


class Generator(NormalLatent, nn.Module):
    """z to a picture: a learned 4x4 basis, blocks at each size, 1x1 to pixels.

    z becomes one number per channel by a linear map, and each number scales a learned 4x4 map.
    The output has no tanh: it starts with a standard deviation below 1 and is free to leave
    [-1, 1]; whoever shows or stores pictures clamps them.

    The published networks: `width=768` at 32 px (CIFAR-10) and `width=(768, 768, 768, 768,
    384)` at 64 px (FFHQ), both with cardinality 96.

    Args:
        size: 16, 32 or 64 pixels, or (height, width) (`ganlab.models.shapes`).
        channels: 1 or 3.
        latent: length of z.
        width: channels, for all stages or for each of 4x4, 8x8, ..., size x size.
        blocks: residual blocks, likewise.
        cardinality: groups of the 3x3 convolution in the widest stage; narrower stages have
            fewer in proportion. None gives groups of 16 channels, as in the published networks.
        expansion: channels inside a block, as a multiple of its width.
        patch: side of the squares of pixels that the last layer makes at once (pixel shuffle).
            1 is published; with 2 the trunk ends at half the size, where blocks cost a quarter.

    Raises:
        RecipeError: the size is not supported, or the numbers do not fit together.
    """

    def __init__(
        self,
        size: Size = 32,
        channels: int = 3,
        latent: int = 64,
        width: int | Sequence[int] = 768,
        blocks: int | Sequence[int] = 2,
        cardinality: int | None = None,
        expansion: int = 2,
        patch: int = 1,
    ) -> None:
        super().__init__()
        first, stages = _start(size, patch)
        widths = _per_stage(width, first, stages, "width", least=1)
        counts = _per_stage(blocks, first, stages, "blocks", least=0)
        groups = _groups(widths, expansion, cardinality)
        self.size, self.channels, self.latent = first.size, channels, latent
        self.project = _scaled(nn.Linear(latent, widths[0], bias=False))
        self.basis = nn.Parameter(torch.randn(widths[0], *first[:2]))
        layers: list[nn.Module] = []
        for i, wide in enumerate(widths):
            if i:
                layers += [*_match(widths[i - 1], wide), Resample(first.at(i - 1), up=True)]
            layers += _blocks(wide, counts[i], expansion, groups[i], sum(counts))
        layers.append(_scaled(nn.Conv2d(widths[-1], channels * patch**2, 1, bias=False)))
        self.layers = nn.Sequential(*layers, nn.PixelShuffle(patch))

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W), around [-1, 1] but not bounded."""
        x = self.project(z)[:, :, None, None] * self.basis
        return self.layers(x)


class Discriminator(nn.Module):
    """A picture to one logit: the generator's trunk in the mirror.

    1x1 from pixels, blocks at each size down to 4x4, a depthwise 4x4 convolution, which weighs
    each channel's map with a learned one, and a linear map. That has no bias: the
    relativistic loss sees differences of logits only, and would leave it where it is.

    Args:
        size: 16, 32 or 64 pixels, or (height, width) (`ganlab.models.shapes`).
        channels: 1 or 3.
        width: channels, for all stages or for each of 4x4, 8x8, ..., size x size (the order
            of the generator, so that both take the same tuple).
        blocks: residual blocks, likewise.
        cardinality: as in `Generator`.
        expansion: as in `Generator`.
        patch: as in `Generator`: the first layer reads squares of pixels.

    Raises:
        RecipeError: the size is not supported, or the numbers do not fit together.
    """

    def __init__(
        self,
        size: Size = 32,
        channels: int = 3,
        width: int | Sequence[int] = 768,
        blocks: int | Sequence[int] = 2,
        cardinality: int | None = None,
        expansion: int = 2,
        patch: int = 1,
    ) -> None:
        super().__init__()
        first, stages = _start(size, patch)
        widths = _per_stage(width, first, stages, "width", least=1)
        counts = _per_stage(blocks, first, stages, "blocks", least=0)
        groups = _groups(widths, expansion, cardinality)
        pixels = _scaled(nn.Conv2d(channels * patch**2, widths[-1], 1, bias=False))
        layers: list[nn.Module] = [nn.PixelUnshuffle(patch), pixels]
        for i in reversed(range(len(widths))):
            layers += _blocks(widths[i], counts[i], expansion, groups[i], sum(counts))
            if i:
                layers += [Resample(first.at(i - 1), up=False), *_match(widths[i], widths[i - 1])]
        top = widths[0]
        layers.append(_scaled(nn.Conv2d(top, top, first[:2], groups=top, bias=False)))
        self.layers = nn.Sequential(*layers)
        self.head = _scaled(nn.Linear(top, 1, bias=False))

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width at 4x4): what the last linear map reads."""
        return self.layers(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B,) logits."""
        return self.head(self.features(x)).flatten()
