"""Checkpoints: written whole or not at all, read without running code.

A file is written under another name, flushed to the disk and renamed; a rename is atomic, so a
killed run leaves either the old checkpoint or the new one. Reading uses `weights_only=True`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from ganlab.errors import CheckpointError

FORMAT = 1
KEEP = 2  # the newest, and the one before it in case a disk fails


def write(state: dict[str, Any], path: Path) -> Path:
    """Write `state` atomically to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        CheckpointError: it is missing, damaged, or of a format that this version cannot read.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}): delete it and resume from the one before"
        ) from error
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {state.get('format')}, this version of ganlab reads {FORMAT}:"
            " use the version that wrote it"
        )
    return state


def save(state: dict[str, Any], folder: Path, step: int) -> Path:
    """Write the checkpoint of `step` and delete all but the newest `KEEP`."""
    path = write(state, folder / f"step-{step:08d}.pt")
    for stale in sorted(folder.glob("step-*.pt"))[:-KEEP]:
        stale.unlink(missing_ok=True)
    for partial in folder.glob(".*.partial"):
        partial.unlink(missing_ok=True)
    return path


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in `folder`, or None."""
    found = sorted(folder.glob("step-*.pt"))
    return found[-1] if found else None
