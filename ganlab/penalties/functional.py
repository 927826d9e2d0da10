"""The discriminator's penalised loss as one pure function, which `torch.compile` takes whole.

`torch.autograd.grad(..., create_graph=True)` cannot be compiled; `torch.func.grad` can, so that
loss, penalty and the gradient of both become one graph. It also runs under `torch.func.vmap`,
many discriminators at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganlab.errors import RecipeError
from ganlab.penalties.base import Penalty
from ganlab.penalties.gradient import GradientPenalty

if TYPE_CHECKING:
    from ganlab.losses import Objective

Logits = tuple[Tensor, Tensor]
Rand = Tensor | Mapping[str, Tensor] | None


def draw(penalties: Sequence[Penalty], real: Tensor) -> dict[str, Tensor]:
    """Random numbers for one call of a `functional_loss` with these penalties, by name."""
    drawn = {p.name: p.draw(real) for p in penalties if isinstance(p, GradientPenalty)}
    return {name: rand for name, rand in drawn.items() if rand is not None}


def functional_loss(
    network: nn.Module, objective: Objective, penalties: Sequence[Penalty] = ()
) -> Callable[..., tuple[Tensor, Logits]]:
    """The discriminator's loss with gradient penalties, as a function without side effects.

    The function is `(params, buffers, real, fake, rand=None) -> (loss, (a_real, a_fake))`:
    `params` and `buffers` are `dict(network.named_parameters())` and `named_buffers()`, `real`
    and `fake` (B, ...) batches. `rand` stands for the penalties' random numbers: (B,)
    interpolation coefficients, or what `draw` returns; None draws them anew. Take it as:

        step = torch.compile(torch.func.grad(loss, has_aux=True), fullgraph=True)
        gradients, (a_real, a_fake) = step(params, buffers, real, fake, rand)

    Penalties at real or generated samples share the pass of the loss. Every penalty is applied
    at full strength, times its `every`: build a second function without it for the steps where
    a lazy one is not due.

    Args:
        network: without BatchNorm in training mode and spectral normalisation, which write to
            their buffers as they run.
        objective: from `ganlab.losses`.
        penalties: gradient penalties.

    Raises:
        RecipeError: another kind of penalty, or a network with such layers.
    """
    for one in penalties:
        if not isinstance(one, GradientPenalty):
            raise RecipeError(f"the functional loss takes gradient penalties, not '{one.name}'")
    for name, module in network.named_modules():
        writes = isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
        if writes or parametrize.is_parametrized(module):
            raise RecipeError(f"the functional loss needs layers without buffers, unlike '{name}'")
    chosen = [one for one in penalties if isinstance(one, GradientPenalty)]
    shared = frozenset().union(*(one.needs for one in chosen))

    def loss(
        params: dict[str, Tensor],
        buffers: dict[str, Tensor],
        real: Tensor,
        fake: Tensor,
        rand: Rand = None,
    ) -> tuple[Tensor, Logits]:
        def judge(x: Tensor) -> Tensor:
            return torch.func.functional_call(network, (params, buffers), (x,))

        def total(x: Tensor) -> tuple[Tensor, Tensor]:
            a = judge(x)
            return a.sum(), a

        gradients, logits = {}, {}
        for which, x in (("real", real), ("generated", fake)):
            if which in shared:
                gradients[which], logits[which] = torch.func.grad(total, has_aux=True)(x)
            else:
                logits[which] = judge(x)
        value = objective.d_loss(logits["real"], logits["generated"])
        for one in chosen:
            if one.needs:
                (which,) = one.needs
                gradient = gradients[which]
            else:
                mine = rand.get(one.name) if isinstance(rand, Mapping) else rand
                gradient, _ = torch.func.grad(total, has_aux=True)(one.points(real, fake, mine))
            value = value + one.of(gradient).mean() * (one.weight * one.every)
        return value, (logits["real"], logits["generated"])

    return loss
