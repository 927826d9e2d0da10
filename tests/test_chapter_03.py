"""Chapter 3: claims about theory say which data they hold for."""

from __future__ import annotations

from pathlib import Path

import nbformat

from ganlab.data import toy

BOOK = Path(__file__).resolve().parents[1] / "book"


def text() -> str:
    cells = nbformat.read(BOOK / "03_first_gan.ipynb", as_version=4).cells
    return "\n".join(c.source for c in cells if c.cell_type == "markdown")


def test_the_theorem_cited_at_the_end_is_said_to_be_about_other_data() -> None:
    assert (toy.make("ring8").std or 0) > 0  # the ring has a density
    before, _, after = text().partition("{cite}`mescheder2018which`")
    said = " ".join(after.split("Full entries")[0].split())
    assert "without a density*" in said
    assert "does not speak about" in said
    assert "mescheder2018which" not in before


def test_no_panel_of_the_slips_is_clamped_to_its_frame() -> None:
    cells = nbformat.read(BOOK / "03_first_gan.ipynb", as_version=4).cells
    assert not any(".clamp(" in c.source for c in cells if "panel(ax" in c.source)
