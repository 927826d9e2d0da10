"""Training a recipe from start to finish, into a run folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ganlab import ranks
from ganlab.data import toy
from ganlab.data.cache import say
from ganlab.data.images import NAMES as PICTURES
from ganlab.data.own import distribution, own
from ganlab.data.spots import absolute
from ganlab.devices import present
from ganlab.errors import (
    CheckpointError,
    DataError,
    FileError,
    GanlabError,
    RecipeError,
    one_line,
)
from ganlab.files import as_path
from ganlab.recipes import BaseRecipe, build, recipe, source
from ganlab.runs.allowed import Allowed
from ganlab.runs.folders import latest, taken
from ganlab.runs.hold import Hold
from ganlab.runs.opening import Opening
from ganlab.runs.pretrained import Start, found
from ganlab.runs.run import Run, saved_about, saved_recipe
from ganlab.runs.stored import provenance, save_generator
from ganlab.training import TRACKERS, Callback, Trainer, checkpoint


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name, or the best there is: CUDA, MPS, CPU.

    Raises:
        GanlabError: no such device is known, or this machine has none.
    """
    if name is not None and name != "":
        return present(name)
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
    start_from: Any = None,
    start_skip: bool = False,
    allow: str | Sequence[str] = (),
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
        start_from: begin with trained weights: a run or its folder (all its players, from its
            newest checkpoint), the name of a published generator or a safetensors file (the
            generator alone). The rest of the training is new.
        start_skip: begin layers anew that do not fit `start_from`, in place of a refusal.
        allow: fields that a resumed run may have other values of from here on, as `["batch"]`.
        **changes: fields of the recipe to change.

    Returns:
        The run; `run.scores`, `run.grid()`, `run.sample(64)`.

    Raises:
        RecipeError, DataError, CheckpointError, NonFiniteLoss: each with one line that says what
            to do.
    """
    plan = planned(which, out, resume, **changes)
    allowed = Allowed(plan, allow, resume)
    start = found(start_from, start_skip, resume)
    given = data is not None and not isinstance(data, str | Path)
    plan, data = chosen(plan, data, fresh=not resume)
    for name in trackers:
        if name not in TRACKERS:
            raise GanlabError(f"unknown tracker '{name}': choose from {', '.join(TRACKERS)}")
    rank, world = ranks.start()
    place = pick_device(device)
    if place.type == "cuda" and world > 1:
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    folder, hold = ranks.agree(lambda: taken(plan, out, resume)), None
    try:
        if rank == 0:
            hold = Hold(folder)
        rules = resume, start, allowed
        run = _play(plan, folder, data, given, place, (rank, world), rules, trackers, callbacks)
        if rank == 0 and evaluate and not run.stopped:
            _score(run)
        ranks.barrier()
        return run
    finally:
        if hold is not None:
            hold.release()


def planned(which: Any, out: Any = None, resume: bool = False, **changes: Any) -> Any:
    """The recipe that `train` would train: a run that is resumed has its own.

    Raises:
        RecipeError, CheckpointError: as for `train`.
    """
    if isinstance(which, BaseRecipe):
        return which.with_(**changes)
    if not isinstance(which, str):
        raise RecipeError(f"{type(which).__name__} is no recipe: give its name, or a Recipe")
    asked = recipe(which, **changes)
    if not resume:
        return asked
    folder = latest(which) if out is None else as_path(out)
    if not (folder / "recipe.json").exists():
        return asked  # refused, or started over, once the folder is looked at
    own = saved_recipe(folder)
    if own.name != asked.name:
        raise CheckpointError(f"{folder} holds a run of '{own.name}', not of '{asked.name}'")
    return own.with_(**changes)


def _play(
    plan: Any,
    folder: Path,
    data: Any,
    given: bool,
    place: torch.device,
    rank_of: tuple[int, int],
    rules: tuple[bool, Start | None, Allowed],
    trackers: Sequence[str],
    callbacks: Sequence[Callback],
) -> Run:
    """The training itself, in a folder that is held."""
    (rank, world), (resume, start, allowed) = rank_of, rules
    if resume:
        _resumable(folder, given)
    if data is None:  # rank 0 downloads and decodes, the others find it in the cache
        data = source(plan) if rank == 0 else None
        ranks.barrier()
        data = data if data is not None else source(plan)
    game, stream = build(plan, data, place, rank, world)
    # What was asked for and what was found: a run resumed with other precision is another run.
    identity = plan.identity() | {"precision": game.precision, "world": world}
    size = len(data) if hasattr(data, "__len__") else 0
    identity |= {"data_count": getattr(data, "count", None) or size}
    about = provenance(plan, data, place, world, given)
    if start is not None:
        about["start"] = start.give(game, plan, data)
    watchers = [Opening(folder, plan, about), *callbacks] if rank == 0 else list(callbacks)
    if rank == 0:
        for name in trackers:
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
        judge=allowed,
        begins=start is not None,
    )
    trainer.fit(game, stream, plan.steps, resume)
    if rank == 0:
        for name, network in game.product().items():
            save_generator(network, folder / f"{name}.safetensors")
    ranks.barrier()  # no rank reads what rank 0 still writes
    run = Run(folder)
    run.stopped, run.data = trainer.stopped, data
    return run


def _resumable(folder: Path, given: bool) -> None:
    """Refuse to resume a run with less than it was made of.

    Raises:
        CheckpointError: data that were handed over are not, or the weights that it began with are
            gone.
    """
    before = saved_about(folder)
    if before.get("own_data") and not given:
        raise CheckpointError(
            f"{folder} was trained on data that were handed over ({before.get('data')}): resume it"
            " in Python, with ganlab.train(..., resume=True, data=...)"
        )
    if before.get("start") and checkpoint.latest(folder / "checkpoints") is None:
        raise CheckpointError(
            f"{folder} has lost its checkpoints, and with them the weights that it began with:"
            " begin again, with --from and another --out"
        )


def _score(run: Run) -> None:
    """Score a run that has just been trained; what cannot be scored is no failed training."""
    if run.recipe.points and run.data.centers is None:
        return  # a distribution without modes
    try:
        run.evaluate(data=run.data)
    except DataError as error:
        say(f"not scored: {one_line(error)}")


def chosen(plan: Any, data: Any, fresh: bool = True) -> tuple[Any, Any]:
    """The recipe and the loaded data (or None) of what `train` was given.

    A new run notes the whole path of a folder or zip: from elsewhere a relative one would name
    other pictures.
    """
    if isinstance(data, str | Path):
        try:
            same = os.path.abspath(str(data)) == os.path.abspath(plan.data)
        except FileNotFoundError:  # nothing is relative to a folder that is not there
            raise FileError("the working folder was removed: change into another one") from None
        plan, data = (plan if same else plan.with_(data=str(data))), None
        fresh = fresh or not same
    if data is None:
        name = absolute(plan.data, (*PICTURES, *toy.NAMES)) if fresh else plan.data
        # not `with_`: the same set under another name keeps its options
        plan = plan if name == plan.data else plan.model_copy(update={"data": name})
        return plan, None
    if plan.points and not distribution(data):
        raise DataError(
            f"data: {type(data).__name__} is no distribution of points, which '{plan.data}' is:"
            " take a recipe of pictures"
        )
    return plan, own(data, size=plan.side, channels=plan.channels)
