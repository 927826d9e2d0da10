"""Pictures moved along a direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import RecipeError
from ganlab.latent.directions import Directions
from ganlab.latent.network import (
    Layers,
    at_layers,
    has_styles,
    home,
    listed,
    need_latent,
    render,
    spread,
)
from ganlab.metrics.arrays import shaped
from ganlab.models.style_layers import NoiseInput


def edit(
    g: Any,
    ws: Tensor,
    direction: Tensor | Directions,
    strengths: Sequence[float] | Tensor,
    layers: Layers = None,
    noise: NoiseInput = "fixed",
) -> Tensor:
    """Pictures of codes moved along a direction.

    Args:
        g: a generator.
        ws: w (B, W) or styles (B, L, W); z (B, latent) of a generator without styles.
        direction: (W,), or a `Directions` of one.
        strengths: how far, in lengths of the vector; 0 is the picture itself.
        layers: styles to move; by default the direction's, else all.
        noise: of the synthesis: a `Projection`'s, where one was found.

    Returns:
        (len(strengths), B, C, n, n).

    Raises:
        RecipeError: more than one direction, or a width that does not fit.
        DataError: a tensor of another shape, or a value that is not finite.
    """
    if isinstance(direction, Directions):
        layers = direction.layers if layers is None else layers
        direction = direction.vectors
    need_latent(g)
    shaped(ws, "codes", ("B", "W"), ("B", "L", "W"))
    shaped(direction, "direction", ("W",), ("k", "W"))
    amounts = listed("strengths", strengths)
    device = home(g)
    vector = direction.reshape(-1, direction.shape[-1])
    if len(vector) != 1 or vector.shape[1] != ws.shape[-1]:
        raise RecipeError(
            f"one direction of width {ws.shape[-1]} is needed, not {tuple(direction.shape)}"
        )
    step = vector[0].to(device, torch.float32)
    ws = ws.to(device)
    if has_styles(g):
        ws = spread(g, ws)
        step = at_layers(layers, g.layers_used, device) * step
    return torch.stack([render(g, ws + s * step, noise) for s in amounts])
