"""Many networks of one architecture as one: weights (S, in, out), activations (S, B, features).

A small network costs more in calls than in arithmetic. Stacked, the same layer of S networks is
one batched matrix product, and each network still computes exactly what it would alone: nothing
is shared but the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ganlab.errors import RecipeError
from ganlab.models.layers import MinibatchDiscrimination

NARROW = 16  # columns; below, the products are written another way


class StackedLinear(nn.Module):
    """S linear layers: (S, B, in) -> (S, B, out)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.in_features, self.out_features = layers[0].in_features, layers[0].out_features
        self.weight = nn.Parameter(_stack([self.raw(layer).detach().T for layer in layers]))
        self.bias: nn.Parameter | None = None
        if layers[0].bias is not None:
            self.bias = nn.Parameter(_stack([layer.bias.detach()[None] for layer in layers]))

    @staticmethod
    def raw(layer: Any) -> Tensor:
        """(out, in): the parameter of one layer."""
        return layer.weight

    def matrix(self) -> Tensor:
        """(S, in, out): the weights that multiply."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, in) -> (S, B, out)."""
        w = self.matrix()
        if self.out_features < NARROW:
            # A CPU's batched product of many rows with few columns costs as much as with 32.
            if self.out_features == 1:
                y = (x * w.mT).sum(2, keepdim=True)
            else:
                y = torch.bmm(w.mT, x.mT).mT
            return y if self.bias is None else y + self.bias
        return torch.bmm(x, w) if self.bias is None else torch.baddbmm(self.bias, x, w)


class StackedSpectral(StackedLinear):
    """S linear layers divided by their largest singular values.

    As `ganlab.models.layers.SpectralNorm` has it (Miyato et al. 2018, Algorithm 1): one power
    iteration per forward pass in training mode, none in eval mode, and a gradient through the
    norm with the vectors held fixed.
    """

    u: Tensor
    v: Tensor
    _held: Tensor | None

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__(layers)
        parts: list[Any] = [layer.parametrizations.weight for layer in layers]
        self.hold, self._held = False, None
        self.iterations = parts[0][0].iterations
        self.register_buffer("u", _stack([p[0]._u.detach()[:, None] for p in parts]))
        self.register_buffer("v", _stack([p[0]._v.detach()[:, None] for p in parts]))

    @staticmethod
    def raw(layer: Any) -> Tensor:
        """(out, in): not `weight`, which would take a power iteration to read."""
        return layer.parametrizations.weight.original

    def matrix(self) -> Tensor:
        """(S, in, out), of spectral norm 1 as far as the iterations have come."""
        if self.hold and self._held is not None:
            return self._held
        if self.training:
            with torch.no_grad():
                for _ in range(self.iterations):
                    u = torch.bmm(self.weight.mT, self.v)
                    self.u.copy_(normalize(u, dim=1))
                    v = torch.bmm(self.weight, self.u)
                    self.v.copy_(normalize(v, dim=1))
        # Clones: the buffers change in place while this pass still waits for its backward.
        sigma = torch.bmm(self.v.clone().mT, torch.bmm(self.weight, self.u.clone()))
        matrix = self.weight / sigma.clamp_min(1e-12)
        if self.hold:
            self._held = matrix
        return matrix


class StackedBatchNorm(nn.Module):
    """S BatchNorm layers, each over its own batch: (S, B, F) -> (S, B, F)."""

    mean: Tensor
    var: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__()
        first = layers[0]
        self.count, self.features = len(layers), first.num_features
        self.eps, self.momentum = first.eps, first.momentum or 0.1
        self.weight = nn.Parameter(_stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(_stack([layer.bias.detach() for layer in layers]))
        means: list[Any] = [layer.running_mean for layer in layers]
        variances: list[Any] = [layer.running_var for layer in layers]
        self.register_buffer("mean", _stack(means))
        self.register_buffer("var", _stack(variances))

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, F) -> (S, B, F)."""
        # Seeds side by side are just more channels to BatchNorm.
        flat = x.transpose(0, 1).reshape(x.shape[1], -1)
        flat = torch.nn.functional.batch_norm(
            flat,
            self.mean.view(-1),
            self.var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            self.training,
            self.momentum,
            self.eps,
        )
        return flat.view(x.shape[1], self.count, self.features).transpose(0, 1)


class StackedDiscrimination(nn.Module):
    """S layers of minibatch discrimination: (S, B, F) -> (S, B, F + kernels)."""

    def __init__(self, layers: Sequence[MinibatchDiscrimination]) -> None:
        super().__init__()
        self.kernels, self.dim = layers[0].kernels, layers[0].dim
        self.tensor = nn.Parameter(_stack([layer.tensor.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        """As `MinibatchDiscrimination`, with distances that never exist one by one in memory."""
        seeds, n, _ = x.shape
        m = torch.bmm(x, self.tensor).view(seeds, n, self.kernels, self.dim).transpose(1, 2)
        near = torch.exp(-torch.cdist(m, m, p=1)).sum(3) - 1
        return torch.cat([x, near.transpose(1, 2) / max(n - 1, 1)], 2)


class Mapped(nn.Module):
    """Any layer without state, S times, by `torch.vmap` over its stacked parameters."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        if next(layers[0].buffers(), None) is not None:
            raise RecipeError(f"a layer {type(layers[0]).__name__} cannot be trained stacked")
        self._one = [layers[0]]  # in a list: its own parameters are not the stack's
        self.names = [name for name, _ in layers[0].named_parameters()]
        tables = [dict(layer.named_parameters()) for layer in layers]
        self.stacks = nn.ParameterList(
            nn.Parameter(_stack([table[name].detach() for table in tables])) for name in self.names
        )

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, ...) -> (S, B, ...)."""

        def one(x: Tensor, *values: Tensor) -> Tensor:
            given = dict(zip(self.names, values, strict=True))
            return torch.func.functional_call(self._one[0], given, (x,))

        return torch.vmap(one, randomness="different")(x, *self.stacks)


class Stacked(nn.Module):
    """S networks of `ganlab.models.mlp` as one.

    Args:
        networks: of one architecture; their weights are copied.

    Inputs are (S, B, d), or (S·B, d) with the rows of each network together; outputs are (S, B)
    logits or (S, B, d) points, flat where the input was. The flat form lets functions of single
    samples (gradient penalties) work on all networks at once.

    Attributes:
        count: S.
        rowwise: no layer mixes the rows of a batch, so that two batches may share a pass.

    Raises:
        RecipeError: a layer that cannot be stacked.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.count = len(networks)
        self.pack = int(getattr(networks[0], "pack", 1))
        inner: list[Any] = [getattr(n, "network", n) for n in networks]
        self.latent = getattr(inner[0], "latent", None)
        self.judges = self.latent is None
        columns = [_layers(network) for network in inner]
        self.layers = nn.Sequential(*(_together(row) for row in zip(*columns, strict=True)))
        self.width = columns[0][-1].in_features  # of the features
        mixing = (StackedBatchNorm, StackedDiscrimination, Mapped)
        self.rowwise = not any(isinstance(m, mixing) for m in self.layers)
        self._spectral = [m for m in self.layers if isinstance(m, StackedSpectral)]

    def _apply_to(self, layers: nn.Module, x: Tensor) -> Tensor:
        x = x.view(self.count, -1, x.shape[-1])
        if self.pack > 1:
            x = x.reshape(self.count, -1, self.pack * x.shape[-1])
        return layers(x)

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, d) -> (S, B) logits or (S, B, d) points; (S·B, d) -> (S·B,) or (S·B, d)."""
        y = self._apply_to(self.layers, x)
        if self.judges:
            y = y.squeeze(2)
        return y if x.ndim == 3 else y.flatten(0, 1)

    def both(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (S, B) of two batches (S, B, d); in one pass where that changes nothing."""
        if not self.rowwise or real.shape[1] % self.pack:
            return self(real), self(fake)
        a = self(torch.cat((real, fake), 1))
        share = real.shape[1] // self.pack
        return a[:, :share], a[:, share:]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Normalised weights are computed once inside, as in `torch`'s `parametrize.cached`."""
        for layer in self._spectral:
            layer.hold = True
        try:
            yield
        finally:
            for layer in self._spectral:
                layer.hold, layer._held = False, None

    def features(self, x: Tensor) -> Tensor:
        """What the last linear layer reads: (S, B, d) -> (S, B, F), or (S·B, d) -> (S·B, F)."""
        y = self._apply_to(self.layers[:-1], x)
        return y if x.ndim == 3 else y.flatten(0, 1)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(tuple(tensors)).contiguous()


def _layers(network: nn.Module) -> list[nn.Module]:
    """The layers of a network in order; containers are opened, `Flatten` is left out."""
    found: list[nn.Module] = []
    for child in network.children():
        if isinstance(child, nn.Sequential):
            found += _layers(child)
        elif not isinstance(child, nn.Flatten):
            found.append(child)
    return found


def _together(row: Sequence[Any]) -> nn.Module:
    """One stacked layer for the same layer of every network."""
    first = row[0]
    if isinstance(first, nn.Linear):
        if hasattr(first, "parametrizations"):
            return StackedSpectral(row)
        return StackedLinear(row)
    if isinstance(first, nn.BatchNorm1d):
        return StackedBatchNorm(row)
    if isinstance(first, MinibatchDiscrimination):
        return StackedDiscrimination(row)
    if isinstance(first, nn.ReLU | nn.LeakyReLU | nn.Dropout | nn.Identity):
        return first
    return Mapped(row)


#: `(real logits, generated logits) -> scalar` or `(generated, real) -> scalar`.
Loss = Callable[..., Tensor]


def over_seeds(loss: Loss, *logits: Tensor | None) -> Tensor:
    """(S,) losses, each from one seed's logits; every argument is (S, B) or None."""
    dims = tuple(None if a is None else 0 for a in logits)
    return torch.vmap(loss, in_dims=dims)(*logits)


def splits(loss: Loss, arguments: int) -> bool:
    """Whether the mean over all seeds' logits is the mean of the seeds' losses.

    True for losses that average a function of single logits (or pairs of them); false for the
    relativistic average, which looks at a batch's own mean. Where true, the vmap can be saved.
    """
    draw = torch.Generator().manual_seed(0)
    probe = [3 * torch.randn(4, 8, generator=draw, dtype=torch.float64) for _ in range(arguments)]
    # Seeds that differ in level, or an average over all of them would go unnoticed.
    probe = [a + 5 * torch.arange(4)[:, None] * (i + 1) for i, a in enumerate(probe)]
    return bool(torch.isclose(over_seeds(loss, *probe).mean(), loss(*probe), rtol=1e-9))
