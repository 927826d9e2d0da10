"""Write the generator of the live figure in chapter 4 for the page.

``python book/tools/export_dcgan.py`` reads the stored generator of the result *dcgan-mnist*, merges
every BatchNorm into the layer before it, and writes ``book/static/live/dcgan-weights.js`` (layer
sizes, biases, and the weights as 16-bit integers in base64; a weight is its integer times its
layer's scale) and ``dcgan.png``, the picture that stands in where there is no JavaScript.
"""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganlab import lab, plots
from ganlab.recipes import Recipe, networks

RESULT = "dcgan-mnist"
TARGET = Path(__file__).resolve().parents[1] / "static" / "live"


def stored_generator() -> nn.Module:
    """The stored generator, in eval mode.

    Raises:
        GanlabError: the result is not stored.
    """
    folder = lab.results(RESULT)
    result = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    plan = Recipe.from_json(json.dumps(result["recipe"]))
    network, _ = networks(plan, tuple(result["shape"]))
    network.load_state_dict(load_file(folder / "generator.safetensors"))
    return network.eval().requires_grad_(False)


def folded(network: nn.Module) -> list[tuple[nn.ConvTranspose2d, Tensor, Tensor]]:
    """Each transposed convolution with its weight and bias after merging its BatchNorm."""
    layers = list(network.layers)  # type: ignore[arg-type]
    found = []
    for layer, after in pairwise(layers):
        if not isinstance(layer, nn.ConvTranspose2d):
            continue
        weight = layer.weight.double()
        bias = torch.zeros(layer.out_channels, dtype=torch.float64)
        if layer.bias is not None:
            bias = layer.bias.double()
        if isinstance(after, nn.BatchNorm2d):
            assert after.running_var is not None
            assert after.running_mean is not None
            gain = after.weight.double() / (after.running_var.double() + after.eps).sqrt()
            weight = weight * gain[None, :, None, None]
            bias = gain * (bias - after.running_mean.double()) + after.bias.double()
        found.append((layer, weight, bias))
    return found


def pack(network: nn.Module) -> dict[str, Any]:
    """What the page loads: sizes, scales, biases, and the weights in base64."""
    sizes, scales, biases, integers = [], [], [], []
    for layer, weight, bias in folded(network):
        # (in, out, k, k), the order of the loops on the page
        scale = weight.abs().max().item() / 32767
        sizes.append([layer.in_channels, layer.out_channels, layer.kernel_size[0],
                      layer.stride[0], layer.padding[0]])  # fmt: skip
        scales.append(scale)
        biases.append([round(b, 6) for b in bias.tolist()])
        integers.append((weight / scale).round().to(torch.int16).flatten().numpy())
    data = np.concatenate(integers).astype("<i2").tobytes()
    return {
        "sizes": sizes,
        "scales": scales,
        "biases": biases,
        "weights": base64.b64encode(data).decode(),
    }


def main() -> None:
    network = stored_generator()
    text = json.dumps(pack(network), separators=(",", ":"))
    TARGET.mkdir(parents=True, exist_ok=True)
    script = TARGET / "dcgan-weights.js"
    script.write_text(f"globalThis.ganlabDcgan = {text};\n", encoding="utf-8")
    z = network.sample_latent(32, torch.Generator().manual_seed(0))  # type: ignore[operator]
    with torch.no_grad():
        plots.save_grid(network(z), TARGET / "dcgan.png", columns=8, zoom=1)
    print(f"{script.name}: {script.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
