"""Complete named experiments: data, networks, game and schedule, as plain data.

A recipe prints, compares, saves as JSON and can be overridden field by field:

    recipe("dcgan-mnist", steps=500)
    recipe("dcgan-mnist", **parse_settings(["generator.width=64", "g_lr=1e-4"]))
"""

from ganlab.recipes import building
from ganlab.recipes.base import FREE, Recipe, parse_settings
from ganlab.recipes.building import (
    build,
    labelled,
    native_bf16,
    networks,
    optimizer,
    penalties,
    precision,
    schedule,
    source,
)
from ganlab.recipes.catalogue import RECIPES, recipe

__all__ = [
    "FREE",
    "RECIPES",
    "Recipe",
    "build",
    "building",
    "labelled",
    "native_bf16",
    "networks",
    "optimizer",
    "parse_settings",
    "penalties",
    "precision",
    "recipe",
    "schedule",
    "source",
]
