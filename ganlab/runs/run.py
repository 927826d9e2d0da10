"""A run folder on disk: recipe, log, samples, checkpoints, generator, scores."""

from __future__ import annotations

import math
import os
import stat
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab import plots
from ganlab.data import load
from ganlab.errors import CheckpointError, DataError, FileError, RecipeError, one_line
from ganlab.files import as_path, read_text, told, write_json
from ganlab.metrics import obeyed, recognised, score
from ganlab.models import drawn
from ganlab.recipes import BaseRecipe, source
from ganlab.runs.origin import same_data
from ganlab.runs.stored import filled, read_table
from ganlab.training import checkpoint, read_log, write_samples


class Run:
    """A finished or unfinished run.

    Args:
        folder: as written by `train`.

    Raises:
        CheckpointError: it is not a run's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = as_path(folder)
        self.recipe: Any = saved_recipe(self.folder)
        self.stopped = False  # by a signal, in the session that returned this run
        self.data: Any = None  # the set that was trained on, of a run that was just trained
        self._products: dict[str, nn.Module] = {}

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {self.recipe.name}, step {self.step})"

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log records, oldest first."""
        return read_log(self.folder / "log.jsonl")

    @property
    def step(self) -> int:
        """Rounds played, as of the last log line or checkpoint."""
        log, saved = self.log, checkpoint.latest(self.folder / "checkpoints")
        last = int(saved.stem.removeprefix("step-")) if saved else 0
        return max(last, log[-1]["step"] if log else 0)

    @property
    def about(self) -> dict[str, Any]:
        """Device, versions, precision and data of the training."""
        return saved_about(self.folder)

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of the pictures, or (d,) of the points, that it was trained on.

        Raises:
            CheckpointError: about.json does not say it.
        """
        path, shape = self.folder / "about.json", self.about.get("shape")
        axes = 1 if self.recipe.points else 3
        sides = shape if isinstance(shape, list) and len(shape) == axes else [0]
        if not all(type(n) is int and 0 < n <= 65_536 for n in sides):
            what = "is damaged (it says no shape)" if path.exists() else "is missing"
            raise CheckpointError(f"{path} {what}: restore it, or train again")
        return tuple(sides)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the data's classes; empty where there are none."""
        return tuple(map(str, self.about.get("classes") or ()))

    @property
    def scores(self) -> dict[str, Any]:
        """The scores of the last evaluation; empty if there was none."""
        path = self.folder / "scores.json"
        instead = "delete it; 'ganlab evaluate' writes it again"
        found = read_table(path, instead) if path.exists() else {}
        # JSON has no infinity: of samples none of which is good the divergence is stored as null
        endless = [key for key in found if key.endswith("reverse_kl") and found[key] is None]
        return found | dict.fromkeys(endless, math.inf)

    @cached_property
    def _kept(self) -> dict[str, nn.Module]:
        """The networks that the run keeps, by name, until `product` fills one with its weights."""
        return self.recipe.products(self.shape)

    def product(self, name: str) -> nn.Module:
        """A trained network by name (its running average, where kept), in eval mode on the CPU.

        Raises:
            CheckpointError: this game keeps none of that name, or nothing has been saved yet.
        """
        if name not in self._products:
            if name not in self._kept:
                raise CheckpointError(
                    f"{self.folder} holds no {name}: a {self.recipe.game} run of"
                    f" '{self.recipe.name}' keeps {', '.join(self._kept)}"
                )
            path = self.folder / f"{name}.safetensors"
            if not path.is_file():
                raise CheckpointError(
                    f"{self.folder} has no {name} yet: let the run reach its end, or continue"
                    " it with --resume"
                )
            self._products[name] = filled(self._kept[name], path)
        return self._products[name]

    def generator(self) -> nn.Module:
        """The trained generator, see `product`."""
        return self.product("generator")

    def sample(self, n: int = 64, seed: int = 0, labels: int | Tensor | None = None) -> Tensor:
        """(n, C, H, W) in [-1, 1], or (n, d) points; the same for the same seed.

        Args:
            n, seed: how many, and of which latent vectors.
            labels: of a conditional generator, see `ganlab.models.latent.drawn`.
        """
        return torch.cat(list(drawn(self.generator(), n, seed, labels)))

    def grid(self, n: int = 64, seed: int = 0, columns: int = 8) -> Any:
        """A figure of samples; of a conditional generator all classes in turn."""
        if self.recipe.points:
            data = source(self.recipe)
            real = data.sample(1000, generator=torch.Generator().manual_seed(0))
            drawing: Any = plots.points(real, self.sample(1000, seed)).figure
            return plots.released(drawing)
        return plots.released(plots.grid(self.sample(n, seed, self.in_turn(n)), columns))

    @property
    def draws(self) -> bool:
        """Whether the run keeps a generator, so that there is something to sample."""
        return "generator" in self._kept

    def in_turn(self, n: int) -> Tensor | None:
        """(n,) labels of all classes in turn; None of a generator without classes."""
        classes = self.recipe.classes
        return torch.arange(n) % classes if classes else None

    def grid_file(
        self,
        path: Path | None = None,
        n: int = 64,
        seed: int = 0,
        labels: int | Tensor | None = None,
    ) -> Path:
        """Write a grid of samples as a PNG (default `grid.png` in the folder); returns its path."""
        real = (
            source(self.recipe).sample(1000, generator=torch.Generator().manual_seed(0))
            if self.recipe.points
            else None
        )
        count = 1000 if self.recipe.points else n
        labels = self.in_turn(count) if labels is None else labels
        pictures = self.sample(count, seed, labels)
        return write_samples(pictures, path or self.folder / "grid.png", real)

    def evaluate(self, seed: int = 0, n: int = 5000, data: Any = None) -> dict[str, Any]:
        """Score the generator and write `scores.json`; returns the scores.

        Pictures: Fréchet distance in the features of a classifier of this data, with the real
        data's own (real against real, same numbers of pictures) beside it as the floor. Points:
        modes found, share of good samples and reverse KL, with those of exact samples beside.
        Conditional: also how often the classifier reads the class that was asked for.

        Args:
            seed: of latent vectors and of the choice of real pictures.
            n: samples; at most half of the real pictures, a quarter if there are few.
            data: the data set if it is loaded already, or was handed over to `train`.

        Raises:
            DataError: the recipe names another set than was learned from, and none is given.
        """
        if data is None:
            same_data(self)
            data = source(self.recipe)
            same_data(self, data)
        if not self.draws and "classifier" not in self._kept:
            raise DataError(
                f"{self.folder} keeps {', '.join(self._kept)}, neither a generator nor a"
                " classifier: there is nothing to score"
            )
        if not self.draws:
            scores = recognised(self.product("classifier"), self._unseen(data), n)
        else:
            scores = score(self.sample, data, self.recipe.points, n, seed)
        if self.draws and self.recipe.classes:
            scores["obeyed"] = obeyed(self.sample, data, scores["n"], seed)
        scores |= {"recipe": self.recipe.name, "step": self.step}
        write_json(self.folder / "scores.json", scores)
        return scores

    def _unseen(self, data: Any) -> Any:
        """Pictures that the training did not show; its own where there are no others."""
        if data.name != self.recipe.data:
            return data
        options = {k: v for k, v in self.recipe.data_options.items() if k != "count"}
        size, channels = self.recipe.side, self.recipe.channels
        try:
            return load(self.recipe.data, size=size, channels=channels, split="test", **options)
        except DataError:  # no such split
            return data


def saved_recipe(folder: Path) -> Any:
    """The recipe of a run's folder.

    Raises:
        CheckpointError: it is not a run's folder, or the file is damaged.
    """
    path = folder / "recipe.json"
    with told(path, "be read"):
        try:
            there = stat.S_ISREG(os.stat(path).st_mode)
        except FileNotFoundError:  # only then: what may not be looked at may well be a run
            there = False
    if not there:
        raise CheckpointError(
            f"{folder} is not a run: it holds no recipe.json (runs are made by 'ganlab train')"
        )
    try:
        return BaseRecipe.from_json(read_text(path))
    except FileError as error:
        raise CheckpointError(f"{error}: restore the file, or train again elsewhere") from error
    except RecipeError as error:  # damaged, or of networks that are registered elsewhere
        raise RecipeError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:  # no JSON that could be read to its end
        raise RecipeError(
            f"{path} is damaged ({one_line(error)[:60]}): restore it, or train again elsewhere"
        ) from error


def saved_about(folder: Path) -> dict[str, Any]:
    """The provenance of a run; empty if there is none yet.

    Raises:
        CheckpointError, FileError: it is damaged, or cannot be read.
    """
    path = folder / "about.json"
    return read_table(path, "restore it, or train again") if path.exists() else {}
