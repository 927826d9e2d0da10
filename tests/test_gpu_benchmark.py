"""`benchmarks/gpu.py` and what belongs to it, in small on the CPU."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import gpu
import gpu_checks
import gpu_machine
import gpu_trainings
import pack_gpu
import publish
import pytest
import torch
from gpu_kit import Setup, Verdict, apart
from gpu_store import Clock, Store
from PIL import Image

from ganlab import runs
from ganlab.data import load

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
META = {"device": "A Card 9", "torch": "2", "commit": "abc", "tiny": True, "date": "2026-01-02"}
QUICK = ["fused-adam", "modulation", "streams-resume"]


def play(tmp_path: Path, *words: str) -> int:
    folders = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    return gpu.main(["--tiny", "--device", "cpu", *folders, *words])


def read(folder: Path, part: str) -> dict:
    (path,) = folder.glob(f"gpu-{part}-*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_checks_measure_and_a_second_call_skips_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpu_checks, "CHECKS", {k: gpu_checks.CHECKS[k] for k in QUICK})
    assert play(tmp_path, "--only", "checks", "--minutes", "1") == 0
    found = read(tmp_path / "out", "checks")
    assert found["device"] == "cpu"
    assert found["torch"] == torch.__version__
    assert list(found["items"]) == QUICK
    for one in found["items"].values():
        assert one["passed"]
        assert one["difference"] <= one["allowed"]
        assert one["seconds"] >= 0
    # The folder for results is emptied between two calls on a lent machine.
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    capsys.readouterr()
    assert play(tmp_path, "--only", "checks", "--minutes", "1") == 0
    assert capsys.readouterr().out.count(": done") == len(QUICK)
    assert read(tmp_path / "out", "checks") == found


def test_a_check_that_fails_stops_nothing_and_is_tried_again(tmp_path, capsys, monkeypatch):
    tries = []

    def broken(setup: Setup) -> Verdict:
        """Never works."""
        tries.append(1)
        raise RuntimeError("no such\nkernel")

    def wrong(setup: Setup) -> Verdict:
        """Differs without bound."""
        return Verdict(apart(torch.ones(2), torch.tensor([1.0, float("nan")])), 0.1)

    table = {"broken": broken, "wrong": wrong, "fused-adam": gpu_checks.CHECKS["fused-adam"]}
    monkeypatch.setattr(gpu_checks, "CHECKS", table)
    for _ in range(2):
        assert play(tmp_path, "--only", "checks", "--minutes", "1") == 1
        assert "FAILED: broken, wrong" in capsys.readouterr().out
    items = read(tmp_path / "out", "checks")["items"]
    assert items["broken"]["error"] == "RuntimeError: no such kernel"
    assert items["wrong"]["difference"] is None
    assert items["fused-adam"]["passed"]
    assert len(tries) == 2


def test_differences_are_relative_to_the_largest_value():
    assert apart(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 4.0])) == 0.25
    assert apart([torch.ones(3)], [torch.ones(3)]) == 0


def test_the_ladder_is_timed_against_the_textbook(tmp_path):
    assert play(tmp_path, "--only", "ladder", "--minutes", "1") == 0
    case = read(tmp_path / "out", "ladder")["items"]["mlp"]
    ratios, seconds = case["ratio_to_textbook"], case["seconds_per_round"]
    assert not case["failed"]
    assert ratios["textbook, data on the device"] == 1
    assert list(ratios)[:5] == ["textbook", "textbook, data on the device", "fp32", "tf32", "bf16"]
    expected = seconds["textbook, data on the device"] / seconds["fp32"]
    assert ratios["fp32"] == pytest.approx(expected, rel=0.01)
    assert case["precision"]["bf16"] == "bf16"
    assert case["ideal"]["recipe as shipped"] > 0


def test_a_training_ends_at_the_clock_and_goes_on(tmp_path):
    (one,) = gpu_trainings.TINY
    folder = tmp_path / one.name
    first = gpu_trainings.play(one, folder, CPU, Clock(1), rounds=2)
    assert (first["step"], first["done"], first["resumed"]) == (2, False, False)
    assert sorted(p.name for p in (folder / "checkpoints").iterdir())[-1] == "step-00000002.pt"
    ended = gpu_trainings.play(one, folder, CPU, Clock(0))  # no time: one log line more
    assert (ended["step"], ended["done"], ended["resumed"]) == (4, False, True)
    again = gpu_trainings.play(one, folder, CPU, Clock(1))
    assert (again["step"], again["done"]) == (6, True)
    straight = tmp_path / "straight"
    gpu_trainings.play(one, straight, CPU, Clock(1))
    weights = [runs.Run(f).generator().state_dict() for f in (folder, straight)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[1])


def test_a_training_is_handed_on_and_published(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_trainings, "evaluate", lambda folder: {"frechet": 1.0})
    assert play(tmp_path, "--only", "trainings", "--minutes", "1") == 0
    (one,) = gpu_trainings.TINY
    record = read(tmp_path / "out", "trainings")
    assert record["items"][one.name]["scores"] == {"frechet": 1.0}
    with tarfile.open(tmp_path / "out" / f"{one.name}.tar") as tar:
        names = {Path(n).relative_to(one.name).as_posix() for n in tar.getnames()}
    assert {"recipe.json", "log.jsonl", "grid.png", "generator.safetensors"} <= names
    assert not any(n.startswith("checkpoints") for n in names)
    monkeypatch.setattr(runs.Run, "evaluate", lambda self: {})
    written = publish.take(tmp_path / "out", tmp_path / "records", tmp_path / "book")
    assert written[-1] == tmp_path / "book" / one.name
    stored = json.loads((written[-1] / "results.json").read_text(encoding="utf-8"))
    assert stored["commit"] == record["commit"]
    assert stored["runs"][0]["curves"]["step"] == [2, 4, 6]
    assert (written[-1] / "progress.png").is_file()
    with pytest.raises(SystemExit, match=r"holds no gpu-\*\.json"):
        publish.take(tmp_path / "book")


def test_the_budget_is_held(tmp_path, capsys):
    assert play(tmp_path, "--minutes", "0.0001") == 0
    out = capsys.readouterr().out
    assert "fused-adam: left out" in out
    assert "mlp: left out, it may take 1 s and 0 s are left" in out
    assert "not begun" in out
    assert not list((tmp_path / "out").glob("*"))
    with pytest.raises(SystemExit):
        gpu.main(["--minutes", "0"])


def test_an_item_is_broken_off_when_the_time_is_over(tmp_path):
    def slow(name: str) -> dict:
        while True:
            sum(range(1000))

    store = Store("checks", tmp_path / "a", tmp_path / "b", META)
    gpu.items({"slow": 0.0}, store, Clock(0.005), slow)
    assert store.items["slow"]["error"] == "broken off: the time was over"
    assert not store.done("slow")


def test_results_of_another_machine_or_commit_are_not_gone_on_with(tmp_path):
    store = Store("ladder", tmp_path / "work", tmp_path / "out", META)
    store.put("mlp", {"done": True})
    name = "gpu-ladder-2026-01-02-a-card-9-tiny.json"
    assert (tmp_path / "out" / name).read_text(encoding="utf-8") == (
        tmp_path / "work" / name
    ).read_text(encoding="utf-8")
    later = META | {"date": "2026-01-03"}
    assert Store("ladder", tmp_path / "work", tmp_path / "out", later).done("mlp")
    for key in ("device", "torch", "commit"):
        other = Store("ladder", tmp_path / "work", tmp_path / "out", META | {key: "x"})
        assert not other.items
    assert not Store("ladder", tmp_path / "work", tmp_path / "out", META, fresh=True).items


def test_the_list_names_every_item(capsys):
    assert gpu.main(["--list"]) == 0
    out = capsys.readouterr().out
    for name in ("compiled-whole", "stylegan2-256", "modern-cifar10-gpu"):
        assert name in out


def packed_set(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    with zipfile.ZipFile(data / "cifar10-jpg.zip", "w") as archive:
        for split in ("train", "test"):
            for i in range(6):
                file = io.BytesIO()
                Image.new("RGB", (32, 32), (40 * i, 9, 9)).save(file, "JPEG")
                archive.writestr(f"{split}/{'cat' if i % 2 else 'dog'}/{i}.jpg", file.getvalue())
    return data


def test_packed_data_are_the_same_pictures(tmp_path, monkeypatch):
    data, out = packed_set(tmp_path), tmp_path / "pack"
    pack_gpu.main([str(out), "--data", str(data), "--set", "cifar10", "--no-wheels", "--alone"])
    before = load("cifar10", root=data)
    monkeypatch.setenv("GANLAB_DATA", str(out))
    assert gpu_machine.prepare() == "unpacked cifar10-jpg.zip"
    assert gpu_machine.prepare() == ""
    assert (out / "cifar10-jpg.zip").is_file()
    after = load("cifar10")
    assert torch.equal(before.images, after.images)
    assert torch.equal(before.labels, after.labels)
    # What was unpacked in a trial must not travel.
    pack_gpu.main([str(out), "--data", str(data), "--set", "cifar10", "--no-wheels", "--alone"])
    assert not (out / "cifar10-jpg.zip").exists()


def test_a_pack_that_is_too_large_is_refused(tmp_path):
    data = packed_set(tmp_path)
    words = [str(tmp_path / "pack"), "--data", str(data), "--set", "cifar10", "--no-wheels"]
    with pytest.raises(SystemExit, match=r"MiB are more than the 0\.0001 MiB that travel"):
        pack_gpu.main([*words, "--alone", "--limit", "0.0001"])
    with pytest.raises(SystemExit, match=r"has no noto-emoji-72\.zip, which emoji is packed from"):
        pack_gpu.main([*words, "--set", "emoji"])
    with pytest.raises(SystemExit, match="is the data folder itself"):
        pack_gpu.main([str(data), *words[1:]])


def test_carried_packages_are_for_this_python():
    here = f"cp3{sys.version_info[1]}"
    assert gpu_machine.fits(f"pydantic_core-2.0-{here}-{here}-manylinux_2_17_x86_64.whl")
    assert gpu_machine.fits("platformdirs-4.0-py3-none-any.whl")
    assert not gpu_machine.fits("pydantic_core-2.0-cp39-cp39-manylinux_2_17_x86_64.whl")


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("GANLAB_DATA", raising=False)
    monkeypatch.setitem(gpu_machine.NEEDS, "no_such_module", "no-such-package")
    with pytest.raises(SystemExit, match="this Python lacks no-such-package: carry them"):
        gpu_machine.prepare()
