"""From a recipe to the game: data, networks, players, stream."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from ganlab.augment.ada import Ada, AdaptiveP
from ganlab.augment.diff import Transform, augment
from ganlab.data import load, toy
from ganlab.data.stream import Stream
from ganlab.errors import RecipeError
from ganlab.game import AdversarialGame, Player
from ganlab.game.whole import WholeStep
from ganlab.losses import objective
from ganlab.models import dcgan, mlp, modern, progan, resnet, stylegan, stylegan2
from ganlab.models.latent import Classes
from ganlab.models.layers import Packed
from ganlab.penalties import Penalty, penalty
from ganlab.recipes.base import Recipe

FAMILIES = {
    "dcgan": dcgan,
    "mlp": mlp,
    "resnet": resnet,
    "modern": modern,
    "progan": progan,
    "stylegan": stylegan,
    "stylegan2": stylegan2,
}


def native_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is in the hardware, so that it is faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, t, lambda: False)() for t in tests)
    return False


def precision(recipe: Recipe, device: torch.device) -> str:
    """The recipe's precision, with "auto" decided for this device.

    Small fully connected networks gain nothing from bf16, and points lose digits by it.
    """
    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if recipe.network != "mlp" and native_bf16(device) else "fp32"


def networks(recipe: Recipe, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for data of `shape`: (C, H, W), or (d,) for points.

    Raises:
        RecipeError: an option that the network does not take, a size that it cannot make, or
            classes where it has none.
    """
    module: Any = FAMILIES[recipe.network]
    if recipe.network == "mlp":
        commons = [{"out": s[0] if len(s) == 1 else s} for s in _seen(shape, recipe.pack)]
    elif len(shape) != 3 or shape[1] != shape[2]:
        raise RecipeError(
            f"{recipe.network} needs square pictures, not data of shape {shape}:"
            " use --set network=mlp"
        )
    else:
        commons = [{"size": s[1], "channels": s[0]} for s in _seen(shape, recipe.pack)]
    sides = (module.Generator, recipe.generator), (module.Discriminator, recipe.discriminator)
    told: dict[str, Any] = {"classes": recipe.classes} if recipe.classes else {}
    if told and "classes" not in inspect.signature(module.Generator).parameters:
        raise RecipeError(f"classes: {recipe.network} takes none; stylegan and stylegan2 do")
    built = []
    for common, (family, options) in zip(commons, sides, strict=True):
        try:
            built.append(family(**common, **told, **options))
        except TypeError as error:
            side = family.__name__.lower()
            raise RecipeError(f"{side} options {sorted(options)}: {error}") from error
    return built[0], Packed(built[1], recipe.pack) if recipe.pack > 1 else built[1]


def _seen(shape: tuple[int, ...], pack: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the generator makes, and what the discriminator sees: packs of it, side by side."""
    return tuple(shape), (shape[0] * pack, *shape[1:])


def penalties(recipe: Recipe) -> list[Penalty]:
    """The penalties of a recipe.

    Raises:
        RecipeError: an unknown name or option.
    """
    return [
        penalty(name, **value) if isinstance(value, dict) else penalty(name, value)
        for name, value in recipe.penalties.items()
    ]


def optimizer(
    recipe: Recipe, network: nn.Module, lr: float, lazy: int = 1
) -> torch.optim.Optimizer:
    """The recipe's optimiser over a network's weights, fused where the device has it.

    Args:
        recipe: names it.
        network: on its device.
        lr: learning rate.
        lazy: every how many steps a penalty is applied. Adam's rate and decay are corrected for
            the step that the penalty would have had on its own: lr·c and β^c with
            c = k/(k+1) (Karras et al. 2020, StyleGAN2, App. B).
    """
    weights = list(network.parameters())
    fused = weights[0].device.type in ("cpu", "cuda")
    first, second = recipe.betas
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(weights, lr, alpha=second, momentum=first)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(weights, lr, momentum=first, fused=fused)
    c = lazy / (lazy + 1) if lazy > 1 else 1.0
    return torch.optim.Adam(weights, lr * c, (first**c, second**c), fused=fused)


def schedule(recipe: Recipe, g_or_d_steps: int) -> Callable[[int], float] | None:
    """Factor on the learning rate after so many of a player's steps; None if constant."""
    total = recipe.steps * g_or_d_steps
    if recipe.schedule == "linear":
        return lambda step: max(0.0, 1 - step / total)
    if recipe.schedule == "cosine":
        return lambda step: (1 + math.cos(math.pi * min(1.0, step / total))) / 2
    return None


def augmentation(recipe: Recipe, device: torch.device) -> Transform | None:
    """What D sees everything through: DiffAugment, ADA, or nothing.

    Raises:
        RecipeError: an unknown word.
    """
    if recipe.augment == "ada":
        return AdaptiveP(Ada("bgc"), recipe.ada_target, recipe.ada_length).to(device)
    return augment(recipe.augment)


def labelled(recipe: Recipe, data: Any) -> bool:
    """Whether the networks are told the classes of `data`.

    Raises:
        RecipeError: the recipe's number of classes is not that of the data.
    """
    if recipe.classes and recipe.classes != len(data.classes):
        found = len(data.classes) or "none"
        raise RecipeError(f"classes: {data.name} has {found}, not {recipe.classes}")
    return recipe.classes > 0


def source(recipe: Recipe) -> Any:
    """The data of a recipe: an `ImageSet`, or a distribution of points."""
    if recipe.points:
        return toy.make(recipe.data)
    return load(recipe.data, size=recipe.size, channels=recipe.channels, **recipe.data_options)


def build(
    recipe: Recipe,
    data: Any,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world: int = 1,
) -> tuple[AdversarialGame, Stream]:
    """The game and the stream of a recipe, ready for `Trainer.fit`.

    Args:
        recipe: what to build.
        data: from `source`.
        device: where to play.
        rank, world: of this process.
    """
    device = torch.device(device)
    shape = (data.dim,) if recipe.points else data.shape
    told = labelled(recipe, data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        g, d = networks(recipe, shape)
    if told:
        cast(Classes, g.kinds).learn(data.labels)
    # Dropout, augmentation and the like, during training; each rank draws its own.
    torch.manual_seed(recipe.seed + 1 + 7919 * rank)
    for network in (g, d):
        network.to(device)
        if recipe.channels_last and len(shape) == 3:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    chosen = penalties(recipe)
    players = []
    for name, network, lr, steps in (
        ("generator", g, recipe.g_lr, recipe.g_steps),
        ("discriminator", d, recipe.d_lr, recipe.d_steps),
    ):
        lazy = max((p.every for p in chosen if p.side == name[0]), default=1)
        half_life = recipe.half_life if name == "generator" else None
        players.append(
            Player(
                name,
                network,
                optimizer(recipe, network, lr, lazy),
                schedule(recipe, steps),
                half_life or None,
                recipe.ramp,
            )
        )
        # A penalised D is compiled as a whole step: its own graph would break the penalty.
        penalised = any(p.side == "d" for p in chosen)
        if recipe.compile and not (penalised and name == "discriminator"):
            network.compile()
    aim = objective(recipe.objective, **recipe.objective_options)
    game = AdversarialGame(
        players[0],
        players[1],
        aim,
        d_steps=recipe.d_steps,
        share_forward=recipe.share_forward,
        accumulate=recipe.accumulate,
        precision=precision(recipe, device),
        seed=recipe.seed + 2,
        g_steps=recipe.g_steps,
        penalties=chosen,
        clip=recipe.clip,
        augment=augmentation(recipe, device),
        instance_noise=recipe.instance_noise,
        label_flip=recipe.label_flip,
        top_k=recipe.top_k,
        pool=recipe.pool,
        unroll=recipe.unroll,
        horizon=recipe.steps,
        whole=WholeStep(d, aim, chosen) if recipe.compile and chosen else None,
    )
    stream = Stream(
        data, recipe.batch, device, recipe.seed + 3, recipe.flip, rank, world, labelled=told
    )
    return game, stream
