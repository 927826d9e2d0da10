"""Chapter 9: one floor, stated once; any network serves as features; claims about CMMD."""

from __future__ import annotations

import re

import pytest
import torch
from chapter_kit import notebook
from torch import nn

from ganlab import metrics


@pytest.fixture(scope="module")
def tables() -> dict[str, list[list[str]]]:
    """The rows of every stored table, by the id of its cell."""
    found = {}
    for cell in notebook("09_evaluation").cells:
        html = "".join(o.data["text/html"] for o in cell.get("outputs", [])
                       if "text/html" in o.get("data", {}))  # fmt: skip
        rows = re.findall(r"<tr>(.*?)</tr>", html)
        found[cell.id] = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    return found


def test_real_against_real_is_one_number(tables: dict[str, list[list[str]]]) -> None:
    floor = {row[0]: row[1:] for row in tables["c09-floor"]}
    mean, spread = (float(v) for v in floor["FID"])
    assert 0 < spread < mean

    def row(cell: str, start: str) -> list[str]:
        return next(r for r in tables[cell] if r[0].startswith(start))

    assert float(row("a82450e6", "real")[1]) == pytest.approx(mean, abs=0.006)
    assert float(tables["14028a90"][-1][1]) == pytest.approx(mean, abs=0.006)
    for cell in ("d72ff53f", "c09-cheat"):
        said = row(cell, "real (floor)")[1]
        assert [float(v) for v in said.split(" ± ")] == pytest.approx([mean, spread], rel=0.01)


def test_the_real_rows_of_the_generators_are_shuffled(tables: dict[str, list[list[str]]]) -> None:
    rows = [r for r in tables["c09-scored"] if r[0] == "1-NN accuracy"]
    assert rows
    for _, _, real in rows:
        assert abs(float(real.split(" ± ")[0]) - 0.5) < 0.04  # blocks of MNIST: up to 0.61


def test_any_network_gives_features_for_both_distances() -> None:
    # Offline, a network with drawn weights stands where the chapter names a downloaded one.
    body = nn.Sequential(nn.Conv2d(3, 8, 7, 4), nn.ReLU(), nn.Conv2d(8, 12, 3, 2))
    of = metrics.ModuleFeatures(body, 40, *metrics.IMAGENET, name="stand-in")
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (60, 3, 32, 32), generator=draw, dtype=torch.uint8)
    real, fake = of.features(images[:30]), of.features(images[30:] // 2)
    assert real.shape == (30, 12)
    assert metrics.fid(real, fake).value > 0
    found = metrics.cmmd(real, fake)
    assert found.value > 4 * found.stderr  # darker pictures are noticed
    same = metrics.cmmd(*(of.features(part) for part in images.split(30)))
    assert abs(same.value) < 4 * same.stderr
