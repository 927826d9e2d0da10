"""Who plays, and what one round is."""

from ganlab.game import tricks
from ganlab.game.adversarial import AdversarialGame
from ganlab.game.base import Game, Pass
from ganlab.game.costs import needed_passes
from ganlab.game.latent import LatentGame
from ganlab.game.player import Average, Player
from ganlab.game.solo import ClassifierGame, SoloGame, VaeGame
from ganlab.game.tricks import Pool, flip_labels, top, unrolled
from ganlab.game.whole import WholeStep

__all__ = [
    "AdversarialGame",
    "Average",
    "ClassifierGame",
    "Game",
    "LatentGame",
    "Pass",
    "Player",
    "Pool",
    "SoloGame",
    "VaeGame",
    "WholeStep",
    "flip_labels",
    "needed_passes",
    "top",
    "tricks",
    "unrolled",
]
