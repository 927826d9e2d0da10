"""What a round can do differently (pool, flipped labels, top-k, unrolling), and its sums."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError


class Pool:
    """A history of generated pictures for the discriminator (Shrivastava et al. 2017, Sec. 2.3).

    Each picture is, with probability 1/2, exchanged for an older one. D then cannot follow the
    generator's last move alone. Until the pool is full, pictures go in and pass through.

    Args:
        size: pictures kept.
        noise: random state of the draws, part of the game's.
    """

    def __init__(self, size: int, noise: torch.Generator) -> None:
        if size < 1:
            raise RecipeError(f"a pool holds at least one picture, not {size}")
        self.size, self.noise = size, noise
        self.kept: Tensor | None = None

    def __call__(self, fresh: Tensor) -> Tensor:
        """(B, ...) fresh pictures -> (B, ...) fresh and older ones; no gradient flows."""
        fresh = fresh.detach()
        room = self.size - (0 if self.kept is None else len(self.kept))
        if room > 0:
            start = fresh[:room].clone()
            self.kept = start if self.kept is None else torch.cat([self.kept, start])
            rest = self._swap(fresh[room:]) if len(fresh) > room else fresh[room:]
            return torch.cat([fresh[:room], rest])
        return self._swap(fresh)

    def _swap(self, fresh: Tensor) -> Tensor:
        assert self.kept is not None
        device = self.noise.device
        # Distinct places, so that no two pictures of a batch fight for one.
        places = torch.randperm(self.size, generator=self.noise, device=device)[: len(fresh)]
        chosen = torch.rand(len(places), generator=self.noise, device=device) < 0.5
        mine, places = chosen.nonzero().flatten().to(fresh.device), places[chosen]
        out = fresh.clone()
        out[mine] = self.kept[places]
        self.kept[places] = fresh[mine]
        return out

    def state_dict(self) -> dict[str, Any]:
        """The pictures kept."""
        return {} if self.kept is None else {"kept": self.kept.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        self.kept = state["kept"].clone() if "kept" in state else None


def flip_labels(a_real: Tensor, a_fake: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Exchange each pair of logits with this probability: real is called generated and back.

    The same as flipped labels (Chintala et al. 2016, "How to train a GAN", tip 6) for any
    objective, since a label only decides which side of the loss a logit enters.
    """
    flipped = torch.rand_like(a_real) < probability
    return torch.where(flipped, a_fake, a_real), torch.where(flipped, a_real, a_fake)


def top(a_fake: Tensor, a_real: Tensor | None, share: float) -> tuple[Tensor, Tensor | None]:
    """The share of generated samples that D finds most real (Sinha et al. 2020, Sec. 3)."""
    k = max(1, round(share * len(a_fake)))
    return a_fake.topk(k).values, None if a_real is None else a_real[:k]


def unrolled(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps_taken: int,
    loss_of: Any,
    steps: int,
) -> dict[str, Tensor]:
    """D's weights after `steps` more updates, as functions of the generated samples.

    The updates are those of D's own optimiser on the batch at hand, and the generator's
    gradient goes through them (Metz et al. 2017, Sec. 2.2 and 2.3).

    Args:
        network: the discriminator, whose weights require grad.
        optimizer: Adam or SGD over them.
        steps_taken: of the optimiser so far.
        loss_of: `(weights) -> scalar`, D's loss with these weights.
        steps: of unrolling.

    Raises:
        RecipeError: another optimiser.
    """
    if not isinstance(optimizer, torch.optim.Adam | torch.optim.SGD):
        raise RecipeError("unroll: only with optimizer adam or sgd")
    options = optimizer.param_groups[0]
    names, values = zip(*network.named_parameters(), strict=True)
    state = [optimizer.state[w] for w in values]
    means = [s.get("exp_avg", torch.zeros((), device=w.device)) for s, w in zip(state, values)]
    squares = [s.get("exp_avg_sq", torch.zeros((), device=w.device)) for s, w in zip(state, values)]
    for i in range(steps):
        loss = loss_of(dict(zip(names, values, strict=True)))
        slopes = torch.autograd.grad(loss, values, create_graph=True)
        if isinstance(optimizer, torch.optim.SGD):
            values = tuple(w - options["lr"] * s for w, s in zip(values, slopes))
            continue
        b1, b2 = options["betas"]
        t = steps_taken + i + 1
        means = [b1 * m + (1 - b1) * s for m, s in zip(means, slopes)]
        squares = [b2 * v + (1 - b2) * s * s for v, s in zip(squares, slopes)]
        values = tuple(
            # The square root has no derivative at 0, where a dead unit's square lies.
            w
            - options["lr"]
            / (1 - b1**t)
            * m
            / ((v / (1 - b2**t)).clamp_min(1e-16).sqrt() + options["eps"])
            for w, m, v in zip(values, means, squares)
        )
    return dict(zip(names, values, strict=True))


def joined(parts: list[Tensor]) -> Tensor:
    """The parts of a batch as one."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def total_of(parts: list[Tensor]) -> Tensor:
    """The sum of scalars."""
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


def histogram(a_real: Tensor, a_fake: Tensor, bins: int) -> dict[str, list[float]]:
    """Shares of D on real and on generated samples over `bins` equal parts of [0, 1]."""
    shares = {}
    for key, a in (("real", a_real), ("fake", a_fake)):
        counts = torch.histc(a.sigmoid(), bins, 0, 1)
        shares[key] = [round(v, 4) for v in (counts / counts.sum()).tolist()]
    return shares
