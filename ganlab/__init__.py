"""ganlab: generative adversarial networks that can be read, measured and trusted.

The package behind an executable course. Submodules load on first use, so that
`import ganlab` costs little more than `import torch`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBMODULES = {
    "augment",
    "cli",
    "data",
    "deploy",
    "ensemble",
    "errors",
    "game",
    "lab",
    "latent",
    "losses",
    "metrics",
    "models",
    "penalties",
    "plots",
    "progress",
    "ranks",
    "recipes",
    "runs",
    "training",
}
_NAMES = {
    "load": ("ganlab.runs", "load"),
    "recipe": ("ganlab.recipes", "recipe"),
    "train": ("ganlab.runs", "train"),
    "Run": ("ganlab.runs", "Run"),
}

__all__ = sorted(_SUBMODULES | set(_NAMES)) + ["__version__"]  # noqa: RUF005


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"ganlab.{name}")
    if name in _NAMES:
        module, attribute = _NAMES[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'ganlab' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
