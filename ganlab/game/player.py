"""A player: a network with its optimiser, its learning-rate schedule and its running average."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganlab import ranks


class Average:
    """Exponential moving average of a network's weights; buffers are copied.

    The decay is given as a half-life in images,

        θ̄ ← β θ̄ + (1 - β) θ
        β = 0.5^("batch"/"half-life")

    so that it means the same at any batch size (Karras et al. 2020, stylegan2-ada). Early in
    training the half-life is capped at `ramp` times the images seen, or the average would
    remember the initial weights for long.

    Args:
        network: averaged; left as it is.
        half_life: in images.
        ramp: cap on the half-life as a share of the images seen; 0 for none.
    """

    def __init__(self, network: nn.Module, half_life: float, ramp: float = 0.1) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.half_life, self.ramp, self.images = half_life, ramp, 0
        # Looked up once: walking a module tree each round costs more than the average itself.
        self._mine: list[Tensor] = list(self.network.parameters())
        self._theirs = [p.detach() for p in network.parameters()]
        self._buffers = list(self.network.buffers()), list(network.buffers())

    @torch.no_grad()
    def update(self, images: int) -> None:
        """Move towards the network after a step that used `images` images (all ranks')."""
        self.images += images
        half_life = self.half_life
        if self.ramp:
            half_life = min(half_life, self.ramp * self.images)
        decay = 0.5 ** (images / max(half_life, 1e-8))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)
        if self._buffers[0]:
            torch._foreach_copy_(*self._buffers)

    def state_dict(self) -> dict[str, Any]:
        """Weights and images seen."""
        return {"network": self.network.state_dict(), "images": self.images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.images = state["images"]


class Player:
    """One side of the game.

    Args:
        name: in logs and errors: "generator", "discriminator".
        network: on its device already.
        optimizer: over the network's parameters.
        schedule: factor on the initial learning rates as a function of the step, or None.
        half_life: of the running average, in images; None for no average.
        ramp: see `Average`.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[int], float] | None = None,
        half_life: float | None = None,
        ramp: float = 0.1,
    ) -> None:
        self.name, self.network, self.optimizer = name, network, optimizer
        self.schedule = schedule
        self.steps = 0
        self.average = Average(network, half_life, ramp) if half_life else None
        self._options = [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        self.weights: list[Tensor] = [p for p in network.parameters() if p.requires_grad]

    @property
    def best(self) -> nn.Module:
        """The network to look at: the running average where there is one."""
        return self.average.network if self.average else self.network

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """No gradient reaches the weights inside; they flow through to the input."""
        for p in self.weights:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in self.weights:
                p.requires_grad_(True)

    @torch.no_grad()
    def clip(self, bound: float) -> None:
        """Clamp every weight to [-bound, bound] (Arjovsky et al. 2017, Algorithm 1, line 7)."""
        torch._foreach_clamp_min_(self.weights, -bound)
        torch._foreach_clamp_max_(self.weights, bound)

    def step(self, images: int) -> None:
        """Apply the gradients that have piled up, then clear them.

        Args:
            images: seen in this step by all ranks; drives the running average.
        """
        ranks.average(p.grad for p in self.weights if p.grad is not None)
        if self.schedule is not None:
            self._paced()
        self.optimizer.step()
        self.clear()
        self.steps += 1
        if self.average is not None:
            self.average.update(images)

    def _paced(self) -> None:
        """Put the learning rates of this step in force."""
        factor = 1.0 if self.schedule is None else self.schedule(self.steps)
        for group, first in zip(self.optimizer.param_groups, self._options, strict=True):
            group["lr"] = first["lr"] * factor

    def clear(self) -> None:
        """Forget the gradients: `zero_grad` without its bookkeeping, which costs more."""
        for p in self.weights:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint must hold of this side."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def renew(self) -> None:
        """Put the rates, betas and the like that this player was made with back in force.

        `load_state_dict` restores those of the checkpoint with the optimiser's state, which is
        right unless the recipe has been changed on purpose.
        """
        for group, first in zip(self.optimizer.param_groups, self._options, strict=True):
            group.update(first)
        self._paced()
        if any(group.get("momentum") for group in self.optimizer.param_groups):
            for state in self.optimizer.state.values():
                if "square_avg" in state:  # RMSProp has no such buffer from times without momentum
                    state.setdefault("momentum_buffer", torch.zeros_like(state["square_avg"]))

    def begin(self, weights: Mapping[str, Tensor], averaged: Mapping[str, Tensor]) -> None:
        """Start from given weights in place of random ones; keys that are not given stay.

        The running average starts from weights of its own. They are trained, so that there is no
        reason to forget them fast: its half-life is the full one from the first step on.
        """
        self.network.load_state_dict(weights, strict=False)
        if self.average is not None:
            self.average.network.load_state_dict(averaged, strict=False)
            if self.average.ramp:
                self.average.images = math.ceil(self.average.half_life / self.average.ramp)
