"""Pictures and points come in; batches of tensors in [-1, 1] go out.

``load(name)`` for pictures, :mod:`ganlab.data.toy` for points in the plane,
:mod:`ganlab.data.glyphs` for drawings whose factors are known.
"""

from ganlab.data import atlas, cache, degrade, glyphs, native, pictures, sizes, toy
from ganlab.data.batch import Batch, as_batch
from ganlab.data.cache import cache_root, data_root
from ganlab.data.degrade import degradation
from ganlab.data.images import available, load
from ganlab.data.imageset import ImageSet, to_float, to_uint8
from ganlab.data.own import own
from ganlab.data.pairs import DegradedStream, PairSet, PairStream, UnpairedStream
from ganlab.data.stacked import Stacks, single, stack
from ganlab.data.stream import Stream

__all__ = [
    "Batch",
    "DegradedStream",
    "ImageSet",
    "PairSet",
    "PairStream",
    "Stacks",
    "Stream",
    "UnpairedStream",
    "as_batch",
    "atlas",
    "available",
    "cache",
    "cache_root",
    "data_root",
    "degradation",
    "degrade",
    "glyphs",
    "load",
    "native",
    "own",
    "pictures",
    "single",
    "sizes",
    "stack",
    "to_float",
    "to_uint8",
    "toy",
]
