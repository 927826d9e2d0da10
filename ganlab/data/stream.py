"""Endless, shuffled, sharded, resumable batches on the device.

A source that fits stays on the device as uint8 and is normalised and flipped there: no worker,
no copy, no PIL in the loop. One that does not fit (a memory map) is read by a DataLoader with
workers and pinned memory. Both paths give the same batches, because the order comes from the
stream and not from the loader.
"""

from __future__ import annotations

from typing import Any

import torch

from ganlab.data.imageset import to_float
from ganlab.errors import DataError


class Stream:
    """An endless iterator over batches in [-1, 1].

    Every rank builds the same global batch order and takes its own slice, so `world` ranks with
    batch B see what one process with batch world·B sees.

    Args:
        source: an `ImageSet` (pictures), a tensor (N, ...) of floats, or a distribution with
            `.sample(n, generator)` (fresh points at each step).
        batch_size: per rank.
        device: where batches are made.
        seed: of the order, the flips and the fresh points.
        flip: mirror each picture left to right with probability 1/2.
        rank, world: this process among all of them.
        resident: keep the whole set on the device; by default if it is not memory-mapped.
        workers: of the DataLoader when the set is not resident.
        labelled: give (pictures, labels) in place of pictures, labels (B,) of class numbers.

    Raises:
        DataError: the batch does not fit, or there are no labels to give.
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
        if self.fresh:
            return
        images = source if torch.is_tensor(source) else source.images
        self.count = len(images)
        if self.count < batch_size * world:
            raise DataError(
                f"{self.count} pictures do not fill a batch of {batch_size * world}: use a smaller"
                " batch or more data"
            )
        mapped = bool(getattr(source, "mapped", False))
        self.resident = not mapped if resident is None else resident
        self._images = images.to(self.device) if self.resident else images

    def __iter__(self) -> Stream:
        return self

    @property
    def seen(self) -> int:
        """Passes over the data that are complete."""
        return max(self.epoch, 0)

    def __next__(self) -> Any:
        """The next batch: (B, C, H, W) or (B, d), float32 in [-1, 1] for pictures.

        With `labelled` a pair of it and (B,) int64.
        """
        total = self.batch_size * self.world
        mine = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        if self.fresh:
            return self.source.sample(total, generator=self._order)[mine].to(self.device)
        if self.position + total > len(self._permutation):
            self._next_epoch()
        index = self._permutation[self.position : self.position + total][mine]
        mirrored = None
        if self.flip:
            start = self.position
            mirrored = self._flips[start : start + total][mine].to(self.device)
        self.position += total
        if self.resident:
            batch = self._images[index.to(self.device)]
        else:
            batch = self._read(index).to(self.device, non_blocking=True)
        batch = self._prepare(batch, mirrored)
        return batch if self._labels is None else (batch, self._labels[index.to(self.device)])

    def _prepare(self, batch: torch.Tensor, mirrored: torch.Tensor | None) -> torch.Tensor:
        if batch.dtype == torch.uint8:
            batch = to_float(batch)
        if mirrored is not None:
            batch = torch.where(mirrored.view(-1, 1, 1, 1), batch.flip(-1), batch)
        return batch

    def _next_epoch(self) -> None:
        """Draw the order (and the flips) of one more pass; what is left of the last is dropped."""
        self._epoch_state = self._order.get_state()
        self._permutation = torch.randperm(self.count, generator=self._order)
        if self.flip:
            self._flips = torch.rand(self.count, generator=self._order) < 0.5
        self.epoch += 1
        self.position = 0
        self._loader = None

    def _read(self, index: torch.Tensor) -> torch.Tensor:
        """The pictures of `index` through the loader, which has been told the order in advance."""
        if self._loader is None:
            total = self.batch_size * self.world
            batches = [
                self._permutation[p : p + total][
                    self.rank * self.batch_size : (self.rank + 1) * self.batch_size
                ].tolist()
                for p in range(self.position - total, self.count - total + 1, total)
            ]
            self._loader = iter(
                torch.utils.data.DataLoader(
                    _Rows(self._images),
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
        if not self.fresh and state["epoch"] >= 0:
            self._order.set_state(state["epoch_generator"])
            self._next_epoch()
        self.epoch, self.position = state["epoch"], state["position"]
        self._epoch_state = state["epoch_generator"]
        self._order.set_state(state["generator"])


class _Rows(torch.utils.data.Dataset):
    """A memory map as a data set of uint8 tensors."""

    def __init__(self, images: Any) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.as_tensor(self.images[index]).clone()
