"""The referee: plays rounds, logs, samples, saves, resumes, and knows no loss and no network."""

from ganlab.training import checkpoint, ideal, memory
from ganlab.training.callbacks import (
    TRACKERS,
    Callback,
    JsonLines,
    Lines,
    Record,
    Referee,
    read_log,
    write_samples,
)
from ganlab.training.identity import differences
from ganlab.training.trainer import Trainer

__all__ = [
    "TRACKERS",
    "Callback",
    "JsonLines",
    "Lines",
    "Record",
    "Referee",
    "Trainer",
    "checkpoint",
    "differences",
    "ideal",
    "memory",
    "read_log",
    "write_samples",
]
