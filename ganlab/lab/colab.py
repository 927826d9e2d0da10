"""Google Colab: what a notebook says about its machine there, and runs that outlive it."""

from __future__ import annotations

import itertools
import sys
import tempfile
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

import torch

from ganlab.errors import GanlabError, one_line
from ganlab.files import told

DRIVE = Path("/content/drive")  # Colab mounts it at a path without spaces only
_kept: list[Path] = []  # the folder in Drive, once it was asked for


def here() -> bool:
    """Whether this kernel is Colab's."""
    return "google.colab" in sys.modules


def advice() -> list[str]:
    """Lines on what to do in Colab's menu; none elsewhere, or where all is well."""
    if not here():
        return []
    lines = []
    package = Path(__file__).parents[1]
    found = PathFinder.find_spec("ganlab")
    if found and found.origin and Path(found.origin).parent.resolve() != package.resolve():
        lines.append(
            f"This kernel still holds {package.parent}: Runtime > Restart session, then run again"
        )
    if not torch.cuda.is_available():
        lines.append(
            "No GPU: Runtime > Change runtime type > T4 GPU, then run all again. Every chapter"
            " runs without one too, its trainings slower; the longest results are stored"
        )
    return lines


def keep_on_drive(folder: str = "ganlab runs") -> Path:
    """Keep runs in Google Drive, where they outlive Colab's machine.

    Mounts Drive (Colab asks for your leave) and turns `runs` in the working folder into a link to
    `folder` there. What is trained into `runs` from then on lies in Drive: by `ganlab.train` and
    the command `ganlab train` alike, and to be resumed another day. A chapter's own runs go there
    too (`run_folder`). May be called again. Outside Colab it only says that runs stay.

    Args:
        folder: in My Drive; made if it is missing. Its path may have spaces.

    Returns:
        The folder that holds the runs.

    Raises:
        GanlabError: Drive was not mounted, `folder` lies outside it, or `runs` holds runs already.
        FileError: the folder cannot be made.
    """
    link = Path("runs")
    if not here():
        print(f"This is not Colab: runs stay in {link.resolve()}")
        return link.resolve()
    from google.colab import drive  # type: ignore[import-not-found,unused-ignore]

    try:
        drive.mount(str(DRIVE))
    except Exception as error:  # several kinds, some of them Colab's own
        raise GanlabError(
            f"Drive was not mounted ({one_line(error) or type(error).__name__}): run this cell"
            " again and allow it, or go on without"
        ) from error
    short = DRIVE / "MyDrive"
    place = (short if short.is_dir() else DRIVE / "My Drive") / folder
    if ".." in place.parts or not place.is_relative_to(DRIVE):
        raise GanlabError(f"{one_line(place)} lies outside {DRIVE}: name a folder of My Drive")
    with told(place, "be made", "name another folder"):
        place.mkdir(parents=True, exist_ok=True)
    with told(link, "be linked to Drive", "change to another folder with %cd"):
        if link.is_symlink():
            link.unlink()
        elif link.is_dir() and not any(link.iterdir()):
            link.rmdir()
        elif link.is_dir():
            raise GanlabError(
                f"{link.resolve()} holds runs already: move them with"
                f' !mv {link}/* "{place}" && rmdir {link}, then run this cell again'
            )
        link.symlink_to(place, target_is_directory=True)
    _kept[:] = [place]
    print(f"Runs are kept in {place}")
    return place


def run_folder(name: str) -> Path:
    """A new folder for a run of a notebook.

    Args:
        name: of the folder; a number is added where it is taken.

    Returns:
        A folder in Drive after `keep_on_drive`, else a temporary one that goes with the kernel.

    Raises:
        FileError: it cannot be made.
    """
    base = _kept[0] if _kept else Path(_scratch().name)
    for number in itertools.count(1):
        folder = base / (name if number == 1 else f"{name}-{number}")
        with told(folder, "be made", "call lab.keep_on_drive() again, or choose another name"):
            try:  # made, not looked for; without its parents, which an unmounted Drive lacks
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
    raise AssertionError("unreachable")


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """What a notebook writes and nobody asked to keep: one folder a kernel, removed at its end."""
    return tempfile.TemporaryDirectory(prefix="ganlab-")
