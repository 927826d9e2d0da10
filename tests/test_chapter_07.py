"""Chapter 7: every table shows γ or λ, and no row that was not tuned is called bad."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from nbformat import NotebookNode

BOOK = Path(__file__).resolve().parents[1] / "book"
NOTEBOOK = nbformat.read(BOOK / "07_objectives.ipynb", as_version=4)


def printed(part: str) -> str:
    """The stored text of the code cell that holds `part`."""
    cell = next(c for c in NOTEBOOK.cells if c.cell_type == "code" and part in c.source)
    return "".join(o.get("text", "") for o in cell.outputs)


def text() -> str:
    cells: list[NotebookNode] = NOTEBOOK.cells
    return " ".join(" ".join(c.source.split()) for c in cells if c.cell_type == "markdown")


def test_every_table_of_trainings_shows_its_weights() -> None:
    for part in ("PAPERS = {", 'stored("modes-stacked")', 'stored("objectives")', "SHORT = {",
                 "LIVE = {", "def full_runs"):  # fmt: skip
        assert "γ" in printed(part), part
    table = printed("PAPERS = {")
    assert "λ=0.1" in table
    assert "λ=10" in table
    assert "c=0.1" in table


def test_the_modern_baseline_is_not_condemned_by_one_rate() -> None:
    words = text()
    for verdict in ("has not earned its place", "stays the one that we recommend"):
        assert verdict not in words
    assert "## The same search for everyone" in words
    assert "is worse" not in printed("def full_runs")


def test_batchnorm_and_the_penalties_are_judged_by_both_tables() -> None:
    # One table says that R1 and R2 cannot replace BatchNorm in D, the other that they can.
    assert "do not take its place" not in text()

    def distances(name: str, label: str) -> list[float]:
        path = BOOK / "results" / name / "results.json"
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"][label]
        return [row["scores"]["frechet"] for row in rows if "scores" in row]

    bare = "relativistic paired, R1 and R2, no norm in D"
    assert min(distances("objectives", bare)) > max(distances("objectives", "non-saturating"))
    ahead = distances("modes-stacked", "relativistic, R1 + R2")
    assert max(ahead) < min(distances("modes-stacked", "non-saturating, equal rates"))
