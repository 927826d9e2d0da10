"""`ganlab train`: a recipe, into a run folder."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from ganlab.errors import one_line

EXAMPLES = """\
examples:
  ganlab train dcgan-mnist
  ganlab train dcgan-mnist --steps 500 --set generator.width=64 --set g_lr=1e-4
  ganlab train dcgan-glyphs --data ~/pictures/cats --set size=64 --set channels=3
  ganlab train dcgan-mnist --out runs/dcgan-mnist --resume     after Ctrl-C, a crash or a kill
  ganlab train dcgan-mnist --out runs/dcgan-mnist --resume --allow batch --set batch=32
  ganlab train dcgan-glyphs --data ~/letters --from runs/dcgan-mnist    begin with its weights
  torchrun --nproc-per-node 2 -m ganlab train dcgan-mnist      on two GPUs (or processes)

The run's folder holds recipe.json, log.jsonl, samples/, checkpoints/, generator.safetensors
and scores.json. Ctrl-C saves a checkpoint and stops; a second one stops at once.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ganlab train`."""
    parser.add_argument("recipe", help="name of a recipe ('ganlab recipes' lists them)")
    parser.add_argument(
        "--data", help="another data set, or a folder, zip, .npy or .npz of pictures"
    )
    parser.add_argument("--steps", type=int, help="rounds to play in total")
    parser.add_argument("--seed", type=int, help="of weights, data order and latent vectors")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe; may be repeated",
    )
    parser.add_argument("--out", type=Path, help="the run's folder (default: runs/RECIPE)")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="FIELD",
        help="with --resume: let this field have another value from here on, as batch or g_lr;"
        " may be repeated",
    )
    parser.add_argument(
        "--from",
        dest="start_from",
        metavar="RUN",
        help="begin a new training with the networks of another run, or with the generator alone"
        " of a safetensors file or of the name of a published one",
    )
    parser.add_argument(
        "--from-skip", action="store_true", help="begin layers anew that do not fit --from"
    )
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="TRACKER",
        help="also log to tensorboard, wandb or mlflow",
    )
    parser.add_argument("--no-score", action="store_true", help="do not score at the end")


def train(args: argparse.Namespace) -> int:
    """`ganlab train`."""
    from ganlab import progress, ranks, runs
    from ganlab.metrics import scoring
    from ganlab.recipes import settings
    from ganlab.training.callbacks import Lines

    changes = settings(args.set)
    for key in ("data", "steps", "seed"):
        if getattr(args, key) is not None:
            changes[key] = getattr(args, key)
    plan = runs.planned(args.recipe, args.out, args.resume, **changes)
    callbacks = [] if progress.wanted() else [Lines()]
    if os.environ.get("RANK", "0") == "0":
        # with other pictures the words about the recipe's own say nothing
        what = plan.about if "data" not in changes else f"on {one_line(plan.data)}"
        print(f"{plan.name}: {what}; {plan.steps} steps of {plan.batch}", flush=True)
    try:
        run = runs.train(
            args.recipe,
            args.out,
            resume=args.resume,
            device=args.device,
            trackers=args.track,
            callbacks=callbacks,
            evaluate=not args.no_score,
            start_from=args.start_from,
            start_skip=args.from_skip,
            allow=[field for word in args.allow for field in word.split(",")],
            **changes,
        )
    finally:
        first = ranks.rank() == 0
        ranks.stop()
    if not first:
        return 0
    if run.stopped:
        print(
            f"stopped at step {run.step}; saved. Continue with: ganlab train {args.recipe}"
            f" --out {shlex.quote(str(run.folder))} --resume",
            file=sys.stderr,
        )
        return 130
    print(f"run: {run.folder}")
    if run.draws:
        print(f"grid: {run.grid_file()}")
    if run.scores:
        print(scoring.verdict(run.scores))
    return 0
