"""A number for how good: Fréchet distance in a feature space, and modes found.

Real data first, everywhere; float64 inside; no global random state is touched.
"""

from ganlab.metrics.features import Classifier, classifier
from ganlab.metrics.frechet import FrechetDistance, fid, frechet_distance, statistics
from ganlab.metrics.modes import ModeCoverage, mode_coverage
from ganlab.metrics.stacked import StackedModes, expected_modes, stack_judge, stacked_modes

__all__ = [
    "Classifier",
    "FrechetDistance",
    "ModeCoverage",
    "StackedModes",
    "classifier",
    "expected_modes",
    "fid",
    "frechet_distance",
    "mode_coverage",
    "stack_judge",
    "stacked_modes",
    "statistics",
]
