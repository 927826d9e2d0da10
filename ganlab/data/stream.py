"""Endless, shuffled, sharded, resumable batches on the device.

A source that fits stays on the device as uint8 and is normalised, cropped and flipped there: no
worker, no copy, no PIL in the loop. One that does not fit (a memory map) is read by a DataLoader
with workers and pinned memory. Both paths give the same batches, because the order comes from the
stream and not from the loader.

`Stream` has the order of a pass, its flips and crops, the ranks and the state; the streams of
games that translate pictures (`ganlab.data.pairs`) are made of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganlab.data.batch import Batch
from ganlab.data.imageset import to_float
from ganlab.data.sizes import Size, as_size
from ganlab.errors import DataError


class Endless:
    """What a training needs of a stream of batches.

    Attributes:
        source: the set, of the pictures that are to be generated.
        batch_size: per rank.
        device: where batches are made.
        rank, world: this process among all of them.
        fresh: whether the source is a distribution, with new points at each step.
        shape: of one picture as it is given, (C, H, W) after a crop; of one point, (d,).
        source_shape: of what a picture is translated from, (C, H, W); None without a translation.
    """

    source: Any
    batch_size: int
    device: torch.device
    rank: int
    world: int
    shape: tuple[int, ...]
    fresh = False
    source_shape: tuple[int, ...] | None = None

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> Any:
        """The next batch: a tensor, a pair (pictures, labels) or a `Batch`; see `as_batch`."""
        raise NotImplementedError

    @property
    def seen(self) -> int:
        """Passes over the data that are complete."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """All that decides the next batches."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        raise NotImplementedError


class Stream(Endless):
    """An endless iterator over batches in [-1, 1].

    Every rank builds the same global batch order and takes its own slice, so `world` ranks with
    batch B see what one process with batch world·B sees.

    Args:
        source: an `ImageSet` (pictures), a tensor (N, ...) of floats, or a distribution with
            `.sample(n, generator)` (fresh points at each step).
        batch_size: per rank.
        device: where batches are made.
        seed: of the order, the flips, the crops and the fresh points.
        flip: mirror each picture left to right with probability 1/2.
        rank, world: this process among all of them.
        resident: keep the whole set on the device; by default if it is not memory-mapped.
        workers: of the DataLoader when the set is not resident.
        labelled: give (pictures, labels) in place of pictures, labels (B,) of class numbers.
        crop: give a part of each picture of this size, anywhere in it with equal probability,
            another one in each pass; the whole picture by default.

    Raises:
        DataError: the batch or the crop does not fit, or there are no labels to give.
    """

    def __init__(
        self,
        source: Any,
        batch_size: int,
        device: str | torch.device = "cpu",
        seed: int = 0,
        flip: bool = False,
        rank: int = 0,
        world: int = 1,
        resident: bool | None = None,
        workers: int = 2,
        labelled: bool = False,
        crop: Size | None = None,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch size must be at least 1, not {batch_size}")
        self.source, self.batch_size, self.device = source, batch_size, torch.device(device)
        self.flip, self.rank, self.world, self.workers = flip, rank, world, workers
        self.fresh = hasattr(source, "sample")
        self._order = torch.Generator().manual_seed(seed)  # permutations, flips, fresh points
        self._epoch_state = self._order.get_state()
        self.epoch, self.position = -1, 0
        self._permutation = torch.empty(0, dtype=torch.long)
        self._loader: Any = None
        labels: Any = getattr(source, "labels", None)
        if labelled and labels is None:
            raise DataError(f"{getattr(source, 'name', 'this set')} has no labels to give")
        self._labels = labels.to(self.device) if labelled else None
        self._crop: _Crop | None = None
        if self.fresh:
            if crop is not None:
                raise DataError("only pictures can be cropped, not points")
            self.shape = (source.dim,) if hasattr(source, "dim") else ()
            return
        arrays = self._arrays()
        self.count = len(arrays[0])
        if self.count == 0:
            raise DataError(f"{getattr(source, 'name', 'this set')} has no pictures")
        if self.count < batch_size * world:
            raise DataError(
                f"{self.count} pictures do not fill a batch of {batch_size * world}: use a smaller"
                " batch or more data"
            )
        shapes = [tuple(array.shape[1:]) for array in arrays]
        if crop is not None:
            self._crop = _Crop(shapes, crop)
            shapes = self._crop.shapes
        self.shape = shapes[0]
        mapped = bool(getattr(source, "mapped", False))
        self.resident = not mapped if resident is None else resident
        self._stored = [array.to(self.device) if self.resident else array for array in arrays]

    def _arrays(self) -> tuple[Any, ...]:
        """What goes through the same order, flips and crops; what is generated comes first."""
        return (self.source if torch.is_tensor(self.source) else self.source.images,)

    @property
    def seen(self) -> int:
        """Passes over the data that are complete."""
        return max(self.epoch, 0)

    def __next__(self) -> Any:
        """The next batch: (B, C, H, W) or (B, d), float32 in [-1, 1] for pictures.

        With `labelled` a `Batch` of it and its labels, (B,) int64.
        """
        if self.fresh:
            total = self.batch_size * self.world
            return self.source.sample(total, generator=self._order)[self._mine(0)].to(self.device)
        (images,), labels = self._take()
        return images if labels is None else Batch(images, labels)

    def _mine(self, start: int) -> slice:
        """This rank's part of the global batch that begins at `start`."""
        first = start + self.rank * self.batch_size
        return slice(first, first + self.batch_size)

    def _take(self) -> tuple[list[Tensor], Tensor | None]:
        """The next batch of each array, and its labels."""
        total = self.batch_size * self.world
        if self.position + total > len(self._permutation):
            self._next_epoch()
        mine = self._mine(self.position)
        self.position += total
        index = self._permutation[mine].to(self.device)
        if self.resident:
            sides = [stored[index] for stored in self._stored]
        else:
            sides = [side.to(self.device, non_blocking=True) for side in self._read()]
        if self._crop is not None:
            sides = self._crop(sides, self._corners[mine].to(self.device))
        if self.flip:
            mirrored = self._flips[mine].to(self.device).view(-1, 1, 1, 1)
            sides = [torch.where(mirrored, side.flip(-1), side) for side in sides]
        sides = [to_float(side) if side.dtype == torch.uint8 else side for side in sides]
        return sides, None if self._labels is None else self._labels[index]

    def _next_epoch(self) -> None:
        """Draw the order (flips, crops) of one more pass; what is left of the last is dropped."""
        self._epoch_state = self._order.get_state()
        self._permutation = torch.randperm(self.count, generator=self._order)
        if self.flip:
            self._flips = torch.rand(self.count, generator=self._order) < 0.5
        if self._crop is not None:
            self._corners = self._crop.corners(self.count, self._order)
        self.epoch += 1
        self.position = 0
        self._loader = None

    def _read(self) -> list[Tensor]:
        """The next batch through the loader, which has been told the order in advance."""
        if self._loader is None:
            total = self.batch_size * self.world
            starts = range(self.position - total, self.count - total + 1, total)
            batches = [self._permutation[self._mine(start)].tolist() for start in starts]
            self._loader = iter(
                torch.utils.data.DataLoader(
                    _Rows(self._stored),
                    batch_sampler=batches,
                    num_workers=self.workers,
                    pin_memory=self.device.type == "cuda",
                    prefetch_factor=4 if self.workers else None,
                )
            )
        return next(self._loader)

    def state_dict(self) -> dict[str, Any]:
        """All that decides the next batches: epoch, position, random state."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "generator": self._order.get_state(),
            "epoch_generator": self._epoch_state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self._loader = None
        # What was drawn after the state is forgotten, or a stream that is set back to its
        # beginning would show its first order twice.
        self._permutation = self._permutation[:0]
        epoch, position = state["epoch"], state["position"]
        begun = not self.fresh and (epoch >= 0 or position > 0)
        if begun:
            self._order.set_state(state["epoch_generator"])
            self._next_epoch()
        # Earlier versions did so, and counted that first pass as -1, with the random state of its
        # beginning: it is gone on with where it was, and the second pass has an order of its own.
        self.epoch, self.position = (max(epoch, 0) if begun else epoch), position
        self._epoch_state = state["epoch_generator"]
        if not (begun and epoch < 0):
            self._order.set_state(state["generator"])


class _Crop:
    """The same random part of aligned pictures, whose sizes differ by whole factors.

    Args:
        shapes: (C, H, W) of each array.
        size: of the part in the first one.
    """

    def __init__(self, shapes: list[tuple[int, ...]], size: Size) -> None:
        if len(shapes[0]) != 3:
            raise DataError("only pictures can be cropped, not points")
        (h, w), (_, height, width) = as_size(size), shapes[0]
        if h > height or w > width:
            raise DataError(f"crop {h}x{w} is larger than the pictures, {height}x{width}")
        # Corners are whole pixels of the smallest pictures, so that they are whole in all.
        smallest = min(shape[1] for shape in shapes)
        self.factors = [shape[1] // smallest for shape in shapes]
        first = self.factors[0]
        if h % first or w % first:
            raise DataError(
                f"crop {h}x{w}: sides must be multiples of {first}, because the source is"
                f" {first} times smaller"
            )
        self.room = (height - h) // first + 1, (width - w) // first + 1
        self.shapes: list[tuple[int, ...]] = [
            (shape[0], h * factor // first, w * factor // first)
            for shape, factor in zip(shapes, self.factors)
        ]

    def corners(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, 2) top and left of one part each, in pixels of the smallest pictures."""
        sides = [torch.randint(room, (count,), generator=generator) for room in self.room]
        return torch.stack(sides, 1)

    def __call__(self, sides: list[Tensor], corners: Tensor) -> list[Tensor]:
        """Parts (B, C, h, w) of each of the pictures (B, C, H, W), at (B, 2) corners."""
        rows = torch.arange(len(corners), device=corners.device)
        parts = []
        for side, factor, (_, h, w) in zip(sides, self.factors, self.shapes):
            top, left = (corners * factor).unbind(1)
            # All windows as a view without memory of its own; one gather takes one of each.
            parts.append(side.unfold(2, h, 1).unfold(3, w, 1)[rows, :, top, left])
        return parts


class _Rows(torch.utils.data.Dataset):
    """Memory maps side by side as a data set of tuples of tensors."""

    def __init__(self, arrays: list[Any]) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(torch.as_tensor(array[index]).clone() for array in self.arrays)


def seeds(seed: int, count: int) -> list[int]:
    """Seeds of random states that have nothing to do with each other, from one."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2**62, (count,), generator=generator).tolist()
