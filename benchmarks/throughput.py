"""Images per second of `ganlab` against the loop that tutorials use, at equal networks.

End to end from pictures on disk. The textbook loop is a DataLoader with PIL transforms, D step,
then G step, plain Adam, nothing frozen. The rungs between it and `ganlab` switch one measure on
at a time, so the table says what each brings. All rungs are timed in turn, several times, in
one process; medians are reported, so that the ratios hold on a machine with other work to do.

    python benchmarks/throughput.py                 the table, written to benchmarks/results/
    python benchmarks/throughput.py --case mlp --rounds 20
    python benchmarks/throughput.py --quality       also train both to the end and score them
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from ganlab.data import load
from ganlab.metrics import score
from ganlab.plots import save_picture
from ganlab.recipes import Recipe, build, native_bf16, networks, recipe
from ganlab.runs import pick_device, provenance
from ganlab.training import Trainer, memory

CASES: dict[str, Recipe] = {
    "mlp": recipe("mlp-mnist"),
    "dcgan-32": recipe("dcgan-mnist", generator={"width": 64}, discriminator={"width": 64}),
    "dcgan-64": recipe(
        "dcgan-glyphs-color", size=64, generator={"width": 64}, discriminator={"width": 64}
    ),
}
CASES["wgan-gp-32"] = recipe("wgan-gp-mnist")
ROUNDS = {"mlp": 150, "dcgan-32": 12, "dcgan-64": 4, "wgan-gp-32": 4}


def folder_of(plan: Recipe, where: Path, count: int) -> Path:
    """The data as picture files in class folders, as tutorials find them."""
    data = load("glyphs" if plan.channels == 1 else "glyphs-color", size=plan.size, limit=count)
    for i in range(count):
        save_picture(data[i], where / str(int(data.labels[i]) % 10) / f"{i}.png")
    return where


def loader(plan: Recipe, where: Path) -> Iterator[torch.Tensor]:
    """The tutorials' data path: PIL, transforms, DataLoader; endless."""
    steps = [
        transforms.Resize(plan.size),
        transforms.ToTensor(),
        transforms.Normalize((0.5,), (0.5,)),
    ]
    if plan.channels == 1:
        steps.insert(0, transforms.Grayscale())
    data: Any = datasets.ImageFolder(str(where), transforms.Compose(steps))
    root = os.environ.get("GANLAB_DATA")
    if plan.data == "mnist" and root and (Path(root) / "MNIST" / "raw").is_dir():
        data = datasets.MNIST(root, transform=transforms.Compose(steps[1:]))
    batches = DataLoader(data, plan.batch, shuffle=True, drop_last=True)
    for _ in itertools.count():
        for x, _labels in batches:
            yield x


def textbook_round(
    g: nn.Module, d: nn.Module, adams: list[Any], real: torch.Tensor, latent: int
) -> None:
    """One iteration as the tutorials write it."""
    loss_of = nn.functional.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
    adams[1].zero_grad()
    loss_of(d(real), ones).backward()
    fake = g(torch.randn(len(real), latent))
    loss_of(d(fake.detach()), zeros).backward()
    adams[1].step()
    adams[0].zero_grad()
    loss_of(d(fake), ones).backward()
    adams[0].step()


def public_wgan_gp_round(
    g: nn.Module,
    d: nn.Module,
    adams: list[Any],
    batches: Iterator[torch.Tensor],
    plan: Recipe,
) -> None:
    """One generator iteration of WGAN-GP as the public scripts write it.

    The generated pictures keep their graph in the critic's step, the penalty has a pass of its
    own, and the generator's step computes gradients for the critic's weights too.
    """
    for _ in range(plan.d_steps):
        real = next(batches)
        adams[1].zero_grad()
        fake = g(torch.randn(len(real), g.latent))
        between = torch.rand(len(real), 1, 1, 1)
        x = (between * real + (1 - between) * fake.detach()).requires_grad_(True)
        a = d(x)
        slope = torch.autograd.grad(a, x, torch.ones_like(a), create_graph=True)[0]
        penalty = ((slope.view(len(x), -1).norm(2, dim=1) - 1) ** 2).mean()
        (d(fake).mean() - d(real).mean() + plan.penalties["gp"] * penalty).backward()
        adams[1].step()
    adams[0].zero_grad()
    (-d(g(torch.randn(len(real), g.latent))).mean()).backward()
    adams[0].step()


class Textbook:
    """The textbook loop as a rung."""

    def __init__(self, plan: Recipe, where: Path) -> None:
        shape = (plan.channels or 1, plan.size or 28, plan.size or 28)
        torch.manual_seed(plan.seed)
        self.g, self.d = networks(plan, shape)
        self.adams = [
            torch.optim.Adam(n.parameters(), lr, plan.betas)
            for n, lr in ((self.g, plan.g_lr), (self.d, plan.d_lr))
        ]
        self.batches, self.plan = loader(plan, where), plan

    def __call__(self) -> None:
        if self.plan.penalties:
            public_wgan_gp_round(self.g, self.d, self.adams, self.batches, self.plan)
            return
        textbook_round(self.g, self.d, self.adams, next(self.batches), self.g.latent)


class Ours:
    """A rung of `ganlab`: the game of a recipe, with some measures switched off."""

    def __init__(
        self,
        plan: Recipe,
        where: Path,
        data: Any,
        resident: bool = True,
        fused: bool = True,
        joint: bool = True,
        keep: bool = True,
    ) -> None:
        self.game, stream = build(plan, data)
        self.stream = stream if resident else loader(plan, where)
        self.keep = keep
        self.game._joint &= joint
        if not fused:
            for player in self.game.players:
                player.optimizer = torch.optim.Adam(player.network.parameters(), 2e-4, (0.5, 0.999))

    def __call__(self) -> None:
        self.game.round(self.stream)


def rungs(plan: Recipe, where: Path, compiled: bool) -> dict[str, Callable[[], None]]:
    """From the textbook loop to `ganlab`, one measure at a time."""
    data = load(plan.data, size=plan.size, channels=plan.channels, limit=4096)
    bare = plan.with_(half_life=0, channels_last=False, precision="fp32", share_forward=False)
    off: dict[str, Any] = {"resident": False, "fused": False, "joint": False, "keep": False}
    ladder: dict[str, Callable[[], None]] = {"textbook": Textbook(plan, where)}
    ladder["no wasted passes"] = Ours(bare, where, data, **off)
    for measure, name in (
        ("resident", "+ resident data"),
        ("fused", "+ fused Adam"),
        ("keep", "+ kept memory"),
        ("joint", "+ one pass of D"),
    ):
        off.pop(measure)
        if measure != "joint" or (plan.network == "mlp" and not plan.penalties):
            ladder[name] = Ours(bare, where, data, **off)
    last = bare
    if plan.network == "dcgan":
        last = last.with_(channels_last=True)
        ladder["+ channels-last"] = Ours(last, where, data)
        if native_bf16(pick_device("cpu")):
            last = last.with_(precision="bf16")
            ladder["+ bf16"] = Ours(last, where, data)
    last = last.with_(share_forward=True)
    ladder["+ shared forward"] = Ours(last, where, data)
    if compiled:
        last = last.with_(compile=True)
        ladder["+ compile"] = Ours(last, where, data)
    ladder["recipe as shipped"] = Ours(plan, where, data)
    return ladder


def race(ladder: dict[str, Callable[[], None]], rounds: int, repeats: int) -> dict[str, float]:
    """Median seconds a round of each rung, timed in turn."""
    times: dict[str, list[float]] = {name: [] for name in ladder}
    for run in ladder.values():
        run(), run()  # warm up: allocations, compilation
    for _ in range(repeats):
        for name, run in ladder.items():
            memory.keep(getattr(run, "keep", False))
            run()  # the memory of this rung, not of the one before
            start = time.perf_counter()
            for _ in range(rounds):
                run()
            times[name].append((time.perf_counter() - start) / rounds)
    return {name: statistics.median(values) for name, values in times.items()}


def ideal_share(plan: Recipe) -> float:
    """Time of the needed passes, each timed alone, over the time of a round in the trainer."""
    data = load(plan.data, size=plan.size, channels=plan.channels, limit=4096)
    game, stream = build(plan, data)
    rounds = max(10, ROUNDS["mlp"] // 3 if plan.network == "mlp" else 8)
    shares = []
    for _ in range(3):
        trainer = Trainer(None, log_every=rounds, sample_every=0, checkpoint_every=0)
        shares.append(trainer.fit(game, stream, rounds)[-1]["ideal"])
    return statistics.median(shares)


def quality(plan: Recipe, where: Path, steps: int, seeds: int) -> dict[str, list[float]]:
    """Fréchet distances of both loops after the same number of steps, over seeds."""
    data = load(plan.data, size=plan.size, channels=plan.channels)
    scores: dict[str, list[float]] = {"textbook": [], "recipe as shipped": []}
    for seed in range(seeds):
        run = Textbook(plan.with_(seed=seed), where)
        game, stream = build(plan.with_(seed=seed), data)
        for _ in range(steps):
            run()
            game.round(stream)
        finals = {"textbook": run.g, "recipe as shipped": game.generator.best}
        for name, g in finals.items():
            g = copy.deepcopy(g).eval()

            def sample(n: int, seed: int, g: Any = g) -> torch.Tensor:
                z = g.sample_latent(n, torch.Generator().manual_seed(seed))
                with torch.no_grad():
                    return torch.cat([g(part) for part in z.split(256)])

            scores[name].append(score(sample, data, False)["frechet"])
    return scores


def compare(case: str, plan: Recipe, where: Path, steps: int, seeds: int) -> dict[str, Any]:
    """Both loops' Fréchet distances, printed and as a record."""
    finals = quality(plan, where, steps, seeds)
    print(f"\n{case}: Fréchet distance after {steps} rounds, {seeds} seeds", flush=True)
    for name, values in finals.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"  {name:20} {statistics.mean(values):.2f} ± {spread:.2f}")
    return {"steps": steps, "frechet": finals}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, help="timed rounds a rung and repeat")
    parser.add_argument("--repeats", type=int, default=5, help="turns (default: 5)")
    parser.add_argument("--compile", action="store_true", help="also time torch.compile")
    parser.add_argument(
        "--quality",
        type=int,
        default=0,
        metavar="STEPS",
        help="train with both loops for STEPS and score, in place of timing",
    )
    parser.add_argument("--seeds", type=int, default=3, help="of --quality (default: 3)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    report: dict[str, Any] = {"cases": {}}
    for case in args.case or list(CASES):
        plan = CASES[case]
        with tempfile.TemporaryDirectory() as folder:
            where = folder_of(plan, Path(folder), 2048)
            if args.quality:
                report["cases"][case] = compare(case, plan, where, args.quality, args.seeds)
                continue
            ladder = rungs(plan, where, args.compile)
            seconds = race(ladder, args.rounds or ROUNDS[case], args.repeats)
            images = plan.batch * plan.d_steps  # real ones, that a round shows to D
            rate = {name: images / s for name, s in seconds.items()}
            print(f"\n{case}: batch {plan.batch}, {torch.get_num_threads()} threads", flush=True)
            for name, value in rate.items():
                print(f"  {name:20} {value:8.0f} images/s   {value / rate['textbook']:.2f}x")
            share = ideal_share(plan)
            print(f"  share of the ideal round: {share:.0%}")
            report["cases"][case] = {
                "images_per_second": {k: round(v, 1) for k, v in rate.items()},
                "speedup": round(rate["recipe as shipped"] / rate["textbook"], 2),
                "ideal": share,
            }
    data = load("glyphs", size=16, limit=10)
    about = provenance(CASES["dcgan-32"], data, pick_device("cpu"))
    report |= {k: about[k] for k in ("date", "device", "threads", "torch", "ganlab")}
    args.out.mkdir(parents=True, exist_ok=True)
    kind = "quality" if args.quality else "throughput"
    name = f"{kind}-{report['date']}-{report['device']}-{report['threads']}-threads.json"
    path = args.out / name
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
