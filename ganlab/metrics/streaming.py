"""Mean and covariance of features that never lie in memory together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ganlab.devices import present
from ganlab.errors import DataError, at_least, one_line
from ganlab.files import write_bytes
from ganlab.metrics.arrays import matrix, tensor
from ganlab.metrics.products import gram


class Statistics:
    """Count, mean and covariance of a stream of feature vectors, in float64.

    Batches are merged by the pairwise update of Chan, Golub and LeVeque (1983). With $S$ the
    scatter, $n$ the count of a part, and $d$ the difference of the two parts' means,

        S = S_a + S_b + d dᵀ (n_a n_b)/(n_a + n_b)

    Unlike $E[x xᵀ] - m mᵀ$ it subtracts no large numbers, so features far from the origin keep
    their digits. Used so:

        real = Statistics(2048)
        for images in loader:
            real.update(network(images))
        fid(real, fake)

    Args:
        dims: length D of a feature vector.
        device: where the sums are kept; it must know float64.
    """

    def __init__(self, dims: int, device: torch.device | str = "cpu") -> None:
        dims, device = at_least("dims", dims, 1, 65_536), present(device)
        self.count = 0
        self._mean = torch.zeros(dims, dtype=torch.float64, device=device)
        self._scatter = torch.zeros(dims, dims, dtype=torch.float64, device=device)

    @classmethod
    def of(cls, features: Any, name: str = "features") -> Statistics:
        """Those of (N, D) features that are in memory, on the features' device."""
        x = matrix(features, name)
        found = cls(x.shape[1], x.device)
        found._add(x)
        return found

    @property
    def dims(self) -> int:
        """Length D of a feature vector."""
        return len(self._mean)

    @property
    def mean(self) -> Tensor:
        """(D,) float64.

        Raises:
            DataError: there is no sample yet.
        """
        self._need(1, "a mean")
        return self._mean.clone()

    @property
    def covariance(self) -> Tensor:
        """(D, D) float64, with N-1.

        Raises:
            DataError: there are fewer than two samples.
        """
        self._need(2, "a covariance")
        return self._scatter / (self.count - 1)

    def update(self, features: Any, name: str = "features") -> Statistics:
        """Take in a batch (B, D) of any float type, from any device. Returns itself.

        Raises:
            DataError: the shape is wrong, or a value is not finite; nothing is taken in then.
        """
        x = matrix(features, name, 0).to(self._mean.device)
        if x.shape[1] != self.dims:
            raise DataError(f"{name}: {self.dims} dimensions expected, not {x.shape[1]}")
        if len(x):
            self._add(x)
        return self

    def _add(self, x: Tensor) -> None:
        mean = x.mean(0)
        total = self.count + len(x)
        shift = mean - self._mean
        rows = x - mean
        if self.count:  # the rank-one term as one more row: a single product does it all
            step = shift * (self.count * len(x) / total) ** 0.5
            rows = torch.cat([rows, step[None]])
        self._scatter += gram(rows)
        self._mean += shift * (len(x) / total)
        self.count = total

    def merge(self, other: Statistics) -> Statistics:
        """Take in what another has seen: of another worker, or another part. Returns itself.

        Raises:
            DataError: it is of other features.
        """
        if not isinstance(other, Statistics):
            raise DataError(f"other: Statistics expected, not a {type(other).__name__}")
        if other.dims != self.dims:
            raise DataError(f"statistics of {self.dims} and of {other.dims} dimensions")
        if other.count:
            total = self.count + other.count
            shift = other._mean.to(self._mean.device) - self._mean
            self._scatter += other._scatter.to(self._scatter.device)
            self._scatter.addr_(shift, shift, alpha=self.count * other.count / total)
            self._mean += shift * (other.count / total)
            self.count = total
        return self

    def across_ranks(self) -> Statistics:
        """Those of all processes of a `torchrun` together, equal on each; itself when alone.

        Every process must call it. The sums travel on the device that they are kept on, which
        the process group's backend must support.
        """
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return self
        head = self._mean.new_tensor([self.count])
        mine = torch.cat([head, self._mean, self._scatter.flatten()])
        found = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(found, mine)
        total = Statistics(self.dims, self._mean.device)
        for part in found:
            one = Statistics(self.dims, self._mean.device)
            one.count = int(part[0])
            one._mean = part[1 : 1 + self.dims]
            one._scatter = part[1 + self.dims :].view(self.dims, self.dims)
            total.merge(one)
        return total

    def state_dict(self) -> dict[str, Tensor]:
        """Count, mean, and scatter matrix (D, D): the covariance times N-1."""
        return {
            "count": torch.tensor(self.count),
            "mean": self._mean.clone(),
            "scatter": self._scatter.clone(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Become what `state_dict` has stored.

        Raises:
            DataError: it is of other features, or damaged.
        """
        if not {"count", "mean", "scatter"} <= set(state):
            raise DataError(f"state: count, mean and scatter expected, not {sorted(state)}")
        mean, scatter = tensor(state["mean"], "state"), tensor(state["scatter"], "state")
        if mean.shape != (self.dims,) or scatter.shape != (self.dims, self.dims):
            raise DataError(f"state: {self.dims} dimensions expected, not {tuple(mean.shape)}")
        self.count = at_least("state: count", state["count"], 0, 10**15)
        self._mean, self._scatter = mean.to(self._mean), scatter.to(self._scatter)

    def save(self, path: Path | str, about: dict[str, str] | None = None) -> None:
        """Write a safetensors file, with `about` (say, the features' fingerprint) in its header.

        Raises:
            FileError: it cannot be written there.
        """
        state = {k: v.cpu().contiguous() for k, v in self.state_dict().items()}
        write_bytes(path, save(state, about))

    @classmethod
    def load(cls, path: Path | str) -> Statistics:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        try:
            state = load_file(path)
        except (OSError, SafetensorError) as error:
            raise DataError(f"{path} holds no statistics: {one_line(error)}") from error
        found = cls(max(1, state.get("mean", torch.zeros(1)).numel()))
        found.load_state_dict(state)
        return found

    def _need(self, count: int, why: str) -> None:
        if self.count < count:
            raise DataError(f"{why} needs at least {count} samples, not {self.count}")

    def __repr__(self) -> str:
        return f"Statistics({self.count} samples, {self.dims}-d)"
