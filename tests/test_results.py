"""Stored results of the book: complete, and their cheap part computed again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ganlab import plots
from ganlab.models import drawn
from ganlab.recipes import Recipe, networks

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"
TRAINED = sorted(p.parent for p in RESULTS.glob("*/results.json") if "dcgan" in p.parent.name
                 or "mlp" in p.parent.name)  # fmt: skip


def stored(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def runs_of(result: dict) -> list[dict]:
    rows = result.get("runs") or [row for rows in result["rows"].values() for row in rows]
    return [row for row in rows if "scores" in row]


def test_there_are_results():
    assert {"dcgan-mnist", "dcgan-ablation"} <= {folder.name for folder in TRAINED}


@pytest.mark.parametrize("folder", TRAINED, ids=lambda p: p.name)
def test_a_result_says_how_it_was_made(folder):
    result = stored(folder)
    for key in ("date", "commit", "recipe", "seeds", "minutes", "device", "torch", "data"):
        assert result[key] not in (None, "", []), key
    assert result["minutes"] > 0
    Recipe.from_json(json.dumps(result["recipe"]))
    for row in runs_of(result):
        scores = row["scores"]
        assert scores["floor"] > 0
        assert scores["n"] >= 1000
        assert scores["step"] == result["recipe"]["steps"]


@pytest.mark.parametrize("folder", TRAINED, ids=lambda p: p.name)
def test_scores_of_one_result_share_one_judge(folder):
    judges = {row["scores"]["features"] for row in runs_of(stored(folder))}
    assert len(judges) == 1


def test_claims_about_training_have_seeds():
    assert len(stored(RESULTS / "dcgan-mnist")["runs"]) >= 3
    for label, rows in stored(RESULTS / "dcgan-ablation")["rows"].items():
        assert len(rows) >= 3, label


@pytest.mark.parametrize(
    "folder", [p for p in TRAINED if (p / "generator.safetensors").exists()], ids=lambda p: p.name
)
def test_the_stored_generator_draws_the_stored_grid(folder):
    if not (folder / "grid.png").exists():
        pytest.skip("no grid is stored")
    result = stored(folder)
    plan = Recipe.from_json(json.dumps(result["recipe"]))
    g, _ = networks(plan, tuple(result["shape"]))
    weights = load_file(folder / "generator.safetensors")
    g.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    labels = torch.arange(64) % plan.classes if plan.classes else None
    sheet = plots.tile(torch.cat(list(drawn(g.eval(), 64, 0, labels)))).astype(float)
    grid = np.asarray(Image.open(folder / "grid.png"))[::2, ::2].astype(float)
    assert sheet.shape == grid.shape
    # 16-bit weights move a grey level here and there, another generator moves them all.
    assert np.abs(sheet - grid).mean() < 2
    other = plots.tile(torch.cat(list(drawn(g, 64, 1, labels)))).astype(float)
    assert np.abs(other - grid).mean() > 10
