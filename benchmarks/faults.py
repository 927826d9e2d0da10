"""What becomes of a training that is killed, crashes, meets a full disk or another process.

    python benchmarks/faults.py --jobs 2                      all, minutes on two idle cores
    python benchmarks/faults.py --kills 5 --points 10 --disks 3 --dirty
    python benchmarks/faults.py --kills 0 --points 0 --doubles 0
    python benchmarks/faults.py --list                        every case but the kills, by name

Four kinds of cases, each a training of a second (`mlp-ring`, 20 steps, a checkpoint every 2) or
a command on what it left:

    kills      SIGKILL at a random moment, resumed, killed again, until the run is whole
    points     the process dies before, halfway through or after one file operation, or the
               machine does (what was not flushed is lost); the operations are those that an
               undisturbed training was seen to perform: none is listed by hand
    disks      the disk is full from some write on: a tmpfs of 12 MB that is really filled, or,
               where none may be mounted, writes that are refused as a full disk refuses them
    doubles    two trainings that want one folder

After each fault the run is resumed and must be, bit for bit, one that nothing happened to:
recipe, log, samples, checkpoints, weights, scores; no file more, but perhaps a checkpoint older
than the two that a run keeps. Measured times are left out.
A full disk must be one line on stderr, the exit status that `ganlab --help` promises, and no
partial file.

The result is written after each case to `faults-DATE-cpu-1-threads.json`; the same command again
goes on where it was broken off, and --fresh begins again. Exit status: 0 all as promised, 1 not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
#: What must agree for a result to be gone on with.
SAME = ("commit", "torch", "ganlab", "threads", "seed", "asked")
KINDS = {"kills": 100, "points": 120, "disks": 12, "doubles": 3}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for kind, usual in KINDS.items():
        parser.add_argument(f"--{kind}", type=int, default=usual, metavar="N", help=f"({usual})")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="workers side by side (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of moments and points (default: 0)")
    parser.add_argument("--fresh", action="store_true", help="begin again, whatever is done")
    parser.add_argument("--dirty", action="store_true", help="from changed code, to try it out")
    parser.add_argument("--list", action="store_true", help="show the cases and end")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results", help="(benchmarks/results)"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "faults", help="(runs/faults)")
    args = parser.parse_args(argv)
    for kind in KINDS:
        if getattr(args, kind) < 0:
            parser.error(f"--{kind} must be 0 or more, not {getattr(args, kind)}")
    if args.jobs < 1:
        parser.error(f"--jobs must be 1 or more, not {args.jobs}")
    return args


def begun(args: argparse.Namespace, meta: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The file of the result, and what it holds: one of the same code and wishes is gone on with.

    Its date is that of its begin.
    """
    tail = f"cpu-{meta['threads']}-threads.json"
    for path in sorted(args.out.glob(f"faults-*-{tail}"), reverse=True):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not args.fresh and all(found.get(key) == meta[key] for key in SAME):
            return path, found
    return args.out / f"faults-{meta['date']}-{tail}", meta | {"cases": {}}


@dataclass
class Place:
    """Where one worker plays.

    Attributes:
        work: its folder.
        wanted: contents of the undisturbed run.
        ready: that run.
        kills: what kills trainings there.
    """

    work: Path
    wanted: dict[str, str]
    ready: Path
    kills: Any


Play = Callable[[Place], dict[str, Any]]


def cases(args: argparse.Namespace, work: Path) -> list[tuple[str, Play]]:
    """Names of all cases that are asked for, and what plays them."""
    from faults_cases import DOUBLES, crash, points
    from faults_disks import DISKS, full_disk

    def twice(double: Any, at: Place) -> dict[str, Any]:
        return double(at.work, at.wanted)  # type: ignore[no-any-return]

    def full(disk: Any, at: Place) -> dict[str, Any]:
        return full_disk(at.work, at.wanted, at.ready, disk)

    def crashed(point: Any, at: Place) -> dict[str, Any]:
        return crash(at.work, at.wanted, point)

    found: list[tuple[str, Play]] = []
    for i, double in enumerate(DOUBLES[: args.doubles], 1):
        found.append((f"double-{i}", partial(twice, double)))
    for i, disk in enumerate(DISKS[: args.disks], 1):
        found.append((f"disk-{i:02d}", partial(full, disk)))
    for i, point in enumerate(points(work, args.points, args.seed) if args.points else (), 1):
        found.append((f"point-{i:03d}", partial(crashed, point)))
    found += [(f"kill-{i:03d}", lambda at: at.kills.next()) for i in range(1, args.kills + 1)]
    return found


def worker(place: Place, mine: list[tuple[str, Play]]) -> int:
    """Fork a process that plays some cases, one after the other; returns its number.

    It writes a line of JSON for each to `cases.jsonl`. The run that it kills last is resumed to
    its end.
    """
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        last = next((name for name, _ in reversed(mine) if name.startswith("kill-")), None)
        with open(place.work / "cases.jsonl", "a", encoding="utf-8") as file:
            for name, play in mine:
                found = place.kills.last_kill() if name == last else play(place)
                print(json.dumps([name, found]), file=file, flush=True)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def played(places: list[Place], workers: list[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Cases as the workers end them.

    Raises:
        SystemExit: a worker failed, which is a fault of this benchmark.
    """
    read, alive = [0] * len(places), set(workers)
    while True:
        over = not alive
        for i, place in enumerate(places):
            path = place.work / "cases.jsonl"
            text = path.read_bytes()[read[i] :] if path.exists() else b""
            text = text[: text.rfind(b"\n") + 1]  # a line that is not whole is read next time
            read[i] += len(text)
            yield from (tuple(json.loads(line)) for line in text.splitlines())
        if over:
            return
        time.sleep(0.1)
        for number in list(alive):
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                alive.remove(number)
                if status:
                    raise SystemExit("a worker failed: see above")


def summary(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Cases and faults of each kind, and the kills by what they met."""
    counts: dict[str, Any] = {}
    for kind in KINDS:
        mine = [case for name, case in found.items() if name.startswith(kind[:-1] + "-")]
        counts[kind] = {"cases": len(mine), "faults": sum(bool(case["fault"]) for case in mine)}
        if kind == "kills":
            met: dict[str, int] = {}
            for case in mine:
                met[case["what"]] = met.get(case["what"], 0) + 1
            counts[kind]["met"] = dict(sorted(met.items()))
    return counts


def main(argv: list[str] | None = None) -> int:
    """Play the cases; 1 if one did not go as promised, else 0."""
    args = arguments(argv)
    import faults_stage as stage
    import publish
    from faults_cases import Kills

    from ganlab import progress
    from ganlab.files import write_json

    if args.list:
        return listing(args)
    publish.clean(args.dirty)
    asked = {kind: getattr(args, kind) for kind in KINDS}
    meta = publish.machine() | {
        "python": platform.python_version(),
        "system": platform.system(),
        "seed": args.seed,
        "asked": asked,
        "recipe": list(stage.RECIPE),
        "minutes": 0.0,
        "counts": {},
    }
    path, result = begun(args, meta)
    work = args.work / str(os.getpid())
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    stage.ready()
    before, began = result["minutes"], time.monotonic()
    workers: list[int] = []
    try:
        wanted = stage.undisturbed(work / "undisturbed")
        todo = [case for case in cases(args, work) if case[0] not in result["cases"]]
        places = [
            Place(home, wanted, work / "undisturbed", Kills(home, wanted, args.seed * 1000 + i))
            for i in range(args.jobs)
            for home in [work / f"worker-{i}"]
        ]
        for place in places:
            place.work.mkdir()
        workers = [worker(place, todo[i :: args.jobs]) for i, place in enumerate(places)]
        with progress.bar(sum(asked.values()), "faults", "case", len(result["cases"])) as bar:
            for name, case in played(places, workers):
                result["cases"][name] = case
                result["cases"] = dict(sorted(result["cases"].items()))
                result["minutes"] = round(before + (time.monotonic() - began) / 60, 1)
                result["counts"] = summary(result["cases"])
                write_json(path, result)
                if case["fault"]:
                    bar.write(f"{name}: {case['what']}: {case['fault']}", file=sys.stderr)
                bar.update()
    finally:
        stop(workers)
        shutil.rmtree(work, ignore_errors=True)
    for kind, count in result["counts"].items():
        print(f"{kind}: {count['cases']}, faults: {count['faults']}")
    print(path)
    return int(any(count["faults"] for count in result["counts"].values()))


def stop(workers: list[int]) -> None:
    """End the workers that still play."""
    for number in workers:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(number, os.WNOHANG)[0] == 0:
                os.kill(number, signal.SIGTERM)
                os.waitpid(number, 0)


def listing(args: argparse.Namespace) -> int:
    """What there is to play; the points are those of a training that is watched for it."""
    import faults_stage as stage
    from faults_cases import DOUBLES, points
    from faults_disks import DISKS

    args.work.mkdir(parents=True, exist_ok=True)
    stage.ready()
    for double in DOUBLES[: args.doubles]:
        print(f"double  {double.__doc__}")
    for disk in DISKS[: args.disks]:
        print(f"disk    {disk.when}: exit {disk.status}, says '{disk.says}'")
    for at, moment in points(args.work, args.points, args.seed) if args.points else ():
        print(f"point   {moment} {at.kind} {at.name}, number {at.nth}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
