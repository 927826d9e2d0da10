"""DCGAN: strided convolutions all the way (Radford, Metz and Chintala 2015).

The published 64 px networks have `width=128` (1024 channels at 4x4 in the generator); the
common public script halves that and has no bias anywhere (3,576,704 and 2,765,568 parameters),
as here: BatchNorm's shift, or nothing, stands in for it. Any power of two from 16 to 128
follows the same rule: the generator starts at 4x4 and doubles, the discriminator halves down
to 4x4. Rectangles start as a small rectangle (`ganlab.models.shapes`).
"""

from __future__ import annotations

from torch import Tensor, nn

from ganlab.data.sizes import Size
from ganlab.errors import RecipeError, unknown
from ganlab.models import layers as shared
from ganlab.models.latent import NormalLatent
from ganlab.models.shapes import start

SIZES = (16, 32, 64, 128)
NORMS = ("batch", "layer", "spectral", "none")


def initialise(module: nn.Module, std: float = 0.02) -> None:
    """Weights from N(0, 0.02²), BatchNorm gains from N(1, 0.02²), biases 0 (Sec. 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, std)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, std)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


_REFUSAL = f"DCGAN is defined for sizes {SIZES}, not "


class Generator(NormalLatent, nn.Module):
    """z to a picture: project to 4x4, then transposed convolutions that double the size.

    BatchNorm and ReLU in every layer but the last, which has neither and ends in tanh (Sec. 3).
    The paper draws z uniformly from [-1, 1]; the normal is what all later work uses and has no
    corners in its interpolations.

    Args:
        size: 16, 32, 64 or 128 pixels, or (height, width).
        channels: 1 or 3.
        latent: length of z.
        width: channels before the last layer; they double towards 4x4.
        batch_norm: off for the ablation of chapter 4.
        upsample: "transposed", or "nearest" (resize, then 3x3 convolution), for the ablation.
        norm: None, or "spectral": every convolution spectrally normalised, beside BatchNorm
            (Zhang et al. 2019, Sec. 4.1).

    Raises:
        RecipeError: the size is not supported, or `norm` or `upsample` is unknown.
    """

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        latent: int = 100,
        width: int = 128,
        batch_norm: bool = True,
        upsample: str = "transposed",
        norm: str | None = None,
    ) -> None:
        super().__init__()
        if norm not in (None, "spectral"):
            raise RecipeError(unknown("norm", norm, ("spectral",)))
        first = start(size, SIZES, _REFUSAL)
        stages = first.doublings  # the last one to pixels
        self.size, self.channels, self.latent = first.size, channels, latent
        wide = width * 2 ** (stages - 1)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, wide, first[:2], bias=not batch_norm)]
        for i in range(stages):
            if batch_norm:
                layers.append(nn.BatchNorm2d(wide))
            layers.append(nn.ReLU(inplace=True))
            out = channels if i == stages - 1 else wide // 2
            layers += _double(wide, out, upsample, bias=i < stages - 1 and not batch_norm)
            wide = out
        self.layers = nn.Sequential(*layers, nn.Tanh())
        self.apply(initialise)
        if norm == "spectral":
            shared.spectral(self)

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [-1, 1]."""
        return self.layers(z[:, :, None, None])


def _double(wide: int, out: int, how: str, bias: bool) -> list[nn.Module]:
    """Layers that double height and width."""
    if how == "transposed":
        return [nn.ConvTranspose2d(wide, out, 4, 2, 1, bias=bias)]
    if how == "nearest":
        return [nn.Upsample(scale_factor=2), nn.Conv2d(wide, out, 3, 1, 1, bias=bias)]
    raise RecipeError(f"upsample must be 'transposed' or 'nearest', not '{how}'")


class Discriminator(nn.Module):
    """A picture to one logit: strided convolutions that halve the size down to 4x4.

    LeakyReLU(0.2) throughout; BatchNorm in every layer but the first and the last (Sec. 3).

    Args:
        size: 16, 32, 64 or 128 pixels, or (height, width).
        channels: 1 or 3.
        width: channels after the first layer; they double with each halving.
        batch_norm: off for the ablation of chapter 4.
        activation: "leaky" or "relu", for the ablation.
        pool: halve by average pooling instead of a stride, for the ablation.
        norm: "batch", "layer" (over all of a sample's features), "spectral" (every convolution,
            in place of BatchNorm) or "none"; None leaves it to `batch_norm`.
        minibatch: None, "stddev" or "discrimination": what the last layer also learns about
            the rest of the batch (`ganlab.models.layers`).

    Raises:
        RecipeError: the size is not supported, or an option's value is unknown.
    """

    def __init__(
        self,
        size: Size = 64,
        channels: int = 3,
        width: int = 128,
        batch_norm: bool = True,
        activation: str = "leaky",
        pool: bool = False,
        norm: str | None = None,
        minibatch: str | None = None,
    ) -> None:
        super().__init__()
        norm = norm or ("batch" if batch_norm else "none")
        if norm not in NORMS:
            raise RecipeError(unknown("norm", norm, NORMS))
        bias = norm != "batch"
        if activation not in ("leaky", "relu"):
            raise RecipeError(f"activation must be 'leaky' or 'relu', not '{activation}'")
        layers: list[nn.Module] = []
        before, wide = channels, width
        end = start(size, SIZES, _REFUSAL)
        for i in range(end.doublings):
            if pool:
                layers += [nn.Conv2d(before, wide, 3, 1, 1, bias=bias), nn.AvgPool2d(2)]
            else:
                layers.append(nn.Conv2d(before, wide, 4, 2, 1, bias=bias))
            if norm == "batch" and i > 0:
                layers.append(nn.BatchNorm2d(wide))
            elif norm == "layer" and i > 0:
                layers.append(nn.GroupNorm(1, wide))
            leaky = activation == "leaky"
            layers.append(nn.LeakyReLU(0.2, inplace=True) if leaky else nn.ReLU(inplace=True))
            before, wide = wide, wide * 2
        if minibatch == "discrimination":  # compares whole samples, not places in them
            layers.append(nn.Flatten())
            layer, added = shared.minibatch(minibatch, before * end.places)
            layers += [layer, nn.Linear(before * end.places + added, 1, bias=bias)]
        else:
            if minibatch:
                layer, added = shared.minibatch(minibatch, before)
                layers.append(layer)
                before += added
            layers.append(nn.Conv2d(before, 1, end[:2], bias=bias))
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)
        if norm == "spectral":
            shared.spectral(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B,) logits."""
        return self.layers(x).flatten()

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F): what the last layer reads."""
        return shared.features(self.layers, x)
