"""Chapter 4: what its tables and references say is what the stored files and the book hold."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from chapter_kit import BOOK, notebook, stored, words
from torch import Tensor

from ganlab import plots

RESULTS = BOOK / "results"
NAMES = ("03_first_gan", "04_dcgan")


def code(start: str) -> str:
    return next(c.source for c in notebook("04_dcgan").cells if c.source.startswith(start))


def variety(images: Tensor) -> float:
    scope: dict = {"torch": torch}
    exec(code("def variety(").split("\n\n\n")[0], scope)
    return scope["variety"](images)


def test_variety_refuses_to_compare_grey_with_three_equal_channels() -> None:
    grey = plots.untile(RESULTS / "dcgan-ablation" / "0.png", 32)[:, :1]
    assert variety(grey) > 0
    with pytest.raises(AssertionError):
        variety(grey.expand(-1, 3, -1, -1))


def test_stored_panels_have_the_variety_of_stored_digits() -> None:
    digits = plots.untile(RESULTS / "dcgan-mnist" / "grid.png", 32)[:, :1]
    panels = plots.untile(RESULTS / "dcgan-ablation" / "0.png", 32)[:, :1]
    assert 0.8 < variety(panels) / variety(digits) < 1.2  # sqrt(3) more with three channels


def test_the_chapter_reads_its_panels_in_one_channel() -> None:
    assert "[:, :1]" in code("grids = {label: plots.untile(")


@pytest.mark.parametrize("name", NAMES)
def test_next_names_the_next_chapter(name: str) -> None:
    toc = yaml.safe_load((BOOK.parent / "_toc.yml").read_text(encoding="utf-8"))
    files = [c["file"] for part in toc["parts"] for c in part["chapters"]]
    following = files[files.index(f"book/{name}") + 1]
    text = notebook(name).cells[-1].source
    says = re.search(r"\*\*Next:\*\*.*", text, re.DOTALL)
    assert says
    assert f"apter {int(Path(following).name[:2])}" in says[0]


@pytest.mark.parametrize("name", NAMES)
def test_formulas_on_lines_of_their_own_fit_a_phone(name: str) -> None:
    """One claim a line: none that sets several side by side, which a phone would cut."""
    for cell in notebook(name).cells:
        if cell.cell_type == "markdown":
            for formula in re.findall(r"\$\$(.*?)\$\$", cell.source, re.DOTALL):
                assert r"\qquad" not in formula, formula


def test_the_work_of_the_layers_is_told_as_exercise_2_counts_it() -> None:
    text = words("04_dcgan")
    assert "work* is done where it is large" not in text
    widths = [512, 256, 128, 64]
    work = [16 * a * b * (4 * 2**i) ** 2 for i, (a, b) in enumerate(pairwise(widths))]
    assert len(set(work)) == 1


def test_the_stored_runs_say_their_precision() -> None:
    assert "mnist['precision']" in code("folder, mnist = stored(")
    for name in ("dcgan-mnist", "dcgan-ablation"):
        assert stored(name)["precision"] in ("bf16", "fp32")
