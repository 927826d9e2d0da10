"""One round of many games at once: the round of `AdversarialGame`, for stacked networks.

Losses are summed over seeds, each the mean over its own batch, so that every seed's gradient is
what it would be alone. A seed that diverges stays alone too: no operation mixes seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.ensemble.stacked import Stacked, over_seeds, splits
from ganlab.errors import RecipeError
from ganlab.game.player import Player
from ganlab.game.tricks import flip_labels, unrolled
from ganlab.penalties import Judged, Penalty
from ganlab.recipes import FREE, Recipe
from ganlab.recipes.building import build

#: Fields that a stacked game obeys, or that say nothing about points.
SUPPORTED = frozenset(
    {
        "data",
        "data_options",  # refused for points by the recipe itself
        "network",
        "generator",
        "discriminator",
        "objective",
        "objective_options",
        "penalties",
        "clip",
        "d_steps",
        "g_steps",
        "share_forward",
        "batch",
        "g_lr",
        "d_lr",
        "betas",
        "optimizer",
        "schedule",
        "half_life",
        "ramp",
        "seed",
        "pack",
        "pool",
        "instance_noise",
        "label_flip",
        "top_k",
        "unroll",
        "size",
        "channels",
        "channels_last",
        "flip",
    }
)


def refuse_unsupported(recipe: Recipe) -> None:
    """Raise a RecipeError that names the field for what cannot be trained stacked."""
    if type(recipe) is not Recipe:
        raise RecipeError(f"game: {recipe.game} is not one that many seeds play together")
    if recipe.network != "mlp" or not recipe.points:
        raise RecipeError(
            f"network={recipe.network}, data={recipe.data}: many seeds train together only with"
            " network=mlp on points"
        )
    if recipe.precision == "bf16":
        raise RecipeError("precision: stacked training is in fp32")
    for name, field in type(recipe).model_fields.items():
        if name in SUPPORTED or name in FREE or name in ("precision", "game"):
            continue
        if getattr(recipe, name) != field.default:
            raise RecipeError(f"{name}: not supported when many seeds train together")
    if recipe.moves:
        raise RecipeError(
            "a schedule of a single value: not supported when many seeds train together"
        )


class Together:
    """S games of one recipe as one.

    Args:
        recipe: on points.
        seeds: each gives the initial weights that `build` gives.
        data: from `ganlab.recipes.building.source`.
        device: where to play.

    Raises:
        RecipeError: a field or a layer that cannot be trained stacked.
    """

    def __init__(
        self, recipe: Recipe, seeds: Sequence[int], data: Any, device: torch.device | str = "cpu"
    ) -> None:
        refuse_unsupported(recipe)
        state = torch.random.get_rng_state()
        games = [build(recipe.with_(seed=seed), data)[0] for seed in seeds]
        torch.random.set_rng_state(state)
        self.recipe, self.count = recipe, len(seeds)
        self.templates = [game.generator.network for game in games]
        self.generator = _players([game.generator for game in games], device)
        self.discriminator = _players([game.discriminator for game in games], device)
        self.objective = games[0].objective
        self.rounds = 0
        self.logits: tuple[Tensor, Tensor] | None = None
        self.penalties = games[0].penalties
        self.clip, self.label_flip = recipe.clip, recipe.label_flip
        self.top_k, self.unroll = recipe.top_k, recipe.unroll
        self.instance_noise, self.pool = games[0].instance_noise, games[0].pool
        self._d_splits = splits(self.objective.d_loss, 2)
        self._g_splits = splits(self.objective.g_loss, 1 + self.objective.needs_real)

    def round(self, stream: Iterator[Tensor], latents: Iterator[Tensor]) -> None:
        """Play one round.

        Args:
            stream: of real batches (S, B, d).
            latents: of (S, B, latent), for each forward pass of the generator one.
        """
        g, d = self.generator.network, self.discriminator.network
        assert isinstance(d, Stacked)
        share = self.recipe.share_forward
        for i in range(self.recipe.d_steps):
            real = next(stream)
            with torch.set_grad_enabled(share and i == self.recipe.d_steps - 1):
                fake = g(next(latents))
            self._d_step(d, real, fake.detach())
        for i in range(self.recipe.g_steps):
            self._g_step(d, real, fake if share and i == 0 else g(next(latents)))
        self.rounds += 1

    def _due(self, side: str, step: int) -> list[Penalty]:
        return [p for p in self.penalties if p.side == side and p.due(step)]

    def _seen(self, x: Tensor) -> Tensor:
        """What D is shown in place of `x`: with instance noise."""
        if self.instance_noise is None:
            return x
        return self.instance_noise(x, self.rounds / self.recipe.steps)

    def _sum(self, loss: Any, separable: bool, *logits: Tensor | None) -> Tensor:
        """Sum over seeds of a loss of logits (S, B)."""
        return self.count * loss(*logits) if separable else over_seeds(loss, *logits).sum()

    def _d_step(self, d: Stacked, real: Tensor, fake: Tensor) -> None:
        if self.pool is not None:  # the same places for every seed, each with its own points
            fake = self.pool(fake.transpose(0, 1)).transpose(0, 1)
        real, fake = self._seen(real), self._seen(fake.detach())
        due = self._due("d", self.discriminator.steps)
        with d.held():
            if due:
                # Flat: penalties are functions of single samples, and the penalty of all seeds'
                # samples is the mean of the seeds' penalties.
                needs = frozenset[str]().union(*(p.needs for p in due))
                flat_real = real.flatten(0, 1).requires_grad_("real" in needs)
                flat_fake = fake.flatten(0, 1).requires_grad_("generated" in needs)
                judged = Judged(d, flat_real, flat_fake, d(flat_real), d(flat_fake))
                a_real = judged.a_real.view(self.count, -1)
                a_fake = judged.a_fake.view(self.count, -1)
            else:
                a_real, a_fake = d.both(real, fake)
            self.logits = a_real.detach(), a_fake.detach()
            if self.label_flip:
                a_real, a_fake = flip_labels(a_real, a_fake, self.label_flip)
            loss = self._sum(self.objective.d_loss, self._d_splits, a_real, a_fake)
            for p in due:
                loss = loss + self._penalty(p, judged)
        loss.backward()
        self.discriminator.step(real.shape[1])
        if self.clip:
            self.discriminator.clip(self.clip)

    def _g_step(self, d: Stacked, real: Tensor, fake: Tensor) -> None:
        due = self._due("g", self.generator.steps)
        fake = self._seen(fake)
        weights = self._look_ahead(d, real, fake) if self.unroll else None
        with self.discriminator.frozen(), d.held():
            a_fake = torch.func.functional_call(d, weights, (fake,)) if weights else d(fake)
            a_real = None
            if self.objective.needs_real or due:
                real = self._seen(real)
            if self.objective.needs_real:
                with torch.no_grad():
                    a_real = d(real)
            loss = self._g_loss(a_fake, a_real)
            if due:
                flat = real.flatten(0, 1), fake.flatten(0, 1), a_fake.flatten(), a_fake.flatten()
                judged = Judged(d, *flat, learner=self.generator.network)
                for p in due:
                    loss = loss + self._penalty(p, judged)
            loss.backward()
        if self.unroll:  # the unrolled steps reach D's own weights: not its turn
            self.discriminator.optimizer.zero_grad(set_to_none=True)
        self.generator.step(real.shape[1])

    def _g_loss(self, a_fake: Tensor, a_real: Tensor | None) -> Tensor:
        """Sum over seeds, on the share of samples that `top_k` leaves."""
        if self.top_k < 1:
            share = 1 - (1 - self.top_k) * min(1.0, self.rounds / self.recipe.steps)
            k = max(1, round(share * a_fake.shape[1]))
            a_fake = a_fake.topk(k, dim=1).values
            a_real = None if a_real is None else a_real[:, :k]
        return self._sum(self.objective.g_loss, self._g_splits, a_fake, a_real)

    def _penalty(self, p: Penalty, judged: Judged) -> Tensor:
        """Sum over seeds of one penalty."""
        if p.name == "historical":  # a sum over weights, and so over seeds already
            return p(judged)
        if p.name == "feature-matching":  # compares means over a batch: seed by seed
            network: Any = judged.network
            with torch.no_grad():
                of_real = network.features(judged.real).view(self.count, -1, network.width)
            of_fake = network.features(judged.fake).view(self.count, -1, network.width)
            logits = judged.a_fake.view(self.count, -1)

            def alone(f_real: Tensor, f_fake: Tensor, a: Tensor) -> Tensor:
                return p(Judged(_Features(), f_real, f_fake, a, a))

            return torch.vmap(alone)(of_real, of_fake, logits).sum()
        return self.count * p(judged)

    def _look_ahead(self, d: nn.Module, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """D's weights after `unroll` more updates, as functions of the generated points."""
        seen = self._seen(real)

        def loss_of(weights: dict[str, Tensor]) -> Tensor:
            a_real = torch.func.functional_call(d, weights, (seen,))
            a_fake = torch.func.functional_call(d, weights, (fake,))
            return self._sum(self.objective.d_loss, self._d_splits, a_real, a_fake)

        optimizer = self.discriminator.optimizer
        return unrolled(d, optimizer, self.discriminator.steps, loss_of, self.unroll)

    def losses(self) -> dict[str, Tensor]:
        """`d_loss` and `g_loss` (S,) on the discriminator's last batch, without penalties."""
        if self.logits is None:
            return {}
        a_real, a_fake = self.logits
        given = a_real if self.objective.needs_real else None
        return {
            "d_loss": over_seeds(self.objective.d_loss, a_real, a_fake).cpu(),
            "g_loss": over_seeds(self.objective.g_loss, a_fake, given).cpu(),
        }

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """(S, n, latent) -> (S, n, d), by the averaged generators in eval mode."""
        network = self.generator.best
        was_training = network.training
        points = network.eval()(z)
        network.train(was_training)
        return points


class _Features(nn.Module):
    """Features that are known already: what it is given is what it returns."""

    def features(self, x: Tensor) -> Tensor:
        """(B, F) -> (B, F)."""
        return x


def _players(players: Sequence[Player], device: torch.device | str) -> Player:
    """One player with the stacked networks and an optimiser of the same kind and options."""
    first = players[0]
    network = Stacked([p.network for p in players]).to(device)
    group = {k: v for k, v in first.optimizer.param_groups[0].items() if k != "params"}
    optimizer = type(first.optimizer)(network.parameters(), **group)
    average = first.average
    return Player(
        first.name,
        network,
        optimizer,
        first.schedule,
        average.half_life if average else None,
        average.ramp if average else 0.1,
    )
