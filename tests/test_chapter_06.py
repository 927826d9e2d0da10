"""Chapter 6: its stored searches are equal for both sides, and its text says what they found."""

from __future__ import annotations

import math

import clipping
import loss_and_quality
import pytest
from chapter_kit import line, stored, words

from ganlab.recipes import Recipe


def test_clipping_and_penalty_got_the_same_search() -> None:
    found = stored("clipping")
    assert {n: len(m["tried"]) for n, m in found["models"].items()} == {
        n: len(grid) for n, grid in clipping.GRIDS.items()
    }
    assert len({len(m["tried"]) for m in found["models"].values()}) == 1
    published = {"c": 0.01, "rate": 5e-5}
    tried = found["models"]["WGAN, clipping"]["tried"]
    assert published in [row["setting"] for row in tried]
    for model in found["models"].values():
        for row in model["tried"]:
            assert len(row["w1"]) == len(row["found"]) == len(found["seeds"]) >= 3
        best = min(model["tried"], key=lambda row: sum(row["w1"]))
        assert best["setting"] == model["best"]


def test_the_gan_whose_loss_is_judged_was_trained() -> None:
    # It was once left at a distance of 424, so that nothing followed from its loss.
    found = stored("loss-and-quality")
    assert {len(tried) for tried in found["tried"].values()} == {4}
    for name, rows in found["rows"].items():
        assert len(rows) >= 3, name
        searched = min(t["frechet"] for t in found["tried"][name].values())
        for row in rows:
            assert row["seed"] != loss_and_quality.SEARCH_SEED
            assert row["curves"]["frechet"][-1] < min(200, 1.1 * searched)
            assert row["scores"]["floor"] > 0


def test_what_a_discriminator_claims_is_in_the_units_of_its_loss() -> None:
    gan, wgan = (loss_and_quality.FAMILIES[n] for n in ("GAN", "WGAN-GP"))
    assert loss_and_quality.claim(wgan, -0.7) == pytest.approx(0.7)
    undecided = 2 * math.log(2)
    assert loss_and_quality.claim(gan, undecided) == pytest.approx(0.0)
    assert loss_and_quality.claim(gan, 0.0) == pytest.approx(undecided / 2)


def test_recipes_of_the_searches_are_valid() -> None:
    for grid in clipping.GRIDS.values():
        for _, changes in grid:
            assert isinstance(clipping.BASE.with_(**changes), Recipe)
    for name, tried in loss_and_quality.TRIED.items():
        for changes in tried.values():
            assert isinstance(loss_and_quality.FAMILIES[name].with_(**changes), Recipe)


def test_the_abstract_is_quoted_and_not_denied() -> None:
    text = line(words("06_wasserstein"))
    assert "get rid of problems like mode collapse" in text
    assert "do not promise it" not in text
    # Petzka's objection is about coupled and independent pairs, in these words.
    assert "**optimal plan**" in text
    assert "**independent** pairs" in text
