"""Seeds per second: many GANs on points trained together, against one after another.

Run as `python benchmarks/modes.py speed`. The two ways play in turn, a few rounds each, so that
whatever else the machine does slows both; the medians are compared. In turn always uses one
thread, which is fastest for it: with two, networks this small wait for each other's threads, and a
busy machine then shows gains of a hundred that are none. What limits the ratio is
printed beside it: a round in turn costs its calls, whatever the size of the networks, plus its
arithmetic; a round together costs the calls once, and the arithmetic of all seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from publish import commit

import ganlab
from ganlab.ensemble import Draws, Together
from ganlab.recipes import Recipe, build, source
from ganlab.training import memory

RESULTS = Path(__file__).resolve().parent / "results"

#: width, batch, seeds
CASES = ((16, 64, 64), (16, 64, 256), (32, 64, 64), (32, 64, 256), (64, 64, 10), (64, 64, 64),
         (128, 128, 10))  # fmt: skip


def game(recipe: Recipe, seeds: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """One round of one seed, and one round of all seeds."""
    data = source(recipe)
    single, stream = build(recipe, data)
    together = Together(recipe, range(seeds), data)
    reals = Draws(data.sample, range(seeds), recipe.batch)
    latents = Draws(together.templates[0].sample_latent, range(seeds), recipe.batch)
    return lambda: single.round(stream), lambda: together.round(reals, latents)


def timed(play: Callable[[], Any], rounds: int, threads: int) -> float:
    torch.set_num_threads(threads)
    play()  # the threads wake up
    start = time.perf_counter()
    for _ in range(rounds):
        play()
    return (time.perf_counter() - start) / rounds


def compare(recipe: Recipe, seeds: int, seconds: float) -> dict[str, Any]:
    """Seconds per round both ways, and their ratio per seed."""
    alone, together = game(recipe, seeds)
    threads = torch.get_num_threads()
    timed(alone, 10, 1)
    # 64 rounds together is one block of data: fewer would count its drawing too often or never.
    many = 64
    repeats = max(3, round(seconds / (many * timed(together, 10, threads))))
    pairs = [(timed(alone, many, 1), timed(together, many, threads)) for _ in range(repeats)]
    torch.set_num_threads(threads)
    in_turn, all_at_once = (statistics.median(times) for times in zip(*pairs))
    ratios = sorted(seeds * a / b for a, b in pairs)
    flops = 12 * 2 * recipe.batch * sum(  # forward passes' worth: 4 of G and 8 of D, equally large
        w.numel() for w in weights_of_d(recipe))  # fmt: skip
    return {
        "width": recipe.generator["width"],
        "batch": recipe.batch,
        "seeds": seeds,
        "in_turn_ms": round(in_turn * 1e3, 3),
        "together_ms": round(all_at_once * 1e3, 3),
        "per_seed_us": round(all_at_once / seeds * 1e6, 1),
        "ratio": round(statistics.median(ratios), 1),
        "ratio_range": [round(ratios[0], 1), round(ratios[-1], 1)],
        "gflops_in_turn": round(flops / in_turn / 1e9, 1),
        "gflops_together": round(flops * seeds / all_at_once / 1e9, 1),
    }


def weights_of_d(recipe: Recipe) -> list[torch.Tensor]:
    """The discriminator's weight matrices; the generator's hold as many numbers."""
    d = build(recipe, source(recipe))[0].discriminator.network
    return [w for w in d.parameters() if w.ndim == 2]


def speed(base: Recipe, args: argparse.Namespace) -> None:
    """Measure all cases, print them, and store them where asked."""
    if args.threads:
        torch.set_num_threads(args.threads)
    memory.keep()  # as the trainer and `train_many` do
    threads = torch.get_num_threads()
    print(f"together on {threads} thread(s), in turn on one; a round = one step of D and one of G")
    rows = []
    for width, batch, seeds in CASES:
        sides = {"generator": {"width": width}, "discriminator": {"width": width}}
        row = compare(base.with_(batch=batch, **sides), seeds, args.seconds)
        rows.append(row)
        print(
            f"width {width:3}, batch {batch:3}, {seeds:3} seeds: in turn"
            f" {row['in_turn_ms']:6.2f} ms a round ({row['gflops_in_turn']:4.1f} GFLOP/s),"
            f" together {row['together_ms']:6.2f} ms ({row['gflops_together']:4.1f} GFLOP/s):"
            f" {row['ratio']:4.1f} times the seeds per second",
            flush=True,
        )
    if args.save:
        date = time.strftime("%Y-%m-%d")
        result = {"date": date, "commit": commit(), "torch": torch.__version__,
                  "ganlab": ganlab.__version__, "device": "cpu", "threads": threads, "threads_in_turn": 1,  # noqa: E501
                  "rows": rows}  # fmt: skip
        path = RESULTS / f"ensemble-{date}-cpu-{threads}-threads.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(path.relative_to(RESULTS.parents[1]))
