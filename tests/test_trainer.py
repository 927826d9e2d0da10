"""The referee: exact resume after a kill, refusals, signals, ranks, logs."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from ganlab.errors import CheckpointError, FileError, NonFiniteLoss
from ganlab.recipes import Recipe, build
from ganlab.training import Callback, JsonLines, Trainer, checkpoint, differences, read_log

#: What the child processes share with this one: a small GAN with BatchNorm, flips and an average.
COMMON = textwrap.dedent("""
    import os, signal, sys, torch
    torch.set_num_threads(1)
    from ganlab.recipes import build
    from ganlab.recipes import Recipe
    from ganlab.training import Trainer

    class Pictures:
        shape = (1, 16, 16)
        images = torch.randint(0, 256, (50, 1, 16, 16), dtype=torch.uint8,
                               generator=torch.Generator().manual_seed(0))
        def __len__(self):
            return 50

    RECIPE = Recipe("t", batch=8, size=16, flip=True, precision="fp32", half_life=100,
                    generator={"width": 4, "latent": 8}, discriminator={"width": 4})
    STEPS = 24

    def play(folder, resume, callbacks=()):
        game, stream = build(RECIPE, Pictures())
        trainer = Trainer(folder, log_every=4, sample_every=12, checkpoint_every=5,
                          callbacks=callbacks, identity=RECIPE.identity(), samples=4, ideal=False)
        trainer.fit(game, stream, STEPS, resume)
        return game
""")


@pytest.fixture(scope="module")
def world():
    """The common code, run here with one thread, and the weights of the undisturbed run."""
    threads = torch.get_num_threads()
    space: dict = {}
    exec(COMMON, space)
    game = space["play"](None, False)
    yield space, game.state_dict()
    torch.set_num_threads(threads)


def same_bits(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_bits(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same_bits(x, y) for x, y in zip(a, b))
    return a == b


def child(code, *args):
    return subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        encoding="utf-8",
    )


# Killed in the middle of a round; between rounds; inside the write of a checkpoint (before
# anything is flushed, and after the flush but before the rename).
KILLS = {
    "in a round": """
        import ganlab.game.adversarial as a
        whole, calls = a.AdversarialGame._g_step, []
        def dying(self, *args):
            calls.append(1)
            if len(calls) == 13: os.kill(os.getpid(), signal.SIGKILL)
            return whole(self, *args)
        a.AdversarialGame._g_step = dying
    """,
    "before the first checkpoint": """
        import ganlab.game.adversarial as a
        whole, calls = a.AdversarialGame._g_step, []
        def dying(self, *args):
            calls.append(1)
            if len(calls) == 3: os.kill(os.getpid(), signal.SIGKILL)
            return whole(self, *args)
        a.AdversarialGame._g_step = dying
    """,
    "writing a checkpoint": """
        whole, calls = torch.save, []
        def dying(state, file):
            calls.append(1)
            if len(calls) == 3:
                file.write(b"half a file"); file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(state, file)
        torch.save = dying
    """,
    "before the rename": """
        whole, calls = os.replace, []
        def dying(a, b):
            calls.append(1)
            if len(calls) == 2: os.kill(os.getpid(), signal.SIGKILL)
            return whole(a, b)
        os.replace = dying
    """,
}


@pytest.mark.parametrize("when", KILLS)
def test_a_killed_run_resumes_to_the_same_bits(when, world, tmp_path):
    space, expected = world
    done = child(textwrap.dedent(KILLS[when]) + "\nplay(sys.argv[1], False)", tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    game = space["play"](tmp_path, True)
    assert same_bits(game.state_dict(), expected)
    steps = [record["step"] for record in read_log(tmp_path / "log.jsonl")]
    assert steps == [4, 8, 12, 16, 20, 24]  # no line lost, none written twice
    assert not list((tmp_path / "checkpoints").glob("*.partial"))


def test_a_run_killed_twice_still_ends_in_the_same_bits(world, tmp_path):
    space, expected = world
    for resume in (0, 1):
        done = child(
            textwrap.dedent(KILLS["in a round"])
            + "\nplay(sys.argv[1], bool(int(sys.argv[2])))", tmp_path, resume)  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert same_bits(space["play"](tmp_path, True).state_dict(), expected)


def test_ctrl_c_saves_and_the_rest_is_the_same(world, tmp_path):
    space, expected = world

    class Interrupt(Callback):
        def on_log(self, trainer, record):
            if record["step"] == 8:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    space["play"](tmp_path, False, [Interrupt()])
    assert signal.getsignal(signal.SIGINT) is before
    saved = checkpoint.read(checkpoint.latest(tmp_path / "checkpoints"))
    assert 8 <= saved["step"] < 24
    assert same_bits(space["play"](tmp_path, True).state_dict(), expected)


def test_same_seed_same_bits_other_seed_other_bits(world):
    space, expected = world
    assert same_bits(space["play"](None, False).state_dict(), expected)
    space["RECIPE"], kept = space["RECIPE"].with_(seed=1), space["RECIPE"]
    other = space["play"](None, False).state_dict()
    space["RECIPE"] = kept
    assert not same_bits(other["generator"]["network"], expected["generator"]["network"])


def test_another_recipe_is_refused_by_field(world, tmp_path):
    space, _ = world
    space["play"](tmp_path, False)
    space["RECIPE"], kept = space["RECIPE"].with_(g_lr=1e-3), space["RECIPE"]
    try:
        with pytest.raises(CheckpointError, match=r"g_lr was 0.0002, now 0.001"):
            space["play"](tmp_path, True)
    finally:
        space["RECIPE"] = kept


def test_checkpoints_are_kept_two_and_refuse_damage(world, tmp_path):
    space, _ = world
    space["play"](tmp_path, False)
    found = sorted((tmp_path / "checkpoints").glob("*"))
    assert [p.name for p in found] == ["step-00000020.pt", "step-00000024.pt"]
    state = checkpoint.read(found[-1])
    assert state["format"] == checkpoint.FORMAT
    assert state["identity"]["batch"] == 8
    data = found[-1].read_bytes()
    found[-1].write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoint.read(found[-1])
    checkpoint.write({"x": 1}, tmp_path / "other.pt")
    torch.save({"format": 99}, tmp_path / "future.pt")
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoint.read(tmp_path / "future.pt")


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/pwned",)

    torch.save({"format": 1, "x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError):
        checkpoint.read(tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()


def test_a_loss_that_is_not_finite_stops_the_run(world, tmp_path):
    space, _ = world
    game, stream = build(space["RECIPE"], space["Pictures"]())
    whole, calls = game._d_step, []

    def poisoned(real, fakes):
        calls.append(1)
        report = whole(real, fakes)
        return report | {"d_loss": report["d_loss"] * float("nan")} if len(calls) == 7 else report

    game._d_step = poisoned
    trainer = Trainer(tmp_path, 4, 0, 5, ideal=False)
    with pytest.raises(NonFiniteLoss, match=r"d_loss of the discriminator.*since step 7.*00000005"):
        trainer.fit(game, stream, 24)
    assert checkpoint.latest(tmp_path / "checkpoints").name == "step-00000005.pt"


def test_log_lines_say_what_they_promise(world, tmp_path):
    space, _ = world
    game, stream = build(space["RECIPE"], space["Pictures"]())
    log = Trainer(tmp_path, 4, 12, 0, samples=4, ideal=True).fit(game, stream, 12)
    assert log == read_log(tmp_path / "log.jsonl")
    for record in log:
        assert record["images"] == record["step"] * 8
        assert {"d_loss", "g_loss", "d_real", "d_fake", "images_per_second"} <= record.keys()
        assert record["ideal"] > 0
        assert sum(record["confidence"]["fake"]) == pytest.approx(1, abs=0.01)
    names = sorted(p.name for p in (tmp_path / "samples").iterdir())
    assert names == ["00000000.png", "00000012.png"]


def test_grids_come_when_they_are_due_between_log_lines_too(world, tmp_path):
    space, _ = world
    game, stream = build(space["RECIPE"], space["Pictures"]())
    log = Trainer(tmp_path, 4, 5, 0, samples=4, ideal=False).fit(game, stream, 12)
    assert [r["step"] for r in log] == [4, 8, 12]
    names = sorted(int(p.stem) for p in (tmp_path / "samples").iterdir())
    assert names == [0, 5, 10]


def test_no_read_back_between_log_lines(world, monkeypatch):
    space, _ = world
    game, stream = build(space["RECIPE"], space["Pictures"]())
    reads = []
    for name in ("item", "tolist", "__bool__", "__float__"):
        whole = getattr(torch.Tensor, name)

        def counted(self, *args, _whole=whole):
            reads.append(1)
            return _whole(self, *args)

        monkeypatch.setattr(torch.Tensor, name, counted)
    trainer = Trainer(None, 1000, 0, 0, ideal=False)
    trainer._record = lambda *a: None
    trainer.fit(game, stream, 5)
    few = len(reads)
    reads.clear()
    trainer.fit(game, stream, 25)
    assert len(reads) == few


def test_a_log_cut_short_by_a_kill_is_read(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 4}\n{"step": 8}\n{"ste', encoding="utf-8")
    assert [r["step"] for r in read_log(path)] == [4, 8]

    class At:
        step = 4

    JsonLines(path).on_start(At())
    assert path.read_text(encoding="utf-8") == '{"step": 4}\n'


def test_differences_are_named():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3}) == ["b was 2, now 3"]
    # A field that came later and is off changes nothing; one that is on does.
    assert differences({"a": 1}, {"a": 1, "new": 0, "newer": {}}) == []
    assert differences({"a": 1}, {"a": 1, "new": 5}) == ["new was None, now 5"]


RANKS = """
    import json
    from ganlab import ranks
    from ganlab.data import Stream
    from ganlab.training import Trainer
    rank, world = ranks.start()
    plan = Recipe("t", network="mlp", size=16, batch=16 // world, precision="fp32", half_life=50,
                  generator={"width": 8, "latent": 4, "batch_norm": False},
                  discriminator={"width": 8})
    game, stream = build(plan, Pictures(), rank=rank, world=world)
    folder = f"{sys.argv[1]}/{world}" if rank == 0 else None
    Trainer(folder, 5, 0, 0, ideal=False).fit(game, stream, 10)
    torch.save(game.state_dict(), f"{sys.argv[1]}/state-{world}-{rank}.pt")
    ranks.stop()
"""


def test_two_ranks_are_one_process_with_twice_the_batch(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(COMMON + textwrap.dedent(RANKS), encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    two = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            str(script),
            str(tmp_path),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env=environment,
        check=False,
    )
    assert two.returncode == 0, two.stderr[-2000:]
    one = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True,
                         encoding="utf-8", timeout=120, env=environment, check=False)  # fmt: skip
    assert one.returncode == 0, one.stderr[-2000:]
    first, second, alone = (torch.load(tmp_path / f"state-{name}.pt", weights_only=True)
                            for name in ("2-0", "2-1", "1-0"))  # fmt: skip
    for side in ("generator", "discriminator"):
        for key, value in first[side]["network"].items():
            assert torch.equal(value, second[side]["network"][key])
            assert torch.allclose(value, alone[side]["network"][key], atol=1e-5)
    log = read_log(tmp_path / "2" / "log.jsonl")
    assert log[-1]["images"] == 160


def test_records_are_plain_json(world, tmp_path):
    space, _ = world
    game, stream = build(space["RECIPE"], space["Pictures"]())
    log = Trainer(tmp_path, 4, 0, 0, ideal=False).fit(game, stream, 4)
    assert json.loads(json.dumps(log)) == log


def test_compiled_networks_train_and_resume(world, tmp_path):
    if sys.platform == "win32":
        pytest.skip("no compiler")
    space, _ = world
    plan = Recipe("t", network="mlp", size=16, batch=8, precision="fp32", half_life=100,
                  generator={"width": 8, "latent": 4}, discriminator={"width": 8})  # fmt: skip
    states = []
    torch._dynamo.reset()
    for compiled in (False, True):
        game, stream = build(plan.with_(compile=compiled), space["Pictures"]())
        if compiled:
            for player in game.players:
                player.network.compile(backend="aot_eager")  # the graph, without a C++ compiler
        Trainer(tmp_path / str(compiled), 4, 0, 0, ideal=compiled).fit(game, stream, 4)
        states.append(game.state_dict()["generator"]["network"])
    assert states[0].keys() == states[1].keys()
    assert all(torch.allclose(states[0][k], states[1][k], atol=1e-5) for k in states[0])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_stops_a_checkpoint_half_way_keeps_its_name(tmp_path, monkeypatch, error):
    """torch's writer, as it closes, turned a second Ctrl-C into an error that read as our fault."""

    class Stopped(io.FileIO):
        def write(self, data):
            if self.tell() > 50_000:
                raise error
            return super().write(data)

    monkeypatch.setattr(checkpoint, "open", lambda path, mode: Stopped(path, mode), raising=False)
    with pytest.raises((KeyboardInterrupt, FileError)) as caught:
        checkpoint.write({"weights": torch.zeros(100_000)}, tmp_path / "step.pt")
    assert isinstance(caught.value, KeyboardInterrupt) == isinstance(error, KeyboardInterrupt)
    assert list(tmp_path.iterdir()) == []
