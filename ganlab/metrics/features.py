"""Features from a small classifier, trained on the spot for the data set at hand.

No download is needed, and the features know what matters in *this* data. The precedent is the
LeNet of the KID authors for MNIST (Binkowski et al. 2018). Scores of different classifiers are
not comparable, so each carries its fingerprint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganlab import progress
from ganlab.data.imageset import to_float
from ganlab.data.sizes import middle
from ganlab.devices import present
from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import picture_set
from ganlab.metrics.kept import kept
from ganlab.metrics.weights import fingerprint as weights_fingerprint
from ganlab.models.latent import SEEDS

DIMS = 64
VERSION = 2  # raise it when the training changes; the network itself is part of the key
STEPS, BATCH = 600, 128
LEAST = 10  # pictures, of which a fifth is held out
FEW = 20_000  # fewer are seen so often in training that they look unlike all others afterwards


class Network(nn.Module):
    """Four convolutions, 64 features, one linear layer: any picture from 16 px."""

    def __init__(self, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = channels
        for out, stride in ((width, 2), (width * 2, 2), (width * 4, 2), (DIMS, 1)):
            blocks += [
                nn.Conv2d(before, out, 3, stride, 1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            before = out
        self.body = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.embed = nn.Linear(DIMS * 4, DIMS)
        self.head = nn.Linear(DIMS, classes)

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, 64)."""
        return self.embed(self.body(shrink(x)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes) logits."""
        return self.head(torch.relu(self.features(x)))


def shrink(x: Tensor) -> Tensor:
    """Average pictures of 64 px and more down to 32: time, not detail, is what is scarce here."""
    factor = min(x.shape[2:]) // 32
    return nn.functional.avg_pool2d(x, factor) if factor > 1 else x


@dataclass
class Classifier:
    """A trained classifier as a feature extractor.

    Attributes:
        network: in eval mode.
        task: "classes", or "rotation" where the data has no labels.
        accuracy: on held-out pictures, in [0, 1].
        fingerprint: of the weights; scores are comparable only if it agrees.
        device: where features are computed.
        name, resizer: for the report.
    """

    network: Network
    task: str
    accuracy: float
    fingerprint: str
    device: torch.device
    name: str = "classifier"
    resizer: str = "none (averaged down to 32 px from 64 px on)"

    @torch.no_grad()
    def features(self, images: Tensor, batch: int = 256) -> Tensor:
        """(N, C, H, W) in [-1, 1], or uint8 -> (N, 64) float64 on the CPU."""
        parts = []
        for part in images.split(batch):
            parts.append(self.network.features(self._floats(part)).cpu().double())
        return torch.cat(parts)

    @torch.no_grad()
    def predict(self, images: Tensor, batch: int = 256) -> Tensor:
        """(N, C, H, W) in [-1, 1], or uint8 -> (N, classes) probabilities on the CPU."""
        parts = [self.network(self._floats(p)).softmax(1).cpu() for p in images.split(batch)]
        return torch.cat(parts)

    def _floats(self, images: Tensor) -> Tensor:
        images = images.to(self.device)
        return to_float(images) if images.dtype == torch.uint8 else images


def pixels(data: Any) -> str:
    """Short SHA-256 of the first 4,096 pictures of a set: two sets of one name can differ."""
    x = torch.as_tensor(data.images[:4096])
    return hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()[:16]


def classifier(
    data: Any, device: torch.device | str = "cpu", seed: int = 0, steps: int | None = None
) -> Classifier:
    """The classifier of a data set: from the cache, or trained now (about half a minute on a CPU).

    Args:
        data: an `ImageSet`. With labels it learns its classes; without, by how many quarter
            turns a picture was rotated (Gidaris et al. 2018), which needs no labels.
        device: where to train and use it.
        seed: of weights and batches; the result is the same every time on one machine.
        steps: of training, with 128 pictures each; by default `STEPS`.

    Raises:
        DataError: fewer than `LEAST` pictures, or something else than an `ImageSet`.
        RecipeError: seed or steps out of range.
        GanlabError: a device that is not there.
    """
    data = picture_set(data)
    if len(data) < LEAST:
        raise DataError(f"{data.name}: {len(data)} pictures are too few to learn from ({LEAST})")
    steps = STEPS if steps is None else at_least("steps", steps)
    device, seed = present(device), at_least("seed", seed, 0, SEEDS)
    about = {
        "version": VERSION,
        "seed": seed,
        "steps": steps,
        "count": len(data),
        "shape": list(data.shape),
        "classes": len(data.classes),
        "pixels": pixels(data),
    }
    labelled = data.labels is not None and len(data.classes) > 1
    task = "classes" if labelled else "rotation"
    with torch.random.fork_rng(devices=[]):  # the weights are drawn anew in `train`
        network = Network(data.shape[0], len(data.classes) if labelled else 4)
    about["network"] = repr(network)
    # The same pictures sorted into other class folders are another task.
    targets = hashlib.sha256(data.labels.numpy().tobytes()).hexdigest() if labelled else ""

    def learn() -> dict[str, Any]:
        accuracy = train(network, data, labelled, device, seed, steps)
        return {"network": network.state_dict(), "accuracy": accuracy, "labels": targets}

    name = data.name.replace("/", "_")[:40]
    state = kept(name, about, learn, lambda state: state.get("labels", targets) == targets)
    network.load_state_dict(state["network"])
    accuracy = state["accuracy"]
    network.to(device).eval()
    return Classifier(network, task, accuracy, weights_fingerprint(network), device)


def apart(data: Any) -> tuple[Any, Any]:
    """The pictures that a classifier learns from, and those that scores take: all for both, if
    there are many, else one half each.

    A classifier that has seen few pictures many times knows them by heart. Others of the same
    kind then get different features, and a perfect generator scores far worse than the floor. On
    CIFAR-10 the difference is gone from about `FEW` pictures on, of which each is seen four times.

    Raises:
        DataError: something else than an `ImageSet`.
    """
    data = picture_set(data)
    if len(data) >= FEW:
        return data, data
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    learn, score = order.tensor_split(2)
    return data.select(learn.sort().values), data.select(score.sort().values)


def train(
    network: Network, data: Any, labelled: bool, device: torch.device, seed: int, steps: int
) -> float:
    """Train in place with Adam and a linear decay; returns held-out accuracy."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data), generator=draw)
    held = order[: min(2000, len(data) // 5)]
    learn = order[len(held) :]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # type: ignore[operator]
    network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / steps)
    bar = progress.bar(steps, "classifier for the score")
    for _ in range(steps):
        pick = learn[torch.randint(len(learn), (BATCH,), generator=draw)]
        x, y = _examples(data, pick, labelled, draw)
        loss = nn.functional.cross_entropy(network(x.to(device)), y.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        bar.update()
    bar.close()
    network.eval()
    with torch.no_grad():
        hits = 0
        for part in held.split(256):
            x, y = _examples(data, part, labelled, draw)
            hits += int((network(x.to(device)).argmax(1).cpu() == y).sum())
    return hits / len(held)


def _examples(
    data: Any, index: Tensor, labelled: bool, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pictures and targets: class labels, or the number of quarter turns applied here.

    Of a rectangle the square in its middle is turned: the whole would betray a turn by its shape.
    """
    x = data.batch(index)
    if labelled:
        return x, data.labels[index]
    high, wide = x.shape[2:]
    if high != wide:
        top, left, n, _ = middle(high, wide, 1)
        x = x[:, :, top : top + n, left : left + n]
    turns = torch.randint(4, (len(x),), generator=draw)
    x = torch.stack([torch.rot90(p, int(k), (1, 2)) for p, k in zip(x, turns)])
    return x, turns
