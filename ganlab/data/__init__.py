"""Pictures and points come in; batches of tensors in [-1, 1] go out.

``load(name)`` for pictures, :mod:`ganlab.data.toy` for points in the plane,
:mod:`ganlab.data.glyphs` for drawings whose factors are known.
"""

from ganlab.data import glyphs, toy
from ganlab.data.cache import cache_root, data_root
from ganlab.data.images import available, load
from ganlab.data.imageset import ImageSet, to_float, to_uint8
from ganlab.data.stacked import Stacks, single, stack
from ganlab.data.stream import Stream

__all__ = [
    "ImageSet",
    "Stacks",
    "Stream",
    "available",
    "cache_root",
    "data_root",
    "glyphs",
    "load",
    "single",
    "stack",
    "to_float",
    "to_uint8",
    "toy",
]
