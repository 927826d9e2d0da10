"""Trained generators that come with the course, by name.

Used so:

    g = ganlab.load("stylegan2-glyphs-64")
    about("stylegan2-glyphs-64")["runs"][0]["scores"]

They lie in `book/results/NAME/` as safetensors in 16 bits, beside the recipe, the seeds, the
device and the scores that they were published with; a wheel holds a copy (`setup.py`). The SHA-256
of the weights stands among them, so that a file that was damaged or exchanged on its way is told.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from ganlab.errors import CheckpointError, GanlabError, unknown
from ganlab.files import as_path, digest, told, write_text
from ganlab.recipes import BaseRecipe
from ganlab.runs.stored import read_generator, read_table

WEIGHTS, RESULTS = "generator.safetensors", "results.json"


def roots() -> list[Path]:
    """Folders that may hold results: `GANLAB_RESULTS`, the checkout's or the wheel's, and those
    below the working folder."""
    named = os.environ.get("GANLAB_RESULTS")
    package, here = Path(__file__).resolve().parents[1], Path.cwd()
    own = [package.parent / "book" / "results", package / "published"]
    below = [here / "results", here / "book" / "results"]
    return [*([as_path(named)] if named else []), *own, *below]


def folder(name: str) -> Path:
    """Folder of a stored result, `book/results/NAME`; an installed wheel holds those with a
    generator.

    Raises:
        GanlabError: it is not there; the line says where it was sought.
    """
    places = roots()
    for root in places:
        if (root / name).is_dir():
            return root / name
    raise GanlabError(
        f"no stored result '{name}' in {places[0]}: clone the repository, or set GANLAB_RESULTS"
        " to a copy of its book/results folder"
    )


def names() -> list[str]:
    """Results that hold a generator, in the order of the alphabet."""
    for root in roots():
        found = sorted(p.parent.name for p in root.glob(f"*/{WEIGHTS}"))
        if found:
            return found
    return []


def about(name: str) -> dict[str, Any]:
    """What was stored with a result: recipe, commit, seeds, device, minutes, scores of each seed.

    Raises:
        GanlabError: there is no such result, or its file is damaged.
    """
    return _facts(folder(name) / RESULTS)


def load(name: str) -> nn.Module:
    """A published generator with its averaged weights, in eval mode on the CPU.

    Args:
        name: of a result that holds one (`names`).

    Returns:
        The network; `network.sample_latent(n, torch.Generator())` draws (n, latent), and
        `network(z)` gives (n, C, H, W) pictures around [-1, 1]; a conditional one, with
        `network.classes` above 0, takes `network(z, labels)`. No gradient reaches its weights.

    Raises:
        GanlabError: no generator of that name is stored; the line names the nearest.
    """
    known = names()
    if known and name not in known:
        raise GanlabError(unknown("generator", name, known))
    return read(folder(name))[0]


def read(here: Path) -> tuple[nn.Module, Any, tuple[int, ...]]:
    """The generator of a result's folder, with the recipe that trained it and its data's shape.

    Raises:
        GanlabError: a file of the result is missing or damaged; the line names it.
    """
    facts = _facts(here / RESULTS)
    if not {"recipe", "shape"} <= facts.keys():
        raise CheckpointError(f"{here / RESULTS} has no recipe or no shape: no generator's results")
    prove(here, facts)
    plan, shape = BaseRecipe.from_json(json.dumps(facts["recipe"])), tuple(facts["shape"])
    return read_generator(here / WEIGHTS, plan, shape), plan, shape


def prove(here: Path, facts: dict[str, Any]) -> None:
    """Hold the weights against the SHA-256 that their results name; older ones name none.

    Raises:
        CheckpointError: the file is another one.
        FileError: it is missing or cannot be read.
    """
    path, named = here / WEIGHTS, facts.get("sha256")
    if named is None:
        return
    with told(path, "be read", "fetch it again"):
        found = digest(path)
    if found != named:
        raise CheckpointError(
            f"{path} is not the file that {RESULTS} describes (its SHA-256 begins with"
            f" {found[:12]}, not with {str(named)[:12]}): fetch both again"
        )


def stamp(here: Path) -> str:
    """Write the SHA-256 of a result's weights into its results; returns it.

    Raises:
        GanlabError: a file is missing, damaged or cannot be written.
    """
    with told(here / WEIGHTS, "be read"):
        found = digest(here / WEIGHTS)
    facts = _facts(here / RESULTS) | {"sha256": found}
    write_text(here / RESULTS, json.dumps(facts, ensure_ascii=False) + "\n")
    return found


def _facts(path: Path) -> dict[str, Any]:
    """What a results.json says."""
    return read_table(path, "fetch it again")
