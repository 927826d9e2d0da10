"""What all tests share: no network, no user folders, few threads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Caches of this test session only, no progress bars; the same threads everywhere."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("GANLAB_CACHE", str(cache))
    monkeypatch.setenv("GANLAB_PROGRESS", "0")
    monkeypatch.setenv("WANDB_MODE", "offline")
    torch.manual_seed(0)


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets, or a skip."""
    folder = os.environ.get("GANLAB_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GANLAB_DATA is not set")
    return Path(folder)
