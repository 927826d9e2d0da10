"""Progress bars: for people who wait, and for nobody else."""

from __future__ import annotations

import os
import sys
from typing import Any


def wanted() -> bool:
    """Whether to draw bars: `GANLAB_PROGRESS` (0 or 1), or a terminal to draw them on."""
    setting = os.environ.get("GANLAB_PROGRESS")
    return sys.stderr.isatty() if setting is None else setting != "0"


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
