"""Chapter 8: numbers that it prints are the stored ones, and its sayings fit its own runs."""

from __future__ import annotations

import re
from typing import Any

import hygiene
import numpy as np
import pytest
from chapter_kit import notebook, stored, words

PRINTED = "\n".join(
    output.text
    for _, _, output in hygiene.outputs(notebook("08_tricks"))
    if output.output_type == "stream"
)


@pytest.mark.parametrize("label", ["all rules", "both rates 2·10⁻³", "Adam with β₁ = 0.9"])
def test_numbers_of_chapter_4_are_those_of_its_file(label: str) -> None:
    rows = stored("dcgan-ablation")["rows"][label]
    values = np.array([row["scores"]["frechet"] for row in rows])
    shown = rf"{re.escape(label)} +(Fréchet )?{values.mean():.1f} ± {values.std(ddof=1):.1f}"
    assert re.search(shown, PRINTED), f"chapter 8 is stale: run it again ({shown})"


def _late(runs: list[dict[str, Any]], key: str) -> list[float]:
    return [run["last"][key] for run in runs]


def test_run_e_is_no_failure_and_the_chapter_says_so() -> None:
    clinic = stored("diagnosis")
    broken, sound = clinic["rows"]["oscillation"]["broken"], clinic["sound"]
    if max(_late(broken, "moved")) < min(_late(sound, "moved")):
        assert "Run E did no harm" in words("08_tricks")


def test_both_losses_are_small_where_the_chapter_says() -> None:
    rows = stored("diagnosis")["rows"]
    both = [
        name
        for name, row in rows.items()
        if all(np.mean(np.abs(_late(row["broken"], key))) < 0.4 for key in ("d_loss", "g_loss"))
    ]
    assert f"both losses nearly zero: {', '.join(both)}\n" in PRINTED
    assert "saturating loss" in both  # so "both cannot be small" needs its condition


def test_cross_references_lead_where_they_say() -> None:
    text = words("08_tricks")
    assert "protocol in chapter 3" in text
    assert "the protocol of" in words("03_first_gan")
    assert "exercise 2.4" in text
    checks = [c.source for _, c in hygiene.code_cells(notebook("02_minimax_game"))]
    assert any('lab.check("2.4", smoothed' in source for source in checks)
    assert "roth2017stabilizing" in text
    assert "kurach2019large" in text


def test_the_abstract_of_the_wgan_is_not_denied() -> None:
    assert "promises no diversity" not in words("08_tricks")
