"""A network, or a part of it, as a function of tensors, and random inputs to try it with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.models.modulation import Modulated
from ganlab.models.style_layers import StyleGenerator


class Part(nn.Module):
    """A network, or a part of it, as a function of tensors alone."""

    def __init__(self, generator: nn.Module, part: str, psi: float | None) -> None:
        super().__init__()
        self.generator, self.part, self.psi = copy.deepcopy(generator).eval(), part, psi
        for module in self.generator.modules():
            if isinstance(module, Modulated):  # the same function, with nothing to group
                module.form = "scale"

    def forward(self, *given: Tensor) -> Tensor:
        """What `inputs` gives, in its order -> points, pictures, vectors or logits."""
        g: Any = self.generator
        if not isinstance(g, StyleGenerator):
            return g(given[0])
        if self.part == "synthesis":
            return g.synthesis(given[0], "fixed")
        left = list(given)
        z, labels = left.pop(0), left.pop(0) if g.mapping.classes else None
        ws = g.styles(z, labels, 1.0 if self.psi is None else self.psi)
        if self.psi is None:
            ws = torch.lerp(g.average, ws, left.pop(0))
        return ws if self.part == "mapping" else g.synthesis(ws, "fixed")


def inputs(
    generator: nn.Module,
    part: str = "whole",
    psi: float | None = 1.0,
    shape: Sequence[int] = (),
) -> Callable[[int, torch.Generator], dict[str, Tensor]]:
    """What draws random inputs of a part: (batch, source of random numbers) to name: tensor.

    Raises:
        GanlabError: it is no generator, and the shape of its pictures is not said.
    """
    g: Any = generator
    draws = hasattr(g, "sample_latent")
    if not draws and not shape:
        raise GanlabError(f"{type(g).__name__} is no generator: say the shape of its pictures")

    def draw(n: int, source: torch.Generator) -> dict[str, Tensor]:
        if not draws:
            return {"image": 2 * torch.rand(n, *shape, generator=source) - 1}
        z = g.sample_latent(n, source)
        if not isinstance(g, StyleGenerator):
            return {"z": z}
        made = {"z": z}
        if g.mapping.classes:
            made["labels"] = torch.randint(0, g.mapping.classes, (n,), generator=source)
        if part == "synthesis":  # another vector for each layer: a mix-up of layers is seen
            layers = g.layers_used
            many = g.sample_latent(n * layers, source)
            labels = made["labels"].repeat_interleave(layers) if "labels" in made else None
            with torch.no_grad():
                return {"ws": g.mapping(many, labels).unflatten(0, (n, layers))}
        if psi is None:
            made["psi"] = torch.rand((), generator=source)
        return made

    return draw
