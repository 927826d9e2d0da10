"""What a round must cost: the passes that it needs, timed alone.

The sum is the yardstick of every log line (`ideal`, the share of it that the round reaches) and
of the speed tests. Everything runs on copies, so the game's weights, BatchNorm statistics and
random states stay as they were.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ganlab.game.adversarial import AdversarialGame


def needed_passes(game: AdversarialGame, real: Tensor) -> dict[str, Callable[[], object]]:
    """The passes of one round on copies of the networks, each a function without arguments.

    Args:
        game: as it will be played.
        real: one batch, (B, ...).

    Returns:
        Names to functions; `d real` and `d generated` stand for `d_steps` passes each.
    """
    g = copy.deepcopy(game.generator.network).train()
    d = copy.deepcopy(game.discriminator.network).train()
    z = g.sample_latent(len(real), torch.Generator().manual_seed(0))  # type: ignore[operator]
    z = z.to(real.device)
    with torch.no_grad(), game._autocast():
        fake = g(z).detach()
    cotangent = fake.clone()
    frozen = copy.deepcopy(d).requires_grad_(False)
    parameters_d, parameters_g = list(d.parameters()), list(g.parameters())

    def generate() -> None:
        with torch.no_grad(), game._autocast():
            g(z)

    def judge(x: Tensor) -> object:
        with game._autocast():
            logits = d(x)
        return torch.autograd.grad(logits.float().mean(), parameters_d)

    def create() -> object:
        with game._autocast():
            x = g(z)
        return torch.autograd.grad(x, parameters_g, cotangent)

    def guide() -> object:
        x = fake.detach().requires_grad_(True)
        with game._autocast():
            logits = frozen(x)
        return torch.autograd.grad(logits.float().mean(), x)

    passes: dict[str, Callable[[], object]] = {
        "d real": lambda: judge(real),
        "d generated": lambda: judge(fake),
        "g forward and backward": create,
        "d towards its input": guide,
        "d update": _update(game.discriminator.optimizer, parameters_d),
        "g update": _update(game.generator.optimizer, parameters_g),
    }
    if not game.share_forward:
        passes["g forward"] = generate
    return passes


def _update(
    optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]
) -> Callable[[], object]:
    """One step of a fresh optimiser of the same kind on copied parameters."""
    options = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
    mine = [p.detach().clone().requires_grad_(True) for p in parameters]
    for p in mine:
        p.grad = torch.zeros_like(p)
    twin = type(optimizer)(mine, **options)
    return twin.step


def ideal_seconds(game: AdversarialGame, real: Tensor, repeats: int = 5) -> float:
    """Seconds that the passes of one round take when each is timed alone (medians, summed)."""
    cuda = [real.device] if real.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        return _time(needed_passes(game, real), game.d_steps, real.device, repeats)


def _time(
    passes: dict[str, Callable[[], object]], d_steps: int, device: torch.device, repeats: int
) -> float:
    total = 0.0
    for name, run in passes.items():
        times = []
        for i in range(repeats + 1):
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            if i:  # the first call warms up
                times.append(time.perf_counter() - start)
        discriminators = name in ("d real", "d generated", "d update", "g forward")
        total += statistics.median(times) * (d_steps if discriminators else 1)
    return total


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
