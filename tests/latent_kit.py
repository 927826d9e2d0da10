"""Generators whose answers are known: their mapping and their pictures are linear."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganlab.models import NormalLatent, StyleGenerator, stylegan, stylegan2

SIZE = 8


class LinearGenerator(StyleGenerator):
    """w = zM + m, and the sum over layers of A_l w_l is the picture."""

    def __init__(self, latent: int = 6, layers: int = 4, matrix: Tensor | None = None) -> None:
        super().__init__()
        self.latent, self.mixing, self.decay = latent, 0.0, 0.995
        random = torch.Generator().manual_seed(3)
        self.mapping = nn.Linear(latent, latent)
        with torch.no_grad():
            m = torch.eye(latent) if matrix is None else matrix
            self.mapping.weight.copy_(m.T)
            self.mapping.bias.fill_(0.5)
        self.register_buffer("average", torch.full((latent,), 0.5))
        pixels = 3 * SIZE * SIZE
        basis = torch.linalg.qr(torch.randn(pixels, layers * latent, generator=random)).Q
        self.a = nn.Parameter(basis.unflatten(1, (layers, latent)))
        self.count = layers

    @property
    def layers_used(self) -> int:
        return self.count

    def synthesis(self, ws: Tensor, noise=None) -> Tensor:
        return torch.einsum("pld,bld->bp", self.a, ws).view(-1, 3, SIZE, SIZE)

    def read(self, pictures: Tensor) -> Tensor:
        """The styles (B, L, W) of pictures: the maps of the layers are orthogonal."""
        return torch.einsum("pld,bp->bld", self.a, pictures.flatten(1))


class PlainGenerator(NormalLatent, nn.Module):
    """Pictures linear in z, and no w."""

    def __init__(self, latent: int = 6) -> None:
        super().__init__()
        self.latent = latent
        self.first = nn.Linear(latent, 3 * SIZE * SIZE, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        return self.first(z).view(-1, 3, SIZE, SIZE)


def small(kind: str = "stylegan2") -> nn.Module:
    """A network of 16 px with random weights, whose noise inputs and mean w are not zero."""
    torch.manual_seed(1)
    if kind == "stylegan2":
        g = stylegan2.Generator(16, 3, 12, 12, 2, channel_base=128, channel_max=12)
    else:
        g = stylegan.Generator(16, 3, 12, 12, 2, channel_base=128, channel_max=12, growing=False)
    with torch.no_grad():
        g.average.copy_(g.mapping(torch.randn(2000, 12)).mean(0))
        for name, p in g.named_parameters():
            if name.endswith("noise.strength"):
                p.fill_(0.1)
    return g.eval()
