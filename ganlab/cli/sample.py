"""`ganlab sample`: pictures from a trained generator."""

from __future__ import annotations

import argparse
import os
from typing import Any

from ganlab.cli.places import ready
from ganlab.errors import GanlabError, at_least, unknown
from ganlab.files import as_path

GRIDS = (".png", ".jpg", ".jpeg", ".webp")
ARRAYS = (".npz", ".npy")
MOST, MOST_IN_A_GRID = 10_000_000, 10_000
EXAMPLES = """\
examples:
  ganlab sample runs/dcgan-mnist -n 100 --seed 7 --out digits.png   a grid
  ganlab sample runs/dcgan-mnist -n 50000 --out drawn/              a PNG for each
  ganlab sample runs/dcgan-mnist -n 50000 --out drawn.zip           the same in one file
  ganlab sample runs/dcgan-mnist -n 50000 --out drawn.npz           one array, for other tools

--out  NAME.png .jpg .jpeg .webp   a grid, at most 10,000 pictures
       FOLDER/ or NAME.zip         single PNGs, 00000.png on; at most 10,000,000
       NAME.npz or NAME.npy        uint8 (N, H, W, C), in the .npz as arr_0; points float32 (N, d)
       NAME.csv                    points, a line each
All but the grid are written batch by batch, so that memory does not limit -n.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ganlab sample`."""
    parser.add_argument("run", help="a run's folder")
    parser.add_argument("-n", type=int, default=64, help="how many (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of the latent vectors (default: 0)")
    parser.add_argument(
        "--label",
        metavar="CLASS",
        help="of a conditional generator: a class by its name, else by its number (default: in a"
        " grid all in turn, else as often as in the data)",
    )
    parser.add_argument(
        "--out", metavar="PLACE", help="default: RUN/grid.png; what its ending means stands below"
    )


def sample(args: argparse.Namespace) -> int:
    """`ganlab sample`."""
    from ganlab.models.latent import SEEDS
    from ganlab.runs.run import Run

    run = Run(as_path(args.run))
    at_least("--seed", args.seed, 0, SEEDS)
    out = args.out or str(run.folder / "grid.png")
    kind = _kind(out, run.recipe.points)
    n = at_least("-n", args.n, 1, MOST_IN_A_GRID if kind == "grid" else MOST)
    label = None if args.label is None else class_number(args.label, run)
    run.generator()  # none yet: say so before anything is made
    if kind != "folder":
        ready(out, (*GRIDS, *ARRAYS, ".zip", ".csv"))
    if kind == "grid":
        print(run.grid_file(as_path(out), n, args.seed, label))
        return 0
    from ganlab.cli import streams
    from ganlab.models.latent import drawn

    parts = drawn(run.generator(), n, args.seed, label)
    getattr(streams, f"to_{kind}")(as_path(out), parts, n, f"a sample of {run.folder}")
    print(f"{n:,} {'points' if run.recipe.points else 'pictures'} in {out}")
    return 0


def _slash(out: str) -> bool:
    return out.endswith(("/", os.sep))


def _kind(out: str, points: bool) -> str:
    """What to make of a place: "grid", "folder", "zip", "npz", "npy" or "csv".

    Raises:
        GanlabError: none of them; the line says what the endings mean.
    """
    path = as_path(out)
    suffix = path.suffix.lower()
    singles = {".zip": "zip"} | ({".csv": "csv"} if points else {})
    if suffix in GRIDS and not _slash(out):
        return "grid"
    known = singles | {ending: ending[1:] for ending in ARRAYS}
    if suffix in known and not _slash(out):
        kind = known[suffix]
    elif not suffix or _slash(out) or path.is_dir():
        kind = "folder"
    else:
        raise GanlabError(
            f"--out {out}: {' '.join(GRIDS)} make a grid, {' '.join(known)} a file of all, and"
            f" a folder of single pictures ends in /; {suffix} is none of them"
        )
    if points and kind in ("folder", "zip"):
        raise GanlabError(
            f"--out {out}: points are no pictures; name a .csv, .npy or .npz, or"
            f" {' '.join(GRIDS)} for a scatter plot"
        )
    return kind


def class_number(text: str, run: Any) -> int:
    """The number of a class that is named, or numbered where none has that name.

    Raises:
        GanlabError: there is none; the nearest name is in the line, or the numbers.
    """
    names = list(run.classes)
    count = run.recipe.classes
    if text in names:
        return names.index(text)
    try:
        number = int(text)
    except ValueError:
        if not count:
            raise GanlabError("this generator has no classes: take --label away") from None
        if not names:
            raise GanlabError(
                f"--label {text}: this run has no names of its classes, take a number from 0 to"
                f" {count - 1}"
            ) from None
        raise GanlabError(unknown("class", text, names)) from None
    return number  # too large, or of no conditional generator: `drawn` refuses it
