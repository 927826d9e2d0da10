"""The families of networks by name: each a Generator and a Discriminator that fit each other.

A family of your own is a class that holds both:

    @network_family("mine")
    class Mine:
        class Generator(NormalLatent, nn.Module): ...       # size, channels, then its options
        class Discriminator(nn.Module): ...                 # size, channels; (B, C, H, W) -> (B,)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganlab.errors import RecipeError, unknown
from ganlab.models import dcgan, mlp, modern, progan, resnet, stylegan, stylegan2

FAMILIES: dict[str, Any] = {
    "dcgan": dcgan,
    "mlp": mlp,
    "resnet": resnet,
    "modern": modern,
    "progan": progan,
    "stylegan": stylegan,
    "stylegan2": stylegan2,
}


def network_family(name: str) -> Callable[[Any], Any]:
    """Register the decorated class, which has `Generator` and `Discriminator`, under `name`."""

    def register(holder: Any) -> Any:
        FAMILIES[name] = holder
        return holder

    return register


def family(name: str) -> Any:
    """What holds the Generator and the Discriminator of that name.

    Raises:
        RecipeError: there is none; the line suggests the nearest.
    """
    if name not in FAMILIES:
        raise RecipeError("network: " + unknown("network", name, FAMILIES))
    return FAMILIES[name]
