"""Where `faults.py` plays: processes that cost little, and what an undisturbed run leaves.

This process imports all that a training needs and never computes anything; a child that is forked
from it runs the command line as `python -m ganlab` does, without the seconds of importing.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: one thread gives the same bits

import matplotlib.backends.backend_agg  # noqa: F401
import torch
import torch._dynamo  # what an optimizer imports when it is made
from faults_probe import Operation, Probe
from PIL import Image

import ganlab
from ganlab import cli, metrics, runs  # noqa: F401
from ganlab.training import checkpoint

torch.set_num_threads(1)
Image.init()

STEPS = 20
#: A training of a second that writes everything a run can hold, checkpoints of 1 MB most often.
RECIPE = (
    "mlp-ring", "--steps", str(STEPS), "--device", "cpu", "--set", "batch=8",
    "--set", "checkpoint_every=2", "--set", "log_every=5", "--set", "sample_every=10",
)  # fmt: skip
#: Measured times: all else in a log line or a checkpoint is decided by recipe and seed.
CLOCKS = ("images_per_second", "ideal", "seconds")


class Child:
    """A forked process that runs one command of ganlab.

    Args:
        words: of the command line.
        said: a file for what it prints.
        probe: made in the child and installed there, if given.
        where: its working folder.
        env: variables of its environment.
    """

    def __init__(
        self,
        words: Sequence[Any],
        said: Path,
        probe: Callable[[], Probe] | None = None,
        where: Path | None = None,
        **env: str,
    ) -> None:
        self.said, self.began = said, time.monotonic()
        self.status: int | None = None
        said.parent.mkdir(parents=True, exist_ok=True)
        self.operations = said.with_suffix(".operations")
        self.pid = os.fork()
        if self.pid == 0:
            self._run([str(w) for w in words], probe, where, env)

    def _run(self, words: list[str], probe: Any, where: Any, env: dict[str, str]) -> None:
        """The child's whole life."""
        status = 70
        try:
            out = os.open(self.said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
            os.dup2(out, 1), os.dup2(out, 2)
            os.environ.update({"GANLAB_PROGRESS": "0", **env})
            if where is not None:
                os.chdir(where)
            watch = probe().install() if probe is not None else None
            status = cli.main(words)
            if watch is not None:
                seen = [list(x) for x in watch.seen]
                self.operations.write_text(json.dumps(seen), encoding="utf-8")
            sys.stdout.flush(), sys.stderr.flush()
        finally:
            os._exit(status)

    def over(self) -> bool:
        """Whether it has ended; its status is known then (negative: the signal that ended it)."""
        if self.status is None:
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(code)
        return self.status is not None

    def wait(self, most: float = 300.0) -> int:
        """Its exit status; one that hangs for `most` seconds is killed."""
        end = time.monotonic() + most
        while not self.over():
            if time.monotonic() > end:
                self.kill()
            time.sleep(0.005)
        assert self.status is not None
        return self.status

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if not self.over():
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def lines(self) -> list[str]:
        """What it printed."""
        return self.said.read_text(encoding="utf-8", errors="replace").splitlines()

    def errors(self) -> list[str]:
        """Its lines for people: what it was told to say on stderr about trouble."""
        return [x for x in self.lines() if x.startswith("ganlab:")]

    def recorded(self) -> list[Operation]:
        """The operations that its probe has seen."""
        return [Operation(*x) for x in json.loads(self.operations.read_text(encoding="utf-8"))]


def ready() -> None:
    """Once before the first fork: memory that is never looked at again is never copied."""
    gc.collect()
    gc.freeze()


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """A log record without what a clock has measured."""
    return {k: v for k, v in record.items() if k not in CLOCKS}


def contents(run: Path) -> dict[str, str]:
    """Of each file of a run a digest of its bytes; of logs and checkpoints without measured times.

    A checkpoint is also proved by its own checksum. Locks are no content, and neither is a
    checkpoint older than those that a run keeps: one that dies between writing the newest and
    deleting it leaves it until the next is written.
    """
    found = {}
    older = checkpoint.kept(run / "checkpoints")[: -checkpoint.KEEP]
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        name = path.relative_to(run).as_posix()
        if name == ".lock" or path in older:
            continue
        if path.suffix == ".pt" and not path.name.startswith("."):
            state = checkpoint.read(path)
            found[name] = checkpoint.fingerprint(timeless(state))
        elif name == "log.jsonl":
            rows = [timeless(json.loads(x)) for x in path.read_text(encoding="utf-8").splitlines()]
            found[name] = digest(json.dumps(rows))
        elif name == "about.json":
            about = json.loads(path.read_text(encoding="utf-8"))
            found[name] = digest(json.dumps({k: v for k, v in about.items() if k != "date"}))
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def undisturbed(folder: Path) -> dict[str, str]:
    """The contents of a run that nothing happened to, by a process of its own, not a fork."""
    env = os.environ | {"GANLAB_PROGRESS": "0"}
    subprocess.run(
        [sys.executable, "-m", "ganlab", "train", *RECIPE, "--out", str(folder)],
        check=True, env=env, capture_output=True, cwd=Path(ganlab.__file__).parents[1],
    )  # fmt: skip
    return contents(folder)


def differing(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """Files that are missing, too many or other than in the undisturbed run."""

    def how(name: str) -> str:
        return "missing" if name not in found else "other" if name in wanted else "too many"

    names = sorted(found.keys() | wanted.keys())
    return [f"{name} {how(name)}" for name in names if found.get(name) != wanted.get(name)]


def partials(folder: Path) -> list[str]:
    """Files in a folder that were begun and not ended."""
    return [str(p.relative_to(folder)) for p in folder.rglob("*.partial*")]


def finish(run: Path, said: Path, wanted: dict[str, str]) -> str:
    """Go on with a run after a fault, as a person would: the first thing that is wrong, or "".

    It is resumed; only if there is nothing yet to resume it is begun in the same folder.
    """
    child = Child(["train", *RECIPE, "--out", run, "--resume"], said)
    if child.wait() == 2 and not (run / "recipe.json").exists():
        child = Child(["train", *RECIPE, "--out", run], said)
        child.wait()
    if child.status != 0:
        return f"not resumed, exit {child.status}: {(child.errors() or child.lines() or [''])[-1]}"
    try:
        return "; ".join(differing(contents(run), wanted))
    except (ganlab.errors.GanlabError, ValueError) as error:
        return f"damaged: {error}"
