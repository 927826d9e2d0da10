"""A resumed run goes on with another batch or rate, once somebody says that it is meant."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import ganlab
from ganlab import cli
from ganlab.errors import CheckpointError, RecipeError
from ganlab.game import Player
from ganlab.recipes import Recipe, SoloRecipe
from ganlab.training import Callback, checkpoint, read_log

PLAN = Recipe(
    "small", data="ring8", network="mlp", batch=16, half_life=200, steps=10, log_every=5,
    sample_every=0, checkpoint_every=5, samples=4, precision="fp32",
    penalties={"r1": {"weight": 0.5, "every": 4}},
    generator={"width": 8, "latent": 4}, discriminator={"width": 8},
)  # fmt: skip


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """Logs without the share of the ideal speed, whose measuring takes longer than these runs."""
    monkeypatch.setattr("ganlab.training.trainer.ideal_seconds", lambda game, batch: None)


def trained(plan, out, **options):
    return ganlab.train(plan, out, device="cpu", evaluate=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of ten steps that no test changes."""
    return trained(PLAN, tmp_path_factory.mktemp("runs") / "a").folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != ".lock"
    }


def state_of(folder: Path) -> dict:
    return checkpoint.read(checkpoint.latest(folder / "checkpoints"))


def same(a, b) -> bool:
    return checkpoint.fingerprint(a) == checkpoint.fingerprint(b)


def groups(folder: Path, player: str) -> dict:
    (group,) = state_of(folder)["game"][player]["optimizer"]["param_groups"]
    return group


LAZY = 4 / 5  # of D, whose penalty is applied at each fourth step (Karras et al. 2020)


def test_a_new_rate_is_in_force(run):
    """Adam's state holds the rate too, and restoring it would bring the old one back."""
    other = run.with_name("other")
    shutil.copytree(run, other)
    trained(PLAN, run, resume=True, steps=11)
    trained(PLAN.with_(g_lr=1e-2, d_lr=3e-3), other, resume=True, allow=["g_lr", "d_lr"], steps=11)
    assert groups(run, "generator")["lr"] == 2e-4
    assert groups(other, "generator")["lr"] == 1e-2
    assert groups(other, "discriminator")["lr"] == pytest.approx(3e-3 * LAZY)
    before, slow, fast = (
        torch.nn.utils.parameters_to_vector(state_of(f)["game"]["generator"]["network"].values())
        for f in (run, run, other)
    )
    del before
    assert not torch.equal(slow, fast)
    # Adam's first moment is that of either run: the step is fifty times as long
    start = checkpoint.read(run / "checkpoints" / "step-00000010.pt")["game"]["generator"]
    old = torch.nn.utils.parameters_to_vector(start["network"].values())
    assert float((fast - old).norm() / (slow - old).norm()) == pytest.approx(50, rel=0.2)


OTHERS = {
    "betas": ({"betas": (0.9, 0.99)}, "betas"),
    "schedule": ({"schedule": "cosine"}, "schedule"),
    "a rate that moves": ({"g_lr": "cosine:1e-3:1e-4"}, "g_lr"),
    "weight": ({"penalties": {"r1": {"weight": 2.0, "every": 4}}}, "penalties"),
    "weight of one": ({"penalties": {"r1": {"weight": "linear:1:0", "every": 4}}}, "penalties.r1"),
    "half-life": ({"half_life": 1000.0}, "half_life"),
    "steps of D": ({"d_steps": 2}, "d_steps"),
    "two at once": ({"batch": 8, "clip": 0.1}, "batch,clip"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_may_change_changes_and_is_resumed_exactly(run, kind, capsys):
    """And from then on the run is what it says: a plain resume ends in the same bits."""
    fields, words = OTHERS[kind]
    parts = run.with_name("parts")
    shutil.copytree(run, parts)
    plan = PLAN.with_(**fields, steps=20)
    with pytest.raises(CheckpointError, match=r"--allow \w+ if you mean it"):
        trained(plan, run, resume=True)
    whole = trained(plan, run, resume=True, allow=words)
    assert "from step 10 on: " in capsys.readouterr().err
    assert whole.step == 20
    changes = whole.about["changes"]
    assert {c["field"].split(".")[0] for c in changes} == set(fields)
    assert all(c["step"] == 10 for c in changes)

    class Killed(Callback):
        def on_log(self, trainer, record):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(plan, parts, resume=True, allow=words, callbacks=[Killed()])
    trained(plan, parts, resume=True)  # without a word: it has been said
    assert same(state_of(run)["game"], state_of(parts)["game"])
    assert ganlab.Run(parts).about["changes"] == changes
    assert ganlab.Run(parts).recipe == plan


def test_pictures_are_counted_as_they_were_shown(run):
    trained(PLAN.with_(batch=32), run, resume=True, allow="batch", steps=20)
    shown = [(r["step"], r["images"]) for r in read_log(run / "log.jsonl")]
    assert shown == [(5, 80), (10, 160), (15, 320), (20, 480)]


def test_a_checkpoint_of_an_older_version_counts_by_its_own_batch(run):
    path = checkpoint.latest(run / "checkpoints")
    state = checkpoint.read(path)
    del state["images"]
    checkpoint.write(state, path)
    trained(PLAN.with_(batch=32), run, resume=True, allow="batch", steps=15)
    assert read_log(run / "log.jsonl")[-1]["images"] == 160 + 5 * 32


REFUSED = [
    ({"generator": {"width": 12}}, "generator", "because the networks are made of it"),
    ({"discriminator": {"width": 12}}, ["discriminator.width"], "because the networks are made"),
    ({"network": "dcgan"}, "network", "because the networks are made of it"),
    ({"size": 16}, "size", "because it learns from these pictures"),
    ({"channels": 3}, "channels", "because it learns from these pictures"),
    ({"data": "grid25"}, "data", "begin a new run with --from this one"),
    ({"seed": 1}, "seed", "all that was drawn so far came from it"),
    ({"optimizer": "sgd"}, "optimizer", "the checkpoint holds what only the old value can use"),
    ({"batch": 32}, "bach", "unknown field 'bach': did you mean 'batch'"),
    ({"batch": 32}, "g_lr", "batch was 16, now 32 (--allow batch if you mean it)"),
    ({"half_life": 0.0}, "half_life", "it cannot be turned on or off"),
    ({"penalties": {"r1": {"weight": 0.5, "every": 2}}}, "penalties", "only the weight can change"),
    ({"penalties": {"gp": 1.0}}, "penalties", "only the weight can change"),
    ({"batch": 32, "steps": 10}, "batch", "would change nothing any more; give more --steps"),
    ({"batch": 32, "steps": 4}, "batch", "has played 10 of 4 steps"),
]


@pytest.mark.parametrize(("fields", "words", "said"), REFUSED)
def test_a_refusal_leaves_every_byte(run, fields, words, said):
    before = contents(run)
    with pytest.raises((CheckpointError, RecipeError)) as caught:
        trained(PLAN.with_(**({"steps": 20} | fields)), run, resume=True, allow=words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(run) == before


def test_a_new_run_has_nothing_to_allow(tmp_path):
    with pytest.raises(RecipeError, match="a new run has no value to change"):
        trained(PLAN, tmp_path / "b", allow=["batch"])
    assert not (tmp_path / "b").exists()


def test_the_same_words_twice_do_no_harm(run):
    plan = PLAN.with_(batch=32)
    trained(plan, run, resume=True, allow="batch", steps=12)
    noted = ganlab.Run(run).about["changes"]
    assert noted == [{"step": 10, "field": "batch", "before": 16, "after": 32}]
    trained(plan, run, resume=True, allow="batch", steps=14)
    assert ganlab.Run(run).about["changes"] == noted
    trained(PLAN.with_(batch=8), run, resume=True, allow="batch", steps=16)
    assert [c["after"] for c in ganlab.Run(run).about["changes"]] == [32, 8]


def test_a_length_that_counts_may_change_too(tmp_path):
    plan = PLAN.with_(schedule="linear")
    folder = trained(plan, tmp_path / "a").folder
    with pytest.raises(CheckpointError, match="steps was 10, now 20"):
        trained(plan, folder, resume=True, steps=20)
    run = trained(plan, folder, resume=True, steps=20, allow="steps")
    assert run.about["changes"] == [{"step": 10, "field": "steps", "before": 10, "after": 20}]
    # the last of 20 steps has a twentieth of the rate left
    assert groups(folder, "generator")["lr"] == pytest.approx(2e-4 / 20)


def test_a_game_of_one_player_too(tmp_path):
    pictures = torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8)
    plan = SoloRecipe("s", size=16, channels=1, options={"width": 4}, batch=8, steps=2,
                      sample_every=0, precision="fp32")  # fmt: skip
    folder = trained(plan, tmp_path / "a", data=pictures).folder
    fields = {"lr": 5e-4, "beta": 2.0}
    run = trained(plan.with_(**fields), folder, data=pictures, resume=True, steps=3, allow=fields)
    assert groups(folder, "vae")["lr"] == 5e-4
    assert [c["field"] for c in run.about["changes"]] == ["beta", "lr"]


@pytest.mark.parametrize("made", [torch.optim.RMSprop, torch.optim.SGD, torch.optim.Adam])
def test_a_player_is_renewed_whatever_its_optimizer(made):
    def player(**options):
        torch.manual_seed(0)
        network = torch.nn.Linear(2, 1)
        return Player("generator", network, made(network.parameters(), **options))

    def step(one):
        one.network(torch.ones(4, 2)).sum().backward()
        one.step(4)

    momentum = {} if made is torch.optim.Adam else {"momentum": 0.9}
    old, new = player(lr=0.1), player(lr=0.01, **momentum)
    step(old)
    new.load_state_dict(old.state_dict())
    assert new.optimizer.param_groups[0]["lr"] == 0.1
    new.renew()
    (group,) = new.optimizer.param_groups
    assert group["lr"] == 0.01
    assert all(group[key] == value for key, value in momentum.items())
    step(new)  # RMSProp asks for a buffer that times without momentum did not make
    assert all(p.isfinite().all() for p in new.network.parameters())


def test_the_command_line_says_the_same(tmp_path, capsys):
    words = ["train", "mlp-ring", "--out", str(tmp_path / "a"), "--device", "cpu", "--no-score"]
    assert cli.main([*words, "--steps", "4", "--set", "batch=8"]) == 0
    again = [*words, "--resume", "--steps", "6", "--set", "batch=32"]
    assert cli.main(again) == 2
    assert "batch was 8, now 32 (--allow batch if you mean it)" in capsys.readouterr().err
    assert cli.main([*again, "--allow", "batch"]) == 0
    said = capsys.readouterr()
    assert "from step 4 on: batch 32 (was 8)" in said.err
    assert "6 steps of 32" in said.out
    assert ganlab.Run(tmp_path / "a").recipe.batch == 32
