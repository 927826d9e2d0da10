"""Train the small generator of the live figure in chapter 1 and write its weights for the page.

``python book/tools/export_ring.py`` plays the recipe *mlp-ring* with a narrow generator (about a
minute on one core), keeps snapshots on the way, and writes ``book/static/live/ring-weights.js``:
the layer sizes, the snapshots' rounds and scores, and all weights as 16-bit integers in base64.
A weight is its integer times the snapshot's scale. ``--run FOLDER`` writes the snapshots of an
earlier training, kept by ``--keep FOLDER``, without training again.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganlab import train
from ganlab.data import toy
from ganlab.metrics import mode_coverage
from ganlab.training import Callback, Referee

TARGET = Path(__file__).resolve().parents[1] / "static" / "live" / "ring-weights.js"
ROUNDS = (0, 20, 50, 100, 150, 200, 300, 500, 1000, 2000, 4000, 8000)
STD, SEED = 0.05, 4
GENERATOR = {"latent": 2, "width": 24, "depth": 3}


class Snapshots(Callback):
    """The generator's weights, flat and in the network's order, at the given rounds."""

    def __init__(self, rounds: tuple[int, ...]) -> None:
        self.rounds = rounds
        self.taken: dict[str, Tensor] = {}

    def _take(self, trainer: Referee) -> None:
        if trainer.step in self.rounds:
            network = trainer.game.generator.network
            flat = [p.detach().reshape(-1).cpu() for p in network.parameters()]
            self.taken[str(trainer.step)] = torch.cat(flat).clone()

    def on_start(self, trainer: Referee) -> None:
        self._take(trainer)

    def on_log(self, trainer: Referee, record: dict[str, Any]) -> None:
        self._take(trainer)


def forward(weights: Tensor, sizes: list[int], z: Tensor) -> Tensor:
    """What the page computes: linear layers with ReLU between them, (n, 2) -> (n, 2)."""
    at, x = 0, z
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        matrix = weights[at : at + a * b].view(b, a)
        bias = weights[at + a * b : at + a * b + b]
        at += a * b + b
        x = x @ matrix.T + bias
        if i < len(sizes) - 2:
            x = x.relu()
    return x


def play() -> dict[str, Tensor]:
    """Train and return the snapshots, by round."""
    snapshots = Snapshots(ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        train(
            "mlp-ring",
            Path(folder) / "run",
            data=toy.ring(std=STD),
            generator=GENERATOR,
            batch=256,
            betas=(0.0, 0.99),
            schedule="linear",
            steps=ROUNDS[-1],
            seed=SEED,
            device="cpu",
            evaluate=False,
            log_every=10,
            sample_every=0,
            checkpoint_every=0,
            callbacks=[snapshots],
        )
    return snapshots.taken


def script(taken: dict[str, Tensor]) -> str:
    """Return the text of ``ring-weights.js``; checks that rounding moves no point visibly."""
    width, depth = GENERATOR["width"], GENERATOR["depth"]
    sizes = [GENERATOR["latent"], *[width] * depth, 2]
    z = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    data = toy.ring(std=STD)
    rounds = sorted(int(step) for step in taken)
    scales, found, good, blob = [], [], [], b""
    for step in rounds:
        weights = taken[str(step)]
        scale = float(weights.abs().max()) / 32767
        whole = torch.round(weights / scale).to(torch.int16)
        points = forward(whole.float() * scale, sizes, z)
        moved = (points - forward(weights, sizes, z)).abs().max()
        assert moved < 0.01, f"round {step}: rounding moves a point by {moved:.3f}"
        score = mode_coverage(points, data.centers, STD)
        scales.append(float(f"{scale:.6g}"))
        found.append(score.found)
        good.append(round(score.good, 3))
        blob += whole.numpy().astype("<i2").tobytes()
    record = {
        "sizes": sizes,
        "rounds": rounds,
        "scales": scales,
        "found": found,
        "good": good,
        "std": STD,
        "seed": SEED,
        "weights": base64.b64encode(blob).decode(),
    }
    note = "// Written by book/tools/export_ring.py: snapshots of a generator on the ring.\n"
    return f"{note}window.RING_WEIGHTS = {json.dumps(record)};\n"


def read(text: str) -> tuple[dict[str, Any], list[Tensor]]:
    """Return the record and the snapshots' weights that `script` wrote (for tests)."""
    record = json.loads(text.split("=", 1)[1].rstrip().rstrip(";"))
    whole = np.frombuffer(base64.b64decode(record["weights"]), "<i2").astype(np.float32)
    parts = whole.reshape(len(record["rounds"]), -1)
    return record, [torch.tensor(p) * s for p, s in zip(parts, record["scales"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, help="folder of an earlier training: do not train")
    parser.add_argument("--keep", type=Path, help="folder in which the snapshots are kept")
    arguments = parser.parse_args()
    stored = arguments.run and load_file(arguments.run / "snapshots.safetensors")
    taken = stored or play()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        save_file(taken, arguments.keep / "snapshots.safetensors")
    text = script(taken)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    record, _ = read(text)
    for step, found, good in zip(record["rounds"], record["found"], record["good"]):
        print(f"round {step:5d}: {found} of 8 modes, {good:.1%} good samples")
    print(f"{TARGET.name}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
