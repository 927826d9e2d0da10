"""One process a run: who trains in a folder holds it."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ganlab.data.cache import say
from ganlab.errors import CheckpointError
from ganlab.files import told, write_text

LOCK, HOLDER = ".lock", ".holder.json"


class Hold:
    """Hold a run's folder until `release`; a killed process lets go of it by itself.

    Args:
        folder: of the run; it exists.

    Raises:
        CheckpointError: another process trains there; the line says which.
        FileError: nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / LOCK)
        try:
            with told(folder, "be written to", "choose another --out"):
                try:
                    self._lock.acquire(timeout=0)
                except Timeout:  # which is an OSError too
                    raise CheckpointError(
                        f"{folder} is being trained by {self._holder()}: wait for it, or choose"
                        " another --out"
                    ) from None
                mine = {
                    "process": os.getpid(),
                    "host": platform.node(),
                    "since": time.strftime("%Y-%m-%d %H:%M"),
                }
                write_text(folder / HOLDER, json.dumps(mine))
        except NotImplementedError:  # a file system without locks
            say(f"{folder} lies on a disk without locks: do not start a second training there")

    def _holder(self) -> str:
        path = self.folder / HOLDER
        for _ in range(20):  # who has just taken the lock is about to write its name
            if path.exists() and not path.is_file():  # a pipe of that name would never answer
                break
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                return f"process {found['process']} on {found['host']} since {found['since']}"
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                time.sleep(0.05)
        return "another process"

    def release(self) -> None:
        """Let go; of a folder in which nothing came about nothing is left."""
        with suppress(OSError):
            (self.folder / HOLDER).unlink(missing_ok=True)
            # the lock itself stays in a run: who removed it could take it from the next
            if [p.name for p in self.folder.iterdir()] == [LOCK]:
                (self.folder / LOCK).unlink()
                self.folder.rmdir()
        self._lock.release()
