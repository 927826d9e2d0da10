"""The trainings of `gpu.py`: ordinary ganlab runs that end when the clock says so.

`TRAININGS` is the list, in order of worth; a new result is a new line there.
"""

from __future__ import annotations

import shutil
import signal
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from gpu_store import Clock, Store, reason, say

from ganlab import runs
from ganlab.errors import DataError
from ganlab.recipes import recipe, source
from ganlab.training import Callback, checkpoint

#: What a training takes from the clock beside its rounds: data, start, grid, file.
START, SCORE, SAVE = 15.0, 45.0, 12.0
#: Bytes of a file that comes back from a lent machine.
LARGEST = 16 * 2**20


@dataclass(frozen=True)
class Training:
    """A run to make.

    Attributes:
        name: of the run, and of the result in the book.
        recipe: by name.
        minutes: at most, all sessions together.
        changes: fields of the recipe.
        least: minutes under which it is not started.
    """

    name: str
    recipe: str
    minutes: float
    changes: dict[str, Any] = field(default_factory=dict)
    least: float = 0.7


#: A GPU plays a hundred rounds while it writes one checkpoint.
RARE = {"log_every": 100, "sample_every": 2000, "checkpoint_every": 2000}
WIDE = {"generator": {"width": 64}, "discriminator": {"width": 64}}
BROAD = {"generator": {"channel_base": 2048, "channel_max": 256},
         "discriminator": {"channel_base": 2048, "channel_max": 256}}  # fmt: skip
_TRUNK = {"width": [384, 256, 128], "blocks": 1, "patch": 2}
TRAININGS = [
    Training("dcgan-cifar10-gpu", "dcgan-cifar10", 2.0, RARE | WIDE | {"steps": 40_000}),
    Training(
        "modern-cifar10-gpu",
        "modern-cifar10",
        4.0,
        RARE | {"steps": 60_000, "generator": _TRUNK, "discriminator": _TRUNK},
    ),
    Training(
        "stylegan2-emoji-gpu", "stylegan2-emoji", 4.0, RARE | BROAD | {"steps": 40_000, "batch": 32}
    ),
]
TINY = [
    Training(
        "dcgan-glyphs-tiny", "dcgan-glyphs", 1.0,
        {"generator": {"width": 8}, "discriminator": {"width": 8}, "size": 16, "batch": 8,
         "steps": 6, "log_every": 2, "sample_every": 3, "checkpoint_every": 2, "samples": 16,
         "data_options": {"count": 400}},
        least=0.0,
    ),
]  # fmt: skip


class Deadline(Callback):
    """Ends a training at a log line, as Ctrl-C would: with a checkpoint and its generator.

    Args:
        clock: when.
        rounds: end after so many, whatever the clock says; for tests.
    """

    def __init__(self, clock: Clock, rounds: int | None = None) -> None:
        self.clock, self.rounds = clock, rounds
        self.rung = False

    def on_log(self, trainer: Any, record: dict[str, Any]) -> None:
        """Look at the clock; say how it goes now and then."""
        over = not self.clock.left
        over |= self.rounds is not None and record["step"] >= self.rounds
        if over and not self.rung:  # a second signal would not let it save
            self.rung = True
            signal.raise_signal(signal.SIGTERM)

    def on_sample(self, trainer: Any, path: Path) -> None:
        """A line of progress."""
        last = trainer.log[-1] if trainer.log else {}
        if last:
            say(f"    step {last['step']}: D {last['d_loss']:.2f}, G {last['g_loss']:.2f},"
                f" {last['images_per_second']:.0f} images/s")  # fmt: skip


def play(
    one: Training,
    folder: Path,
    device: torch.device,
    clock: Clock,
    rounds: int | None = None,
) -> dict[str, Any]:
    """Train, or go on, until the end or the clock; plain data on how far it came.

    Args:
        one: what to train.
        folder: of the run; goes on from its newest checkpoint.
        device: where.
        clock: of the whole command; time to score and save is kept free.
        rounds: stop there; for tests.
    """
    plan = recipe(one.recipe, **one.changes).with_(name=one.name)
    data = source(plan)
    resumed = checkpoint.latest(folder / "checkpoints") is not None
    spent = runs.Run(folder).log[-1]["seconds"] if resumed else 0.0
    if resumed:
        say(f"    goes on from step {runs.Run(folder).step}")
    own = one.minutes * 60 - spent
    rest = clock.left - SAVE - (SCORE if clock.left > 3 * SCORE else 0.0)
    bell = Deadline(Clock(max(0.0, min(own, rest)) / 60), rounds)
    run = runs.train(
        plan, folder, resume=(folder / "recipe.json").exists(), device=device, data=data,
        callbacks=[bell], evaluate=False,
    )  # fmt: skip
    if run.stopped and not bell.rung:
        raise KeyboardInterrupt  # it was not the clock
    run.grid_file()
    full = bell.rung and own <= rest and rounds is None
    last = run.log[-1]
    return {
        "recipe": one.recipe,
        "changes": one.changes,
        "step": run.step,
        "of": plan.steps,
        "images": last["images"],
        "images_per_second": last["images_per_second"],
        "ideal": last.get("ideal"),
        "precision": run.about["precision"],
        "minutes": round(last["seconds"] / 60, 2),
        "resumed": resumed,
        "note": run.about["note"],
        "scores": run.scores,
        "done": not run.stopped or full,
    }


def evaluate(folder: Path) -> dict[str, Any]:
    """Score a run on the processor, as the book's others are; empty where that fails."""
    run = runs.Run(folder)
    try:
        return run.evaluate(data=source(run.recipe))
    except DataError as error:
        say(f"    no score: {reason(error)}")
        return {}


def hand_on(folder: Path, to: Path) -> Path:
    """A run as one small tar file: all but its checkpoints, the generator in 16 bits."""
    to.mkdir(parents=True, exist_ok=True)
    path = to / f"{folder.name}.tar"
    run = runs.Run(folder)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.name
        leave = shutil.ignore_patterns("checkpoints", "*.partial", "generator.safetensors")
        shutil.copytree(folder, copy, ignore=leave)
        runs.save_generator(run.generator(), copy / "generator.safetensors", half=True)
        partial = path.with_name(f".{path.name}.partial")
        with tarfile.open(partial, "w") as tar:
            tar.add(copy, folder.name)
        partial.replace(path)
    if path.stat().st_size > LARGEST:
        say(f"    {path.name} has {path.stat().st_size / 2**20:.1f} MiB: it may not come back")
    return path


def train_all(
    trainings: list[Training], store: Store, work: Path, out: Path, device: torch.device,
    clock: Clock, rounds: int | None = None,
) -> None:  # fmt: skip
    """Every training that there is time for, each scored and handed on as it ends."""
    for one in trainings:
        folder, known = work / "runs" / one.name, store.items.get(one.name, {})
        if store.done(one.name):
            say(f"  {one.name}: done at step {known.get('step')}")
            if (folder / "recipe.json").exists() and not (out / f"{one.name}.tar").exists():
                hand_on(folder, out)
            continue
        need = one.least * 60 + START if one.least else 0.0
        if clock.left <= need:
            say(f"  {one.name}: not begun, it needs {need:.0f} s and {clock.left:.0f} s are left")
            continue
        say(f"  {one.name}: {one.recipe}, at most {min(one.minutes, clock.left / 60):.1f} min")
        try:
            with clock.alarm():
                found = play(one, folder, device, clock, rounds)
            store.put(one.name, found)
            say(f"    {found['step']} of {found['of']} rounds,"
                f" {found['images_per_second']:.0f} images/s")  # fmt: skip
            hand_on(folder, out)
            if clock.left > SCORE or not one.least:
                with clock.alarm():
                    store.put(one.name, found | {"scores": evaluate(folder)})
                say(f"    scores: {store.items[one.name]['scores']}")
                hand_on(folder, out)
        except Exception as error:  # the next may still work
            say(f"    {reason(error)}")
            store.put(one.name, known | {"error": reason(error), "done": False})
