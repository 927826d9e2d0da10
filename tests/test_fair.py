"""Comparisons in which every side gets the same search, and how the page of results tells them."""

from __future__ import annotations

import fair
import fair_points
import pytest
import results_kinds

from ganlab.recipes import Recipe


@pytest.mark.parametrize("families", [
    {name: [setting for setting, _ in fair.grid(name)] for name in fair.FAMILIES},
    {name: [setting for setting, _ in tried] for name, tried in fair_points.FAMILIES.items()},
], ids=["pictures", "points"])  # fmt: skip
def test_every_family_gets_as_many_settings_and_no_two_alike(families):
    assert len({len(settings) for settings in families.values()}) == 1
    for settings in families.values():
        assert len({str(setting) for setting in settings}) == len(settings)


def test_settings_differ_in_what_their_labels_say():
    for family in fair.FAMILIES:
        made = {str(fair.told(setting)) for _, setting in fair.grid(family)}
        assert len(made) == len(fair.grid(family))
    for labels, setting in fair.grid("modern"):
        assert isinstance(setting, Recipe)
        assert setting.g_lr == setting.d_lr == float(labels["rates"])
        assert setting.penalties == {"r1": float(labels["gamma"]), "r2": float(labels["gamma"])}
        assert setting.generator["width"] == [int(w) for w in labels["width"].split(", ")]


def test_winners_play_on_seeds_that_no_search_has_seen():
    assert not set(fair.FINAL) & {fair.SEARCH, *fair.AGAIN}
    new = range(fair_points.FIRST_NEW, fair_points.FIRST_NEW + fair_points.NEW)
    assert not set(new) & set(range(fair_points.SEEDS))


def row(setting, seed, distance):
    scores = {
        "kind": "frechet", "features": "classifier:0", "resizer": "none", "data": "mnist",
        "n": 5000, "frechet": distance, "floor": 0.2, "dims": 64, "task": "classes",
        "accuracy": 0.99, "coverage": 0.5,
    }  # fmt: skip
    made = {"setting": {"rates": setting}, "seed": seed, "rounds": 500, "minutes": 1.5}
    return made | ({"scores": scores} if distance else {"failed": "not finite"})


def test_settings_are_ranked_by_their_mean_and_a_failure_is_the_last():
    tried = [row("a", 0, 9.0), row("b", 0, 5.0), row("b", 1, 8.0), row("c", 0, None)]
    assert [s["rates"] for s in fair.ranked(tried)] == ["b", "a", "c"]
    assert [s["rates"] for s in fair.ranked(tried, 2)] == ["b"]


def test_the_page_shows_winners_on_new_seeds_and_all_that_was_tried():
    families = {
        "first": {"tried": [row("a", 0, 9.0), row("b", 0, None)],
                  "final": [row("a", s, 10.0 + s / 100) for s in (100, 101)]},
        "second": {"tried": [row("c", 0, 4.0)],
                   "final": [row("c", s, 5.0 + s / 100) for s in (100, 101)]},
    }  # fmt: skip
    result = {"families": families, "device": "cpu", "minutes": 3.0, "seeds": [0, 100, 101],
              "torch": "2.15", "date": "2026-11-28", "commit": "abc"}  # fmt: skip
    text = results_kinds.fair("fair: mnist", "fair/mnist.json", result)
    assert "better: second. Worse: none" in text
    assert "| second | rates c | 500 | 6.00 ± 0.01 | 50.0 ± 0.0 | 2 |" in text
    assert "| rates b | 500 | none | 1 |" in text
