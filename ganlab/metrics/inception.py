"""The network of FID: Inception v3 as Google published it in 2015, over torchvision's blocks.

It differs from torchvision's in three things besides the weights: 1008 outputs, average pools
that do not count the padding, and a maximum instead of an average in the last block. A score
with torchvision's own network is not a FID.

This module imports torchvision, so it is imported where it is needed only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception as tv

SIZE, DIMS, CLASSES = 299, 2048, 1008
LAYERS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "avgpool"),
)


def average(x: Tensor) -> Tensor:
    """Mean over 3x3 neighbours, of which there are fewer at the border."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def maximum(x: Tensor) -> Tensor:
    """Largest of the 3x3 neighbours."""
    return F.max_pool2d(x, 3, 1, 1)


def _chain(x: Tensor, *layers: nn.Module) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


class BlockA(tv.InceptionA):
    """35x35 pixels, with `average`."""

    def _forward(self, x: Tensor) -> list[Tensor]:
        double = (self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3)
        five = _chain(x, self.branch5x5_1, self.branch5x5_2)
        return [self.branch1x1(x), five, _chain(x, *double), self.branch_pool(average(x))]


class BlockC(tv.InceptionC):
    """17x17 pixels, with `average`."""

    def _forward(self, x: Tensor) -> list[Tensor]:
        seven = _chain(x, self.branch7x7_1, self.branch7x7_2, self.branch7x7_3)
        double = (self.get_submodule(f"branch7x7dbl_{i}") for i in range(1, 6))
        return [self.branch1x1(x), seven, _chain(x, *double), self.branch_pool(average(x))]


class BlockE(tv.InceptionE):
    """8x8 pixels, with `pool`."""

    pool = staticmethod(average)

    def _forward(self, x: Tensor) -> list[Tensor]:
        three = self.branch3x3_1(x)
        double = _chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2)
        return [
            self.branch1x1(x),
            torch.cat([self.branch3x3_2a(three), self.branch3x3_2b(three)], 1),
            torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1),
            self.branch_pool(self.pool(x)),
        ]


class LastBlockE(BlockE):
    """The last block of all, with `maximum`."""

    pool = staticmethod(maximum)


class InceptionV3(tv.Inception3):
    """The FID network; its state dict has the names and shapes of the published one."""

    def __init__(self) -> None:
        blocks = [tv.BasicConv2d, BlockA, tv.InceptionB, BlockC, tv.InceptionD, BlockE, nn.Identity]
        super().__init__(CLASSES, aux_logits=False, inception_blocks=blocks, init_weights=False)
        self.Mixed_7c = LastBlockE(2048)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Features of the last average pool, and the logits that the Inception Score takes.

        Args:
            x: (B, 3, 299, 299) floats in 0..255.

        Returns:
            (B, 2048), and (B, 1008) logits without the bias (Salimans et al. 2016, in the code).
        """
        x = (x - 128) / 128
        features = _chain(x, *(self.get_submodule(name) for name in LAYERS)).flatten(1)
        return features, features @ self.fc.weight.T
