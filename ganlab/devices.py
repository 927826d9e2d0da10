"""Where tensors can live on this machine."""

from __future__ import annotations

from typing import Any

import torch

from ganlab.errors import GanlabError, one_line


def there() -> list[str]:
    """Names of the devices of this machine, as `--device` takes them."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *(f"cuda:{i}" for i in range(gpus)), *mps]


def present(name: Any) -> torch.device:
    """The device of that name, if this machine has it.

    Raises:
        GanlabError: it is unknown, not there, or holds no values.
    """
    try:
        found = torch.device(name)
        torch.empty(0, device=found)  # a name alone says nothing of the hardware
        usable = found.type != "meta" and not (found.type == "cpu" and found.index)
    except (TypeError, RuntimeError, AssertionError, NotImplementedError):
        usable = False
    if not usable:
        raise GanlabError(
            f"device {one_line(repr(str(name)))} cannot be used: it is unknown or not there; of"
            f" cpu, cuda or mps this machine has {', '.join(there())}"
        )
    return found
