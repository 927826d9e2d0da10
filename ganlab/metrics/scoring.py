"""Scores of a generator against the data it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganlab.data.stacked import stacked
from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import as_bytes, picture_set
from ganlab.metrics.features import Classifier, apart, classifier
from ganlab.metrics.frechet import fid
from ganlab.metrics.modes import mode_coverage
from ganlab.metrics.stacked import SAMPLES, StackJudge, stack_judge, stacked_modes
from ganlab.models.latent import seeded

#: What scores must agree in to stand in one table.
SAME = ("kind", "features", "resizer", "data", "n", "modes_n")


def score(
    sample: Any,
    data: Any,
    points: bool,
    n: int = 5000,
    seed: int = 0,
    modes: int = SAMPLES,
) -> dict[str, Any]:
    """Scores of `sample(n, seed)` against `data`, as in `Run.evaluate`.

    Of pictures, at most half of those that `learned` leaves are taken for each side of the floor.
    For stacks of digits, `modes` samples are drawn, the first `n` of which have the Fréchet
    distance; all are sorted into modes.

    Raises:
        DataError: too few pictures, no modes to count, or samples that are not finite.
        RecipeError: `n`, `seed` or `modes` is out of range.
    """
    draw, n, modes = seeded(seed), at_least("n", n), at_least("modes", modes)
    if points:
        n = min(n, 2500)  # the published protocol
        if getattr(data, "centers", None) is None:
            name = getattr(data, "name", type(data).__name__)
            raise DataError(f"'{name}' has no modes to count: look at the samples instead")
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
    if len(picture_set(data)) < 4:
        raise DataError(f"{len(data)} pictures are too few to score against")
    judge, data = learned(data)
    n = min(n, len(data) // 2)
    order = torch.randperm(len(data), generator=draw)
    first, second = (judge.features(data.batch(part)) for part in (order[:n], order[n : 2 * n]))
    # Rounded to bytes like the data: a picture that is stored and read must score the same.
    images = as_bytes(sample(max(n, modes) if stacked(data) else n, seed))
    distance, floor = fid(first, judge.features(images[:n])), fid(first, second)
    counted = {}
    if isinstance(judge, StackJudge):
        counted = _count(images, data.images[order[:modes]], judge, modes)
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
        "resizer": getattr(judge, "resizer", "none"),
        "data": data.name,
        **counted,
    }


def learned(data: Any, **where: Any) -> tuple[Classifier | StackJudge, Any]:
    """The classifier of a data set, and the pictures of it that scores may take.

    Of few pictures it learns from one half, and scores take the other: see
    `ganlab.metrics.features.apart`.

    Args:
        data: an `ImageSet`.
        **where: `device` and `seed`, as for `ganlab.metrics.classifier`.

    Raises:
        DataError: something else than an `ImageSet`, or too few pictures.
    """
    data = picture_set(data)
    if stacked(data):
        return stack_judge(data, **where), data
    learn, rest = apart(data)
    return classifier(learn, **where), rest


def count_modes(
    sample: Any, data: Any, judge: StackJudge, seed: int = 0, samples: int = SAMPLES
) -> dict[str, Any]:
    """Modes of stacked digits that `sample(n, seed)` covers, and, for the floor, real ones."""
    order = torch.randperm(len(data), generator=seeded(seed))
    return _count(as_bytes(sample(samples, seed)), data.images[order[:samples]], judge, samples)


def _count(fake: Tensor, real: Tensor, judge: StackJudge, samples: int) -> dict[str, Any]:
    """Modes of stacked digits, generated and, for the floor, real."""
    got, floor = stacked_modes(fake, judge, samples), stacked_modes(real, judge, samples)
    return {
        "modes": got.modes,
        "found": got.found,
        "good": got.good,
        "found_good": got.found_good,
        "reverse_kl": got.reverse_kl,
        "real_found": floor.found,
        "real_good": floor.good,
        "real_reverse_kl": floor.reverse_kl,
        "modes_n": got.samples,
    }


def obeyed(sample: Any, data: Any, n: int = 5000, seed: int = 0) -> float:
    """Share of samples in which the classifier of the data reads the class that was asked for.

    Args:
        sample: `sample(n, seed, labels)` gives n pictures of these classes.
        data: an `ImageSet` with labels; its classes are asked for in turn.
        n, seed: of the samples.

    Raises:
        DataError: data without classes, or samples that are not finite.
        RecipeError: `n` is no count.
    """
    data, n = picture_set(data, labelled=True), at_least("n", n)
    judge: Any = learned(data)[0]
    labels = torch.arange(n) % len(data.classes)
    read = judge.predict(as_bytes(sample(n, seed, labels))).argmax(1)
    return round(float((read == labels).double().mean()), 4)


@torch.no_grad()
def recognised(network: Any, data: Any, n: int = 5000) -> dict[str, Any]:
    """Scores of a classifier: its accuracy on the first n pictures of `data`, 0 to 1.

    Raises:
        DataError: data without classes.
        RecipeError: `n` is no count.
    """
    data = picture_set(data, labelled=True)
    n = min(at_least("n", n), len(data))
    rows = torch.arange(n).split(256)
    right = sum(int((network(data.batch(r)).argmax(1) == data.labels[r]).sum()) for r in rows)
    return {"kind": "accuracy", "accuracy": round(right / n, 4), "n": n, "data": data.name}


def compare(*scores: dict[str, Any]) -> None:
    """Check that scores may stand in one table; return nothing if they may.

    Numbers of different features, resizers, references or sample counts are on different scales,
    and a difference between them says nothing.

    Args:
        scores: dictionaries of `score`, `Run.evaluate` or `ganlab evaluate`.

    Raises:
        DataError: one line that says in what they differ.
    """
    if not all(isinstance(s, Mapping) for s in scores):
        raise DataError("scores are dictionaries, as Run.evaluate returns them")
    for what in SAME:
        found = {str(s[what]): None for s in scores if s.get(what) is not None}
        if len(found) > 1:
            raise DataError(
                f"scores that cannot be compared: {what} is {' and '.join(found)}; score them again"
                " with the same"
            )


def verdict(scores: dict[str, Any]) -> str:
    """The scores on one line, for people.

    Raises:
        DataError: they are none.
    """
    if not isinstance(scores, Mapping) or "kind" not in scores:
        raise DataError("no scores: a dictionary with 'kind' expected, as Run.evaluate returns it")
    if scores["kind"] == "accuracy":
        return f"accuracy {scores['accuracy']:.1%} on {scores['n']:,} pictures of {scores['data']}"
    if scores["kind"] == "modes":
        return (
            f"{scores['found']} of {scores['modes']} modes found, {scores['good']:.1%} good samples"
            f" (exact samples: {scores['real_found']} and {scores['real_good']:.1%}),"
            f" reverse KL {scores['reverse_kl']:.3f}, n = {scores['n']}"
        )
    counted = f"; {scores['obeyed']:.1%} of the asked class" if "obeyed" in scores else ""
    if "modes" in scores:
        counted = (
            f"; {scores['found']} of {scores['modes']} modes found, reverse KL"
            f" {scores['reverse_kl']:.3f} (real: {scores['real_found']} and"
            f" {scores['real_reverse_kl']:.3f}, n = {scores['modes_n']})"
        )
    return (
        f"Fréchet distance {scores['frechet']:.2f}; real against real {scores['floor']:.2f}"
        f" (n = {scores['n']}, {scores['dims']}-d {scores['features']},"
        f" accuracy {scores['accuracy']:.1%}){counted}"
    )
