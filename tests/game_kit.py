"""A game that is played on, and its twin that takes it up from a saved state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch


def resumed(make: Callable[[], Any], other: Callable[[], Any], before: int) -> tuple[Any, Any, Any]:
    """Both after five more rounds, and the first one's stream.

    Args:
        make: gives the game and its stream.
        other: gives those that load the state.
        before: rounds until it is saved.
    """
    game, stream = make()
    for _ in range(before):
        game.round(stream)
    state = copy.deepcopy((game.state_dict(), stream.state_dict()))
    dice = torch.get_rng_state()
    for _ in range(5):
        game.round(stream)
    again, feed = other()
    again.load_state_dict(state[0])
    feed.load_state_dict(state[1])
    torch.set_rng_state(dice)
    for _ in range(5):
        again.round(feed)
    return game, again, stream
