"""Samples to a folder or a file, batch by batch: as many as the disk holds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from torch import Tensor

from ganlab import progress
from ganlab.errors import DataError, GanlabError
from ganlab.files import replacing, told
from ganlab.metrics.arrays import as_bytes, shaped

Parts = Iterable[Tensor]
DATED = (1980, 1, 1, 0, 0, 0)  # so that the same samples make the same file


def rows(parts: Parts, n: int, what: str) -> Iterator[np.ndarray]:
    """Batches as they are stored: bytes (B, H, W, C), or points (B, d) float32; with a bar.

    Raises:
        DataError: a value is not finite.
    """
    with progress.bar(n, "samples", "sample") as bar:
        for part in parts:
            if part.ndim == 4:
                yield as_bytes(part, what).cpu().permute(0, 2, 3, 1).contiguous().numpy()
            else:
                yield shaped(part, what, ("N", "d")).cpu().float().contiguous().numpy()
            bar.update(len(part))


def pictures(parts: Parts, n: int, what: str) -> Iterator[tuple[str, bytes]]:
    """Names and PNG files, grey ones with one channel."""
    from PIL import Image

    digits, done = _digits(n), 0
    for batch in rows(parts, n, what):
        if batch.shape[3] > 4:
            raise DataError(f"{what} has {batch.shape[3]} channels, a PNG 4 at most: name a .npz")
        for pixels in batch:
            file = io.BytesIO()
            Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "png")
            yield f"{done:0{digits}d}.png", file.getvalue()
            done += 1


def _digits(n: int) -> int:
    return max(5, len(str(n - 1)))


def folder_for(path: Path, n: int) -> Path:
    """The folder of n pictures, made; it may hold such from an earlier call, and hidden files.

    Raises:
        GanlabError: it holds others: whoever reads it later would take them for samples.
    """

    def ours(name: str) -> bool:
        stem, _, ending = name.partition(".")
        right = stem.isdecimal() and len(stem) == _digits(n) and int(stem) < n
        return name.startswith(".") or (right and ending == "png")

    with told(path, "be a folder of pictures", "name another"):
        path.mkdir(parents=True, exist_ok=True)
        other = next((p.name for p in path.iterdir() if not ours(p.name)), None)
    if other is not None:
        raise GanlabError(f"{path} holds other files ({other}): name a new or an empty folder")
    return path


def to_folder(path: Path, parts: Parts, n: int, what: str) -> None:
    """A PNG for each picture, 00000.png on."""
    folder = folder_for(path, n)
    for name, data in pictures(parts, n, what):
        with told(folder / name, instead="make room, or choose another --out"):
            (folder / name).write_bytes(data)


def to_zip(path: Path, parts: Parts, n: int, what: str) -> None:
    """The same in one zip, not compressed again."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, data in pictures(parts, n, what):
            archive.writestr(zipfile.ZipInfo(name, DATED), data)


def to_npy(path: Path, parts: Parts, n: int, what: str) -> None:
    """One array: uint8 (N, H, W, C), or float32 (N, d)."""
    with replacing(path) as partial, open(partial, "wb") as file:
        _array(file, parts, n, what)


def to_npz(path: Path, parts: Parts, n: int, what: str) -> None:
    """The array as arr_0, as `numpy.savez` names the first: what programs for the FID read."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        info = zipfile.ZipInfo("arr_0.npy", DATED)
        with archive.open(info, "w", force_zip64=True) as file:
            _array(file, parts, n, what)


def to_csv(path: Path, parts: Parts, n: int, what: str) -> None:
    """A line a point, with all digits of its numbers."""
    with replacing(path) as partial, open(partial, "w", encoding="utf-8", newline="\n") as file:
        for batch in rows(parts, n, what):
            file.writelines(",".join(f"{x:.9g}" for x in row) + "\n" for row in batch.tolist())


def _array(file: IO[bytes], parts: Parts, n: int, what: str) -> None:
    """A .npy whose number of rows is known before the rows are."""
    begun = False
    for batch in rows(parts, n, what):
        if not begun:
            header: dict[str, Any] = {
                "descr": np.lib.format.dtype_to_descr(batch.dtype),
                "fortran_order": False,
                "shape": (n, *batch.shape[1:]),
            }
            np.lib.format.write_array_header_1_0(file, header)
            begun = True
        file.write(batch.tobytes())
