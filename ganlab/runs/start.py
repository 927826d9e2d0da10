"""Training a recipe from start to finish, into a run folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ganlab import ranks
from ganlab.data.own import distribution, own
from ganlab.errors import CheckpointError, DataError, GanlabError
from ganlab.recipes import BaseRecipe, build, recipe, source
from ganlab.runs.run import Run, write, write_json
from ganlab.runs.stored import provenance, save_generator
from ganlab.training import TRACKERS, Callback, Trainer, checkpoint


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
    which: BaseRecipe | str,
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
        data: another than the recipe's: the name of a set, a folder or zip, an `ImageSet`, a
            tensor or array, a torch or Hugging Face data set (`ganlab.data.own`).
        evaluate: score the generator at the end.
        **changes: fields of the recipe to change.

    Returns:
        The run; `run.scores`, `run.grid()`, `run.sample(64)`.

    Raises:
        RecipeError, DataError, CheckpointError, NonFiniteLoss: each with one line that says what
            to do.
    """
    plan: Any = recipe(which, **changes) if isinstance(which, str) else which.with_(**changes)
    plan, data = chosen(plan, data)
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
    size = len(data) if hasattr(data, "__len__") else 0
    identity |= {"data_count": getattr(data, "count", None) or size}
    if rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        if not (resume and (folder / "recipe.json").exists()):
            write(folder / "recipe.json", plan.to_json())
        write_json(folder / "about.json", provenance(plan, data, place, world))
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
        write(folder / "recipe.json", plan.to_json())
        for name, network in game.product().items():
            save_generator(network, folder / f"{name}.safetensors")
    ranks.barrier()  # no rank reads what rank 0 still writes
    run = Run(folder)
    run.stopped = trainer.stopped
    if rank == 0 and evaluate and not trainer.stopped:
        with contextlib.suppress(DataError):  # a distribution without modes has no score
            run.evaluate(data=data)
    ranks.barrier()
    return run


def chosen(plan: Any, data: Any) -> tuple[Any, Any]:
    """The recipe and the loaded data (or None) of what `train` was given."""
    if data is None:
        return plan, None
    if isinstance(data, str | Path):
        return plan.with_(data=str(data)), None
    if plan.points and not distribution(data):
        raise DataError(
            f"data: {type(data).__name__} is no distribution of points, which '{plan.data}' is:"
            " take a recipe of pictures"
        )
    return plan, own(data, size=plan.side, channels=plan.channels)


def _folder(plan: BaseRecipe, out: str | Path | None, resume: bool) -> Path:
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
