"""Complete named experiments: data, networks, game and schedule, as plain data.

A recipe prints, compares, saves as JSON and can be overridden field by field:

    recipe("dcgan-mnist", steps=500)
    recipe("dcgan-mnist", **parse_settings(["generator.width=64", "g_lr=1e-4"]))
"""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ganlab.data import toy
from ganlab.errors import RecipeError, unknown

#: Fields that say how long and how loudly, not what: a run may be resumed with others.
FREE = ("name", "about", "steps", "log_every", "sample_every", "checkpoint_every", "samples")


@dataclass(frozen=True)
class Recipe:
    """One experiment as plain data.

    Attributes:
        name, about: for people.
        data: a picture set (`ganlab data` lists them, or a folder or zip), or a distribution
            of points such as "ring8".
        size, channels: of the pictures; None leaves the set's own.
        flip: mirror the pictures at random.
        network: family of both networks: "dcgan" or "mlp".
        generator, discriminator: options of the networks (`ganlab.models`).
        objective, objective_options: see `ganlab.losses`.
        d_steps: discriminator steps per round.
        share_forward: one generator forward for both steps.
        batch, accumulate: pictures a step and rank, and the parts they are split in.
        g_lr, d_lr, betas: Adam.
        schedule: "constant", or "linear" to 0 over `steps`.
        half_life: of the generator's running average in images; 0 for none.
        precision: "fp32", "bf16", or "auto": bf16 where the hardware has it.
        channels_last: memory format of convolutions.
        compile: `torch.compile` both networks.
        seed: of weights, data order and latent vectors.
        steps: rounds.
        log_every, sample_every, checkpoint_every, samples: see `ganlab.trainer.Trainer`.
    """

    name: str
    about: str = ""
    data: str = "glyphs"
    size: int | None = 32
    channels: int | None = None
    flip: bool = False
    network: str = "dcgan"
    generator: dict[str, Any] = field(default_factory=dict)
    discriminator: dict[str, Any] = field(default_factory=dict)
    objective: str = "non-saturating"
    objective_options: dict[str, Any] = field(default_factory=dict)
    d_steps: int = 1
    share_forward: bool = False
    batch: int = 64
    accumulate: int = 1
    g_lr: float = 2e-4
    d_lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: str = "constant"
    half_life: float = 5000.0
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0
    steps: int = 3000
    log_every: int = 50
    sample_every: int = 500
    checkpoint_every: int = 500
    samples: int = 64

    def __post_init__(self) -> None:
        positive = (
            "batch",
            "accumulate",
            "d_steps",
            "steps",
            "log_every",
            "samples",
            "g_lr",
            "d_lr",
        )
        for key in positive:
            if not getattr(self, key) > 0:
                raise RecipeError(f"{key} must be positive, not {getattr(self, key)}")
        choices = {
            "network": ("dcgan", "mlp"),
            "schedule": ("constant", "linear"),
            "precision": ("auto", "fp32", "bf16"),
        }
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise RecipeError(f"{key}: " + unknown("choice", str(getattr(self, key)), allowed))
        if self.batch % self.accumulate:
            raise RecipeError(f"batch {self.batch} does not split into {self.accumulate} parts")

    @property
    def points(self) -> bool:
        """True when the data are points of a known distribution, not pictures."""
        return self.data in toy.NAMES

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result, flat: a checkpoint is resumed only if they agree."""
        flat: dict[str, Any] = {}
        for key, value in dataclasses.asdict(self).items():
            if key in FREE and not (key == "steps" and self.schedule == "linear"):
                continue
            if isinstance(value, dict):
                flat |= {f"{key}.{k}": v for k, v in value.items()}
            else:
                flat[key] = list(value) if isinstance(value, tuple) else value
        return flat

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """From `to_json`'s text; fields of a later version are refused by name."""
        values = json.loads(text)
        _known_fields(values)
        values["betas"] = tuple(values["betas"])
        return cls(**values)

    def with_(self, **changes: Any) -> Recipe:
        """A copy with other fields; `generator` and `discriminator` options are merged in.

        Raises:
            RecipeError: a field does not exist; the line suggests the nearest.
        """
        _known_fields(changes)
        for key in ("generator", "discriminator", "objective_options"):
            if key in changes:
                changes[key] = getattr(self, key) | changes[key]
        return dataclasses.replace(self, **changes)


def _known_fields(values: Iterable[str]) -> None:
    names = [f.name for f in dataclasses.fields(Recipe)]
    for key in values:
        if key not in names:
            raise RecipeError(unknown("field", key, names))


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """`["g_lr=1e-4", "generator.width=64"]` as keyword arguments for `Recipe.with_`.

    Raises:
        RecipeError: a setting has no "=", or a value of the wrong type for its field.
    """
    types = {f.name: f.default for f in dataclasses.fields(Recipe)}
    changes: dict[str, Any] = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign:
            raise RecipeError(f"'{setting}' is not of the form field=value")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
        name, _, option = key.partition(".")
        _known_fields([name])
        if option:
            changes.setdefault(name, {})[option] = value
            continue
        like = types[name]
        if value is None and name in ("size", "channels"):
            changes[name] = None
            continue
        if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if isinstance(like, bool | int | float | str | tuple) and type(value) is not type(like):
            kind = type(like).__name__
            raise RecipeError(f"{name} takes a value of type {kind}, not {text!r}")
        changes[name] = value
    return changes


_DCGAN = {"generator": {"width": 32}, "discriminator": {"width": 32}}
# A generator this narrow loses to its discriminator at the published 2e-4 for both: chapter 4
# measures what a faster generator brings.
_SMALL = Recipe("", size=32, channels=1, g_lr=1e-3, **_DCGAN)  # type: ignore[arg-type]
_MLP = Recipe(
    "",
    network="mlp",
    size=28,
    channels=1,
    generator={"latent": 100, "width": 128},
    discriminator={"width": 512},
    steps=6000,
    half_life=10000,
    sample_every=1000,
)
_POINTS = Recipe(
    "",
    network="mlp",
    size=None,
    half_life=10000.0,
    betas=(0.5, 0.9),
    batch=128,
    precision="fp32",
    generator={"latent": 2, "width": 128, "depth": 3},
    discriminator={"width": 128, "depth": 3},
    g_lr=1e-3,
    d_lr=1e-3,
    steps=4000,
    sample_every=500,
)


def _recipes() -> list[Recipe]:
    small, points, mlps = _SMALL.with_, _POINTS.with_, _MLP.with_
    wide = {"generator": {"width": 64}, "discriminator": {"width": 64}}
    return [
        points(name="mlp-ring", data="ring8", about="8 Gaussians on a ring"),
        points(name="mlp-grid", data="grid25", steps=8000, about="25 Gaussians on a grid"),
        points(name="mlp-moons", data="moons", about="two interleaved half circles"),
        mlps(name="mlp-glyphs", data="glyphs", about="the first GAN, on drawn characters"),
        mlps(name="mlp-mnist", data="mnist", about="the first GAN, on handwritten digits"),
        small(name="dcgan-glyphs", data="glyphs", about="drawn characters; needs no download"),
        small(
            name="dcgan-glyphs-color",
            data="glyphs-color",
            channels=3,
            about="drawn characters in colour; needs no download",
        ),
        small(name="dcgan-mnist", data="mnist", about="handwritten digits, minutes on a laptop"),
        small(name="dcgan-fashion", data="fashion-mnist", flip=True, about="clothes"),
        small(
            name="dcgan-emoji",
            data="emoji",
            size=64,
            channels=3,
            flip=True,
            steps=10000,
            about="3,583 emoji at 64 px",
        ),
        small(
            name="dcgan-cifar10",
            data="cifar10",
            channels=3,
            flip=True,
            steps=20000,
            **wide,
            about="small colour photographs",
        ),
        small(
            name="dcgan-celeba",
            data="celeba",
            size=64,
            channels=3,
            flip=True,
            batch=128,
            steps=50000,
            generator={"width": 128},
            discriminator={"width": 128},
            g_lr=2e-4,
            about="faces, with the published 64 px networks; for a GPU",
        ),
    ]


RECIPES: dict[str, Recipe] = {r.name: r for r in _recipes()}


def recipe(name: str, **changes: Any) -> Recipe:
    """The recipe of that name, with fields changed.

    Raises:
        RecipeError: no such recipe or field; the line suggests the nearest.
    """
    if name not in RECIPES:
        raise RecipeError(unknown("recipe", name, RECIPES))
    return RECIPES[name].with_(**changes)
