"""Progress bars: for people who wait, and for nobody else."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any


def wanted() -> bool:
    """Whether to draw bars: `GANLAB_PROGRESS` (0 or 1), or a terminal to draw them on."""
    setting = os.environ.get("GANLAB_PROGRESS")
    if sys.stderr is None:  # closed before Python began
        return False
    return sys.stderr.isatty() if setting is None else setting != "0"


def tell(line: str, stream: Any = None) -> None:
    """Print a line for people, on stderr by default; a reader who has left stops nothing.

    A training whose words go to `head` must not end with it.
    """
    stream = sys.stderr if stream is None else stream
    if stream is None:
        return
    try:
        print(line, file=stream, flush=True)
    except OSError:
        # What is left in the buffer goes nowhere, or Python would fail over it when it ends.
        with suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def bar(
    total: int, what: str = "", unit: str = "step", initial: int = 0, disable: bool = False
) -> Any:
    """A tqdm bar on stderr, silent where none is wanted.

    Plain text also in notebooks: tqdm's widget would end up in stored outputs.
    """
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=what or None,
        unit=unit,
        initial=initial,
        disable=disable or not wanted(),
        dynamic_ncols=True,
        mininterval=0.5,
    )
