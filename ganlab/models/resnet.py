"""Residual networks of WGAN-GP and SNGAN (Gulrajani et al. 2017; Miyato et al. 2018).

The published forms, for 3 channels:

* 32 px, WGAN-GP: `Generator(32)`, `Discriminator(32)`: 128 channels everywhere, the critic
  without normalisation, its features averaged over the 8x8 map.
* 32 px, SNGAN: `Generator(32, width=256)` and `Discriminator(32, norm="spectral",
  pool="sum")`: the same layers, 256 channels in the generator, features summed (SNGAN's
  appendix, ResNet architectures for CIFAR-10).
* 64 px, WGAN-GP: `Generator(64)` and `Discriminator(64, norm="layer")`: 512 channels at 4x4
  down to 64 at 64x64, four doublings and four halvings, the last map flattened.

Blocks are pre-activated: norm, ReLU, 3x3, norm, ReLU, 3x3, plus a shortcut. The shortcut's 1x1
convolution commutes with repeating pixels and with averaging them, so it always runs on the
smaller map: the published function at a quarter of the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.data.sizes import Size
from ganlab.errors import RecipeError, unknown
from ganlab.models import layers as shared
from ganlab.models.latent import NormalLatent
from ganlab.models.shapes import start

SIZES = (32, 64)
PYRAMID = {32: (1, 1, 1, 1), 64: (8, 8, 4, 2, 1)}  # the generator's channels over its width
_REFUSAL = f"the residual networks are defined for sizes {SIZES}, not "
NORMS = ("none", "batch", "layer", "spectral")
POOLS = ("mean", "sum", "flatten")


def _widths(width: int | Sequence[int], factors: Sequence[int]) -> list[int]:
    if isinstance(width, int):
        return [width * f for f in factors]
    if len(width) != len(factors):
        raise RecipeError(f"width is one number or {len(factors)}, not {tuple(width)}")
    return list(width)


def _norm(kind: str | None, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "layer":  # over channels and places of one sample, a gain and shift per channel
        return nn.GroupNorm(1, channels)
    return nn.Identity()


def _glorot(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """Glorot's uniform weights, biases 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """One residual block: shortcut(x) + 3x3(3x3(x)), doubling, halving or keeping the size.

    The 3x3 weights are Glorot's times sqrt(2), because a ReLU stands before them; the
    shortcut's are Glorot's (both papers' code).

    Args:
        before: channels in.
        after: channels out.
        resample: "up" (repeat pixels, before the first 3x3), "down" (2x2 means, after the
            second) or None.
        norm: "batch", "layer" or None.
        first: the discriminator's first block, which reads pixels: no ReLU on them.
        bias: of the first 3x3; the 64 px networks have none there.
    """

    def __init__(
        self,
        before: int,
        after: int,
        resample: str | None = None,
        norm: str | None = None,
        first: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        inner = after if resample == "up" or first else before
        self.resample, self.first = resample, first
        self.norm1 = nn.Identity() if first else _norm(norm, before)
        self.conv1 = _glorot(nn.Conv2d(before, inner, 3, padding=1, bias=bias), 2**0.5)
        self.norm2 = nn.Identity() if first else _norm(norm, inner)
        self.conv2 = _glorot(nn.Conv2d(inner, after, 3, padding=1), 2**0.5)
        same = before == after and resample is None
        self.shortcut = nn.Identity() if same else _glorot(nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H', W'), with H' = 2H, H/2 or H."""
        h = x if self.first else F.relu(self.norm1(x))
        if self.resample == "up":
            h = F.interpolate(h, scale_factor=2)
        h = self.conv2(F.relu(self.norm2(self.conv1(h))))
        if self.resample == "down":
            return self.shortcut(F.avg_pool2d(x, 2)) + F.avg_pool2d(h, 2)
        x = self.shortcut(x)
        return h + (F.interpolate(x, scale_factor=2) if self.resample == "up" else x)


class Generator(NormalLatent, nn.Module):
    """z to a picture: a linear map to 4x4, blocks that double the size, 3x3 to pixels, tanh.

    Args:
        size: 32 or 64 pixels, or (height, width); the layers of a rectangle are those of the
            largest such square in it.
        channels: 1 or 3.
        latent: length of z.
        width: channels of the last block, or of every map from 4x4 to the picture. At 32 px
            one number holds for all (128 in WGAN-GP, 256 in SNGAN); at 64 px they are 8, 8, 4,
            2 and 1 times it. None is WGAN-GP's: 128 at 32 px, 64 at 64 px.
        norm: "batch" (both papers) or None.

    Raises:
        RecipeError: the size, the widths or the norm are not supported.
    """

    def __init__(
        self,
        size: Size = 32,
        channels: int = 3,
        latent: int = 128,
        width: int | Sequence[int] | None = None,
        norm: str | None = "batch",
    ) -> None:
        super().__init__()
        first = start(size, SIZES, _REFUSAL)
        if norm not in (None, "batch"):
            raise RecipeError(f"the generator's norm is 'batch' or None, not '{norm}'")
        small = first.square == 32
        default = 128 if small else 64
        widths = _widths(default if width is None else width, PYRAMID[first.square])
        self.size, self.channels, self.latent = first.size, channels, latent
        self.project = _glorot(nn.Linear(latent, first.places * widths[0]))
        self.layers = nn.Sequential(
            nn.Unflatten(1, (widths[0], first.height, first.width)),
            *(Block(a, b, "up", norm, bias=small) for a, b in pairwise(widths)),
            _norm(norm, widths[-1]),
            nn.ReLU(),
            _glorot(nn.Conv2d(widths[-1], channels, 3, padding=1)),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [-1, 1]."""
        return self.layers(self.project(z))


class Discriminator(nn.Module):
    """A picture to one logit: residual blocks, ReLU, pooling, a linear map.

    At 32 px: two blocks that halve the size, two that keep it at 8x8. At 64 px: a 3x3
    convolution, then four blocks that halve it to 4x4.

    Args:
        size: 32 or 64 pixels, or (height, width); the layers of a rectangle are those of the
            largest such square in it.
        channels: 1 or 3.
        width: channels of the first layer, or of each of the 4 blocks (32 px), or of the
            convolution and the 4 blocks (64 px). At 32 px one number holds for all; at 64 px
            they are 1, 2, 4, 8 and 8 times it. None is 128 at 32 px and 64 at 64 px.
        norm: None or "none" (WGAN-GP at 32 px), "spectral" (on every layer: SNGAN), "layer"
            (WGAN-GP at 64 px) or "batch" (which the gradient penalty does not allow: it ties
            the samples of a batch together).
        pool: "mean" (WGAN-GP) or "sum" (SNGAN) of the last map after a ReLU, or "flatten": the
            map as it is. None is mean at 32 px and flatten at 64 px, as published.
        minibatch: None, "stddev" or "discrimination" (`ganlab.models.layers`): statistics over
            the batch, next to the features before the linear map.

    Raises:
        RecipeError: an option is not supported.
    """

    def __init__(
        self,
        size: Size = 32,
        channels: int = 3,
        width: int | Sequence[int] | None = None,
        norm: str | None = None,
        pool: str | None = None,
        minibatch: str | None = None,
    ) -> None:
        super().__init__()
        end = start(size, SIZES, _REFUSAL)
        small = end.square == 32
        norm = norm or "none"
        if norm not in NORMS:
            raise RecipeError(unknown("norm", norm, NORMS))
        pool = pool or ("mean" if small else "flatten")
        if pool not in POOLS:
            raise RecipeError(unknown("pool", pool, POOLS))
        self.size, self.channels, self.pool = end.size, channels, pool
        if small:
            widths = [channels, *_widths(128 if width is None else width, (1, 1, 1, 1))]
            resample: tuple[str | None, ...] = ("down", "down", None, None)
            layers: list[nn.Module] = []
        else:
            widths = _widths(64 if width is None else width, (1, 2, 4, 8, 8))
            resample = ("down",) * 4
            layers = [_glorot(nn.Conv2d(channels, widths[0], 3, padding=1))]
        for i, ((a, b), way) in enumerate(zip(pairwise(widths), resample)):
            layers.append(Block(a, b, way, norm, first=small and i == 0, bias=small))
        if pool != "flatten":  # the 64 px critic reads its last map as it is
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)
        # four halvings bring 64 px to the start, two bring 32 px to twice that
        places = end.places * (4 if small else 1)
        features = widths[-1] * places if pool == "flatten" else widths[-1]
        self.batch: nn.Module = nn.Identity()
        if minibatch:
            self.batch, more = shared.minibatch(minibatch, features)
            features += more
        self.head = _glorot(nn.Linear(features, 1))
        if norm == "spectral":
            shared.spectral(self)

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F): what the last linear map reads."""
        h = self.layers(x)
        if self.pool == "mean":
            h = h.mean((2, 3))
        elif self.pool == "sum":
            h = h.sum((2, 3))
        return self.batch(h.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B,) logits."""
        return self.head(self.features(x)).flatten()
