"""Where every generator's latent vectors come from, and the classes of a conditional one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError


class NormalLatent:
    """A generator whose latent vectors are standard normal; `latent` is their length."""

    latent: int

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal, drawn on the generator's device."""
        device = generator.device if generator is not None else None
        return torch.randn(n, self.latent, generator=generator, device=device)


def told(network: nn.Module, labels: Tensor | None) -> Callable[..., Tensor]:
    """A network as a function of its batch alone: a conditional one is told the classes.

    Args:
        network: of (B, ...), or, where there are labels, of (B, ...) and `labels=`.
        labels: (B,) class numbers, or None.
    """
    return network if labels is None else partial(network, labels=labels)


class Classes(nn.Module):
    """How often each class occurs in the data: what labels are drawn from.

    Args:
        count: of classes.

    The shares are a buffer, all equal at first, so that a stored generator keeps them.
    """

    shares: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("shares", torch.full((count,), 1 / count))

    def learn(self, labels: Tensor) -> None:
        """Take the shares of labels (N,)."""
        counts = torch.bincount(labels.flatten(), minlength=len(self.shares))
        self.shares.copy_(counts / counts.sum())

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n,) class numbers, drawn on the CPU."""
        return torch.multinomial(self.shares.float().cpu(), n, True, generator=generator)


def drawn(
    g: Any, n: int, seed: int = 0, labels: int | Tensor | None = None, batch: int = 256
) -> Iterator[Tensor]:
    """Samples of a generator, batch by batch, the same for the same seed.

    Args:
        g: as it is to be used: in eval mode, on the CPU.
        n: samples.
        seed: of the latent vectors and, of a conditional generator, of the classes.
        labels: one class number for all, or (n,) of them; None draws them as often as they
            occur in the data.

    Raises:
        RecipeError: labels for a generator without classes, not n of them, or no such class.
    """
    draw = torch.Generator().manual_seed(seed)
    z = g.sample_latent(n, draw)
    classes = getattr(g, "classes", 0)
    if labels is not None and not classes:
        raise RecipeError("this generator has no classes: take the labels away")
    y = None
    if classes:
        y = g.kinds.draw(n, draw) if labels is None else torch.as_tensor(labels).expand(n)
        if int(y.min()) < 0 or int(y.max()) >= classes:
            raise RecipeError(f"labels are class numbers from 0 to {classes - 1}")
    with torch.no_grad():
        for rows in torch.arange(n).split(batch):
            yield told(g, None if y is None else y[rows])(z[rows])
