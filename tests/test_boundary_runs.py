"""A run's folder is never ruined, and what is wrong with it is one line that names the file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import ganlab
from ganlab import cli
from ganlab.errors import CheckpointError, DataError, FileError, GanlabError, NonFiniteLoss
from ganlab.game import Player
from ganlab.runs import Hold, pick_device
from ganlab.training import Callback, checkpoint

QUICK = ["--set", "batch=8", "--set", "checkpoint_every=5", "--set", "log_every=5", "--no-score"]
START = ["train", "mlp-ring", "--steps", "10", "--device", "cpu", *QUICK]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small finished run that no test changes."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    assert cli.main([*START, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def line(capsys, arguments: list[str], status: int = 2) -> str:
    """What a command says on stderr: one line."""
    capsys.readouterr()
    assert cli.main([str(a) for a in arguments]) == status
    err = [x for x in capsys.readouterr().err.splitlines() if x.startswith("ganlab:")]
    assert len(err) == 1, err
    return err[0]


REFUSED = [
    (["--resume", "--set", "generator.width=24"], "generator.width was"),
    (["--resume", "--set", "batch=16"], "batch was 8, now 16"),
    (["--resume", "--seed", "7"], "seed was 0, now 7"),
    (["--resume", "--data", "glyphs"], "mlp-ring|glyphs"),
    ([], "already holds a run"),
    (["--resume", "--device", "cuda:7"], "not there"),
    (["--resume", "--track", "nothing"], "unknown tracker"),
    (["--resume", "--set", "g_lr=fast"], "g_lr"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_a_refused_command_leaves_a_run_as_it_was(run, capsys, options, words):
    before = contents(run)
    said = line(capsys, [*START[:2], "--out", run, *options])
    assert any(word in said for word in words.split("|")), said
    after = contents(run)
    after.pop(".lock", None)
    before.pop(".lock", None)
    assert after == before


def test_a_run_resumes_from_its_own_recipe(run, capsys):
    """The command that is printed says no --set: the run knows its batch of 8."""
    assert cli.main(["train", "mlp-ring", "--out", str(run), "--resume", "--steps", "12"]) == 0
    assert ganlab.Run(run).step == 12
    assert ganlab.Run(run).recipe.batch == 8
    assert "12 steps of 8" in capsys.readouterr().out


def test_fewer_steps_do_not_rewrite_the_recipe(run, capsys):
    assert cli.main([*START[:2], "--out", str(run), "--resume", "--steps", "4", "--no-score"]) == 0
    assert ganlab.Run(run).recipe.steps == 10


def test_the_run_of_a_longer_name_is_not_resumed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*START, "--out", "runs/mlp-ring-color"]) == 0
    assert "no run of mlp-ring" in line(capsys, ["train", "mlp-ring", "--resume"])
    assert "not of 'dcgan-glyphs'" in line(
        capsys, ["train", "dcgan-glyphs", "--out", "runs/mlp-ring-color", "--resume"]
    )


def test_two_runs_take_two_folders_and_one_folder_takes_one(run, tmp_path, monkeypatch, capsys):
    hold = Hold(run)
    said = line(capsys, [*START[:2], "--out", run, "--resume", "--steps", "20"])
    assert f"process {os.getpid()}" in said
    hold.release()
    assert cli.main([*START[:2], "--out", str(run), "--resume", "--steps", "11", "--no-score"]) == 0
    monkeypatch.chdir(tmp_path)
    for name in ("runs/mlp-ring", "runs/mlp-ring-2"):
        assert cli.main([*START[:2], "--steps", "2", "--no-score"]) == 0
        assert (tmp_path / name / "recipe.json").exists()


def test_a_start_that_fails_leaves_no_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line(capsys, ["train", "dcgan-glyphs", "--data", "zip:none.zip"])
    assert not (tmp_path / "runs" / "dcgan-glyphs").exists()


@pytest.mark.parametrize("what", ["a file", "a dead link"])
def test_a_name_that_is_no_folder_is_one_line(tmp_path, monkeypatch, capsys, what):
    """A link into a Drive that is no longer mounted made the start look for a number for ever."""
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("x", encoding="utf-8") if what == "a file" else Path("runs").symlink_to(
        "gone"
    )
    assert "runs" in line(capsys, [*START[:2], "--steps", "2", "--no-score"])


def spoiled(name: str, data: bytes | None):
    def change(run: Path) -> None:
        path = run / name
        path.unlink() if data is None else path.write_bytes(data)

    return change


def cut(name: str):
    def change(run: Path) -> None:
        path = next(run.glob(name))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return change


def flip(name: str, place: float = 0.6):
    def change(run: Path) -> None:
        path = sorted(run.glob(name))[-1]
        data = bytearray(path.read_bytes())
        data[int(len(data) * place)] ^= 1
        path.write_bytes(bytes(data))

    return change


def stored(value):
    def change(run: Path) -> None:
        torch.save(value, sorted(run.glob("checkpoints/step-*.pt"))[-1])

    return change


JUNK = {
    "missing": None, "empty": b"", "truncated": b'{"name": ', "null": b"null", "list": b"[1]",
    "binary": b"\xff\xfe\0", "number": b"3", "text": b'"a"',
}  # fmt: skip
DAMAGE = {
    **{f"recipe {k}": (spoiled("recipe.json", v), "recipe.json") for k, v in JUNK.items()},
    **{f"about {k}": (spoiled("about.json", v), "about.json") for k, v in JUNK.items()},
    **{
        f"shape {v}": (spoiled("about.json", b'{"shape": %s}' % v), "about.json")
        for v in (b"5", b"[]", b"[-1]", b'["a"]', b"[1,2,3,4]", b"[1e9]", b"null")
    },
    "recipe of pictures": (
        spoiled("recipe.json", b'{"name": "mlp-ring", "data": "glyphs"}'),
        "about.json|learned from",
    ),
    "recipe with an unknown game": (spoiled("recipe.json", b'{"game": "chess"}'), "recipe.json"),
    "recipe with an unknown field": (spoiled("recipe.json", b'{"wings": 2}'), "recipe.json"),
    "recipe with a bad value": (spoiled("recipe.json", b'{"batch": -2}'), "recipe.json"),
    "weights missing": (spoiled("generator.safetensors", None), "no generator yet"),
    "weights empty": (spoiled("generator.safetensors", b""), "generator.safetensors"),
    "weights cut": (cut("generator.safetensors"), "generator.safetensors"),
    "weights flipped": (flip("generator.safetensors"), "checksum"),
    "weights a text": (spoiled("generator.safetensors", b"hello" * 9), "generator.safetensors"),
}


@pytest.mark.parametrize("command", ["sample", "evaluate", "export"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_is_named(run, capsys, kind, command):
    change, words = DAMAGE[kind]
    change(run)
    options = ["--to", "safetensors", "--out", run.parent / "x.st"] if command == "export" else []
    said = line(capsys, [command, run, *options])
    if kind == "recipe missing":
        assert any(w in said for w in ("recipe.json", "no run", "unknown run", "not a run")), said
    else:
        assert any(word in said for word in words.split("|")), said


SAVED = {
    "cut": (cut("checkpoints/step-00000010.pt"), "damaged"),
    "flipped": (flip("checkpoints/step-*.pt", 0.5), "damaged"),
    "a list": (stored([1]), "no checkpoint but a list"),
    "a tensor": (stored(torch.ones(2)), "no checkpoint but a Tensor"),
    "no keys": (stored({"format": 1}), "no identity"),
    "other format": (stored({"format": 9}), "format 9"),
    "log damaged": (
        lambda run: (run / "log.jsonl").write_text(
            "{}\n" + (run / "log.jsonl").read_text(encoding="utf-8"), encoding="utf-8"
        ),
        "log.jsonl is damaged in line 1",
    ),
    "recipe gone": (spoiled("recipe.json", None), "recipe.json is missing"),
    "recipe empty": (spoiled("recipe.json", b""), "recipe.json"),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_damaged_run_is_not_resumed_and_not_started_over(run, capsys, kind):
    change, words = SAVED[kind]
    change(run)
    before = contents(run)
    said = line(capsys, [*START[:2], "--out", run, "--resume", "--steps", "20", "--no-score"])
    assert words in said
    after = contents(run)
    assert {k: v for k, v in after.items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }


def test_a_state_of_other_networks_is_refused(run, capsys):
    path = checkpoint.latest(run / "checkpoints")
    state = checkpoint.read(path)
    del state["game"]["generator"]
    checkpoint.write(state, path)
    said = line(capsys, [*START[:2], "--out", run, "--resume", "--steps", "20"])
    assert "does not fit this game" in said


def test_weights_that_are_no_numbers_are_not_saved_or_used(run, tmp_path, capsys, monkeypatch):
    """A step that ends in NaN: the loss of that round is still finite."""
    real = Player.step

    def broken(self, images):
        real(self, images)
        with torch.no_grad():
            self.weights[0].fill_(float("nan"))

    monkeypatch.setattr(Player, "step", broken)
    said = line(capsys, [*START[:2], "--steps", "1", "--out", tmp_path / "a"], 3)
    monkeypatch.undo()
    assert "not finite" in said
    assert checkpoint.latest(tmp_path / "a" / "checkpoints") is None
    network = ganlab.Run(run).generator()
    next(network.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLoss, match="not finite"):
        ganlab.runs.save_generator(network, tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


OUT = [
    ("file", "not a directory|already|file exists"),
    ("file/below", "not a directory"),
    ("/proc/nothing", "cannot be made"),
    ("x" * 300, "file name too long"),
    ("loop", "too many levels|file exists"),
    ("~nobody-of-that-name/x", "no such user"),
    ("zero\0", "null byte"),
]


@pytest.mark.parametrize(("out", "words"), OUT)
def test_where_no_run_can_lie_is_said_in_one_line(tmp_path, capsys, out, words):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "loop").symlink_to("loop")
    full = out if out[0] in "/~" else f"{tmp_path}/{out}"
    said = line(capsys, [*START, "--out", full])
    assert any(w in said.lower() for w in words.split("|")), said


DEVICES = ["cuda", "cuda:7", "mps", "xpu", "meta", "foo", "cpu:3", "", "-1"]


@pytest.mark.parametrize("name", [d for d in DEVICES if d])
def test_a_device_that_is_not_there_is_refused(name):
    if name.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(GanlabError, match="device"):
        pick_device(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORLD_SIZE", "abc"), ("WORLD_SIZE", "0"), ("WORLD_SIZE", "2"), ("RANK", "x"),
     ("LOCAL_RANK", "-1")],
)  # fmt: skip
def test_what_torchrun_would_set_is_checked(monkeypatch, tmp_path, capsys, name, value):
    monkeypatch.setenv(name, value)
    assert name in line(capsys, [*START, "--out", tmp_path / "a"]) or value == "2"


def test_compiling_without_a_compiler_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = line(capsys, [*START, "--set", "compile=true", "--out", tmp_path / "a"])
    assert "C++ compiler" in said


@pytest.mark.parametrize("wrong", [None, 5, [], {}, 1.5])
def test_what_is_no_recipe_is_refused(wrong):
    with pytest.raises(GanlabError, match="no recipe"):
        ganlab.train(wrong)


def test_our_own_mistake_is_called_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setitem(cli.main.__globals__["COMMANDS"], "info", lambda args: 1 / 0)
    said = line(capsys, ["info"], 70)
    assert "this is a fault of ganlab (ZeroDivisionError" in said
    (saved,) = tmp_path.glob("ganlab-fault-*.txt")
    assert "1 / 0" in saved.read_text(encoding="utf-8")
    monkeypatch.setenv("GANLAB_TRACEBACK", "1")
    assert cli.main(["info"]) == 70
    assert "Traceback" in capsys.readouterr().err


def begun(folder: Path, ignored: tuple[int, ...] = ()) -> subprocess.Popen:
    """A training in another process that has reached its first log line.

    It listens to all signals but those that are `ignored`, whatever these tests were started with
    (under nohup, or in the background of a script, they ignore some themselves).
    """

    def listen() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    command = [sys.executable, "-m", "ganlab", *START, "--steps", "1000000", "--out", str(folder)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=listen, encoding="utf-8"
    )
    for _ in range(600):
        if (folder / "log.jsonl").exists() and (folder / "log.jsonl").stat().st_size:
            return process
        time.sleep(0.1)
    raise AssertionError("no log line in a minute")


SIGNALS = [("SIGINT", "SIGTERM"), ("SIGHUP",), ("SIGTERM",)]


@pytest.mark.parametrize("names", SIGNALS)
def test_a_signal_saves(tmp_path, names):
    process = begun(tmp_path / "a")
    for name in names:
        process.send_signal(getattr(signal, name))
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130, err
    assert "Traceback" not in err
    step = int(err.split("stopped at step ")[1].split(";")[0])
    saved = checkpoint.latest(tmp_path / "a" / "checkpoints")
    assert step > 0
    assert checkpoint.read(saved)["step"] == step


def test_under_nohup_a_lost_terminal_changes_nothing(tmp_path):
    process = begun(tmp_path / "a", (signal.SIGHUP,))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_five_quick_interrupts_print_no_traceback(tmp_path):
    process = begun(tmp_path / "a")
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_a_folder_removed_during_training_is_one_line(tmp_path):
    process = begun(tmp_path / "a")
    shutil.rmtree(tmp_path / "a", ignore_errors=True)
    shutil.rmtree(tmp_path / "a", ignore_errors=True)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 2, err
    assert "Traceback" not in err
    assert "was removed during the training" in err or "cannot be written" in err


class Removal(Callback):
    """Somebody removes the run's folder while it is trained."""

    def on_log(self, trainer, record):
        shutil.rmtree(trainer.folder)


def test_a_folder_that_was_removed_is_not_made_again(tmp_path):
    """A checkpoint is due before the next log line, and would make its folder."""
    often = {"steps": 20, "log_every": 5, "checkpoint_every": 7, "sample_every": 0, "batch": 8}
    with pytest.raises(FileError, match=r"was removed during the training: .* up to step 7"):
        ganlab.train("mlp-ring", tmp_path / "a", device="cpu", callbacks=[Removal()], **often)
    assert not (tmp_path / "a").exists()


def test_a_full_screen_and_a_closed_one(tmp_path):
    for target in ("/dev/full",):
        with open(target, "w", encoding="utf-8") as out:
            done = subprocess.run(
                [sys.executable, "-m", "ganlab", "recipes"],
                stdout=out,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                check=False,
            )
        assert done.returncode == 2, done.stderr
        assert done.stderr.splitlines() == [
            "ganlab: the output cannot be written (no space left on device)"
        ]


def test_names_that_no_terminal_shows_are_escaped(tmp_path, capsys):
    said = line(capsys, ["sample", tmp_path / "a\n\x1b[31mb"])
    assert "a\\n\\x1b[31mb" in said


def test_data_that_were_handed_over_are_asked_for_again(tmp_path, capsys):
    pictures = torch.randint(0, 255, (64, 1, 16, 16), dtype=torch.uint8)
    options = {"steps": 2, "batch": 8, "size": 16, "sample_every": 0, "evaluate": False}
    ganlab.train("dcgan-glyphs", tmp_path / "a", data=pictures, device="cpu", **options)
    said = line(
        capsys, ["train", "dcgan-glyphs", "--out", tmp_path / "a", "--resume", "--steps", 3]
    )
    assert "data=..." in said
    about = json.loads((tmp_path / "a" / "about.json").read_text(encoding="utf-8"))
    assert about["own_data"] is True
    with pytest.raises(DataError, match="learned from 'own pictures', which was handed over"):
        ganlab.Run(tmp_path / "a").evaluate()
    with pytest.raises(CheckpointError, match="not a run"):
        ganlab.Run(tmp_path)
