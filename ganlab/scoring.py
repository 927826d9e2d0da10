"""Scores of a generator against the data it was trained on."""

from __future__ import annotations

from typing import Any

import torch

from ganlab.errors import DataError
from ganlab.metrics import classifier, fid, mode_coverage


def score(sample: Any, data: Any, points: bool, n: int = 5000, seed: int = 0) -> dict[str, Any]:
    """Scores of `sample(n, seed)` against `data`, as in `Run.evaluate`."""
    draw = torch.Generator().manual_seed(seed)
    if points:
        n = min(n, 2500)  # the published protocol
        if data.centers is None:
            raise DataError(f"'{data.name}' has no modes to count: look at the samples instead")
        fake = mode_coverage(sample(n, seed), data.centers, data.std)
        real = mode_coverage(data.sample(n, generator=draw), data.centers, data.std)
        return {
            "kind": "modes",
            "modes": fake.modes,
            "found": fake.found,
            "good": fake.good,
            "reverse_kl": fake.reverse_kl,
            "real_found": real.found,
            "real_good": real.good,
            "n": n,
            "seed": seed,
        }
    n = min(n, len(data) // 2)
    if n < 2:
        raise DataError(f"{len(data)} pictures are too few to score against")
    order = torch.randperm(len(data), generator=draw)
    judge = classifier(data)
    first, second = (judge.features(data.batch(part)) for part in (order[:n], order[n : 2 * n]))
    fake_images = sample(n, seed)
    # Rounded to bytes like the data: a picture that is stored and read must score the same.
    fake_images = ((fake_images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    distance, floor = fid(first, judge.features(fake_images)), fid(first, second)
    return {
        "kind": "frechet",
        "frechet": round(distance.value, 4),
        "floor": round(floor.value, 4),
        "mean_part": round(distance.mean_part, 4),
        "n": n,
        "seed": seed,
        "dims": distance.dims,
        "features": f"classifier:{judge.fingerprint}",
        "task": judge.task,
        "accuracy": round(judge.accuracy, 4),
        "data": data.name,
    }


def verdict(scores: dict[str, Any]) -> str:
    """The scores on one line, for people."""
    if scores["kind"] == "modes":
        return (
            f"{scores['found']} of {scores['modes']} modes found, {scores['good']:.1%} good samples"
            f" (exact samples: {scores['real_found']} and {scores['real_good']:.1%}),"
            f" reverse KL {scores['reverse_kl']:.3f}, n = {scores['n']}"
        )
    return (
        f"Fréchet distance {scores['frechet']:.2f}; real against real {scores['floor']:.2f}"
        f" (n = {scores['n']}, {scores['dims']}-d {scores['features']},"
        f" accuracy {scores['accuracy']:.1%})"
    )
