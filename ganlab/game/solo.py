"""Games of one player: a network and a loss of a batch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganlab.data.batch import Batch, as_batch
from ganlab.errors import RecipeError
from ganlab.game.base import Game, Pass, looked_at
from ganlab.game.costs import update
from ganlab.game.latent import fixed_latents
from ganlab.game.player import Player


class SoloGame(Game):
    """One player that minimises a loss of its own; a subclass says which.

    Args:
        player: the only one.
        accumulate: split each batch into this many parts and add up their gradients.
        precision, seed: see `Game`.
    """

    def __init__(
        self, player: Player, accumulate: int = 1, precision: str = "fp32", seed: int = 0
    ) -> None:
        super().__init__((player,), precision, seed)
        self.player, self.accumulate = player, accumulate

    def loss(self, network: Any, batch: Batch, noise: Tensor | None) -> dict[str, Tensor]:
        """`loss` first, a scalar to minimise, then its parts, by name."""
        raise NotImplementedError

    def chance(self, n: int) -> Tensor | None:
        """What the loss of n samples draws, (n, ...), from the game's random state."""
        return None

    def round(self, stream: Iterator[Any]) -> dict[str, Tensor]:
        """One step of the player on a batch of the stream."""
        self.ready()
        batch = as_batch(next(stream))
        n = len(batch.images)
        report: dict[str, Tensor] = {}
        drawn = self.chance(n)
        for rows in torch.arange(n, device=batch.images.device).chunk(self.accumulate):
            part = Batch(*(None if x is None else x[rows] for x in batch))  # type: ignore[arg-type]
            with self._autocast():
                found = self.loss(self.player.network, part, None if drawn is None else drawn[rows])
            share = len(rows) / n
            (found["loss"] * share).backward()
            for key, value in found.items():
                value = value.detach() * share
                report[key] = report[key] + value if key in report else value
        self.player.step(n)
        self.played(n)
        return report

    def passes(self, batch: Any) -> dict[str, Pass]:
        """The player's forward and backward pass, and its update."""
        batch = as_batch(batch)
        network = copy.deepcopy(self.player.network).train()
        weights = list(network.parameters())
        state = self.noise.get_state()
        drawn = self.chance(len(batch.images))
        self.noise.set_state(state)

        def learn() -> object:
            with self._autocast():
                loss = self.loss(network, batch, drawn)["loss"]
            return torch.autograd.grad(loss, weights)

        step = update(self.player.optimizer, weights)
        return {"forward and backward": Pass(learn), "update": Pass(step)}


class VaeGame(SoloGame):
    """A variational autoencoder: the evidence lower bound (Kingma & Welling 2014, Eq. 10).

    The picture is Gaussian around the reconstruction x̂ with standard deviation σ, the `spread`,
    so that the loss, in nats a picture and without the constant, is

        (‖x - x̂‖²)/(2 σ²) + β KL(q(z|x) ‖ N(0, I))

    Args:
        player: its network is a `ganlab.models.encoder.VAE`.
        beta: weight of the KL divergence; 1 gives the bound itself (Higgins et al. 2017: above).
        spread: σ, in units of the pictures' [-1, 1].
        **rest: see `SoloGame`.
    """

    def __init__(self, player: Player, beta: float = 1.0, spread: float = 0.3, **rest: Any) -> None:
        super().__init__(player, **rest)
        self.beta, self.spread = beta, spread

    def chance(self, n: int) -> Tensor:
        """(n, latent), the noise of the reparametrisation."""
        latent: int = self.player.network.decoder.latent  # type: ignore

        def draw(count: int) -> Tensor:
            return torch.randn(count, latent, generator=self.noise, device=self.device)  # type: ignore

        return self.mine(n, draw)

    def loss(self, network: Any, batch: Batch, noise: Tensor | None) -> dict[str, Tensor]:
        """`loss`, and its parts `reconstruction` and `kl`, in nats a picture."""
        x = batch.images
        y, mean, log_var = network(x, noise)
        wrong = (y.float() - x).square().flatten(1).sum(1).mean() / (2 * self.spread**2)
        kl = (mean.square() + log_var.exp() - 1 - log_var).sum(1).mean() / 2
        return {"loss": wrong + self.beta * kl, "reconstruction": wrong, "kl": kl}

    def fixed(self, n: int, stream: Any) -> Tensor:
        """(n, latent) codes from the prior."""
        return fixed_latents(self.player.network.decoder, n, self.device)

    def draw(self, fixed: Tensor) -> Tensor:
        """What the decoder makes of the codes."""
        with looked_at(self.player.best) as network:
            return torch.cat([network.decoder(part) for part in fixed.split(256)])

    def product(self) -> dict[str, nn.Module]:
        """The decoder as a generator, and the encoder."""
        best: Any = self.player.best
        return {"generator": best.decoder, "encoder": best.encoder}


class ClassifierGame(SoloGame):
    """A classifier: cross-entropy of logits (B, K) and the stream's labels."""

    def loss(self, network: Any, batch: Batch, noise: Tensor | None) -> dict[str, Tensor]:
        """`loss` in nats, and `accuracy` on the batch, 0 to 1."""
        if batch.labels is None:
            raise RecipeError("classifier: the stream must give (pictures, labels)")
        logits = network(batch.images).float()
        right = (logits.argmax(1) == batch.labels).float().mean()
        return {"loss": cross_entropy(logits, batch.labels), "accuracy": right}

    def fixed(self, n: int, stream: Any) -> Tensor:
        """The first n pictures of the set."""
        count = min(n, len(stream.source))
        return stream.source.batch(torch.arange(count)).to(self.device)

    def draw(self, fixed: Tensor) -> Tensor:
        """These pictures in the order of the class that the network reads in them."""
        with looked_at(self.player.best) as network:
            return fixed[network(fixed).argmax(1).argsort(stable=True)]
