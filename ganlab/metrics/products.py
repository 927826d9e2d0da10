"""Two matrix products whose results are symmetric, at about half the cost of the general ones.

Only blocks on and above (or below) the diagonal are computed, and the others mirrored. BLAS can do
this; PyTorch does not pass it on.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 256  # columns


def gram(x: Tensor) -> Tensor:
    """x'x, (N, D) -> (D, D)."""
    dims = x.shape[1]
    out = x.new_empty(dims, dims)
    for i in range(0, dims, BLOCK):
        j = min(i + BLOCK, dims)
        torch.mm(x[:, i:j].T, x[:, i:], out=out[i:j, i:])
        out[j:, i:j] = out[i:j, j:].T
    return out


def congruent(lower: Tensor, s: Tensor) -> Tensor:
    """l's l of a lower triangular and a symmetric matrix, both (D, D); zeros are not multiplied."""
    dims = len(s)
    product, out = torch.empty_like(s), torch.empty_like(s)
    for i in range(0, dims, BLOCK):
        j = min(i + BLOCK, dims)
        product[:, i:j] = s[:, i:] @ lower[i:, i:j]
    for i in range(0, dims, BLOCK):
        j = min(i + BLOCK, dims)
        out[i:j, :j] = lower[i:, i:j].T @ product[i:, :j]
        out[:i, i:j] = out[i:j, :i].T
    return out
