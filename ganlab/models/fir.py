"""Resampling with finite impulse response filters, in plain torch.

Signals that are made twice as large by repeating pixels, or half as large by dropping them, keep
or gain frequencies that the grid cannot hold (aliases). A small low-pass filter around the step
removes most of them: StyleGAN filters with [1, 2, 1] (Karras et al. 2019, Sec. 2), StyleGAN2 with
[1, 3, 3, 1] (Karras et al. 2020, official configuration). The two agree: repeating pixels is
the filter [1, 1], and $[1, 1] ∗ [1, 2, 1] = [1, 3, 3, 1]$.

Everything is a depthwise convolution, strided or transposed, so that it has derivatives of all
orders, runs on every device and compiles. On a CPU, channels-last, sums of slices and matrix
products took at least three times as long, and two one-dimensional passes were faster at one
size of five.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMOOTH = (1.0, 3.0, 3.0, 1.0)


def kernel(taps: Sequence[float], gain: float = 1.0) -> Tensor:
    """(k, k): the outer product of `taps` with themselves, scaled to the sum `gain`."""
    row = torch.tensor(taps, dtype=torch.float64)
    row = row / row.sum()
    return (gain * row[:, None] * row).float()


def upfirdn(
    x: Tensor, k: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)
) -> Tensor:
    """Insert zeros, pad, convolve, keep every so many: each channel on its own.

    Args:
        x: (B, C, H, W).
        k: (a, a), the filter; a true convolution, so that it is mirrored over the picture.
        up: `up - 1` zeros follow each pixel, along both axes.
        down: every `down`-th value is kept, the first included.
        pad: zeros before and after, along both axes, counted after `up`; negative crops.

    Returns:
        (B, C, H', W') with H' = (up H + sum(pad) - a) // down + 1.
    """
    c, a = x.shape[1], k.shape[-1]
    k = k.to(x.dtype)
    if up == 1:
        both = pad[0] if pad[0] == pad[1] and pad[0] >= 0 else 0
        if not both and pad != (0, 0):
            x = F.pad(x, (*pad, *pad))
        weight = k.flip(0, 1).expand(c, 1, a, a)
        return F.conv2d(x, weight, stride=down, padding=both, groups=c)
    # The transposed convolution is the padded one with a - 1 zeros before and a - up after.
    crop = a - 1 - pad[0], a - up - pad[1]
    both = crop[0] if crop[0] == crop[1] and crop[0] >= 0 else 0
    x = F.conv_transpose2d(x, k.expand(c, 1, a, a), stride=up, padding=both, groups=c)
    if not both and crop != (0, 0):
        before, after = -crop[0], -crop[1]
        x = F.pad(x, (before, after, before, after))
    return x[:, :, ::down, ::down] if down > 1 else x


class Fir(nn.Module):
    """`upfirdn` with a fixed filter.

    Args:
        up, down, pad: see `upfirdn`.
        gain: sum of the filter; `up²` keeps the mean.
        taps: of the filter along one axis.
    """

    kernel: Tensor

    def __init__(
        self,
        up: int = 1,
        down: int = 1,
        pad: tuple[int, int] = (0, 0),
        gain: float = 1.0,
        taps: Sequence[float] = SMOOTH,
    ) -> None:
        super().__init__()
        self.up, self.down, self.pad = up, down, pad
        self.register_buffer("kernel", kernel(taps, gain), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H', W')."""
        return upfirdn(x, self.kernel, self.up, self.down, self.pad)

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"up={self.up}, down={self.down}, pad={self.pad}"


def doubling() -> Fir:
    """(B, C, n, n) -> (B, C, 2n, 2n)."""
    return Fir(up=2, pad=(2, 1), gain=4.0)


def halving() -> Fir:
    """(B, C, n, n) -> (B, C, n/2, n/2), with centres at the middle of each four pixels."""
    return Fir(down=2, pad=(1, 1))


def after_transposed() -> Fir:
    """What makes a 3x3 transposed convolution of stride 2 a filtered doubling: 2n+1 -> 2n."""
    return Fir(pad=(1, 1), gain=4.0)


def before_strided() -> Fir:
    """What makes a 3x3 convolution of stride 2 without padding a filtered halving: n -> n+1."""
    return Fir(pad=(2, 2))


def blurring() -> Fir:
    """[1, 2, 1] in both directions, size kept (StyleGAN)."""
    return Fir(pad=(1, 1), taps=(1.0, 2.0, 1.0))
