"""From growing to weight modulation, one step at a time, over seeds (chapter 10).

    python benchmarks/style_steps.py --seeds 3 --images 50000

Each row is one small network pair on digits drawn at 32 px, all with the same channels, data,
batch and number of images. Besides the scores, three things are measured on each trained
generator that the papers show as pictures:

* `peak`: the largest |activation| of a feature map over the map's root mean square, the median
  over samples of the largest over channels, at each resolution. A droplet is a few places that
  dwarf the rest of their map (Karras et al. 2020, StyleGAN2, Sec. 2).
* `phase`: how far the places of the drawn characters, modulo a coarse grid's pixel, are from
  evenly spread, as the length of their mean phase vector, 0 to 1 (Sec. 4: details that stick to
  preferred places). Real pictures give the floor.
* `ppl_z`, `ppl_w`: path lengths in the features of the judge (Karras et al. 2019, Sec. 4.1).

Runs are kept under `runs/publish/` and go on where they were killed.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import publish
import torch
from torch import Tensor, nn

from ganlab import plots
from ganlab.data import to_float, to_uint8
from ganlab.metrics import learned, ppl, prdc
from ganlab.models.progan import GeneratorBlock
from ganlab.models.stylegan import AdaIN
from ganlab.models.stylegan2 import StyledConv
from ganlab.recipes import Recipe, recipe, source

NARROW: dict[str, Any] = {"channel_base": 512}
GROW: dict[str, Any] = {"growing": True, "first": 8}
STILL: dict[str, Any] = {"growing": False}
#: The recipes' 0.1 and 0.9 are for longer runs: in ones as short as these they left StyleGAN with
#: one shape in all colours.
R1 = 1.0
MIXING: dict[str, Any] = {"mixing": 0.5}


def settings(images: int) -> dict[str, dict[str, Any]]:
    """label -> the recipe's name and what is changed; phases are shares of the run."""
    phase = {"hold": images // 8, "fade": images // 8}

    def row(name: str, both: dict[str, Any], **penalties: Any) -> dict[str, Any]:
        styles = {} if name.startswith("progan") else MIXING
        return {"recipe": name, "generator": both | styles, "discriminator": both,
                "penalties": penalties}  # fmt: skip

    lazy = {"r1": {"weight": R1, "every": 16}}
    return {
        "one size, WGAN-GP": row("progan-glyphs", STILL),
        "growing": row("progan-glyphs", GROW | phase),
        "styles, growing": row("stylegan-glyphs", GROW | phase, r1=R1),
        "styles, one size": row("stylegan-glyphs", STILL, r1=R1),
        "modulation": row("stylegan2-glyphs", {}, **lazy, **{"path-length": None}),
        "modulation, path length": row("stylegan2-glyphs", {}, **lazy),
    }


def plan(changes: dict[str, Any], images: int, seed: int) -> Recipe:
    """The recipe of one run."""
    changes = dict(changes)
    base = recipe(changes.pop("recipe"))
    base = base.with_(generator=NARROW, discriminator=NARROW)
    steps = images // base.batch
    return base.with_(
        **changes, seed=seed, steps=steps, sample_every=steps // 6, checkpoint_every=500
    )


@torch.no_grad()
def peaks(generator: nn.Module, z: Tensor) -> dict[str, float]:
    """resolution -> max |activation| / rms of a map: largest over channels, median over z.

    The maps are what AdaIN measures, or what a styled convolution or a block of ProGAN's makes.
    """
    found: dict[str, float] = {}

    def look(x: Tensor) -> None:
        flat = x.flatten(2).double()
        rms = flat.square().mean(2).sqrt()
        alive = rms > 1e-3 * rms.amax(1, keepdim=True)  # a silent channel has no droplet
        ratio = torch.where(alive, flat.abs().amax(2) / rms.clamp_min(1e-12), 0.0)
        size = str(x.shape[-1])
        found[size] = max(found.get(size, 0.0), float(ratio.amax(1).median()))

    hooks = []
    for m in generator.modules():
        if isinstance(m, AdaIN):
            hooks.append(m.register_forward_pre_hook(lambda _, inputs: look(inputs[0])))
        elif isinstance(m, StyledConv | GeneratorBlock):
            hooks.append(m.register_forward_hook(lambda _, __, x: look(x)))
    try:
        generator(z)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def centres(pictures: Tensor) -> Tensor:
    """(N, 2): centre of what differs from the paper, in pixels; the paper is the border's median.

    Args:
        pictures: (N, C, n, n).
    """
    n = pictures.shape[-1]
    border = torch.cat([pictures[..., 0], pictures[..., -1], pictures[..., 0, :],
                        pictures[..., -1, :]], 2)  # fmt: skip
    paper = border.median(2).values[..., None, None]
    weight = (pictures - paper).abs().sum(1)
    weight = torch.where(weight > 0.5 * weight.amax((1, 2), keepdim=True), weight, 0.0)
    total = weight.sum((1, 2)).clamp_min(1e-6)
    at = torch.arange(n) + 0.5
    return torch.stack(
        [(weight.sum(1) * at).sum(1) / total, (weight.sum(2) * at).sum(1) / total], 1
    )


def phases(pictures: Tensor, cells: tuple[int, ...] = (2, 4, 8)) -> dict[str, float]:
    """cell in pixels -> length of the mean of exp(2πi · centre / cell), both axes averaged."""
    place = centres(pictures)
    turned = {c: 2 * math.pi * place / c for c in cells}
    return {
        str(c): float((a.cos().mean(0).square() + a.sin().mean(0).square()).sqrt().mean())
        for c, a in turned.items()
    }


def measures(run: Any, data: Any, judge: Any) -> dict[str, Any]:
    """What the scores do not say: precision and recall, path lengths, peaks, phases."""
    g = run.generator()
    z = g.sample_latent(256, torch.Generator().manual_seed(1))
    fake = to_uint8(run.sample(5000, seed=1))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(1))[:5000]
    real = data.images[order]
    four = prdc(judge.features(to_float(real)), judge.features(to_float(fake)))

    def apart(a: Tensor, b: Tensor) -> Tensor:
        return (judge.features(a) - judge.features(b)).square().sum(1)

    lengths: dict[str, float | None] = {"ppl_z": None, "ppl_w": None}
    lengths["ppl_z"] = float(ppl(g, apart, n=2000, space="z", eps=1e-2))
    if hasattr(g, "mapping"):
        layers = g.layers_used

        def drawn(w: Tensor) -> Tensor:
            return g.synthesis(w[:, None].expand(-1, layers, -1))

        lengths["ppl_w"] = float(
            ppl(drawn, apart, n=2000, space="w", eps=1e-2, mapping=g.mapping, latent=g.latent)
        )
    return {
        "precision": four.precision,
        "recall": four.recall,
        "density": four.density,
        "coverage": four.coverage,
        **lengths,
        "peak": peaks(g, z),
        "phase": phases(to_float(fake)),
        "phase_real": phases(to_float(real)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=50_000, help="real ones shown to each")
    parser.add_argument("--title", default="style-steps", help="name of the result")
    parser.add_argument("--only", action="append", metavar="LABEL", help="this row alone")
    publish.may_be_dirty(parser)
    args = parser.parse_args()
    publish.clean(args.dirty)
    rows = settings(args.images)
    folder = publish.RESULTS / args.title
    folder.mkdir(parents=True, exist_ok=True)
    data = source(plan(next(iter(rows.values())), args.images, 0))
    judge, rest = learned(data)
    found: list[Any] = []
    stored: dict[str, Any] = {label: [] for label in rows}
    for seed in range(args.seeds):
        for i, (label, changes) in enumerate(rows.items()):
            if args.only and label not in args.only:
                continue
            one = plan(changes, args.images, seed)
            run = publish.train(
                one, publish.ROOT / "runs" / "publish" / f"{args.title}-{i}-{seed}", data
            )
            found.append(run)
            row = publish.entry(run) | {"measures": measures(run, rest, judge)}
            stored[label].append(row)
            if seed == 0:
                plots.save_grid(run.sample(16, seed=0), folder / f"{i}.png", columns=4)
            print(f"{label} seed {seed}: {run.scores['frechet']} {row['measures']}", flush=True)
            made = publish.about(found[0].recipe, found)
            done = {label: runs for label, runs in stored.items() if runs}
            result = made | {"images": args.images, "settings": rows, "rows": done}
            (folder / "results.json").write_text(
                json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8"
            )


if __name__ == "__main__":
    main()
