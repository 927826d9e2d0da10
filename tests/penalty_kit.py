"""Small networks and helpers that the tests of penalties share."""

import torch
from torch import nn

from ganlab.penalties import Judged


class Linear(nn.Module):
    """D(x) = w·x, whose gradient is w everywhere."""

    def __init__(self, shape, slope):
        super().__init__()
        w = torch.randn(shape, dtype=torch.float64)
        self.w = nn.Parameter(w * slope / w.norm())

    def forward(self, x):
        return (x * self.w).flatten(1).sum(1)


class Small(nn.Module):
    """A convolutional critic without normalisation, smooth enough for finite differences."""

    def __init__(self, channels=2):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.deep = nn.Conv2d(4, 3, 3, stride=2)
        self.head = nn.Linear(3 * 2 * 2, 1)

    def features(self, x):
        return torch.tanh(self.deep(torch.tanh(self.conv(x)))).flatten(1)

    def forward(self, x):
        return self.head(self.features(x)).squeeze(1)


def judge(network, real, fake):
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    return Judged(network, real, fake, network(real), network(fake))


def pictures(n=6, dtype=torch.float64):
    return torch.randn(n, 2, 6, 6, dtype=dtype), torch.randn(n, 2, 6, 6, dtype=dtype)


def weight_gradients(loss, network):
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    pairs = zip(found, network.parameters(), strict=True)
    return [torch.zeros_like(p) if g is None else g for g, p in pairs]


def by_hand(network, x, of):
    """Mean of `of(norm)` at x, sample by sample."""
    total = 0.0
    for one in x:
        point = one[None].clone().requires_grad_()
        (g,) = torch.autograd.grad(network(point)[0], point, create_graph=True)
        total = total + of((g * g).sum().sqrt())
    return total / len(x)
