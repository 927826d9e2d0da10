"""What was learned once is kept: judges come from the user's cache folder, or are taught now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganlab.data.cache import cache_root, say
from ganlab.errors import CheckpointError, FileError
from ganlab.training import checkpoint


def cache_folder() -> Path:
    """Where judges are kept: `GANLAB_CACHE`, or the user's cache folder."""
    return cache_root() / "classifiers"


def kept(
    name: str,
    about: dict[str, Any],
    learn: Callable[[], dict[str, Any]],
    good: Callable[[dict[str, Any]], bool] = lambda state: True,
) -> dict[str, Any]:
    """The state that `learn` gives, from the cache where it is there.

    Args:
        name: beginning of the file's name.
        about: all that decides what is learned, as plain values; its hash ends the file's name.
        learn: makes the state, plain values and tensors.
        good: whether a state from the cache may be used; a damaged file never is.
    """
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    path = cache_folder() / f"{name}-{key}.pt"
    try:
        state = checkpoint.read(path)
    except CheckpointError:
        state = None
    if state is None or not good(state):
        state = learn()
        try:
            checkpoint.write(state, path)
        except FileError as error:  # hours of work are not lost for want of a cache
            say(f"{error}; what was learned is used, and not kept")
    return state
