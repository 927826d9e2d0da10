"""From a recipe to the game: data, players, stream. What all games share; a recipe of each game
says what is its own (`BaseRecipe.networks`, `BaseRecipe.play`)."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ganlab.data import load, toy
from ganlab.data.stream import Stream
from ganlab.errors import RecipeError
from ganlab.game import Game, Player
from ganlab.recipes.base import BaseRecipe
from ganlab.schedules import schedule as scheduled

MOST = 2_000_000_000  # weights of a network: 8 GB


def native_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is in the hardware, so that it is faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, t, lambda: False)() for t in tests)
    return False


def precision(recipe: BaseRecipe, device: torch.device) -> str:
    """The recipe's precision, with "auto" decided for this device.

    Small fully connected networks gain nothing from bf16, and points lose digits by it.
    """
    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if getattr(recipe, "network", "") != "mlp" and native_bf16(device) else "fp32"


def optimizer(
    recipe: BaseRecipe, network: nn.Module, lr: float, lazy: int = 1
) -> torch.optim.Optimizer:
    """The recipe's optimiser over a network's weights, fused where the device has it.

    Args:
        recipe: names it.
        network: on its device.
        lr: learning rate.
        lazy: every how many steps a penalty is applied. Adam's rate and decay are corrected for
            the step that the penalty would have had on its own: the rate times $c$ and $β^c$
            with $c = k/(k + 1)$ (Karras et al. 2020, StyleGAN2, App. B).
    """
    weights = list(network.parameters())
    fused = weights[0].device.type in ("cpu", "cuda")
    first, second = recipe.betas[0], scheduled(recipe.betas[1]).start
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(weights, lr, alpha=second, momentum=first)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(weights, lr, momentum=first, fused=fused)
    c = lazy / (lazy + 1) if lazy > 1 else 1.0
    return torch.optim.Adam(weights, lr * c, (first**c, second**c), fused=fused)


def schedule(
    recipe: BaseRecipe, steps: int, rate: float | str = 1.0
) -> Callable[[int], float] | None:
    """Factor on the learning rate after so many of a player's steps; None if constant.

    Args:
        recipe: its `schedule` holds for all rates.
        steps: of the player in a round.
        rate: the player's own, which may be a schedule too: the factors are multiplied.
    """
    total = recipe.steps * steps
    own = scheduled(rate)
    if recipe.schedule == "constant" and own.kind == "constant":
        return None

    def factor(step: int) -> float:
        share = step / total
        both = own(share) / own.start
        if recipe.schedule == "linear":
            return max(0.0, 1 - share) * both
        if recipe.schedule == "cosine":
            return (1 + math.cos(math.pi * min(1.0, share))) / 2 * both
        return both

    return factor


def decays(recipe: BaseRecipe, optimizer: Any, lazy: int = 1) -> Callable[[float], None] | None:
    """What sets Adam's second decay to a value, where the recipe has a schedule of it."""
    if scheduled(recipe.betas[1]).kind == "constant" or recipe.optimizer != "adam":
        return None
    c = lazy / (lazy + 1) if lazy > 1 else 1.0

    def put(value: float) -> None:
        for group in optimizer.param_groups:
            group["betas"] = (group["betas"][0], value**c)

    return put


def player(
    recipe: BaseRecipe,
    name: str,
    network: nn.Module,
    rate: float | str,
    steps: int = 1,
    lazy: int = 1,
    averaged: bool = False,
) -> Player:
    """A network with the recipe's optimiser, schedule and, if `averaged`, running average."""
    half_life = recipe.half_life or None if averaged else None
    chosen = optimizer(recipe, network, scheduled(rate).start, lazy)
    return Player(name, network, chosen, schedule(recipe, steps, rate), half_life, recipe.ramp)


def labelled(recipe: BaseRecipe, data: Any) -> bool:
    """Whether the networks are told the classes of `data`.

    Raises:
        RecipeError: the recipe's number of classes is not that of the data.
    """
    if recipe.classes and recipe.classes != len(data.classes):
        found = len(data.classes) or "none"
        raise RecipeError(f"classes: {data.name} has {found}, not {recipe.classes}")
    return recipe.classes > 0


def source(recipe: BaseRecipe) -> Any:
    """The data of a recipe: an `ImageSet`, or a distribution of points."""
    if recipe.points:
        return toy.make(recipe.data)
    return load(recipe.data, size=recipe.side, channels=recipe.channels, **recipe.data_options)


def shape_of(data: Any) -> tuple[int, ...]:
    """(C, H, W) of a set's pictures, or (d,) of points."""
    return tuple(data.shape) if hasattr(data, "shape") else (data.dim,)


def modest(what: str, make: Callable[[], nn.Module]) -> None:
    """Refuse a network that no machine holds, before a byte of it is made.

    Raises:
        RecipeError: it has more than `MOST` weights.
    """
    with torch.device("meta"):
        count = sum(p.numel() for p in make().parameters())
    if count > MOST:
        raise RecipeError(
            f"{what}: these options make {count / 1e9:,.0f} billion weights, and the most is"
            f" {MOST / 1e9:.0f}: make it narrower"
        )


def compiler(device: torch.device) -> None:
    """Refuse to compile where nothing could: the first round would end in a traceback.

    Raises:
        RecipeError: no C++ compiler is there, or no Triton for a GPU.
    """
    named = os.environ.get("CXX")
    found = any(shutil.which(name) for name in ([named] if named else ["g++", "clang++", "cl"]))
    if not found and device.type != "mps":
        raise RecipeError(
            "compile: torch.compile needs a C++ compiler, and there is none: install g++, or set"
            " compile=false"
        )
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise RecipeError("compile: torch.compile needs triton on a GPU: pip install triton")


def build(
    recipe: BaseRecipe,
    data: Any,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world: int = 1,
) -> tuple[Any, Stream]:
    """The game and the stream of a recipe, ready for `Trainer.fit`.

    Args:
        recipe: what to build.
        data: from `source`.
        device: where to play.
        rank, world: of this process.
    """
    device = torch.device(device)
    if recipe.compile:
        compiler(device)
    shape, told = shape_of(data), labelled(recipe, data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        made = recipe.networks(shape)
    if told:
        recipe.learn(made, data)
    # Dropout, augmentation and the like, during training; each rank draws its own.
    torch.manual_seed(recipe.seed + 1 + 7919 * rank)
    for network in made.values():
        network.to(device)
        if recipe.channels_last and len(shape) == 3:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    game: Game = recipe.play(made, precision(recipe, device), device)
    game.horizon = recipe.steps
    stream = Stream(
        data, recipe.batch, device, recipe.seed + 3, recipe.flip, rank, world, labelled=told
    )
    return game, stream
