"""Z against W: every measure of disentanglement of one generator, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import DataError, at_least
from ganlab.latent.disentanglement import BINS, gaps, linear_fit, separability
from ganlab.latent.distance import pyramid_distance
from ganlab.latent.factors import CLASSES, scalars
from ganlab.latent.network import draw, evaluating, has_styles, mapped, render, spread
from ganlab.latent.reader import FactorReader
from ganlab.metrics.arrays import shaped
from ganlab.metrics.path_length import PathLength, ppl

ROWS = {
    "separability": "separability (1 at best)",
    "mig": "mutual information gap (1 at best)",
    "linear R²": "linear R² (1 at best)",
    "path length": "path length (lower)",
}


@dataclass(frozen=True)
class Disentanglement:
    """A generator's latent spaces, measured alike.

    Attributes:
        values: measure -> {"z": number, "w": number}; a generator without styles has z alone.
            The measures: "separability", "mig", "linear R²", "path length".
        factors: measure -> space -> {factor: its part}; the parts of separability are conditional
            entropies in nats.
        paths: the path lengths with their standard errors.
        n: pictures.
    """

    values: dict[str, dict[str, float]]
    factors: dict[str, dict[str, dict[str, float]]]
    paths: dict[str, PathLength]
    n: int

    def __getitem__(self, measure: str) -> dict[str, float]:
        return self.values[measure]

    def __str__(self) -> str:
        spaces = list(next(iter(self.values.values())))
        lines = [f"{'':36}" + "".join(f"{space.upper():>10}" for space in spaces)]
        for name, row in self.values.items():
            numbers = "".join(f"{row[space]:>10.4g}" for space in spaces)
            lines.append(f"{ROWS[name]:36}{numbers}")
        return "\n".join([*lines, f"{self.n:,} pictures"])


def read_factors(
    g: Any, reader: FactorReader, codes: Tensor, names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """What the reader sees in the pictures of codes: one number a picture for each factor.

    Args:
        g: a generator.
        reader: of the pictures' channels.
        codes: w (B, W) or styles; z of a generator without styles.
        names: factors to keep, as `scalars` names them; by default all.

    Raises:
        DataError: a name is not there.
    """
    _is_reader(reader)
    shaped(codes, "codes", ("B", "W"), ("B", "L", "W"))
    found: dict[str, list[Tensor]] = {}
    for part in codes.split(256):
        for name, value in scalars(reader(render(g, part))).items():
            found.setdefault(name, []).append(value)
    every = {name: torch.cat(parts) for name, parts in found.items()}
    if names is None:
        return every
    missing = [name for name in names if name not in every]
    if missing:
        raise DataError(f"no factor {', '.join(missing)}: there are {', '.join(every)}")
    return {name: every[name] for name in names}


def disentanglement(
    g: Any,
    reader: FactorReader,
    n: int = 10_000,
    seed: int = 0,
    factors: Sequence[str] | None = None,
    distance: Callable[[Tensor, Tensor], Tensor] | None = None,
    paths: int = 1000,
    bins: int = BINS,
) -> Disentanglement:
    """Z and W of one generator measured on the same pictures.

    Each number that the reader sees is an attribute, "above its median", and sure where it is
    far from the median: separability takes the surer half, as published. The gap counts classes
    too; linear R² the numbers. What the reader cannot read well tells nothing about the
    generator: choose `factors` by `reader.accuracy`.

    Args:
        g: a generator of glyphs.
        reader: of the same channels.
        n: pictures, half to fit and half to judge. Let it be many times the width of the codes.
        seed: of all that is drawn.
        factors: as `scalars` names them; by default all.
        distance: for path lengths, growing as the square of a small step; by default
            `pyramid_distance`. Paths are slerps in z and lines in w, their step anywhere on them.
        paths: how many.
        bins: of the mutual information.

    Raises:
        DataError: pictures that the reader cannot read, or a factor that it does not.
        RecipeError: a number is out of range.
    """
    _is_reader(reader)
    paths = at_least("paths", paths, 2)
    z = draw(g, at_least("n", n, 4), seed)
    spaces = {"z": z, "w": mapped(g, z)} if has_styles(g) else {"z": z}
    truth = read_factors(g, reader, spaces.get("w", z), factors)
    numbers = {name: value for name, value in truth.items() if name not in CLASSES}
    off = {name: value - value.median() for name, value in numbers.items()}
    labels = {name: value > 0 for name, value in off.items()}
    sure = {name: value.abs() for name, value in off.items()}
    varied = {name: v for name, v in truth.items() if len(v.unique()) > 1}

    values: dict[str, dict[str, float]] = {name: {} for name in ROWS}
    parts: dict[str, dict[str, dict[str, float]]] = {name: {} for name in list(ROWS)[:3]}
    lengths = {}
    for space, codes in spaces.items():
        planes = separability(codes, labels, sure, seed=seed)
        values["separability"][space] = planes.value
        parts["separability"][space] = planes.entropies
        for name, found in (
            ("mig", gaps(codes, varied, bins)),
            ("linear R²", linear_fit(codes, numbers, seed)),
        ):
            values[name][space] = sum(found.values()) / len(found)
            parts[name][space] = found
        lengths[space] = _length(g, space, distance or pyramid_distance, paths, seed)
        values["path length"][space] = float(lengths[space])
    return Disentanglement(values, parts, lengths, n)


def _is_reader(reader: Any) -> None:
    if not callable(reader):  # whatever reads factors off pictures
        raise DataError(f"reader: a FactorReader is needed, not a {type(reader).__name__}")


def _length(
    g: Any, space: str, distance: Callable[[Tensor, Tensor], Tensor], n: int, seed: int
) -> PathLength:
    with evaluating(g):
        if space == "w":

            def pictures(w: Tensor) -> Tensor:
                return g.synthesis(spread(g, w), "fixed")

            found = ppl(
                pictures, distance, n, seed=seed, space="w", mapping=g.mapping,
                latent=g.sample_latent,
            )  # fmt: skip
        else:
            found = ppl(g, distance, n, seed=seed)
    return found
