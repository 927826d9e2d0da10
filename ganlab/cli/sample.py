"""`ganlab sample`: pictures from a trained generator."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganlab.errors import GanlabError

EXAMPLES = "example:\n  ganlab sample runs/dcgan-mnist -n 100 --seed 7 --out digits.png"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ganlab sample`."""
    parser.add_argument("run", help="a run's folder")
    parser.add_argument("-n", type=int, default=64, help="how many (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of the latent vectors (default: 0)")
    parser.add_argument(
        "--label", type=int, help="class number, of a conditional generator (default: all in turn)"
    )
    parser.add_argument(
        "--out", type=Path, help="the grid (default: RUN/grid.png), or a folder for single pictures"
    )


def sample(args: argparse.Namespace) -> int:
    """`ganlab sample`."""
    from ganlab.runs.run import Run

    run = Run(args.run)
    if args.n < 1:
        raise GanlabError(f"-n must be at least 1, not {args.n}")
    out = args.out or run.folder / "grid.png"
    if out.suffix:
        print(run.grid_file(out, args.n, args.seed, args.label))
        return 0
    from ganlab import plots

    for i, picture in enumerate(run.sample(args.n, args.seed, args.label)):
        plots.save_picture(picture, out / f"{i:05d}.png")
    print(f"{args.n} pictures in {out}")
    return 0
