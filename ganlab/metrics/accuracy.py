"""Classification accuracy score: what a classifier learns from generated pictures.

Ravuri and Vinyals 2019: train a classifier on pictures of a conditional generator, with the
classes that were asked for, and test it on real ones. A class that is missing, wrong or of one
kind only costs accuracy, which no distance between features shows class by class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.data.imageset import ImageSet
from ganlab.devices import present
from ganlab.errors import DataError, at_least
from ganlab.metrics import features
from ganlab.metrics.arrays import as_bytes
from ganlab.metrics.result import Scalar
from ganlab.models.latent import SEEDS


@dataclass(frozen=True)
class ClassificationAccuracy(Scalar):
    """Accuracy on held-out real pictures, of two classifiers trained in the same way.

    Attributes:
        value: trained on generated pictures, in [0, 1].
        real: trained on real ones: what `value` would be for a perfect generator.
        per_class: accuracy of the first on each class; NaN where none was held out.
        n_real, n_fake, n_held_out: pictures.
        steps: of either training.
        seed: of either training.
    """

    value: float
    real: float
    per_class: tuple[float, ...]
    n_real: int
    n_fake: int
    n_held_out: int
    steps: int
    seed: int

    def __str__(self) -> str:
        return (
            f"{self.value:.1%} trained on {self.n_fake} generated pictures, {self.real:.1%} on"
            f" {self.n_real} real ones ({self.n_held_out} held out, {self.steps} steps)"
        )


def classification_accuracy_score(
    real: Any,
    fake: Any,
    held_out: Any,
    device: torch.device | str = "cpu",
    seed: int = 0,
    steps: int | None = None,
) -> ClassificationAccuracy:
    """Train the same classifier on real and on generated pictures, and test both on others.

    The classifier is that of the features (`ganlab.metrics.classifier`), not the ResNet-50 of the
    paper, so numbers compare only with the real one beside them. A fifth of the pictures, at most
    2,000, is not trained on, of either set.

    Args:
        real: an `ImageSet` with labels, or (images, labels): (N, C, H, W) bytes, or floats in
            [-1, 1], and (N,) class numbers.
        fake: generated pictures of as many pixels, with the classes that were asked for.
        held_out: real pictures that neither the generator nor `real` contains.
        device: where to train.
        seed: of weights and batches, for both.
        steps: of training; by default as for the features.

    Raises:
        DataError: labels are missing or out of range, shapes disagree, or a set is too small.
        RecipeError: steps or seed out of range.
    """
    sets = {
        "real": _labelled(real, "real"),
        "fake": _labelled(fake, "fake"),
        "held_out": _labelled(held_out, "held_out"),
    }
    classes = max(int(_labels(s).max()) for s in sets.values()) + 1
    if classes < 2:
        raise DataError("real: a classifier needs at least two classes")
    for name, one in sets.items():
        if one.shape != sets["real"].shape:
            raise DataError(f"{name}: pictures of {sets['real'].shape} expected, not {one.shape}")
        if len(one) < 10:
            raise DataError(f"{name}: at least 10 pictures expected, not {len(one)}")
    steps = features.STEPS if steps is None else at_least("steps", steps)
    seed, home = at_least("seed", seed, 0, SEEDS), present(device)
    test = sets["held_out"]
    y = _labels(test)
    hits = {}
    for name in ("real", "fake"):
        with torch.random.fork_rng(devices=[]):  # its first weights are drawn anew, with the seed
            network = features.Network(test.shape[0], classes)
        features.train(network, sets[name], True, home, seed, steps)
        judge = features.Classifier(network, "classes", 0.0, "", home)
        hits[name] = (judge.predict(test.images).argmax(1) == y).double()
    return ClassificationAccuracy(
        value=float(hits["fake"].mean()),
        real=float(hits["real"].mean()),
        per_class=tuple(float(hits["fake"][y == c].mean()) for c in range(classes)),
        n_real=len(sets["real"]),
        n_fake=len(sets["fake"]),
        n_held_out=len(test),
        steps=steps,
        seed=seed,
    )


def _labels(data: ImageSet) -> Tensor:
    assert data.labels is not None
    return data.labels


def _labelled(data: Any, name: str) -> ImageSet:
    """An `ImageSet` with int64 labels from one, or from (images, labels)."""
    if isinstance(data, ImageSet):
        if data.labels is None:
            raise DataError(f"{name}: {data.name} has no labels, and the score is by class")
        return data
    try:
        images, labels = (torch.as_tensor(part).detach().cpu() for part in data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name}: an ImageSet or (images, labels) expected") from error
    if images.ndim != 4 or labels.shape != (len(images),) or labels.is_floating_point():
        raise DataError(
            f"{name}: (N, C, H, W) pictures and (N,) class numbers expected, not"
            f" {tuple(images.shape)} and {tuple(labels.shape)} {labels.dtype}"
        )
    if len(labels) == 0 or int(labels.min()) < 0:
        raise DataError(f"{name}: no picture, or a negative class number")
    return ImageSet(name, as_bytes(images, name), labels.long())
