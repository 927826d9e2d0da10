"""The discriminator's penalised step as one compiled graph.

`torch.compile` does not take a gradient inside a loss that is differentiated again, so a
penalised step would run eagerly however the recipe is set. Written as a pure function
(`ganlab.penalties.functional_loss`) loss, penalty and both gradients compile together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.losses import Objective
from ganlab.penalties import Penalty, draw, functional_loss


class WholeStep:
    """Loss and weight gradients of a discriminator with gradient penalties, compiled whole.

    Args:
        network: without buffers that a forward pass changes (no BatchNorm, no spectral norm).
        objective: its loss.
        penalties: gradient penalties; lazy ones make one graph for each set that is due.
        backend: of `torch.compile`.

    Raises:
        RecipeError: another kind of penalty, or a network with such layers.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        penalties: Sequence[Penalty],
        backend: str = "inductor",
    ) -> None:
        functional_loss(network, objective, penalties)  # refuses now, not in the first round
        self.network, self.objective, self.backend = network, objective, backend
        self._graphs: dict[frozenset[str], Callable[..., Any]] = {}

    def __call__(
        self, real: Tensor, fake: Tensor, due: Sequence[Penalty], share: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add the gradients, times `share`, to the weights' own.

        Args:
            real, fake: (B, ...), without a graph.
            due: the penalties of this step.
            share: of the batch that these samples are.

        Returns:
            The loss, and the logits of both batches, (B,) each; none carries a graph.
        """
        key = frozenset(p.name for p in due)
        if key not in self._graphs:
            loss = functional_loss(self.network, self.objective, due)
            step = torch.func.grad_and_value(loss, has_aux=True)
            # the sizes of a training are fixed, and PyTorch up to 2.11 cannot take this gradient
            # with symbolic ones, which a second game in one process would ask for
            self._graphs[key] = torch.compile(
                step, fullgraph=True, dynamic=False, backend=self.backend
            )
        weights = dict(self.network.named_parameters())
        buffers = dict(self.network.named_buffers())
        values = {name: w.detach() for name, w in weights.items()}
        slopes, (value, logits) = self._graphs[key](values, buffers, real, fake, draw(due, real))
        for name, w in weights.items():
            if w.grad is None:
                # In the weight's own memory format, which fused optimisers take for granted.
                w.grad = torch.zeros_like(w)
            w.grad.add_(slopes[name], alpha=share)
        return value.detach(), logits[0].detach(), logits[1].detach()
