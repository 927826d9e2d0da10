"""What happens to a run when something breaks: a handful of each kind that faults.py plays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import reliability_page
from faults_probe import DEAD, Operation, plain

import ganlab
from ganlab import cli, files
from ganlab.errors import FileError
from ganlab.runs import stored
from ganlab.training import checkpoint

ROOT = Path(__file__).resolve().parents[1]
FAULTS = str(ROOT / "benchmarks" / "faults.py")
SMALL = {"steps": 4, "batch": 8, "log_every": 2, "checkpoint_every": 2, "sample_every": 0}
ASKED = {"kills": 2, "points": 6, "disks": 3, "doubles": 3}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """The result of a few cases, played by a process of its own."""
    out = tmp_path_factory.mktemp("faults")
    counts = [word for kind, n in ASKED.items() for word in (f"--{kind}", str(n))]
    command = [sys.executable, FAULTS, "--dirty", "--out", str(out), "--work", str(out / "work")]
    done = subprocess.run(
        [*command, *counts], check=False, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("faults-*.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ASKED)
def test_no_fault_does_harm(result, kind):
    assert result["counts"][kind]["cases"] == ASKED[kind]
    mine = [case for name, case in result["cases"].items() if name.startswith(kind[:-1])]
    assert [case for case in mine if case["fault"]] == []


def test_a_result_tells_how_it_was_made(result):
    assert {"date", "commit", "torch", "python", "system", "seed", "recipe"} <= result.keys()
    assert "| killed at a random moment and resumed | 2 | 2 |" in reliability_page.measured(result)


def test_a_fault_that_was_found_stands_on_the_page(result):
    case = {"what": "before write x", "nth": 1, "fault": "x other"}
    found = result | {"cases": result["cases"] | {"point-999": case}}
    assert "* before write x: x other" in reliability_page.measured(found)


def test_the_page_says_what_was_measured():
    text = reliability_page.PAGE.read_text(encoding="utf-8")
    found = json.loads(reliability_page.newest().read_text(encoding="utf-8"))
    assert text == reliability_page.page(text, found), "run: make results"


def test_the_page_lists_the_exit_statuses():
    text = reliability_page.PAGE.read_text(encoding="utf-8")
    for status in (0, 2, 3, 70, 130):
        assert f"\n| {status} | " in text


# ---- the probe itself: a benchmark that sees nothing would find nothing ----

PROBED = """
import os, sys
sys.path.insert(0, {benchmarks!r})
from faults_probe import Operation, Probe
from pathlib import Path
root = Path({root!r})
probe = Probe(root, {options}).install()
with open(root / "a", "w", encoding="utf-8") as file:
    file.write("whole")
os.replace(root / "a", root / "b")
os.mkdir(root / "c")
print([(x.kind, x.name) for x in probe.seen])
"""


def probed(root: Path, options: str = "") -> subprocess.CompletedProcess:
    code = PROBED.format(benchmarks=str(ROOT / "benchmarks"), root=str(root), options=options)
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, encoding="utf-8"
    )


def test_a_probe_sees_every_operation(tmp_path):
    done = probed(tmp_path)
    assert done.stdout.strip() == "[('write', 'a'), ('replace', 'b'), ('mkdir', 'c')]"


@pytest.mark.parametrize(
    ("at", "moment", "left"),
    [
        (Operation("write", "a", 1), "before", {"a": ""}),
        (Operation("write", "a", 1), "middle", {"a": "wh"}),
        (Operation("write", "a", 1), "after", {"a": "whole"}),
        (Operation("replace", "b", 1), "before", {"a": "whole"}),
        (Operation("replace", "b", 1), "after", {"b": "whole"}),
        (Operation("replace", "b", 1), "power", {"b": ""}),  # moved, and never flushed
    ],
)
def test_a_probe_ends_the_process_where_it_is_told(tmp_path, at, moment, left):
    done = probed(tmp_path, f"{at!r}, {moment!r}")
    assert done.returncode == DEAD, done.stderr
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == left


def test_a_probe_refuses_writes_as_a_full_disk_does(tmp_path):
    done = probed(tmp_path, "full='^a$'")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_names_are_alike_from_process_to_process():
    assert plain("checkpoints/.77-0a1b2c3d.partial.step-00000012.pt") == (
        "checkpoints/partial step-N.pt"
    )


# ---- what the benchmark and hostile commands have found ----


@pytest.fixture
def run(tmp_path):
    ganlab.train("mlp-ring", tmp_path / "run", device="cpu", evaluate=False, **SMALL)
    return tmp_path / "run"


def test_what_a_killed_process_began_is_removed_by_the_next_write(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()  # of that number there is none any more
    mine, host = os.getpid(), files._HOST
    dead = tmp_path / f".{child.pid}-{host}.partial.recipe.json"
    others = [
        tmp_path / f".{mine}-{host}.partial.grid.png",  # of a process that lives
        tmp_path / f".{child.pid}-00000000.partial.grid.png",  # of another machine
        tmp_path / f".{child.pid}.partial",
    ]
    for path in (dead, *others):
        path.write_bytes(b"half")
    files.write_text(tmp_path / "a.txt", "whole")
    assert not dead.exists()
    assert all(path.exists() for path in others)


def test_a_refusal_names_the_file_that_was_asked_for(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with files.replacing(tmp_path / "a.st") as partial:
        with pytest.raises(FileError, match=r"/a\.st cannot be written \(no space left"):
            files.write_bytes(partial, b"x")
        partial.touch()


def test_a_checkpoint_is_written_after_the_log_is_safe(run, monkeypatch):
    order = []
    real, flush = checkpoint.write, files.flush
    monkeypatch.setattr(checkpoint, "write", lambda *a: order.append("state") or real(*a))
    monkeypatch.setattr(checkpoint, "flush", lambda p: order.append(p.name) or flush(p))
    checkpoint.save({"step": 6}, run / "checkpoints", 6)
    assert order == ["log.jsonl", "state"]


def test_checkpoints_that_cannot_be_read_are_not_taken_for_none(run, monkeypatch):
    """Resuming began again from the first round, and emptied the log."""
    before = (run / "log.jsonl").read_bytes()
    real = os.listdir

    def refused(path="."):
        if Path(path).name == "checkpoints":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(checkpoint.os, "listdir", refused)
    with pytest.raises(FileError, match=r"checkpoints cannot be read \(permission denied\)"):
        ganlab.train("mlp-ring", run, device="cpu", resume=True, **SMALL | {"steps": 6})
    assert (run / "log.jsonl").read_bytes() == before


def test_a_run_that_cannot_be_looked_at_is_not_called_none(run, monkeypatch):
    def refused(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ganlab.runs.run.os.stat", refused)
    with pytest.raises(FileError, match=r"recipe\.json cannot be read \(permission denied\)"):
        ganlab.Run(run)


def test_weights_that_may_not_be_read_are_not_called_missing(run, monkeypatch):
    def refused(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(FileError, match="permission denied"):
        stored.weights(run / "generator.safetensors")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_whose_name_is_no_utf8_holds_a_run(run):
    """Its weights were called damaged, after the whole training."""
    odd = run.rename(run.with_name("a\udcff"))
    assert ganlab.Run(odd).sample(3).shape == (3, 2)


DEEP = {"deep": "[" * 200_000, "a long number": '{"step": ' + "9" * 6000 + "}"}


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("name", ["recipe.json", "about.json"])
def test_json_that_no_reader_ends_is_damage(run, capsys, kind, name):
    (run / name).write_text(DEEP[kind], encoding="utf-8")
    assert cli.main(["sample", str(run)]) == 2 or name == "about.json"
    assert cli.main(["train", "mlp-ring", "--out", str(run), "--resume"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert all(f"{name} is damaged" in x for x in said if x.startswith("ganlab:")), said


@pytest.mark.parametrize("words", [["sample"], ["evaluate"]])
def test_a_loop_of_links_is_one_line(run, capsys, words):
    name = "grid.png" if words == ["sample"] else "scores.json"
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(name)
    assert cli.main([*words, str(run)]) == 2
    assert "too many levels of symbolic links" in capsys.readouterr().err


def test_the_advice_of_the_page_mends_a_run(run):
    """Delete what is damaged and resume."""
    weights = (run / "generator.safetensors").read_bytes()
    (run / "generator.safetensors").write_bytes(b"damaged")
    newest = checkpoint.latest(run / "checkpoints")
    newest.write_bytes(b"damaged")
    (run / "generator.safetensors").unlink()
    newest.unlink()
    ganlab.train("mlp-ring", run, device="cpu", resume=True, evaluate=False, **SMALL)
    assert (run / "generator.safetensors").read_bytes() == weights
    assert len(ganlab.Run(run).log) == 2
