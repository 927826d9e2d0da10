"""Layers for discriminators: spectral normalisation, and statistics over the batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

from ganlab.errors import RecipeError, unknown

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MINIBATCH = ("stddev", "discrimination")


class SpectralNorm(nn.Module):
    """A weight over its largest singular value (Miyato et al. 2018, Algorithm 1).

    $W$ is reshaped to (outputs, everything else) and replaced by $W/σ(W)$, with

        σ(W) = uᵀ W v

    where $u$ and $v$ come from power iteration: one iteration per use in training mode; in
    evaluation mode the stored vectors serve and nothing changes. $σ$ carries the gradient, $u$
    and $v$ do not. The same mathematics and state as
    `torch.nn.utils.parametrizations.spectral_norm`, whose products autocast rounds to 16 bits on
    a GPU and which `torch.vmap` (many seeds at once) refuses.

    Args:
        weight: at least two-dimensional; its values give the first vectors.
        dim: the dimension of the outputs: 0, or 1 in transposed convolutions.
        iterations: per use.
        warm_up: iterations at the start.
    """

    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Tensor, dim: int = 0, iterations: int = 1, warm_up: int = 15
    ) -> None:
        super().__init__()
        self.dim, self.iterations = dim, iterations
        matrix = self._matrix(weight.detach())
        u, v = matrix.new_empty(len(matrix)).normal_(), matrix.new_empty(matrix.shape[1]).normal_()
        u, v = _power(matrix, normalize(u, dim=0), normalize(v, dim=0), warm_up)
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def forward(self, weight: Tensor) -> Tensor:
        """A weight -> the same over its largest singular value, as estimated so far."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            if self.training:
                with torch.no_grad():
                    u, v = _power(matrix, self._u, self._v, self.iterations)
                    self._u.copy_(u)
                    self._v.copy_(v)
            else:
                u, v = self._u.clone(), self._v.clone()
            # u and v are not the buffers: a second forward before backward leaves them alone
            sigma = torch.dot(u, matrix @ v)
            return weight / sigma.clamp_min(1e-12)


def _power(matrix: Tensor, u: Tensor, v: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    for _ in range(iterations):
        u = normalize(matrix @ v, dim=0)
        v = normalize(matrix.mT @ u, dim=0)
    return u, v


def spectral(module: nn.Module, iterations: int = 1) -> nn.Module:
    """Put `SpectralNorm` on the weight of every linear and convolutional layer, in place.

    Biases and normalisation layers stay as they are. Initialise the weights first: afterwards
    `weight` is computed, and the parameter is `parametrizations.weight.original`. For a
    convolution σ is that of the reshaped weight, not of the map between pictures, whose
    norm differs by a factor that depends on the kernel and the stride.

    Each forward pass in training mode is one more power iteration, so that two passes within
    one step see slightly different weights. Inside `torch.nn.utils.parametrize.cached()` all
    passes share one iteration and one weight; leave it before the optimiser steps, call
    backward once, and do not enter under `no_grad` a block that needs gradients.

    Args:
        module: any network; layers that are normalised already are passed over.
        iterations: of the power method per forward pass in training mode.

    Returns:
        `module` itself.
    """
    for layer in list(module.modules()):
        if isinstance(layer, LINEAR + TRANSPOSED) and not parametrize.is_parametrized(layer):
            dim = 1 if isinstance(layer, TRANSPOSED) else 0
            norm = SpectralNorm(layer.weight, dim, iterations)
            parametrize.register_parametrization(layer, "weight", norm)
    return module


class MinibatchStd(nn.Module):
    """One more channel: how much the samples of a group differ (Karras et al. 2018, Sec. 3).

    The standard deviation over the group of every feature at every place, averaged to one
    number per group, which each of its samples sees at every place. Sample $i$ is in group
    `i % (B // group)`, as in the authors' code. The deviation is

        √(Var(x) + ε) - √ε

    exactly 0 for a collapsed group, and smooth where all samples agree.

    Args:
        group: samples per group; a smaller batch is one group.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C+1, H, W), or (B, F) -> (B, F+1).

        Raises:
            RecipeError: the batch is not a whole number of groups.
        """
        n = len(x)
        size = min(self.group, n)
        if n % size:
            raise RecipeError(f"a batch of {n} is not a whole number of groups of {size} samples")
        grouped = x.reshape(size, n // size, -1).float()
        eps = 2.0**-26  # near the authors' 1e-8, with an exact square root
        std = (grouped.var(0, unbiased=False) + eps).sqrt() - eps**0.5
        number = std.mean(1).to(x.dtype).repeat(size)
        channel = number.view(n, 1, *[1] * (x.dim() - 2)).expand(n, 1, *x.shape[2:])
        return torch.cat([x, channel], 1)

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"group={self.group}"


class MinibatchDiscrimination(nn.Module):
    """More features: how near each sample is to the others (Salimans et al. 2016, Sec. 3.2).

    $M = x T$ is (B, kernels, dim). Feature $b$ of sample $i$ is, over the $n$ samples of a batch,

        1/(n - 1) ∑_(j≠i) exp(-‖M_ib - M_jb‖₁)

    It is 1 in a collapsed batch, and near 0 where all samples are far apart. The paper sums over
    all $j$; the mean keeps the range (0, 1] at any batch size.

    Args:
        features: F of the input.
        kernels: features added (B in the paper).
        dim: of the space in which samples are compared (C in the paper).
    """

    def __init__(self, features: int, kernels: int = 32, dim: int = 4) -> None:
        super().__init__()
        self.features, self.kernels, self.dim = features, kernels, dim
        self.tensor = nn.Parameter(torch.randn(features, kernels * dim) / features**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F) -> (B, F + kernels). Memory grows with `B**2 * kernels * dim`."""
        n = len(x)
        m = (x @ self.tensor).view(n, self.kernels, self.dim)
        distance = (m[:, None] - m[None]).abs().sum(-1)  # (B, B, kernels)
        near = torch.exp(-distance).sum(1) - 1  # a sample's distance to itself is 0
        return torch.cat([x, near.to(x.dtype) / max(n - 1, 1)], 1)

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"{self.features}, kernels={self.kernels}, dim={self.dim}"


def minibatch(kind: str, features: int) -> tuple[nn.Module, int]:
    """The layer of that name, "stddev" or "discrimination", and how many features it adds.

    Raises:
        RecipeError: there is none of that name.
    """
    if kind == "stddev":
        return MinibatchStd(), 1
    if kind == "discrimination":
        layer = MinibatchDiscrimination(features)
        return layer, layer.kernels
    raise RecipeError(unknown("minibatch layer", kind, MINIBATCH))


class Packed(nn.Module):
    """Judge several samples together (PacGAN, Lin et al. 2018).

    A collapsed generator gives itself away in every pack. Consecutive samples of the batch
    form a pack.

    Args:
        network: a discriminator for `pack` times the channels (or the dimensions of points).
        pack: samples per logit.
    """

    def __init__(self, network: nn.Module, pack: int = 2) -> None:
        super().__init__()
        if pack < 1:
            raise RecipeError(f"pack must be at least 1, not {pack}")
        self.network, self.pack = network, pack

    def together(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B/pack, pack C, H, W), or (B, d) -> (B/pack, pack d).

        Raises:
            RecipeError: the batch is not a whole number of packs.
        """
        if len(x) % self.pack:
            raise RecipeError(
                f"a batch of {len(x)} is not a whole number of packs of {self.pack} samples"
            )
        return x.reshape(len(x) // self.pack, self.pack * x.shape[1], *x.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> logits (B/pack,)."""
        return self.network(self.together(x))

    def features(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B/pack, F): the inner network's."""
        return self.network.features(self.together(x))  # type: ignore[operator]

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"pack={self.pack}"


def features(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """What the last of `layers` reads, as (B, F)."""
    for layer in list(layers)[:-1]:
        x = layer(x)
    return x.flatten(1)
