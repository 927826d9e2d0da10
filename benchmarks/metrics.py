"""Time and memory of the metrics against other libraries, on the same random features.

    python benchmarks/metrics.py                     # all cases, about ten minutes on one thread
    python benchmarks/metrics.py --case kid          # those again; the day's others stay
    python benchmarks/metrics.py --show              # the newest stored table

pytorch-fid, torch-fidelity, torchmetrics and prdc are installed once into build/metrics-venv, which
sees this environment's torch and numpy; they are no dependency of the package. Every measurement is
a process of its own, so that no library pays for the memory or the imports of another. All get the
same float32 features and compute as they do by default.

seconds   of processor time, the best of the repeats: what other programs on the machine take does
          not count. The wall clock is stored beside it.
peak      memory in MB that the call needs on top of what was there (Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import venv
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metrics_calls import call, features

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / "build" / "metrics-venv"
RESULTS = Path(__file__).parent / "results"
PINS = {
    "pytorch-fid": "0.3.0",
    "torch-fidelity": "0.4.0",
    "torchmetrics": "1.9.0",
    "prdc": "0.2",
}
NEEDS = ["lightning-utilities", "scipy<1.18", "scikit-learn", "tqdm"]  # scipy: see pytorch-fid
LONG = 8.0  # seconds from which a call is not repeated

# name: (N, D) and who computes it.
FID = ("ganlab", "pytorch-fid", "torch-fidelity", "torchmetrics")
KID = ("ganlab", "torch-fidelity", "torchmetrics")
SHARES = ("ganlab", "prdc")
CASES: dict[str, tuple[tuple[int, int], tuple[str, ...]]] = {
    "fid-statistics": ((5000, 2048), FID),
    "fid-64": ((2000, 64), FID),
    "fid-2000": ((2000, 2048), FID),
    "fid-5000": ((5000, 2048), FID),
    "kid-64": ((2000, 64), KID),
    "kid-2000": ((2000, 2048), KID),
    "kid-5000": ((5000, 2048), KID),
    "prdc-64": ((2000, 64), (*SHARES, "loop")),
    "prdc-2048": ((2000, 2048), SHARES),
    "prdc-10000": ((10000, 64), SHARES),
}
WORDS = {"fid": "Fréchet distance", "kid": "Kernel distance, 100 x 1000", "prdc": "PRDC, k = 5"}
LOOP = 200  # samples that the loop in Python gets; its time is scaled by the pairs


# ---- one measurement, in a process of its own ----


def high_water(reset: bool = False) -> float | None:
    """Most memory in MB that this process has held, since the last reset."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


def measure(case: str, library: str, repeats: int) -> dict[str, Any]:
    (n, d), _ = CASES[case]
    if library == "loop":
        n = LOOP
    call(case, library, *features(min(n, 1001), min(d, 64)))()  # imports, first allocations
    run = call(case, library, *features(n, d))
    before = high_water(reset=True)
    seconds, wall, peak, value = [], [], None, None
    for turn in range(repeats):
        start, begun = time.process_time(), time.perf_counter()
        value = run()
        seconds.append(time.process_time() - start)
        wall.append(time.perf_counter() - begun)
        if turn == 0 and before is not None:
            after = high_water()
            peak = None if after is None else after - before
        if seconds[-1] > LONG:
            break
    factor = (CASES[case][0][0] / LOOP) ** 2 if library == "loop" else 1
    return {
        "seconds": round(min(seconds) * factor, 4),
        "wall": round(min(wall) * factor, 4),
        "peak_mb": None if peak is None or library == "loop" else round(peak, 1),
        "value": value,
        "repeats": len(seconds),
    }


# ---- all of them ----


def prepare() -> Path:
    """The Python of the environment with the other libraries, made on the first call."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = VENV / ".ready"
    wanted = json.dumps([PINS, NEEDS, sys.version])
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return python
    print(f"Installing {', '.join(PINS)} into {VENV.relative_to(ROOT)} (once)", flush=True)
    venv.create(VENV, with_pip=True, clear=True)
    tell = "import site; print(site.getsitepackages()[0])"
    place = subprocess.run(
        [python, "-c", tell], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    shared = {str(Path(p)) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")}
    Path(place.stdout.strip(), "shared.pth").write_text(
        "\n".join(sorted(shared)) + "\n", encoding="utf-8"
    )
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *NEEDS], check=True)
    # Without their own wishes: one of them asks for a torch that is here already.
    subprocess.run([*pip, "--no-deps", *(f"{k}=={v}" for k, v in PINS.items())], check=True)
    done.write_text(wanted, encoding="utf-8")
    return python


def one(python: Path, case: str, library: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measure in another process, with the threads that were asked for."""
    count = str(args.threads)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
    env = os.environ | threads | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [str(python), __file__, "--one", case, library, "--repeats", str(args.repeats)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["died"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def show(report: dict[str, Any]) -> None:
    print(f"{report['date']}, {report['threads']} thread(s), {report['processor']}")
    for case, rows in report["cases"].items():
        n, d = rows["samples"], rows["dims"]
        what = WORDS[case.split("-")[0]] + (" from statistics" if "stat" in case else "")
        print(f"\n{what}, N = {n}, D = {d}")
        for library, row in rows["libraries"].items():
            if "error" in row:
                print(f"  {library:15} {row['error']}")
                continue
            peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:8.0f} MB"
            value = row["value"]
            value = value if isinstance(value, list) else [value]
            shown = ", ".join(f"{v:.7g}" for v in value)
            print(f"  {library:15} {row['seconds']:9.3f} s {peak:>11}   {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", action="append", metavar="NAME", help=f"a start of: {', '.join(CASES)}"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of fast calls (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="of each library (default: 1)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="print the newest result and stop")
    parser.add_argument("--one", nargs=2, metavar=("CASE", "LIBRARY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        case, library = args.one
        print(json.dumps(measure(case, library, args.repeats)))
        return
    if args.show:
        stored = sorted(args.out.glob("metrics-*.json"))
        if not stored:
            parser.error(f"no result in {args.out}: run without --show first")
        show(json.loads(stored[-1].read_text(encoding="utf-8")))
        return
    cases = [c for c in CASES if not args.case or any(c.startswith(a) for a in args.case)]
    if not cases:
        parser.error(f"no such case; there are {', '.join(CASES)}")
    python = prepare()
    report: dict[str, Any] = {
        "cases": {},
        "date": datetime.now(UTC).date().isoformat(),
        "device": "cpu",
        "threads": args.threads,
        "processor": processor(),
        "versions": PINS | {k: version(k) for k in ("torch", "numpy", "ganlab")},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"metrics-{report['date']}-cpu-{args.threads}-threads.json"
    if path.is_file():  # of today: cases that are not run again stay
        report["cases"] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    for case in cases:
        (n, d), libraries = CASES[case]
        rows = {}
        for library in libraries:
            rows[library] = one(python, case, library, args)
            print(f"{case:15} {library:15} {rows[library]}", flush=True)
        report["cases"][case] = {"samples": n, "dims": d, "libraries": rows}
        report["cases"] = {c: report["cases"][c] for c in CASES if c in report["cases"]}
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print()
    show(report)
    print(f"\nwritten to {path}")


def processor() -> str:
    """The name of the processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":
    main()
