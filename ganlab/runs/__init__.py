"""A training on disk: run folders, stored generators, published results."""

from ganlab.runs import published
from ganlab.runs.hold import Hold
from ganlab.runs.published import load
from ganlab.runs.run import Run
from ganlab.runs.start import pick_device, planned, train
from ganlab.runs.stored import provenance, read_generator, save_generator

__all__ = [
    "Hold",
    "Run",
    "load",
    "pick_device",
    "planned",
    "provenance",
    "published",
    "read_generator",
    "save_generator",
    "train",
]
