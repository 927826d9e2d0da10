"""What happens beside the rounds: log lines, sample grids, trackers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

import torch

from ganlab import plots
from ganlab.errors import CheckpointError, GanlabError
from ganlab.files import read_text, replacing, told, write_text
from ganlab.progress import tell

Record = dict[str, Any]


class Referee(Protocol):
    """What a callback may look at: the trainer, by what it shows.

    Attributes:
        step: rounds played.
        folder: of the run, or None.
        game: being played.
        log: records so far, in this session.
        last_checkpoint: the newest that was read or written.
        changed: what is another than in the resumed checkpoint, field -> (before, now).
    """

    step: int
    folder: Path | None
    game: Any
    log: list[Record]
    last_checkpoint: Path | None
    changed: dict[str, tuple[Any, Any]]


class Callback:
    """Hooks of `Trainer.fit`; all run on rank 0 only, and do nothing by default."""

    def on_start(self, trainer: Referee) -> None:
        """Before the first round, after a resume."""

    def on_log(self, trainer: Referee, record: Record) -> None:
        """A log line: plain numbers, and `confidence`, two histograms."""

    def on_sample(self, trainer: Referee, path: Path) -> None:
        """A sample grid has been written."""

    def on_end(self, trainer: Referee) -> None:
        """After the last round, also when stopped or failed."""


class JsonLines(Callback):
    """One JSON object a line in `path`; lines after the resumed step are dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_start(self, trainer: Referee) -> None:
        """Keep the lines up to the current step: the others will be written again."""
        kept = [r for r in read_log(self.path) if r["step"] <= trainer.step]
        write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))

    def on_log(self, trainer: Referee, record: Record) -> None:
        """Append the line."""
        with told(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def read_log(path: Path) -> list[Record]:
    """The records of a log; a last line that a kill cut short is left out.

    Raises:
        CheckpointError: another line is damaged.
        FileError: the file cannot be read.
    """
    records: list[Record] = []
    lines = read_text(path).splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            good = isinstance(record, dict) and type(record.get("step")) is int
        except (ValueError, RecursionError):  # no JSON, numbers of 6,000 digits, a well of brackets
            good = False
        if good:
            records.append(record)
        elif number < len(lines):
            raise CheckpointError(f"{path} is damaged in line {number}: delete that line")
    return records


class Lines(Callback):
    """A plain line per log record on `stream`, where a progress bar would be noise."""

    def __init__(self, stream: Any = None) -> None:
        self.stream = stream

    def on_log(self, trainer: Referee, record: Record) -> None:
        """Print the line."""
        tell(summary(record), self.stream)


def summary(record: Record) -> str:
    """A log record on one line, for people."""
    parts = [f"step {record['step']}"]
    parts += [
        f"{k} {v:.3f}"
        for k, v in record.items()
        if isinstance(v, float) and k not in ("images_per_second", "ideal", "seconds")
    ]
    if "images_per_second" in record:
        parts.append(f"{record['images_per_second']:.0f} images/s")
    if "ideal" in record:
        parts.append(f"{record['ideal']:.0%} of ideal")
    return " · ".join(parts)


def write_samples(samples: torch.Tensor, path: Path, real: torch.Tensor | None = None) -> Path:
    """Write a grid of pictures (N, C, H, W), or a scatter of points (N, 2), as a PNG."""
    if samples.ndim == 4:
        return plots.save_grid(samples, path, zoom=2 if samples.shape[-1] <= 64 else 1)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4))
    ax = figure.add_subplot()
    limit = float(real.abs().max()) * 1.3 if real is not None else None
    plots.points(real, samples, ax, limit)
    with replacing(path) as partial:
        figure.savefig(partial, bbox_inches="tight")
    return path


def numbers(record: Record) -> dict[str, float]:
    """The plain numbers of a record, without its histograms."""
    return {k: float(v) for k, v in record.items() if isinstance(v, int | float)}


class TensorBoard(Callback):
    """Scalars, D's confidence and sample grids for TensorBoard (extra `tracking`)."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard") from error
        self.writer = SummaryWriter(str(folder))

    def on_log(self, trainer: Referee, record: Record) -> None:
        """Write the scalars."""
        for key, value in numbers(record).items():
            self.writer.add_scalar(key, value, record["step"])

    def on_sample(self, trainer: Referee, path: Path) -> None:
        """Write the picture."""
        self.writer.add_image("samples", _pixels(path), trainer.step, dataformats="HWC")

    def on_end(self, trainer: Referee) -> None:
        """Flush."""
        self.writer.close()


class WandB(Callback):
    """Scalars and sample grids for Weights & Biases (extra `tracking`).

    `WANDB_MODE=offline` keeps everything in `folder`; nothing is sent.
    """

    def __init__(self, folder: Path, project: str = "ganlab", config: dict | None = None) -> None:
        try:
            import wandb
        except ImportError as error:
            raise _missing("wandb") from error
        self.wandb = wandb
        folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(project=project, dir=str(folder), config=config)

    def on_log(self, trainer: Referee, record: Record) -> None:
        """Send the scalars."""
        self.run.log(numbers(record), step=record["step"])

    def on_sample(self, trainer: Referee, path: Path) -> None:
        """Send the picture."""
        self.run.log({"samples": self.wandb.Image(str(path))}, step=trainer.step)

    def on_end(self, trainer: Referee) -> None:
        """Finish."""
        self.run.finish()


class MLflow(Callback):
    """Scalars and sample grids for MLflow (extra `tracking`).

    The store is `MLFLOW_TRACKING_URI`, or a local data base in `folder`.
    """

    def __init__(self, folder: Path, name: str = "ganlab", config: dict | None = None) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise _missing("mlflow") from error
        self.mlflow = mlflow
        folder.mkdir(parents=True, exist_ok=True)
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').resolve()}")
            if mlflow.get_experiment_by_name(name) is None:
                files = (folder / "files").resolve().as_uri()
                mlflow.create_experiment(name, artifact_location=files)
        mlflow.set_experiment(name)
        self.run = mlflow.start_run()
        mlflow.log_params({k: str(v)[:500] for k, v in (config or {}).items()})

    def on_log(self, trainer: Referee, record: Record) -> None:
        """Store the scalars."""
        self.mlflow.log_metrics(numbers(record), step=record["step"])

    def on_sample(self, trainer: Referee, path: Path) -> None:
        """Store the picture."""
        self.mlflow.log_artifact(str(path), "samples")

    def on_end(self, trainer: Referee) -> None:
        """Finish."""
        self.mlflow.end_run()


def _missing(package: str) -> GanlabError:
    return GanlabError(f"{package} is not installed: pip install 'ganlab[tracking]'")


def _pixels(path: Path) -> Any:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


TRACKERS = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
