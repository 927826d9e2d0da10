"""Two matrix products whose results are symmetric, at about half the cost of the general ones.

Only blocks on and above (or below) the diagonal are computed, and the others mirrored. BLAS can do
this; PyTorch does not pass it on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.errors import DataError

BLOCK = 256  # columns


def gram(x: Tensor) -> Tensor:
    """$Xᵀ X$, (N, D) -> (D, D).

    Raises:
        DataError: it is no matrix.
    """
    _matrices(x=x)
    dims = x.shape[1]
    out = x.new_empty(dims, dims)
    for i in range(0, dims, BLOCK):
        j = min(i + BLOCK, dims)
        torch.mm(x[:, i:j].T, x[:, i:], out=out[i:j, i:])
        out[j:, i:j] = out[i:j, j:].T
    return out


def congruent(lower: Tensor, s: Tensor) -> Tensor:
    """$Lᵀ S L$ of a lower triangular and a symmetric matrix, (D, D); zeros are not multiplied.

    Raises:
        DataError: they are no square matrices of one size.
    """
    _matrices(lower=lower, s=s)
    if not lower.shape == s.shape == (len(s), len(s)):
        raise DataError(f"two (D, D) expected, not {tuple(lower.shape)} and {tuple(s.shape)}")
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


def _matrices(**given: Tensor) -> None:
    """Refuse what is no matrix. Values pass: here they are in the middle of a computation."""
    for name, x in given.items():
        if not isinstance(x, Tensor) or x.ndim != 2:
            raise DataError(f"{name}: a matrix expected, not {tuple(getattr(x, 'shape', ()))}")
