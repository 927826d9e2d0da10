"""Around a training: a reader who leaves, a user without a home, places that are not its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ganlab import progress, runs
from ganlab.data import cache
from ganlab.errors import GanlabError
from ganlab.runs import Hold
from ganlab.training import read_log


def test_a_reader_who_leaves_does_not_end_the_training(tmp_path):
    """`ganlab train ... 2>&1 | head` must not lose the training."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "ganlab", "train", "mlp-ring", "--steps", "20",
               "--device", "cpu", "--out", str(tmp_path / "run"), "--no-score",
               "--set", "log_every=2"]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=write, check=False)
    os.close(write)
    assert done.returncode == 0
    assert json.loads((tmp_path / "run" / "about.json").read_text(encoding="utf-8"))
    assert (tmp_path / "run" / "generator.safetensors").is_file()


def test_words_without_a_listener_are_dropped(monkeypatch):
    monkeypatch.delenv("GANLAB_PROGRESS", raising=False)
    monkeypatch.setattr(sys, "stderr", None)  # as after `2>&-`
    assert progress.wanted() is False
    progress.tell("nobody hears this")


def test_a_user_without_a_home_is_told_of_the_cache(monkeypatch):
    def homeless(_name):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("GANLAB_CACHE", raising=False)
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", homeless)
    with pytest.raises(GanlabError, match="set GANLAB_CACHE to a folder"):
        cache.cache_root()


def test_a_run_is_not_put_into_a_folder_above(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for out in ("..", "/", str(tmp_path)):
        before = sorted(os.listdir(out))
        with pytest.raises(GanlabError, match="lies above the working folder"):
            runs.train("mlp-ring", out, steps=1)
        assert sorted(os.listdir(out)) == before


def test_a_pipe_in_place_of_the_holder_does_not_hang(tmp_path):
    hold = Hold(tmp_path)
    (tmp_path / ".holder.json").unlink()
    os.mkfifo(tmp_path / ".holder.json")
    with pytest.raises(GanlabError, match="is being trained by another process"):
        Hold(tmp_path)
    hold.release()


@pytest.mark.parametrize("line", ["[" * 100_000, '{"step": ' + "9" * 6000 + "}", "not json"])
def test_a_damaged_log_line_is_named(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_text(f'{line}\n{{"step": 2}}\n', encoding="utf-8")
    with pytest.raises(GanlabError, match="damaged in line 1"):
        read_log(path)
