"""What `pip install ganlab` gives: the modules, their data, and the published generators."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import release

ROOT = Path(__file__).resolve().parents[1]
GENERATORS = sorted(p.parent.name for p in (ROOT / "book" / "results").glob("*/*.safetensors"))
USE = """
import pathlib, sys
import torch
import ganlab
from ganlab.cli import main
from ganlab.runs import published

home = pathlib.Path(ganlab.__file__).parent
assert home == pathlib.Path(sys.argv[1]) / "ganlab", home
assert published.names() == sys.argv[2].split(), published.names()
g = ganlab.load("stylegan2-glyphs-64")
z = g.sample_latent(2, torch.Generator().manual_seed(0))
assert g(z).shape == (2, 3, 64, 64), g(z).shape
assert published.about("stylegan2-glyphs-64")["runs"]
argv = ["export", "dcgan-glyphs", "--to", "safetensors", "--half", "--out", "g.safetensors"]
assert main(argv) == 0
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building writes beside the sources."""
    sources = release.copied(tmp_path_factory.mktemp("sources with spaces"))
    return release.wheel(sources, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_every_module_with_its_data_and_each_generator(wheel: Path) -> None:
    files = set(zipfile.ZipFile(wheel).namelist())
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "ganlab").rglob("*.py")}
    assert {f for f in files if f.endswith(".py")} == modules
    fonts = {p.relative_to(ROOT).as_posix() for p in (ROOT / "ganlab/data/fonts").iterdir()}
    assert fonts <= files
    assert GENERATORS
    shipped = {
        f"ganlab/published/{name}/{file}"
        for name in GENERATORS
        for file in ("generator.safetensors", "results.json")
    }
    assert {f for f in files if f.startswith("ganlab/published/")} == shipped
    assert wheel.stat().st_size < 15e6


def test_the_wheel_works_alone_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(place)  # what pip does with a pure wheel
    away = {k: v for k, v in os.environ.items() if k not in ("GANLAB_RESULTS", "GANLAB_DATA")}
    run = subprocess.run(
        [sys.executable, "-c", USE, str(place), " ".join(GENERATORS)],
        cwd=elsewhere,
        env=away | {"PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    assert (elsewhere / "g.safetensors").stat().st_size > 100_000
    assert "written to g.safetensors" in run.stdout


def test_an_sdist_is_enough_to_build_the_wheel_again(tmp_path: Path) -> None:
    sources = release.copied(tmp_path / "sources")
    with tarfile.open(release.sdist(sources, tmp_path)) as tar:
        files = {name.partition("/")[2] for name in tar.getnames()}
    assert {"setup.py", "pyproject.toml", "LICENSE"} <= files
    for name in GENERATORS:
        folder = f"book/results/{name}"
        assert {f"{folder}/generator.safetensors", f"{folder}/results.json"} <= files


def test_checksums_are_of_the_files_of_the_release(tmp_path: Path) -> None:
    (tmp_path / "ganlab-1.txt").write_bytes(b"abc")
    (tmp_path / "other").write_bytes(b"mine")
    text = release.checksums(tmp_path).read_text(encoding="utf-8")
    assert text.split() == [
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "ganlab-1.txt",
    ]


def test_generators_lie_in_the_repository_once() -> None:
    assert not (ROOT / "ganlab" / "published").exists()
    assert "book/results/*/generator.safetensors" in (ROOT / "MANIFEST.in").read_text("utf-8")
