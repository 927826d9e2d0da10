"""What a StyleGAN2 costs: passes, whole rounds, and each choice against its alternative.

    python benchmarks/stylegan.py                     64 and 256 px on this machine's processor
    python benchmarks/stylegan.py --size 64 --turns 5
    python benchmarks/stylegan.py --device cuda       also bf16 + channels-last + compile

For each size: seconds per 1,000 images of the generator's forward and of the training round (R1
and path length at their lazy intervals: one whole period of rounds is timed), against the sum
of the passes that a round needs, each timed alone (`ganlab.training.ideal`). Then alternatives to
what the networks do, in turn and several times: the grouped form of modulation, filters as two
one-dimensional passes, channels-first, penalties at every step, one forward for both sides'
steps, fp32 and bf16. Results go to `benchmarks/results/stylegan-DATE-DEVICE.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganlab.models import Fir, upfirdn
from ganlab.models.stylegan2 import StyledConv
from ganlab.recipes import Recipe, build, recipe, source
from ganlab.runs import pick_device, provenance
from ganlab.training import memory
from ganlab.training.ideal import seconds

#: The small networks of the course at 64 px; at 256 px the published rule of channels, narrowed.
PLANS: dict[int, Recipe] = {
    64: recipe("stylegan2-glyphs-64"),
    256: recipe("stylegan2-glyphs-64", size=256, batch=8).with_(
        generator={"channel_base": 4096}, discriminator={"channel_base": 4096}
    ),
}


class TwoPasses(nn.Module):
    """A `Fir` as a column's filter and then a row's: the separable form, for comparison."""

    def __init__(self, fir: Fir) -> None:
        super().__init__()
        self.fir = fir
        row = fir.kernel.sum(0) / fir.kernel.sum().sqrt()
        self.register_buffer("row", row)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H', W')."""
        fir, c = self.fir, x.shape[1]
        a = len(self.row)
        if fir.up > 1:  # zeros between, then the same two filters
            b, _, h, w = x.shape
            wide = x.new_zeros(b, c, h, fir.up, w, fir.up)
            wide[:, :, :, 0, :, 0] = x
            x = wide.reshape(b, c, h * fir.up, w * fir.up)
        x = nn.functional.pad(x, (*fir.pad, *fir.pad))
        k = self.row.to(x.dtype).flip(0)
        x = nn.functional.conv2d(
            x, k.view(1, 1, a, 1).expand(c, 1, a, 1), stride=(fir.down, 1), groups=c
        )
        return nn.functional.conv2d(
            x, k.view(1, 1, 1, a).expand(c, 1, 1, a), stride=(1, fir.down), groups=c
        )


def separable(network: nn.Module) -> None:
    """Replace every filter of a network by its separable form, in place."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Fir):
                setattr(module, name, TwoPasses(child))


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Case:
    """A game that plays whole periods of its lazy penalties, timed."""

    def __init__(self, plan: Recipe, data: Any, device: torch.device, form: str = "") -> None:
        self.plan, self.device = plan, device
        self.game, self.stream = build(plan, data, device)
        networks = [self.game.generator.network, self.game.discriminator.network]
        for network in networks:
            if form == "grouped":
                for m in network.modules():
                    if isinstance(m, StyledConv):
                        m.conv.form = "grouped"
            if form == "separable":
                separable(network)
        self.period = math.lcm(*(p.every for p in self.game.penalties)) if plan.penalties else 8
        self.game.round(self.stream)

    def turn(self) -> float:
        """Seconds per 1,000 images of one period of rounds."""
        wait(self.device)
        start = time.perf_counter()
        for _ in range(self.period):
            self.game.round(self.stream)
        wait(self.device)
        return (time.perf_counter() - start) / (self.period * self.plan.batch) * 1000

    def forward(self) -> float:
        """Seconds per 1,000 images of the generator alone, in eval mode."""
        g = self.game.generator.best
        z = self.game.latent(self.plan.batch)
        wait(self.device)
        start = time.perf_counter()
        with torch.no_grad(), self.game._autocast():
            for _ in range(8):
                g(z)
        wait(self.device)
        return (time.perf_counter() - start) / (8 * len(z)) * 1000

    def passes(self, repeats: int) -> dict[str, float]:
        """name -> seconds per 1,000 images of each needed pass."""
        found = seconds(self.game, next(self.stream), repeats)
        return {name: s / self.plan.batch * 1000 for name, s in found.items()}


def variants(plan: Recipe, device: torch.device) -> dict[str, tuple[Recipe, str]]:
    """name -> (recipe, form): the first is as the course trains."""
    every = {"r1": {"weight": 0.1, "every": 1}, "path-length": {"every": 1}}
    found = {
        "as trained": (plan, ""),
        "grouped modulation": (plan, "grouped"),
        "separable filters": (plan, "separable"),
        "channels first": (plan.with_(channels_last=False), ""),
        "penalties at every step": (plan.with_(penalties=every), ""),
        "no penalties": (plan.with_(penalties={"r1": None, "path-length": None}), ""),
        "one forward for both steps": (plan.with_(share_forward=True), ""),
        "fp32": (plan.with_(precision="fp32"), ""),
        "bf16": (plan.with_(precision="bf16"), ""),
    }
    if device.type == "cuda":
        found["bf16, channels last, compiled"] = (
            plan.with_(precision="bf16", compile=True), "",
        )  # fmt: skip
        found["fp32, channels first"] = (plan.with_(precision="fp32", channels_last=False), "")
    return found


def measure(size: int, device: torch.device, turns: int) -> dict[str, Any]:
    """The table of one size."""
    plan = PLANS[size]
    data = source(plan)
    cases = {
        name: Case(one, data, device, form) for name, (one, form) in variants(plan, device).items()
    }
    base = cases["as trained"]
    rounds: dict[str, list[float]] = {name: [] for name in cases}
    sums: list[dict[str, float]] = []
    forwards: list[float] = []
    for _ in range(turns):  # in turn: what else the machine does hits all alike
        for name, case in cases.items():
            rounds[name].append(case.turn())
        sums.append(base.passes(3))
        forwards.append(base.forward())
    passes = {k: statistics.median(s[k] for s in sums) for k in sums[0]}
    ratios = [r / sum(s.values()) for r, s in zip(rounds["as trained"], sums, strict=True)]
    result = {
        "recipe": json.loads(plan.to_json()),
        "parameters": {p.name: sum(w.numel() for w in p.network.parameters())
                       for p in base.game.players},
        "seconds_per_1000_images": {
            "generator forward": statistics.median(forwards),
            "round": {name: statistics.median(values) for name, values in rounds.items()},
            "needed passes": passes,
        },
        "round_to_passes": {"median": statistics.median(ratios), "all": ratios},
        "turns": turns,
        "provenance": provenance(plan, data, device),
    }  # fmt: skip
    print(f"\n{size} px, batch {plan.batch}, {turns} turns, seconds per 1,000 images")
    print(f"  generator forward            {statistics.median(forwards):8.2f}")
    for name, value in passes.items():
        print(f"  needed: {name:20s} {value:8.2f}")
    print(f"  sum of needed passes         {sum(passes.values()):8.2f}")
    print(f"  round / passes               {statistics.median(ratios):8.2f}")
    for name, values in rounds.items():
        ratio = statistics.median(values) / statistics.median(rounds["as trained"])
        print(f"  round: {name:30s} {statistics.median(values):8.2f}  {ratio:5.2f}x")
    return result


def check_separable() -> None:
    """The alternative is the same function, or its time says nothing."""
    x = torch.randn(2, 3, 8, 8)
    for fir in (Fir(up=2, pad=(2, 1), gain=4.0), Fir(down=2, pad=(1, 1)), Fir(pad=(2, 2))):
        expected = upfirdn(x, fir.kernel, fir.up, fir.down, fir.pad)
        assert torch.allclose(TwoPasses(fir)(x), expected, atol=1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, action="append", choices=PLANS, help="(default: all)")
    parser.add_argument("--turns", type=int, default=3, help="times that each is timed")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    args = parser.parse_args()
    device = pick_device(args.device)
    if device.type == "cpu":
        memory.keep()
    check_separable()
    result = {str(s): measure(s, device, args.turns) for s in args.size or PLANS}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    threads = f"-{torch.get_num_threads()}-threads" if device.type == "cpu" else ""
    path = Path(__file__).parent / "results" / (
        f"stylegan-{time.strftime('%Y-%m-%d')}-{name.replace(' ', '-').lower()}{threads}.json"
    )  # fmt: skip
    if path.exists():  # another size, timed on the same day
        result = json.loads(path.read_text(encoding="utf-8")) | result
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\n{path}")


if __name__ == "__main__":
    main()
