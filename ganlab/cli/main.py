"""The command line: `ganlab train | sample | evaluate | export | recipes | data | info`.

A user's mistake is one line on stderr and exit status 2, never a traceback. An interrupted
training exits with 130, a training that diverged with 3.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from ganlab import __version__
from ganlab.cli import evaluate as cli_evaluate
from ganlab.cli import export as cli_export
from ganlab.cli import lists
from ganlab.cli import sample as sample_command
from ganlab.cli import train as train_command
from ganlab.cli.evaluate import evaluate
from ganlab.cli.export import export
from ganlab.cli.lists import data, info, recipes
from ganlab.cli.sample import sample
from ganlab.cli.train import train
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

    train_command.arguments(
        add("train", "train a recipe, into a run folder", train_command.EXAMPLES)
    )
    sample_command.arguments(
        add("sample", "draw pictures from a trained generator", sample_command.EXAMPLES)
    )
    cli_evaluate.arguments(
        add("evaluate", "score a run, or any pictures against real ones", cli_evaluate.EXAMPLES)
    )
    cli_export.arguments(
        add("export", "write a trained generator for other programs", cli_export.EXAMPLES)
    )
    lists.recipes_arguments(add("recipes", "list the recipes, or show one in full", lists.EXAMPLES))
    add("data", "list the data sets: what they hold, where they come from, what is here")
    add("info", "show versions, device, folders: what to put in a bug report")
    return main


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
