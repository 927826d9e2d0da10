"""ADA: adaptive discriminator augmentation (Karras et al. 2020, "Training GANs with Limited Data").

With few pictures the discriminator learns them by heart. Augmenting all that it sees delays
that, and does not leak into the generated pictures as long as each transformation is left out
often enough: then the unaugmented distribution can be told from its augmentation (Sec. 2.2).
How strong the augmentation must be is found while training, from how sure the discriminator is
of real pictures (Sec. 3).

All draws come from torch's global random state of the pictures' device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ganlab import ranks
from ganlab.augment import ada_ops
from ganlab.errors import RecipeError, unknown

GROUPS = ("blit", "geom", "color", "filter", "noise", "cutout")
PRESETS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in GROUPS},
    **{"bgcfnc"[:k]: GROUPS[:k] for k in range(2, 7)},
}
LN2 = math.log(2)


def _normal(n: int, std: float, device: torch.device) -> Tensor:
    return torch.randn(n, device=device) * std


def _scale(n: int, std: float, device: torch.device) -> Tensor:
    """Lognormal with the base-2 logarithm's standard deviation `std`."""
    return torch.exp(_normal(n, std * LN2, device))


def _angle(n: int, device: torch.device) -> Tensor:
    return (torch.rand(n, device=device) * 2 - 1) * math.pi


def _where(chosen: Tensor, x: Tensor, f: Callable[..., Tensor], *numbers: Tensor) -> Tensor:
    """f(x, *numbers) for the samples chosen, the others bit for bit as they were."""
    if x.device.type != "cpu":  # no other device is asked how many there are
        return torch.where(chosen[:, None, None, None], f(x, *numbers), x)
    rows = chosen.nonzero().flatten()
    if not len(rows):
        return x
    return x.index_put((rows,), f(x[rows], *(number[rows] for number in numbers)))


class Ada(nn.Module):
    """The augmentation pipeline (App. B): 18 transformations, each with probability p.

    Pixel blitting: mirror, quarter turns, moves by up to 1/8 in whole pixels. Geometry: scale,
    turn, stretch, turn, move by fractions of pixels. Colour: brightness, contrast, luma flip,
    hue, saturation. Filtering: the gains of four frequency bands. Corruption: noise, cutout.
    The two turns each have the probability $1 - √(1 - p)$, so that with p one or both happen.

    Differences from the paper's pipeline: blitting copies pixels on its own instead of joining
    the resampling; the mirrored border is 8 pixels wide and mirrored again past that, which
    costs the same whatever was drawn. The result has no second derivative: penalties take
    their gradients at what the discriminator sees, as this package's game does.

    Args:
        policy: one of `PRESETS`: "blit", "geom", "color", "filter", "noise", "cutout", "bg",
            "bgc" (the published choice), "bgcf", "bgcfn" or "bgcfnc".
        p: of each transformation, the buffer `p`.

    Raises:
        RecipeError: an unknown policy, or p outside [0, 1].
    """

    p: Tensor

    def __init__(self, policy: str = "bgc", p: float = 0.0) -> None:
        super().__init__()
        if policy not in PRESETS:
            raise RecipeError(unknown("ADA policy", policy, PRESETS))
        if not 0 <= p <= 1:
            raise RecipeError(f"p of ADA must be in [0, 1], not {p}")
        self.policy = policy
        self.register_buffer("p", torch.tensor(float(p)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n) around 0, C 1 or 3 -> the same shape and type, not clamped.

        Raises:
            RecipeError: `x` are not square pictures of one or three channels.
        """
        if x.dim() != 4 or x.shape[2] != x.shape[3] or x.shape[1] not in (1, 3):
            raise RecipeError(
                f"ADA needs square pictures (B, 1 or 3, n, n), not data of shape {tuple(x.shape)}"
            )
        with torch.autocast(x.device.type, enabled=False):  # places need more than 8 bits
            for group in PRESETS[self.policy]:
                x = getattr(self, f"_{group}")(x)
        return x

    def set_p(self, p: float) -> None:
        """Set the probability, as a schedule does."""
        self.p.fill_(p)

    def _chance(self, x: Tensor, p: Tensor | None = None) -> Tensor:
        """(B,) bool, true with probability p."""
        return torch.rand(len(x), device=x.device) < (self.p if p is None else p)

    def _blit(self, x: Tensor) -> Tensor:
        b, n, at = len(x), x.shape[-1], x.device
        flip = self._chance(x) & (torch.rand(b, device=at) < 0.5)
        turns = torch.randint(0, 4, (b,), device=at) * self._chance(x)
        moves = torch.rand(2, b, device=at) / 4 - 1 / 8
        down, right = (moves * n).round().long() * self._chance(x)
        chosen = flip | (turns > 0) | (down != 0) | (right != 0)
        return _where(chosen, x, ada_ops.blit, flip, turns, down, right)

    def _geom(self, x: Tensor) -> Tensor:
        b, n, at = len(x), x.shape[-1], x.device
        either = 1 - (1 - self.p).sqrt()
        scaled, stretched, moved = (self._chance(x) for _ in range(3))
        before, after = (self._chance(x, either) for _ in range(2))
        inverse = ada_ops.affine(
            torch.where(scaled, _scale(b, 0.2, at), 1.0),
            _angle(b, at) * before,
            torch.where(stretched, _scale(b, 0.2, at), 1.0),
            _angle(b, at) * after,
            _normal(b, n / 8, at) * moved,
            _normal(b, n / 8, at) * moved,
        )
        chosen = scaled | before | stretched | after | moved
        return _where(chosen, x, ada_ops.warp, inverse)

    def _color(self, x: Tensor) -> Tensor:
        b, at = len(x), x.device
        lighter, contrasted, flipped, turned, saturated = (self._chance(x) for _ in range(5))
        flipped = flipped & (torch.rand(b, device=at) < 0.5)
        matrix = ada_ops.color_matrix(
            flipped.float(),
            _angle(b, at) * turned,
            torch.where(saturated, _scale(b, 1.0, at), 1.0),
            torch.where(contrasted, _scale(b, 0.5, at), 1.0),
        )
        brightness = _normal(b, 0.2, at) * lighter
        chosen = lighter | contrasted | flipped | turned | saturated
        return _where(chosen, x, ada_ops.recolor, matrix, brightness)

    def _filter(self, x: Tensor) -> Tensor:
        b, at = len(x), x.device
        # Natural pictures have power like 1/f: the share of each band (App. B).
        power = ada_ops.constant((10, 1, 1, 1), at) / 13
        gains = torch.ones(b, 4, device=at)
        chosen = torch.zeros(b, dtype=torch.bool, device=at)
        for band in range(4):
            drawn = self._chance(x)
            gain = torch.ones(b, 4, device=at)
            gain[:, band] = torch.where(drawn, _scale(b, 1.0, at), 1.0)
            gains = gains * gain / (gain.square() @ power).sqrt()[:, None]
            chosen = chosen | drawn
        return _where(chosen, x, ada_ops.equalize, gains)

    def _noise(self, x: Tensor) -> Tensor:
        chosen = self._chance(x)
        std = _normal(len(x), 0.1, x.device).abs()[:, None, None, None]
        noise = (torch.randn(x.shape, device=x.device) * std).to(x.dtype)
        return _where(chosen, x, torch.add, noise)

    def _cutout(self, x: Tensor) -> Tensor:
        across, along = torch.rand(2, len(x), device=x.device)
        return _where(self._chance(x), x, ada_ops.cut, across, along)

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"{self.policy!r}, p={float(self.p):.3f}"


class AdaptiveP(nn.Module):
    """Moves p so that D's mean sign on real training pictures stays at a target (Sec. 3, Eq. 1).

    The signal is, over real training pictures $x$ as augmented,

        r = E sign(D(x))

    It is 0 while D cannot tell and 1 when it has learnt every picture by heart.
    Every so many rounds p goes up or down by a step with which it would go from 0 to 1 in
    `length` images. Everything that decides the next step is in the state.

    Args:
        ada: whose p is moved; a part of this module, so that one state holds both.
        target: of $r$.
        length: images from p = 0 to p = 1.
        every: rounds between steps.

    Raises:
        RecipeError: a target outside (-1, 1), or a length or interval that is not positive.
    """

    signs: Tensor
    images: Tensor
    r: Tensor

    def __init__(
        self, ada: Ada, target: float = 0.6, length: float = 500_000, every: int = 4
    ) -> None:
        super().__init__()
        if not -1 < target < 1:
            raise RecipeError(f"ADA's target must be between -1 and 1, not {target}")
        if not length > 0 or every < 1:
            raise RecipeError("ADA's length in images and its interval must be positive")
        self.ada, self.target, self.length, self.every = ada, target, float(length), int(every)
        self.rounds = 0
        for name in ("signs", "images", "r"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """The augmented pictures."""
        return self.ada(x)

    @torch.no_grad()
    def update(self, a_real: Tensor) -> None:
        """Take in D's logits (B,) of a round's augmented real pictures; move p when it is due."""
        self.signs += a_real.detach().sign().sum()
        self.images += len(a_real)
        self.rounds += 1
        if self.rounds % self.every:
            return
        seen = torch.stack([self.signs, self.images])
        ranks.average([seen])
        self.r.copy_(seen[0] / seen[1])
        step = seen[1] * ranks.size() / self.length
        self.ada.p.add_((self.r - self.target).sign() * step).clamp_(0, 1)
        self.signs.zero_()
        self.images.zero_()

    def get_extra_state(self) -> dict[str, Any]:
        """Rounds counted so far."""
        return {"rounds": self.rounds}

    def set_extra_state(self, state: Any) -> None:
        """Restore `get_extra_state`."""
        self.rounds = state["rounds"]

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"target={self.target}, length={self.length:g}, every={self.every}"
