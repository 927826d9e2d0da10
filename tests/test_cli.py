"""The command line as a user meets it: whole sessions, and one line for each mistake."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from ganlab import cli
from ganlab.metrics import features

FIELDS = ("batch=16", "samples=4", "log_every=5", "precision=fp32", "generator.width=8",
          "discriminator.width=8")  # fmt: skip
QUICK = [word for field in FIELDS for word in ("--set", field)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    """Small data and a short classifier; each test in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(features, "STEPS", 20)
    import ganlab.recipes.building
    from ganlab.data import load

    monkeypatch.setattr(
        ganlab.recipes.building, "load", lambda *a, **k: load(*a, **(k | {"limit": 200}))
    )


def test_a_first_session(capsys, tmp_path):
    assert cli.main(["train", "dcgan-glyphs", "--steps", "10", *QUICK]) == 0
    out = capsys.readouterr()
    assert "Fréchet distance" in out.out
    assert "real against real" in out.out
    assert "step 10" in out.err
    run = tmp_path / "runs" / "dcgan-glyphs"
    files = {p.name for p in run.iterdir()}
    assert {"recipe.json", "log.jsonl", "samples", "checkpoints", "generator.safetensors",
            "scores.json", "about.json", "grid.png"} <= files  # fmt: skip
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    assert scores["frechet"] > scores["floor"] > 0
    assert scores["features"].startswith("classifier:")

    assert cli.main(["sample", str(run), "-n", "9", "--out", "nine.png"]) == 0
    assert Image.open("nine.png").size[0] > 9 * 32
    assert cli.main(["sample", str(run), "-n", "3", "--out", "many"]) == 0
    assert len(list((tmp_path / "many").iterdir())) == 3
    assert cli.main(["evaluate", str(run), "-n", "60"]) == 0
    assert "n = 60" in capsys.readouterr().out

    assert cli.main(["train", "dcgan-glyphs", "--steps", "15", "--resume", *QUICK]) == 0
    steps = [
        json.loads(line)["step"]
        for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert steps == [5, 10, 15]


def test_points_are_scored_by_modes(capsys):
    assert cli.main(["train", "mlp-ring", "--steps", "5"]) == 0
    assert "of 8 modes found" in capsys.readouterr().out
    assert cli.main(["train", "mlp-moons", "--steps", "5"]) == 0  # no modes: no score, no error


MISTAKES = {
    "a command": (["trian", "x"], "did you mean 'train'"),
    "a recipe": (["train", "dcgan-glyps"], "did you mean 'dcgan-glyphs'"),
    "a field": (["train", "dcgan-glyphs", "--set", "stepps=3"], "did you mean 'steps'"),
    "a data set": (["train", "dcgan-glyphs", "--data", "mnits"], "mnist"),
    "a run": (["sample", "nowhere"], "is not a run"),
    "nothing to resume": (["train", "dcgan-glyphs", "--resume"], "nothing to resume"),
    "a tracker": (["train", "dcgan-glyphs", "--track", "tensorbord"], "tensorboard"),
    "a device": (["train", "dcgan-glyphs", "--device", "gpu"], "cpu, cuda or mps"),
    "an option": (["train", "dcgan-glyphs", "--stepz", "3"], "--stepz"),
    "a number": (
        ["train", "dcgan-glyphs", "--steps", "-3"],
        "steps: -3 is not a whole number from 1",
    ),
    "no recipe": (["train"], "recipe"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_and_exit_2(what, capsys):
    words, expected = MISTAKES[what]
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_second_run_does_not_overwrite_the_first(capsys, tmp_path):
    arguments = ["train", "dcgan-glyphs", "--steps", "2", "--no-score", *QUICK]
    assert cli.main(arguments) == 0
    assert cli.main(arguments) == 0
    assert (tmp_path / "runs" / "dcgan-glyphs-2" / "recipe.json").exists()
    assert cli.main([*arguments, "--out", "runs/dcgan-glyphs"]) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_resuming_with_another_field_says_which(capsys):
    arguments = ["train", "dcgan-glyphs", "--steps", "2", "--no-score", *QUICK]
    assert cli.main(arguments) == 0
    assert cli.main([*arguments, "--resume", "--set", "g_lr=5e-3"]) == 2
    assert "g_lr was 0.001, now 0.005" in capsys.readouterr().err


def test_a_divergence_exits_with_3(capsys):
    arguments = ["train", "dcgan-glyphs", "--steps", "50", *QUICK, "--set", "d_lr=1e38"]
    assert cli.main(arguments) == 3
    err = capsys.readouterr().err
    assert "not finite since step" in err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--resume" in text
    assert "torchrun" in text
    assert "examples:" in text
    assert cli.main([]) == 0
    assert "a first session" in capsys.readouterr().out


def test_lists(capsys):
    assert cli.main(["recipes"]) == 0
    assert "dcgan-mnist" in capsys.readouterr().out
    assert cli.main(["recipes", "dcgan-mnist"]) == 0
    out = capsys.readouterr().out
    assert "\ndata              = mnist\n" in out
    assert "clip" in out
    assert "spread" not in out  # a field of another game
    assert cli.main(["recipes", "dcgan-mnist", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == "mnist"
    assert cli.main(["recipes", "vae-mnist", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)["properties"]
    assert schema["batch"]["maximum"] == 65536
    assert "clip" not in schema
    assert cli.main(["data"]) == 0
    out = capsys.readouterr().out
    assert "cifar10" in out
    assert "ring8" in out
    assert cli.main(["info"]) == 0
    assert "torch" in capsys.readouterr().out


def test_ctrl_c_in_a_terminal_saves_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "ganlab", "train", "mlp-ring", "--steps", "1000000",
               "--set", "log_every=20", "--out", "run"]  # fmt: skip
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text(encoding="utf-8")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Continue with: ganlab train mlp-ring --out run --resume" in err
    assert "Traceback" not in err
    assert list((tmp_path / "run" / "checkpoints").glob("step-*.pt"))


def test_torchrun_trains_on_two_processes_into_one_folder(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "ganlab", "train", "mlp-ring", "--steps", "10"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for name in ("mlp-ring", "mlp-ring-2"):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("of 8 modes found") == 1  # rank 0 speaks, the other is silent
        about = json.loads((tmp_path / "runs" / name / "about.json").read_text(encoding="utf-8"))
        assert about["world"] == 2
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["mlp-ring", "mlp-ring-2"]


def test_import_is_light_and_writes_nothing(tmp_path):
    code = """
import sys, time, torch
torch_modules = set(sys.modules)
start = time.perf_counter()
import ganlab
seconds = time.perf_counter() - start
heavy = {"matplotlib", "torchvision", "PIL", "tqdm"} & (set(sys.modules) - torch_modules)
print(seconds, sorted(heavy))
"""
    home = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
        env=home,
        encoding="utf-8",
    )
    seconds, heavy = done.stdout.split(maxsplit=1)
    assert float(seconds) < 0.3
    assert heavy.strip() == "[]"
    assert not list(tmp_path.iterdir())


def test_sampling_is_reproducible(tmp_path):
    from ganlab.runs import Run

    assert cli.main(["train", "dcgan-glyphs", "--steps", "2", "--no-score", *QUICK]) == 0
    run = Run(tmp_path / "runs" / "dcgan-glyphs")
    assert torch.equal(run.sample(5, seed=3), run.sample(5, seed=3))
    assert not torch.equal(run.sample(5, seed=3), run.sample(5, seed=4))
    assert run.sample(5).abs().max() <= 1
