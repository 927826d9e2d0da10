"""What the tests of picture sets share: folders of their own, and small files to put there."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from ganlab.data import fetch


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path):
    """A data root and a cache of its own for each test, no waiting, no offline mode."""
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GANLAB_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GANLAB_OFFLINE", raising=False)
    monkeypatch.setattr(fetch, "WAIT", 0.0)


def noise(width, height, seed=0, mode="RGB"):
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(values.squeeze())


def png(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def write(folder, files):
    """Write {relative name: picture or bytes}."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else png(content))
    return folder


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes) else png(content))
    return path


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


def idx(array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def mnist_files(count=30):
    rng = np.random.default_rng(0)
    files = {}
    for start, n in (("train", count), ("t10k", count // 3)):
        files[f"{start}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (n, 28, 28)))
        files[f"{start}-labels-idx1-ubyte"] = idx(np.arange(n) % 10)
    return files


def zip_bytes(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
