"""The live figure of chapter 9 computes what the package computes."""

from __future__ import annotations

import pytest
import torch
from live_kit import LIVE, needs_node, played

from ganlab import metrics

SCRIPT = LIVE / "scores.js"
CASES = {
    "sound": {},
    "missing": {"missing": 3},
    "narrow and shifted": {"width": 0.4, "shift": 0.5},
    "noise": {"noise": 0.3},
    "copies": {"copies": 1},
    "one heap missing": {"missing": 1},
}
PROGRAM = """
require(process.argv[1]);
const live = globalThis.scoresLive, train = live.sample(1), held = live.sample(2), found = {};
for (const [name, damage] of Object.entries(JSON.parse(process.argv[2]))) {
  const fake = live.sample(100, damage, train);
  found[name] = { fake, scores: live.scores(train, fake, held) };
}
const floor = live.floor(train, held), words = {};
for (const [name, damage] of Object.entries(JSON.parse(process.argv[2]))) {
  words[name] = [100, 101, 102, 103].map((seed) =>
    Object.fromEntries(Object.entries(live.scores(train, live.sample(seed, damage, train), held))
      .map(([key, value]) => [key, live.verdict(key, value, floor[key])])));
}
console.log(JSON.stringify({ train, held, k: live.K, count: live.COUNT, found, words }));
"""

pytestmark = needs_node


@pytest.fixture(scope="module")
def live() -> dict:
    return played(PROGRAM, SCRIPT, CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_figure_shows_what_the_package_computes(live: dict, name: str) -> None:
    real, held = (torch.tensor(live[key], dtype=torch.float64) for key in ("train", "held"))
    fake = torch.tensor(live["found"][name]["fake"], dtype=torch.float64)
    shares = metrics.prdc(real, fake, live["k"])
    expected = {
        "FID": metrics.fid(real, fake).value,
        "KID": metrics.kid(real, fake, subsets=1, subset_size=len(real)).value,
        "precision": shares.precision,
        "recall": shares.recall,
        "density": shares.density,
        "coverage": shares.coverage,
        "1-NN accuracy": metrics.leave_one_out_accuracy(real, fake).value,
        "copy test": metrics.nearest_neighbour_test(real, fake, held).value,
    }
    found = live["found"][name]["scores"]
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=1e-6), key


def test_the_damages_do_what_they_say(live: dict) -> None:
    found = {name: case["scores"] for name, case in live["found"].items()}
    assert found["copies"]["copy test"] == 1
    assert found["missing"]["recall"] < found["sound"]["recall"] - 0.2
    assert found["noise"]["precision"] < found["sound"]["precision"] - 0.1
    assert found["narrow and shifted"]["FID"] > 5 * abs(found["sound"]["FID"])


def test_a_missing_heap_is_noticed(live: dict) -> None:
    assert live["count"] >= 500  # at 160 points nearly every score took it for real
    cases = live["words"]["one heap missing"]
    for words in cases:
        for score in ("FID", "KID"):
            assert words[score]["mark"] == "worse", (score, words[score])
        assert words["precision"]["text"] == "not told apart"  # what is there is fine
    assert sum(words["recall"]["mark"] == "worse" for words in cases) > len(cases) / 2
    for words in live["words"]["sound"]:
        assert sum(bool(word["mark"]) for word in words.values()) <= 1  # luck, at 3 s.d.


def test_copies_are_never_praised(live: dict) -> None:
    for words in live["words"]["copies"]:
        assert not any("better" in word["text"] for word in words.values())
        for score, text in (("copy test", "nearer by"), ("1-NN accuracy", "too near by")):
            assert words[score]["mark"] == "worse"
            assert words[score]["text"].startswith(text)
        assert words["coverage"]["text"].startswith("too good by")
