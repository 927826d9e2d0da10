"""What every game has: two players, latent vectors, classes, growth, samples, a state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ganlab import ranks
from ganlab.errors import RecipeError
from ganlab.game.player import Player
from ganlab.game.tricks import histogram
from ganlab.models.growing import Growing
from ganlab.models.latent import told

#: What a stream gives: pictures or points alone, or with the class number of each.
Batch = Tensor | tuple[Tensor, Tensor]


class Game:
    """Generator and discriminator, and what surrounds their rounds.

    Args:
        generator: its network has `latent` and `sample_latent(n, generator)`.
        discriminator: its network maps a batch to logits (B,).
        precision: "fp32" or "bf16" (autocast; weights and optimiser stay fp32).
        seed: of the latent vectors.

    The random state of the latent vectors belongs to the game and is part of its state. Ranks
    draw the same global batch of latent vectors and take their own part.

    Attributes:
        labels: (B,) class numbers of the round's real batch, which generated pictures share;
            None without classes.
        rounds, images: played, and real pictures shown on all ranks.
    """

    def __init__(
        self, generator: Player, discriminator: Player, precision: str = "fp32", seed: int = 0
    ) -> None:
        self.generator, self.discriminator, self.precision = generator, discriminator, precision
        self.device = next(generator.network.parameters()).device
        self.noise = torch.Generator(self.device).manual_seed(seed)
        self.rounds, self.images = 0, 0
        self.labels: Tensor | None = None
        self.logits: tuple[Tensor, Tensor] | None = None
        self.classes = int(getattr(generator.network, "classes", 0))
        judged = int(getattr(discriminator.network, "classes", 0))
        if self.classes != judged:
            raise RecipeError(f"the generator has {self.classes} classes, its judge {judged}")
        nets = [generator.network, generator.best, discriminator.network]
        self._growing = [n for n in dict.fromkeys(nets) if isinstance(n, Growing) and n.growing]

    @property
    def players(self) -> tuple[Player, ...]:
        """Both sides, in the order of their steps."""
        return self.discriminator, self.generator

    def latent(self, n: int) -> Tensor:
        """(n, latent) for this rank, from the game's own random state."""
        world, rank = ranks.size(), ranks.rank()
        z = self.generator.network.sample_latent(n * world, self.noise)  # type: ignore[operator]
        return z[rank * n : (rank + 1) * n]

    def _autocast(self) -> Any:
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def ready(self) -> None:
        """Networks in training mode and in the phase that is due; call before each round."""
        for network in (self.generator.network, self.discriminator.network):
            if not network.training:
                network.train()
        for network in self._growing:
            network.grow(self.images)

    def take(self, stream: Iterator[Batch]) -> Tensor:
        """The next real pictures, as the phase shows them; their classes become `labels`.

        Raises:
            RecipeError: conditional networks and a stream without classes, or the other way.
        """
        real, self.labels = parted(next(stream))
        if (self.labels is None) != (self.classes == 0):
            raise RecipeError(
                "the networks are conditional: the stream must give (pictures, labels)"
                if self.labels is None
                else "the stream gives labels, but the networks have no classes"
            )
        return self.shown(real)

    def shown(self, real: Tensor) -> Tensor:
        """Real pictures as the phase of growing networks shows them."""
        network = self.discriminator.network
        return network.shown(real) if isinstance(network, Growing) else real

    def parts(self, count: int) -> list[Tensor | None]:
        """`labels` in `count` parts, as `chunk` parts the batch."""
        return [None] * count if self.labels is None else list(self.labels.chunk(count))

    @torch.no_grad()
    def sample(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures or points by the averaged generator in eval mode.

        Args:
            z: (N, latent).
            labels: (N,) class numbers; of conditional networks by default all classes in turn.
        """
        network = self.generator.best
        if self.classes and labels is None:
            labels = torch.arange(len(z), device=z.device) % self.classes
        was_training = network.training
        network.eval()
        rows = torch.arange(len(z), device=z.device).split(256)
        x = [told(network, None if labels is None else labels[r])(z[r]) for r in rows]
        network.train(was_training)
        return torch.cat(x)

    def draw(self, n: int, seed: int = 0) -> Tensor:
        """n samples of the latent vectors of a seed: the same ones at each moment of a training."""
        seeded = torch.Generator().manual_seed(seed)
        z = self.generator.network.sample_latent(n, seeded)  # type: ignore[operator]
        return self.sample(z.to(self.device))

    def confidence(self, bins: int = 20) -> dict[str, list[float]]:
        """Histogram of D on the last batch, real and generated: shares over `bins` of [0, 1]."""
        return {} if self.logits is None else histogram(*self.logits, bins)

    def state_dict(self) -> dict[str, Any]:
        """Both players, the random state of the latent vectors, and what has been played."""
        state: dict[str, Any] = {player.name: player.state_dict() for player in self.players}
        state["noise"] = self.noise.get_state()
        state["rounds"], state["images"] = self.rounds, self.images
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        for player in self.players:
            player.load_state_dict(state[player.name])
        self.noise.set_state(state["noise"].cpu())
        self.rounds, self.images = state["rounds"], state.get("images", 0)


def parted(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Pictures or points, and the class numbers that came with them."""
    return batch if isinstance(batch, tuple) else (batch, None)
