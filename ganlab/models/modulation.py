"""Weight modulation and demodulation (Karras et al. 2020, StyleGAN2, Sec. 2.2, Eq. 1 to 3).

AdaIN normalised by what it had measured in the picture, and the generator drew blobs that
dominate the measurement. Demodulation divides by what the style does to the expected variance,
without looking at the picture; there is nothing left to distort.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.models.equalized import HE, EqualLinear, full_precision, wide
from ganlab.models.fir import Fir, after_transposed

FORMS = ("scale", "grouped")


def demodulation(weight: Tensor, style: Tensor, eps: float = 1e-8) -> Tensor:
    """(B, out): what brings the variance of each output back to 1 (Eq. 3), in fp32.

    With $w$ the weights of output $j$, over inputs $i$ and taps $k$, and $s$ the style,

        d_j = 1/√(∑_(i k) (s_i w_ijk)² + ε)
    """
    squared = wide(weight).square().sum((2, 3))  # (out, in)
    return (wide(style).square() @ squared.T + eps).rsqrt()


def modulated(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    demodulate: bool = True,
    up: Fir | None = None,
    gain: float = 1.0,
    form: str = "scale",
) -> Tensor:
    """Convolution whose input channels are scaled by each sample's style (Sec. 2.2, Eq. 1 and 3).

    The weight that a sample sees is, with $d$ from `demodulation`, or 1 without,

        w'_ijk = d_j s_i w_ijk

    "grouped" makes a weight for each sample and convolves them all as groups of one
    convolution, as the paper describes (App. B). "scale" multiplies the maps before and after
    an ordinary convolution: the same function, since a convolution is linear in its channels.

    Args:
        x: (B, in, n, n).
        weight: (out, in, k, k).
        style: (B, in).
        demodulate: bring the expected variance back to 1.
        up: the filter of a doubling, `fir.after_transposed`; its transposed convolution has the
            kernel mirrored.
        gain: factor on the result.
        form: "scale" or "grouped".

    Returns:
        (B, out, n, n), or (B, out, 2n, 2n).
    """
    with full_precision(x):
        after = None
        if demodulate:
            after = demodulation(weight, style) * gain
        elif gain != 1:
            weight = weight * gain
    n, pad = x.shape[0], weight.shape[-1] // 2
    if form == "grouped":
        with full_precision(x):
            each = weight * style[:, None, :, None, None]  # (B, out, in, k, k)
            if after is not None:
                each = each * after[:, :, None, None, None]
        each = each.to(x.dtype)
        x = x.reshape(1, -1, *x.shape[2:])
        if up is None:
            x = F.conv2d(x, each.flatten(0, 1), padding=pad, groups=n)
        else:
            x = F.conv_transpose2d(x, each.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
        x = x.reshape(n, -1, *x.shape[2:])
        return x if up is None else up(x)
    x = x * style[:, :, None, None].to(x.dtype)
    if up is None:
        x = F.conv2d(x, weight, padding=pad)
    else:
        x = up(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
    return x if after is None else x * after[:, :, None, None].to(x.dtype)


class Modulated(nn.Module):
    """A style's affine map and the weight that it modulates; no bias, no noise.

    Args:
        inputs, outputs: channels.
        style: length of w.
        size: of the kernel.
        demodulate: see `modulated`; without it the scale $1/√("inputs" k²)$ does its work.
        up: double the size.
        gain: of the activation that follows.
        form: see `modulated`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: int,
        size: int = 3,
        demodulate: bool = True,
        up: bool = False,
        gain: float = HE,
        form: str = "scale",
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(style, inputs, start=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.scale = 1 / math.sqrt(inputs * size**2)
        self.demodulate, self.gain, self.form = demodulate, gain, form
        self.up = after_transposed() if up else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, inputs, n, n) and (B, W) -> (B, outputs, n', n')."""
        with full_precision(x):
            style = self.affine(w.to(self.weight.dtype))
        weight = self.weight * self.scale
        return modulated(x, weight, style, self.demodulate, self.up, self.gain, self.form)
