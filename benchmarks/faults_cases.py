"""The cases of `faults.py`: kills, crash points and double starts.

Each function plays one case in a folder of its own and returns what it was and what came of it;
`fault` is empty if everything was as promised.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from faults_probe import DEAD, MOMENTS, USUAL, Operation, Probe
from faults_stage import RECIPE, Child, contents, differing, finish, partials

from ganlab.training import checkpoint

Case = dict[str, Any]


# ---- kills ----


def doing(run: Path) -> str:
    """What a killed process was at, by what it left."""
    begun = partials(run)
    if any(x.startswith("checkpoints") for x in begun):
        return "writing a checkpoint"
    if begun:
        return "writing another file"
    if (run / "generator.safetensors").exists():
        return "ending"
    return "training" if (run / "samples").is_dir() else "starting"


class Kills:
    """A training that is killed at a random moment and resumed, over and over, run after run.

    The first one is left alone, so that it is known how long one takes on this machine now.

    Args:
        work: for its runs.
        wanted: contents of the undisturbed run.
        seed: of the moments.
    """

    def __init__(self, work: Path, wanted: dict[str, str], seed: int) -> None:
        self.work, self.wanted, self.moments = work, wanted, random.Random(seed)
        self.number, self.whole = 0, 0
        self.length = 0.0  # seconds that a run takes, known once one has come to its end
        self._new()

    def _new(self) -> None:
        self.number += 1
        self.run = self.work / f"kills-{self.number}"
        shutil.rmtree(self.run, ignore_errors=True)

    def next(self) -> Case:
        """One kill; a run that reaches its end before is compared, and the next one is begun."""
        while True:
            words = ["train", *RECIPE, "--out", self.run]
            resumed = (self.run / "recipe.json").exists()
            child = Child([*words, "--resume"] if resumed else words, self.work / "said.txt")
            moment = self.moments.uniform(0, self.length) if self.length else math.inf
            while not child.over() and time.monotonic() - child.began < moment:
                time.sleep(0.002)
            if child.status is None:
                child.kill()
                if child.status == -signal.SIGKILL:
                    break
            fault = self._ended(child, resumed)
            if fault:
                self._new()
                return {"what": "a run that was to be resumed", "fault": fault}
        saved = checkpoint.latest(self.run / "checkpoints")
        step = int(saved.stem.removeprefix("step-")) if saved else 0
        return {"what": doing(self.run), "step": step, "run": self.number, "fault": ""}

    def _ended(self, child: Child, resumed: bool) -> str:
        """What is wrong with a run that came to its end; how long one takes is learned."""
        if child.status != 0:
            return f"exit {child.status}: {(child.errors() or child.lines() or [''])[-1]}"
        took = time.monotonic() - child.began
        if not resumed:  # the rest of a run is shorter
            self.length = 0.5 * (self.length or took) + 0.5 * took
        fault = "; ".join(differing(contents(self.run), self.wanted))
        self.whole += 1
        if not fault:
            shutil.rmtree(self.run)
        self._new()
        return fault

    def last_kill(self) -> Case:
        """One kill more, after which the run is resumed to its end."""
        found = self.next()
        fault = finish(self.run, self.work / "said.txt", self.wanted) if self.run.exists() else ""
        return found | {"fault": found["fault"] or fault}


# ---- crash points ----


class Point(NamedTuple):
    """An operation at which a process dies, and the moment of it."""

    at: Operation
    moment: str


def points(work: Path, count: int, seed: int) -> list[Point]:
    """Where a training may die: each kind of operation on each file, each moment of it.

    They are not listed by hand: a training is watched, and every operation that it performs on
    its run is one. First comes one of each kind, file and moment; if more are asked for, others
    of the same, which a seed chooses.
    """
    run = work / "watched"
    shutil.rmtree(run, ignore_errors=True)
    child = Child(["train", *RECIPE, "--out", run], work / "watched.txt", lambda: Probe(run))
    if child.wait() != 0:
        raise SystemExit(f"a training that was only watched failed: {child.lines()[-1:]}")
    groups: dict[tuple[str, str, str], list[Point]] = defaultdict(list)
    for at in child.recorded():
        for moment in MOMENTS.get(at.kind, USUAL):
            groups[at.kind, at.name, moment].append(Point(at, moment))
    dice = random.Random(seed)
    for group in groups.values():
        dice.shuffle(group)
    first = [group[0] for group in groups.values()]
    rest = [point for group in groups.values() for point in group[1:]]
    if count < len(first):  # evenly over the life of a run
        return [first[i * len(first) // count] for i in range(count)]
    return first + dice.sample(rest, min(count - len(first), len(rest)))


def crash(work: Path, wanted: dict[str, str], point: Point) -> Case:
    """Let a training die at a point, then resume it."""
    run, said = work / "crash", work / "said.txt"
    shutil.rmtree(run, ignore_errors=True)
    probe = lambda: Probe(run, point.at, point.moment)  # noqa: E731
    child = Child(["train", *RECIPE, "--out", run], said, probe)
    found: Case = {"what": f"{point.moment} {point.at.kind} {point.at.name}", "nth": point.at.nth}
    if child.wait() != DEAD:
        return found | {"fault": f"it did not die there but ended with {child.status}"}
    return found | {"fault": finish(run, said, wanted)}


# ---- double starts ----


def two_in_one(work: Path, wanted: dict[str, str]) -> Case:
    """Two trainings are started into one folder at once: one trains, the other says who does."""
    run = work / "double"
    both = [Child(["train", *RECIPE, "--out", run], work / f"said-{i}.txt") for i in (1, 2)]
    states = sorted(child.wait() for child in both)
    said = [line for child in both if child.status == 2 for line in child.errors()]
    faults = [] if states == [0, 2] else [f"exits {states}"]
    if not any("being trained by process" in line or "already holds" in line for line in said):
        faults.append(f"said {said}")
    faults += differing(contents(run), wanted)
    return {"what": "two into one folder", "says": said[:1], "fault": "; ".join(faults)}


def two_by_default(work: Path, wanted: dict[str, str]) -> Case:
    """Two trainings without --out are started at once: they take two folders."""
    place = work / "default"
    place.mkdir()
    both = [Child(["train", *RECIPE], work / f"said-{i}.txt", None, place) for i in (1, 2)]
    states = [child.wait() for child in both]
    faults = [] if states == [0, 0] else [f"exits {states}"]
    for name in ("mlp-ring", "mlp-ring-2"):
        faults += [f"{name}: {x}" for x in differing(contents(place / "runs" / name), wanted)]
    return {"what": "two without --out", "fault": "; ".join(faults)}


def resumed_while_trained(work: Path, wanted: dict[str, str]) -> Case:
    """A run is resumed while it is still being trained: refused, and the training goes on."""
    run = work / "twice"
    first = Child(["train", *RECIPE, "--out", run], work / "said-1.txt")
    while not first.over() and not (run / "recipe.json").exists():
        time.sleep(0.005)
    os.kill(first.pid, signal.SIGSTOP)  # stopped, so that it cannot end meanwhile
    second = Child(["train", *RECIPE, "--out", run, "--resume"], work / "said-2.txt")
    second.wait()
    os.kill(first.pid, signal.SIGCONT)
    faults = [] if (first.wait(), second.status) == (0, 2) else ["exits"]
    said = second.errors()
    if len(said) != 1 or f"process {first.pid}" not in said[0]:
        faults.append(f"said {said}")
    faults += differing(contents(run), wanted)
    return {"what": "resumed while being trained", "says": said[:1], "fault": "; ".join(faults)}


DOUBLES = (two_in_one, two_by_default, resumed_while_trained)
