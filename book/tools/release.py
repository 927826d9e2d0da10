"""Make the files of a release: wheel, sdist, bill of materials, checksums.

``python book/tools/release.py dist`` (or ``make release``) writes them into a folder, in place
of those of an earlier call. The bill of materials, CycloneDX in JSON, lists what is installed
beside the interpreter that runs this: what the release was built and tested with.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".github" / "tools" / "requirements.txt"
FILES, SUMS = "ganlab-*", "SHA256SUMS"
# Both kinds are built from a copy: building leaves files beside the sources, which a next one
# would pack though they have been removed since.
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def copied(place: Path) -> Path:
    """What a wheel and an sdist are made of, at `place`."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    place.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        shutil.copy(ROOT / name, place / name)
    for folder in ("ganlab", "book/results"):
        shutil.copytree(ROOT / folder, place / folder, ignore=unwanted)
    return place


def wheel(sources: Path, out: Path) -> Path:
    """Build a wheel with the setuptools that is installed; no index is asked."""
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(out), str(sources)], check=True)
    (path,) = out.glob("*.whl")
    return path


def sdist(sources: Path, out: Path) -> Path:
    """Build an sdist."""
    run = [sys.executable, "-c", SDIST, str(out)]
    subprocess.run(run, cwd=sources, check=True, stdout=subprocess.DEVNULL)
    (path,) = out.glob("*.tar.gz")
    return path


def materials(path: Path, scratch: Path) -> int:
    """Write the bill of materials; returns how many packages it lists.

    The tool lives in an environment of its own, or it would list itself.
    """
    venv.create(scratch, with_pip=True)
    tool = scratch / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [str(tool / "python"), "-m", "pip", "install", "-q", "-r", str(TOOLS)]
    subprocess.run(pip, check=True)
    command = [str(tool / "cyclonedx-py"), "environment", "--mc-type", "library"]
    about = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    subprocess.run([*command, *about, "-o", str(path), sys.executable], check=True)
    return len(json.loads(path.read_text(encoding="utf-8"))["components"])


def checksums(out: Path) -> Path:
    """Write the SHA-256 of each file, in the form that `sha256sum --check` reads."""
    files = sorted(out.glob(FILES))
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files]
    path = out / SUMS
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def main() -> None:
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob(FILES), *out.glob(SUMS)):
        old.unlink()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    with tempfile.TemporaryDirectory() as scratch:
        sources = copied(Path(scratch) / "sources")
        wheel(sources, out)
        sdist(sources, out)
        n = materials(out / f"ganlab-{version}.cdx.json", Path(scratch) / "tool")
    checksums(out)
    for path in (*sorted(out.glob(FILES)), out / SUMS):
        print(f"{path.stat().st_size:>12,}  {path.name}")
    print(f"the bill of materials lists {n} packages")


if __name__ == "__main__":
    main()
