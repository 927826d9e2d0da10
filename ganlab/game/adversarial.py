"""Generator against discriminator: one round, and nothing that it does not need.

Discriminator's step: one generator forward without a graph, discriminator forward and backward
on real and on generated, in one pass where samples do not see each other. Generator's step:
generator forward and backward, discriminator forward, and backward towards its input only.
Penalties join the pass that the loss makes anyway. The tests count the passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganlab import ranks
from ganlab.augment.ada import AdaptiveP
from ganlab.augment.diff import InstanceNoise, Transform
from ganlab.errors import RecipeError
from ganlab.game.base import Pass
from ganlab.game.costs import needed_passes
from ganlab.game.latent import LatentGame
from ganlab.game.player import Player
from ganlab.game.tricks import Pool, flip_labels, joined, top, total_of, unrolled
from ganlab.game.whole import WholeStep
from ganlab.losses import Objective
from ganlab.models.latent import told
from ganlab.models.layers import MinibatchDiscrimination, MinibatchStd
from ganlab.penalties import Judged, Penalty

#: Layers through which the samples of a batch see each other.
MIXING = (nn.modules.batchnorm._BatchNorm, MinibatchStd, MinibatchDiscrimination)


class AdversarialGame(LatentGame):
    """The game of Goodfellow et al. (2014), Algorithm 1, for any pair of networks.

    With classes each generated picture is asked to be of the class of a real one, in both steps.

    Args:
        generator, discriminator: see `LatentGame`.
        objective: what each minimises.
        d_steps: discriminator steps per generator step (k in Algorithm 1).
        g_steps: generator steps per round.
        share_forward: use one generator forward for both steps. The generator then answers
            the discriminator that it has just trained, on the same pictures.
        accumulate: split each batch into this many parts and add up their gradients.
        precision, seed: see `LatentGame`.
        penalties: added to the loss of the side that each names.
        clip: bound on D's weights after each of its steps; 0 for none.
        augment: what D sees in place of a picture, in both steps (`ganlab.augment.diff`).
        instance_noise: standard deviation of noise on all that D sees, falling to 0.
        label_flip: probability that a pair of labels is exchanged in D's loss.
        top_k: share of generated samples that G learns from in the end, falling from 1.
        pool: generated pictures kept from the past and shown again; 0 for none.
        unroll: updates of D that G looks ahead (for small networks).
        horizon: rounds over which `instance_noise` and `top_k` run.
        whole: D's penalised step as one compiled graph.
        one_pass: judge both batches at once where samples do not see each other; the result
            differs in the last bits only.

    Raises:
        RecipeError: parts that do not go together.
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
        *,
        g_steps: int = 1,
        penalties: Sequence[Penalty] = (),
        clip: float = 0.0,
        augment: Transform | None = None,
        instance_noise: float = 0.0,
        label_flip: float = 0.0,
        top_k: float = 1.0,
        pool: int = 0,
        unroll: int = 0,
        horizon: int = 1,
        whole: WholeStep | None = None,
        one_pass: bool = True,
    ) -> None:
        super().__init__(generator, discriminator, precision, seed)
        self.objective, self.d_steps, self.accumulate = objective, d_steps, accumulate
        self.g_steps, self.share_forward = g_steps, share_forward
        self.penalties, self.clip, self.augment = tuple(penalties), clip, augment
        self.label_flip, self.top_k, self.unroll = label_flip, top_k, unroll
        self.instance_noise = InstanceNoise(instance_noise) if instance_noise else None
        self.adaptive = augment if isinstance(augment, AdaptiveP) else None
        self.pool = Pool(pool, self.noise) if pool else None
        self.horizon, self.whole = horizon, whole
        layers = list(discriminator.network.modules())
        self._joint = one_pass and not any(isinstance(m, MIXING) for m in layers)
        self._cached = any(parametrize.is_parametrized(m) for m in layers)
        if unroll and self.penalties:
            raise RecipeError("unroll: not with penalties, which the unrolled steps leave out")
        if whole is not None and label_flip:
            raise RecipeError("label_flip: not with penalties that are compiled")
        for name, used in (("unroll", unroll), ("pool", pool), ("compile with penalties", whole)):
            if self.classes and used:
                raise RecipeError(f"{name}: not with classes, which it does not pass on")

    def _pass(self) -> Any:
        """Around D's passes of a step: normalised weights are computed once in it."""
        return parametrize.cached() if self._cached else nullcontext()

    def round(self, stream: Iterator[Any]) -> dict[str, Tensor]:
        """Play one round on batches from `stream`.

        Returns:
            Scalars on the device: `d_loss` and `g_loss` with their penalties, and the means of
            σ(logit) on real and generated pictures, `d_real` and `d_fake`; with adaptive
            augmentation its probability, `ada_p`.
        """
        self.ready()
        for i in range(self.d_steps):
            real = self.take(stream)
            fakes = self._fakes(len(real), keep_graph=self.share_forward and i == self.d_steps - 1)
            report = self._d_step(real, fakes)
        for i in range(self.g_steps):
            report |= self._g_step(real, fakes if self.share_forward and i == 0 else None)
        self.played(len(real))
        return report

    def passes(self, batch: Any) -> dict[str, Pass]:
        """See `ganlab.game.costs.needed_passes`."""
        return needed_passes(self, batch)

    def _fakes(self, n: int, keep_graph: bool) -> list[Tensor]:
        """Generated pictures for a batch of n, one part per accumulation."""
        z, g = self.latent(n).chunk(self.accumulate), self.generator.network
        with torch.set_grad_enabled(keep_graph), self._autocast():
            return [told(g, y)(part) for part, y in zip(z, self.parts(len(z)), strict=True)]

    def seen(self, x: Tensor) -> Tensor:
        """What D is shown in place of `x`: augmented, with instance noise."""
        if self.augment is not None:
            x = self.augment(x)
        if self.instance_noise is not None:
            x = self.instance_noise(x, self.rounds / self.horizon)
        return x

    def judge(
        self,
        real: Tensor,
        fake: Tensor,
        due: Sequence[Penalty] = (),
        labels: Tensor | None = None,
    ) -> Judged:
        """D's logits of two batches, with what the penalties `due` need to differentiate.

        `labels` (B,) are the classes of both batches.
        """
        network = self.discriminator.network
        needs = frozenset[str]().union(*(p.needs for p in due))
        real = real.detach().requires_grad_("real" in needs)
        fake = fake.detach().requires_grad_("generated" in needs)
        with self._autocast():
            if self._joint and not needs:
                both = told(network, None if labels is None else torch.cat([labels, labels]))
                a_real, a_fake = both(torch.cat([real, fake.to(real.dtype)])).float().chunk(2)
            else:
                each = told(network, labels)
                a_real, a_fake = each(real).float(), each(fake).float()
        return Judged(network, real, fake, a_real, a_fake, labels=labels)

    def d_objective(self, judged: Judged, due: Sequence[Penalty] = ()) -> Tensor:
        """D's loss and the penalties due."""
        a_real, a_fake = judged.a_real, judged.a_fake
        if self.label_flip:
            a_real, a_fake = flip_labels(a_real, a_fake, self.label_flip)
        loss = self.objective.d_loss(a_real, a_fake)
        for p in due:
            with self._autocast():
                loss = loss + p(judged)
        return loss

    def _d_gradients(
        self,
        real: Tensor,
        fake: Tensor,
        due: Sequence[Penalty],
        share: float,
        labels: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add the gradients of a part of the batch; its loss and logits, without a graph."""
        if self.whole is not None:
            with self._autocast():
                return self.whole(real, fake, due, share)
        with self._pass():
            judged = self.judge(real, fake, due, labels)
            loss = self.d_objective(judged, due)
        # Towards the weights alone: pictures that a penalty differentiates need no gradient.
        (loss * share if share < 1 else loss).backward(inputs=self.discriminator.weights)
        return loss.detach(), judged.a_real.detach(), judged.a_fake.detach()

    def _d_step(self, real: Tensor, fakes: list[Tensor]) -> dict[str, Tensor]:
        due = [p for p in self.penalties if p.side == "d" and p.due(self.discriminator.steps)]
        parts = real.chunk(self.accumulate)
        total, on_real, on_fake = [], [], []
        for x, fake, y in zip(parts, fakes, self.parts(len(parts)), strict=True):
            fake = self.pool(fake) if self.pool is not None else fake.detach()
            share = len(x) / len(real)
            loss, a_real, a_fake = self._d_gradients(self.seen(x), self.seen(fake), due, share, y)
            total.append(loss * share)
            on_real.append(a_real)
            on_fake.append(a_fake)
        self.discriminator.step(len(real) * ranks.size())
        if self.clip:
            self.discriminator.clip(self.clip)
        self.logits = joined(on_real), joined(on_fake)
        means = torch.stack(self.logits).sigmoid().mean(1)
        report = {"d_loss": total_of(total), "d_real": means[0], "d_fake": means[1]}
        if self.adaptive is not None:
            self.adaptive.update(self.logits[0])
            report["ada_p"] = self.adaptive.ada.p.clone()
        return report

    def _g_step(self, real: Tensor, fakes: list[Tensor] | None) -> dict[str, Tensor]:
        due = [p for p in self.penalties if p.side == "g" and p.due(self.generator.steps)]
        parts = real.chunk(self.accumulate)
        if fakes is None:
            latents = self.latent(len(real)).chunk(self.accumulate)
        total = []
        for i, (x, y) in enumerate(zip(parts, self.parts(len(parts)), strict=True)):
            with self._autocast():
                g = told(self.generator.network, y)
                fake = self.seen(fakes[i] if fakes else g(latents[i]))
            ahead = self._look_ahead(x, fake) if self.unroll else None
            with self.discriminator.frozen():
                loss = self._g_objective(x, fake, due, ahead, y)
                share = len(x) / len(real)
                (loss * share if len(parts) > 1 else loss).backward()
            total.append(loss.detach() * share)
        if self.unroll:  # the unrolled steps reach D's own weights: not its turn
            self.discriminator.clear()
        self.generator.step(len(real) * ranks.size())
        return {"g_loss": total_of(total)}

    def _g_objective(
        self,
        real: Tensor,
        fake: Tensor,
        due: Sequence[Penalty],
        weights: dict[str, Tensor] | None,
        labels: Tensor | None,
    ) -> Tensor:
        """G's loss and the penalties due; `weights` are D's after unrolling."""
        network: Any = self.discriminator.network
        each, a_real = told(network, labels), None
        with self._autocast(), self._pass():
            if weights is None:
                a_fake = each(fake).float()
            else:
                a_fake = torch.func.functional_call(network, weights, (fake,)).float()
            if self.objective.needs_real or due:
                real = self.seen(real)
            if self.objective.needs_real:
                with torch.no_grad():
                    a_real = each(real).float()
        g = self.generator.network
        judged = Judged(network, real, fake, a_fake, a_fake, learner=g, labels=labels)
        if self.top_k < 1:
            share = 1 - (1 - self.top_k) * min(1.0, self.rounds / self.horizon)
            a_fake, a_real = top(a_fake, a_real, share)
        loss = self.objective.g_loss(a_fake, a_real)
        for p in due:
            with self._autocast():
                loss = loss + p(judged)
        return loss

    def _look_ahead(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        d = self.discriminator
        seen = self.seen(real)

        def loss_of(weights: dict[str, Tensor]) -> Tensor:
            with self._autocast():
                a_real = torch.func.functional_call(d.network, weights, (seen,)).float()
                a_fake = torch.func.functional_call(d.network, weights, (fake,)).float()
            return self.objective.d_loss(a_real, a_fake)

        return unrolled(d.network, d.optimizer, d.steps, loss_of, self.unroll)

    def state_dict(self) -> dict[str, Any]:
        """The game's state with that of its penalties, pool and augmentation."""
        state = super().state_dict()
        state["penalties"] = [p.state_dict() for p in self.penalties]
        if self.pool is not None:
            state["pool"] = self.pool.state_dict()
        if self.adaptive is not None:
            state["augment"] = self.adaptive.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        super().load_state_dict(state)
        for p, of_p in zip(self.penalties, state["penalties"], strict=True):
            p.load_state_dict(of_p)
        if self.pool is not None:
            self.pool.load_state_dict(state["pool"])
        if self.adaptive is not None:
            self.adaptive.load_state_dict(state["augment"])
