"""Penalties without an input gradient: consistency, feature and weight averages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ganlab.errors import RecipeError
from ganlab.penalties.base import Judged, Penalty, penalty_family


def shift_and_flip(x: Tensor, shift: int = 4, flip: bool = True) -> Tensor:
    """Each picture moved by up to `shift` pixels each way, mirrored with probability ½.

    What moves in from outside is the picture's own mirror image at the border. Random numbers
    are torch's global ones, on the device of `x`.

    Args:
        x: (B, C, H, W).
        shift: in pixels, less than H and W.
        flip: mirror left and right; off where that changes the meaning, as with letters.

    Returns:
        (B, C, H, W), differentiable in `x`.
    """
    n, _, h, w = x.shape
    moves = torch.randint(0, 2 * shift + 1, (2, n, 1), device=x.device)
    rows = torch.arange(h, device=x.device) + moves[0]
    columns = torch.arange(w, device=x.device).expand(n, w)
    if flip:
        mirrored = torch.rand(n, 1, device=x.device) < 0.5
        columns = torch.where(mirrored, w - 1 - columns, columns)
    columns = columns + moves[1]
    wide = pad(x, [shift] * 4, mode="reflect") if shift else x
    each = torch.arange(n, device=x.device)[:, None, None]
    return wide[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@penalty_family("consistency", weight=10.0, paper="zhang2020consistency")
class Consistency(Penalty):
    """Real samples and what means the same are judged alike (Zhang et al. 2020, CR-GAN, Sec. 2).

    The term is

        λ E(D(x) - D(T(x)))²

    T keeps the meaning: for pictures a shift and a mirror image, for points a little noise.
    Costs one more pass of D over a batch; $D(x)$ is the loss's own.

    Args:
        weight, every: see `Penalty`.
        shift: pixels, for pictures.
        flip: mirror pictures left and right.
        noise: standard deviation of the noise on points.
        transform: replaces T, a function of a batch.
    """

    def __init__(
        self,
        weight: float,
        every: int = 1,
        shift: int = 4,
        flip: bool = True,
        noise: float = 0.01,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(weight, every)
        if shift < 0 or noise < 0:
            raise RecipeError("'shift' and 'noise' of penalty 'consistency' must not be negative")
        self.shift, self.flip, self.noise, self.transform = shift, flip, noise, transform

    def transformed(self, x: Tensor) -> Tensor:
        """$T(x)$, shaped as `x`."""
        if self.transform is not None:
            return self.transform(x)
        if x.dim() == 4:
            return shift_and_flip(x, self.shift, self.flip)
        return x + self.noise * torch.randn_like(x)

    def term(self, judged: Judged) -> Tensor:
        """Mean squared difference of the logits."""
        other = judged.judge(self.transformed(judged.real.detach()))
        return (judged.a_real - other.to(judged.a_real.dtype)).square().mean()


@penalty_family("feature-matching", weight=1.0, paper="salimans2016improved")
class FeatureMatching(Penalty):
    """Generated pictures have the data's mean features (Salimans et al. 2016, Sec. 3.1).

    The generator's term is, with $f$ the last features of D,

        λ ‖E f(x) - E f(G(z))‖²

    The published method has this term in place of the generator's loss; here it is added, and
    a large weight comes to the same. The network needs a method `features(x) -> (B, F)`.
    """

    side = "g"

    def term(self, judged: Judged) -> Tensor:
        """Squared distance of the mean features; the graph goes through `fake` alone."""
        features: Any = getattr(judged.network, "features", None)
        if features is None:
            kind = type(judged.network).__name__
            raise RecipeError(f"penalty 'feature-matching' needs {kind} to have features(x)")
        wide = judged.a_fake.dtype  # the game's logits are fp32, under autocast too
        with torch.no_grad():
            target = features(judged.real).mean(0, dtype=wide)
        return (features(judged.fake).mean(0, dtype=wide) - target).square().sum()


@penalty_family("historical", weight=1.0, paper="salimans2016improved")
class Historical(Penalty):
    """A player stays near the mean of its past (Salimans et al. 2016, Sec. 3.3).

    The term is, with θ the weights and θ̄ the mean of all earlier ones,

        λ ‖θ - θ̄‖²

    The mean is a running one over the steps at which the penalty was applied, and is its state:
    each player needs a penalty of its own. The first call is 0.

    Args:
        weight, every: see `Penalty`.
        side: "d" or "g". For "g" the generator must come as `Judged.learner`.
    """

    def __init__(self, weight: float, every: int = 1, side: str = "d") -> None:
        super().__init__(weight, every)
        if side not in ("d", "g"):
            raise RecipeError(f"'side' of penalty 'historical' must be 'd' or 'g', not '{side}'")
        self.side, self.count = side, 0
        self.mean: list[Tensor] = []

    def _weights(self, judged: Judged) -> list[nn.Parameter]:
        network = judged.learner if judged.learner is not None else judged.network
        weights = [p for p in network.parameters() if p.requires_grad]
        if not weights:
            raise ValueError("historical averaging needs the learning network as Judged.learner")
        return weights

    def term(self, judged: Judged) -> Tensor:
        """Squared distance to the mean, which then takes in the weights of this step."""
        weights = self._weights(judged)
        if not self.mean:
            self.mean = [p.detach().clone() for p in weights]
        # Loaded states may come from another device; elsewhere `to` is free.
        self.mean = [m.to(p) for m, p in zip(self.mean, weights, strict=True)]
        # A copy enters the graph: the mean moves in place before the backward pass.
        loss = torch.stack(
            [(p - m.clone()).square().sum() for p, m in zip(weights, self.mean, strict=True)]
        ).sum()
        self.count += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, [p.detach() for p in weights], 1 / self.count)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The mean and how many steps are in it."""
        return {"mean": [m.clone() for m in self.mean], "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        self.mean = [m.clone() for m in state["mean"]]
        self.count = state["count"]
