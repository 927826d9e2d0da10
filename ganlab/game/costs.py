"""What a round of a generator against a discriminator must cost: the passes that it needs.

Everything runs on copies, so the game's weights, BatchNorm statistics and random states stay as
they were. `ganlab.training.ideal` times them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ganlab.data.batch import as_batch
from ganlab.game.base import Pass
from ganlab.models.latent import told
from ganlab.penalties import Judged, Penalty
from ganlab.penalties.path_length import PathLength


def needed_passes(game: Any, batch: Any) -> dict[str, Pass]:
    """The passes of one round on copies of the networks, by name.

    Args:
        game: as it will be played.
        batch: one of the stream's, (B, ...), with its labels where there are any.

    Of the generator's penalties path length is counted, the only one with a pass of its own.
    """
    real, labels, _ = as_batch(batch)
    real = game.shown(real)
    generator = copy.deepcopy(game.generator.network).train()
    network = copy.deepcopy(game.discriminator.network).train()
    g, d = told(generator, labels), told(network, labels)
    z = generator.sample_latent(len(real), torch.Generator().manual_seed(0))  # type: ignore
    z = z.to(real.device)
    with torch.no_grad(), game._autocast():
        fake = g(z).detach()
    cotangent = fake.clone()
    still = copy.deepcopy(network).requires_grad_(False)
    frozen = told(still, labels)
    # Networks that grow do not use all of them yet.
    parameters_d, parameters_g = list(network.parameters()), list(generator.parameters())

    def generate() -> None:
        with torch.no_grad(), game._autocast():
            g(z)

    def judge(x: Tensor, judged: Callable[..., Tensor] = d) -> object:
        with game._autocast():
            logits = judged(x)
        return torch.autograd.grad(logits.float().mean(), parameters_d, allow_unused=True)

    def create() -> object:
        with game._autocast():
            x = g(z)
        return torch.autograd.grad(x, parameters_g, cotangent, allow_unused=True)

    def guide() -> object:
        x = fake.detach().requires_grad_(True)
        with game._autocast():
            logits = frozen(x)
        return torch.autograd.grad(logits.float().mean(), x)

    twin = copy.copy(game)  # the same rules, played on the copies
    twin.discriminator = copy.copy(game.discriminator)
    twin.discriminator.network = network
    twin.penalties = tuple(copy.deepcopy(p) for p in game.penalties)

    def penalised(due: list[Penalty]) -> object:
        with twin._pass():
            judged = twin.judge(real, fake, due, labels)
            loss = twin.d_objective(judged, due)
        return torch.autograd.grad(loss, parameters_d, allow_unused=True)

    def lengthened(p: PathLength) -> object:
        with game._autocast():
            loss = p(Judged(still, real, fake, fake, fake, learner=generator))
        return torch.autograd.grad(loss, parameters_g, allow_unused=True)

    passes: dict[str, Pass] = {}

    def need(name: str, run: Callable[[], object], times: float) -> None:
        if times > 0:
            passes[name] = Pass(run, times)

    k = game.d_steps
    need("g forward", generate, 0 if game.share_forward else k)
    always = [p for p in twin.penalties if p.side == "d" and p.every == 1]
    lazy = [p for p in twin.penalties if p.side == "d" and p.every > 1]
    rest = float(k)
    for every in sorted({p.every for p in lazy}):
        due = always + [p for p in lazy if p.every == every]
        need(f"d penalised every {every}", partial(penalised, due), k / every)
        rest -= k / every
    if always:
        need("d penalised", partial(penalised, always), rest)
    elif game._joint:
        both = torch.cat([real, fake.to(real.dtype)])
        twice = told(network, None if labels is None else torch.cat([labels, labels]))
        need("d real and generated", lambda: judge(both, twice), rest)
    else:
        need("d real", lambda: judge(real), rest)
        need("d generated", lambda: judge(fake), rest)
    need("d update", update(game.discriminator.optimizer, parameters_d), k)
    need("g forward and backward", create, game.g_steps)
    need("d towards its input", guide, game.g_steps)
    need("g update", update(game.generator.optimizer, parameters_g), game.g_steps)
    for p in twin.penalties:
        if isinstance(p, PathLength):
            need("g path length", partial(lengthened, p), game.g_steps / p.every)
    return passes


def update(
    optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]
) -> Callable[[], object]:
    """One step of a fresh optimiser of the same kind on copied parameters."""
    options = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
    mine = [p.detach().clone().requires_grad_(True) for p in parameters]
    for p in mine:
        p.grad = torch.zeros_like(p)
    twin = type(optimizer)(mine, **options)
    return twin.step
