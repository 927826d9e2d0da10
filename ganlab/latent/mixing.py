"""Style mixing: one latent vector's styles in some layers, another's in the rest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganlab.errors import RecipeError
from ganlab.latent.network import Layers, at_layers, mapped, need_styles, render, spread


def mix(g: Any, a: Tensor, b: Tensor, layers: Layers) -> Tensor:
    """Styles (B, L, W): b's in `layers`, a's elsewhere.

    Args:
        g: a generator with styles.
        a, b: w (B, W) or styles (B, L, W).
        layers: "coarse", "middle", "fine", a slice, a range or numbers; see `chosen`.

    Raises:
        RecipeError: the generator has no w, a layer does not exist, or a and b differ in number.
        DataError: codes that are no finite tensor.
    """
    need_styles(g, "style mixing")
    a, b = spread(g, a), spread(g, b)
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise RecipeError(f"style mixing: {len(a)} codes and {len(b)} are no pairs")
    return torch.where(at_layers(layers, g.layers_used, a.device), b, a)


def mixing_grid(
    g: Any, rows: Tensor, columns: Tensor, layers: Layers = "coarse", psi: float = 1.0
) -> Tensor:
    """Every row mixed with every column (Karras et al. 2019, Sec. 3.1 and Fig. 3).

    Args:
        g: a generator with styles.
        rows: (R, latent), z that give the styles elsewhere.
        columns: (K, latent), z that give the styles in `layers`.
        layers: "coarse", "middle", "fine", a slice, a range or numbers; see `chosen`.
        psi: truncation of both.

    Returns:
        (R, K, C, n, n).

    Raises:
        RecipeError: the generator has no w, or a layer does not exist.
    """
    need_styles(g, "style mixing")
    a, b = mapped(g, rows, psi), mapped(g, columns, psi)
    pairs = (a.repeat_interleave(len(b), 0), b.repeat(len(a), 1))
    return render(g, mix(g, *pairs, layers)).unflatten(0, (len(a), len(b)))
