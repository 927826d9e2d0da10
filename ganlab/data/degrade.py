"""Degraded pictures as the source of a translation: the picture itself is what is asked for.

Colours from grey, details from a smaller picture, a hole to be filled, noise and blur to be
removed. A source is made on the device from the pictures of a batch, so that no second set is
stored and a picture is degraded anew in each pass; see `ganlab.data.pairs.DegradedStream`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import DataError, unknown


class Degradation:
    """Makes the source (B, ...) of pictures (B, C, H, W) in [-1, 1], on their device.

    What it draws is apart from what it does with it, so that ranks draw for the global batch and
    each uses its own part.
    """

    word: ClassVar[str]
    example: ClassVar[str]

    def chance(self, n: int, images: Tensor, generator: torch.Generator | None) -> Tensor | None:
        """(n, ...) random numbers for n pictures like these, on their device; None if unneeded."""
        return None

    def apply(self, images: Tensor, drawn: Tensor | None) -> Tensor:
        """The source of these pictures, with the (B, ...) that `chance` drew for them."""
        raise NotImplementedError

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The source of pictures (B, C, H, W) in [-1, 1]; random numbers from `generator`.

        Raises:
            DataError: pictures of this size or with these channels cannot be degraded so.
        """
        return self.apply(images, self.chance(len(images), images, generator))


@dataclass(frozen=True)
class Grey(Degradation):
    """Luma Y' = 0.299 R' + 0.587 G' + 0.114 B' (ITU-R BT.601-7, Sec. 2.5.1): (B, 1, H, W)."""

    word: ClassVar[str] = "grey"
    example: ClassVar[str] = "grey"

    def apply(self, images: Tensor, drawn: Tensor | None) -> Tensor:
        """(B, 3, H, W) to (B, 1, H, W), both in [-1, 1], because the weights add up to 1."""
        if images.shape[1] != 3:
            raise DataError(f"grey needs pictures of 3 channels, not {images.shape[1]}")
        red, green, blue = images.split(1, 1)
        return 0.299 * red + 0.587 * green + 0.114 * blue


@dataclass(frozen=True)
class Smaller(Degradation):
    """A picture `factor` times smaller, antialiased: (B, C, H / factor, W / factor) in [-1, 1].

    Args:
        factor: a whole number from 2; both sides of the pictures are multiples of it.
        method: "bicubic", Keys's kernel (1981, a = -1/2) widened by the factor, with which
            super-resolution is measured (Ledig et al. 2017, Sec. 3); "area", the mean of each
            factor x factor block.
    """

    factor: int
    method: str = "bicubic"
    word: ClassVar[str] = "smaller"
    example: ClassVar[str] = "smaller:4"

    def __post_init__(self) -> None:
        if not isinstance(self.factor, int) or self.factor < 2:
            raise DataError(f"smaller:{self.factor}: the factor must be a whole number from 2")
        if self.method not in ("bicubic", "area"):
            raise DataError(unknown("method", self.method, ("bicubic", "area")))

    def apply(self, images: Tensor, drawn: Tensor | None) -> Tensor:
        """(B, C, H, W) to (B, C, H / factor, W / factor)."""
        h, w = images.shape[2:]
        if h % self.factor or w % self.factor:
            raise DataError(
                f"smaller:{self.factor} needs sides that are multiples of {self.factor},"
                f" not {h}x{w}"
            )
        if self.method == "area":
            return F.avg_pool2d(images, self.factor)
        size = h // self.factor, w // self.factor
        small = F.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)
        return small.clamp(-1, 1)  # the kernel's negative lobes overshoot at edges


@dataclass(frozen=True)
class Hole(Degradation):
    """A rectangle is missing, anywhere in the picture: (B, C + 1, H, W).

    The first C channels are the picture with 0, mid-grey, in the hole; the last is the mask, 1
    where the picture is missing and 0 elsewhere. The hole is up to twice as high as wide or twice
    as wide as high, less where it would not fit.

    Args:
        share: of the picture's area, between 0 and 1; a quarter is the centre of Pathak et al.
            (2016, Sec. 3.3). The hole has whole pixels, at least one: its height is rounded, and
            its width rounded for that height.
    """

    share: float
    word: ClassVar[str] = "hole"
    example: ClassVar[str] = "hole:0.25"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise DataError(f"hole:{self.share:g}: the share must be between 0 and 1")

    def chance(self, n: int, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """(n, 3) in [0, 1): shape, top and left."""
        return torch.rand(n, 3, generator=generator, device=images.device)

    def apply(self, images: Tensor, drawn: Tensor | None) -> Tensor:
        """(B, C, H, W) to (B, C + 1, H, W)."""
        assert drawn is not None
        mask = self.mask(drawn, *images.shape[2:]).to(images.dtype)
        return torch.cat([images * (1 - mask), mask], 1)

    def mask(self, drawn: Tensor, height: int, width: int) -> Tensor:
        """(B, 1, height, width) bool, true in the hole, from (B, 3) in [0, 1)."""
        across, down, along = drawn.unbind(1)
        # Height as a share of the picture's, even on a logarithmic scale; the width follows.
        low = math.log(max(self.share, math.sqrt(self.share / 2)))
        high = math.log(min(1.0, math.sqrt(2 * self.share)))
        least = math.ceil(self.share * height)  # with less, even the whole width is too little
        h = (height * (low + (high - low) * across).exp()).round().clamp(least, height)
        w = (self.share * height * width / h).round().clamp(1, width)
        top, left = (down * (height - h + 1)).floor(), (along * (width - w + 1)).floor()
        inside = []
        for first, extent, side in ((top, h, height), (left, w, width)):
            at = torch.arange(side, device=drawn.device)
            inside.append((at >= first[:, None]) & (at < (first + extent)[:, None]))
        return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


@dataclass(frozen=True)
class Noise(Degradation):
    """Gaussian noise is added to every value: (B, C, H, W).

    Nothing is cut off, so that the noise has mean 0 everywhere; values may leave [-1, 1].

    Args:
        std: standard deviation in units of the pictures' [-1, 1]; 2/255 is one step of a byte.
    """

    std: float
    word: ClassVar[str] = "noise"
    example: ClassVar[str] = "noise:0.2"

    def __post_init__(self) -> None:
        if not 0 < self.std < math.inf:
            raise DataError(f"noise:{self.std:g}: the standard deviation must be above 0")

    def chance(self, n: int, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """(n, C, H, W) from N(0, 1)."""
        return torch.randn(n, *images.shape[1:], generator=generator, device=images.device)

    def apply(self, images: Tensor, drawn: Tensor | None) -> Tensor:
        """(B, C, H, W) to the same shape."""
        assert drawn is not None
        return images + self.std * drawn


@dataclass(frozen=True)
class Blur(Degradation):
    """A Gaussian blur, cut off at three standard deviations, mirrored at the border: (B, C, H, W).

    Args:
        sigma: standard deviation in pixels.
    """

    sigma: float
    word: ClassVar[str] = "blur"
    example: ClassVar[str] = "blur:1.5"

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise DataError(f"blur:{self.sigma:g}: sigma must be above 0 pixels")

    @property
    def weights(self) -> list[float]:
        """The $2 ⌈3 σ⌉ + 1$ weights along one side; they add up to 1."""
        reach = math.ceil(3 * self.sigma)
        bell = [math.exp(-0.5 * (i / self.sigma) ** 2) for i in range(-reach, reach + 1)]
        return [w / sum(bell) for w in bell]

    def apply(self, images: Tensor, drawn: Tensor | None) -> Tensor:
        """(B, C, H, W) to the same shape, in [-1, 1]."""
        h, w = images.shape[2:]
        weights = self.weights
        reach = len(weights) // 2
        if reach >= min(h, w):
            raise DataError(
                f"blur:{self.sigma:g} reaches {reach} pixels: too far for pictures of {h}x{w}"
            )
        # Shifted sums rather than a convolution: that may run in TF32, of 10 bits.
        x = images
        for dim, pad in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
            wide, side = F.pad(x, pad, mode="reflect"), x.shape[dim]
            x = wide.narrow(dim, 0, side) * weights[0]
            for i, weight in enumerate(weights[1:], 1):
                x.add_(wide.narrow(dim, i, side), alpha=weight)
        return x


KINDS: dict[str, Any] = {kind.word: kind for kind in (Grey, Smaller, Hole, Noise, Blur)}


def degradation(text: str) -> Degradation:
    """A degradation from its word: "grey", "smaller:4", "hole:0.25", "noise:0.2" or "blur:1.5".

    Raises:
        DataError: there is no such degradation, or its number is missing or out of range.

    >>> degradation("smaller:4")
    Smaller(factor=4, method='bicubic')
    """
    word, colon, number = text.strip().partition(":")
    if word not in KINDS:
        raise DataError(unknown("degradation", word, KINDS))
    kind = KINDS[word]
    if kind is Grey:
        if colon:
            raise DataError(f"grey takes no number, not {text!r}")
        return Grey()
    try:
        value = int(number) if kind is Smaller else float(number)
    except ValueError:
        whole = "a whole number" if kind is Smaller else "a number"
        raise DataError(f"{word} needs {whole}, as {kind.example}, not {text!r}") from None
    return kind(value)
