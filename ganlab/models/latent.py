"""Where every generator's latent vectors come from, and the classes of a conditional one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError, at_least

SEEDS = 2**32 - 1  # the largest seed, as of recipes
BLOCK = 65_536  # latent vectors in memory at a time


class NormalLatent:
    """A generator whose latent vectors are standard normal; `latent` is their length."""

    latent: int

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal, drawn on the generator's device.

        Raises:
            RecipeError: n is negative, or no whole number.
        """
        n = at_least("n", n, 0)
        device = generator.device if generator is not None else None
        return torch.randn(n, self.latent, generator=generator, device=device)


def seeded(seed: int) -> torch.Generator:
    """A source of random numbers on the CPU, the same for the same seed.

    Raises:
        RecipeError: the seed is no whole number from 0 to 2**32 - 1.
    """
    return torch.Generator().manual_seed(at_least("seed", seed, 0, SEEDS))


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
        count = at_least("classes", count)
        self.register_buffer("shares", torch.full((count,), 1 / count))

    def learn(self, labels: Tensor) -> None:
        """Take the shares of labels (N,)."""
        counts = torch.bincount(labels.flatten(), minlength=len(self.shares))
        self.shares.copy_(counts / counts.sum())

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n,) class numbers, drawn on the CPU."""
        n = at_least("n", n, 0)
        return torch.multinomial(self.shares.float().cpu(), n, True, generator=generator)


def drawn(
    g: Any, n: int, seed: int = 0, labels: int | Tensor | None = None, batch: int = 256
) -> Iterator[Tensor]:
    """Samples of a generator, batch by batch, the same for the same seed.

    Memory holds a batch of samples, and the latent vectors of `BLOCK` of them.

    Args:
        g: as it is to be used: in eval mode, on the CPU.
        n: samples, 1 to 10,000,000.
        seed: of the latent vectors and, of a conditional generator, of the classes.
        labels: one class number for all, or (n,) of them; None draws them as often as they
            occur in the data.
        batch: samples at a time.

    Raises:
        RecipeError: a number out of range; labels for a generator without classes, not n of
            them, or no such class. At once, not with the first batch.
    """
    n, batch, draw = at_least("n", n), at_least("batch", batch), seeded(seed)
    y = None if labels is None else _labels(labels, n, getattr(g, "classes", 0))
    return _drawn(g, n, draw, y, batch)


def _drawn(
    g: Any, n: int, draw: torch.Generator, labels: Tensor | None, batch: int
) -> Iterator[Tensor]:
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        z, y = g.sample_latent(size, draw), None
        if labels is not None:
            y = labels[start : start + size]
        elif getattr(g, "classes", 0):
            y = g.kinds.draw(size, draw)
        for rows in torch.arange(size).split(batch):
            with torch.no_grad():  # not around the yield: it would hold in the caller's code too
                made = told(g, None if y is None else y[rows])(z[rows])
            yield made


def _labels(labels: int | Tensor, n: int, classes: int) -> Tensor:
    """(n,) class numbers."""
    if not classes:
        raise RecipeError("this generator has no classes: take the labels away")
    try:
        y = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RecipeError(f"labels: not class numbers, but a {type(labels).__name__}") from error
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise RecipeError(f"labels are whole numbers, not {y.dtype}")
    if y.ndim > 1 or (y.ndim == 1 and len(y) not in (1, n)):
        raise RecipeError(f"labels: one for all or ({n},) of them, not {tuple(y.shape)}")
    if int(y.min()) < 0 or int(y.max()) >= classes:
        raise RecipeError(f"labels are class numbers from 0 to {classes - 1}")
    return y.long().expand(n)
