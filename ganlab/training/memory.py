"""Freed memory stays with the process: large tensors come and go in every round.

glibc gives large blocks back to the system as soon as they are freed, and the next round's
gradients then pay for fresh pages again, one fault per 4 KiB: for a small network that is a
third of the round. On other systems and C libraries nothing is changed.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of malloc.h's M_TRIM_THRESHOLD and M_MMAP_MAX
_DEFAULT_TRIM, _DEFAULT_MMAPS = 128 * 1024, 65536
_NEVER = 2**31 - 1


def keep(freed: bool = True) -> bool:
    """Keep freed memory for the next allocation, or return to the C library's defaults.

    Args:
        freed: True to keep it; the process then stays as large as it has ever been.

    Returns:
        Whether this system could be told.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library: musl has no mallopt
        return False
    trim, mmaps = (_NEVER, 0) if freed else (_DEFAULT_TRIM, _DEFAULT_MMAPS)
    return bool(mallopt(_TRIM_THRESHOLD, trim) and mallopt(_MMAP_MAX, mmaps))
