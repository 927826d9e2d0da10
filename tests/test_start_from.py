"""A new training begins with the networks of another: all of them, or the generator alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import ganlab
from ganlab import cli
from ganlab.errors import CheckpointError, GanlabError, NonFiniteLoss
from ganlab.files import digest
from ganlab.recipes import Recipe, SoloRecipe
from ganlab.runs import save_generator
from ganlab.training import Callback, checkpoint

SMALL = {"width": 8}
PLAN = Recipe(
    "small", data="ring8", network="mlp", batch=16, half_life=200, steps=20, log_every=10,
    sample_every=10, checkpoint_every=5, samples=16, precision="fp32",
    generator=SMALL | {"latent": 4, "batch_norm": True}, discriminator=SMALL,
)  # fmt: skip
PICTURES = torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8,
                         generator=torch.Generator().manual_seed(0))  # fmt: skip
KINDS = torch.arange(40) % 4
QUIET = {"device": "cpu", "evaluate": False}


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """Logs without the share of the ideal speed, whose measuring takes longer than these runs."""
    monkeypatch.setattr("ganlab.training.trainer.ideal_seconds", lambda game, batch: None)


def trained(plan, out, **options):
    return ganlab.train(plan, out, **(QUIET | options))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A finished run that no test changes."""
    return trained(PLAN, tmp_path_factory.mktemp("source") / "a")


@pytest.fixture
def copied(source, tmp_path):
    return Path(shutil.copytree(source.folder, tmp_path / "source"))


def state_of(run) -> dict:
    return checkpoint.read(checkpoint.latest(run.folder / "checkpoints"))


def same(a, b) -> bool:
    return checkpoint.fingerprint(a) == checkpoint.fingerprint(b)


class Seen(Callback):
    """What the game is when its first round begins."""

    def on_start(self, trainer):
        self.step, self.images = trainer.step, trainer.images
        self.game = json.loads(json.dumps({p.name: p.steps for p in trainer.game.players}))
        self.weights = {p.name: {k: v.clone() for k, v in p.network.state_dict().items()}
                        for p in trainer.game.players}  # fmt: skip
        self.optimizers = [dict(p.optimizer.state) for p in trainer.game.players]


def test_it_begins_there_and_is_new_otherwise(source, tmp_path):
    seen = Seen()
    run = trained(PLAN.with_(seed=5), tmp_path / "b", start_from=source, callbacks=[seen])
    old = state_of(source)["game"]
    assert (seen.step, seen.images, seen.optimizers) == (0, 0, [{}, {}])
    assert seen.game == {"generator": 0, "discriminator": 0}
    for name in ("generator", "discriminator"):
        assert same(seen.weights[name], old[name]["network"])
    # the first grid is drawn by the source's average, of the same latent vectors
    first, last = (r.folder / "samples" / f for r, f in
                   ((run, "00000000.png"), (source, "00000020.png")))  # fmt: skip
    assert first.read_bytes() == last.read_bytes()
    assert [r["step"] for r in run.log] == [10, 20]
    assert not same(state_of(run)["game"]["generator"], old["generator"])


def test_the_average_is_not_forgotten_in_the_first_steps(source, tmp_path):
    """A ramp is for random weights: 16 pictures in, a half-life of 1.6 would leave nothing."""
    run = trained(PLAN, tmp_path / "b", start_from=source, steps=1)
    old = state_of(source)["game"]["generator"]
    new = state_of(run)["game"]["generator"]
    decay = 0.5 ** (16 / 200)
    for key, before in old["average"]["network"].items():
        if before.is_floating_point() and "running" not in key:
            expected = decay * before + (1 - decay) * new["network"][key]
            assert torch.allclose(new["average"]["network"][key], expected, atol=1e-6)


def test_where_it_came_from_is_noted(source, tmp_path, capsys):
    run = trained(PLAN, tmp_path / "b", start_from=source.folder, steps=2)
    said = capsys.readouterr().err
    assert "begins with the discriminator and the generator of" in said
    assert "at step 20" in said
    saved = checkpoint.latest(source.folder / "checkpoints")
    assert run.about["start"] == {
        "from": str(source.folder), "file": str(saved), "sha256": digest(saved), "step": 20,
        "recipe": "small", "players": ["discriminator", "generator"], "anew": [],
    }  # fmt: skip


def test_a_resume_needs_no_source_and_ends_in_the_same_bits(copied, tmp_path):
    whole = trained(PLAN, tmp_path / "whole", start_from=copied)
    parts = trained(PLAN, tmp_path / "parts", start_from=copied, steps=3)
    noted = parts.about["start"]
    shutil.rmtree(copied)
    parts = trained(PLAN, tmp_path / "parts", resume=True)
    assert same(state_of(whole)["game"], state_of(parts)["game"])
    assert parts.about["start"] == noted


class Dying(Callback):
    """Killed before the first round is over."""

    def on_sample(self, trainer, path):
        raise KeyboardInterrupt


def test_a_run_killed_in_its_first_round_keeps_its_start(copied, tmp_path):
    whole = trained(PLAN, tmp_path / "whole", start_from=copied)
    with pytest.raises(KeyboardInterrupt):
        trained(PLAN, tmp_path / "b", start_from=copied, callbacks=[Dying()])
    shutil.rmtree(copied)
    run = trained(PLAN, tmp_path / "b", resume=True)
    assert same(state_of(whole)["game"], state_of(run)["game"])
    shutil.rmtree(run.folder / "checkpoints")
    with pytest.raises(CheckpointError, match="has lost its checkpoints"):
        trained(PLAN, tmp_path / "b", resume=True)


def test_a_file_and_a_published_one_give_the_generator_alone(source, tmp_path, capsys, monkeypatch):
    path = source.folder / "generator.safetensors"
    seen = Seen()
    run = trained(PLAN, tmp_path / "b", start_from=path, callbacks=[seen], steps=1)
    assert "begins with the generator of" in (said := capsys.readouterr().err)
    assert "anew: the discriminator, which it does not have" in said
    averaged = state_of(source)["game"]["generator"]["average"]["network"]
    assert same(seen.weights["generator"], averaged)
    fresh = Seen()
    trained(PLAN, tmp_path / "c", callbacks=[fresh], steps=1)
    assert same(seen.weights["discriminator"], fresh.weights["discriminator"])
    assert run.about["start"]["anew"] == ["discriminator"]
    # a published one is stored in 16 bits
    home = tmp_path / "results" / "ring"
    home.mkdir(parents=True)
    save_generator(source.generator(), home / "generator.safetensors", half=True)
    (home / "results.json").write_text(
        json.dumps({"recipe": json.loads(PLAN.to_json()), "shape": [2]}), encoding="utf-8"
    )
    monkeypatch.setenv("GANLAB_RESULTS", str(home.parent))
    trained(PLAN, tmp_path / "d", start_from="ring", callbacks=[seen], steps=1)
    for key, value in seen.weights["generator"].items():
        assert torch.allclose(value.float(), averaged[key].float(), atol=1e-2), key
    with pytest.raises(GanlabError, match=r"unknown run.*'rign': did you mean 'ring'"):
        trained(PLAN, tmp_path / "e", start_from="rign")
    assert not (tmp_path / "e").exists()


def test_what_does_not_fit_is_one_line_and_nothing_is_made(source, tmp_path, capsys):
    wide = PLAN.with_(generator={"width": 12})
    with pytest.raises(CheckpointError) as caught:
        trained(wide, tmp_path / "b", start_from=source)
    said = str(caught.value)
    assert "generator.layers.0.weight is 8x4 there and 12x4 here" in said
    assert "generator.width=8 there, 12 here" in said
    assert "--from-skip" in said
    assert "discriminator" not in said
    assert "\n" not in said
    assert not (tmp_path / "b").exists()
    seen, fresh = Seen(), Seen()
    run = trained(wide, tmp_path / "b", start_from=source, start_skip=True, steps=1,
                  callbacks=[seen])  # fmt: skip
    assert "anew: layers that do not fit: generator.layers.0.weight" in capsys.readouterr().err
    assert "generator.layers.0.weight" in run.about["start"]["anew"]
    trained(wide, tmp_path / "c", steps=1, callbacks=[fresh])
    old = state_of(source)["game"]
    assert same(seen.weights["discriminator"], old["discriminator"]["network"])
    for key, value in seen.weights["generator"].items():
        before = old["generator"]["network"][key]
        expected = before if before.shape == value.shape else fresh.weights["generator"][key]
        assert torch.equal(value, expected), key
    with pytest.raises(CheckpointError, match="network=mlp there, dcgan here"):
        trained(Recipe("p", size=16, **QUICK), tmp_path / "d", data=PICTURES, start_from=source)


QUICK = {"batch": 8, "steps": 2, "sample_every": 1, "samples": 4, "precision": "fp32"}


@pytest.mark.parametrize("method", ["vae", "classifier"])
def test_a_game_of_one_player_too(tmp_path, method):
    classes = 4 if method == "classifier" else 0
    plan = SoloRecipe("s", size=16, channels=1, method=method, classes=classes,
                      options={"width": 4}, **QUICK)  # fmt: skip
    data = (PICTURES, KINDS) if classes else PICTURES
    first = trained(plan, tmp_path / "a", data=data)
    seen = Seen()
    run = trained(plan, tmp_path / "b", data=data, start_from=first, callbacks=[seen])
    old = state_of(first)["game"][method]
    assert same(seen.weights[method], old["network"])
    if method == "vae":  # drawn from the prior; a classifier's grid shows the first pictures
        grids = [r.folder / "samples" / n for r, n in ((first, "00000002.png"),
                                                       (run, "00000000.png"))]  # fmt: skip
        assert grids[0].read_bytes() == grids[1].read_bytes()
    with pytest.raises(CheckpointError, match=r"holds no generator and no|holds no discriminator"):
        trained(PLAN, tmp_path / "c", start_from=first)


def test_growing_networks_go_on_growing_where_they_were(tmp_path):
    options = {"channel_base": 64, "channel_max": 8, "hold": 16, "fade": 16}
    plan = Recipe("g", network="progan", size=16, channels=1, generator=options | {"latent": 4},
                  discriminator=options, **(QUICK | {"steps": 4}))  # fmt: skip
    first = trained(plan, tmp_path / "a", data=PICTURES)  # 32 pictures: 8 px are faded in
    run = trained(plan, tmp_path / "b", data=PICTURES, start_from=first, steps=1)
    for side in ("generator", "discriminator"):
        before, after = (state_of(r)["game"][side]["network"]["phase"] for r in (first, run))
        assert torch.equal(before, after), side
    assert state_of(run)["game"]["images"] == 16 + 8 + 8


def test_classes_occur_as_often_as_in_the_new_data(tmp_path):
    options = {"channel_base": 64, "channel_max": 8}
    style = options | {"latent": 4, "style": 4, "layers": 2}
    plan = Recipe("c", network="stylegan2", size=16, channels=1, classes=4, generator=style,
                  discriminator=options, **QUICK)  # fmt: skip
    first = trained(plan, tmp_path / "a", data=(PICTURES, KINDS))
    few = KINDS.clamp(max=3).where(KINDS != 0, torch.tensor(1))
    few[0] = 0
    run = trained(plan, tmp_path / "b", data=(PICTURES, few), start_from=first)
    expected = few.bincount(minlength=4) / 40
    assert torch.allclose(run.generator().kinds.shares, expected)


def spoiled(folder: Path) -> None:
    path = checkpoint.latest(folder / "checkpoints")
    state = checkpoint.read(path)
    next(iter(state["game"]["generator"]["network"].values())).fill_(float("nan"))
    checkpoint.write(state, path)


def cut(folder: Path) -> None:
    path = checkpoint.latest(folder / "checkpoints")
    path.write_bytes(path.read_bytes()[:500])


def emptied(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (spoiled, NonFiniteLoss, "not finite"),
        (cut, CheckpointError, "damaged"),
        (emptied, CheckpointError, "holds no checkpoint: name its generator.safetensors"),
    ],
)
def test_a_bad_source_is_refused_before_a_folder_is_made(copied, tmp_path, spoil, error, words):
    spoil(copied)
    with pytest.raises(error, match=words):
        trained(PLAN, tmp_path / "b", start_from=copied)
    assert not (tmp_path / "b").exists()


def test_the_command_line_says_the_same(tmp_path, capsys):
    words = ["train", "mlp-ring", "--steps", "1", "--no-score", "--device", "cpu"]
    words += ["--set", "batch=8", "--out"]
    first, begun = str(tmp_path / "a"), str(tmp_path / "b")
    assert cli.main([*words, first]) == 0
    assert cli.main([*words, begun, "--from", first]) == 0
    assert "begins with the discriminator and the generator of" in capsys.readouterr().err
    assert cli.main([*words, begun, "--resume", "--from", first]) == 2
    assert "--from begins a new run and --resume goes on with one" in capsys.readouterr().err
    assert cli.main([*words, str(tmp_path / "c"), "--from-skip"]) == 2
    assert "there is no --from" in capsys.readouterr().err


def test_it_is_better_after_few_steps_than_from_scratch(tmp_path):
    """Eight points on a ring, then the same ring again with other seeds: 40 steps of either."""
    plan = ganlab.recipe("mlp-ring", batch=64, sample_every=0, samples=4, half_life=500,
                         generator={"width": 32}, discriminator={"width": 32})  # fmt: skip
    first = trained(plan, tmp_path / "a", steps=600)

    def wrong(run) -> float:
        """Mean distance of samples to the nearest of the eight centres."""
        centers = ganlab.data.toy.make("ring8").centers
        return float(torch.cdist(run.sample(500), centers.float()).min(1).values.mean())

    for seed in (1, 2, 3):
        tuned = trained(plan, tmp_path / f"t{seed}", steps=40, seed=seed, start_from=first)
        fresh = trained(plan, tmp_path / f"f{seed}", steps=40, seed=seed)
        assert wrong(tuned) < 0.7 * wrong(fresh), seed
