"""Random numbers that are a function of a name and an index, not of what was drawn before."""

from __future__ import annotations

import numpy as np


def _mix(z: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _number(name: str) -> int:
    """64 bits for a name (FNV-1a, draft-eastlake-fnv)."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def uniform(seed: int, index: np.ndarray, stream: str) -> np.ndarray:
    """Uniform numbers in [0, 1), ``float64``, each a function of (seed, index, stream) alone.

    Args:
        seed: any whole number.
        index: ``int64``, any shape.
        stream: a name; different names give unrelated numbers.
    """
    step = np.uint64(0x9E3779B97F4A7C15)
    start = np.array([seed % 2**64, _number(stream)], dtype=np.uint64)
    with np.errstate(over="ignore"):
        key = _mix(_mix(start[:1] + step) ^ start[1:])
        bits = _mix(_mix(index.astype(np.uint64) * step + key) + step)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
