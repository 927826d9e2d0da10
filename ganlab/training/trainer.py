"""The referee: plays rounds, logs, samples, saves, resumes. Knows no loss and no network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab import progress, ranks
from ganlab.data.stream import Endless
from ganlab.errors import CheckpointError, FileError, NonFiniteLoss
from ganlab.game.base import Game
from ganlab.training import checkpoint, memory
from ganlab.training.callbacks import Callback, JsonLines, write_samples
from ganlab.training.ideal import ideal_seconds
from ganlab.training.identity import Judge, Pair, accepted
from ganlab.training.signals import Signals


class Trainer:
    """Plays a game to its end and keeps the record.

    Args:
        folder: the run's folder; None keeps no file.
        log_every: rounds between log lines; the device is read only there.
        sample_every: rounds between sample grids; 0 for none.
        checkpoint_every: rounds between checkpoints; 0 for one at the end only.
        callbacks: run on rank 0 beside the JSON log, which is always written.
        identity: what a checkpoint must match to be resumed; a flat dict of plain values, which
            the checkpoint carries.
        samples: pictures a grid.
        ideal: time the needed passes first, and log the share of the ideal that is reached.
        judge: says why a field of `identity` may not be another than the checkpoint's; without
            one none may.
        begins: save a checkpoint before the first round: the weights come from elsewhere.

    Attributes:
        step, images: rounds played, and pictures shown in them on all ranks.
        changed: what is another than in the checkpoint that was resumed, field -> (before, now).
    """

    game: Game  # the one being played, from `fit` on: callbacks may look

    def __init__(
        self,
        folder: Path | str | None = None,
        log_every: int = 50,
        sample_every: int = 500,
        checkpoint_every: int = 1000,
        callbacks: Sequence[Callback] = (),
        identity: dict[str, Any] | None = None,
        samples: int = 64,
        ideal: bool = True,
        judge: Judge | None = None,
        begins: bool = False,
    ) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.log_every, self.sample_every = log_every, sample_every
        self.checkpoint_every = checkpoint_every
        self.identity = identity or {}
        self.samples, self.ideal = samples, ideal
        self.judge, self.begins = judge, begins
        self.step, self.images = 0, 0
        self.changed: dict[str, Pair] = {}
        self.seconds = 0.0  # of playing, over all sessions of the run
        self.log: list[dict[str, Any]] = []
        self.last_checkpoint: Path | None = None
        self.stopped = False  # by a signal, before the last round
        self._signals = Signals()
        self._callbacks = list(callbacks)
        if self.folder is not None:
            self._callbacks.insert(0, JsonLines(self.folder / "log.jsonl"))

    def fit(
        self, game: Game, stream: Endless, steps: int, resume: bool = False
    ) -> list[dict[str, Any]]:
        """Play until `steps` rounds have been played.

        Args:
            game: its players are on their device.
            stream: of batches on that device.
            steps: in total, counting those of the run that is resumed.
            resume: continue from the newest checkpoint in the folder, if there is one.

        Returns:
            The log records of this session. `stopped` tells whether a signal ended it early.

        Raises:
            NonFiniteLoss: a loss became infinite or NaN; names step, loss and last checkpoint.
            CheckpointError: the checkpoint belongs to another recipe or is damaged.
        """
        if resume:
            self._resume(game, stream, steps)
        elif self.folder is not None and checkpoint.latest(self.folder / "checkpoints"):
            raise CheckpointError(
                f"{self.folder} holds checkpoints of another run: resume it, or choose another"
                " folder"
            )
        if game.device.type == "cpu":
            memory.keep()
        self._count = stream.batch_size * stream.world
        self.game, self._stream = game, stream
        if self.changed or (self.begins and self.last_checkpoint is None):
            self._save()  # from here on a plain resume finds what it needs
        self._fixed = game.fixed(self.samples, stream)
        first = ranks.rank() == 0
        self._hear = self._callbacks if first else []
        self._budget = self._ideal(game, stream) if self.ideal and self.step < steps else None
        for callback in self._hear:
            callback.on_start(self)
        bar = progress.bar(steps, initial=self.step, disable=not first)
        try:
            with Signals() as self._signals:
                if self.step == 0:
                    self._sample()
                self._play(steps, bar)
        finally:
            bar.close()
            for callback in self._hear:
                callback.on_end(self)
        return self.log

    def _play(self, steps: int, bar: Any) -> None:
        # Kept on the device and read at the next log line: no wait in between.
        reports: list[Tensor] = []
        since = self.step
        mark = time.perf_counter()
        while self.step < steps and not self.stopped:
            report = self.game.round(self._stream)
            self.step += 1
            self.images += self._count
            reports.append(torch.stack(list(report.values())))
            if ranks.size() == 1:
                self.stopped = self._signals.asked
            last = self.step == steps or self.stopped
            saving = self.checkpoint_every and self.step % self.checkpoint_every == 0
            logging = self.step % self.log_every == 0
            sampling = self.sample_every and self.step % self.sample_every == 0
            if not (last or saving or logging or sampling):
                bar.update()
                continue
            table = torch.stack(reports)
            ranks.average([table])
            means = table.mean(0).tolist()
            self._refuse_non_finite(list(report), table.cpu(), since)
            elapsed = time.perf_counter() - mark
            self.seconds += elapsed
            if logging or last:
                self._record(dict(zip(report, means)), elapsed, self.step - since, bar)
            if sampling:
                self._sample()
            self.stopped = self._any_signalled()  # ranks agree to stop here; a callback may ask
            if saving or last or self.stopped:
                self._save()
            reports, since, mark = [], self.step, time.perf_counter()
            bar.update()

    def _record(self, means: dict[str, float], elapsed: float, rounds: int, bar: Any) -> None:
        images = rounds * self._count
        record: dict[str, Any] = {"step": self.step, "images": self.images}
        record |= {key: round(value, 6) for key, value in means.items()}
        record["images_per_second"] = round(images / elapsed, 1)
        if self._budget:
            record["ideal"] = round(self._budget * rounds / elapsed, 3)
        record["seconds"] = round(self.seconds, 2)
        record |= self.game.report()
        self.log.append(record)
        self._there()
        for callback in self._hear:
            callback.on_log(self, record)
        losses = [f"{key} {value:.2f}" for key, value in means.items() if key.endswith("loss")]
        speed = f"{record['images_per_second']:.0f} img/s"
        bar.set_postfix_str("  ".join([*losses, speed]), refresh=False)

    def _refuse_non_finite(self, keys: list[str], table: Tensor, since: int) -> None:
        """Stop at the first row (round) of the table with a value that is not finite."""
        bad = (~table.isfinite()).nonzero()
        if not len(bad):
            return
        step, key = since + 1 + int(bad[0, 0]), keys[int(bad[0, 1])]
        player = self.game.whose(key)
        saved = self.last_checkpoint or "none"
        raise NonFiniteLoss(
            f"{key} of the {player} is not finite since step {step}: training stopped;"
            f" last good checkpoint: {saved}"
        )

    def _refuse_broken(self) -> None:
        """Stop before weights are saved that are no numbers: a loss shows it one round late."""
        for player in self.game.players:
            for network in dict.fromkeys((player.network, player.best)):
                broken = checkpoint.not_finite(network.state_dict())
                if broken is not None:
                    raise NonFiniteLoss(
                        f"the weight '{broken}' of the {player.name} is not finite at step"
                        f" {self.step}: training stopped; last good checkpoint:"
                        f" {self.last_checkpoint or 'none'}"
                    )

    def _there(self) -> bool:
        """Whether there is a folder to write to.

        Raises:
            FileError: it was removed during the training: nothing is made in its place.
        """
        if self.folder is not None and not self.folder.is_dir():
            raise FileError(
                f"the run's folder {self.folder} was removed during the training: what was"
                f" learned up to step {self.step} is lost"
            )
        return self.folder is not None

    def _sample(self) -> None:
        """A grid of what the game draws, always from the same."""
        if not self._hear or not self.sample_every or not self._there():
            return
        assert self.folder is not None
        samples = self.game.draw(self._fixed)
        real = None
        if self._stream.fresh:
            real = self._stream.source.sample(1000, generator=torch.Generator().manual_seed(0))
        path = write_samples(samples, self.folder / "samples" / f"{self.step:08d}.png", real)
        for callback in self._hear:
            callback.on_sample(self, path)

    def _ideal(self, game: Game, stream: Endless) -> float | None:
        """Seconds of an ideal round, from a batch that the stream will give again."""
        before = stream.state_dict()
        batch = next(stream)
        stream.load_state_dict(before)
        return ideal_seconds(game, batch) or None

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the rest of the run."""
        state = {
            "identity": self.identity,
            "step": self.step,
            "images": self.images,
            "seconds": self.seconds,
            "game": self.game.state_dict(),
            "stream": self._stream.state_dict(),
            "torch": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def _save(self) -> None:
        """Write a checkpoint; rank 0's BatchNorm statistics become everybody's."""
        for player in self.game.players:
            ranks.broadcast(player.network.buffers())
        self._refuse_broken()
        if ranks.rank() == 0 and self._there():
            assert self.folder is not None
            folder = self.folder / "checkpoints"
            self.last_checkpoint = checkpoint.save(self.state_dict(), folder, self.step)
        ranks.barrier()

    def _resume(self, game: Game, stream: Endless, steps: int) -> None:
        path = checkpoint.latest(self.folder / "checkpoints") if self.folder else None
        if path is None:
            return
        state, self.changed = accepted(path, self.identity, self.judge, steps)
        try:
            game.load_state_dict(state["game"])
            stream.load_state_dict(state["stream"])
            torch.set_rng_state(state["torch"])
            self.step, self.seconds = state["step"], state["seconds"]
            # checkpoints of older versions know of no change of the batch
            shown = state["game"].get("images") or self.step * stream.batch_size * stream.world
            self.images = state.get("images", shown)
            for player in game.players if self.changed else ():
                player.renew()
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            why = " ".join(str(error).split())[:120]
            raise CheckpointError(
                f"{path} does not fit this game ({type(error).__name__}: {why}): it was made by"
                " other networks, or by another version of ganlab"
            ) from error
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])
        self.last_checkpoint = path

    def _any_signalled(self) -> bool:
        """Whether a signal reached any rank: all must leave after the same round."""
        if ranks.size() == 1:
            return self._signals.asked
        flag = torch.tensor([float(self._signals.asked)], device=self.game.device)
        ranks.average([flag])
        return bool(flag > 0)
