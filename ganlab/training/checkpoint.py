"""Checkpoints: written whole or not at all, read without running code, proved by their checksum.

A file is written beside its place, flushed to the disk and moved there; the move is atomic, so a
killed run leaves either the old checkpoint or the new one. Reading uses `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import CheckpointError
from ganlab.files import flush, reason, replacing, told

FORMAT = 1
KEEP = 2  # the newest, and the one before it in case a disk fails


def fingerprint(state: Any) -> str:
    """SHA-256 of what a nested state holds: keys, types, shapes, bytes and plain values.

    The same for states that are equal bit for bit, wherever they lie.
    """
    sum_ = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            sum_.update(f"tensor {plain.dtype} {tuple(plain.shape)}\n".encode())
            sum_.update(plain.reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(value, Mapping):
            sum_.update(f"table {len(value)}\n".encode())
            for key, part in value.items():
                add(key)
                add(part)
        elif isinstance(value, list | tuple):
            sum_.update(f"list {len(value)}\n".encode())
            for part in value:
                add(part)
        else:
            sum_.update(f"{type(value).__name__} {value!r}\n".encode())

    add(state)
    return sum_.hexdigest()


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """The first weight that is infinite or not a number, by name."""
    return next(
        (k for k, x in state.items() if x.is_floating_point() and not x.isfinite().all()), None
    )


def write(state: dict[str, Any], path: Path) -> Path:
    """Write `state` atomically to `path`, with its checksum.

    Raises:
        FileError: it cannot be written there; nothing is left beside.
    """
    with replacing(path) as partial, open(partial, "wb") as file:
        try:
            content = {k: v for k, v in state.items() if k != "format"}
            torch.save({"format": FORMAT, "sha256": fingerprint(content), **content}, file)
        except RuntimeError as error:
            # torch's own writer, which closes its file all the same, gives a full disk another
            # name, and a second Ctrl-C too.
            cause = error.__context__
            if isinstance(cause, OSError | KeyboardInterrupt):
                raise cause from error
            raise
    return path


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        CheckpointError: it is missing, damaged, or of a format that this version cannot read.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    hint = "delete it and resume from the one before"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise CheckpointError(f"{path} cannot be read ({reason(error)})") from error
    except Exception as error:  # torch, zipfile and pickle raise nearly anything on damaged bytes
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}): {hint}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is no checkpoint but a {type(state).__name__}: {hint}")
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {state.get('format')}, this version of ganlab reads {FORMAT}:"
            " use the version that wrote it"
        )
    proof = state.pop("sha256", None)  # checkpoints of older versions have none
    if proof is not None and proof != fingerprint(
        {k: v for k, v in state.items() if k != "format"}
    ):
        raise CheckpointError(f"{path} is damaged (its checksum does not match): {hint}")
    return state


def save(state: dict[str, Any], folder: Path, step: int) -> Path:
    """Write the checkpoint of `step` and delete all but the newest `KEEP` up to it.

    What was logged up to here reaches the disk first: a machine that dies later must not leave a
    checkpoint whose log lacks lines.
    """
    for log in folder.parent.glob("*.jsonl"):
        with suppress(OSError):  # not ours, or a disk whose fault the checkpoint will tell
            flush(log)
    path = write(state, folder / f"step-{step:08d}.pt")
    every = kept(folder)
    older = every[: every.index(path) + 1]
    for stale in older[:-KEEP]:
        stale.unlink(missing_ok=True)
    for partial in folder.glob(".*.partial*"):
        partial.unlink(missing_ok=True)
    return path


def kept(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first; none if there is no such folder.

    Raises:
        FileError: it cannot be read: nobody may take it for empty and begin again.
    """
    named = re.compile(r"step-\d{8,}\.pt")
    with told(folder, "be read"):
        try:
            names = os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
    found = [folder / name for name in names if named.fullmatch(name)]
    return sorted(found, key=lambda p: int(p.stem.removeprefix("step-")))


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in `folder`, or None.

    Raises:
        FileError: the folder cannot be read.
    """
    found = kept(folder)
    return found[-1] if found else None
