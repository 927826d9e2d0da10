"""The page "Your own data, network, loss, game": its code runs, and does what the page says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch

import ganlab
from ganlab.losses import objectives
from ganlab.models import FAMILIES
from ganlab.penalties import penalties
from ganlab.recipes import BaseRecipe, SoloRecipe, recipe, settings
from ganlab.runs import Run

PAGE = (Path(__file__).resolve().parents[1] / "book" / "your_own.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
COMMANDS = re.findall(r"^(?:\$ )?ganlab train (\S+)(.*)$", PAGE, re.M)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The names that the page's code leaves behind, after trainings of two rounds each."""
    here = tmp_path_factory.mktemp("reader")
    patch = pytest.MonkeyPatch()
    patch.chdir(here)
    kept = dict(SoloRecipe.METHODS), dict(FAMILIES), dict(BaseRecipe.GAMES)
    train = ganlab.runs.train
    patch.setattr(ganlab, "train", lambda *a, **k: train(*a, evaluate=False, **k), raising=False)
    names: dict = {}
    for block in BLOCKS:
        code = compile(block.replace("steps=300", "steps=2"), "page", "exec", dont_inherit=True)
        exec(code, names)
    yield names | {"folder": here}
    patch.undo()
    for table, before in zip((SoloRecipe.METHODS, FAMILIES, BaseRecipe.GAMES), kept, strict=True):
        table.clear()
        table.update(before)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_each_piece_has_ten_lines_at_most(block):
    lines = [line for line in block.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("import ", "from ", "#"))]
    assert len(own) <= 10
    ast.parse(block)


def test_the_page_does_what_it_says(played):
    assert "linear" in FAMILIES
    assert "quadratic" in objectives()
    assert "drift" in penalties()
    assert BaseRecipe.GAMES["patient"] is played["PatientRecipe"]
    folder = played["folder"] / "runs"
    assert Run(folder / "mine").sample(2).shape == (2, 3, 32, 64)
    assert (played["folder"] / "mine.png").is_file()
    assert Run(folder / "linear").sample(2).shape == (2, 1, 32, 32)
    assert Run(folder / "patient").recipe.game == "patient"
    assert type(Run(folder / "patient").recipe) is played["PatientRecipe"]
    assert "loss" in Run(folder / "smoothed").log[-1]
    assert "accuracy" not in Run(folder / "smoothed").log[-1]  # the course's own reports it


def test_the_own_loss_and_penalty_are_their_formulas(played):
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -1.0])
    aim = ganlab.losses.objective("quadratic")
    assert float(aim.d_loss(real, fake)) == pytest.approx(2.0 + 0.5)
    assert float(aim.g_loss(fake)) == pytest.approx((1 + 4) / 2)
    drift = ganlab.penalties.penalty("drift")
    assert drift.weight == 0.001


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[1].strip()[-30:])
def test_each_command_is_a_recipe(command):
    name, rest = command
    words = re.findall(r"--set (\S+)", rest)
    bad = words and words[0] in ("generator.width=0", "stepz=300")
    if bad:
        with pytest.raises(ganlab.errors.RecipeError) as caught:
            recipe(name, **settings(words))
        assert f"ganlab: {caught.value}" in PAGE
    else:
        assert recipe(name, **settings(words)).steps > 0
