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

EACH_D_STEP = (
    *("d real", "d generated", "d real and generated", "d penalised"),
    *("d update", "g forward"),
)


def needed_passes(game: AdversarialGame, real: Tensor) -> dict[str, Callable[[], object]]:
    """The passes of one round on copies of the networks, each a function without arguments.

    Args:
        game: as it will be played.
        real: one batch, (B, ...).

    Returns:
        Names to functions; those of the discriminator's step stand for `d_steps` passes each.
    """
    real = game.shown(real)
    g = copy.deepcopy(game.generator.network).train()
    d = copy.deepcopy(game.discriminator.network).train()
    z = g.sample_latent(len(real), torch.Generator().manual_seed(0))  # type: ignore[operator]
    z = z.to(real.device)
    with torch.no_grad(), game._autocast():
        fake = g(z).detach()
    cotangent = fake.clone()
    frozen = copy.deepcopy(d).requires_grad_(False)
    # Networks that grow do not use all of them yet.
    parameters_d, parameters_g = list(d.parameters()), list(g.parameters())

    def generate() -> None:
        with torch.no_grad(), game._autocast():
            g(z)

    def judge(x: Tensor) -> object:
        with game._autocast():
            logits = d(x)
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
    twin.discriminator.network = d
    twin.penalties = tuple(copy.deepcopy(p) for p in game.penalties)
    due = [p for p in twin.penalties if p.side == "d"]

    def penalised() -> object:
        with twin._pass():
            judged = twin.judge(real, fake, due)
            loss = twin.d_objective(judged, due)
        return torch.autograd.grad(loss, parameters_d, allow_unused=True)

    separate: dict[str, Callable[[], object]] = {
        "d real": lambda: judge(real),
        "d generated": lambda: judge(fake),
    }
    if due:
        separate = {"d penalised": penalised}
    elif game._joint:
        both = torch.cat([real, fake.to(real.dtype)])
        separate = {"d real and generated": lambda: judge(both)}
    passes: dict[str, Callable[[], object]] = {} if game.share_forward else {"g forward": generate}
    passes |= separate
    passes["d update"] = _update(game.discriminator.optimizer, parameters_d)
    passes["g forward and backward"] = create
    passes["d towards its input"] = guide
    passes["g update"] = _update(game.generator.optimizer, parameters_g)
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
    # In turn, as in a round: repeated back to back, a pass would find its weights in a cache
    # that the other passes empty.
    times: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(repeats + 1):
        for name, run in passes.items():
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            times[name].append(time.perf_counter() - start)
    # The first turn warms up.
    return sum(
        statistics.median(values[1:]) * (d_steps if name in EACH_D_STEP else 1)
        for name, values in times.items()
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
