"""What every penalty shares: what it sees, how it is weighted, how it is found by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError, unknown
from ganlab.models.latent import told


@dataclass
class Judged:
    """What the discriminator has just seen and what it said.

    Attributes:
        network: the discriminator; frozen where the generator learns.
        real: (B, ...) from the data; requires grad if a due penalty's `needs` has "real".
        fake: (B, ...) from the generator; requires grad if `needs` has "generated", and carries
            the generator's graph where the generator learns.
        a_real: (B,) logits of `real` with their graph.
        a_fake: (B,) logits of `fake` with their graph.
        learner: the network whose weights this step moves; None means `network`.
        labels: (B,) class numbers of both batches, for a conditional discriminator.
    """

    network: nn.Module
    real: Tensor
    fake: Tensor
    a_real: Tensor
    a_fake: Tensor
    learner: nn.Module | None = None
    labels: Tensor | None = None
    _gradients: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def judge(self, x: Tensor) -> Tensor:
        """Logits (B,) of another batch (B, ...) of the same classes, in a pass of its own."""
        return told(self.network, self.labels)(x)

    def gradient(self, which: str) -> Tensor:
        """Each logit's gradient with respect to its own input, shaped as the input.

        Computed once from the pass that made the logits, and differentiable.

        Args:
            which: "real" or "generated".

        Raises:
            ValueError: the input did not require grad when it was judged.
        """
        if which not in self._gradients:
            x, a = (self.real, self.a_real) if which == "real" else (self.fake, self.a_fake)
            if not x.requires_grad:
                raise ValueError(f"the {which} batch must require grad before it is judged")
            self._gradients[which] = input_gradient(a, x)
        return self._gradients[which]


def input_gradient(a: Tensor, x: Tensor) -> Tensor:
    """$∂ ∑a / ∂x$, differentiable: row $i$ is the gradient of logit $i$, if rows do not mix."""
    return torch.autograd.grad(a.sum(), x, create_graph=True)[0]


class Penalty:
    """A term of a player's loss.

    Args:
        weight: factor of the term.
        every: apply it each so many steps only, and times as strongly (lazy regularisation,
            Karras et al. 2020, StyleGAN2, Sec. 3.1). The game counts the steps: `due`.

    Attributes:
        name: under which `penalty` finds it.
        paper: key in the book's bibliography.
        side: "d" or "g", whose loss it joins.
        needs: which batches must require grad when they are judged: "real", "generated".
    """

    name: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    default: ClassVar[float] = 1.0
    side: str = "d"
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, weight: float, every: int = 1) -> None:
        if not weight >= 0:
            raise RecipeError(f"weight of penalty '{self.name}' must not be negative: {weight}")
        if every < 1:
            raise RecipeError(f"'every' of penalty '{self.name}' must be at least 1, not {every}")
        self.weight, self.every = float(weight), int(every)

    def weigh(self, weight: float) -> None:
        """Set the weight, as a schedule does in the course of a training."""
        self.weight = weight

    def due(self, step: int) -> bool:
        """Is it applied at this step, counted from 0?"""
        return step % self.every == 0

    def __call__(self, judged: Judged) -> Tensor:
        """The scalar to add to the loss."""
        return self.term(judged) * (self.weight * self.every)

    def term(self, judged: Judged) -> Tensor:
        """The scalar before weight and laziness."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold; most penalties hold nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(weight={self.weight:g}, every={self.every})"


_FAMILIES: dict[str, type[Penalty]] = {}


def penalty_family(name: str, weight: float, paper: str = "") -> Callable:
    """Register the decorated class under `name`, with the weight it has by default."""

    def register(family: type[Penalty]) -> type[Penalty]:
        family.name, family.default, family.paper = name, weight, paper
        _FAMILIES[name] = family
        return family

    return register


def penalty(name: str, weight: float | None = None, **options: Any) -> Penalty:
    """The penalty of that name.

    Args:
        name: one of `penalties()`.
        weight: None for the published one.
        **options: of its class; all take `every`.

    Raises:
        RecipeError: there is none of that name, or an option does not exist or does not fit.
    """
    if name not in _FAMILIES:
        raise RecipeError(unknown("penalty", name, _FAMILIES))
    family = _FAMILIES[name]
    try:
        return family(family.default if weight is None else weight, **options)
    except TypeError as error:
        raise RecipeError(f"penalty '{name}' does not take {sorted(options)}") from error


def family(name: str) -> type[Penalty]:
    """The class of that name."""
    return _FAMILIES[name]


def penalties() -> list[str]:
    """Names of all penalties."""
    return sorted(_FAMILIES)
