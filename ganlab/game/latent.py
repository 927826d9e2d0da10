"""Games with a generator from latent vectors: classes, growth, samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.data.batch import Batch, as_batch
from ganlab.errors import RecipeError
from ganlab.game.base import Game, looked_at
from ganlab.game.player import Player
from ganlab.game.tricks import histogram
from ganlab.models.growing import Growing
from ganlab.models.latent import told

FIXED_NOISE_SEED = 20140610  # any constant: the same latent vectors in every grid of a run
POINTS = 1000  # in a scatter


def fixed_latents(generator: Any, n: int, device: torch.device) -> Tensor:
    """(n, latent) vectors of a generator, the same in every grid of every run."""
    draw = torch.Generator().manual_seed(FIXED_NOISE_SEED)
    return generator.sample_latent(n, draw).to(device)


class LatentGame(Game):
    """Generator and discriminator, and what surrounds their rounds.

    Args:
        generator: its network has `latent` and `sample_latent(n, generator)`.
        discriminator: its network maps a batch to logits (B,).
        precision, seed: see `Game`; the seed is that of the latent vectors.

    Ranks draw the same global batch of latent vectors and take their own part.

    Attributes:
        labels: (B,) class numbers of the round's real batch, which generated pictures share;
            None without classes.
    """

    def __init__(
        self, generator: Player, discriminator: Player, precision: str = "fp32", seed: int = 0
    ) -> None:
        super().__init__((discriminator, generator), precision, seed)
        self.generator, self.discriminator = generator, discriminator
        self.labels: Tensor | None = None
        self.logits: tuple[Tensor, Tensor] | None = None
        self.classes = int(getattr(generator.network, "classes", 0))
        judged = int(getattr(discriminator.network, "classes", 0))
        if self.classes != judged:
            raise RecipeError(f"the generator has {self.classes} classes, its judge {judged}")

    def latent(self, n: int) -> Tensor:
        """(n, latent) for this rank, from the game's own random state."""
        network: Any = self.generator.network
        return self.mine(n, lambda count: network.sample_latent(count, self.noise))

    def take(self, stream: Iterator[Any]) -> Tensor:
        """The next real pictures, as the phase shows them; their classes become `labels`.

        Raises:
            RecipeError: conditional networks and a stream without classes, or the other way.
        """
        batch: Batch = as_batch(next(stream))
        self.labels = batch.labels
        if (self.labels is None) != (self.classes == 0):
            raise RecipeError(
                "the networks are conditional: the stream must give (pictures, labels)"
                if self.labels is None
                else "the stream gives labels, but the networks have no classes"
            )
        return self.shown(batch.images)

    def shown(self, real: Tensor) -> Tensor:
        """Real pictures as the phase of growing networks shows them."""
        network = self.discriminator.network
        return network.shown(real) if isinstance(network, Growing) else real

    def parts(self, count: int) -> list[Tensor | None]:
        """`labels` in `count` parts, as `chunk` parts the batch."""
        return [None] * count if self.labels is None else list(self.labels.chunk(count))

    def sample(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures or points by the averaged generator in eval mode.

        Args:
            z: (N, latent).
            labels: (N,) class numbers; of conditional networks by default all classes in turn.
        """
        if self.classes and labels is None:
            labels = torch.arange(len(z), device=z.device) % self.classes
        rows = torch.arange(len(z), device=z.device).split(256)
        with looked_at(self.generator.best) as network:
            x = [told(network, None if labels is None else labels[r])(z[r]) for r in rows]
        return torch.cat(x)

    def seeded(self, n: int, seed: int = 0) -> Tensor:
        """n samples of the latent vectors of a seed: the same ones at each moment of a training."""
        draw = torch.Generator().manual_seed(seed)
        z = self.generator.network.sample_latent(n, draw)  # type: ignore[operator]
        return self.sample(z.to(self.device))

    def fixed(self, n: int, stream: Any) -> Tensor:
        """(n, latent) vectors, the same in every run; more of them for a scatter of points."""
        count = POINTS if getattr(stream, "fresh", False) else n
        return fixed_latents(self.generator.network, count, self.device)

    def draw(self, fixed: Tensor) -> Tensor:
        """The samples of these latent vectors."""
        return self.sample(fixed)

    def product(self) -> dict[str, nn.Module]:
        """The generator: its running average, where it has one."""
        return {"generator": self.generator.best}

    def report(self) -> dict[str, Any]:
        """`confidence`, see the method of that name."""
        return {"confidence": self.confidence()}

    def confidence(self, bins: int = 20) -> dict[str, list[float]]:
        """Histogram of D on the last batch, real and generated: shares over `bins` of [0, 1]."""
        return {} if self.logits is None else histogram(*self.logits, bins)
