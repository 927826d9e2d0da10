"""Chapter 1: the live figure's weights, and settings that are the ones the search chose."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import export_ring
import hygiene
import nbformat
import pytest
import torch

from ganlab.data import toy
from ganlab.metrics import mode_coverage

BOOK = Path(__file__).resolve().parents[1] / "book"
WEIGHTS = BOOK / "static" / "live" / "ring-weights.js"


def test_the_weights_give_the_scores_that_the_record_names() -> None:
    record, snapshots = export_ring.read(WEIGHTS.read_text(encoding="utf-8"))
    data = toy.ring(std=record["std"])
    z = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    assert record["rounds"] == sorted(record["rounds"])
    for weights, found, good in zip(snapshots, record["found"], record["good"]):
        score = mode_coverage(
            export_ring.forward(weights, record["sizes"], z), data.centers, data.std
        )
        assert score.found == found
        assert score.good == pytest.approx(good, abs=0.002)
    assert record["good"][0] < 0.05
    assert record["found"][-1] == 8
    assert record["good"][-1] > 0.9


def test_a_narrower_cloud_of_z_makes_fewer_good_samples_and_loses_modes() -> None:
    """What the chapter says of the figure's second slider."""
    record, snapshots = export_ring.read(WEIGHTS.read_text(encoding="utf-8"))
    data = toy.ring(std=record["std"])
    z = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    scores = []
    for spread in (1.0, 0.5, 0.25, 0.1, 0.05):
        points = export_ring.forward(snapshots[-1], record["sizes"], spread * z)
        scores.append(mode_coverage(points, data.centers, data.std))
    good = [score.good for score in scores]
    assert good == sorted(good, reverse=True)
    assert good[-1] < 0.6 * good[0]
    assert scores[-1].found < 8


def test_the_weights_are_small_enough_for_a_page() -> None:
    assert WEIGHTS.stat().st_size < 50_000


def test_rounding_is_refused_where_it_would_show() -> None:
    size = 2 * 24 + 24 + 2 * (24 * 24 + 24) + 24 * 2 + 2
    weights = torch.zeros(size)
    weights[:72] = 1.0  # one bright layer, and one weight that dwarfs it
    weights[-50:] = 1.0
    assert "RING_WEIGHTS" in export_ring.script({"0": weights})
    weights[200] = 1e6
    with pytest.raises(AssertionError, match="rounding"):
        export_ring.script({"0": weights + 0.3})


def _defaults() -> dict[str, dict[str, object]]:
    """Default arguments of the functions in the notebook's cells tagged `rivals`."""
    found = {}
    notebook = nbformat.read(BOOK / "01_generative_models.ipynb", as_version=4)
    for _, cell in hygiene.code_cells(notebook):
        if "rivals" in hygiene.tags(cell):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef):
                    names = [a.arg for a in node.args.args][-len(node.args.defaults) :]
                    values = [d.value for d in node.args.defaults if isinstance(d, ast.Constant)]
                    found[node.name] = dict(zip(names, values))
    return found


def test_the_chapter_uses_the_settings_that_the_search_chose() -> None:
    search = json.loads(
        (BOOK / "results" / "ch01-rivals" / "search.json").read_text(encoding="utf-8")
    )
    defaults = _defaults()
    for model, record in search["models"].items():
        best, tried = record["best"], record["tried"]
        assert all(defaults[model][key] == value for key, value in best.items()), model
        whole = [t for t in tried if min(t["found"]) == 8]
        assert max(whole, key=lambda t: sum(t["good"]))["setting"] == best
    counts = {len(record["tried"]) for name, record in search["models"].items()}
    assert counts <= {1, 6}  # the mixture has nothing to choose, the others six settings each
