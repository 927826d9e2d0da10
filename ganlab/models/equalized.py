"""Equalised learning rate and pixel norm (Karras et al. 2018, ProGAN, Sec. 4.1 and 4.2).

Weights are stored with unit variance and scaled by He's constant when they are used. Adam moves
every stored weight by about its learning rate, whatever the gradient's scale; so all weights of
the network, narrow layers' and wide layers', move at the same pace relative to their range.

A leaky ReLU that is followed by a gain of √2, as in StyleGAN2, is written without that pass
over the picture: the function is positively homogeneous, $g f(y) = f(g y)$, so that the gain goes
into the weight's scale and the bias's.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import RecipeError

SLOPE = 0.2  # of every leaky ReLU in this family
HE = math.sqrt(2)


def active(x: Tensor) -> Tensor:
    """Leaky ReLU with the family's slope."""
    return F.leaky_relu(x, SLOPE)


def wide(x: Tensor) -> Tensor:
    """In fp32 at least: sums of squares need it."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Around what must not be rounded to 16 bits; nothing at all where no autocast is on."""
    kind = x.device.type
    on = torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Divide by the root mean square over channels, at every place (Sec. 4.2).

    With $C$ channels, at each place

        y_c = x_c/√(1/C ∑_i x_i² + ε)

    Args:
        x: (B, C, ...).
        eps: ε, added to the mean square.
    """
    square = wide(x).square().mean(1, keepdim=True)
    return x * (square + eps).rsqrt().to(x.dtype)


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled in use, not at the start (Sec. 4.1).

    With weights $W$ stored as drawn, from N(0, 1),

        y = x (c W)ᵀ + b
        c = "gain"/√"inputs"

    Args:
        inputs, outputs: features.
        gain: of the weights: √2 before a leaky ReLU, 1 else.
        bias_gain: factor on the bias; None takes no bias at all.
        rate: learning rate multiplier (Karras et al. 2019, App. C): what is stored is
            larger by $1/"rate"$ and scaled down by it in use, so that Adam's equal steps mean less.
        start: the bias's first value.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        gain: float = 1.0,
        bias_gain: float | None = 1.0,
        rate: float = 1.0,
        start: float = 0.0,
    ) -> None:
        super().__init__()
        self.scale, self.bias_scale = gain * rate / math.sqrt(inputs), (bias_gain or 0.0) * rate
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias: nn.Parameter | None = None
        if bias_gain is not None:
            self.bias = nn.Parameter(torch.full((outputs,), start / self.bias_scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        bias: Tensor | None = self.bias
        if bias is not None and self.bias_scale != 1:
            bias = bias * self.bias_scale
        return F.linear(x, self.weight * self.scale, bias)

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}"


class EqualConv2d(nn.Module):
    """Convolution with weights from N(0, 1) that are scaled in use, as those of `EqualLinear`.

    For a kernel of $k × k$ taps the scale is

        c = "gain"/√("inputs" k²)

    Args:
        inputs, outputs: channels.
        size: $k$, of the kernel; odd.
        gain: of the weights: √2 before a leaky ReLU, 1 else.
        bias_gain: factor on the bias; None takes no bias at all.
        stride: a stride of 2 comes without padding, for `fir.before_strided`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int = 3,
        gain: float = HE,
        bias_gain: float | None = 1.0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.scale, self.bias_scale = gain / math.sqrt(inputs * size**2), bias_gain or 0.0
        self.stride, self.padding = stride, size // 2 if stride == 1 else 0
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = None if bias_gain is None else nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        bias: Tensor | None = self.bias
        if bias is not None and self.bias_scale != 1:
            bias = bias * self.bias_scale
        return F.conv2d(x, self.weight * self.scale, bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        """Shown by `print`."""
        outputs, inputs, k, _ = self.weight.shape
        return f"{inputs}, {outputs}, size={k}, stride={self.stride}"


def stages(size: int, least: int = 8) -> int:
    """How many of the sizes 4, 8, ..., size there are.

    Raises:
        RecipeError: the size is not a power of two from `least` to 1024.
    """
    if size not in [least << i for i in range(11 - least.bit_length() + 1)]:
        raise RecipeError(f"the size must be a power of two from {least} to 1024, not {size}")
    return size.bit_length() - 2


def widths(size: int, base: int, most: int) -> list[int]:
    """Channels at each resolution from 4 to `size`; see `channels_at`."""
    return [channels_at(4 << i, base, most) for i in range(stages(size))]


def channels_at(resolution: int, base: int, most: int) -> int:
    """Channels at a resolution: base / resolution, at most `most`, at least 1."""
    return max(1, min(base // resolution, most))
