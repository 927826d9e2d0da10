"""What `gpu.py` keeps: dated result files, written whole as each item ends, and the clock."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import ganlab

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("checks", "ladder", "trainings")
#: What must agree for a file to be gone on with: results of two machines are no one result.
SAME = ("device", "torch", "commit", "tiny")


class TimeUp(Exception):
    """The clock ran out while an item was at work."""


class Clock:
    """A budget of wall time that nobody may overdraw.

    Args:
        minutes: in all, from `start`.
        start: of `time.monotonic`; by default now.
    """

    def __init__(self, minutes: float, start: float | None = None) -> None:
        self.end = (time.monotonic() if start is None else start) + minutes * 60

    @property
    def left(self) -> float:
        """Seconds, never below 0."""
        return max(0.0, self.end - time.monotonic())

    def part(self, share: float) -> Clock:
        """A clock that stops after `share` of what is left of this one."""
        return Clock(self.left * share / 60)

    @contextlib.contextmanager
    def alarm(self) -> Iterator[None]:
        """Break off with `TimeUp` when the time is over (in a main thread)."""
        if threading.current_thread() is not threading.main_thread() or not self.left:
            yield
            return

        def ring(number: int, frame: Any) -> None:
            raise TimeUp("broken off: the time was over")

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, self.left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def commit() -> str:
    """Of the checkout, or what `pack_gpu.py` noted: where a copy lies there is no history."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                          capture_output=True, text=True, encoding="utf-8")  # fmt: skip
    found = done.stdout.strip()
    noted = Path(os.environ.get("GANLAB_DATA", ".")) / "commit.txt"
    if not found and noted.is_file():
        found = noted.read_text(encoding="utf-8").strip()
    return found or "unknown"


def about(device: torch.device, tiny: bool) -> dict[str, Any]:
    """The machine, the versions and the code that a result was made with."""
    cuda = device.type == "cuda"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "memory_gib": round(torch.cuda.get_device_properties(device).total_memory / 2**30, 1)
        if cuda
        else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "threads": torch.get_num_threads(),
        "ganlab": ganlab.__version__,
        "commit": commit(),
        "tiny": tiny,
    }


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


class Store:
    """The results of one part: a file here, and the same one in the folder that is handed on.

    Args:
        part: one of `PARTS`.
        work: the folder that stays on the machine between two calls.
        out: the folder for the results; it may be emptied before each call.
        meta: from `about`.
        fresh: begin again, whatever is there.

    The file's name is `gpu-PART-DATE-DEVICE.json`. One of the same device, commit and versions
    is gone on with, from `work` first, whatever its date.
    """

    def __init__(
        self, part: str, work: Path, out: Path, meta: dict[str, Any], fresh: bool = False
    ) -> None:
        slug = re.sub(r"[^a-z0-9]+", "-", meta["device"].lower()).strip("-")
        tiny = "-tiny" if meta["tiny"] else ""
        name = f"gpu-{part}-{meta['date']}-{slug}{tiny}.json"
        self.result: dict[str, Any] = {"part": part, **meta, "items": {}}
        for folder in () if fresh else (out, work):
            for path in sorted(folder.glob(f"gpu-{part}-*-{slug}{tiny}.json")):
                found = json.loads(path.read_text(encoding="utf-8"))
                if all(found.get(key) == meta[key] for key in SAME):
                    self.result, name = found, path.name
        self.paths = [work / name, out / name]
        if self.items:
            self.save()  # the other folder may have lost it

    @property
    def items(self) -> dict[str, Any]:
        """name -> what was found."""
        return self.result["items"]

    def done(self, name: str) -> bool:
        """Whether an item has come to a good end; what failed or ran out of time has not."""
        found = self.items.get(name, {})
        return bool(found.get("done")) and found.get("passed") is not False

    def put(self, name: str, found: dict[str, Any]) -> None:
        """Keep what was found and write the file."""
        self.items[name] = found
        self.save()

    def save(self) -> None:
        """Write both files."""
        for path in self.paths:
            write(path, self.result)


def wait(device: torch.device) -> None:
    """Until the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def medians(
    runs: Mapping[str, Callable[[], Any]], device: torch.device, rounds: int, repeats: int
) -> dict[str, float]:
    """name -> median seconds of a call, timed in turn so that all meet the same machine.

    Args:
        runs: each is called `rounds` times in a row; one call before that warms up.
        device: is waited for before the clock is read.
        rounds, repeats: the median is of `repeats` times.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            run()
            wait(device)
            start = time.perf_counter()
            for _ in range(rounds):
                run()
            wait(device)
            times[name].append((time.perf_counter() - start) / rounds)
    return {name: statistics.median(values) for name, values in times.items()}


def say(line: str) -> None:
    """A line of progress, at once."""
    print(line, flush=True)


def reason(error: BaseException) -> str:
    """An error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
