"""What a notebook calls: set-up, profile, provenance, stored results, exercise checks, Colab.

The profile is chosen by `GANLAB_PROFILE`: *quick* (tests: a notebook in a minute on two
cores), *standard* (what the site shows) or *full* (long runs on a GPU).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from ganlab.errors import GanlabError, at_least, unknown
from ganlab.lab import colab
from ganlab.lab.checks import Answer, Check, run, written
from ganlab.lab.colab import keep_on_drive, run_folder
from ganlab.lab.memory import free

__all__ = [
    "PROFILES",
    "check",
    "check_log",
    "describe",
    "free",
    "hand_in",
    "keep_on_drive",
    "markdown",
    "pick",
    "results",
    "run_folder",
    "setup",
    "table",
]

PROFILES = ("quick", "standard", "full")
T = TypeVar("T")

#: Every check of this session, in order; the tests of the notebooks read it.
check_log: list[Check] = []


def _profile() -> str:
    name = os.environ.get("GANLAB_PROFILE", "standard")
    if name not in PROFILES:
        raise GanlabError("GANLAB_PROFILE: " + unknown("profile", name, PROFILES))
    return name


def _device() -> torch.device:
    name = os.environ.get("GANLAB_DEVICE")
    if name:
        from ganlab.devices import present

        try:
            return present(name)
        except GanlabError as error:
            raise GanlabError(f"GANLAB_DEVICE: {error}") from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def __getattr__(name: str) -> Any:
    # Read on demand, so that a reader may set the variable after the import.
    if name == "profile":
        return _profile()
    if name == "device":
        return _device()
    raise AttributeError(f"module 'ganlab.lab' has no attribute '{name}'")


def setup(seed: int = 0, quiet: bool = False) -> None:
    """Make a notebook reproducible and say where it runs.

    Seeds torch and numpy with `seed`, sets the plot style, turns progress bars off where the
    output is stored, and prints device, memory, versions and profile (unless `quiet`); in Colab
    also what to do in its menu, as to switch a GPU on.

    Raises:
        GanlabError: the seed is no whole number from 0 to 2**32 - 1, or `GANLAB_DEVICE` or
            `GANLAB_PROFILE` names what is not there.
    """
    seed = at_least("seed", seed, 0, 2**32 - 1)
    import numpy as np

    from ganlab import plots

    os.environ.setdefault("GANLAB_PROGRESS", "0" if _stored_output() else "1")
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - readers' own code may draw from the global state
    plots.style()
    if not quiet:
        print("\n".join([describe(), *colab.advice()]))


def _stored_output() -> bool:
    """True when the outputs of this kernel are stored (executed by a script, not a reader)."""
    return "GANLAB_PROFILE" in os.environ


def describe() -> str:
    """One line: device and its memory, torch, Python, ganlab, profile."""
    import ganlab

    device = _device()
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        where = f"{properties.name} ({properties.total_memory / 2**30:.0f} GiB)"
    elif device.type == "cpu":
        where = f"CPU (threads: {torch.get_num_threads()}, {_memory_gib():.0f} GiB)"
    else:
        where = device.type.upper()
    return (
        f"{where} · torch {torch.__version__.split('+')[0]} · Python {platform.python_version()}"
        f" · ganlab {ganlab.__version__} · profile {_profile()}"
    )


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, AttributeError, OSError):  # Windows has no sysconf
        return float("nan")


def pick(quick: T, standard: T, full: T | None = None) -> T:
    """The value for the current profile; `full` falls back to `standard`."""
    profile = _profile()
    if profile == "quick":
        return quick
    return full if profile == "full" and full is not None else standard


def results(name: str) -> Path:
    """Folder of a stored result, `book/results/NAME`.

    Found beside the package in a checkout, or under `GANLAB_RESULTS`, or below the working
    folder.

    Raises:
        GanlabError: it is not there; the line says where it was sought.
    """
    from ganlab.runs.published import folder

    return folder(name)


def markdown(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A table as Markdown: the first column on the left, the others, numbers mostly, on the right.

    >>> print(markdown(["n", "FID"], [["1,000", 2.5]]))
    | n | FID |
    | --- | ---: |
    | 1,000 | 2.5 |
    """
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in (head, rule, *rows))


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Any:
    """The same to be displayed, as the last line of a cell or with `display`."""
    from IPython.display import Markdown

    return Markdown(markdown(head, rows))  # type: ignore[no-untyped-call]


def check(exercise: str, answer: Answer) -> Check:
    """Check the answer to an exercise ('2.1'); prints the verdict and returns it.

    Never raises for a wrong answer: the diagnosis is in the line. Only where `GANLAB_GRADING` is
    set, for programs that grade by whether a cell runs, it raises after printing.

    Raises:
        AssertionError: the answer does not pass, and `GANLAB_GRADING` is set.
    """
    verdict = replace(run(exercise, answer), source=written(answer))
    check_log.append(verdict)
    print(verdict)
    if os.environ.get("GANLAB_GRADING", "0") not in ("", "0") and not verdict.passed:
        raise AssertionError(str(verdict))
    return verdict


def hand_in(name: str | None = None, chapter: int | None = None) -> Any:
    """The last verdict of each exercise as a table, and as a file to hand in.

    Writes `hand-in-CHAPTER-NAME.json` into the working folder and says so in one line; so it does
    where it cannot, as without a name. What the signature in the file is worth, and how a teacher
    reads it, stands in `ganlab.lab.handin`.

    Args:
        name: whose work it is, as "Ada Lovelace".
        chapter: its number; may be left out where all checks of this session are of one chapter.

    Returns:
        The table to be displayed, as the last line of a cell, or None if nothing was checked.
    """
    from ganlab.lab.handin import hand_in

    return hand_in(name, chapter)
