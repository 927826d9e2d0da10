"""The yardstick of every log line: what the passes that a round needs would take alone.

`ideal` in the log is the share of it that the round reaches; the speed tests use it too.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from ganlab.data.batch import as_batch
from ganlab.game.base import Game, Pass


def ideal_seconds(game: Game, batch: Any, repeats: int = 5) -> float:
    """Seconds that the passes of one round take when each is timed alone (medians, summed)."""
    return sum(seconds(game, batch, repeats).values())


def seconds(game: Game, batch: Any, repeats: int = 5) -> dict[str, float]:
    """name -> seconds a round spends in that pass on average, each timed alone (medians)."""
    device = as_batch(batch).images.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        return _time(game.passes(batch), device, repeats)


def _time(passes: dict[str, Pass], device: torch.device, repeats: int) -> dict[str, float]:
    # In turn, as in a round: repeated back to back, a pass would find its weights in a cache
    # that the other passes empty.
    times: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(repeats + 1):
        for name, one in passes.items():
            _wait(device)
            start = time.perf_counter()
            one.run()
            _wait(device)
            times[name].append(time.perf_counter() - start)
    # The first turn warms up.
    return {name: statistics.median(times[name][1:]) * passes[name].times for name in passes}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
