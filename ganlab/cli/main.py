"""The command line: `ganlab train | sample | evaluate | export | recipes | data | info`.

A user's mistake is one line on stderr, never a traceback; `EXIT` lists the exit status of each
kind. What is our own mistake is called so, with a traceback in a file.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
import tempfile
import threading
import traceback
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
from ganlab.errors import GanlabError, NonFiniteLoss, one_line, unknown
from ganlab.files import reason

EXIT = """\
exit status: 0 done, 2 something that you can mend (the line says what), 3 a training that
diverged, 70 a fault of ganlab, 130 interrupted (a training has saved a checkpoint).
GANLAB_TRACEBACK=1 shows the traceback of a fault.
"""
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
        epilog=f"{EXAMPLES}\n{EXIT}",
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


class _Interrupt:
    """Ctrl-C ends the command once; those that follow find it ending already."""

    def __init__(self) -> None:
        self.ending = False

    def __call__(self, number: int, frame: Any) -> None:
        if not self.ending:
            self.ending = True
            raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is escaped
            stream.reconfigure(errors="backslashreplace")
    interrupt, before = _Interrupt(), None
    mine = threading.current_thread() is threading.main_thread()
    if mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before = signal.signal(signal.SIGINT, interrupt)
    try:
        return _status(argv)
    finally:
        if before is not None:  # once interrupted, nothing shall interrupt the way out
            signal.signal(signal.SIGINT, signal.SIG_IGN if interrupt.ending else before)


def _status(argv: list[str]) -> int:
    """The exit status; every error has been said in one line."""
    try:
        status = _run(argv)
        if sys.stdout is not None:
            sys.stdout.flush()  # now, while a full disk can still be told
        return status
    except NonFiniteLoss as error:
        return _say(error, 3)
    except GanlabError as error:
        return _say(error, 2)
    except BrokenPipeError:  # `ganlab recipes | head`
        _silence()
        return 0
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EBADF):
            _silence()
            return _say(f"the output cannot be written ({reason(error)})", 2)
        if error.filename is not None:
            name = os.fsdecode(error.filename)
            return _say(f"{name} cannot be used ({reason(error)})", 2)
        return _fault(error)
    except Exception as error:
        if isinstance(error, MemoryError) or _memory(error):
            return _say("out of memory: try a smaller batch, size or network", 2)
        return _fault(error)


def _run(argv: list[str]) -> int:
    words = [word for word in argv if not word.startswith("-")]
    if words and argv[0] == words[0] and words[0] not in COMMANDS:
        raise GanlabError(unknown("command", words[0], COMMANDS))
    args = parser().parse_args(argv)
    if args.command is None:
        parser().print_help()
        return 0
    return COMMANDS[args.command](args)


def _say(error: object, status: int) -> int:
    with contextlib.suppress(OSError):
        print(f"ganlab: {one_line(error)}", file=sys.stderr, flush=True)
    return status


def _silence() -> None:
    """Send the rest of stdout nowhere: flushing it at the end would fail once more."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _memory(error: Exception) -> bool:
    """Whether torch could not have the memory that it asked for."""
    text = str(error)
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text


def _fault(error: Exception) -> int:
    """Our own mistake: one line, and the traceback in a file (or shown, if asked for)."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get("GANLAB_TRACEBACK") == "1":
        print(text, file=sys.stderr)
        return 70
    place = "set GANLAB_TRACEBACK=1 to see where"
    with contextlib.suppress(OSError):
        number, name = tempfile.mkstemp(prefix="ganlab-fault-", suffix=".txt")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"ganlab {__version__}, {sys.version}\n{' '.join(sys.argv)}\n{text}")
        place = f"the traceback is in {name}"
    what = f"{type(error).__name__}: {error}"
    return _say(f"this is a fault of ganlab ({one_line(what)[:200]}); {place}", 70)


if __name__ == "__main__":
    sys.exit(main())
