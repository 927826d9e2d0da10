"""The factors of drawn characters, as targets to be learned and as numbers to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganlab.data.atlas import CHARACTERS, TYPEFACES
from ganlab.data.glyphs import draw, factors_at
from ganlab.data.imageset import to_float
from ganlab.data.textures import TEXTURES
from ganlab.errors import DataError
from ganlab.latent.linear import explained
from ganlab.metrics.arrays import shaped

CLASSES = {"character": len(CHARACTERS), "typeface": len(TYPEFACES), "texture": len(TEXTURES)}
COLOURS = ("ink", "paper", "paper2")
LUMA = (0.2126, 0.7152, 0.0722)  # Rec. 709, as the glyphs' lightness


def examples(
    index: Sequence[int], seed: int, size: int, channels: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Drawn characters in [-1, 1] and all their factors, a grey picture's colours one number.

    Args:
        index, seed: which, see `ganlab.data.glyphs.factors_at`.
        size, channels: of the pictures.
    """
    drawn = factors_at(index, seed, color=channels == 3)
    return to_float(draw(drawn, size, channels)), targets(drawn, channels)


def targets(factors: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """The same factors; of grey pictures, a colour is the mean of its three parts."""
    if channels == 3:
        return dict(factors)
    return {name: v.mean(1) if name in COLOURS else v for name, v in factors.items()}


def score(read: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> dict[str, float]:
    """How well factors were read: the share of right classes, R² of numbers (mean over colours)."""
    found = {}
    for name, value in read.items():
        if name in CLASSES:
            found[name] = float((value == truth[name]).double().mean())
        else:
            pairs = zip(value.view(len(value), -1).T, truth[name].view(len(value), -1).T)
            scores = [explained(true, guess) for guess, true in pairs]
            found[name] = sum(scores) / len(scores)
    return found


def scalars(factors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each factor as one number a picture, (N,): a colour becomes its lightness and its warmth.

    Lightness is luma (Rec. 709), warmth red minus blue. Classes stay as they are.

    Raises:
        DataError: a factor is neither (N,) nor (N, 3), or not finite.
    """
    if not isinstance(factors, Mapping):
        raise DataError(f"factors are a dictionary of tensors, not a {type(factors).__name__}")
    found = {}
    for name, value in factors.items():
        shaped(value, str(name), ("N",), ("N", 3))
        if value.ndim == 1:
            found[name] = value
        else:
            found[f"{name} lightness"] = value @ torch.tensor(LUMA).to(value)
            found[f"{name} warmth"] = value[:, 0] - value[:, 2]
    return found
