"""What the public functions of `ganlab.latent`, `ganlab.metrics` and sampling refuse, and how.

Wrong counts, shapes, types, NaN, and generators that lack what is asked for: each is an error of
the package in one line. Every public function stands in a table; one that does not is told of.
"""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch

from ganlab import latent, metrics
from ganlab.data import ImageSet
from ganlab.errors import GanlabError, RecipeError, at_least
from ganlab.metrics import arrays
from ganlab.models import drawn, mlp
from ganlab.models.latent import BLOCK, seeded
from tests.latent_kit import SIZE, LinearGenerator, PlainGenerator, small

NAN = math.nan
HUGE = 10**12
G, P = LinearGenerator(), PlainGenerator()
Z = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
Y = X[:, 0] > 0
BAD = X.clone()
BAD[3, 2] = NAN
PICTURES = torch.rand(4, 3, SIZE, SIZE) * 2 - 1
BYTES = torch.randint(256, (20, 3, 16, 16), dtype=torch.uint8)
BARE = ImageSet("bare", BYTES)
PROBS = torch.full((10, 4), 0.25)
EYE = torch.eye(6)
JUDGE = metrics.StackJudge(None, torch.ones(10) / 10)  # none may get as far as asking it
DIRECTION = latent.ganspace(G, n=50, k=2)


def flat(a, b):
    return (a - b).square().flatten(1).sum(1)


def not_finite(n, seed=0, labels=None):
    return torch.full((n, 3, 16, 16), NAN)


LATENT = {
    "Directions": [
        lambda: DIRECTION["colour"],
        lambda: DIRECTION.without(BAD),
        lambda: DIRECTION.without(X[:, :3]),
        lambda: DIRECTION.without(DIRECTION),
    ],
    "FactorReader": [
        lambda: latent.FactorReader.fit(size=17),
        lambda: latent.FactorReader.fit(images=-1),
        lambda: latent.FactorReader.fit(seed=-1),
        lambda: latent.FactorReader.fit(factors=["colour"]),
        lambda: latent.FactorReader.fit(factors=[]),
        lambda: latent.FactorReader.fit(width=0),
    ],
    "affines": [lambda: latent.affines(P), lambda: latent.affines(None)],
    "centre": [
        lambda: latent.centre(G, 0),
        lambda: latent.centre(G, -5),
        lambda: latent.centre(G, HUGE),
        lambda: latent.centre(P, 0),
        lambda: latent.centre(G, seed=-1),
        lambda: latent.centre(None),
    ],
    "chosen": [
        lambda: latent.chosen("corse", 8),
        lambda: latent.chosen([9], 8),
        lambda: latent.chosen(3, 8),
        lambda: latent.chosen([1.5], 8),
        lambda: latent.chosen(["a"], 8),
        lambda: latent.chosen(None, -1),
    ],
    "conditional_entropy": [
        lambda: latent.conditional_entropy(Y, Y[:3]),
        lambda: latent.conditional_entropy(Y[:0], Y[:0]),
        lambda: latent.conditional_entropy(BAD[:, 2], Y),
    ],
    "disentanglement": [
        lambda: latent.disentanglement(G, None),
        lambda: latent.disentanglement(G, dict, n=0),
        lambda: latent.disentanglement(G, dict, paths=-1),
    ],
    "draw": [
        lambda: latent.draw(G, 0),
        lambda: latent.draw(G, -1),
        lambda: latent.draw(G, HUGE),
        lambda: latent.draw(G, 1.5),
        lambda: latent.draw(G, 3, 2**70),
        lambda: latent.draw(object(), 3),
    ],
    "edit": [
        lambda: latent.edit(G, Z, X[:, 0][:6], []),
        lambda: latent.edit(G, Z, DIRECTION, [1.0]),
        lambda: latent.edit(G, Z, DIRECTION[0], [NAN]),
        lambda: latent.edit(G, Z, DIRECTION[0], 1.0),
        lambda: latent.edit(G, Z * NAN, DIRECTION[0], [1.0]),
        lambda: latent.edit(G, Z, X[0, :3], [1.0]),
        lambda: latent.edit(G, Z, DIRECTION[0], ["far"]),
    ],
    "entropy": [
        lambda: latent.entropy(Y[:0]),
        lambda: latent.entropy(BAD[:, 2]),
        lambda: latent.entropy([0, 1]),
    ],
    "explained": [
        lambda: latent.explained(X[:, 0], X[:3, 0]),
        lambda: latent.explained(BAD[:, 2], X[:, 0]),
    ],
    "ganspace": [
        lambda: latent.ganspace(P),
        lambda: latent.ganspace(G, n=1),
        lambda: latent.ganspace(G, n=HUGE),
        lambda: latent.ganspace(G, n=50, k=0),
        lambda: latent.ganspace(G, n=50, k=7),
    ],
    "gaps": [
        lambda: latent.gaps(X, X, bins=0),
        lambda: latent.gaps(X[:, :1], X),
        lambda: latent.gaps(X, torch.ones(40)),
    ],
    "lerp": [
        lambda: latent.lerp(Z, Z[:3], 0.5),
        lambda: latent.lerp(Z, Z, NAN),
        lambda: latent.lerp(Z, Z * NAN, 0.5),
        lambda: latent.lerp(Z, Z, torch.rand(2, 2)),
        lambda: latent.lerp(Z, Z, "half"),
        lambda: latent.lerp(Z.numpy(), Z, 0.5),
    ],
    "linear_fit": [
        lambda: latent.linear_fit(BAD, X),
        lambda: latent.linear_fit(X, X[:3]),
        lambda: latent.linear_fit(X, X, seed=-1),
    ],
    "logistic": [
        lambda: latent.logistic(X, X[:, 0]),
        lambda: latent.logistic(X, Y, penalty=-1),
        lambda: latent.logistic(BAD, Y),
        lambda: latent.logistic(X, Y, steps=0),
        lambda: latent.logistic(X, Y[:3]),
    ],
    "mapped": [
        lambda: latent.mapped(P, Z),
        lambda: latent.mapped(G, Z[:, :3]),
        lambda: latent.mapped(G, Z * NAN),
        lambda: latent.mapped(G, Z, psi=NAN),
        lambda: latent.mapped(G, Z, batch=0),
    ],
    "mig": [lambda: latent.mig(X, X, bins=0), lambda: latent.mig(X[0], X)],
    "mix": [
        lambda: latent.mix(P, Z, Z, "coarse"),
        lambda: latent.mix(G, Z, Z[:3], "coarse"),
        lambda: latent.mix(G, Z[:, :3], Z, "coarse"),
        lambda: latent.mix(G, Z * NAN, Z, "coarse"),
        lambda: latent.mix(G, Z, Z, [99]),
    ],
    "mixing_grid": [
        lambda: latent.mixing_grid(P, Z, Z),
        lambda: latent.mixing_grid(G, Z, Z[:0]),
        lambda: latent.mixing_grid(G, Z, Z, psi="half"),
    ],
    "mutual_information": [
        lambda: latent.mutual_information(X, X, bins=0),
        lambda: latent.mutual_information(X, X, bins=-3),
        lambda: latent.mutual_information(X, X, bins=HUGE),
        lambda: latent.mutual_information(X, X, bins=2.5),
        lambda: latent.mutual_information(BAD, X),
        lambda: latent.mutual_information(X, BAD),
        lambda: latent.mutual_information(X, {}),
        lambda: latent.mutual_information(X[:0], X[:0]),
    ],
    "noise_penalty": [
        lambda: latent.noise_penalty(Z),
        lambda: latent.noise_penalty(BYTES),
    ],
    "of_class": [
        lambda: latent.of_class(G, 0),
        lambda: latent.of_class(P, -1),
        lambda: latent.of_class(None, 0),
        lambda: latent.of_class(G, "three"),
    ],
    "path": [
        lambda: latent.path(Z, 0),
        lambda: latent.path(Z, HUGE),
        lambda: latent.path(Z[:1], 3),
        lambda: latent.path(Z * NAN, 3),
        lambda: latent.path(torch.zeros(3, 6), 3),
        lambda: latent.path(Z, 3, "arc"),
    ],
    "project": [
        lambda: latent.project(G, PICTURES * NAN, steps=1),
        lambda: latent.project(G, PICTURES, steps=0),
        lambda: latent.project(G, PICTURES, steps=HUGE),
        lambda: latent.project(G, PICTURES[:, :1], steps=1),
        lambda: latent.project(G, PICTURES, "x", steps=1),
        lambda: latent.project(P, PICTURES, steps=1),
        lambda: latent.project(G, PICTURES, steps=1, rate=NAN),
        lambda: latent.project(G, PICTURES, steps=1, start=Z),
        lambda: latent.project(G, PICTURES, steps=1, noise=-1.0),
    ],
    "pyramid_distance": [
        lambda: latent.pyramid_distance(PICTURES, PICTURES[:2]),
        lambda: latent.pyramid_distance(PICTURES[0], PICTURES[0]),
        lambda: latent.pyramid_distance(BYTES, BYTES),
        lambda: latent.pyramid_distance(PICTURES, PICTURES * NAN),
    ],
    "ramp": [lambda: latent.ramp(NAN), lambda: latent.ramp(-1), lambda: latent.ramp("x")],
    "read_factors": [
        lambda: latent.read_factors(G, None, Z),
        lambda: latent.read_factors(G, dict, Z * NAN),
    ],
    "render": [
        lambda: latent.render(P, Z[:, :3]),
        lambda: latent.render(G, Z * NAN),
        lambda: latent.render(G, Z[:0]),
        lambda: latent.render(G, Z, batch=0),
        lambda: latent.render(None, Z),
    ],
    "ridge": [
        lambda: latent.ridge(X, X[:, 0], penalty=NAN),
        lambda: latent.ridge(X[0], X[:, 0]),
        lambda: latent.ridge(torch.ones(4, 6), torch.ones(4), penalty=0),
    ],
    "scalars": [
        lambda: latent.scalars({"ink": torch.rand(4, 2)}),
        lambda: latent.scalars({"x": X[:, 0] * NAN}),
        lambda: latent.scalars(X),
    ],
    "sefa": [
        lambda: latent.sefa(P, k=0),
        lambda: latent.sefa(P, k=99),
        lambda: latent.sefa(small(), layers=[99]),
        lambda: latent.sefa(torch.nn.ReLU()),
        lambda: latent.sefa("g"),
    ],
    "separability": [
        lambda: latent.separability(BAD, Y),
        lambda: latent.separability(X, torch.ones(40)),
        lambda: latent.separability(X, Y, {"other": X[:, 0]}),
        lambda: latent.separability(X, Y, keep=0),
    ],
    "slerp": [
        lambda: latent.slerp(Z, Z * NAN, 0.5),
        lambda: latent.slerp(Z, torch.zeros(8, 6), 0.5),
        lambda: latent.slerp(Z, -Z, 0.5),
        lambda: latent.slerp(Z, Z[:3], 0.5),
        lambda: latent.slerp(Z[0, 0], Z[0, 1], 0.5),
    ],
    "supervised": [
        lambda: latent.supervised(BAD, Y),
        lambda: latent.supervised(X, Y[:3]),
        lambda: latent.supervised(X[0], Y),
        lambda: latent.supervised(X, torch.ones(40, dtype=torch.bool)),
    ],
    "truncated": [
        lambda: latent.truncated(P, Z, [0.5]),
        lambda: latent.truncated(G, Z, []),
        lambda: latent.truncated(G, Z, [NAN]),
        lambda: latent.truncated(G, Z, 0.5),
        lambda: latent.truncated(G, Z, [0.5], cutoff=-1),
    ],
    "walk": [
        lambda: latent.walk(P, Z),
        lambda: latent.walk(G, Z, steps=0),
        lambda: latent.walk(G, Z, space="y"),
        lambda: latent.walk(G, Z[:, :3]),
        lambda: latent.walk(P, Z, space="z", psi=0.5),
    ],
}

METRICS = {
    "FeatureDistance": [
        lambda: metrics.FeatureDistance(3),
        lambda: metrics.FeatureDistance(torch.nn.Linear(2, 2)),
        lambda: metrics.FeatureDistance(lambda x: [x])(PICTURES, PICTURES * NAN),
        lambda: metrics.FeatureDistance(lambda x: [x])(PICTURES[:0], PICTURES[:0]),
        lambda: metrics.FeatureDistance(lambda x: [x])(None, None),
    ],
    "InceptionFeatures": [
        lambda: metrics.InceptionFeatures("random", "bilinear"),
        lambda: metrics.InceptionFeatures("random", device="foo"),
        lambda: metrics.InceptionFeatures("random", batch=0),
        lambda: metrics.InceptionFeatures("/nowhere/weights.pth"),
    ],
    "Statistics": [
        lambda: metrics.Statistics(0),
        lambda: metrics.Statistics(HUGE),
        lambda: metrics.Statistics(6, "foo"),
        lambda: metrics.Statistics(6).update(BAD),
        lambda: metrics.Statistics(6).merge(None),
        lambda: metrics.Statistics(6).covariance,
        lambda: metrics.Statistics.load("/nowhere"),
        lambda: metrics.Statistics.of(X).save("/dev/null"),
        lambda: metrics.Statistics(2).load_state_dict(
            {"count": torch.tensor(-1), "mean": torch.zeros(2), "scatter": torch.zeros(2, 2)}
        ),
    ],
    "apart": [lambda: metrics.apart(BYTES), lambda: metrics.apart(None)],
    "backbone": [
        lambda: metrics.backbone("nothing", "random"),
        lambda: metrics.backbone("resnet18", None),
    ],
    "classification_accuracy_score": [
        lambda: metrics.classification_accuracy_score(BARE, BARE, BARE),
        lambda: metrics.classification_accuracy_score(1, 2, 3),
        lambda: metrics.classification_accuracy_score(*[(BYTES, torch.arange(20) % 2)] * 3, "foo"),
        lambda: metrics.classification_accuracy_score(
            *[(BYTES, torch.arange(20) % 2)] * 3, steps=-1
        ),
        lambda: metrics.classification_accuracy_score(
            *[(torch.full((20, 3, 16, 16), NAN), torch.arange(20) % 2)] * 3
        ),
    ],
    "classifier": [
        lambda: metrics.classifier(BYTES),
        lambda: metrics.classifier(BARE, "foo"),
        lambda: metrics.classifier(BARE, seed=-1),
        lambda: metrics.classifier(BARE, steps=0),
    ],
    "clean": [
        lambda: metrics.clean(BYTES, 0),
        lambda: metrics.clean(BYTES, HUGE),
        lambda: metrics.clean(BYTES[0], 8),
        lambda: metrics.clean(PICTURES * NAN, 4),
    ],
    "compare": [lambda: metrics.compare({"kind": "a"}, {"kind": "b"}), lambda: metrics.compare(3)],
    "congruent": [
        lambda: metrics.congruent(EYE, EYE[:3]),
        lambda: metrics.congruent(EYE[0], EYE),
    ],
    "density_coverage": [
        lambda: metrics.density_coverage(X, X, k=0),
        lambda: metrics.density_coverage(X, BAD),
    ],
    "expected_coverage": [
        lambda: metrics.expected_coverage(0, 10, 3),
        lambda: metrics.expected_coverage(10, -1, 3),
        lambda: metrics.expected_coverage(10, 10, 0),
        lambda: metrics.expected_coverage(10, 10, 10),
    ],
    "expected_modes": [
        lambda: metrics.expected_modes(PROBS[0], 0),
        lambda: metrics.expected_modes(PROBS[0], HUGE),
        lambda: metrics.expected_modes(PROBS[0] * NAN, 5),
        lambda: metrics.expected_modes(PROBS[0] * 3, 5),
        lambda: metrics.expected_modes("abc", 5),
    ],
    "extractor": [
        lambda: metrics.extractor("inceptoin"),
        lambda: metrics.extractor(None),
        lambda: metrics.extractor("classifier"),
        lambda: metrics.extractor("torchvision:nothing"),
        lambda: metrics.extractor("torchvision:resnet18", weights="/nowhere"),
        lambda: metrics.extractor("torchvision:resnet18", weights="random", device="foo"),
    ],
    "feature_distance": [
        lambda: metrics.feature_distance(PICTURES, PICTURES, torch.nn.ReLU(), ["body"]),
        lambda: metrics.feature_distance(PICTURES, PICTURES[:2], lambda x: [x]),
    ],
    "fid": [
        lambda: metrics.fid(X, BAD),
        lambda: metrics.fid(X, X[:1]),
        lambda: metrics.fid(X, X[:, :3]),
        lambda: metrics.fid(X, "abc"),
        lambda: metrics.fid(X, [Z[0], Z[:, 0]]),
        lambda: metrics.fid(X.double() * 1e200, X),
        lambda: metrics.fid(metrics.Statistics(6), X),
    ],
    "fid_bias": [
        lambda: metrics.fid_bias(0, 10),
        lambda: metrics.fid_bias(6, NAN),
        lambda: metrics.fid_bias(6, 10, -1),
        lambda: metrics.fid_bias("six", 10),
    ],
    "fid_infinity": [
        lambda: metrics.fid_infinity(X, X, points=1),
        lambda: metrics.fid_infinity(X, X, points=5, smallest=-3),
        lambda: metrics.fid_infinity(X, X, points=5, seed=-1),
        lambda: metrics.fid_infinity(X, X, points=99),
    ],
    "frechet_distance": [
        lambda: metrics.frechet_distance(Z[0], EYE, Z[1], EYE * NAN),
        lambda: metrics.frechet_distance(Z[0], EYE, Z[1], EYE[:3]),
        lambda: metrics.frechet_distance([], torch.zeros(0, 0), [], torch.zeros(0, 0)),
        lambda: metrics.frechet_distance(Z[0].double() * 1e200, EYE, Z[1], EYE),
    ],
    "gram": [lambda: metrics.gram(X[0]), lambda: metrics.gram(None)],
    "inception_score": [
        lambda: metrics.inception_score(PROBS, 0),
        lambda: metrics.inception_score(PROBS, 11),
        lambda: metrics.inception_score(PROBS, 2.5),
        lambda: metrics.inception_score(PROBS * NAN),
        lambda: metrics.inception_score(X),
    ],
    "cmmd": [
        lambda: metrics.cmmd(X, X, sigma=0),
        lambda: metrics.cmmd(X, X, sigma=NAN),
        lambda: metrics.cmmd(X, X, scale=-1),
        lambda: metrics.cmmd(X, BAD),
        lambda: metrics.cmmd(X, X[:1]),
        lambda: metrics.cmmd(X, X[:, :1]),
        lambda: metrics.cmmd(X * 0, X),
    ],
    "kid": [
        lambda: metrics.kid(X, X, subsets=0),
        lambda: metrics.kid(X, X, subsets=HUGE),
        lambda: metrics.kid(X, X, subset_size=1),
        lambda: metrics.kid(X, X, subset_size=41),
        lambda: metrics.kid(X, BAD, subset_size=20),
        lambda: metrics.kid(X, X, subset_size=20, seed=-1),
    ],
    "learned": [lambda: metrics.learned(BYTES), lambda: metrics.learned(BARE.select([0, 1]))],
    "leave_one_out_accuracy": [
        lambda: metrics.leave_one_out_accuracy(X, X[:5]),
        lambda: metrics.leave_one_out_accuracy(BAD, X),
    ],
    "mode_coverage": [
        lambda: metrics.mode_coverage(X, X[:3], 0.0),
        lambda: metrics.mode_coverage(X, X[:3], "wide"),
        lambda: metrics.mode_coverage(X, X[:3], 1.0, radius=-1),
        lambda: metrics.mode_coverage(BAD, X[:3], 1.0),
        lambda: metrics.mode_coverage(X[:0], X[:3], 1.0),
        lambda: metrics.mode_coverage("abc", X[:3], 1.0),
    ],
    "nearest_neighbour_test": [
        lambda: metrics.nearest_neighbour_test(X, X, X[:1]),
        lambda: metrics.nearest_neighbour_test(BAD, X, X),
    ],
    "obeyed": [
        lambda: metrics.obeyed(not_finite, BARE),
        lambda: metrics.obeyed(not_finite, BYTES),
        lambda: metrics.obeyed(not_finite, BARE, n=0),
    ],
    "ppl": [
        lambda: metrics.ppl(P, flat, n=1),
        lambda: metrics.ppl(P, flat, n=HUGE),
        lambda: metrics.ppl(P, flat, n=4, batch=0),
        lambda: metrics.ppl(P, flat, n=4, eps=NAN),
        lambda: metrics.ppl(P, flat, n=4, seed=-1),
        lambda: metrics.ppl(None, flat, n=4),
        lambda: metrics.ppl(P, 3, n=4),
        lambda: metrics.ppl(lambda z: z, flat, n=4, latent=-2),
        lambda: metrics.ppl(lambda z: [z], flat, n=4, latent=2),
        lambda: metrics.ppl(lambda z: z, flat, n=4, latent=lambda n, g: torch.zeros(n, 2)),
    ],
    "prdc": [
        lambda: metrics.prdc(X, X, k=-1),
        lambda: metrics.prdc(X, X, k=40),
        lambda: metrics.prdc(X, X, k=1.5),
        lambda: metrics.prdc(X, BAD),
    ],
    "precision_recall": [
        lambda: metrics.precision_recall(X, X, k=HUGE),
        lambda: metrics.precision_recall(X, X[:, :2]),
    ],
    "recognised": [
        lambda: metrics.recognised(None, BARE),
        lambda: metrics.recognised(None, BYTES),
    ],
    "score": [
        lambda: metrics.score(not_finite, BARE, False, n=0),
        lambda: metrics.score(not_finite, BARE, False, n=HUGE),
        lambda: metrics.score(not_finite, BYTES, False),
        lambda: metrics.score(not_finite, BYTES, True),
        lambda: metrics.score(not_finite, BARE, False, seed=2**70),
    ],
    "slerp": [
        lambda: metrics.slerp(Z, torch.zeros(8, 6), torch.rand(8, 1)),
        lambda: metrics.slerp(Z, Z, torch.rand(8)),
        lambda: metrics.slerp(Z, Z * NAN, torch.rand(8, 1)),
        lambda: metrics.slerp(Z, Z, 0.5),
    ],
    "sliced_wasserstein": [
        lambda: metrics.sliced_wasserstein(X, X, projections=0),
        lambda: metrics.sliced_wasserstein(X, X, projections=HUGE),
        lambda: metrics.sliced_wasserstein(X, X, order=3),
        lambda: metrics.sliced_wasserstein(X, X, order=True),
        lambda: metrics.sliced_wasserstein(BAD, X),
    ],
    "stack_judge": [lambda: metrics.stack_judge(BYTES), lambda: metrics.stack_judge(BARE)],
    "stacked_modes": [
        lambda: metrics.stacked_modes(BYTES, None),
        lambda: metrics.stacked_modes(BYTES[:0], JUDGE),
        lambda: metrics.stacked_modes(BYTES, JUDGE, samples=0),
        lambda: metrics.stacked_modes(BYTES, JUDGE, batch=-1),
        lambda: metrics.stacked_modes(PICTURES * NAN, JUDGE),
        lambda: metrics.stacked_modes(3, JUDGE),
    ],
    "statistics": [
        lambda: metrics.statistics(BAD),
        lambda: metrics.statistics(X[:1]),
        lambda: metrics.statistics(X[0]),
    ],
    "verdict": [lambda: metrics.verdict(None), lambda: metrics.verdict({})],
}

SAMPLING = {
    "sample_latent": [
        lambda: P.sample_latent(-1),
        lambda: P.sample_latent(1.5),
        lambda: P.sample_latent(True),
        lambda: P.sample_latent(HUGE),
        lambda: mlp.Generator(6).sample_latent("many"),
    ],
    "drawn": [
        lambda: drawn(P, -1),
        lambda: drawn(P, 0),
        lambda: drawn(P, HUGE),
        lambda: drawn(P, 3, seed=-1),
        lambda: drawn(P, 3, seed=2**70),
        lambda: drawn(P, 3, labels=1),
        lambda: drawn(P, 3, batch=0),
    ],
    "seeded": [lambda: seeded(None), lambda: seeded(0.5)],
}

CALLS = [
    (f"{room}.{name} {i}", call)
    for room, table in (("latent", LATENT), ("metrics", METRICS), ("models", SAMPLING))
    for name, calls in table.items()
    for i, call in enumerate(calls)
]


@pytest.mark.parametrize(("what", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_a_hostile_call_is_one_line_of_the_package(what, call, monkeypatch):
    from ganlab.metrics import features

    monkeypatch.setattr(features, "train", None)  # none may get as far as learning
    with pytest.raises(GanlabError) as caught:
        call()
    assert str(caught.value)
    assert "\n" not in str(caught.value)


#: Records that functions return, shapes of protocols, and networks: nothing to be called with.
RECORDS = {
    *("Disentanglement", "Projection", "Separability", "Extractor", "Network", "ModuleFeatures"),
    *(
        "CMMD",
        "ClassificationAccuracy",
        "Classifier",
        "CopyTest",
        "DensityCoverage",
        "FrechetDistance",
    ),
    *("FrechetInfinity", "InceptionScore", "KernelDistance", "ModeCoverage", "PRDC", "PathLength"),
    *("PrecisionRecall", "SlicedWasserstein", "StackJudge", "StackedModes", "TwoSampleAccuracy"),
    "CMMD",
}


@pytest.mark.parametrize(("room", "table"), [(latent, LATENT), (metrics, METRICS)])
def test_every_public_function_stands_in_a_table(room, table):
    public = {name for name in room.__all__ if callable(getattr(room, name))}
    assert public - RECORDS == table.keys()
    assert len(CALLS) > 200


def test_the_set_up_of_a_notebook_names_what_is_wrong(monkeypatch):
    from ganlab import lab

    with pytest.raises(RecipeError, match="seed must be at least 0, not -1"):
        lab.setup(-1)
    for name in ("foo", "cuda:99", "cpu:x"):
        monkeypatch.setenv("GANLAB_DEVICE", name)
        with pytest.raises(GanlabError, match=f"GANLAB_DEVICE: device '{name}' cannot be used"):
            lab.describe()


def test_a_count_is_any_whole_number_and_the_line_says_what_is_wrong():
    for five in (5, np.int64(5), torch.tensor(5)):
        assert at_least("n", five) == 5
        assert type(at_least("n", five)) is int
    for value, line in {
        0: "n must be at least 1, not 0",
        10**8: "n must be at most 10,000,000, not 100000000",
        10**5000: "n must be at most 10,000,000, not one of 16610 bits",
        2.0: "n must be a whole number, not 2.0",
        True: "n must be a whole number, not True",
        "3\n": "n must be a whole number, not '3\\n'",
        None: "n must be a whole number, not None",
    }.items():
        with pytest.raises(RecipeError) as caught:
            at_least("n", value)
        assert str(caught.value) == line
    with pytest.raises(RecipeError, match="not a Tensor"):
        at_least("n", torch.rand(3))


def test_a_number_has_its_bounds_in_the_line():
    assert arrays.number("t", np.float32(0.5), 0, 1) == 0.5
    for value in (NAN, math.inf, -0.1, "0.5", None, torch.rand(2)):
        with pytest.raises(RecipeError, match="t must be a number from 0 to 1, not"):
            arrays.number("t", value, 0, 1)


def test_samples_of_large_counts_are_drawn_block_by_block(monkeypatch):
    """The same as at once, where the first block holds them, and never more codes than a block."""
    whole = torch.cat(list(drawn(P, 300, 3)))
    z = P.sample_latent(300, seeded(3))
    with torch.no_grad():
        assert torch.equal(whole, torch.cat([P(part) for part in z.split(256)]))
    asked = []
    real = type(P).sample_latent

    def counted(self, n, generator=None):
        asked.append(n)
        return real(self, n, generator)

    monkeypatch.setattr(type(P), "sample_latent", counted)
    parts = drawn(P, 2 * BLOCK + 5, batch=BLOCK)
    assert [len(part) for part in parts] == [BLOCK, BLOCK, 5]
    assert asked == [BLOCK, BLOCK, 5]


def test_drawing_leaves_gradients_of_the_caller_alone():
    parts = drawn(P, 2, batch=1)
    next(parts)
    assert torch.is_grad_enabled()
    assert inspect.isgenerator(parts)
