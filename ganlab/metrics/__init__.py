"""A number for how good: distances between feature distributions, shares, and tests of copying.

Real data first, everywhere; arrays or tensors of any float type on any device, float64 inside; no
global random state is touched. Results are small records of a number and of what it rests on.
"""

from ganlab.metrics.accuracy import ClassificationAccuracy, classification_accuracy_score
from ganlab.metrics.backbones import ModuleFeatures, backbone
from ganlab.metrics.extractors import Extractor, InceptionFeatures, extractor
from ganlab.metrics.extrapolation import FrechetInfinity, fid_bias, fid_infinity
from ganlab.metrics.feature_distance import FeatureDistance, feature_distance
from ganlab.metrics.features import Classifier, apart, classifier
from ganlab.metrics.frechet import FrechetDistance, fid, frechet_distance, statistics
from ganlab.metrics.inception_score import InceptionScore, inception_score
from ganlab.metrics.kernel import KernelDistance, kid
from ganlab.metrics.memorisation import (
    CopyTest,
    TwoSampleAccuracy,
    leave_one_out_accuracy,
    nearest_neighbour_test,
)
from ganlab.metrics.modes import ModeCoverage, mode_coverage
from ganlab.metrics.neighbours import (
    PRDC,
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    expected_coverage,
    prdc,
    precision_recall,
)
from ganlab.metrics.path_length import PathLength, ppl, slerp
from ganlab.metrics.sliced import SlicedWasserstein, sliced_wasserstein
from ganlab.metrics.stacked import StackedModes, expected_modes, stack_judge, stacked_modes
from ganlab.metrics.streaming import Statistics

__all__ = [
    "PRDC",
    "ClassificationAccuracy",
    "Classifier",
    "CopyTest",
    "DensityCoverage",
    "Extractor",
    "FeatureDistance",
    "FrechetDistance",
    "FrechetInfinity",
    "InceptionFeatures",
    "InceptionScore",
    "KernelDistance",
    "ModeCoverage",
    "ModuleFeatures",
    "PathLength",
    "PrecisionRecall",
    "SlicedWasserstein",
    "StackedModes",
    "Statistics",
    "TwoSampleAccuracy",
    "apart",
    "backbone",
    "classification_accuracy_score",
    "classifier",
    "density_coverage",
    "expected_coverage",
    "expected_modes",
    "extractor",
    "feature_distance",
    "fid",
    "fid_bias",
    "fid_infinity",
    "frechet_distance",
    "inception_score",
    "kid",
    "leave_one_out_accuracy",
    "mode_coverage",
    "nearest_neighbour_test",
    "ppl",
    "prdc",
    "precision_recall",
    "slerp",
    "sliced_wasserstein",
    "stack_judge",
    "stacked_modes",
    "statistics",
]
