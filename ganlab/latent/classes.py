"""One class of a conditional generator, as a generator of its own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError, at_least
from ganlab.latent.network import draw, evaluating, has_styles, home, need_latent


class _Bound(nn.Module):
    """A mapping network that is told the same class always."""

    classes = 0

    def __init__(self, mapping: nn.Module, label: int) -> None:
        super().__init__()
        self.mapping, self.label = mapping, label

    def forward(self, z: Tensor, labels: None = None) -> Tensor:
        """(B, latent) -> (B, W)."""
        told = torch.full((len(z),), self.label, dtype=torch.long, device=z.device)
        return self.mapping(z, told)


def of_class(g: Any, label: int, n: int = 4096, seed: int = 0) -> Any:
    """An unconditional view of a conditional generator: everything here works on it.

    Weights are shared with `g`. Truncation goes to the mean w of this class, where the
    generator's own mean lies between the classes and belongs to none.

    Args:
        g: StyleGAN or StyleGAN2 with classes.
        label: class number.
        n, seed: of the latent vectors whose w are averaged.

    Raises:
        RecipeError: the generator has no classes, or no such class.
    """
    need_latent(g)
    n, label = at_least("n", n), at_least("label", label, 0)
    classes = getattr(g, "classes", 0) if has_styles(g) else 0
    if label >= classes:
        raise RecipeError(
            f"this generator has the classes 0 to {classes - 1}, not {label}"
            if classes
            else "of_class needs a generator with classes; use this one as it is"
        )
    one = copy.copy(g)
    one._modules, one._buffers = dict(g._modules), dict(g._buffers)
    one.mapping, one.kinds = _Bound(g.mapping, label), None
    with torch.no_grad(), evaluating(g):
        z = draw(g, n, seed).to(home(g))
        one.average = one.mapping(z).mean(0)
    return one
