"""All that this project wants to know from a GPU, in one command that can be broken off.

    python benchmarks/gpu.py --minutes 10                 checks, ladder, trainings
    python benchmarks/gpu.py --minutes 4 --only checks --only ladder
    python benchmarks/gpu.py --list                       what there is and what it may cost
    python benchmarks/gpu.py --tiny --device cpu          the same in small, to try the script

Three parts, each with a dated file `gpu-PART-DATE-DEVICE.json` that is written as each item ends:

    checks      what must hold on CUDA: results of the CPU, bf16, memory formats, compilation,
                resumed bits, StyleGAN2's forms; difference measured and allowed
    ladder      rounds per second from the textbook loop up: fp32, tf32, bf16, channels-last,
                compile; medians of one process, and the share of the ideal round
    trainings   ganlab runs that end with the clock, scored if there is time, each one `NAME.tar`

The same command again goes on: what is done is skipped, a training resumes its checkpoint. The
budget is held: an item is begun only if its estimated cost is left, and broken off at the end.
A check that failed is tried again; --item plays one again whatever it found.
Files also stay in --work, since the folder for results may be emptied between two calls.

On a machine without network, from a checkout that `pack_gpu.py` has packed data for:

    GANLAB_DATA=runs/pack python3 benchmarks/gpu.py --minutes 9 --out $OUT
    python benchmarks/publish.py gpu FOLDER               here, with what came back
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()
# cuBLAS gives the same bits each time only if it is told so before it starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("GANLAB_PROGRESS", "0")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

PARTS = ("checks", "ladder", "trainings")
#: Share of what is left that a part may take; the trainings have the rest.
SHARES = {"checks": 0.3, "ladder": 0.4, "trainings": 1.0}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    results = Path(os.environ.get("OUT") or ROOT / "benchmarks" / "results")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="budget (default: 10)")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part (repeatable)")
    parser.add_argument("--item", action="append", help="this check, case or training")
    parser.add_argument("--device", help="cuda, cpu or mps (default: the best there is)")
    parser.add_argument("--tiny", action="store_true", help="in small: seconds on a CPU")
    parser.add_argument("--fresh", action="store_true", help="begin again, whatever is done")
    parser.add_argument("--out", type=Path, default=results, help="(default: $OUT or results/)")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "gpu", help="(runs/gpu)")
    parser.add_argument("--list", action="store_true", help="show the items and end")
    args = parser.parse_args(argv)
    if not args.minutes > 0:
        parser.error(f"--minutes must be positive, not {args.minutes:g}")
    return args


def items(
    names: dict[str, float],
    store: Any,
    clock: Any,
    run: Callable[[str], dict[str, Any]],
    again: bool = False,
) -> None:
    """Each item that is not done, or all `again`, if there is time; `names` are costs in s."""
    from gpu_store import TimeUp, reason, say

    for name, cost in names.items():
        if store.done(name) and not again:
            say(f"  {name}: done")
            continue
        if clock.left < cost:
            say(f"  {name}: left out, it may take {cost:.0f} s and {clock.left:.0f} s are left")
            continue
        start = time.monotonic()
        try:
            with clock.alarm():
                found = run(name) | {"done": True}
        except Exception as error:  # what fails is a result: the others go on
            # A compiler wraps what interrupts it in errors of its own.
            over = isinstance(error, TimeUp) or not clock.left
            found = {"error": "broken off: the time was over", "done": False}
            found = found if over else {"error": reason(error), "passed": False, "done": True}
        found["seconds"] = round(time.monotonic() - start, 2)
        store.put(name, found)
        if "error" in found:
            say(f"  {name}: {found['error']}")


def checks(args: argparse.Namespace, device: Any, store: Any, clock: Any) -> None:
    from gpu_checks import CHECKS, COST, USUAL, run
    from gpu_kit import Setup
    from gpu_store import say

    setup = Setup(device, args.tiny)

    def one(name: str) -> dict[str, Any]:
        found = run(name, setup)
        word = "ok  " if found["passed"] else "FAIL"
        say(f"  {word} {name:24} {found['difference']:.2e} of {found['allowed']:.0e}"
            f"  {found['note']}" if found["difference"] is not None
            else f"  FAIL {name:24} not finite  {found['note']}")  # fmt: skip
        return found

    costs = {name: 0.1 if args.tiny else COST.get(name, USUAL) for name in CHECKS}
    items(chosen(costs, args.item), store, clock, one, bool(args.item))


def ladder(args: argparse.Namespace, device: Any, store: Any, clock: Any) -> None:
    from gpu_ladder import cases, measure
    from gpu_store import say

    table = cases(args.tiny)

    def one(name: str) -> dict[str, Any]:
        say(f"  {name}: batch {table[name].plan.batch}")
        return measure(table[name], device)

    costs = {name: case.cost for name, case in table.items()}
    items(chosen(costs, args.item), store, clock, one, bool(args.item))


def trainings(args: argparse.Namespace, device: Any, store: Any, clock: Any) -> None:
    from gpu_trainings import TINY, TRAININGS, train_all

    table = {t.name: t for t in (TINY if args.tiny else TRAININGS)}
    train_all(list(chosen(table, args.item).values()), store, args.work, args.out, device, clock)


def chosen(table: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    return {k: v for k, v in table.items() if not wanted or k in wanted}


def listing(tiny: bool) -> None:
    """What there is, with its cost."""
    from gpu_checks import CHECKS, COST, USUAL
    from gpu_ladder import cases
    from gpu_trainings import TINY, TRAININGS

    print("checks (seconds on a GPU)")
    for name, check in CHECKS.items():
        print(f"  {name:26} {COST.get(name, USUAL):4.0f} s  {check.__doc__}")
    print("ladder")
    for name, case in cases(tiny).items():
        print(f"  {name:26} {case.cost:4.0f} s  {case.plan.name}, batch {case.plan.batch}")
    print("trainings")
    for one in TINY if tiny else TRAININGS:
        print(f"  {one.name:26} {one.minutes:3.0f} min  {one.recipe} {one.changes}")


def main(argv: list[str] | None = None) -> int:
    """Run the parts; 1 if a check failed, else 0."""
    began = BEGAN if argv is None else time.monotonic()
    args = arguments(argv)
    from gpu_machine import prepare

    done = prepare()
    if args.list:
        listing(args.tiny)
        return 0
    from gpu_store import Clock, Store, about, say

    from ganlab.runs import pick_device

    clock = Clock(args.minutes, began)
    device = pick_device(args.device)
    meta = about(device, args.tiny)
    say(
        f"{meta['device']}, torch {meta['torch']}, commit {meta['commit']}, {clock.left:.0f} s left"
    )
    if done:
        say(f"  {done}")
    failed: list[str] = []
    wanted = [part for part in PARTS if not args.only or part in args.only]
    for part in wanted:
        store = Store(part, args.work, args.out, meta, args.fresh)
        share = 1.0 if part == wanted[-1] else SHARES[part]
        mine = clock.part(share)
        say(f"{part}: {mine.left:.0f} s of {clock.left:.0f} s")
        {"checks": checks, "ladder": ladder, "trainings": trainings}[part](
            args, device, store, mine
        )
        failed += [n for n, found in store.items.items() if found.get("passed") is False]
        if store.items:
            say(f"  {store.paths[1]}")
    if failed:
        say(f"FAILED: {', '.join(failed)}")
    say(f"ended with {clock.left:.0f} s left")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
