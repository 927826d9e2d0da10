"""Networks that turn pictures into features, by name.

Every score depends on its extractor, so each has a name, a fingerprint of its weights and a
resizer, and the report carries all three. The classifier of `ganlab.metrics.features` is the
default and needs no download; the FID network is for numbers that others can compare with theirs;
any other network can be asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ganlab.devices import present
from ganlab.errors import GanlabError, at_least, unknown
from ganlab.metrics import weights as files
from ganlab.metrics.backbones import backbone, levels
from ganlab.metrics.features import classifier
from ganlab.metrics.resize import resizer as filter_named

NAMES = ("classifier", "inception", "torchvision:NAME")


class Extractor(Protocol):
    """What scores need of a network.

    Attributes:
        name: for people; scores of different names are not comparable.
        fingerprint: of the weights; scores are comparable only if it agrees.
        resizer: how pictures get to the size that the network takes.
    """

    @property
    def name(self) -> str:
        """Of the network."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of its weights."""
        ...

    @property
    def resizer(self) -> str:
        """Before it."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1], or uint8 -> (N, D) float64 on the CPU."""
        ...

    def predict(self, images: Tensor) -> Tensor | None:
        """(N, C, H, W) -> (N, classes) probabilities; None where it has no classes."""
        ...


class InceptionFeatures:
    """2048 features of the FID network, and the classes that the Inception Score takes.

    Args:
        weights: the file; None looks in `$GANLAB_INCEPTION` and torch.hub's cache, "random" draws
            them: features of another kind, which only tests and comparisons of code want.
        resizer: "tf", as in the original FID, or "clean", as in clean-fid.
        device: where to compute; a CPU core does about five pictures a second.

    Raises:
        CheckpointError: no weights, or others than those of FID.
        GanlabError: an unknown resizer.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        resizer: str = "clean",
        device: torch.device | str = "cpu",
        batch: int = 32,
    ) -> None:
        self.resizer, self._resize = resizer, filter_named(resizer)
        self.device, self.batch = present(device), at_least("batch", batch)
        drawn = str(weights) == "random"
        path = None if drawn else files.inception(weights)
        from ganlab.metrics.inception import InceptionV3  # imports torchvision

        network = InceptionV3()
        if path is None:
            files.randomize(network)
        else:
            files.load(network, path)
        self.name = "inception-random" if drawn else "inception"
        self.fingerprint = files.fingerprint(network)
        self.network = network.to(self.device).eval().requires_grad_(False)

    @torch.no_grad()
    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) in [-1, 1], or uint8 -> features (N, 2048), probabilities (N, 1008)."""
        found, classes = [], []
        for part in images.split(self.batch):
            x = self._resize(levels(part, 3, self.device), 299)
            features, logits = self.network(x)
            found.append(features.cpu().double())
            classes.append(logits.cpu().double().softmax(1))
        return torch.cat(found), torch.cat(classes)

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1], or uint8 -> (N, 2048) float64 on the CPU."""
        return self.both(images)[0]

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1], or uint8 -> (N, 1008) probabilities, float64 on the CPU."""
        return self.both(images)[1]


def check_name(name: str) -> str:
    """The name itself, if it is one.

    Raises:
        GanlabError: it is none; the nearest one is named.
    """
    if not isinstance(name, str):
        raise GanlabError(f"features are named by a text, not by a {type(name).__name__}")
    kind, _, which = name.partition(":")
    if name in NAMES[:2] or (kind == "torchvision" and which and name != NAMES[2]):
        return name
    raise GanlabError(unknown("features", name, NAMES))


def extractor(
    name: str,
    data: Any = None,
    weights: str | Path | None = None,
    resizer: str | None = None,
    device: torch.device | str = "cpu",
) -> Extractor:
    """The extractor of that name.

    Args:
        name: "classifier" (of `data`, trained on the spot), "inception", or "torchvision:" and
            the name of a network.
        data: the reference pictures, an `ImageSet`; for the classifier.
        weights: see `InceptionFeatures` and `backbone`; the classifier takes none.
        resizer: "clean" (the default) or "tf"; the classifier takes none.

    Raises:
        GanlabError: an unknown name, or an option that this extractor does not take.
    """
    if check_name(name) == "classifier":
        for option, value in (("weights", weights), ("resizer", resizer)):
            if value is not None:
                raise GanlabError(f"the classifier takes no {option}: they go with inception")
        if data is None:
            raise GanlabError("the classifier needs the data that it learns from")
        return classifier(data, device)
    if name == "inception":
        return InceptionFeatures(weights, resizer or "clean", device)
    return backbone(name.partition(":")[2], weights, present(device), resizer or "clean")
