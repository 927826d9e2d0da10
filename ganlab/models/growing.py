"""Networks that grow while they are trained (Karras et al. 2018, ProGAN, Sec. 2).

Training starts at a low resolution. Layers for twice the size are then faded in: their picture
and the enlarged picture of the layers before are blended, alpha going from 0 to 1.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.data.sizes import Size
from ganlab.errors import RecipeError
from ganlab.models.equalized import stages
from ganlab.models.shapes import square_only


def halved(x: Tensor) -> Tensor:
    """(B, C, n, n) -> (B, C, n/2, n/2): means of 2x2 pixels."""
    return F.avg_pool2d(x, 2)


def doubled(x: Tensor) -> Tensor:
    """(B, C, n, n) -> (B, C, 2n, 2n): each pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Growing(nn.Module):
    """What generator and discriminator share: at which resolution they work, and how far faded.

    The phase is a buffer, so that a checkpoint holds it and a running average copies it. What
    decides which layers run is a plain number, read from that buffer when a state is loaded and
    when the network changes between training and evaluation; no forward pass waits for it.

    Args:
        size: of the finished network in pixels; it makes squares only.
        channels: 1 or 3.
        growing: False works at `size` from the start.
        first: resolution of the first phase.
        hold: images shown at each resolution once it is faded in.
        fade: images over which a resolution is faded in.

    Raises:
        RecipeError: the size or the first resolution does not fit.
    """

    phase: Tensor

    def __init__(
        self, size: Size, channels: int, growing: bool, first: int, hold: int, fade: int
    ) -> None:
        super().__init__()
        size = square_only(size)
        self.stages = stages(size)
        if first not in [4 << i for i in range(self.stages)]:
            raise RecipeError(f"'first' must be a power of two from 4 to {size}, not {first}")
        if hold < 0 or fade < 0:
            raise RecipeError("'hold' and 'fade' are numbers of images and not negative")
        self.size, self.channels, self.growing = size, channels, growing
        self.first, self.hold, self.fade = first, hold, fade
        self.level = self.stages - 1
        self.fading = False
        self.register_buffer("phase", torch.zeros(2))
        self.set_phase(first if growing else size)

    @property
    def resolution(self) -> int:
        """At which the network works now, in pixels."""
        return 4 << self.level

    @property
    def alpha(self) -> Tensor:
        """Scalar in [0, 1]: the share of the newest layers."""
        return self.phase[1]

    def set_phase(self, resolution: int, alpha: float = 1.0) -> None:
        """Work at `resolution`, with its layers faded in to `alpha`.

        Raises:
            RecipeError: the network never has this resolution, or alpha is outside [0, 1].
        """
        if resolution not in [4 << i for i in range(self.stages)] or not 0 <= alpha <= 1:
            raise RecipeError(
                f"no phase with resolution {resolution} and alpha {alpha} in a network of"
                f" {self.size} pixels"
            )
        self.level = resolution.bit_length() - 3
        self.fading = alpha < 1 and self.level > 0
        self.phase[0].fill_(self.level)
        self.phase[1].fill_(alpha)

    def grow(self, images: int) -> None:
        """Enter the phase that is due after so many images shown; call before each round.

        `hold` images at the first resolution, then for each further one `fade` and `hold`.
        """
        if self.growing:
            self.set_phase(*self.due(images))

    def due(self, images: int) -> tuple[int, float]:
        """Resolution and alpha after so many images shown."""
        left, resolution = images - self.hold, self.first
        while left >= 0 and resolution < self.size:
            resolution *= 2
            if left < self.fade:
                return resolution, left / self.fade
            left -= self.fade + self.hold
        return resolution, 1.0

    def blend(self, old: Tensor, new: Tensor) -> Tensor:
        """`old` at alpha 0, `new` at alpha 1."""
        return torch.lerp(old, new, self.alpha.to(new.dtype))

    def picture(self, to_pixels: nn.ModuleList, before: Tensor, x: Tensor) -> Tensor:
        """What a generator returns of its newest maps `x` and those of the resolution before.

        In training mode a picture of this resolution, else one of `size` pixels.
        """
        made = to_pixels[self.level](x)
        if self.fading:
            made = self.blend(doubled(to_pixels[self.level - 1](before)), made)
        return made if self.training else enlarged(made, self.size)

    def shown(self, x: Tensor) -> Tensor:
        """Real pictures as this phase shows them: (B, C, size, size) -> (B, C, n, n).

        Reduced to the resolution; while it is faded in, the details that the old resolution
        could not hold fade in with it, as they do in generated pictures.
        """
        while x.shape[-1] > self.resolution:
            x = halved(x)
        if self.fading:
            x = self.blend(doubled(halved(x)), x)
        return x

    def _refresh(self) -> None:
        if not self.phase.is_meta:
            level, alpha = self.phase.tolist()
            self.level, self.fading = int(level), alpha < 1 and level > 0

    def train(self, mode: bool = True) -> Any:
        """Training or evaluation mode; the phase is read again (an average's was copied)."""
        super().train(mode)
        self._refresh()
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._refresh()


def enlarged(x: Tensor, size: int) -> Tensor:
    """Pictures at `size` pixels by repetition: what a small phase looks like on a full grid."""
    factor = size // x.shape[-1]
    return F.interpolate(x, scale_factor=float(factor), mode="nearest") if factor > 1 else x
