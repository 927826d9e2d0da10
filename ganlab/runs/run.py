"""A run folder on disk: recipe, log, samples, checkpoints, generator, scores."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab import plots, ranks

from ganlab.training import checkpoint
from ganlab.recipes.building import build, source
from ganlab.training.callbacks import TRACKERS, Callback, read_log, write_samples
from ganlab.errors import CheckpointError, DataError, GanlabError
from ganlab.models.latent import drawn
from ganlab.recipes import Recipe, recipe
from ganlab.metrics.scoring import obeyed, score
from ganlab.runs.stored import provenance, read_generator, save_generator
from ganlab.training.trainer import Trainer


class Run:
    """A finished or unfinished run.

    Args:
        folder: as written by `train`.

    Raises:
        CheckpointError: it is not a run's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "recipe.json").is_file():
            raise CheckpointError(
                f"{self.folder} is not a run: it holds no recipe.json (runs are made by"
                " 'ganlab train')"
            )
        self.recipe = Recipe.from_json((self.folder / "recipe.json").read_text())
        self.stopped = False  # by a signal, in the session that returned this run
        self._generator: nn.Module | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {self.recipe.name}, step {self.step})"

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log records, oldest first."""
        return read_log(self.folder / "log.jsonl")

    @property
    def step(self) -> int:
        """Rounds played, as of the last log line."""
        log = self.log
        return log[-1]["step"] if log else 0

    @property
    def about(self) -> dict[str, Any]:
        """Device, versions, precision and data of the training."""
        return _read_json(self.folder / "about.json")

    @property
    def scores(self) -> dict[str, Any]:
        """The scores of the last evaluation; empty if there was none."""
        return _read_json(self.folder / "scores.json")

    def generator(self) -> nn.Module:
        """The trained generator (its running average, where kept), in eval mode on the CPU.

        Raises:
            CheckpointError: nothing has been saved yet.
        """
        if self._generator is None:
            path = self.folder / "generator.safetensors"
            if not path.is_file():
                raise CheckpointError(
                    f"{self.folder} has no generator yet: let the run reach its end, or continue"
                    " it with --resume"
                )
            self._generator = read_generator(path, self.recipe, tuple(self.about["shape"]))
        return self._generator

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
            return plots.points(real, self.sample(1000, seed)).figure
        return plots.grid(self.sample(n, seed, self.in_turn(n)), columns)

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
            data: the data set if it is loaded already.
        """
        data = data if data is not None else source(self.recipe)
        scores = score(self.sample, data, self.recipe.points, n, seed)
        if self.recipe.classes:
            scores["obeyed"] = obeyed(self.sample, data, scores["n"], seed)
        scores |= {"recipe": self.recipe.name, "step": self.step}
        _write_json(self.folder / "scores.json", scores)
        return scores


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name, or the best there is: CUDA, MPS, CPU."""
    if name:
        try:
            return torch.device(name)
        except RuntimeError as error:
            raise GanlabError(f"unknown device '{name}': use cpu, cuda or mps") from error
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def train(
    which: Recipe | str,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    device: str | torch.device | None = None,
    trackers: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
    data: Any = None,
    evaluate: bool = True,
    **changes: Any,
) -> Run:
    """Train a recipe from start to finish, in a run folder.

    Args:
        which: a recipe or its name.
        out: the folder; by default `runs/NAME`, numbered if it exists.
        resume: continue the run in `out` from its newest checkpoint.
        device: by default the best there is.
        trackers: any of "tensorboard", "wandb", "mlflow".
        callbacks: see `ganlab.training.callbacks`.
        data: the data set if it is loaded already.
        evaluate: score the generator at the end.
        **changes: fields of the recipe to change.

    Returns:
        The run; `run.scores`, `run.grid()`, `run.sample(64)`.

    Raises:
        RecipeError, DataError, CheckpointError, NonFiniteLoss: each with one line that says what
            to do.
    """
    plan = recipe(which, **changes) if isinstance(which, str) else which.with_(**changes)
    rank, world = ranks.start()
    place = pick_device(device)
    if place.type == "cuda" and world > 1:
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    folder = ranks.agree(lambda: _folder(plan, out, resume))
    if data is None:  # rank 0 downloads and decodes, the others find it in the cache
        data = source(plan) if rank == 0 else None
        ranks.barrier()
        data = data if data is not None else source(plan)
    game, stream = build(plan, data, place, rank, world)
    # What was asked for and what was found: a run resumed with other precision is another run.
    identity = plan.identity() | {"precision": game.precision, "world": world}
    identity |= {"data_count": getattr(data, "count", None) or (0 if plan.points else len(data))}
    if rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        if not (resume and (folder / "recipe.json").exists()):
            _write(folder / "recipe.json", plan.to_json())
        _write_json(folder / "about.json", provenance(plan, data, place, world))
    watchers = list(callbacks)
    if rank == 0:
        for name in trackers:
            if name not in TRACKERS:
                raise GanlabError(f"unknown tracker '{name}': choose from {', '.join(TRACKERS)}")
            options = {} if name == "tensorboard" else {"config": identity}
            watchers.append(TRACKERS[name](folder / name, **options))  # type: ignore[operator]
    trainer = Trainer(
        folder,
        plan.log_every,
        plan.sample_every,
        plan.checkpoint_every,
        watchers,
        identity,
        plan.samples,
    )
    trainer.fit(game, stream, plan.steps, resume)
    if rank == 0:
        _write(folder / "recipe.json", plan.to_json())
        save_generator(game.generator.best, folder / "generator.safetensors")
    ranks.barrier()  # no rank reads what rank 0 still writes
    run = Run(folder)
    run.stopped = trainer.stopped
    if rank == 0 and evaluate and not trainer.stopped:
        with contextlib.suppress(DataError):  # a distribution without modes has no score
            run.evaluate(data=data)
    ranks.barrier()
    return run


def _folder(plan: Recipe, out: str | Path | None, resume: bool) -> Path:
    """The run's folder; never one that holds another run."""
    if out is not None:
        folder = Path(out)
        if resume and checkpoint.latest(folder / "checkpoints") is None and folder.exists():
            if (folder / "recipe.json").exists():
                return folder  # killed before its first checkpoint: start over in place
            raise CheckpointError(f"{folder} holds no checkpoint to resume from")
        if resume and not folder.exists():
            raise CheckpointError(f"{folder} does not exist: there is nothing to resume")
        if not resume and (folder / "recipe.json").exists():
            raise GanlabError(
                f"{folder} already holds a run: add --resume, or choose another --out"
            )
        return folder
    base = Path("runs") / (plan.name or "run")
    if resume:
        runs = sorted(base.parent.glob(f"{base.name}*"), key=lambda p: p.stat().st_mtime)
        runs = [r for r in runs if (r / "recipe.json").exists()]
        if not runs:
            raise CheckpointError(f"no run of {plan.name} under runs/: there is nothing to resume")
        return runs[-1]
    folder, number = base, 2
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _write_json(path: Path, values: dict[str, Any]) -> None:
    _write(path, json.dumps(values, indent=2, ensure_ascii=False))


def _write(path: Path, text: str) -> None:
    """Write a file whole: other ranks, and people, may be reading it."""
    partial = path.with_suffix(".partial")
    partial.write_text(text + "\n")
    partial.replace(path)
