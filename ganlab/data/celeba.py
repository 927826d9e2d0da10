"""CelebA: aligned faces with 40 attributes (Liu et al. 2015, arXiv:1411.7766)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.data.cache import Decoded
from ganlab.data.decoding import decode
from ganlab.data.folder import Layout, folder_files, zip_files
from ganlab.data.listing import Files
from ganlab.errors import DataError

if TYPE_CHECKING:
    from ganlab.data.found import Found, Want

TEST_FROM = 182_638  # number of the first test picture; training ends at TRAIN_TO
TRAIN_TO = 162_770


def find(root: Path, want: Want) -> Found | None:
    """``root/celeba/img_align_celeba`` as a folder or zip of numbered JPEG files."""
    from ganlab.data.found import Found

    home = root / "celeba"
    if (home / "img_align_celeba").is_dir():
        files = folder_files(home / "img_align_celeba")
    elif (home / "img_align_celeba.zip").is_file():
        files = zip_files(home / "img_align_celeba.zip")
    else:
        return None
    table = home / "list_attr_celeba.txt"
    mark = files.fingerprint + (str(table.stat().st_size) if table.is_file() else "")
    return Found(mark, partial(_decode, files, table))


def _number(name: str) -> int:
    stem = Path(name).stem
    return int(stem) if stem.isdigit() else 0


def _decode(files: Files, table: Path, want: Want) -> Decoded:
    low, high = (1, TRAIN_TO) if want.split == "train" else (TEST_FROM, 10**9)
    names = tuple(n for n in files.names if low <= _number(n) <= high)
    if not names:
        raise DataError(f"{files.where} has no picture of split '{want.split}'")
    return decode(
        files,
        Layout(names, None, (), _attributes(table, names)),
        want,
        "celeba",
    )


def _attributes(table: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Each attribute as 0 or 1 for each picture; nothing if the table is not there."""
    if not table.is_file():
        return {}
    lines = table.read_text(encoding="ascii").splitlines()
    heads = lines[1].split()
    rows = {p[0]: p[1:] for p in (line.split() for line in lines[2:]) if len(p) == len(heads) + 1}
    chosen = [rows.get(Path(n).name) for n in names]
    if any(row is None for row in chosen):
        return {}
    values = (np.array(chosen, dtype=np.int8) > 0).astype(np.int64)
    return {head: values[:, i] for i, head in enumerate(heads)}
