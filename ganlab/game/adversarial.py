"""Generator against discriminator: one round, and nothing that it does not need.

Discriminator's step: one generator forward without a graph, discriminator forward and backward
on real and on generated. Generator's step: generator forward and backward, discriminator
forward, and backward towards its input only. `benchmarks/throughput.py` and the tests count
the passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ganlab import ranks
from ganlab.game.player import Player
from ganlab.losses import Objective


class AdversarialGame:
    """The game of Goodfellow et al. (2014), Algorithm 1, for any pair of networks.

    Args:
        generator: its network has `latent` and `sample_latent(n, generator)`.
        discriminator: its network maps a batch to logits (B,).
        objective: what each minimises.
        d_steps: discriminator steps per generator step (k in Algorithm 1).
        share_forward: use one generator forward for both steps. The generator then answers
            the discriminator that it has just trained, on the same pictures; a forward pass
            is saved.
        accumulate: split each batch into this many parts and add up their gradients.
        precision: "fp32" or "bf16" (autocast; weights and optimiser stay fp32).
        seed: of the latent vectors.

    The random state of the latent vectors belongs to the game and is part of its state. Ranks
    draw the same global batch of latent vectors and take their own part.
    """

    def __init__(
        self,
        generator: Player,
        discriminator: Player,
        objective: Objective,
        d_steps: int = 1,
        share_forward: bool = False,
        accumulate: int = 1,
        precision: str = "fp32",
        seed: int = 0,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.objective, self.d_steps, self.accumulate = objective, d_steps, accumulate
        self.share_forward = share_forward
        self.precision = precision
        self.device = next(generator.network.parameters()).device
        self.noise = torch.Generator(self.device).manual_seed(seed)
        self.logits: tuple[Tensor, Tensor] | None = None

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

    def round(self, stream: Iterator[Tensor]) -> dict[str, Tensor]:
        """Play one round on batches from `stream`.

        Returns:
            Scalars on the device: `d_loss`, `g_loss`, and the means of D on real and generated
            pictures, `d_real` and `d_fake`, as probabilities.
        """
        for network in (self.generator.network, self.discriminator.network):
            if not network.training:
                network.train()
        for i in range(self.d_steps):
            real = next(stream)
            fakes = self._fakes(len(real), keep_graph=self.share_forward and i == self.d_steps - 1)
            report = self._d_step(real, fakes)
        report |= self._g_step(real, fakes if self.share_forward else None)
        return report

    def _fakes(self, n: int, keep_graph: bool) -> list[Tensor]:
        """Generated pictures for a batch of n, one part per accumulation."""
        z = self.latent(n)
        with torch.set_grad_enabled(keep_graph), self._autocast():
            return [self.generator.network(part) for part in z.chunk(self.accumulate)]

    def _d_step(self, real: Tensor, fakes: list[Tensor]) -> dict[str, Tensor]:
        network = self.discriminator.network
        parts = real.chunk(self.accumulate)
        total, on_real, on_fake = [], [], []
        for x, fake in zip(parts, fakes, strict=True):
            with self._autocast():
                a_real, a_fake = network(x).float(), network(fake.detach()).float()
            loss = self.objective.d_loss(a_real, a_fake)
            share = len(x) / len(real)
            (loss * share if len(parts) > 1 else loss).backward()
            total.append(loss.detach() * share)
            on_real.append(a_real.detach())
            on_fake.append(a_fake.detach())
        self.discriminator.step(len(real) * ranks.size())
        self.logits = torch.cat(on_real), torch.cat(on_fake)
        return {
            "d_loss": torch.stack(total).sum(),
            "d_real": self.logits[0].sigmoid().mean(),
            "d_fake": self.logits[1].sigmoid().mean(),
        }

    def _g_step(self, real: Tensor, fakes: list[Tensor] | None) -> dict[str, Tensor]:
        parts = real.chunk(self.accumulate)
        if fakes is None:
            latents = self.latent(len(real)).chunk(self.accumulate)
        total = []
        with self.discriminator.frozen():
            for i, x in enumerate(parts):
                with self._autocast():
                    fake = fakes[i] if fakes else self.generator.network(latents[i])
                    a_fake = self.discriminator.network(fake).float()
                    a_real = None
                    if self.objective.needs_real:
                        with torch.no_grad():
                            a_real = self.discriminator.network(x).float()
                loss = self.objective.g_loss(a_fake, a_real)
                share = len(x) / len(real)
                (loss * share if len(parts) > 1 else loss).backward()
                total.append(loss.detach() * share)
        self.generator.step(len(real) * ranks.size())
        return {"g_loss": torch.stack(total).sum()}

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """Pictures (or points) for latent vectors `z`, by the averaged generator in eval mode."""
        network = self.generator.best
        was_training = network.training
        network.eval()
        x = torch.cat([network(part) for part in z.split(256)])
        network.train(was_training)
        return x

    def confidence(self, bins: int = 20) -> dict[str, list[float]]:
        """Histogram of D on the last batch, real and generated: shares over `bins` of [0, 1]."""
        if self.logits is None:
            return {}
        shares = {}
        for key, a in zip(("real", "fake"), self.logits, strict=True):
            counts = torch.histc(a.sigmoid(), bins, 0, 1)
            shares[key] = [round(v, 4) for v in (counts / counts.sum()).tolist()]
        return shares

    def state_dict(self) -> dict[str, Any]:
        """Both players and the random state of the latent vectors."""
        state: dict[str, Any] = {player.name: player.state_dict() for player in self.players}
        state["noise"] = self.noise.get_state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        for player in self.players:
            player.load_state_dict(state[player.name])
        self.noise.set_state(state["noise"].cpu())
