"""What makes a training the one that it is, and whether a checkpoint belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganlab.errors import CheckpointError
from ganlab.training import checkpoint

Pair = tuple[Any, Any]
#: Why a field may not change from one value to another; None where it may.
Judge = Callable[[str, Any, Any], str | None]


def changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Pair]:
    """field -> (before, now) of all that differs between two identities.

    A field that is off (0, "", empty) and one that is not there are the same: a checkpoint stays
    good when recipes learn a new field.
    """
    return {
        key: (old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if (old.get(key) or None) != (new.get(key) or None)
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two identities, field by field, for people."""
    return refusals(changed(old, new))


def refusals(pairs: dict[str, Pair], judge: Judge | None = None) -> list[str]:
    """The changes that are not allowed, for people; without a judge none is."""
    lines = []
    for key, (before, now) in pairs.items():
        why = "" if judge is None else judge(key, before, now)
        if why is not None:
            lines.append(f"{key} was {before!r}, now {now!r}" + (f" ({why})" if why else ""))
    return lines


def accepted(
    path: Path, identity: dict[str, Any], judge: Judge | None, steps: int
) -> tuple[dict[str, Any], dict[str, Pair]]:
    """The state in a checkpoint of this training, and what is changed on purpose since it.

    Args:
        path: of the checkpoint.
        identity: of the training that goes on from it.
        judge: of the fields that differ.
        steps: rounds that are to be played in total.

    Raises:
        CheckpointError: it is damaged, none of a training, or of another one; or no round is left
            in which a change could show.
    """
    state = checkpoint.read(path)
    lacking = [k for k in ("identity", "step", "game", "stream", "torch") if k not in state]
    if lacking:
        raise CheckpointError(
            f"{path} is no checkpoint of a training (no {', '.join(lacking)}): delete it and"
            " resume from the one before"
        )
    pairs = changed(state["identity"], identity)
    refused = refusals(pairs, judge)
    if refused:
        raise CheckpointError(
            f"{path} was made by another recipe: {'; '.join(refused)}; restore these fields"
            " or start a new run with --out"
        )
    if pairs and state["step"] >= steps:
        raise CheckpointError(
            f"{path} has played {state['step']} of {steps} steps: {', '.join(pairs)} would change"
            " nothing any more; give more --steps"
        )
    return state, pairs
