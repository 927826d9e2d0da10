"""Chapter 7: every table shows γ or λ, and no row that was not tuned is called bad."""

from __future__ import annotations

from chapter_kit import line, notebook, stored, words

NAME = "07_objectives"


def printed(part: str) -> str:
    """The stored text of the code cell that holds `part`."""
    cell = next(c for c in notebook(NAME).cells if c.cell_type == "code" and part in c.source)
    return "".join(o.get("text", "") for o in cell.outputs)


def test_every_table_of_trainings_shows_its_weights() -> None:
    for part in ("PAPERS = {", 'stored("modes-stacked")', 'stored("objectives")', "SHORT = {",
                 "LIVE = {", "def full_runs"):  # fmt: skip
        assert "γ" in printed(part), part
    table = printed("PAPERS = {")
    assert "λ=0.1" in table
    assert "λ=10" in table
    assert "c=0.1" in table


def test_the_modern_baseline_is_not_condemned_by_one_rate() -> None:
    text = line(words(NAME))
    for verdict in ("has not earned its place", "stays the one that we recommend"):
        assert verdict not in text
    assert "## The same search for everyone" in text
    assert "is worse" not in printed("def full_runs")


def test_batchnorm_and_the_penalties_are_judged_by_both_tables() -> None:
    # One table says that R1 and R2 cannot replace BatchNorm in D, the other that they can.
    assert "do not take its place" not in line(words(NAME))

    def distances(name: str, label: str) -> list[float]:
        rows = stored(name)["rows"][label]
        return [row["scores"]["frechet"] for row in rows if "scores" in row]

    bare = "relativistic paired, R1 and R2, no norm in D"
    assert min(distances("objectives", bare)) > max(distances("objectives", "non-saturating"))
    ahead = distances("modes-stacked", "relativistic, R1 + R2")
    assert max(ahead) < min(distances("modes-stacked", "non-saturating, equal rates"))
