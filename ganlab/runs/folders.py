"""The folder of a run: made for a new one, found for one that is resumed."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from ganlab.errors import CheckpointError, GanlabError
from ganlab.files import as_path, told
from ganlab.recipes import BaseRecipe
from ganlab.runs.run import saved_recipe
from ganlab.training import checkpoint


def taken(plan: BaseRecipe, out: str | Path | None, resume: bool) -> Path:
    """The run's folder, made; never one that holds another run.

    Raises:
        FileError: no folder can be made there.
        CheckpointError, GanlabError: it holds another run, or none to resume.
    """
    if out is None and resume:
        return latest(plan.name)
    if out is None:
        base, number = Path("runs") / (plan.name or "run"), 1
        with told(base.parent, "be made", "choose a folder with --out"):
            base.parent.mkdir(exist_ok=True)  # a file or a dead link of that name is found here
        while True:
            folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
            with told(folder, "be made", "choose a folder with --out"):
                try:  # made, not looked for: two runs that start together take two folders
                    folder.mkdir(parents=True)
                    return folder
                except FileExistsError:
                    number += 1
    folder = as_path(out)
    with told(out, "be made", "choose another --out"):
        if resume and not folder.exists():
            raise CheckpointError(f"{folder} does not exist: there is nothing to resume")
        holds = (folder / "recipe.json").exists()
        saved = checkpoint.latest(folder / "checkpoints")
        if resume and saved is None and not holds:
            raise CheckpointError(f"{folder} holds no checkpoint to resume from")
        if resume and not holds:
            raise CheckpointError(
                f"{folder}/recipe.json is missing: restore it, or train again into another folder"
            )
        if not resume and (holds or saved):
            raise GanlabError(
                f"{folder} already holds a run: add --resume, or choose another --out"
            )
        if folder.resolve() in Path.cwd().parents:
            raise GanlabError(f"{folder} lies above the working folder: name one of the run's own")
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def latest(name: str) -> Path:
    """The newest run of a recipe under runs/: NAME or NAME-2, not that of a longer name."""
    found = []
    for folder in Path("runs").glob(f"{glob.escape(name)}*"):
        number = folder.name.removeprefix(name)
        if re.fullmatch(r"(-\d+)?", number) and (folder / "recipe.json").is_file():
            try:
                if saved_recipe(folder).name == name:
                    found.append(folder)
            except CheckpointError:
                if folder.name == name:  # the one that was meant, and it is damaged
                    raise
    if not found:
        raise CheckpointError(f"no run of {name} under runs/: there is nothing to resume")
    return max(found, key=lambda p: (p / "recipe.json").stat().st_mtime)
