"""Train recipes over seeds and store what the book shows, in `book/results/NAME/`.

    python benchmarks/publish.py seeds dcgan-mnist --seeds 3
    python benchmarks/publish.py table dcgan-ablation
    python benchmarks/publish.py table objectives
    python benchmarks/publish.py rescore dcgan-mnist
    python benchmarks/publish.py picture dcgan-mnist dcgan-glyphs dcgan-glyphs-color
    python benchmarks/publish.py gpu FOLDER
    python benchmarks/publish.py list

`gpu` takes in what `benchmarks/gpu.py` made on another machine: its dated files go to
`benchmarks/results/`, each finished run (`NAME.tar`) to `book/results/NAME/`, scored here if there
was no time for it there.

A result folder holds `results.json` (recipe, commit, seeds, device, minutes, scores and curves
of every seed), `grid.png` (first seed), `progress.png` (fixed noise through training) and
`generator.safetensors` (first seed, 16 bits). Runs are kept under `runs/publish/` and continue
where they were killed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tables import NARROW, TABLES

import ganlab
from ganlab import plots, runs
from ganlab.errors import GanlabError
from ganlab.recipes import Recipe, recipe, settings, source
from ganlab.runs import published, save_generator

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results"
CURVES = ("step", "d_loss", "g_loss", "d_real", "d_fake", "images_per_second", "seconds")


def commit() -> str:
    """The commit that the code is at, with a mark when it has been changed since."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                          capture_output=True, text=True, encoding="utf-8")  # fmt: skip
    return done.stdout.strip() or "unknown"


def may_be_dirty(parser: argparse.ArgumentParser) -> None:
    """Declare the option that `clean` asks after."""
    parser.add_argument("--dirty", action="store_true", help="from changed code, to try it out")


def clean(anyway: bool = False) -> None:
    """Refuse to make a result from changed code: nobody could make it again.

    Raises:
        SystemExit: the checkout has changes that are not committed, and `anyway` is not said.
    """
    if commit().endswith("-dirty") and not anyway:
        raise SystemExit(
            "this checkout has changes that are not committed, so its results could not be made"
            " again: commit them, or say --dirty to try something out"
        )


def machine() -> dict[str, Any]:
    """When, by which code and where: of results that many small CPU runs make."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "torch": torch.__version__,
        "ganlab": ganlab.__version__,
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }


def train(plan: Recipe, where: Path, data: Any) -> runs.Run:
    """Train into `where`, or go on where a run was killed, or return the finished one.

    Raises:
        SystemExit: the run that is there was made by another recipe.
    """
    if (where / "scores.json").exists():
        run = runs.Run(where)
        if run.recipe != plan:
            raise SystemExit(f"{where} holds a run of another recipe: remove it, or use --title")
        return run
    started = (where / "recipe.json").exists()
    run = runs.train(plan, where, resume=started, data=data)
    if run.stopped:
        raise SystemExit(f"stopped in {where}; the same command goes on from there")
    return run


def thin(log: list[dict[str, Any]], most: int = 100) -> dict[str, list[float]]:
    """Curves of a log, at most `most` points each."""
    every = max(1, len(log) // most)
    rows = log[every - 1 :: every]
    return {key: [row[key] for row in rows] for key in CURVES}


def entry(run: runs.Run) -> dict[str, Any]:
    """What the book keeps of one run."""
    log = run.log
    return {
        "seed": run.recipe.seed,
        "scores": run.scores,
        "minutes": round(log[-1]["seconds"] / 60, 2),
        "curves": thin(log),
        "confidence": {str(r["step"]): r["confidence"] for r in log[:: max(1, len(log) // 6)]},
    }


def progress(run: runs.Run, path: Path, columns: int = 5, rows: int = 4) -> None:
    """The top left corners of the run's fixed-noise grids, side by side."""
    grids = sorted((run.folder / "samples").glob("*.png"))
    pick = [grids[round(i * (len(grids) - 1) / (columns - 1))] for i in range(columns)]
    size = run.about["shape"][-1]
    zoom = 2 if size <= 64 else 1
    edge = (rows * (size + 2) + 2) * zoom
    tiles = [Image.open(p).convert("RGB").crop((0, 0, edge, edge)) for p in pick]
    sheet = Image.new("RGB", (edge * columns + 12 * (columns - 1), edge), "white")
    for i, picture in enumerate(tiles):
        sheet.paste(picture, (i * (edge + 12), 0))
    sheet.save(path, optimize=True)
    (path.with_suffix(".json")).write_text(
        json.dumps([int(p.stem) for p in pick]) + "\n", encoding="utf-8"
    )


def about(plan: Recipe, found: list[runs.Run]) -> dict[str, Any]:
    """Provenance shared by all runs of a result."""
    first = found[0].about
    keep = ("device", "threads", "torch", "ganlab", "precision", "shape", "data", "count", "note")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "recipe": json.loads(plan.to_json()),
        "seeds": sorted({r.recipe.seed for r in found}),
        "minutes": round(sum(r.log[-1]["seconds"] for r in found) / 60, 1),
        **{key: first[key] for key in keep},
    }


def seeds(name: str, count: int, changes: dict[str, Any], title: str | None) -> Path:
    """Train a recipe over seeds and store the result."""
    plan = recipe(name, **changes)
    data = source(plan)
    folder = RESULTS / (title or name)
    found = []
    for seed in range(count):
        run = train(
            plan.with_(seed=seed), ROOT / "runs" / "publish" / f"{folder.name}-{seed}", data
        )
        found.append(run)
        print(f"{folder.name} seed {seed}: {run.scores}", flush=True)
    return store(plan, found, folder)


def store(plan: Any, found: list[runs.Run], folder: Path, **more: Any) -> Path:
    """Write a result's folder from its runs, the first of which is shown."""
    folder.mkdir(parents=True, exist_ok=True)
    result = about(plan, found) | more | {"runs": [entry(run) for run in found]}
    (folder / "results.json").write_text(
        json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    if not plan.points:
        found[0].grid_file(folder / "grid.png")
        progress(found[0], folder / "progress.png")
    save_generator(found[0].generator(), folder / "generator.safetensors", half=True)
    published.stamp(folder)
    return folder


def take(where: Path, records: Path | None = None, results: Path | None = None) -> list[Path]:
    """Take in what `benchmarks/gpu.py` made: its dated files and its runs.

    Args:
        where: the folder that came back.
        records: for the dated files; by default `benchmarks/results`.
        results: for the runs; by default `book/results`.

    Returns:
        What was written.

    Raises:
        SystemExit: there is nothing of `gpu.py` in the folder.
    """
    files = sorted(where.glob("gpu-*.json"))
    if not files:
        raise SystemExit(f"{where} holds no gpu-*.json: give the folder that gpu.py wrote to")
    written, commits = [], dict[str, tuple[str, str]]()
    for path in files:
        kept = json.loads(path.read_text(encoding="utf-8"))
        target = (records or ROOT / "benchmarks" / "results") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.resolve() != target.resolve():
            shutil.copyfile(path, target)
        written.append(target)
        if kept["part"] == "trainings":
            commits |= {name: (kept["commit"], kept["date"]) for name in kept["items"]}
    for path in sorted(where.glob("*.tar")):
        with tempfile.TemporaryDirectory() as scratch:
            with tarfile.open(path) as tar:
                tar.extractall(scratch, filter="data")
            run = runs.Run(Path(scratch) / path.stem)
            if not run.scores:
                run.evaluate()
            made, date = commits.get(path.stem, ("unknown", run.about["date"]))
            folder = (results or RESULTS) / path.stem
            written.append(store(run.recipe, [run], folder, commit=made, date=date))
    return written


def table(name: str, count: int, steps: int, only: list[str] | None = None) -> Path:
    """Train every setting of a table over seeds and store scores and curves."""
    settings = TABLES[name]
    base = recipe("dcgan-mnist", steps=steps, sample_every=0, log_every=100, **NARROW)
    data = source(base)
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    found, panels = [], {}
    # Seed by seed, so that a table with fewer seeds is complete when time runs out.
    for seed in range(count):
        for i, (label, changes) in enumerate(settings.items()):
            if only and label not in only:
                continue
            plan = base.with_(**changes, seed=seed)
            where = ROOT / "runs" / "publish" / f"{name}-{i}-{seed}"
            try:
                run = train(plan, where, data)
            except GanlabError as error:
                rows.setdefault(label, []).append({"seed": seed, "failed": str(error)})
                continue
            found.append(run)
            row = entry(run)
            rows.setdefault(label, []).append(row)
            if seed == 0:
                panels[label] = run.sample(16, seed=0)
            print(f"{label} seed {seed}: {run.scores['frechet']}", flush=True)
        result = about(base, found) | {"settings": settings, "rows": rows}
        (folder / "results.json").write_text(
            json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    for label, images in panels.items():
        plots.save_grid(images, folder / f"{list(settings).index(label)}.png", columns=4)
    return folder


def picture(names: list[str], path: Path, edge: int = 6, height: int = 420) -> Path:
    """The README's picture: a square of samples of each stored generator, side by side."""
    tiles = []
    for name in names:
        # The stored grid has 8 columns of pictures 2 times enlarged, with a gap of 2 pixels.
        grid = Image.open(RESULTS / name / "grid.png").convert("RGB")
        stored = (RESULTS / name / "results.json").read_text(encoding="utf-8")
        side = json.loads(stored)["shape"][-1]
        cut = (edge * (side + 2) + 2) * 2
        tile = grid.crop((0, 0, cut, cut))
        tiles.append(tile.resize((height, height), Image.Resampling.LANCZOS))
    sheet = Image.new("RGB", (len(tiles) * (height + 16) - 16, height), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i * (height + 16), 0))
    sheet.save(path, optimize=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("seeds", help="a recipe over seeds")
    one.add_argument("recipe")
    one.add_argument("--seeds", type=int, default=3)
    one.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    one.add_argument("--title", help="name of the result (default: the recipe's)")
    two = what.add_parser("table", help="many settings over seeds, for comparison")
    two.add_argument("table", choices=TABLES)
    two.add_argument("--only", action="append", metavar="SETTING", help="this setting alone")
    two.add_argument("--seeds", type=int, default=3)
    two.add_argument("--steps", type=int, default=1200)
    three = what.add_parser("picture", help="the picture of the README, from stored results")
    three.add_argument("names", nargs="+")
    four = what.add_parser(
        "rescore", help="score finished runs again, after the judge has changed; then store them"
    )
    four.add_argument("result", nargs="+", help="of runs/publish, without the seed")
    five = what.add_parser("gpu", help="take in the files and runs that benchmarks/gpu.py made")
    five.add_argument("folder", type=Path, help="with gpu-*.json and NAME.tar")
    what.add_parser("list", help="what is stored")
    for makes in (one, two):
        may_be_dirty(makes)
    args = parser.parse_args()
    if args.what in ("seeds", "table"):
        clean(args.dirty)
    if args.what == "seeds":
        print(seeds(args.recipe, args.seeds, settings(args.set), args.title))
    elif args.what == "table":
        print(table(args.table, args.seeds, args.steps, args.only))
    elif args.what == "rescore":
        for name in args.result:
            for where in sorted((ROOT / "runs" / "publish").glob(f"{name}-*/scores.json")):
                run = runs.Run(where.parent)
                before = run.scores
                print(f"{run.folder.name}: {before and before['frechet']} ->"
                      f" {run.evaluate()['frechet']}", flush=True)  # fmt: skip
    elif args.what == "gpu":
        for path in take(args.folder):
            print(path)
    elif args.what == "picture":
        print(picture(args.names, ROOT / "book" / "static" / "results.png"))
    else:
        for path in sorted(RESULTS.glob("*/results.json")):
            result = json.loads(path.read_text(encoding="utf-8"))
            print(f"{path.parent.name}: {result['date']}, seeds {result['seeds']},"
                  f" {result['minutes']} min on {result['device']}")  # fmt: skip


if __name__ == "__main__":
    main()
