"""What the checks of `gpu.py` share: where they run, how results compare, games to play."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.data import load
from ganlab.recipes import build, recipe

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Setup:
    """Where checks run: the device, whether in small, and what compiles."""

    device: torch.device
    tiny: bool = False

    @property
    def backend(self) -> str:
        """Of `torch.compile`; in small one that needs no C++ compiler."""
        return "aot_eager" if self.tiny else "inductor"

    def plan(self, name: str = "dcgan-glyphs", **changes: Any) -> Any:
        """A recipe small enough to check: fp32, plain gradient steps, so that weights compare."""
        width = {"generator": {"width": 8 if self.tiny else 32}}
        width["discriminator"] = width["generator"]
        plain = dict(batch=8 if self.tiny else 32, precision="fp32", half_life=0.0, steps=4,
                     channels_last=False)  # fmt: skip
        base = recipe(name, **plain)
        if base.network == "dcgan":
            base = base.with_(**width)
        return base.with_(**changes)


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        difference: the largest; infinite where a value is not finite.
        allowed: it passes up to this.
        note: what was compared, or what more there is to know.
    """

    difference: float
    allowed: float
    note: str = ""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        found = {"passed": self.difference <= self.allowed} | asdict(self)
        if not math.isfinite(self.difference):
            found["difference"] = None  # JSON has no word for it
        return found


def apart(a: Any, b: Any) -> float:
    """Largest difference of two (lists of) tensors, relative to the largest value of the first."""
    first, second = ([x] if torch.is_tensor(x) else list(x) for x in (a, b))
    worst = 0.0
    scale = max(float(x.detach().float().abs().max()) for x in first) or 1.0
    for x, y in zip(first, second, strict=True):
        gap = (x.detach().cpu().double() - y.detach().cpu().double()).abs().max()
        worst = max(worst, float(gap)) if torch.isfinite(gap) else float("inf")
    return worst / scale


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Without TF32, and with kernels that give the same bits each time."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = (
        False, False, True, False,
    )  # fmt: skip
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before


def pictures(plan: Any, limit: int = 256) -> Any:
    return load(plan.data, size=plan.size, channels=plan.channels, limit=limit)


def game_of(plan: Any, device: torch.device) -> tuple[Any, Any]:
    """The game and stream, with latent vectors that are the same on every device."""
    game, stream = build(plan, pictures(plan), device)
    draw = torch.Generator().manual_seed(7)

    def latent(n: int) -> Tensor:
        return game.generator.network.sample_latent(n, draw).to(device)

    game.latent = latent
    return game, stream


def moved(game: Any, stream: Any, rounds: int = 1) -> tuple[list[Tensor], list[Tensor]]:
    """How far the weights of both sides go in `rounds`, and the losses of the last round."""
    weights = [p for player in game.players for p in player.network.parameters()]
    before = [w.detach().clone() for w in weights]
    for _ in range(rounds):
        report = game.round(stream)
    losses = [report["d_loss"].detach(), report["g_loss"].detach()]
    return [w.detach() - b for w, b in zip(weights, before, strict=True)], losses


def two_rounds(one: tuple[Any, Any], other: tuple[Any, Any], allowed: float, note: str) -> Verdict:
    """One round of two games that should be the same: their steps compared."""
    (a, lost), (b, gone) = moved(*one), moved(*other)
    return Verdict(max(apart(a, b), apart(lost, gone)), allowed, note)


SGD = {"optimizer": "sgd", "g_lr": 0.01, "d_lr": 0.01}
