"""A trained generator as a file, and what is noted about how it was made."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import CheckpointError, FileError, NonFiniteLoss
from ganlab.files import read_text, write_bytes
from ganlab.files import told as refusals
from ganlab.metrics.features import pixels
from ganlab.recipes import BaseRecipe, precision, shape_of
from ganlab.training import checkpoint


def save_generator(
    network: nn.Module, path: Path, half: bool = False, about: Mapping[str, str] | None = None
) -> Path:
    """Write a network's weights as safetensors, with `about` as the file's metadata; `half` stores
    them in 16 bits. Its checksum goes along.

    Raises:
        NonFiniteLoss: a weight is infinite or not a number.
        FileError: the file cannot be written there.
    """
    from safetensors.torch import save

    state = {}
    for key, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        state[key] = tensor.half() if half and tensor.is_floating_point() else tensor
    finite(state, str(path))
    # by name: a file lists its tensors in another order
    proof = {"sha256": checkpoint.fingerprint(dict(sorted(state.items())))}
    return write_bytes(path, save(state, {**(about or {}), **proof}))


def finite(state: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights that are infinite or not a number.

    Raises:
        NonFiniteLoss: naming the first.
    """
    broken = checkpoint.not_finite(state)
    if broken is not None:
        raise NonFiniteLoss(
            f"{where}: the weight '{broken}' is not finite: the training diverged; go back to an"
            " earlier checkpoint, with lower rates"
        )


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
    """The network with the weights of a file, in eval mode and without gradients.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network.
        NonFiniteLoss: a weight is infinite or not a number.
    """
    state = weights(path)
    finite(state, str(path))
    try:
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        )
    except RuntimeError as error:  # lists every key that differs
        raise CheckpointError(
            f"{path} does not match its recipe: the weights are of another network"
        ) from error
    return network.eval().requires_grad_(False)


def weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, proved by its checksum where it has one.

    Raises:
        CheckpointError: it is damaged.
        FileError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    with refusals(path, "be read"):
        # read here: safetensors takes no path beyond UTF-8, and calls every refusal a missing file
        if path.exists() and not path.is_file():
            raise FileError(f"{path} is no regular file")
        data = path.read_bytes()
    try:
        state = load(data)
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        told = head.get("__metadata__", {}).get("sha256")
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}): train again, or restore the file"
        ) from error
    if told is not None and told != checkpoint.fingerprint(dict(sorted(state.items()))):
        raise CheckpointError(
            f"{path} is damaged (its checksum does not match): train again, or restore the file"
        )
    return state


def read_table(path: Path, instead: str) -> dict[str, Any]:
    """What a JSON file holds.

    Args:
        path: of the file.
        instead: what to do about a damaged one.

    Raises:
        CheckpointError: it holds no table.
        FileError: it is missing, cannot be read, or is no text.
    """
    try:
        values = json.loads(read_text(path))
    except FileError:
        raise
    except (ValueError, RecursionError) as error:  # also too deep, or a number too long
        raise CheckpointError(f"{path} is damaged: no JSON ({error}): {instead}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is damaged: no table of values: {instead}")
    return values


def provenance(
    plan: BaseRecipe, data: Any, device: torch.device, world: int = 1, own: bool = False
) -> dict[str, Any]:
    """Where, with what and on what a run was made: what a reader needs to repeat it.

    Args:
        plan, data, device, world: of the training.
        own: the data were handed over by the caller, so that the recipe does not name them.
    """
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
        "own_data": own,
        "classes": list(getattr(data, "classes", ())),
        "count": None if plan.points else len(data),
        "pixels": None if plan.points else pixels(data),
        "note": getattr(data, "note", ""),
        "recipe_sha256": hashlib.sha256(plan.to_json().encode()).hexdigest()[:16],
    }
