"""The page "Your own data, network, loss, game": its code runs, and does what the page says."""

from __future__ import annotations

import linecache
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import ganlab
from ganlab import losses
from ganlab.cli import main
from ganlab.errors import CheckpointError, RecipeError
from ganlab.game import AdversarialGame
from ganlab.models import FAMILIES
from ganlab.penalties import base as penalties
from ganlab.recipes import BaseRecipe, Recipe, SoloRecipe
from ganlab.runs import Run
from ganlab.training import checkpoint, trainer

PAGE = (Path(__file__).resolve().parents[1] / "book" / "your_own.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M))
PYTHON = {name: re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
          for name, text in SECTIONS.items()}  # fmt: skip
PIECES = [(name, i) for name, blocks in PYTHON.items() for i in range(len(blocks))]
COMMANDS = [c for b in re.findall(r"^```bash\n(.*?)^```", PAGE, re.S | re.M)
            for c in b.splitlines() if c.startswith("ganlab ")]  # fmt: skip
MISTAKES = re.findall(r"^\$ ganlab (.*)\n((?:(?!\$|```).*\n)+)", PAGE, re.M)
TABLES = (FAMILIES, losses._FAMILIES, penalties._FAMILIES, BaseRecipe.GAMES, SoloRecipe.METHODS)
SIDES = ("generator", "discriminator")
SMALL = {"batch": 8, "samples": 4, "evaluate": False}
FAST = ["--steps", "1", "--no-score", "--set", "samples=4", "--set", "batch=8"]


def code_of(block: str) -> list[str]:
    """Its lines, without imports, comments and blank ones."""
    lines = [line for line in block.splitlines() if line.strip()]
    return [line for line in lines if not re.match(r"import |from |\s*#", line)]


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """Logs without the share of the ideal speed, whose measuring takes longer than two rounds."""
    monkeypatch.setattr(trainer, "ideal_seconds", lambda game, batch: None)


@pytest.fixture
def reader(monkeypatch, tmp_path):
    """Runs a section in a folder of its own, as a fresh session would; small and short.

    What it registers is gone after the test.
    """
    kept = [dict(table) for table in TABLES]
    train = ganlab.runs.train
    small = lambda *a, **k: train(*a, **(k | SMALL))  # noqa: E731
    monkeypatch.setattr(ganlab, "train", small, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLAB_OFFLINE", "1")

    def run(section: str) -> dict:
        names: dict = {"__name__": "page"}
        for i, block in enumerate(PYTHON[section]):
            few = lambda found: f"steps={max(2, int(found[1]) // 300)}"  # noqa: E731
            text = re.sub(r"steps=(\d+)", few, block)
            file = f"<{section} {i}>"
            linecache.cache[file] = len(text), None, text.splitlines(True), file
            exec(compile(text, file, "exec", dont_inherit=True), names)
        return names

    yield run
    for table, before in zip(TABLES, kept, strict=True):
        table.clear()
        table.update(before)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder that has the page's folders of pictures, wide ones of several sizes."""
    home = tmp_path_factory.mktemp("home")
    for name in ("cats", "banners"):
        (home / "pictures" / name).mkdir(parents=True)
        for i in range(70):
            picture = Image.new("RGB", (100 + i, 60), (3 * i, 100, 20))
            picture.save(home / "pictures" / name / f"{i}.png")
    shutil.make_archive(str(home / "pictures" / "banners"), "zip", home / "pictures" / "banners")
    return home


@pytest.mark.parametrize(("section", "i"), PIECES)
def test_each_piece_has_ten_lines_at_most(section, i):
    assert len(code_of(PYTHON[section][i])) <= 10
    assert max(map(len, PYTHON[section][i].splitlines())) <= 100


def test_own_pictures_are_rectangles(reader, tmp_path):
    names = reader("Your own pictures")
    assert names["pictures"].shape == (1000, 3, 32, 64)
    assert names["run"].sample(2).shape == (2, 3, 32, 64)
    assert names["run"].about["shape"] == [3, 32, 64]
    assert (tmp_path / "mine.png").is_file()


def test_an_own_start_and_a_change_on_the_way(reader, tmp_path):
    reader("Your own start")
    first, digits = (Run(tmp_path / "runs" / name) for name in ("first", "digits"))
    assert digits.about["start"]["from"] == str(Path("runs/first"))
    assert digits.about["start"]["players"] == ["discriminator", "generator"]
    assert digits.recipe.data_options == {"characters": "0123456789"}
    assert first.about["changes"] == [{"step": 2, "field": "g_lr", "before": 1e-3, "after": 1e-4}]
    assert first.step == 3
    inline = re.findall(r"`ganlab (train [^`]*)`", SECTIONS["Your own start"])
    parser = main.__globals__["parser"]()
    begun, resumed = (parser.parse_args(shlex.split(words)) for words in inline)
    assert begun.start_from == "runs/first"
    assert (resumed.resume, resumed.allow, resumed.set) == (True, ["batch"], ["batch=32"])


def test_an_own_network_is_a_word_of_recipes(reader, tmp_path):
    names = reader("Your own network")
    generator = names["run"].generator()
    assert type(generator) is names["Linear"].Generator
    assert generator.latent == 4
    assert names["run"].sample(2).shape == (2, 1, 32, 32)
    with pytest.raises(RecipeError, match=r"generator\.latent: 'x' is not a whole number"):
        names["plan"].with_(generator={"latent": "x"})
    # In a new process the name is unknown, until the file is imported as the page says.
    (tmp_path / "mine.py").write_text(PYTHON["Your own network"][0], encoding="utf-8")
    (line,) = re.findall(r"^python (-c .*)$", PAGE, re.M)
    env = os.environ | {"PYTHONPATH": str(Path(ganlab.__file__).parents[1])}
    done = subprocess.run([sys.executable, *shlex.split(line)], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    del FAMILIES["linear"]
    with pytest.raises(RecipeError, match="unknown network 'linear'"):
        Run(tmp_path / "runs" / "linear")


def test_an_own_objective_is_its_formula(reader, tmp_path):
    reader("Your own objective")
    aim = losses.objective("squared-hinge", margin=2.0)
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -1.0])
    assert float(aim.d_loss(real, fake)) == pytest.approx((1 + 0) / 2 + (4 + 1) / 2)
    assert float(aim.g_loss(fake)) == pytest.approx(0.5)
    plan = Run(tmp_path / "runs" / "squared-hinge").recipe
    assert (plan.objective, plan.objective_options) == ("squared-hinge", {"margin": 2.0})


def test_an_own_penalty_is_its_formula(reader, tmp_path):
    names = reader("Your own penalty")
    judged = penalties.Judged(None, None, None, torch.tensor([1.0, 3.0]), None)
    assert float(ganlab.penalties.penalty("drift")(judged)) == pytest.approx(0.001 * 5)
    lazy = Recipe(penalties={"drift": {"weight": "linear:1:0", "every": 4}}).penalties
    assert lazy["drift"]["every"] == 4
    assert names["Drift"].name == "drift"
    assert Run(tmp_path / "runs" / "drift").recipe.penalties == {"drift": 0.01}


def test_an_own_game_is_played_by_its_rules(reader, tmp_path):
    names = reader("Your own game")
    run = names["run"]
    assert type(run.recipe) is names["HeadStartRecipe"]
    assert run.recipe.game == "head-start"
    assert run.recipe.clip == 0.01  # from wgan-glyphs
    state = checkpoint.read(checkpoint.latest(run.folder / "checkpoints"))["game"]
    assert state["discriminator"]["steps"] == 2 * 20
    assert state["generator"]["steps"] == 2
    assert issubclass(names["HeadStart"], AdversarialGame)


def test_an_own_game_resumes_bit_for_bit(reader, tmp_path):
    names = reader("Your own game")
    fields = names["fields"] | {"network": "mlp", "size": 8, "steps": 12}
    plan = names["HeadStartRecipe"](**fields | {side: {"width": 8} for side in SIDES})
    whole = ganlab.train(plan, "whole")
    ganlab.train(plan, "parts", steps=9)
    parts = ganlab.train(plan, "parts", resume=True)  # in the tenth round the head start ends
    for a, b in zip(whole.generator().parameters(), parts.generator().parameters(), strict=True):
        assert torch.equal(a, b)
    state = checkpoint.read(checkpoint.latest(tmp_path / "parts" / "checkpoints"))["game"]
    assert state["discriminator"]["steps"] == 10 * 20 + 2 * 5


def test_an_own_game_of_one_player_leaves_the_course_alone(reader):
    names = reader("Your own game of one player")
    run = names["run"]
    assert type(run.recipe) is names["LaplaceRecipe"]
    assert {"loss", "reconstruction", "kl"} <= set(run.log[-1])
    assert run.sample(2).shape == (2, 1, 32, 32)
    run.product("encoder")
    assert SoloRecipe.METHODS["vae"][1] is not names["Laplace"]
    with pytest.raises(CheckpointError, match="keeps generator, encoder"):
        run.product("discriminator")


def test_a_game_from_scratch_is_its_formula(reader):
    names = reader("A game from scratch")
    run = names["run"]
    assert run.recipe.game == "energy"
    assert run.sample(2).shape == (2, 1, 32, 32)
    assert names["EnergyRecipe"].lines()["lr"] == (
        "learning rate of the generator",
        "a number above 0 to 1",
    )
    with pytest.raises(RecipeError, match="lr: 0 is not a number above 0 to 1"):
        run.recipe.with_(lr=0)
    x, y = torch.randn(5, 1, 2, 2), torch.randn(4, 1, 2, 2)
    batch = ganlab.data.as_batch(x)
    loss = names["Energy"].loss(None, lambda noise: y, batch, None)["loss"]
    across = sum(float((a - b).norm()) for a in x for b in y) / 20
    within = sum(float((a - b).norm()) for a in y for b in y) / 16
    assert float(loss) == pytest.approx(2 * across - within, rel=1e-5)
    plan = names["EnergyRecipe"]("longer", channels=1, size=16, log_every=1, half_life=0)
    run = ganlab.train(plan, steps=40)
    falling = [record["loss"] for record in run.log if "loss" in record]
    assert falling[-1] < 0.8 * falling[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs(command, pictures, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.replace("~", str(pictures)))[1:]
    assert main(words[:2] + (FAST if words[0] == "train" else []) + words[2:]) == 0
    if words[0] == "recipes":
        assert "g_lr" in capsys.readouterr().out
        return
    (folder,) = (tmp_path / "runs").iterdir()
    plan = Run(folder).recipe
    if size := re.search(r"size=(\d+)(?:x(\d+))?", command):
        high, wide = size[1], size[2] or size[1]
        assert Run(folder).sample(1).shape[2:] == (int(high), int(wide))
        assert Run(folder).about["shape"][0] == plan.channels
    assert plan.timed == (":" in " ".join(words).replace(str(pictures), ""))


@pytest.mark.parametrize(("command", "answer"), MISTAKES)
def test_each_mistake_costs_one_line(command, answer, pictures, capsys, tmp_path):
    out = ["--out", str(tmp_path / "run")] if command.startswith("train") else []
    words = shlex.split(command.replace("~", str(pictures)))
    assert main(words + out) == 2
    said = capsys.readouterr()
    assert said.out + said.err == answer.replace("~", str(pictures))
    lines = [line for line in said.err.splitlines() if not line.startswith("ganlab: fit: ")]
    assert len(lines) == 1
    assert not (tmp_path / "run" / "log.jsonl").exists()
