"""The rules of a generator against a discriminator, and the game that they make."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import model_validator
from torch import nn

from ganlab import penalties
from ganlab.augment import Ada, AdaptiveP, Sometimes, Transform, augment
from ganlab.data.sizes import compact
from ganlab.errors import RecipeError, unknown
from ganlab.game import AdversarialGame, WholeStep
from ganlab.losses import objective
from ganlab.models.families import family
from ganlab.models.layers import Packed
from ganlab.penalties import Penalty, penalty
from ganlab.recipes import building, options
from ganlab.recipes.base import BaseRecipe, Table
from ganlab.recipes.bounds import Chance, Rate, checked, within
from ganlab.schedules import changes, schedule


class Recipe(BaseRecipe):
    """An experiment with a generator and a discriminator.

    A game of your own with the same parts is a subclass with another `game` and `GAME`.
    """

    #: What is played: `AdversarialGame`, or a class that is made like it.
    GAME: ClassVar[type[AdversarialGame]] = AdversarialGame

    TABLES: ClassVar[tuple[str, ...]] = (
        *("data_options", "generator", "discriminator", "objective_options", "penalties"),
    )

    game: Literal["adversarial"] = "adversarial"
    """which game this is"""
    network: str = "dcgan"
    """family of both networks: dcgan, mlp, resnet, modern, progan, stylegan or stylegan2"""
    generator: Table = {}
    """options of the generator, as generator.width=64"""
    discriminator: Table = {}
    """options of the discriminator"""
    objective: str = "non-saturating"
    """what each side minimises (ganlab.losses)"""
    objective_options: Table = {}
    """options of the objective"""
    penalties: Table = {}
    """name to weight, as penalties.gp=10, or to a table of options (ganlab.penalties)"""
    d_steps: Annotated[int, within(1, 1000)] = 1
    """discriminator's steps a round"""
    g_steps: Annotated[int, within(1, 1000)] = 1
    """generator's steps a round"""
    share_forward: bool = False
    """one generator forward for both steps"""
    g_lr: Rate = 2e-4
    """the generator's learning rate, or a schedule of it, as cosine:2e-4:5e-5"""
    d_lr: Rate = 2e-4
    """the discriminator's learning rate, or a schedule of it"""
    clip: Annotated[float, within(0, 1e6)] = 0.0
    """bound on the discriminator's weights; 0 for none"""
    pack: Annotated[int, within(1, 64)] = 1
    """samples that the discriminator judges together"""
    augment: str = ""
    """what D sees everything through: words of ganlab.augment with commas between, or ada"""
    augment_p: Chance | None = None
    """chance that a sample is augmented, or a schedule of it; none: always, of ada: adaptive"""
    ada_target: Annotated[float, within(0, 1)] = 0.6
    """of ganlab.augment.AdaptiveP: the sign of D's logits on real pictures to hold"""
    ada_length: Annotated[float, within(1, 1e12)] = 500_000.0
    """of ganlab.augment.AdaptiveP: images in which p goes from 0 to 1"""
    instance_noise: Annotated[float, within(0, 100)] = 0.0
    """standard deviation of noise on all that D sees, to 0 over `steps`"""
    label_flip: Annotated[float, within(0, below=0.5)] = 0.0
    """chance of exchanged labels in D's loss"""
    top_k: Annotated[float, within(above=0, high=1)] = 1.0
    """share of samples that the generator learns from in the end, from 1 over `steps`"""
    pool: Annotated[int, within(0, 1_000_000)] = 0
    """generated pictures kept and shown to D again; 0 for none"""
    unroll: Annotated[int, within(0, 100)] = 0
    """updates of D that the generator looks ahead; 0 for none"""

    @model_validator(mode="after")
    def _rules(self) -> Recipe:
        """Names, and options of what they name; what does not go together."""
        module = family(self.network)
        for side in ("generator", "discriminator"):
            maker = getattr(module, side.capitalize())
            of = f"{self.network}'s {side}"
            options.check(side, maker, getattr(self, side), options.NETWORK, of)
        options.check_objective(self.objective, self.objective_options)
        for name, given in self.terms.items():
            self._penalty(name, given)
        if self.augment != "ada":
            augment(self.augment)
        if self.augment_p is not None and not self.augment:
            raise RecipeError("augment_p: there is no augmentation; name one with augment")
        if self.classes and (self.points or self.pack > 1):
            raise RecipeError("classes: for pictures that are judged one by one (pack=1)")
        if self.batch // self.accumulate % self.pack:
            raise RecipeError(f"batch {self.batch} is not a whole number of packs of {self.pack}")
        return self

    def _penalty(self, name: str, given: Table) -> None:
        known = penalties.penalties()
        if name not in known:
            raise RecipeError("penalties: " + unknown("penalty", name, known))
        field = f"penalties.{name}"
        if not isinstance(self.penalties[name], dict):
            checked(field, options.PENALTY["weight"], given["weight"])
        options.check(field, penalties.family(name), given, options.PENALTY, f"penalty '{name}'")
        if self.compile and changes(given.get("weight", 0)):
            raise RecipeError(f"{field}: a weight that changes does not go with compile")

    @property
    def terms(self) -> dict[str, Table]:
        """`penalties` with each as a table of options, its weight among them if it is given."""
        return {
            name: value if isinstance(value, dict) else {"weight": value}
            for name, value in self.penalties.items()
        }

    @property
    def moves(self) -> bool:
        """True when a single value follows a schedule of its own."""
        weights = [given.get("weight", 0) for given in self.terms.values()]
        values = [self.g_lr, self.d_lr, self.augment_p or 0, *weights]
        return super().moves or any(map(changes, values))

    @property
    def timed(self) -> bool:
        """True when something runs over `steps`."""
        return super().timed or self.instance_noise > 0 or self.top_k < 1

    def networks(self, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """See `networks`, the function."""
        generator, discriminator = networks(self, shape)
        return {"generator": generator, "discriminator": discriminator}

    def products(self, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The generator, untrained."""
        return {"generator": self.networks(shape)["generator"]}

    def learn(self, made: dict[str, Any], data: Any) -> None:
        """Tell the generator how often each class occurs."""
        made["generator"].kinds.learn(data.labels)

    def play(
        self, made: dict[str, nn.Module], precision: str, device: torch.device
    ) -> AdversarialGame:
        """The game, on networks that lie on their device."""
        chosen = penalties_of(self)
        players: dict[str, Any] = {}
        decays = []
        for name, rate, steps in (
            ("generator", self.g_lr, self.g_steps),
            ("discriminator", self.d_lr, self.d_steps),
        ):
            lazy = max((p.every for p in chosen if p.side == name[0]), default=1)
            one = building.player(
                self, name, made[name], rate, steps, lazy, averaged=name == "generator"
            )
            players[name] = one
            decays.append(building.decays(self, one.optimizer, lazy))
            # A network that is differentiated twice breaks its own graph; a penalised D is
            # compiled as a whole step below.
            if self.compile and not any(p.side == name[0] for p in chosen):
                made[name].compile()
        aim = objective(self.objective, **self.objective_options)
        whole = None
        if self.compile and (of_d := [p for p in chosen if p.side == "d"]):
            whole = WholeStep(made["discriminator"], aim, of_d)
        shown = augmentation(self, device)
        game = self.GAME(
            **players,
            objective=aim,
            d_steps=self.d_steps,
            share_forward=self.share_forward,
            accumulate=self.accumulate,
            precision=precision,
            seed=self.seed + 2,
            g_steps=self.g_steps,
            penalties=chosen,
            clip=self.clip,
            augment=shown,
            instance_noise=self.instance_noise,
            label_flip=self.label_flip,
            top_k=self.top_k,
            pool=self.pool,
            unroll=self.unroll,
            whole=whole,
        )
        game.schedules += [(schedule(self.betas[1]), put) for put in decays if put is not None]
        for p, given in zip(chosen, self.terms.values(), strict=True):
            if changes(given.get("weight", 0)):
                game.schedules.append((schedule(given["weight"]), p.weigh))
        if self.augment_p is not None and shown is not None:
            game.schedules.append((schedule(self.augment_p), shown.set_p))  # type: ignore
        return game


def networks(recipe: Recipe, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for data of `shape`: (C, H, W), or (d,) for points.

    Raises:
        RecipeError: an option that the network does not take, a size that it cannot make, or
            classes where it has none.
    """
    module: Any = family(recipe.network)
    if recipe.network == "mlp":
        commons = [{"out": s[0] if len(s) == 1 else s} for s in _seen(shape, recipe.pack)]
    elif len(shape) != 3:
        raise RecipeError(
            f"{recipe.network} needs pictures, not points of {shape[0]} numbers: use --set"
            " network=mlp"
        )
    else:
        commons = [
            {"size": compact(*shape[1:]), "channels": s[0]} for s in _seen(shape, recipe.pack)
        ]
    sides = (module.Generator, recipe.generator), (module.Discriminator, recipe.discriminator)
    told: dict[str, Any] = {"classes": recipe.classes} if recipe.classes else {}
    if told and "classes" not in inspect.signature(module.Generator).parameters:
        raise RecipeError(f"classes: {recipe.network} takes none; stylegan and stylegan2 do")
    built = []
    for common, (maker, given) in zip(commons, sides, strict=True):
        make = partial(maker, **common, **told, **given)
        numbers = [n for v in given.values() for n in (v if isinstance(v, list | tuple) else [v])]
        if any(isinstance(n, int) and n > 512 for n in numbers):
            building.modest(maker.__name__.lower(), make)
        built.append(make())
    return built[0], Packed(built[1], recipe.pack) if recipe.pack > 1 else built[1]


def _seen(shape: tuple[int, ...], pack: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the generator makes, and what the discriminator sees: packs of it, side by side."""
    return tuple(shape), (shape[0] * pack, *shape[1:])


def penalties_of(recipe: Recipe) -> list[Penalty]:
    """The penalties of a recipe.

    Raises:
        RecipeError: an unknown name or option.
    """
    made = []
    for name, given in recipe.terms.items():
        first = {"weight": schedule(given["weight"]).start} if "weight" in given else {}
        made.append(penalty(name, **(given | first)))
    return made


def augmentation(recipe: Recipe, device: torch.device) -> Transform | None:
    """What D sees everything through: DiffAugment, ADA, or nothing.

    Raises:
        RecipeError: an unknown word.
    """
    if recipe.augment == "ada" and recipe.augment_p is None:
        return AdaptiveP(Ada("bgc"), recipe.ada_target, recipe.ada_length).to(device)
    fixed: Any = Ada("bgc").to(device) if recipe.augment == "ada" else augment(recipe.augment)
    if recipe.augment_p is None or isinstance(fixed, Ada):
        return fixed
    return Sometimes(fixed)
