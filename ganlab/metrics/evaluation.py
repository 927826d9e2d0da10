"""Scores of one set of pictures against another, with all that a reader needs to judge them.

Whatever made the pictures: a run of this package, or anything that writes files. Beside every
score stands that of real pictures against other real ones, the best that can be expected.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab import progress
from ganlab.errors import DataError, GanlabError, unknown
from ganlab.metrics.arrays import picture_set
from ganlab.metrics.features import LEAST
from ganlab.metrics.frechet import fid
from ganlab.metrics.inception_score import inception_score
from ganlab.metrics.kernel import kid
from ganlab.metrics.neighbours import density_coverage, precision_recall
from ganlab.metrics.sliced import sliced_wasserstein
from ganlab.metrics.streaming import Statistics
from ganlab.models.latent import seeded

BATCH = 256
USUAL = 5000  # pictures, if there are so many
DEFAULT = ("fid", "kid", "pr", "dc")
METRICS = ("fid", "kid", "pr", "dc", "is", "swd")
#: Label and direction of each row that a metric gives.
ROWS = {
    "fid": ("Fréchet distance", "lower"),
    "kid": ("KID", "lower, 0 on average at best"),
    "precision": ("precision", "higher"),
    "recall": ("recall", "higher"),
    "density": ("density", "higher, 1 on average at best"),
    "coverage": ("coverage", "higher"),
    "is": ("Inception Score", "higher"),
    "swd": ("sliced Wasserstein", "lower"),
}
#: The metrics that need each feature vector, class probabilities, or the pictures themselves.
KEEP = {"features": {"kid", "pr", "dc"}, "probabilities": {"is"}, "images": {"swd"}}


def chosen(names: str | Iterable[str]) -> tuple[str, ...]:
    """The metrics of a list such as "fid,pr", each once.

    Raises:
        GanlabError: one is unknown, or none is named.
    """
    words = names.split(",") if isinstance(names, str) else [str(name) for name in names]
    words = [word.strip().lower() for word in words if word.strip()]
    for word in words:
        if word not in METRICS:
            raise GanlabError(unknown("metric", word, METRICS))
    if not words:
        raise GanlabError(f"no metric is named: choose from {', '.join(METRICS)}")
    return tuple(dict.fromkeys(words))


@dataclass(frozen=True)
class Pictures:
    """Pictures to score.

    Attributes:
        name: for the report.
        draw: (n, seed) -> batches of n pictures in all, (B, C, H, W) bytes.
        count: how many there are; None if a generator draws as many as are wanted.
    """

    name: str
    draw: Callable[[int, int], Iterator[Tensor]]
    count: int | None = None


@dataclass
class Seen:
    """What an extractor made of pictures: only what the metrics need is kept.

    Attributes:
        statistics: of the features, built up batch by batch.
        features: (N, D) float64.
        probabilities: (N, classes).
        images: (N, C * H * W) float64 in 0..255.
    """

    statistics: Statistics | None = None
    features: Tensor | None = None
    probabilities: Tensor | None = None
    images: Tensor | None = None

    def __add__(self, other: Seen) -> Seen:
        """Both together."""
        parts = [s for s in (self.statistics, other.statistics) if s is not None]
        statistics = Statistics(parts[0].dims) if parts else None
        for part in parts:
            assert statistics is not None
            statistics.merge(part)
        joined = {}
        for name in KEEP:
            rows = [x for x in (getattr(self, name), getattr(other, name)) if x is not None]
            joined[name] = torch.cat(rows) if rows else None
        return Seen(statistics, **joined)


def look(
    parts: Iterable[Tensor], total: int, judge: Any, metrics: Iterable[str], what: str
) -> Seen:
    """Run batches of pictures (B, C, H, W), `total` in all, through an extractor."""
    wanted = set(metrics)
    kept: dict[str, list[Tensor]] = {name: [] for name, users in KEEP.items() if wanted & users}
    statistics = None
    bar = progress.bar(total, what, "picture")
    for part in parts:
        if len(part) == 0:  # a cut without pictures: not every network takes none
            continue
        if "images" in kept:
            kept["images"].append(part.flatten(1).double())
        if wanted - KEEP["images"]:
            features, classes = _both(judge, part, "probabilities" in kept)
            statistics = statistics or Statistics(features.shape[1])
            statistics.update(features)
            if "features" in kept:
                kept["features"].append(features)
            if classes is not None:
                kept["probabilities"].append(classes)
        bar.update(len(part))
    bar.close()
    return Seen(statistics, **{name: torch.cat(rows) for name, rows in kept.items() if rows})


def _both(judge: Any, images: Tensor, classes: bool) -> tuple[Tensor, Tensor | None]:
    """Features and, if they are wanted, probabilities: in one pass where the extractor can."""
    if classes and hasattr(judge, "both"):
        return judge.both(images)
    return judge.features(images), judge.predict(images) if classes else None


def measure(metric: str, real: Seen, fake: Seen, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Row by row, the value of a metric with its spread and settings."""
    if metric == "fid":
        frechet = fid(real.statistics, fake.statistics)
        return {"fid": {"value": frechet.value, "mean_part": frechet.mean_part}}
    if metric == "is":
        assert fake.probabilities is not None
        found = inception_score(fake.probabilities, min(10, len(fake.probabilities)))
        return {"is": {"value": found.value, "spread": found.std, "splits": found.splits}}
    if metric == "swd":
        sliced = sliced_wasserstein(real.images, fake.images, seed=seed)
        about = {"stderr": sliced.stderr, "projections": sliced.projections}
        return {"swd": {"value": sliced.value, "space": "pixels, 0..255"} | about}
    x, y = real.features, fake.features
    assert x is not None
    assert y is not None
    if metric == "kid":
        size = min(1000, len(x), len(y))
        kernel = kid(x, y, 100 if size < len(x) else 1, size, seed)
        about = {"spread": kernel.std, "subsets": kernel.subsets, "subset_size": size}
        if not math.isnan(kernel.stderr):  # which JSON cannot hold
            about["stderr"] = kernel.stderr
        return {"kid": {"value": kernel.value} | about}
    if metric == "pr":
        pr = precision_recall(x, y)
        return {name: {"value": getattr(pr, name), "k": pr.k} for name in ("precision", "recall")}
    dc = density_coverage(x, y)
    return {name: {"value": getattr(dc, name), "k": dc.k} for name in ("density", "coverage")}


def evaluate(
    real: Any,
    fake: Pictures,
    judge: Any,
    metrics: Iterable[str] = DEFAULT,
    n: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Score pictures against real ones, and real ones against other real ones.

    Args:
        real: the reference, an `ImageSet`, from which the score and the floor take different
            pictures.
        fake: of the same size and channels.
        judge: from `ganlab.metrics.extractors.extractor`.
        metrics: of `METRICS`.
        n: pictures of each kind; by default 5000, or as many as leave as many real ones for the
            floor. If more are asked for, the floor has fewer, and a note says so.
        seed: of the choice of pictures, of latent vectors and of KID's subsets.

    Returns:
        A dictionary for JSON: `rows`, each with `value`, `floor`, `better` and settings; `n`,
        `floor_n`, `seed`, `features` (name and fingerprint), `resizer`, `accuracy`, `notes`. With
        "fid" it has the keys of `ganlab.metrics.scoring.score`.

    Raises:
        DataError: too few pictures, or a value that is not finite.
        GanlabError: a metric that is unknown, or that this extractor cannot serve; a number out
            of range.
    """
    metrics, draw = chosen(metrics), seeded(seed)
    real = picture_set(real, "real")
    n, floor_n, notes = _sizes(real, fake, n)
    if "is" in metrics:
        if getattr(judge, "task", "classes") != "classes":
            raise GanlabError(f"the Inception Score needs classes: {real.name} has none")
        if judge.predict(real.images[:1]) is None:
            raise GanlabError(f"the Inception Score needs classes, and {judge.name} has none")
    order = torch.randperm(len(real), generator=draw)
    # The score takes the first n; the floor one half against the other, of n if there are 2n.
    cuts = order[:floor_n], order[floor_n:n], order[n : 2 * floor_n]
    half, rest, other = (
        look((real.images[i] for i in cut.split(BATCH)), len(cut), judge, metrics, "real pictures")
        for cut in cuts
    )
    made = look(fake.draw(n, seed), n, judge, metrics, "pictures to score")
    rows: dict[str, dict[str, Any]] = {}
    bar = progress.bar(len(metrics), "metrics", "metric")
    for metric in metrics:
        try:
            found = measure(metric, half + rest, made, seed)
            floors = measure(metric, half, rest + other, seed)
        except DataError as error:
            raise DataError(f"{metric} of {fake.name}: {error}") from error
        for name, values in found.items():
            label, better = ROWS[name]
            for number in (values["value"], floors[name]["value"]):
                if not math.isfinite(number):
                    raise DataError(f"{label} of {fake.name} is {number}: nothing is scored")
            about = {"label": label, "better": better, "floor": floors[name]["value"]}
            rows[name] = about | values
        bar.update()
    bar.close()
    report: dict[str, Any] = {"kind": "scores"}
    if "fid" in rows:  # under the names of `scoring.score`
        report = {"kind": "frechet", "frechet": round(rows["fid"]["value"], 4)}
        report["floor"] = round(rows["fid"]["floor"], 4)
        report["mean_part"] = round(rows["fid"]["mean_part"], 4)
    return report | {
        "n": n,
        "floor_n": floor_n,
        "seed": seed,
        "dims": made.statistics.dims if made.statistics else 0,
        "features": f"{getattr(judge, 'name', 'classifier')}:{judge.fingerprint}",
        "task": getattr(judge, "task", ""),
        "accuracy": round(judge.accuracy, 4) if hasattr(judge, "accuracy") else None,
        "resizer": getattr(judge, "resizer", "none"),
        "data": real.name,
        "pictures": fake.name,
        "data_count": len(real),
        "shape": list(real.shape),
        "rows": rows,
        "notes": notes + ([real.note] if real.note else []),
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
    }


def enough(name: str, have: int, need: int = LEAST) -> None:
    """Refuse a set of fewer pictures than are needed for a score.

    Raises:
        DataError: saying how many there are, and how many it takes.
    """
    if have < need:
        plural = "" if have == 1 else "s"
        raise DataError(f"{name}: {have} picture{plural}, at least {need} are needed for a score")


def _sizes(real: Any, fake: Pictures, n: int | None) -> tuple[int, int, list[str]]:
    """Pictures for the score and for the floor, and what is to be said about them."""
    enough(real.name, len(real), 2 * LEAST)
    if fake.count is not None:
        enough(fake.name, fake.count)
    most = min(len(real), fake.count or len(real))
    if n is None:
        n = min(USUAL, most, len(real) // 2)
    elif n < LEAST:
        raise DataError(f"n must be at least {LEAST}, not {n}")
    notes = []
    if n > most:
        notes.append(f"{n:,} pictures were asked for: there are {most:,}")
        n = most
    floor_n = min(n, len(real) // 2)
    if floor_n < n:
        notes.append(
            f"the floor is that of {floor_n:,} real pictures against as many others, as the data"
            f" has no {2 * n:,}; at n = {n:,} a Fréchet distance's floor is lower"
        )
    return n, floor_n, notes
