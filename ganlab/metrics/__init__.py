"""A number for how good: distances between feature distributions, shares, and tests of copying.

Real data first, everywhere; arrays or tensors of any float type on any device, float64 inside; no
global random state is touched. Results are small records of a number and of what it rests on.
"""

from ganlab.metrics import evaluation, features, resize, scoring
from ganlab.metrics.accuracy import ClassificationAccuracy, classification_accuracy_score
from ganlab.metrics.backbones import IMAGENET, ModuleFeatures, backbone
from ganlab.metrics.cmmd import CMMD, cmmd
from ganlab.metrics.extractors import Extractor, InceptionFeatures, extractor
from ganlab.metrics.extrapolation import FrechetInfinity, fid_bias, fid_infinity
from ganlab.metrics.feature_distance import FeatureDistance, feature_distance
from ganlab.metrics.features import Classifier, Network, apart, classifier
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
from ganlab.metrics.products import congruent, gram
from ganlab.metrics.resize import clean
from ganlab.metrics.scoring import compare, learned, obeyed, recognised, score, verdict
from ganlab.metrics.sliced import SlicedWasserstein, sliced_wasserstein
from ganlab.metrics.stacked import (
    SAMPLES,
    SURE,
    StackedModes,
    StackJudge,
    expected_modes,
    stack_judge,
    stacked_modes,
)
from ganlab.metrics.streaming import Statistics

__all__ = [
    "CMMD",
    "IMAGENET",
    "PRDC",
    "SAMPLES",
    "SURE",
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
    "Network",
    "PathLength",
    "PrecisionRecall",
    "SlicedWasserstein",
    "StackJudge",
    "StackedModes",
    "Statistics",
    "TwoSampleAccuracy",
    "apart",
    "backbone",
    "classification_accuracy_score",
    "classifier",
    "clean",
    "cmmd",
    "compare",
    "congruent",
    "density_coverage",
    "evaluation",
    "expected_coverage",
    "expected_modes",
    "extractor",
    "feature_distance",
    "features",
    "fid",
    "fid_bias",
    "fid_infinity",
    "frechet_distance",
    "gram",
    "inception_score",
    "kid",
    "learned",
    "leave_one_out_accuracy",
    "mode_coverage",
    "nearest_neighbour_test",
    "obeyed",
    "ppl",
    "prdc",
    "precision_recall",
    "recognised",
    "resize",
    "score",
    "scoring",
    "slerp",
    "sliced_wasserstein",
    "stack_judge",
    "stacked_modes",
    "statistics",
    "verdict",
]
