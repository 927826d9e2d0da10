"""What the discriminator may see instead of a picture itself: augmentation and noise.

Both sides' pictures, real and generated, go through the same random transformation with fresh
draws for every sample, in the discriminator's step and in the generator's, whose gradient
flows through it (Zhao et al. 2020, Sec. 3). Augmenting the real pictures alone would
teach the generator the transformation.

All draws come from torch's global random state of the pictures' device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ganlab.errors import RecipeError, unknown

Transform = Callable[[Tensor], Tensor]


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """(B, 1, 1, 1) in [low, high), drawn in fp32 so that bf16 pictures get as fine a choice."""
    draw = torch.rand(len(x), 1, 1, 1, device=x.device) * (high - low) + low
    return draw.to(x.dtype)


def brightness(x: Tensor, most: float = 0.5) -> Tensor:
    """Add one number per sample, uniform in [-most, most)."""
    return x + _uniform(x, -most, most)


def saturation(x: Tensor, most: float = 2.0) -> Tensor:
    """Scale each pixel's distance from its grey value by a factor in [0, most) per sample.

    The grey value is the mean over channels, so that pictures of one channel stay as they are.
    """
    grey = x.mean(1, keepdim=True)
    return grey + (x - grey) * _uniform(x, 0, most)


def contrast(x: Tensor, low: float = 0.5, high: float = 1.5) -> Tensor:
    """Scale the distance from the sample's mean by a factor in [low, high) per sample."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * _uniform(x, low, high)


def color(x: Tensor) -> Tensor:
    """Brightness, saturation and contrast, in this order."""
    return contrast(saturation(brightness(x)))


def shift(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Move each sample by whole pixels; zeros come in at the border.

    Args:
        x: (B, C, H, W).
        down, right: (B,) integers, negative for up and left.

    Returns:
        (B, C, H, W).
    """
    b, c, h, w = x.shape
    rows = torch.arange(h, device=x.device) - down[:, None]
    columns = torch.arange(w, device=x.device) - right[:, None]
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None]
    where = rows.clamp(0, h - 1)[:, :, None] * w + columns.clamp(0, w - 1)[:, None]
    # One gather over flattened pictures: half the time of two, or of indexing a padded copy.
    index = where.view(b, 1, h * w).expand(b, c, h * w)
    return x.reshape(b, c, h * w).gather(2, index).view(b, c, h, w) * inside[:, None]


def _whole(x: Tensor, low: int, high: int) -> Tensor:
    """(B,) integers in [low, high)."""
    return torch.randint(low, high, (len(x),), device=x.device)


def translation(x: Tensor, most: float = 1 / 8) -> Tensor:
    """Move each sample by up to `most` of its height and width, either way, padding zeros."""
    h, w = (int(side * most) for side in x.shape[2:])
    return shift(x, _whole(x, -h, h + 1), _whole(x, -w, w + 1))


def cutout(x: Tensor, side: float = 0.5) -> Tensor:
    """Set a rectangle of `side` times the height and width to 0 in each sample.

    Its centre is uniform over the picture, and what sticks out is lost: were it always inside,
    half a side would cover the middle of every picture, and nobody would judge it.
    """
    h, w = x.shape[2:]
    hidden = []
    for n in (h, w):
        size = round(n * side)
        start = _whole(x, 0, n) - size // 2
        place = torch.arange(n, device=x.device) - start[:, None]
        hidden.append((place >= 0) & (place < size))
    keep = ~(hidden[0][:, :, None] & hidden[1][:, None])
    return x * keep[:, None]


def flip(x: Tensor) -> Tensor:
    """Mirror each sample left to right with probability 1/2.

    Not part of DiffAugment: with it the generator is free to draw everything mirrored.
    """
    mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(mirrored, x.flip(3), x)


TRANSFORMS: dict[str, Transform] = {
    f.__name__: f
    for f in (color, translation, cutout, brightness, saturation, contrast, flip)
}  # fmt: skip


class DiffAugment:
    """Differentiable augmentation, random per sample (Zhao et al. 2020, Sec. 3).

    Args:
        policy: words of `TRANSFORMS` with commas between, applied from left to right; or a
            sequence of such words and of functions (B, C, H, W) -> (B, C, H, W). The paper's
            are "color", "translation" and "cutout". Empty: pictures stay as they are.

    Raises:
        RecipeError: an unknown word.
    """

    def __init__(self, policy: str | Iterable[str | Transform] = "color,translation,cutout"):
        if isinstance(policy, str):
            policy = [word.strip() for word in policy.split(",") if word.strip()]
        self.transforms = [_transform(part) for part in policy]

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, H, W) around 0 -> the same shape and type, not clamped to any range.

        Raises:
            RecipeError: `x` are not pictures.
        """
        if self.transforms and x.dim() != 4:
            raise RecipeError(
                f"augmentation needs pictures (B, C, H, W), not data of shape {tuple(x.shape)}"
            )
        for transform in self.transforms:
            x = transform(x)
        return x

    def __repr__(self) -> str:
        names = (getattr(t, "__name__", repr(t)) for t in self.transforms)
        return f"DiffAugment({','.join(names)!r})"


def _transform(part: str | Transform) -> Transform:
    if not isinstance(part, str):
        return part
    if part not in TRANSFORMS:
        raise RecipeError(unknown("augmentation", part, TRANSFORMS))
    return TRANSFORMS[part]


def augment(policy: str) -> DiffAugment | None:
    """The augmentation of a recipe, None for an empty policy.

    Raises:
        RecipeError: an unknown word.
    """
    made = DiffAugment(policy)
    return made if made.transforms else None


class InstanceNoise:
    """Gaussian noise on everything the discriminator sees (Sønderby et al. 2017).

    It makes the densities of real and generated data overlap, so that their divergence is
    finite and has a gradient (Arjovsky and Bottou 2017, Sec. 3).

    Args:
        std: at the start of training, in units of the data.

    Raises:
        RecipeError: `std` is negative.
    """

    def __init__(self, std: float) -> None:
        if std < 0:
            raise RecipeError(f"instance_noise must not be negative, not {std}")
        self.std = std

    def at(self, share: float) -> float:
        """Standard deviation after this share of training: linear, 0 from the end on."""
        return self.std * min(max(1 - share, 0.0), 1.0)

    def __call__(self, x: Tensor, share: float = 0.0) -> Tensor:
        """Data of any shape, with the noise due after `share` of training."""
        std = self.at(share)
        return x + std * torch.randn_like(x) if std else x

    def __repr__(self) -> str:
        return f"InstanceNoise({self.std})"


class Sometimes:
    """A transform that each sample of a batch undergoes with probability p, on its own.

    Args:
        transform: of a batch.
        p: probability; a schedule may move it.
    """

    def __init__(self, transform: Transform, p: float = 1.0) -> None:
        self.transform, self.p = transform, p

    def set_p(self, p: float) -> None:
        """Set the probability."""
        self.p = p

    def __call__(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        chosen = torch.rand(len(x), device=x.device) < self.p
        return torch.where(chosen.view(-1, *[1] * (x.ndim - 1)), self.transform(x), x)
