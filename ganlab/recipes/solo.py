"""The rules of games of one player: a variational autoencoder, a classifier."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import model_validator
from torch import nn

from ganlab.errors import RecipeError
from ganlab.game.solo import ClassifierGame, SoloGame, VaeGame
from ganlab.models.encoder import VAE, Encoder
from ganlab.recipes import building, options
from ganlab.recipes.base import BaseRecipe, Table
from ganlab.recipes.bounds import Rate, within
from ganlab.schedules import changes, schedule


class SoloRecipe(BaseRecipe):
    """An experiment with one player."""

    TABLES: ClassVar[tuple[str, ...]] = ("data_options", "options")
    #: method -> (its network, its game).
    METHODS: ClassVar[dict[str, tuple[Any, type[SoloGame]]]] = {
        "vae": (VAE, VaeGame),
        "classifier": (Encoder, ClassifierGame),
    }

    game: Literal["solo"] = "solo"
    """which game this is"""
    method: Literal["vae", "classifier"] = "vae"
    """what the player learns: vae or classifier"""
    options: Table = {}
    """options of its network, as options.width=64"""
    lr: Rate = 1e-3
    """learning rate, or a schedule of it, as cosine:1e-3:1e-5"""
    beta: Annotated[float, within(0, 1e6)] = 1.0
    """of a vae: weight of the KL divergence"""
    spread: Annotated[float, within(above=0, high=100)] = 0.3
    """of a vae: standard deviation of a pixel around its reconstruction"""

    @model_validator(mode="after")
    def _rules(self) -> SoloRecipe:
        """Options of the network, and what does not go together."""
        maker = self.METHODS[self.method][0]
        options.check("options", maker, self.options, options.NETWORK, f"a {self.method}")
        if self.points:
            raise RecipeError(f"data: a {self.method} needs pictures, not points")
        if (self.method == "classifier") != (self.classes > 0):
            words = "needs the number of classes" if not self.classes else "takes no classes"
            raise RecipeError(f"classes: a {self.method} {words}")
        return self

    @property
    def moves(self) -> bool:
        """True when a single value follows a schedule of its own."""
        return super().moves or changes(self.lr)

    def networks(self, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The player's network."""
        if len(shape) != 3 or shape[1] != shape[2]:
            raise RecipeError(f"{self.method}: needs square pictures, not data of shape {shape}")
        told = {"out": self.classes} if self.method == "classifier" else {}
        maker = self.METHODS[self.method][0]
        return {self.method: maker(size=shape[1], channels=shape[0], **told, **self.options)}

    def products(self, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The VAE's two networks, or the classifier, untrained."""
        network: Any = self.networks(shape)[self.method]
        if self.method == "vae":
            return {"generator": network.decoder, "encoder": network.encoder}
        return {self.method: network}

    def play(self, made: dict[str, nn.Module], precision: str, device: torch.device) -> SoloGame:
        """The game, on a network that lies on its device."""
        network = made[self.method]
        player = building.player(self, self.method, network, self.lr, averaged=True)
        if self.compile:
            network.compile()
        rules = {"beta": self.beta, "spread": self.spread} if self.method == "vae" else {}
        game = self.METHODS[self.method][1](
            player, accumulate=self.accumulate, precision=precision, seed=self.seed + 2, **rules
        )
        put = building.decays(self, player.optimizer)
        if put is not None:
            game.schedules.append((schedule(self.betas[1]), put))
        return game


def recipes() -> list[SoloRecipe]:
    """Those that come with the package."""
    base = SoloRecipe(size=32, channels=1, betas=(0.9, 0.999), steps=3000)
    made = [
        base.with_(name=f"vae-{data}", data=data, about=f"a variational autoencoder on {what}")
        for data, what in (("glyphs", "drawn characters"), ("mnist", "digits"))
    ]
    made += [
        base.with_(
            name=f"classifier-{data}",
            data=data,
            method="classifier",
            classes=classes,
            steps=1000,
            about=f"a classifier of {what}",
        )
        for data, classes, what in (("glyphs", 36, "drawn characters"), ("mnist", 10, "digits"))
    ]
    return made
