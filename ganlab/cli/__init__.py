"""The command line: `main`, and one file a command."""

from ganlab.cli.main import main

__all__ = ["main"]
