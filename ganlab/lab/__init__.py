"""What a notebook calls: set-up, profile, provenance, stored results, exercise checks.

The profile is chosen by `GANLAB_PROFILE`: *quick* (tests: a notebook in a minute on two
cores), *standard* (what the site shows) or *full* (long runs on a GPU).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from ganlab.errors import GanlabError, at_least, unknown
from ganlab.lab.checks import Answer, Check, run

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
    output is stored, and prints device, memory, versions and profile (unless `quiet`).

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
        print(describe())


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

    Never raises for a wrong answer: the diagnosis is in the line.
    """
    verdict = run(exercise, answer)
    check_log.append(verdict)
    print(verdict)
    return verdict
