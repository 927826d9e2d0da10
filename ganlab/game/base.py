"""What every game has: players, a precision, a random state, rounds, and a state to resume from.

A game knows its players and its round. It does not know files, time or the screen: the trainer
knows those, and no network. A game of your own is a subclass with `players`, `round`, and what
else of this class it has to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganlab import ranks
from ganlab.game.player import Player
from ganlab.models.growing import Growing
from ganlab.schedules import Schedule


@dataclass(frozen=True)
class Pass:
    """Something that a round must do.

    Attributes:
        run: does it once, on copies.
        times: how often a round needs it, on average: lazy penalties are due in some rounds only.
    """

    run: Callable[[], object]
    times: float = 1.0


@contextmanager
def looked_at(network: nn.Module) -> Iterator[Any]:
    """The network in evaluation mode and without gradients inside, as it was afterwards."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield network
    finally:
        network.train(was_training)


class Game:
    """Players, and what surrounds their rounds.

    Args:
        players: on their device, in the order of their steps.
        precision: "fp32" or "bf16" (autocast; weights and optimiser stay fp32).
        seed: of the game's own random state, which is part of its state.

    Attributes:
        rounds, images: played, and pictures shown on all ranks.
        schedules: what changes over `horizon` rounds, each with the function that sets it.
    """

    def __init__(self, players: Sequence[Player], precision: str = "fp32", seed: int = 0) -> None:
        self.players, self.precision = tuple(players), precision
        self.device = next(self.players[0].network.parameters()).device
        self.noise = torch.Generator(self.device).manual_seed(seed)
        self.rounds, self.images = 0, 0
        self.schedules: list[tuple[Schedule, Callable[[float], None]]] = []
        self.horizon = 1
        nets = [n for p in self.players for n in (p.network, p.best)]
        self._growing = [n for n in dict.fromkeys(nets) if isinstance(n, Growing) and n.growing]

    def round(self, stream: Iterator[Any]) -> dict[str, Tensor]:
        """Play one round on batches from `stream`; returns scalars on the device, losses first.

        A loss is named after its player: by the first letter of its name, or in full.
        """
        raise NotImplementedError

    def fixed(self, n: int, stream: Any) -> Any:
        """What every sample grid of a run is drawn from: the same for the same stream."""
        raise NotImplementedError

    def draw(self, fixed: Any) -> Tensor:
        """The grid's samples as of now: pictures (N, C, H, W) in [-1, 1], or points (N, d)."""
        raise NotImplementedError

    def report(self) -> dict[str, Any]:
        """Histograms for the log, by name."""
        return {}

    def product(self) -> dict[str, nn.Module]:
        """What a run keeps, by name: the networks to look at after the training."""
        return {player.name: player.best for player in self.players}

    def passes(self, batch: Any) -> dict[str, Pass]:
        """The passes that a round needs, on copies of the networks; none if it cannot say."""
        return {}

    def whose(self, key: str) -> str:
        """The player whom a reported value belongs to."""
        for player in self.players:
            if key.split("_")[0] in (player.name, player.name[0]):
                return player.name
        return self.players[0].name

    def _autocast(self) -> Any:
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def mine(self, n: int, draw: Callable[[int], Tensor]) -> Tensor:
        """This rank's n rows of what is drawn for all ranks from the game's random state."""
        world, rank = ranks.size(), ranks.rank()
        return draw(n * world)[rank * n : (rank + 1) * n]

    def ready(self) -> None:
        """Networks in training mode and in the phase that is due; call before each round."""
        for player in self.players:
            if not player.network.training:
                player.network.train()
        for network in self._growing:
            network.grow(self.images)
        for value, put in self.schedules:
            put(value(self.rounds / self.horizon))

    def played(self, n: int) -> None:
        """A round is over in which this rank was shown n pictures."""
        self.rounds += 1
        self.images += n * ranks.size()

    def state_dict(self) -> dict[str, Any]:
        """The players, the random state, and what has been played."""
        state: dict[str, Any] = {player.name: player.state_dict() for player in self.players}
        state["noise"] = self.noise.get_state()
        state["rounds"], state["images"] = self.rounds, self.images
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state_dict`."""
        for player in self.players:
            player.load_state_dict(state[player.name])
        self.noise.set_state(state["noise"].cpu())
        self.rounds, self.images = state["rounds"], state.get("images", 0)
