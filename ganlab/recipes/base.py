"""What an experiment is, as plain data."""

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


POSITIVE = (
    *("batch", "accumulate", "d_steps", "g_steps", "pack", "steps", "log_every", "samples"),
    *("g_lr", "d_lr", "ramp"),
)
NOT_NEGATIVE = ["clip", "classes", "half_life", "instance_noise", "label_flip", "pool", "unroll"]
CHOICES = {
    "network": ("dcgan", "mlp", "resnet", "modern", "progan", "stylegan", "stylegan2"),
    "schedule": ("constant", "linear", "cosine"),
    "precision": ("auto", "fp32", "bf16"),
    "optimizer": ("adam", "rmsprop", "sgd"),
}
#: Fields that are dicts: changes are merged in, and a value of None takes an entry out.
OPTIONS = ("data_options", "generator", "discriminator", "objective_options", "penalties")


@dataclass(frozen=True)
class Recipe:
    """One experiment as plain data.

    Attributes:
        name, about: for people.
        data: a picture set (`ganlab data` lists them, or a folder or zip), or a distribution
            of points such as "ring8".
        data_options: of the picture set (`ganlab.data.load`), as {"characters": "0123456789"}.
        size, channels: of the pictures; None leaves the set's own.
        flip: mirror the pictures at random.
        classes: of the data, told to both networks ("stylegan" and "stylegan2" can be); 0 for none.
        network: family of both networks: "dcgan", "mlp", "resnet", "modern", "progan",
            "stylegan" or "stylegan2".
        generator, discriminator: options of the networks (`ganlab.models`).
        objective, objective_options: see `ganlab.losses`.
        penalties: name to weight, or to a dict of options (`ganlab.penalties`); on the command
            line `--set penalties.gp=10`.
        d_steps, g_steps: steps of each side per round.
        share_forward: one generator forward for both steps.
        batch, accumulate: pictures a step and rank, and the parts they are split in.
        optimizer: "adam", "rmsprop" or "sgd".
        g_lr, d_lr: learning rates.
        betas: of Adam; the first is the momentum of the other two, the second RMSProp's decay.
        schedule: "constant", or "linear" or "cosine" to 0 over `steps`.
        half_life: of the generator's running average in images; 0 for none.
        ramp: the half-life is at most this share of the images seen.
        clip: bound on the discriminator's weights; 0 for none.
        pack: samples that the discriminator judges together.
        augment: words of `ganlab.augment.diff` that D sees everything through, with commas between;
            or "ada" for adaptive augmentation (`ganlab.augment.ada`).
        ada_target, ada_length: of `ganlab.augment.ada.AdaptiveP`.
        instance_noise: standard deviation of noise on all that D sees, to 0 over `steps`.
        label_flip: probability of exchanged labels in D's loss.
        top_k: share of samples that the generator learns from in the end, from 1 over `steps`.
        pool: generated pictures kept and shown to D again; 0 for none.
        unroll: updates of D that the generator looks ahead; 0 for none.
        precision: "fp32", "bf16", or "auto": bf16 where the hardware has it.
        channels_last: memory format of convolutions.
        compile: `torch.compile` both networks.
        seed: of weights, data order and latent vectors.
        steps: rounds.
        log_every, sample_every, checkpoint_every, samples: see `ganlab.training.trainer.Trainer`.
    """

    name: str
    about: str = ""
    data: str = "glyphs"
    data_options: dict[str, Any] = field(default_factory=dict)
    size: int | None = 32
    channels: int | None = None
    flip: bool = False
    classes: int = 0
    network: str = "dcgan"
    generator: dict[str, Any] = field(default_factory=dict)
    discriminator: dict[str, Any] = field(default_factory=dict)
    objective: str = "non-saturating"
    objective_options: dict[str, Any] = field(default_factory=dict)
    penalties: dict[str, Any] = field(default_factory=dict)
    d_steps: int = 1
    g_steps: int = 1
    share_forward: bool = False
    batch: int = 64
    accumulate: int = 1
    optimizer: str = "adam"
    g_lr: float = 2e-4
    d_lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: str = "constant"
    half_life: float = 5000.0
    ramp: float = 0.1
    clip: float = 0.0
    pack: int = 1
    augment: str = ""
    ada_target: float = 0.6
    ada_length: float = 500_000.0
    instance_noise: float = 0.0
    label_flip: float = 0.0
    top_k: float = 1.0
    pool: int = 0
    unroll: int = 0
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
        for key in POSITIVE:
            if not getattr(self, key) > 0:
                raise RecipeError(f"{key} must be positive, not {getattr(self, key)}")
        for key in NOT_NEGATIVE:
            if not getattr(self, key) >= 0:
                raise RecipeError(f"{key} must not be negative, but is {getattr(self, key)}")
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise RecipeError(f"{key}: " + unknown("choice", str(getattr(self, key)), allowed))
        if self.points and self.data_options:
            raise RecipeError(f"data_options: '{self.data}' takes none; they are for picture sets")
        if self.classes and (self.points or self.pack > 1):
            raise RecipeError("classes: for pictures that are judged one by one (pack=1)")
        if not self.label_flip < 0.5:
            raise RecipeError(f"label_flip must be below 0.5, not {self.label_flip}")
        if not 0 < self.top_k <= 1:
            raise RecipeError(f"top_k must be in (0, 1], not {self.top_k}")
        if self.batch // self.accumulate % self.pack:
            raise RecipeError(f"batch {self.batch} is not a whole number of packs of {self.pack}")
        if self.batch % self.accumulate:
            raise RecipeError(f"batch {self.batch} does not split into {self.accumulate} parts")

    @property
    def points(self) -> bool:
        """True when the data are points of a known distribution, not pictures."""
        return self.data in toy.NAMES

    @property
    def timed(self) -> bool:
        """True when something runs over `steps`, so that the number of steps is part of it."""
        return self.schedule != "constant" or self.instance_noise > 0 or self.top_k < 1

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result, flat: a checkpoint is resumed only if they agree."""
        flat: dict[str, Any] = {}
        for key, value in dataclasses.asdict(self).items():
            if key in FREE and not (key == "steps" and self.timed):
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
        for key in OPTIONS:
            if key in changes:
                merged = getattr(self, key) | changes[key]
                changes[key] = {k: v for k, v in merged.items() if v is not None}
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
