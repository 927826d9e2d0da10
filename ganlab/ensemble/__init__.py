"""Many small games at once: stacked networks, one round for all seeds."""

from ganlab.ensemble.many import Draws, Many, train_many
from ganlab.ensemble.stacked import Stacked, over_seeds, splits
from ganlab.ensemble.together import SUPPORTED, Together

__all__ = [
    "SUPPORTED",
    "Draws",
    "Many",
    "Stacked",
    "Together",
    "over_seeds",
    "splits",
    "train_many",
]
