"""Complete named experiments: data, networks, game and schedule, as plain data.

A recipe prints, compares, saves as JSON and can be overridden field by field:

    recipe("dcgan-mnist", steps=500)
    recipe("dcgan-mnist", **settings(["generator.width=64", "g_lr=1e-4"]))
"""

from ganlab.recipes import building
from ganlab.recipes.adversarial import Recipe, augmentation, networks
from ganlab.recipes.adversarial import penalties_of as penalties
from ganlab.recipes.base import FREE, BaseRecipe
from ganlab.recipes.building import (
    build,
    labelled,
    native_bf16,
    optimizer,
    precision,
    schedule,
    shape_of,
    source,
)
from ganlab.recipes.catalogue import RECIPES, recipe
from ganlab.recipes.settings import settings
from ganlab.recipes.solo import SoloRecipe

__all__ = [
    "FREE",
    "RECIPES",
    "BaseRecipe",
    "Recipe",
    "SoloRecipe",
    "augmentation",
    "build",
    "building",
    "labelled",
    "native_bf16",
    "networks",
    "optimizer",
    "penalties",
    "precision",
    "recipe",
    "schedule",
    "settings",
    "shape_of",
    "source",
]
