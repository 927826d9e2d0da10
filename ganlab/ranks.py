"""Training on several processes (`torchrun`): who am I, and averaging what must agree.

Gradients are averaged after the backward pass, in one flattened all-reduce, instead of by
DistributedDataParallel's hooks. A GAN round calls a network several times before one backward
pass, freezes it in the other player's step and differentiates through gradients; the hooks
support none of the three together (two forwards with BatchNorm raise an in-place error on
torch). The price is that communication does not overlap the backward pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ganlab.errors import GanlabError

T = TypeVar("T")


def start() -> tuple[int, int]:
    """Join the process group that `torchrun` announces, if any. Returns (rank, world).

    Raises:
        GanlabError: what it announces is no number, or incomplete.
    """
    said = {}
    for name, usual in (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0")):
        text = os.environ.get(name, usual)
        if not (text.isascii() and text.isdigit()) or (name == "WORLD_SIZE" and int(text) < 1):
            raise GanlabError(f"{name}={text} is no number of processes: torchrun sets it")
        said[name] = int(text)
    if said["WORLD_SIZE"] > 1 and not dist.is_initialized():
        lacking = [n for n in ("RANK", "MASTER_ADDR", "MASTER_PORT") if n not in os.environ]
        if lacking:
            raise GanlabError(
                f"WORLD_SIZE={said['WORLD_SIZE']} without {', '.join(lacking)}: start with"
                " torchrun, or unset it"
            )
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        if backend == "nccl":
            torch.cuda.set_device(said["LOCAL_RANK"])
        dist.init_process_group(backend)
    return rank(), size()


def stop() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 when alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def average(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over the ranks, in one flattened exchange per type."""
    if size() == 1:
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for group in by_type.values():
        flat = torch.cat([t.reshape(-1) for t in group])
        dist.all_reduce(flat)
        flat /= size()
        offset = 0
        for t in group:
            t.copy_(flat[offset : offset + t.numel()].view_as(t))
            offset += t.numel()


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by rank 0's."""
    if size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def agree(decide: Callable[[], T]) -> T:
    """Let rank 0 decide for all; what it raises is raised on every rank, so that none waits."""
    if size() == 1:
        return decide()
    answer: list[Any] = [None]
    if rank() == 0:
        try:
            answer = [decide()]
        except GanlabError as error:
            answer = [error]
    dist.broadcast_object_list(answer, 0)
    if isinstance(answer[0], GanlabError):
        raise answer[0]
    return answer[0]


def barrier() -> None:
    """Wait for all ranks."""
    if size() > 1:
        dist.barrier()
