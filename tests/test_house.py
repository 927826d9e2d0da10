"""The floor plan: rooms import downward only, and readers' code imports from fronts."""

from __future__ import annotations

import ast
import importlib
import types
from pathlib import Path

import nbformat
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parents[1]
ROOMS = sorted(p.parent.name for p in ROOT.glob("ganlab/*/__init__.py"))
SCRIPTS = [
    p for folder in ("tests", "benchmarks", "book/tools") for p in ROOT.glob(f"{folder}/*.py")
]
CHAPTERS = sorted(ROOT.glob("book/*.ipynb"))


def test_rooms_import_from_the_floors_below_and_in_no_circle(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(cache_dir=None, no_cache=True) == EXIT_STATUS_SUCCESS


def test_nothing_lies_loose_but_the_ground():
    loose = {p.stem for p in ROOT.glob("ganlab/*.py")}
    assert loose == {"__init__", "__main__"} | GROUND


GROUND = {"devices", "errors", "files", "losses", "progress", "ranks", "schedules"}


def past_the_front(code: str) -> list[str]:
    """Imports from a module behind a front, unless the front hands on that very module."""
    found = []
    for node in ast.walk(ast.parse(code)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] != "ganlab" or len(parts) < 3 or parts[1] not in ROOMS:
                continue
            front = importlib.import_module(".".join(parts[:2]))
            handed_on = parts[2] in getattr(front, "__all__", ()) or parts[1] == "lab"
            if not (handed_on and isinstance(getattr(front, parts[2], None), types.ModuleType)):
                found.append(name)
    return found


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("from ganlab.game import Player", True),
        ("from ganlab.models.mlp import Generator", True),  # a family is handed on as a module
        ("from ganlab.game.player import Player", False),
        ("import ganlab.training.trainer", False),
        ("from ganlab.errors import RecipeError", True),
        ("import torch.nn.functional", True),
    ],
)
def test_the_rule_itself(line, passes):
    assert (not past_the_front(line)) == passes


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_script_imports_from_fronts(path):
    assert past_the_front(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_imports_from_fronts(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(c.source for c in cells if c.cell_type == "code")
    lines = [ln for ln in code.split("\n") if not ln.lstrip().startswith(("%", "!"))]
    assert past_the_front("\n".join(lines)) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_front_says_what_the_room_is_for_and_keeps_its_word(room):
    front = importlib.import_module(f"ganlab.{room}")
    assert front.__doc__
    assert len(front.__doc__.split("\n")[0]) > 20
    for name in getattr(front, "__all__", ()):
        assert hasattr(front, name), name
