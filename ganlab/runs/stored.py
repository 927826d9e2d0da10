"""A trained generator as a file, and what is noted about how it was made."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganlab.recipes import BaseRecipe, precision, shape_of


def save_generator(
    network: nn.Module, path: Path, half: bool = False, about: Mapping[str, str] | None = None
) -> Path:
    """Write a network's weights as safetensors, with `about` as the file's metadata; `half` stores
    them in 16 bits."""
    from safetensors.torch import save

    state = {}
    for key, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        state[key] = tensor.half() if half and tensor.is_floating_point() else tensor
    partial = path.with_suffix(".partial")
    partial.write_bytes(save(state, dict(about) if about else None))
    os.replace(partial, path)
    return path


def read_generator(
    path: Path, plan: BaseRecipe, shape: tuple[int, ...], name: str = "generator"
) -> nn.Module:
    """A network of a run with the weights that `save_generator` wrote.

    Args:
        path: of the file.
        plan: what trained it.
        shape: (C, H, W) of the pictures, or (d,) of the points.
        name: of the network among what the game keeps (`BaseRecipe.products`).
    """
    return filled(plan.products(shape)[name], path)


def filled(network: nn.Module, path: Path) -> nn.Module:
    """The network with the weights of a file, in eval mode and without gradients."""
    from safetensors.torch import load_file

    state = load_file(path)
    network.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    )
    return network.eval().requires_grad_(False)


def provenance(plan: BaseRecipe, data: Any, device: torch.device, world: int = 1) -> dict[str, Any]:
    """Where, with what and on what a run was made: what a reader needs to repeat it."""
    import ganlab

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": name,
        "threads": torch.get_num_threads(),
        "world": world,
        "torch": torch.__version__,
        "ganlab": ganlab.__version__,
        "precision": precision(plan, device),
        "shape": list(shape_of(data)),
        "data": data.name,
        "count": None if plan.points else len(data),
        "note": getattr(data, "note", ""),
        "recipe_sha256": hashlib.sha256(plan.to_json().encode()).hexdigest()[:16],
    }
