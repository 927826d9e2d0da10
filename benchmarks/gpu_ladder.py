"""The ladder of `gpu.py`: from the loop that tutorials use to `ganlab`, a measure at a time.

Every rung plays rounds of the same networks in one process, in turn with the others; the clock
is read when the device has done its work. A rung that fails is noted and left out.
"""

from __future__ import annotations

import copy
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gpu_store import medians, reason, say, wait
from throughput import Textbook, folder_of
from torch import Tensor

from ganlab.data import Stream, load
from ganlab.recipes import build, precision, recipe
from ganlab.training import ideal

BARE = {"half_life": 0.0, "channels_last": False, "precision": "fp32", "share_forward": False}


@dataclass(frozen=True)
class Case:
    """One pair of networks to time.

    Attributes:
        plan: its recipe.
        rounds: timed in a row; of lazy penalties a whole period.
        repeats: times that each rung is timed.
        limit: pictures of the data.
        cost: seconds on a GPU, to plan with.
        compiled: also with `torch.compile` (takes a minute).
    """

    plan: Any
    rounds: int
    repeats: int = 5
    limit: int = 4096
    cost: float = 30.0
    compiled: bool = False


def cases(tiny: bool) -> dict[str, Case]:
    """What is timed, in order of worth; in small an MLP alone."""
    if tiny:
        small = {"generator": {"width": 16}, "discriminator": {"width": 16}}
        return {"mlp": Case(recipe("mlp-glyphs", batch=16, size=16, **small), 2, 2, 64, 1.0)}
    wide = {"generator": {"width": 64}, "discriminator": {"width": 64}}
    dcgan = recipe("dcgan-glyphs-color", size=64, batch=128, **wide)
    style = recipe("stylegan2-glyphs-64", batch=32)
    base = {"generator": {"channel_base": 16384, "channel_max": 512},
            "discriminator": {"channel_base": 16384, "channel_max": 512}}  # fmt: skip
    found = {
        "dcgan-64": Case(dcgan, 40, cost=25.0),
        "stylegan2-64": Case(style, 16, 3, cost=40.0),
        "mlp": Case(recipe("mlp-glyphs"), 200, cost=20.0),
        "wgan-gp-32": Case(recipe("wgan-gp-glyphs", **wide), 20, cost=25.0),
        "stylegan2-256": Case(style.with_(size=256, batch=16, **base), 16, 2, 512, 70.0),
    }
    late = {"dcgan-64": 75.0, "wgan-gp-32": 75.0, "mlp": 45.0, "stylegan2-64": 120.0}
    for name, cost in late.items():
        one = found[name]
        found[f"{name} compiled"] = Case(one.plan, one.rounds, 3, one.limit, cost, True)
    return found


class Moved:
    """Batches of a CPU's loader on the device; made inside `torch.device(...)` they stay right."""

    def __init__(self, batches: Iterator[Tensor], device: torch.device) -> None:
        self.batches, self.device = batches, device

    def __iter__(self) -> Moved:
        return self

    def __next__(self) -> Tensor:
        """(B, C, H, W) on the device."""
        with torch.device("cpu"):
            batch = next(self.batches)
        batch = getattr(batch, "images", batch)
        return batch.to(self.device, non_blocking=True)


class Tutorial(Textbook):
    """The textbook loop of `throughput.py` on a device.

    Args:
        plan, where: see `Textbook`.
        device: of the networks; what the loop makes is made there.
        stream: batches that lie on the device already, in place of the loader's.
    """

    def __init__(
        self, plan: Any, where: Path, device: torch.device, stream: Stream | None = None
    ) -> None:
        super().__init__(plan, where)
        self.device = device
        for network in (self.g, self.d):
            network.to(device).train()
        self.batches = Moved(iter(stream) if stream is not None else self.batches, device)

    def __call__(self) -> None:
        """One round."""
        with self.device:
            super().__call__()


class StyleTutorial(Tutorial):
    """StyleGAN2 as public ports train it: penalties in passes of their own, an average by hand."""

    def __init__(
        self, plan: Any, where: Path, device: torch.device, stream: Stream | None = None
    ) -> None:
        super().__init__(plan, where, device, stream)
        self.average = copy.deepcopy(self.g).requires_grad_(False)
        self.mean, self.count = torch.zeros((), device=device), 0

    def __call__(self) -> None:
        """One round: D, R1 when due, G, path length when due, average."""
        softplus = torch.nn.functional.softplus
        g, d, (g_adam, d_adam) = self.g, self.d, self.adams
        penalties = self.plan.penalties
        with self.device:
            real = next(self.batches)
            fake = g(torch.randn(len(real), g.latent))
            d_adam.zero_grad()
            (softplus(d(fake.detach())).mean() + softplus(-d(real)).mean()).backward()
            d_adam.step()
            r1 = penalties["r1"]
            if self.count % r1["every"] == 0:
                x = real.detach().requires_grad_()
                d_adam.zero_grad()
                slope = torch.autograd.grad(d(x).sum(), x, create_graph=True)[0]
                term = slope.flatten(1).square().sum(1).mean()
                (r1["weight"] / 2 * r1["every"] * term).backward()
                d_adam.step()
            g_adam.zero_grad()
            softplus(-d(g(torch.randn(len(real), g.latent)))).mean().backward()
            g_adam.step()
            if self.count % penalties["path-length"]["every"] == 0:
                g_adam.zero_grad()
                self.lengths(len(real) // 2)
                g_adam.step()
            with torch.no_grad():
                for mine, its in zip(self.average.parameters(), g.parameters(), strict=True):
                    mine.lerp_(its, 0.001)
            self.count += 1

    def lengths(self, n: int) -> None:
        """Path length of n pictures (Karras et al. 2020, Eq. 4)."""
        ws = self.g.styles(torch.randn(n, self.g.latent))
        x = self.g.synthesis(ws)
        y = torch.randn_like(x) / (x.shape[2] * x.shape[3]) ** 0.5
        (slope,) = torch.autograd.grad((x * y).sum(), ws, create_graph=True)
        length = slope.square().sum(2).mean(1).sqrt()
        self.mean = (self.mean + 0.01 * (length.mean() - self.mean)).detach()
        every = self.plan.penalties["path-length"]["every"]
        (2 * every * (length - self.mean).square().mean()).backward()


@dataclass
class Rung:
    """A loop to time, with the arithmetic that it may use.

    Attributes:
        play: one round.
        tf32: in matrix products and convolutions; None leaves PyTorch's default.
        game, batch: of `ganlab`, for the share of the ideal.
    """

    play: Callable[[], Any]
    tf32: bool | None = None
    game: Any = None
    batch: Any = None

    def __call__(self) -> None:
        """One round, with the flags set."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        matmul.allow_tf32 = bool(self.tf32)
        cudnn.allow_tf32 = self.tf32 is not False
        self.play()


def ours(plan: Any, data: Any, device: torch.device, tf32: bool = True) -> Rung:
    """A recipe's game as a rung."""
    game, stream = build(plan, data, device)
    return Rung(lambda: game.round(stream), tf32, game, next(stream))


def rungs(
    case: Case, where: Path, data: Any, device: torch.device
) -> dict[str, Callable[[], Rung]]:
    """name -> what makes the rung, from the textbook on."""
    plan, bare = case.plan, case.plan.with_(**BARE)
    book: Any = StyleTutorial if plan.network == "stylegan2" else Tutorial

    def resident() -> Rung:
        return Rung(book(plan, where, device, Stream(data, plan.batch, device)))

    half = bare.with_(precision="bf16")
    last = half.with_(channels_last=True)
    if case.compiled:
        return {
            "textbook, data on the device": resident,
            "bf16, channels-last": lambda: ours(last, data, device),
            "+ compile": lambda: ours(last.with_(compile=True), data, device),
            "tf32, compile": lambda: ours(bare.with_(compile=True), data, device),
        }
    found: dict[str, Callable[[], Rung]] = {
        "textbook": lambda: Rung(book(plan, where, device)),
        "textbook, data on the device": resident,
        "fp32": lambda: ours(bare, data, device, tf32=False),
        "tf32": lambda: ours(bare, data, device),
        "bf16": lambda: ours(half, data, device),
    }
    if plan.network != "mlp":
        found["tf32, channels-last"] = lambda: ours(bare.with_(channels_last=True), data, device)
        found["bf16, channels-last"] = lambda: ours(last, data, device)
    found["recipe as shipped"] = lambda: ours(plan, data, device)
    return found


def measure(case: Case, device: torch.device) -> dict[str, Any]:
    """Time one case; plain data with images per second, ratios and the share of the ideal."""
    plan = case.plan
    data = load(plan.data, size=plan.size, channels=plan.channels, limit=case.limit,
                **plan.data_options)  # fmt: skip
    failed: dict[str, str] = {}
    ready: dict[str, Rung] = {}
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        if not case.compiled:
            # Files as tutorials find them; throughput's, which draws them once more.
            where = folder_of(plan, where, min(case.limit, 1024))
        for label, make in rungs(case, where, data, device).items():
            start = time.perf_counter()
            try:
                rung = make()
                for _ in range(3):  # warm up: allocations, choice of kernels, compilation
                    rung()
                wait(device)
                ready[label] = rung
            except Exception as error:  # one rung that fails says so; the others count
                failed[label] = reason(error)
                say(f"    {label}: {failed[label]}")
            if time.perf_counter() - start > 5:
                say(f"    {label}: ready after {time.perf_counter() - start:.0f} s")
        seconds = medians(ready, device, case.rounds, case.repeats)
    images = plan.batch * plan.d_steps  # real ones, that a round shows to D
    base = seconds.get("textbook, data on the device", 0.0)
    shares = {} if case.compiled else _shares(ready, seconds, device)
    found = {
        "batch": plan.batch,
        "rounds": case.rounds,
        "repeats": case.repeats,
        "precision": {k: r.game.precision for k, r in ready.items() if r.game is not None},
        "auto_precision": precision(plan, device),
        "seconds_per_round": {k: round(v, 7) for k, v in seconds.items()},
        "images_per_second": {k: round(images / v, 1) for k, v in seconds.items()},
        "ratio_to_textbook": {k: round(base / v, 3) for k, v in seconds.items()},
        "ideal": shares,
        "failed": failed,
        "recipe": json.loads(plan.to_json()),
    }
    for label, value in seconds.items():
        share = f"  {shares[label]:.0%} of the ideal round" if label in shares else ""
        say(f"    {label:30} {images / value:9.0f} images/s {base / value:6.2f}x{share}")
    return found


def _shares(
    ready: dict[str, Rung], seconds: dict[str, float], device: torch.device
) -> dict[str, float]:
    """Share of the ideal round that rungs of `ganlab` reach; passes in the rung's arithmetic."""
    shares = {}
    for label, rung in ready.items():
        if rung.game is None or label not in seconds:
            continue
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        matmul.allow_tf32, cudnn.allow_tf32 = bool(rung.tf32), rung.tf32 is not False
        needed = ideal.ideal_seconds(rung.game, rung.batch)
        shares[label] = round(needed / seconds[label], 3)
    return shares
