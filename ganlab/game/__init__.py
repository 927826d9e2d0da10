"""Who plays, and what one round is."""

from ganlab.game import tricks
from ganlab.game.adversarial import AdversarialGame
from ganlab.game.player import Average, Player
from ganlab.game.tricks import Pool, flip_labels, top, unrolled
from ganlab.game.whole import WholeStep

__all__ = [
    "AdversarialGame",
    "Average",
    "Player",
    "Pool",
    "WholeStep",
    "flip_labels",
    "top",
    "tricks",
    "unrolled",
]
