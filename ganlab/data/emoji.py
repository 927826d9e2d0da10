"""Noto emoji: 3,583 drawings of 72x72 pixels, checked name by name and byte by byte."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from ganlab.data import fetch
from ganlab.errors import DataError

FILE = "noto-emoji-72.zip"
#: Releases with the drawings of Unicode 16, tried in order; the hash decides.
TAGS = ("v2.047", "v2.048")
URL = "https://github.com/googlefonts/noto-emoji/archive/refs/tags/{tag}.zip"
#: Of the content, see :func:`digest`.
SHA256 = "ebd28bb7a42b66eee7d3474b9b5a79408aee9346eeb3cb46e5af87fa749b1464"


def _drawings(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(path from ``png/72`` on, path in the archive) of each drawing, sorted."""
    rows = []
    for full in archive.namelist():
        parts = full.split("/")
        if len(parts) in (3, 4) and parts[-3:-1] == ["png", "72"] and full.endswith(".png"):
            rows.append(("/".join(parts[-3:]), full))
    return sorted(rows)


def digest(archive: zipfile.ZipFile) -> str:
    """SHA-256 over the sorted paths ``png/72/*.png`` and their bytes.

    For each file: the path in UTF-8, a zero byte, the length as 8 little-endian bytes, the bytes.
    The hash of the archive itself would not do, because it is made anew at each download and may
    be packed in another way.
    """
    total = hashlib.sha256()
    for short, full in _drawings(archive):
        content = archive.read(full)
        total.update(short.encode() + b"\0" + len(content).to_bytes(8, "little") + content)
    return total.hexdigest()


def check(path: Path) -> None:
    """Compare a zip of the emoji with the known content.

    Raises:
        DataError: if any name or byte differs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = digest(archive)
    except (zipfile.BadZipFile, OSError, EOFError) as e:
        raise DataError(f"{path} cannot be read ({e}): delete it to download it again") from None
    if found != SHA256:
        raise DataError(
            f"{path} is refused: the SHA-256 of its png/72 is {found[:12]}..., "
            f"not {SHA256[:12]}...; delete it to download it again"
        )


def get(root: Path, here: Callable[[], bool]) -> None:
    """Download a release, keep ``png/72`` and the licence, and put them under ``root``.

    Raises:
        fetch.Corrupt: if no release has the known content.
        OSError: if the source cannot be reached.
    """
    with fetch.staged(root, "emoji") as scratch:
        if here():
            return
        for tag in TAGS:
            fetch.download(URL.format(tag=tag), scratch / "all.zip")
            try:
                with zipfile.ZipFile(scratch / "all.zip") as archive:
                    if digest(archive) != SHA256:
                        continue
                    _repack(archive, scratch / FILE)
            except zipfile.BadZipFile:
                continue
            os.replace(scratch / FILE, root / FILE)
            return
    raise fetch.Corrupt(f"png/72 of noto-emoji {' and '.join(TAGS)} is not the known content")


def _repack(archive: zipfile.ZipFile, to: Path) -> None:
    with zipfile.ZipFile(to, "w") as out:
        for short, full in _drawings(archive):
            out.writestr(zipfile.ZipInfo(short, (2020, 1, 1, 0, 0, 0)), archive.read(full))
        for full in archive.namelist():
            if full.count("/") <= 1 and full.endswith("LICENSE"):
                out.writestr("LICENSE", archive.read(full))
