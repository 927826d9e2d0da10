"""Pictures to translate: aligned pairs, two sets without pairs, and degraded pictures.

A pair shows the same thing twice, as an edge drawing and a photograph (Pix2Pix, Isola et al.
2017); two unpaired sets show two kinds of things, as horses and zebras (CycleGAN, Zhu et al.
2017); a degraded picture and the picture itself are a pair that is made as it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganlab.data.batch import Batch, as_batch
from ganlab.data.degrade import Degradation, degradation
from ganlab.data.imageset import to_float
from ganlab.data.sizes import Size
from ganlab.data.stream import Endless, Stream, seeds
from ganlab.errors import DataError


@dataclass(frozen=True)
class PairSet:
    """Aligned pairs as bytes: picture i of `images` is what picture i of `source` becomes.

    Attributes:
        name: the name it was asked for by.
        images: ``torch.uint8`` (N, C, H, W), the targets.
        source: ``torch.uint8`` (N, C2, H2, W2), what they are made from; H2 = kH and W2 = kW, or
            H = kH2 and W = kW2, with a whole number k.
        names: what the two sides show, the source first.
        labels: ``torch.int64`` (N,), or None where there are none.
        classes: the names of the classes; empty where there are none.
        mapped: whether the pictures are read from their files page by page, as they are used.

    Raises:
        DataError: the sides are not bytes of pictures, or do not match.
    """

    name: str
    images: Tensor
    source: Tensor
    names: tuple[str, str] = ("source", "target")
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    mapped: bool = False

    def __post_init__(self) -> None:
        for side, array in (("targets", self.images), ("sources", self.source)):
            if len(array.shape) != 4 or array.dtype != torch.uint8:
                raise DataError(
                    f"{self.name}: {side} must be uint8 (N, C, H, W), not"
                    f" {str(array.dtype).removeprefix('torch.')} {tuple(array.shape)}"
                )
        counts = [len(self.images), len(self.source)]
        if self.labels is not None:
            counts.append(len(self.labels))
        if len(set(counts)) > 1:
            labels = f", {counts[2]} labels" if len(counts) > 2 else ""
            raise DataError(
                f"{self.name}: pairs do not match: {counts[0]} targets, {counts[1]} sources{labels}"
            )
        (h, w), (h2, w2) = self.images.shape[2:], self.source.shape[2:]
        small, large = sorted([(h, w), (h2, w2)])
        if large[0] % small[0] or large[1] != small[1] * (large[0] // small[0]):
            raise DataError(
                f"{self.name}: sizes do not match: targets are {h}x{w}, sources {h2}x{w2}; one must"
                " be a whole multiple of the other"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one target."""
        _, c, h, w = self.images.shape
        return c, h, w

    def batch(self, index: Tensor) -> Tensor:
        """Targets ``index`` (an integer tensor of shape (B,)) as ``float32`` in [-1, 1]."""
        return to_float(self.images[index])

    def pairs(self, index: Tensor) -> Batch:
        """Targets, labels and sources ``index`` (B,), whole and as they are stored."""
        labels = None if self.labels is None else self.labels[index]
        return Batch(self.batch(index), labels, to_float(self.source[index]))

    def select(self, index: Tensor) -> PairSet:
        """The same set with only the pairs ``index``, in that order."""
        return replace(
            self,
            images=self.images[index],
            source=self.source[index],
            labels=None if self.labels is None else self.labels[index],
            mapped=False,
        )

    def __repr__(self) -> str:
        sides = [
            f"{name} {'x'.join(map(str, array.shape[1:]))}"
            for name, array in zip(self.names, (self.source, self.images))
        ]
        return f"PairSet({self.name!r}, {len(self):,} pairs, {' to '.join(sides)})"


class PairStream(Stream):
    """Batches of pairs: both sides in the same order, with the same flips and the same crops.

    Args:
        source: a `PairSet`.
        **rest: see `Stream`. `crop` is the size of the targets; sources are cropped to the same
            part of the picture, which is k times larger or smaller where they are.

    Raises:
        DataError: see `Stream`; with targets k times as large as sources, the sides of a crop
            must be multiples of k.
    """

    def __init__(self, source: PairSet, batch_size: int, **rest: Any) -> None:
        super().__init__(source, batch_size, **rest)
        channels, (_, h, w) = source.source.shape[1], source.source.shape[1:]
        if self._crop is not None:
            _, h, w = self._crop.shapes[1]
        self.source_shape = (channels, h, w)

    def _arrays(self) -> tuple[Any, ...]:
        return self.source.images, self.source.source

    def __next__(self) -> Batch:
        """Targets (B, C, h, w), labels (B,) if `labelled`, and sources; pictures in [-1, 1]."""
        (images, source), labels = self._take()
        return Batch(images, labels, source)


class UnpairedStream(Endless):
    """Batches from two sets that have nothing in common but their batch size.

    Each side has its own order, flips, crops and passes, as two streams whose seeds are drawn
    from one.

    Args:
        a: an `ImageSet`, what pictures are translated from.
        b: an `ImageSet`, what they are translated to; its size and count may be others.
        batch_size, device, flip, rank, world, resident, workers, crop: of both; see `Stream`.
        seed: of both sides.

    Raises:
        DataError: the batch or the crop does not fit one of the sets.
    """

    def __init__(
        self,
        a: Any,
        b: Any,
        batch_size: int,
        device: str | torch.device = "cpu",
        seed: int = 0,
        flip: bool = False,
        rank: int = 0,
        world: int = 1,
        resident: bool | None = None,
        workers: int = 2,
        crop: Size | None = None,
    ) -> None:
        self.a, self.b = (
            Stream(side, batch_size, device, own, flip, rank, world, resident, workers, crop=crop)
            for side, own in zip((a, b), seeds(seed, 2))
        )
        if len(self.a.shape) != len(self.b.shape):
            raise DataError("both sides must be pictures or both points, not one of each")
        self.source, self.batch_size, self.device = b, batch_size, self.b.device
        self.rank, self.world, self.fresh = rank, world, self.b.fresh
        self.shape, self.source_shape = self.b.shape, self.a.shape

    @property
    def seen(self) -> int:
        """Complete passes over `b`."""
        return self.b.seen

    def __next__(self) -> Batch:
        """Pictures of `b` as images and of `a` as source, each (B, C, H, W) in [-1, 1]."""
        return Batch(images=next(self.b), source=next(self.a))

    def state_dict(self) -> dict[str, Any]:
        """The state of each side's stream."""
        return {"a": self.a.state_dict(), "b": self.b.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.a.load_state_dict(state["a"])
        self.b.load_state_dict(state["b"])


class DegradedStream(Endless):
    """Batches of pictures and, as their source, the same pictures degraded on the device.

    What is drawn for a degradation is drawn for the global batch, of which each rank takes its
    part. Its random state is the stream's own: pictures are those of a `Stream` with this seed,
    whatever the degradation.

    Args:
        pictures: a `Stream` of pictures, with or without labels, or a set for one.
        degrade: a degradation, or its word; see `degradation`.
        batch_size: per rank; of a set only.
        seed: of the degradation, and of the stream of a set.
        **rest: of a set only; see `Stream`.

    Raises:
        DataError: see `Stream` and `degradation`; or the pictures cannot be degraded so.
    """

    def __init__(
        self,
        pictures: Any,
        degrade: Degradation | str,
        batch_size: int | None = None,
        seed: int = 0,
        **rest: Any,
    ) -> None:
        self.degrade = degradation(degrade) if isinstance(degrade, str) else degrade
        if isinstance(pictures, Endless):
            if batch_size is not None or rest:
                given = ", ".join([*(["batch_size"] if batch_size is not None else []), *rest])
                raise DataError(f"the stream has its own {given}: give it there, or give a set")
            self.stream: Endless = pictures
        elif batch_size is None:
            raise DataError("a set needs a batch_size")
        else:
            self.stream = Stream(pictures, batch_size, seed=seed, **rest)
        stream = self.stream
        if not isinstance(stream, Stream) or stream.source_shape is not None:
            raise DataError("the stream has a source already: degrade one of pictures alone")
        if len(stream.shape) != 3:
            raise DataError("only pictures can be degraded, not points")
        self.source, self.batch_size, self.device = stream.source, stream.batch_size, stream.device
        self.rank, self.world, self.shape = stream.rank, stream.world, stream.shape
        self._seeds = torch.Generator().manual_seed(seeds(seed, 1)[0])
        self._draws = torch.Generator(self.device)
        # One picture tells what a source is like, and whether it can be made at all.
        self.source_shape = tuple(self._degraded(torch.zeros(1, *self.shape), 1).shape[1:])

    @property
    def seen(self) -> int:
        """Passes over the data that are complete."""
        return self.stream.seen

    def _degraded(self, images: Tensor, world: int) -> Tensor:
        n, first = len(images), len(images) * (self.rank if world > 1 else 0)
        images = images.to(self.device)
        drawn = self.degrade.chance(n * world, images, self._draws)
        return self.degrade.apply(images, None if drawn is None else drawn[first : first + n])

    def __next__(self) -> Batch:
        """Pictures (B, C, H, W) in [-1, 1], labels if the stream has them, and the source."""
        images, labels, _ = as_batch(next(self.stream))
        # A seed for each batch: the state is then one of the CPU, and loads on every device.
        self._draws.manual_seed(int(torch.randint(2**62, (1,), generator=self._seeds)))
        return Batch(images, labels, self._degraded(images, self.world))

    def state_dict(self) -> dict[str, Any]:
        """The stream's state, and the random state of the degradation."""
        return {"stream": self.stream.state_dict(), "generator": self._seeds.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.stream.load_state_dict(state["stream"])
        self._seeds.set_state(state["generator"])
