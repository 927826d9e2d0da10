"""The full disks of `faults.py`: a small file system that fills up while a command writes to it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from faults_probe import Probe
from faults_stage import RECIPE, STEPS, Child, contents, differing, finish, partials

Case = dict[str, Any]
PICTURES = ("mlp-glyphs", "--steps", "2", "--device", "cpu", "--no-score", "--set", "batch=8",
            "--set", "size=16")  # fmt: skip


class Disk(NamedTuple):
    """A disk that fills up.

    Attributes:
        when: for people.
        full: pattern of the file whose `nth` write finds the disk full.
        words: of the command; RUN is the run's folder on the disk, READY a finished run there.
        status: exit status that is promised.
        says: what a line says.
        nth: of the writes to such a file.
    """

    when: str
    full: str
    words: tuple[str, ...]
    status: int = 2
    says: str = "no space left"
    nth: int = 1


TRAIN = ("train", *RECIPE, "--out", "RUN")
DISKS = (
    Disk("a run begins", "recipe.json", TRAIN),
    Disk("the first grid of samples", "samples/", TRAIN),
    Disk("the first checkpoint", "checkpoints/", TRAIN),
    Disk("a log line", "run/log.jsonl", TRAIN),
    Disk("a later checkpoint", "checkpoints/", TRAIN, nth=STEPS * 12),
    Disk("the weights at the end", "generator.safetensors", TRAIN),
    Disk("the scores at the end", "scores.json", TRAIN),
    Disk("sample, a picture", "drawn.png", ("sample", "READY", "--out", "READY/drawn.png")),
    Disk("sample, an array", "drawn.npz", ("sample", "READY", "-n", "9999", "--out", "drawn.npz")),
    Disk("export", "half.safetensors",
         ("export", "READY", "--to", "safetensors", "--half", "--out", "half.safetensors")),
    Disk("evaluate", "scores.json", ("evaluate", "READY")),
    Disk("the cache of decoded pictures", "decoded/", ("train", *PICTURES, "--data",
         "ELSEWHERE/pictures", "--out", "ELSEWHERE/run"), 0, "decoded into memory and not kept"),
)  # fmt: skip


@contextlib.contextmanager
def tmpfs(place: Path, megabytes: int = 12) -> Iterator[bool]:
    """A small file system of its own at `place`; False if this system does not allow one."""
    place.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
        shutil.rmtree(place, ignore_errors=True)


def ballast(place: Path) -> None:
    """Fill a file system to its last byte."""
    file = os.open(place / "ballast", os.O_CREAT | os.O_WRONLY)
    for size in (1 << 20, 1 << 12, 1):
        with contextlib.suppress(OSError):
            while os.write(file, bytes(size)):
                pass
    os.close(file)


def pictures(folder: Path, count: int = 40) -> Path:
    """A folder of small pictures."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(0)
    for i in range(count):
        Image.frombytes("L", (16, 16), dice.randbytes(256)).save(folder / f"{i}.png")
    return folder


def full_disk(work: Path, wanted: dict[str, str], ready: Path, disk: Disk) -> Case:
    """Run a command whose disk fills up at a moment; then make room and go on.

    Args:
        work: for what is said.
        wanted: contents of the undisturbed run.
        ready: a finished run.
        disk: the case.
    """
    elsewhere = work / "elsewhere"
    shutil.rmtree(elsewhere, ignore_errors=True)
    pictures(elsewhere / "pictures")
    with tmpfs(work / "disk") as mounted:
        return _filled(work, wanted, ready, disk, mounted)


def _filled(work: Path, wanted: dict[str, str], ready: Path, disk: Disk, mounted: bool) -> Case:
    place, elsewhere = work / "disk", work / "elsewhere"
    shutil.copytree(ready, place / "ready")
    before = contents(place / "ready")
    names = {"RUN": "run", "READY": "ready", "ELSEWHERE": str(elsewhere)}
    words = [re.sub("|".join(names), lambda m: names[m[0]], w) for w in disk.words]

    def probe() -> Probe:
        fill = (lambda: ballast(place)) if mounted else None
        return Probe(place, full=disk.full, nth=disk.nth, fill=fill)

    cache = {"GANLAB_CACHE": str(place / "cache")}
    child = Child(words, work / "said.txt", probe, place, **cache)
    child.wait()
    faults = judged(child, disk)
    faults += [f"left {x}" for x in partials(place)]
    (place / "ballast").unlink(missing_ok=True)
    faults += [f"the finished run: {x}" for x in differing(contents(place / "ready"), before)]
    says = (child.errors() or [""])[0].replace(f"{place}/", "").replace(f"{elsewhere}/", "")
    if disk.words is TRAIN:
        faults += filter(None, [finish(place / "run", work / "said.txt", wanted)])
    elif disk.status:
        again = Child(words, work / "said.txt", None, place)
        if again.wait() != 0:
            faults.append(f"with room again: exit {again.status}")
    on = "tmpfs" if mounted else "refused writes"
    return {"what": disk.when, "disk": on, "says": says, "fault": "; ".join(faults)}


def judged(child: Child, disk: Disk) -> list[str]:
    """What is wrong with how a command ended."""
    said, text = child.errors(), "\n".join(child.lines())
    faults = []
    if child.status != disk.status:
        faults.append(f"exit {child.status}, not {disk.status}")
    if "Traceback" in text:
        faults.append("a traceback")
    if len(said) != 1:
        faults.append(f"{len(said)} lines")
    if not any(disk.says in line for line in said):
        faults.append(f"does not say '{disk.says}'")
    return faults
