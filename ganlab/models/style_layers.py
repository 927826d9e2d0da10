"""What StyleGAN and StyleGAN2 share: mapping, noise, mixing, truncation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.data.sizes import Size, as_size, compact
from ganlab.errors import RecipeError
from ganlab.models.equalized import HE, EqualLinear, active, full_precision, pixel_norm
from ganlab.models.latent import Classes, NormalLatent

NOISE = ("random", "fixed", "none")

#: Noise inputs: None (random in training, fixed else), one of `NOISE`, or one tensor per layer,
#: each (B or 1, 1, H, W).
NoiseInput = str | Sequence[Tensor] | None


class Mapping(nn.Module):
    """z, and a class where there are any, to w: a deep fully connected network.

    The learning rate of its weights is scaled down (Karras et al. 2019, App. C). A class is
    embedded to the length of z; both are normalised and joined (Karras et al. 2020, ADA).

    Args:
        latent: length of z; 0 maps classes alone.
        width: of w and of the layers between.
        layers: of the network.
        classes: 0 for none.
        rate: learning rate multiplier.
        bias_gain: √2 where the activation's gain also multiplies the bias (StyleGAN2).
    """

    def __init__(
        self,
        latent: int,
        width: int,
        layers: int = 8,
        classes: int = 0,
        rate: float = 0.01,
        bias_gain: float = 1.0,
    ) -> None:
        super().__init__()
        if latent + classes == 0 or layers < 1:
            raise RecipeError("a mapping needs a latent vector or classes, and at least one layer")
        self.latent, self.classes = latent, classes
        embedded = (latent or width) if classes else 0
        self.embed = EqualLinear(classes, embedded) if classes else None
        sizes = [latent + embedded] + [width] * layers
        self.layers = nn.ModuleList(
            EqualLinear(a, b, HE, bias_gain, rate) for a, b in pairwise(sizes)
        )

    def forward(self, z: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """(B, latent), and (B,) class numbers -> (B, width), in the weights' type always.

        Raises:
            RecipeError: labels are missing, or there are no classes.
        """
        if (labels is None) != (self.embed is None):
            raise RecipeError(
                "this network has no classes: take the labels away"
                if labels is not None
                else f"this network is conditional: give labels, numbers below {self.classes}"
            )
        parts = []
        like = next(self.layers.parameters())
        with full_precision(like):  # w steers everything
            if z is not None:
                parts.append(pixel_norm(z.to(like.dtype)))
            if self.embed is not None and labels is not None:
                one_hot = F.one_hot(labels, self.classes).to(like.dtype)
                parts.append(pixel_norm(self.embed(one_hot)))
            x = torch.cat(parts, 1)
            for layer in self.layers:
                x = active(layer(x))
        return x


def projected(
    h: Tensor, head: nn.Module, condition: Mapping | None, labels: Tensor | None
) -> Tensor:
    """Features (B, F) to logits (B,); with classes the product with a mapped class embedding.

    The product is divided by the square root of its length (Miyato and Koyama 2018; Karras et
    al. 2020, ADA).

    Args:
        h: the features.
        head: linear, to one number, or with classes to as many as `condition` gives.
        condition: maps a class; None without classes.
        labels: (B,) class numbers of a conditional discriminator.

    Raises:
        RecipeError: labels are missing, or there are no classes.
    """
    h = head(h)
    if condition is None:
        if labels is not None:
            raise RecipeError("this discriminator has no classes: take the labels away")
        return h.flatten()
    c = condition(None, labels)
    return (h * c.to(h.dtype)).sum(1) / math.sqrt(h.shape[1])


class Noise(nn.Module):
    """$x + "strength" · "noise"$, with noise that all channels share (Karras et al. 2019, Sec. 2).

    Args:
        size: of the map: the side of a square, or (height, width).
        channels: a strength for each (StyleGAN), or None: one for all (StyleGAN2).
        gain: factor on the strength.

    The strength starts at 0. The fixed noise is drawn once, and is part of the state.
    """

    fixed: Tensor

    def __init__(self, size: Size, channels: int | None = None, gain: float = 1.0) -> None:
        super().__init__()
        high, wide = as_size(size)
        self.size, self.gain = compact(high, wide), gain
        shape = () if channels is None else (channels, 1, 1)
        self.strength = nn.Parameter(torch.zeros(shape))
        self.register_buffer("fixed", torch.randn(1, 1, high, wide))

    def forward(self, x: Tensor, how: str | Tensor) -> Tensor:
        """(B, C, H, W) -> the same; `how` is one of `NOISE`, or the noise itself."""
        if isinstance(how, str) and how == "none":
            return x
        if isinstance(how, Tensor):
            noise = how.to(x.dtype)
        elif how == "fixed":
            noise = self.fixed.to(x.dtype)
        else:
            shape = (x.shape[0], *self.fixed.shape[1:])
            noise = torch.randn(shape, device=x.device, dtype=x.dtype)
        return x + noise * (self.strength * self.gain).to(x.dtype)

    def extra_repr(self) -> str:
        """Shown by `print`."""
        return f"{self.size}, channels={self.strength.numel()}"


class StyleGenerator(NormalLatent, nn.Module):
    """What both generators do with w.

    They add `mapping`, `kinds`, the buffer `average` and `synthesis`.

    In training mode a share `mixing` of the samples takes its finer layers' styles from a
    second latent vector, from a layer on that is drawn at random (Karras et al. 2019, Sec. 3.1).
    Each training forward moves the running mean of w, around which `psi` truncates (App. B).
    The second vector and the layer, drawn anew for each sample, come from torch's global random
    state.
    """

    mapping: Mapping
    kinds: Classes | None
    average: Tensor
    mixing: float
    decay: float

    @property
    def classes(self) -> int:
        """Of a conditional network; else 0."""
        return self.mapping.classes

    @property
    def layers_used(self) -> int:
        """L: how many style inputs there are."""
        raise NotImplementedError

    def synthesis(self, ws: Tensor, noise: NoiseInput = None) -> Tensor:
        """(B, L, W) styles -> (B, C, n, n)."""
        raise NotImplementedError

    def styles(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
    ) -> Tensor:
        """(B, latent) -> (B, L, W): w for each layer, mixed in training, truncated by `psi`.

        Args:
            z: latent vectors.
            labels: (B,) class numbers of a conditional network.
            psi: 1 leaves w, 0 gives the mean w for every z.
            cutoff: truncate only the first so many layers.
        """
        mixes = self.training and self.mixing > 0
        if mixes:
            z = torch.cat([z, torch.randn_like(z)])
            labels = None if labels is None else torch.cat([labels, labels])
        w = self.mapping(z, labels)
        other = None
        if mixes:
            w, other = w.chunk(2)
        if self.training:
            with torch.no_grad():
                self.average.lerp_(w.detach().mean(0), 1 - self.decay)
        layers = self.layers_used
        ws = w[:, None].expand(-1, layers, -1)
        if other is not None:
            ws = torch.where(self._crossed(w.shape[0], layers, w.device), other[:, None], ws)
        return self.truncate(ws, psi, cutoff)

    def _crossed(self, n: int, layers: int, device: torch.device) -> Tensor:
        """(n, L, 1): which layers take the second vector; none in a share 1 - mixing."""
        first = torch.randint(1, layers, (n, 1, 1), device=device)
        mixed = torch.rand(n, 1, 1, device=device) < self.mixing
        return mixed & (torch.arange(layers, device=device)[:, None] >= first)

    def truncate(self, ws: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """(B, L, W): $w̄ + ψ (w - w̄)$ with the mean $w̄$, in the first `cutoff` layers or in all."""
        if psi == 1:
            return ws
        near = torch.lerp(self.average, ws, psi)
        if cutoff is None:
            return near
        layer = torch.arange(ws.shape[1], device=ws.device)[:, None]
        return torch.where(layer < cutoff, near, ws)

    @staticmethod
    def mixed(coarse: Tensor, fine: Tensor, layer: int) -> Tensor:
        """(B, L, W): `coarse` below `layer`, `fine` from it on."""
        return torch.cat([coarse[:, :layer], fine[:, layer:]], 1)

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: NoiseInput = None,
    ) -> Tensor:
        """(B, latent) -> (B, C, n, n), around [-1, 1] but not bounded.

        Args:
            z: latent vectors.
            labels: (B,) class numbers of a conditional network.
            psi, cutoff: truncation, see `styles`.
            noise: see `NoiseInput`.
        """
        return self.synthesis(self.styles(z, labels, psi, cutoff), noise)

    def noise_inputs(self, noise: NoiseInput, count: int) -> list[str | Tensor]:
        """One entry for each of `count` layers.

        Raises:
            RecipeError: an unknown word, or too few tensors.
        """
        if noise is None:
            noise = "random" if self.training else "fixed"
        if isinstance(noise, str):
            if noise not in NOISE:
                raise RecipeError(f"noise is one of {', '.join(NOISE)}, or tensors, not '{noise}'")
            return [noise] * count
        if len(noise) < count:
            raise RecipeError(f"noise for {len(noise)} layers, but the network has {count}")
        return list(noise[:count])
