"""From a recipe to the game: data, networks, players, stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ganlab.data import load, toy
from ganlab.data.stream import Stream
from ganlab.errors import RecipeError
from ganlab.game import AdversarialGame, Player
from ganlab.losses import objective
from ganlab.models import dcgan, mlp
from ganlab.recipes import Recipe


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
    return "bf16" if recipe.network == "dcgan" and native_bf16(device) else "fp32"


def networks(recipe: Recipe, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for data of `shape`: (C, H, W), or (d,) for points.

    Raises:
        RecipeError: an option that the network does not take, or a size that it cannot make.
    """
    if recipe.network == "dcgan":
        if len(shape) != 3 or shape[1] != shape[2]:
            raise RecipeError(
                f"dcgan needs square pictures, not data of shape {shape}: use --set network=mlp"
            )
        families: tuple[Any, Any] = dcgan.Generator, dcgan.Discriminator
        common: dict[str, Any] = {"size": shape[1], "channels": shape[0]}
    else:
        families = mlp.Generator, mlp.Discriminator
        common = {"out": shape[0] if len(shape) == 1 else tuple(shape)}
    built = []
    for family, options in zip(families, (recipe.generator, recipe.discriminator)):
        try:
            built.append(family(**common, **options))
        except TypeError as error:
            side = family.__name__.lower()
            raise RecipeError(f"{side} options {sorted(options)}: {error}") from error
    return built[0], built[1]


def source(recipe: Recipe) -> Any:
    """The data of a recipe: an `ImageSet`, or a distribution of points."""
    if recipe.points:
        return toy.make(recipe.data)
    return load(recipe.data, size=recipe.size, channels=recipe.channels)


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        g, d = networks(recipe, shape)
    torch.manual_seed(recipe.seed + 1)  # dropout and the like, during training
    for network in (g, d):
        network.to(device)
        if recipe.channels_last and len(shape) == 3:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    players = []
    for name, network, lr in (("generator", g, recipe.g_lr), ("discriminator", d, recipe.d_lr)):
        fused = device.type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(network.parameters(), lr, recipe.betas, fused=fused)
        half_life = recipe.half_life if name == "generator" else None
        schedule = None
        if recipe.schedule == "linear":
            schedule = lambda step: max(0.0, 1 - step / recipe.steps)  # noqa: E731
        players.append(Player(name, network, optimizer, schedule, half_life or None))
        if recipe.compile:
            network.compile()
    game = AdversarialGame(
        players[0],
        players[1],
        objective(recipe.objective, **recipe.objective_options),
        d_steps=recipe.d_steps,
        share_forward=recipe.share_forward,
        accumulate=recipe.accumulate,
        precision=precision(recipe, device),
        seed=recipe.seed + 2,
    )
    stream = Stream(data, recipe.batch, device, recipe.seed + 3, recipe.flip, rank, world)
    return game, stream
