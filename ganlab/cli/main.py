"""The command line: `ganlab train | sample | evaluate | export | recipes | data | info`.

A user's mistake is one line on stderr and exit status 2, never a traceback. An interrupted
training exits with 130, a training that diverged with 3.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganlab import __version__
from ganlab.cli import evaluate as cli_evaluate
from ganlab.cli import export as cli_export
from ganlab.cli.evaluate import evaluate
from ganlab.cli.export import export
from ganlab.errors import GanlabError, NonFiniteLoss, unknown

EXAMPLES = """\
a first session:
  ganlab train dcgan-glyphs          train on drawn characters (no download, about 3 minutes)
  ganlab sample runs/dcgan-glyphs    write a grid of new ones
  ganlab evaluate runs/dcgan-glyphs  score them
  ganlab export runs/dcgan-glyphs    write an ONNX file, for other programs
  ganlab recipes                     what else can be trained

GANLAB_DATA is the folder of the data sets, GANLAB_OFFLINE=1 forbids downloads.
"""

TRAIN = """\
examples:
  ganlab train dcgan-mnist
  ganlab train dcgan-mnist --steps 500 --set generator.width=64 --set g_lr=1e-4
  ganlab train dcgan-glyphs --data ~/pictures/cats --set size=64 --set channels=3
  ganlab train dcgan-mnist --out runs/dcgan-mnist --resume     after Ctrl-C, a crash or a kill
  torchrun --nproc-per-node 2 -m ganlab train dcgan-mnist      on two GPUs (or processes)

The run's folder holds recipe.json, log.jsonl, samples/, checkpoints/, generator.safetensors
and scores.json. Ctrl-C saves a checkpoint and stops; a second one stops at once.
"""


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest word that exists."""

    def error(self, message: str) -> Any:
        """Print one line and exit with 2."""
        raise GanlabError(message)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    raw = argparse.RawDescriptionHelpFormatter
    main = Parser(
        "ganlab",
        description="Train, sample and measure generative adversarial networks.",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    main.add_argument("--version", action="version", version=f"ganlab {__version__}")
    commands = main.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    def add(name: str, line: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=line,
            description=line[0].upper() + line[1:] + ".",
            epilog=epilog,
            formatter_class=raw,
        )

    train = add("train", "train a recipe, into a run folder", TRAIN)
    train.add_argument("recipe", help="name of a recipe ('ganlab recipes' lists them)")
    train.add_argument("--data", help="another data set, or a folder or zip of pictures")
    train.add_argument("--steps", type=int, help="rounds to play in total")
    train.add_argument("--seed", type=int, help="of weights, data order and latent vectors")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe; may be repeated",
    )
    train.add_argument("--out", type=Path, help="the run's folder (default: runs/RECIPE)")
    train.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    train.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    train.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="TRACKER",
        help="also log to tensorboard, wandb or mlflow",
    )
    train.add_argument("--no-score", action="store_true", help="do not score at the end")

    sample = add(
        "sample",
        "draw pictures from a trained generator",
        "example:\n  ganlab sample runs/dcgan-mnist -n 100 --seed 7 --out digits.png",
    )
    sample.add_argument("run", help="a run's folder")
    sample.add_argument("-n", type=int, default=64, help="how many (default: 64)")
    sample.add_argument("--seed", type=int, default=0, help="of the latent vectors (default: 0)")
    sample.add_argument(
        "--label", type=int, help="class number, of a conditional generator (default: all in turn)"
    )
    sample.add_argument(
        "--out", type=Path, help="the grid (default: RUN/grid.png), or a folder for single pictures"
    )
    cli_evaluate.arguments(
        add("evaluate", "score a run, or any pictures against real ones", cli_evaluate.EXAMPLES)
    )
    cli_export.arguments(
        add("export", "write a trained generator for other programs", cli_export.EXAMPLES)
    )
    recipes = add("recipes", "list the recipes, or show one in full")
    recipes.add_argument("name", nargs="?", help="of the recipe to show")
    add("data", "list the data sets: what they hold, where they come from, what is here")
    add("info", "show versions, device, folders: what to put in a bug report")
    return main


def train(args: argparse.Namespace) -> int:
    """`ganlab train`."""
    from ganlab import progress, ranks, runs
    from ganlab.metrics import scoring
    from ganlab.recipes import parse_settings, recipe
    from ganlab.training.callbacks import Lines

    changes = parse_settings(args.set)
    for key in ("data", "steps", "seed"):
        if getattr(args, key) is not None:
            changes[key] = getattr(args, key)
    plan = recipe(args.recipe, **changes)
    callbacks = [] if progress.wanted() else [Lines()]
    if os.environ.get("RANK", "0") == "0":
        print(f"{plan.name}: {plan.about}; {plan.steps} steps of {plan.batch}", flush=True)
    try:
        run = runs.train(
            plan,
            args.out,
            resume=args.resume,
            device=args.device,
            trackers=args.track,
            callbacks=callbacks,
            evaluate=not args.no_score,
        )
    finally:
        first = ranks.rank() == 0
        ranks.stop()
    if not first:
        return 0
    if run.stopped:
        print(
            f"stopped at step {run.step}; saved. Continue with: ganlab train {args.recipe}"
            f" --out {run.folder} --resume",
            file=sys.stderr,
        )
        return 130
    run.grid_file()
    print(f"run: {run.folder}\ngrid: {run.folder / 'grid.png'}")
    if run.scores:
        print(scoring.verdict(run.scores))
    return 0


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


def recipes(args: argparse.Namespace) -> int:
    """`ganlab recipes`."""
    from ganlab.recipes import RECIPES, recipe

    if args.name:
        print(recipe(args.name).to_json())
        return 0
    width = max(map(len, RECIPES))
    for name, plan in RECIPES.items():
        print(f"{name:{width}}  {plan.about}; {plan.steps} steps of {plan.batch}")
    print("\nganlab recipes NAME shows every field; ganlab train NAME --set FIELD=VALUE changes it")
    return 0


def data(args: argparse.Namespace) -> int:
    """`ganlab data`."""
    from ganlab.data import available
    from ganlab.data.toy import NAMES

    rows = [
        [str(r[k]) for k in ("name", "size", "channels", "count", "here", "source")]
        for r in available()
    ]
    rows.insert(0, ["name", "px", "ch", "pictures", "here", "source, licence"])
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        cells = [cell.ljust(w) for cell, w in zip(row, widths)]
        print("  ".join(cells) + "  " + row[5])
    print(f"\npoints: {', '.join(NAMES)}")
    print("or any folder or zip of pictures: ganlab train dcgan-glyphs-color --data PATH")
    return 0


def info(args: argparse.Namespace) -> int:
    """`ganlab info`."""
    from ganlab import lab
    from ganlab.data import cache_root, data_root

    print(lab.describe())
    print(f"data:  {data_root()}  (GANLAB_DATA)")
    print(f"cache: {cache_root()}  (GANLAB_CACHE)")
    print(
        f"offline: {'yes' if os.environ.get('GANLAB_OFFLINE') == '1' else 'no'}  (GANLAB_OFFLINE)"
    )
    return 0


COMMANDS = {f.__name__: f for f in (train, sample, evaluate, export, recipes, data, info)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        words = [word for word in argv if not word.startswith("-")]
        if words and argv[0] == words[0] and words[0] not in COMMANDS:
            raise GanlabError(unknown("command", words[0], COMMANDS))
        args = parser().parse_args(argv)
        if args.command is None:
            parser().print_help()
            return 0
        return COMMANDS[args.command](args)
    except NonFiniteLoss as error:
        print(f"ganlab: {error}", file=sys.stderr)
        return 3
    except GanlabError as error:
        print(f"ganlab: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `ganlab recipes | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("ganlab: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
