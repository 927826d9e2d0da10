"""Games of one player: the proof that the trainer knows no network by its name."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import ganlab
from ganlab.data import load
from ganlab.errors import CheckpointError, DataError, RecipeError
from ganlab.game import VaeGame
from ganlab.recipes import build, recipe
from ganlab.runs import Run
from ganlab.training import ideal

TINY = {"size": 16, "batch": 16, "precision": "fp32", "options": {"width": 8}, "samples": 16,
        "log_every": 4, "sample_every": 8, "checkpoint_every": 4}  # fmt: skip
NAMES = ("vae-glyphs", "classifier-glyphs")


@pytest.fixture(scope="module")
def glyphs():
    return load("glyphs", size=16, channels=1, limit=400)


def plan(name, **changes):
    return recipe(name, **(TINY | changes))


def weights(game):
    return [p.detach().clone() for p in game.player.network.parameters()]


def test_the_bound_is_the_formula(glyphs):
    game, stream = build(plan("vae-glyphs", beta=2.0, spread=0.5), glyphs)
    x = next(stream)
    noise = torch.randn(len(x), game.player.network.decoder.latent)
    with torch.no_grad():
        found = game.loss(game.player.network, ganlab.data.as_batch(x), noise)
        mean, log_var = game.player.network.encoder(x).chunk(2, 1)
        y = game.player.network.decoder(mean + log_var.div(2).exp() * noise)
    normal = torch.distributions.Normal(mean, log_var.div(2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(normal, prior).sum(1).mean()
    gauss = -torch.distributions.Normal(y, 0.5).log_prob(x).flatten(1).sum(1).mean()
    constant = x[0].numel() * math.log(0.5 * math.sqrt(2 * math.pi))
    assert found["kl"].item() == pytest.approx(kl.item(), rel=1e-4)
    assert found["reconstruction"].item() == pytest.approx(gauss.item() - constant, rel=1e-4)
    assert found["loss"].item() == pytest.approx((gauss - constant + 2 * kl).item(), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_solo_game_learns(name, glyphs):
    game, stream = build(plan(name), glyphs)
    losses = [game.round(stream)["loss"].item() for _ in range(60)]
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_game_goes_on_to_the_same_bits(name, glyphs):
    game, stream = build(plan(name), glyphs)
    for _ in range(3):
        game.round(stream)
    state, dice = copy.deepcopy((game.state_dict(), stream.state_dict())), torch.get_rng_state()
    for _ in range(4):
        game.round(stream)
    again, other = build(plan(name, seed=5), glyphs)
    again.load_state_dict(state[0])
    other.load_state_dict(state[1])
    torch.set_rng_state(dice)
    for _ in range(4):
        again.round(other)
    assert all(map(torch.equal, weights(game), weights(again)))


def test_parts_of_a_batch_add_up_to_the_batch(glyphs):
    # Without BatchNorm, whose statistics are those of a part.
    grads = []
    for parts in (1, 4):
        game, stream = build(plan("classifier-glyphs", accumulate=parts), glyphs)
        game.player.network.eval()
        game.ready = lambda: None
        game.player.step = lambda images: None
        game.round(stream)
        grads.append([p.grad.clone() for p in game.player.network.parameters()])
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_round_costs_one_forward_and_one_backward(name, glyphs):
    game, stream = build(plan(name), glyphs)
    batch = next(stream)
    with FlopCounterMode(display=False) as round_:
        game.round(iter([batch]))
    passes = game.passes(batch)
    with FlopCounterMode(display=False) as alone:
        passes["forward and backward"].run()
    assert round_.get_total_flops() == alone.get_total_flops()
    before = weights(game), game.noise.get_state()
    assert ideal.ideal_seconds(game, batch, 1) > 0
    assert all(map(torch.equal, before[0], weights(game)))
    assert torch.equal(before[1], game.noise.get_state())


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_run_resumes_to_the_same_bits(name, glyphs, tmp_path):
    whole = ganlab.train(plan(name, steps=12), tmp_path / "whole", data=glyphs, evaluate=False)
    ganlab.train(plan(name, steps=8), tmp_path / "cut", data=glyphs, evaluate=False)
    cut = ganlab.train(
        plan(name, steps=12), tmp_path / "cut", data=glyphs, evaluate=False, resume=True
    )
    kept = "generator" if name.startswith("vae") else "classifier"
    for a, b in zip(whole.product(kept).parameters(), cut.product(kept).parameters(), strict=True):
        assert torch.equal(a, b)
    assert [r["step"] for r in cut.log] == [4, 8, 12]
    assert {"loss", "ideal", "images_per_second"} <= set(cut.log[-1])
    assert (tmp_path / "cut" / "samples" / "00000008.png").is_file()


def test_a_vae_is_sampled_scored_and_walked_like_a_gan(glyphs, tmp_path):
    run = ganlab.train(plan("vae-glyphs", steps=8), tmp_path / "run", data=glyphs, evaluate=False)
    assert run.draws
    assert run.sample(5).shape == (5, 1, 16, 16)
    assert torch.equal(run.sample(5), run.sample(5))
    assert run.product("encoder")(run.sample(5)).shape == (5, 64)
    g = run.generator()
    frames = ganlab.latent.walk(g, ganlab.latent.draw(g, 2), 3, space="z")
    assert torch.isfinite(frames).all()


def test_a_classifier_keeps_no_generator_and_says_so(glyphs, tmp_path):
    run = ganlab.train(plan("classifier-glyphs", steps=8), tmp_path / "run", data=glyphs)
    assert not run.draws
    assert run.scores["kind"] == "accuracy"
    with pytest.raises(CheckpointError, match=r"holds no generator: .* keeps classifier"):
        run.sample(4)


@pytest.mark.parametrize(
    ("name", "changes", "line"),
    [
        ("vae-glyphs", {"d_lr": 1e-3}, "unknown field 'd_lr': did you mean 'lr'"),
        ("vae-glyphs", {"classes": 10}, "a vae takes no classes"),
        ("vae-glyphs", {"data": "ring8"}, "needs pictures, not points"),
        ("vae-glyphs", {"method": "vea"}, "method: 'vea' is not one of vae, classifier"),
        ("vae-glyphs", {"spread": 0}, "spread: 0 is not a number above 0"),
        ("classifier-glyphs", {"classes": 0}, "needs the number of classes"),
        ("classifier-glyphs", {"options": {"latent": 3}}, "option of a classifier 'latent'"),
    ],
)
def test_what_does_not_fit_is_one_line(name, changes, line):
    with pytest.raises(RecipeError, match=line):
        plan(name, **changes)


def test_two_processes_train_a_vae_together(tmp_path):
    script = "import sys; from ganlab.cli import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "go.py").write_text(script, encoding="utf-8")
    words = [w for s in ("size=16", "batch=8", "options.width=8", "precision=fp32", "samples=4",
                         "data_options.limit=200") for w in ("--set", s)]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "go.py", "train", "vae-glyphs", "--steps", "4", "--out", "run", "--no-score", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
        env={**__import__("os").environ, "OMP_NUM_THREADS": "1", "GANLAB_OFFLINE": "1",
             "PYTHONPATH": str(Path(ganlab.__file__).parents[1])},
             encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(log[-1])["images"] == 4 * 16


def test_ranks_draw_one_noise_and_take_their_part(glyphs, monkeypatch):
    game, _ = build(plan("vae-glyphs"), glyphs)
    state = game.noise.get_state()
    whole = game.chance(8)
    parts = []
    for rank in range(2):
        game.noise.set_state(state)
        monkeypatch.setattr("ganlab.ranks.size", lambda: 2)
        monkeypatch.setattr("ganlab.ranks.rank", lambda rank=rank: rank)
        parts.append(game.chance(4))
    assert isinstance(game, VaeGame)
    assert torch.equal(torch.cat(parts), whole)


def test_a_game_that_keeps_neither_is_trained_and_not_scored(glyphs, tmp_path, monkeypatch):
    run = ganlab.train(plan("classifier-glyphs", steps=4), tmp_path / "run", data=glyphs)
    other = {"critic": run.product("classifier")}
    monkeypatch.setattr(type(run.recipe), "products", lambda self, shape: other)
    run = Run(run.folder)
    with pytest.raises(DataError, match="keeps critic, neither a generator nor a classifier"):
        run.evaluate(data=glyphs)
