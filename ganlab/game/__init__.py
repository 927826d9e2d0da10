"""Who plays, and what one round is."""

from ganlab.game.adversarial import AdversarialGame
from ganlab.game.player import Player

__all__ = ["AdversarialGame", "Player"]
