"""A network that reads off a drawn character what it was drawn from.

The factors of :mod:`ganlab.data.glyphs` are known, so the reader can be taught on an endless set
and checked on characters it has never seen. Of a generator's pictures it then says what changed:
whether a direction moves the slant alone, or the colour along with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab import progress
from ganlab.data.glyphs import FACTORS, factors_at
from ganlab.data.imageset import to_float
from ganlab.errors import DataError, at_least, unknown
from ganlab.latent.factors import CLASSES, COLOURS, examples, score, targets
from ganlab.metrics.arrays import shaped
from ganlab.metrics.kept import kept
from ganlab.models.latent import SEEDS

#: What is read by default; the paper's texture takes more pictures than this to be learned.
READ = ("character", "typeface", "slant", "thickness", "x", "y", "scale", "ink", "paper")
VERSION = 1  # raise it when the training changes; the network is part of the key
BATCH, HELD = 128, 4000
#: Seeds far from those of the data sets, so that no picture of theirs is learned from.
LEARN_SEED, HELD_SEED = 7_000_001, 7_500_001


class Network(nn.Module):
    """Convolutions down to 4x4, then two linear layers: where things are is not pooled away."""

    def __init__(self, size: int, channels: int, outputs: int, width: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before, wide = channels, width
        while size > 4:
            for stride in (2, 1) if size < 32 else (2,):
                blocks += [nn.Conv2d(before, wide, 3, stride, 1, bias=False)]
                blocks += [nn.BatchNorm2d(wide), nn.ReLU()]
                before = wide
            wide, size = wide * 2, size // 2
        self.features = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(before * 16, width * 8),
            nn.ReLU(),
            nn.Linear(width * 8, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n) in [-1, 1] -> (B, outputs)."""
        return self.head(self.features(x))


class FactorReader:
    """Reads the factors of drawn characters; made by `fit`, and then a function of pictures:

        reader = FactorReader.fit(size=32, channels=3)
        reader.accuracy["slant"], reader(pictures)["slant"]

    `FeatureDistance(reader.network)` is a distance in which its features count.

    Attributes:
        network: in eval mode.
        factors: the names it reads.
        size, channels: of the pictures it was taught on.
        accuracy: on characters drawn from another seed: the share of right answers for
            character, typeface and texture, R² for numbers, mean R² over a colour's three.
    """

    def __init__(self, size: int, channels: int, factors: Sequence[str], width: int) -> None:
        self.size, self.channels, self.factors = size, channels, tuple(factors)
        self.accuracy: dict[str, float] = {}
        self._columns: dict[str, slice] = {}
        at = 0
        for name in self.factors:
            wide = CLASSES.get(name) or (channels if name in COLOURS else 1)
            self._columns[name] = slice(at, at + wide)
            at += wide
        drawn = factors_at(range(4096), LEARN_SEED, color=channels == 3)
        sample = targets(drawn, channels)
        numbers = [name for name in self.factors if name not in CLASSES]
        self._mean = {name: sample[name].mean(0) for name in numbers}
        self._std = {name: sample[name].std(0) for name in numbers}
        self.network = Network(size, channels, at, width).eval()

    @classmethod
    def fit(
        cls,
        size: int = 32,
        channels: int = 3,
        seed: int = 0,
        images: int = 60_000,
        factors: Sequence[str] = READ,
        width: int = 32,
        cache: bool = True,
    ) -> FactorReader:
        """Teach a reader, or take it from the cache: the same one every time on one machine.

        Args:
            size: 16 or 32 pixels; larger pictures are averaged down to it when they are read.
            channels: 1 or 3.
            seed: of weights and pictures.
            images: drawn, each shown once: less than a minute of one core by default.
            factors: names from `ganlab.data.glyphs.FACTORS`.
            width: channels of the first convolution.
            cache: keep it in the user's cache folder, or `GANLAB_CACHE`.

        Raises:
            DataError: a size, a channel count or a factor that cannot be.
            RecipeError: seed, images or width out of range.
        """
        seed, images = at_least("seed", seed, 0, SEEDS), at_least("images", images)
        width = at_least("width", width, 1, 4096)
        if isinstance(factors, str) or not factors:
            raise DataError("factors: a list of names, one at least, is needed")
        if size not in (16, 32) or channels not in (1, 3) or images < BATCH:
            raise DataError(
                f"a reader takes 16 or 32 px, 1 or 3 channels, {BATCH} pictures at least;"
                f" not {size}, {channels}, {images}"
            )
        for name in factors:
            if name not in FACTORS:
                raise DataError(unknown("factor", name, FACTORS))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            reader = cls(size, channels, factors, width)
        about: dict[str, object] = {
            "version": VERSION,
            "size": size,
            "channels": channels,
            "seed": seed,
        }
        about |= {"images": images, "factors": list(factors), "network": repr(reader.network)}

        def learn() -> dict[str, Any]:
            reader._learn(images, seed)
            return {"network": reader.network.state_dict(), "accuracy": reader.accuracy}

        state = kept("factors", about, learn) if cache else learn()
        reader.network.load_state_dict(state["network"])
        reader.accuracy = dict(state["accuracy"])
        return reader

    @torch.no_grad()
    def __call__(self, pictures: Tensor, batch: int = 256) -> dict[str, Tensor]:
        """Factors of (B, C, n, n) pictures, floats in [-1, 1] or uint8, by name, on the CPU.

        Classes are int64 (B,), numbers float32 (B,) in the units of :mod:`ganlab.data.glyphs`,
        colours (B, 3), or (B,) of grey pictures.

        Raises:
            DataError: no pictures, other channels, a side that is no multiple of the reader's, or
                a value that is not finite.
        """
        out = self._outputs(pictures, batch)
        got: dict[str, Tensor] = {}
        for name, columns in self._columns.items():
            part = out[:, columns]
            if name in CLASSES:
                got[name] = part.argmax(1)
            else:
                part = part if part.shape[1] > 1 else part[:, 0]
                got[name] = part * self._std[name] + self._mean[name]
        return got

    def probabilities(self, pictures: Tensor, name: str, batch: int = 256) -> Tensor:
        """(B, classes): of character, typeface or texture.

        Raises:
            DataError: it is no class that this reader reads; see `__call__` for others.
        """
        if name not in CLASSES or name not in self._columns:
            raise DataError(
                unknown("class", name, [name for name in self.factors if name in CLASSES])
            )
        return self._outputs(pictures, batch)[:, self._columns[name]].softmax(1)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.2f}" for name, value in self.accuracy.items())
        return f"FactorReader({self.size} px, {self.channels} channels; unseen: {told})"

    @torch.no_grad()
    def _outputs(self, pictures: Tensor, batch: int) -> Tensor:
        batch = at_least("batch", batch)
        _, channels, n, m = shaped(pictures, "pictures", ("B", "C", "H", "W")).shape
        if channels != self.channels or n != m or n % self.size:
            raise DataError(
                f"this reader takes {self.channels} channels and a multiple of {self.size} px,"
                f" not {channels} channels and {n} x {m}"
            )
        home = next(self.network.parameters()).device
        parts = []
        for part in pictures.split(batch):
            x = to_float(part) if part.dtype == torch.uint8 else part.float().clamp(-1, 1)
            x = F.avg_pool2d(x, n // self.size) if n > self.size else x
            parts.append(self.network(x.to(home)).cpu())
        return torch.cat(parts)

    def _learn(self, images: int, seed: int) -> None:
        steps = images // BATCH
        optimizer = torch.optim.AdamW(self.network.parameters(), 3e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, steps)
        self.network.train()
        bar = progress.bar(steps, "factor reader")
        for step in range(steps):
            index = range(step * BATCH, (step + 1) * BATCH)
            x, truth = examples(index, LEARN_SEED + 2 * seed, self.size, self.channels)
            loss = self._loss(self.network(x), truth)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
        bar.close()
        self.network.eval()
        x, truth = examples(range(HELD), HELD_SEED + 2 * seed, self.size, self.channels)
        self.accuracy = score(self(x), truth)

    def _loss(self, out: Tensor, truth: dict[str, Tensor]) -> Tensor:
        total = out.new_zeros(())
        for name, columns in self._columns.items():
            if name in CLASSES:
                total = total + F.cross_entropy(out[:, columns], truth[name])
            else:
                wanted = (truth[name] - self._mean[name]) / self._std[name]
                total = total + F.mse_loss(out[:, columns], wanted.view(len(out), -1))
        return total
