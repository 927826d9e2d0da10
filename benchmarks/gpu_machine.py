"""A bare machine made ready: packed data sets unpacked, carried packages put on the path.

Imports nothing that may be missing there, so that it can run before everything else.
"""

from __future__ import annotations

import importlib.util
import lzma
import os
import shutil
import sys
import zipfile
from pathlib import Path

#: What ganlab imports that a stock PyTorch does not bring: module -> package.
NEEDS = {
    "pydantic": "pydantic",
    "pydantic_core": "pydantic_core",
    "annotated_types": "annotated-types",
    "typing_inspection": "typing-inspection",
    "typing_extensions": "typing_extensions",
    "platformdirs": "platformdirs",
    "filelock": "filelock",
    "tqdm": "tqdm",
    "safetensors": "safetensors",
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "numpy": "numpy",
    "torchvision": "torchvision",
    "torch": "torch",
}


def fits(wheel: str) -> bool:
    """Whether a wheel of this name is for this Python."""
    tags = wheel.removesuffix(".whl").split("-")[-3].split(".")
    return any(t in ("py3", f"py3{sys.version_info[1]}", f"cp3{sys.version_info[1]}") for t in tags)


def missing() -> list[str]:
    """Packages of `NEEDS` that cannot be imported here."""
    return [package for module, package in NEEDS.items() if not importlib.util.find_spec(module)]


def carry(pack: Path) -> list[str]:
    """Put the wheels of a pack on the path, if anything is missing; returns their names."""
    wheels = sorted(p for p in (pack / "wheels").glob("*.whl") if fits(p.name))
    if not wheels or not missing():
        return []
    site = pack / "site"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    return [w.name.split("-")[0] for w in wheels]


def unpack(pack: Path) -> list[str]:
    """Expand each `NAME.xz` of a pack beside it, once; returns the names."""
    made = []
    for packed in sorted(pack.glob("*.xz")):
        to = packed.with_suffix("")
        if to.exists():
            continue
        partial = to.with_name(f".{to.name}.partial")
        with lzma.open(packed) as source, open(partial, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        os.replace(partial, to)
        made.append(to.name)
    return made


def prepare() -> str:
    """Make the folder in `GANLAB_DATA` and the packages in it usable; one line on what was done.

    Raises:
        SystemExit: a package is neither installed nor carried; the line names it.
    """
    root = os.environ.get("GANLAB_DATA")
    done = []
    if root and Path(root).is_dir():
        done += carry(Path(root)) + unpack(Path(root))
    lacking = missing()
    if lacking:
        raise SystemExit(
            f"this Python lacks {', '.join(lacking)}: carry them with 'python"
            f" benchmarks/pack_gpu.py OUT --data FOLDER --python 3.{sys.version_info[1]}' and set"
            " GANLAB_DATA=OUT"
        )
    return f"unpacked {', '.join(done)}" if done else ""
