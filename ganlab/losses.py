"""Adversarial objectives: pairs of functions of logits.

The discriminator's output is a logit a; D(x) = σ(a). Working on logits keeps every loss finite
and its gradient exact where σ would round to 0 or 1: log σ(a) = -softplus(-a) and
log(1 - σ(a)) = -softplus(a). All losses are means over the batch, in natural logarithms.

A new objective is one definition:

    @objective_family("least-squares")
    def least_squares() -> Objective:
        return Objective(
            d_loss=lambda real, fake: ((real - 1) ** 2).mean() + (fake**2).mean(),
            g_loss=lambda fake, real=None: ((fake - 1) ** 2).mean(),
        )
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.nn.functional import softplus

from ganlab.errors import RecipeError, unknown


@dataclass(frozen=True)
class Objective:
    """What each player minimises, as functions of logits of any equal shape.

    Attributes:
        d_loss: `(real_logits, fake_logits) -> scalar`, the discriminator's.
        g_loss: `(fake_logits, real_logits) -> scalar`, the generator's; `real_logits` is None
            unless `needs_real`.
        needs_real: the generator's loss compares with real logits (relativistic objectives).
        name: under which `objective` finds it.
        paper: key in the book's bibliography.
    """

    d_loss: Callable[[Tensor, Tensor], Tensor]
    g_loss: Callable[..., Tensor]
    needs_real: bool = False
    name: str = ""
    paper: str = ""


_FAMILIES: dict[str, Callable[..., Objective]] = {}


def objective_family(name: str, paper: str = "") -> Callable:
    """Register the decorated function, which returns an `Objective`, under `name`."""

    def register(build: Callable[..., Objective]) -> Callable[..., Objective]:
        def named(*args: Any, **options: Any) -> Objective:
            return replace(build(*args, **options), name=name, paper=paper)

        named.__doc__, named.__name__ = build.__doc__, build.__name__
        _FAMILIES[name] = named
        return named

    return register


def objective(name: str, **options: Any) -> Objective:
    """The objective of that name.

    Raises:
        RecipeError: there is none of that name, or it does not take one of the options.
    """
    if name not in _FAMILIES:
        raise RecipeError(unknown("objective", name, _FAMILIES))
    try:
        return _FAMILIES[name](**options)
    except TypeError as error:
        raise RecipeError(f"objective '{name}' does not take {sorted(options)}") from error


def objectives() -> list[str]:
    """Names of all objectives."""
    return sorted(_FAMILIES)


def _d_cross_entropy(real_target: float) -> Callable[[Tensor, Tensor], Tensor]:
    """-E[t log D(x) + (1-t) log(1-D(x))] - E[log(1-D(G(z)))], with t the target on real data."""
    if not 0.5 < real_target <= 1:
        raise RecipeError(f"real_target must be in (0.5, 1], not {real_target}")

    def d_loss(real: Tensor, fake: Tensor) -> Tensor:
        # t·softplus(-a) + (1-t)·softplus(a) = softplus(-a) + (1-t)·a: one softplus less
        loss = softplus(-real).mean() + softplus(fake).mean()
        return loss + (1 - real_target) * real.mean() if real_target < 1 else loss

    return d_loss


@objective_family("minimax", paper="goodfellow2014generative")
def minimax(real_target: float = 1.0) -> Objective:
    """The game of the original paper, played as written (the *saturating* generator).

    D minimises -E log D(x) - E log(1 - D(G(z))); G minimises E log(1 - D(G(z))), whose gradient
    in the logit is -D(G(z)): next to nothing where D rejects the picture with confidence
    (Goodfellow et al. 2014, Eq. 1).

    Args:
        real_target: one-sided label smoothing (Salimans et al. 2016, Sec. 3.4): the target on
            real data, in (0.5, 1].
    """
    return Objective(_d_cross_entropy(real_target), lambda fake, real=None: -softplus(fake).mean())


@objective_family("non-saturating", paper="goodfellow2014generative")
def non_saturating(real_target: float = 1.0) -> Objective:
    """The original paper's remedy: G maximises E log D(G(z)) (Goodfellow et al. 2014, Sec. 3).

    Its gradient in the logit is -(1 - D(G(z))): largest where D rejects the picture. The fixed
    point is that of `minimax`, the gradients are not.

    Args:
        real_target: one-sided label smoothing, as in `minimax`.
    """
    return Objective(_d_cross_entropy(real_target), lambda fake, real=None: softplus(-fake).mean())
