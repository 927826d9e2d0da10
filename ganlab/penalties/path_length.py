"""Path length regularisation: steps in W of one length make steps in pictures of one length."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganlab.errors import RecipeError
from ganlab.penalties.base import Judged, Penalty, penalty_family
from ganlab.penalties.gradient import gradient_norm


@penalty_family("path-length", weight=2.0, paper="karras2020analyzing")
class PathLength(Penalty):
    """Every step in W has the same length in pictures (Karras et al. 2020, StyleGAN2, Sec. 3.2).

    The term is (Eq. 4 and App. B)

        λ E(‖Jᵀ y‖ - a)²

    with $J = ∂G(w)/∂w$, $y$ normal pictures and $a$ the running mean of the lengths. $‖Jᵀ y‖$ is
    the norm of one gradient, $E‖Jᵀ y‖²$ the sum of the squared singular values of $J$. Pixels of
    $y$ are scaled by $1/√(H W)$, and the squared length is the mean over the layers' styles
    instead of their sum. With both, $λ = 2$ at any size $r$ is the paper's

        λ = (log 2)/(r² (log r - log 2))

    because the networks have $2 log₂(r) - 2$ layers.

    A step of the generator without real pictures: it draws latent vectors
    of its own, for a part of the batch, from torch's global random state.

    The generator comes as `Judged.learner` and has `latent`, `styles(z)` and `synthesis(ws)`.
    A conditional one takes labels drawn uniformly.

    Args:
        weight, every: see `Penalty`; the paper applies it every 4 steps.
        decay: of the running mean, per application.
        shrink: the batch is divided by this.

    Raises:
        RecipeError: `decay` is outside [0, 1), or `shrink` below 1.
    """

    side = "g"

    def __init__(self, weight: float, every: int = 4, decay: float = 0.99, shrink: int = 2) -> None:
        super().__init__(weight, every)
        if not 0 <= decay < 1:
            raise RecipeError(f"'decay' of penalty 'path-length' must be in [0, 1), not {decay}")
        if shrink < 1:
            raise RecipeError(f"'shrink' of penalty 'path-length' must be at least 1: {shrink}")
        self.decay, self.shrink = decay, int(shrink)
        self.mean: Tensor = torch.zeros(())

    def lengths(self, generator: Any, n: int, device: torch.device) -> Tensor:
        """(n,) path lengths at fresh latent vectors, with their graph."""
        z = torch.randn(n, generator.latent, device=device)
        classes = generator.mapping.classes
        labels = torch.randint(0, classes, (n,), device=device) if classes else None
        ws = generator.styles(z, labels)
        x = generator.synthesis(ws)
        y = torch.randn_like(x) / (x.shape[2] * x.shape[3]) ** 0.5
        (slope,) = torch.autograd.grad((x * y).sum(), ws, create_graph=True)
        return gradient_norm(slope) / slope.shape[1] ** 0.5

    def term(self, judged: Judged) -> Tensor:
        """Mean squared distance of the lengths from their running mean, which moves first."""
        generator: Any = judged.learner
        if not hasattr(generator, "synthesis"):
            raise RecipeError("penalty 'path-length' needs a generator with styles and synthesis")
        n = max(1, len(judged.fake) // self.shrink)
        lengths = self.lengths(generator, n, judged.fake.device)
        # Not in place: the graph of an earlier part of the batch may still need the old mean.
        self.mean = torch.lerp(lengths.detach().mean(), self.mean.to(lengths.device), self.decay)
        return (lengths - self.mean).square().mean()

    def state_dict(self) -> dict[str, Any]:
        """The running mean."""
        return {"mean": self.mean.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        self.mean = state["mean"].clone()
