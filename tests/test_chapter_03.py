"""Chapter 3: claims about theory say which data they hold for."""

from __future__ import annotations

from chapter_kit import line, notebook, words

from ganlab.data import toy

NAME = "03_first_gan"


def test_the_theorem_cited_at_the_end_is_said_to_be_about_other_data() -> None:
    assert (toy.make("ring8").std or 0) > 0  # the ring has a density
    before, _, after = words(NAME).partition("{cite}`mescheder2018which`")
    said = line(after.split("Full entries")[0])
    assert "without a density*" in said
    assert "does not speak about" in said
    assert "mescheder2018which" not in before


def test_no_panel_of_the_slips_is_clamped_to_its_frame() -> None:
    cells = notebook(NAME).cells
    assert not any(".clamp(" in c.source for c in cells if "panel(ax" in c.source)
