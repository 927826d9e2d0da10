"""What an experiment is, as plain data: the part that all games share.

A recipe is a table of fields. Those of this file belong to every experiment; each game adds its
own rules in a subclass (`Recipe` for a generator against a discriminator, `SoloRecipe` for one
player). All values are checked when a recipe is made, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from torch import nn

from ganlab.data import toy
from ganlab.data.sizes import LARGEST
from ganlab.errors import RecipeError, unknown
from ganlab.game import Game
from ganlab.recipes import options
from ganlab.recipes.bounds import Decay, not_bool, shown, tuples, within, words_of
from ganlab.schedules import changes

#: Fields that say how long and how loudly, not what: a run may be resumed with others.
FREE = ("name", "about", "steps", "log_every", "sample_every", "checkpoint_every", "samples")
Count = Annotated[int, within(1, 10**9)]
Beta = Annotated[float, within(0, below=1)]
Betas = Annotated[tuple[Beta, Decay], BeforeValidator(tuples)]
Side = Annotated[int, within(1, LARGEST)]
Table = dict[str, Any]


def _side(value: Any) -> Any:
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else value


class BaseRecipe(BaseModel):
    """An experiment of any game: data, batch, optimisers, precision, length, logging."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
    #: Games by name; a subclass joins by the default of its field `game`.
    GAMES: ClassVar[dict[str, type[BaseRecipe]]] = {}
    #: Fields that are tables: changes are merged in, and a value of None takes an entry out.
    TABLES: ClassVar[tuple[str, ...]] = ("data_options",)

    game: str = ""
    """which game this is"""
    name: options.Name = ""
    """for people, and of the run's folder"""
    about: str = ""
    """for people"""
    data: options.Text = "glyphs"
    """a picture set ('ganlab data' lists them), a folder or zip, or points such as ring8"""
    data_options: Table = {}
    """of the picture set, as data_options.characters=0123456789"""
    size: Annotated[Side | str | None, BeforeValidator(_side)] = 32
    """of the pictures in pixels; 64x128 is 64 high and 128 wide; none: as the set has them"""
    channels: Annotated[Literal[1, 2, 3, 4, 5, 6, 7, 8] | None, BeforeValidator(not_bool)] = None
    """of the pictures: 1 grey, 3 colour, 4 with alpha, none: as the set has them"""
    flip: bool = False
    """mirror the pictures at random"""
    classes: Annotated[int, within(0, 100_000)] = 0
    """of the data, told to the networks; 0 for none"""
    batch: Annotated[int, within(1, 65_536)] = 64
    """pictures a step and rank"""
    accumulate: Annotated[int, within(1, 65_536)] = 1
    """parts that a batch is split in, to save memory"""
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    """adam, rmsprop or sgd"""
    betas: Betas = (0.5, 0.999)
    """of Adam; the first is the momentum of the other two, the second RMSProp's decay"""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """of all rates: constant, or linear or cosine to 0 over `steps`"""
    half_life: Annotated[float, within(0, 1e12)] = 5000.0
    """of the running average in images; 0 for none"""
    ramp: Annotated[float, within(above=0, high=1)] = 0.1
    """the half-life is at most this share of the images seen"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """fp32, bf16, or auto: bf16 where the hardware has it"""
    channels_last: bool = True
    """memory format of convolutions"""
    compile: bool = False
    """torch.compile the networks"""
    seed: Annotated[int, within(0, 2**32 - 1)] = 0
    """of weights, data order and latent vectors"""
    steps: Count = 3000
    """rounds"""
    log_every: Count = 50
    """rounds between log lines"""
    sample_every: Annotated[int, within(0, 10**9)] = 500
    """rounds between sample grids; 0 for none"""
    checkpoint_every: Annotated[int, within(0, 10**9)] = 500
    """rounds between checkpoints; 0 for one at the end only"""
    samples: Annotated[int, within(1, 10_000)] = 64
    """pictures of a sample grid"""

    def __init__(self, name: str = "", **fields: Any) -> None:
        cls = type(self)
        known_fields(cls, fields)
        try:
            super().__init__(name=name, **fields)
        except ValidationError as error:
            first = error.errors()[0]
            own = first.get("ctx", {}).get("error")
            if isinstance(own, RecipeError):  # of several fields together
                raise own from None
            key = str(first["loc"][0])
            given = fields.get(key, name if key == "name" else first["input"])
            allowed = words_of(cls._annotation(key))
            raise RecipeError(f"{key}: {shown(given)} is not {allowed}") from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        BaseRecipe.GAMES[cls.model_fields["game"].default] = cls

    @classmethod
    def _annotation(cls, key: str) -> Any:
        """The type of a field with its bounds."""
        field = cls.model_fields[key]
        parts = tuple(field.metadata)
        return Annotated[(field.annotation, *parts)] if parts else field.annotation

    @model_validator(mode="after")
    def _together(self) -> BaseRecipe:
        """What no field can see alone."""
        if self.points and self.data_options:
            raise RecipeError(f"data_options: '{self.data}' takes none; they are for picture sets")
        options.check_data(self.data_options)
        options.size(self.size)
        if self.batch % self.accumulate:
            raise RecipeError(f"batch {self.batch} does not split into {self.accumulate} parts")
        return self

    @property
    def points(self) -> bool:
        """True when the data are points of a known distribution, not pictures."""
        return self.data in toy.NAMES

    @property
    def side(self) -> int | tuple[int, int] | None:
        """`size` as (height, width) where it is not a square."""
        return options.size(self.size)

    @property
    def moves(self) -> bool:
        """True when a single value follows a schedule of its own."""
        return changes(self.betas[1])

    @property
    def timed(self) -> bool:
        """True when something runs over `steps`, so that the number of steps is part of it."""
        return self.schedule != "constant" or self.moves

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result, flat: a checkpoint is resumed only if they agree."""
        flat: dict[str, Any] = {}
        for key, value in self.model_dump().items():
            if key in FREE and not (key == "steps" and self.timed):
                continue
            if key == "game" and value == "adversarial":
                continue  # checkpoints of the time when there was one game do not name it
            if isinstance(value, dict):
                flat |= {f"{key}.{k}": v for k, v in value.items()}
            else:
                flat[key] = list(value) if isinstance(value, tuple) else value
        return flat

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self.model_dump(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Any:
        """From `to_json`'s text, of whichever game it names (by default the adversarial one).

        Raises:
            RecipeError: it is no recipe; fields of a later version are refused by name.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise RecipeError(f"this is no recipe: {error}") from error
        if not isinstance(values, dict):
            raise RecipeError(f"this is no recipe: {shown(values)} is not a table of fields")
        game = values.pop("game", "adversarial")
        if game not in cls.GAMES:
            raise RecipeError("game: " + unknown("game", str(game), cls.GAMES))
        return cls.GAMES[game](**values)

    def with_(self, **fields: Any) -> Any:
        """A copy with other fields; tables such as `generator` are merged in.

        With other data the options of the old set go.

        Raises:
            RecipeError: a field does not exist (the line suggests the nearest) or has a bad value.
        """
        known_fields(type(self), fields)
        values = {key: getattr(self, key) for key in type(self).model_fields}
        if fields.get("data", self.data) != self.data:
            values["data_options"] = {}
        for key, value in fields.items():
            if key in self.TABLES and isinstance(value, dict):
                merged = values[key] | value
                value = {k: v for k, v in merged.items() if v is not None}
            values[key] = value
        del values["game"]
        return type(self)(**values)

    def networks(self, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """The networks of the game for data of `shape`, (C, H, W) or (d,), by player."""
        raise NotImplementedError

    def products(self, shape: tuple[int, ...]) -> dict[str, nn.Module]:
        """Untrained networks of the kinds and names that `Game.product` gives; by default all."""
        return self.networks(shape)

    def learn(self, made: dict[str, Any], data: Any) -> None:
        """Tell the networks what they must know of labelled data before the training."""

    def play(self, made: dict[str, nn.Module], precision: str, device: torch.device) -> Game:
        """The game of these networks, which lie on `device`."""
        raise NotImplementedError

    @classmethod
    def lines(cls) -> dict[str, tuple[str, str]]:
        """field -> (what it is, what it may be), for people."""
        return {
            key: (field.description or "", words_of(cls._annotation(key)))
            for key, field in cls.model_fields.items()
        }


def known_fields(cls: type[BaseRecipe], values: Iterable[str]) -> None:
    """Refuse what is no field of this game, with the nearest that is."""
    names = [key for key in cls.model_fields if key != "game"]
    for key in values:
        if key not in names:
            raise RecipeError(unknown("field", key, names))
