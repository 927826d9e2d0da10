"""Memory between two trainings: what a notebook holds by accident, and giving back the rest."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch

_LIMIT = 50_000  # objects to look through in one value
_ENDS = (type, ModuleType, str, bytes, int, float, type(None))  # they lead nowhere, or everywhere


@dataclass(frozen=True)
class Freed:
    """What `free` did.

    Attributes:
        kind: "GPU memory", or "memory" where there is no GPU.
        freed: bytes given back to other programs; None where the system does not tell.
        held: bytes that this kernel still takes; None likewise.
        outputs: what was forgotten, as "Out[3]".
        largest: the variable that holds the most, with its bytes, if any holds a tensor.
    """

    kind: str
    freed: int | None
    held: int | None
    outputs: tuple[str, ...]
    largest: tuple[str, int] | None

    def _ipython_display_(self) -> None:
        """Nothing: `free` has printed the line already."""

    def __str__(self) -> str:
        if self.freed is None or self.held is None:
            line = f"Freed the {self.kind} that nothing refers to"
        else:
            line = f"Freed {_mib(self.freed)} of {self.kind}, {_mib(self.held)} are in use"
        if self.largest:
            line += f", most by {self.largest[0]} ({_mib(self.largest[1])})"
        return line + (f"; forgotten: {', '.join(self.outputs)}" if self.outputs else "")


def free() -> Freed:
    """Give back memory before the next training; prints one line and returns what it says.

    A notebook keeps more than its variables: every output (`Out`, `_`) and, after an error, the
    local variables of each function that was under way. Outputs that hold tensors are forgotten,
    those variables dropped (`%debug` no longer shows them), cycles collected, and the caches of
    torch and of the C library returned to the system. Your own variables stay: the line names the
    one that holds the most, so that you can `del` it and call again. Never raises.
    """
    kind, before = _in_use()
    outputs = _forget_outputs()
    _drop_frames()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)
    _, after = _in_use()
    freed = None if before is None or after is None else max(0, before - after)
    done = Freed(kind, freed, after, outputs, _largest())
    print(done)
    return done


def tensors(value: Any) -> dict[int, int]:
    """Bytes of the tensors that a value holds, in whatever it is made of, by their address.

    What functions and classes see of the module around them does not count, nor do gradients'
    graphs, which Python cannot look into.
    """
    found: dict[int, int] = {}
    shell = _shell()
    queue, seen = [value], {id(shell), id(shell.user_ns)} if shell else set()
    while queue and len(seen) < _LIMIT:
        item = queue.pop()
        if id(item) in seen or issubclass(type(item), _ENDS):
            continue
        seen.add(id(item))
        if issubclass(type(item), torch.Tensor):
            with suppress(RuntimeError, NotImplementedError):  # sparse and fake ones have none
                storage = item.untyped_storage()
                found[storage.data_ptr()] = storage.nbytes()
        if issubclass(type(item), FunctionType):
            queue += [item.__closure__, item.__defaults__, item.__kwdefaults__]
        else:
            queue += gc.get_referents(item)
    return found


def _in_use() -> tuple[str, int | None]:
    """Memory of this process that no other can have."""
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return "GPU memory", sum(torch.cuda.memory_reserved(i) for i in range(count))
    if torch.backends.mps.is_available():
        return "GPU memory", torch.mps.driver_allocated_memory()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return "memory", pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # only Linux has it
        return "memory", None


def _shell() -> Any:
    """The IPython that runs this code, or None."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module else None


def _forget_outputs() -> tuple[str, ...]:
    shell = _shell()
    if shell is None:
        return ()
    outputs = shell.user_ns.get("_oh", {})
    holding = [number for number, value in outputs.items() if tensors(value)]
    for number in holding:
        del outputs[number]
    # IPython keeps each in up to three places
    for space in (shell.user_ns, shell.user_ns_hidden, vars(shell.displayhook)):
        for number in holding:
            space.pop(f"_{number}", None)
        for name in ("_", "__", "___"):
            if tensors(space.get(name)):
                space[name] = ""
    last = getattr(shell, "last_execution_result", None)
    if last is not None:
        last.result = None
    return tuple(f"Out[{number}]" for number in holding)


def _drop_frames() -> None:
    """Empty the frames that the last error left behind, and those of what caused it."""
    error = getattr(sys, "last_value", None)
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            with suppress(RuntimeError):  # it is still under way
                frame.clear()
                _ = frame.f_locals  # before Python 3.13 a copy, which is renewed when asked for
        error = error.__cause__ or error.__context__


def _largest() -> tuple[str, int] | None:
    shell = _shell()
    if shell is None:
        return None
    sizes = {
        name: sum(tensors(value).values())
        for name, value in list(shell.user_ns.items())
        if not name.startswith("_") and name not in shell.user_ns_hidden
    }
    name = max(sizes, key=sizes.__getitem__, default="")
    return (name, sizes[name]) if name and sizes[name] >= 2**20 else None


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
