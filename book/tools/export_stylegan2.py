"""Write the generators of the live figures in chapters 10 and 11 for their pages.

``python book/tools/export_stylegan2.py`` reads two published StyleGAN2 generators and writes into
``book/static/live``: ``stylegan2-weights.js`` and ``digits-weights.js``, the weights with all
constant factors multiplied in, as 16-bit integers in base64 (a weight is its integer times its
tensor's scale), with the mean of w; of the first the principal directions of W, of the second,
which is conditional, a vector and a mean of w for each class. ``stylegan2.png`` and ``digits.png``
are the pictures that stand in where there is no JavaScript. They show what torch draws for the
pages' seeds, so that the browser tests can compare.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganlab import latent, plots
from ganlab.models import HE, EqualLinear
from ganlab.models.stylegan2 import Generator
from ganlab.runs import published

RESULT = "stylegan2-glyphs-64"
DIGITS = "stylegan2-mnist-classes"
TARGET = Path(__file__).resolve().parents[1] / "static" / "live"
SEEDS = (1, 18)  # of pictures A and B when the page opens
DIRECTIONS = 4
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # columns of the stand-in picture
HANDS = (1, 2, 3, 4)  # seeds of the handwritings when the page opens


def normals(seed: int, length: int) -> list[float]:
    """Standard normal numbers from a seed, the same as on the page (mulberry32, Box and Muller)."""
    state, found = seed & 0xFFFFFFFF, []

    def uniform() -> float:
        nonlocal state
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ (state >> 15)) * (1 | state)) & 0xFFFFFFFF
        t = ((t + (((t ^ (t >> 7)) * (61 | t)) & 0xFFFFFFFF)) & 0xFFFFFFFF) ^ t
        return (t ^ (t >> 14)) / 4294967296

    for _ in range(length):
        radius = math.sqrt(-2 * math.log(1 - uniform()))
        found.append(radius * math.cos(2 * math.pi * uniform()))
    return found


def latents(seeds: tuple[int, ...], length: int) -> Tensor:
    """(len(seeds), length) latent vectors."""
    return torch.tensor([normals(seed, length) for seed in seeds])


def linear(layer: EqualLinear) -> dict[str, Tensor]:
    """Weight and bias as they are used."""
    assert layer.bias is not None
    return {"weight": layer.weight * layer.scale, "bias": layer.bias * layer.bias_scale}


def tensors(g: Generator, directions: Tensor | None) -> dict[str, Tensor]:
    """Everything that the page needs, by name."""
    made = {"mean": g.average, "start": g.start}
    if directions is not None:
        made["directions"] = directions
    if g.mapping.embed is not None:  # its column k, and its bias, are what class k becomes
        embed = linear(g.mapping.embed)
        made["classes"] = (embed["weight"] + embed["bias"][:, None]).T.contiguous()
        ones = [latent.of_class(g, k) for k in range(g.classes)]
        made["means"] = torch.stack([one.average for one in ones])

    def add(name: str, values: dict[str, Tensor]) -> None:
        made.update({f"{name}.{key}": value for key, value in values.items()})

    for i, layer in enumerate(g.mapping.layers):
        add(f"mapping.{i}", linear(layer))  # type: ignore[arg-type]
    for i, styled in enumerate(g.layers):
        conv, noise = styled.conv, styled.noise
        add(f"layers.{i}.affine", linear(conv.affine))
        add(f"layers.{i}", {
            "weight": conv.weight * conv.scale,
            "bias": styled.bias * HE,
            "noise": noise.fixed * noise.strength * noise.gain,
        })  # fmt: skip
    for i, pixels in enumerate(g.to_pixels):
        conv = pixels.conv
        add(f"pictures.{i}.affine", linear(conv.affine))
        add(f"pictures.{i}", {"weight": conv.weight * conv.scale, "bias": pixels.bias})
    return {key: value.detach().double().flatten() for key, value in made.items()}


def moves(g: Generator, count: int = DIRECTIONS, n: int = 10_000) -> tuple[Tensor, list[float]]:
    """The first principal directions of W, one standard deviation long, and their shares of the
    variance."""
    found = latent.ganspace(g, n, g.average.numel(), seed=0)
    shares = (found.values / found.values.sum())[:count]
    return found.vectors[:count] * found.values[:count, None].sqrt(), shares.tolist()


def pack(g: Generator, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    """What the page loads: sizes, names and scales, and the weights in base64."""
    widths = [styled.conv.weight.shape[0] for styled in g.layers[::2]]
    if not g.skip or any(w % 2 for w in widths):
        raise ValueError("the page draws skip generators with even widths")
    directions, shares = (None, []) if g.classes else moves(g)
    table, integers = [], []
    for name, values in tensors(g, directions).items():
        scale = values.abs().max().item() / 32767 or 1.0
        table.append([name, values.numel(), float(f"{scale:.9g}")])
        integers.append((values / table[-1][2]).round().clamp(-32767, 32767).numpy())
    data = np.concatenate(integers).astype("<i2").tobytes()
    return {
        "size": g.size,
        "channels": g.channels,
        "latent": g.latent,
        "style": g.average.numel(),
        "classes": g.classes,
        "mapping": len(g.mapping.layers),
        "widths": widths,
        "seeds": list(seeds),
        "shares": [round(share, 4) for share in shares],
        "tensors": table,
        "weights": base64.b64encode(data).decode(),
    }


def script(packed: dict[str, Any], name: str = "ganlabStylegan2") -> str:
    """The file that the page loads."""
    return f"globalThis.{name} = {json.dumps(packed, separators=(',', ':'))};\n"


def reference(g: Generator, seeds: tuple[int, int] = SEEDS) -> Tensor:
    """(15, C, n, n): three rows of five pictures of the two seeds.

    From A to B along a line in W; then half-way, with more and more of its distance from the
    mean (truncation 0 to 1); then A with B's styles from layer 0, a quarter, ..., L on.
    """
    layers = g.layers_used
    with torch.no_grad():
        a, b = g.mapping(latents(seeds, g.latent))
        rows = [torch.lerp(a, b, t).expand(1, layers, -1) for t in STEPS]
        half = torch.lerp(a, b, 0.5).expand(1, layers, -1)
        rows += [g.truncate(half, psi) for psi in STEPS]
        pair = a.expand(1, layers, -1), b.expand(1, layers, -1)
        rows += [g.mixed(*pair, round(layers * share)) for share in STEPS]
        return torch.cat([g.synthesis(ws, "fixed") for ws in rows])


def handwritten(g: Generator, seeds: tuple[int, ...] = HANDS) -> Tensor:
    """(4 · classes, C, n, n): a row for each handwriting, a column for each class."""
    z = latents(seeds, g.latent).repeat_interleave(g.classes, 0)
    with torch.no_grad():
        return g(z, torch.arange(g.classes).repeat(len(seeds)), noise="fixed")


def published_generator(name: str = RESULT) -> Generator:
    """The published generator."""
    network: nn.Module = published.load(name)
    assert isinstance(network, Generator)
    return network


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    g, digits = published_generator(), published_generator(DIGITS)
    for name, text in (
        ("stylegan2-weights.js", script(pack(g))),
        ("digits-weights.js", script(pack(digits, HANDS), "ganlabDigits")),
    ):
        (TARGET / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text) / 1000:.0f} kB")
    plots.save_grid(reference(g), TARGET / "stylegan2.png", columns=len(STEPS), zoom=1)
    plots.save_grid(handwritten(digits), TARGET / "digits.png", columns=digits.classes, zoom=1)


if __name__ == "__main__":
    main()
