"""What every function here asks of a generator: its codes, its layers, its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError, at_least, unknown
from ganlab.metrics.arrays import number, shaped
from ganlab.models.latent import seeded
from ganlab.models.style_layers import NoiseInput

#: Which styles: one of `GROUPS`, a slice, a range, numbers, or None for all.
Layers = str | slice | range | Sequence[int] | None

GROUPS = ("coarse", "middle", "fine")
BATCH = 64  # pictures at a time


def has_styles(g: nn.Module) -> bool:
    """Whether the generator has a w: a mapping, and a synthesis that takes a style a layer."""
    return hasattr(g, "mapping") and hasattr(g, "synthesis") and hasattr(g, "layers_used")


def need_latent(g: Any) -> int:
    """The length of a generator's z.

    Raises:
        RecipeError: it is no generator.
    """
    if not isinstance(g, nn.Module) or not hasattr(g, "sample_latent"):
        raise RecipeError(f"a generator with sample_latent is needed, not a {type(g).__name__}")
    latent: Any = g.latent
    return int(latent)


def need_styles(g: nn.Module, what: str) -> None:
    """Refuse a generator that has no w, or one for each class.

    Raises:
        RecipeError: it has none, or is conditional.
    """
    need_latent(g)
    if not has_styles(g):
        raise RecipeError(
            f"{what} needs a generator with a mapping from z to w, StyleGAN or StyleGAN2:"
            f" {type(g).__module__.rsplit('.', 1)[-1]} has z alone"
        )
    if getattr(g.mapping, "classes", 0):
        raise RecipeError(f"{what}: choose a class of this generator first, latent.of_class(g, 3)")


def listed(name: str, values: Any, low: float = -1e6, high: float = 1e6) -> list[float]:
    """Numbers of a list or a tensor, one at least.

    Raises:
        RecipeError: there is none, or one is none.
    """
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise RecipeError(f"{name}: a list of numbers is needed, not a {type(values).__name__}")
    found = [number(name, value, low, high) for value in values]
    if not found:
        raise RecipeError(f"{name}: one number at least is needed")
    return found


@contextmanager
def evaluating(g: nn.Module) -> Iterator[None]:
    """All modules in eval mode and weights without gradients, and back as they were."""
    modules = [(m, m.training) for m in g.modules()]
    weights = [(p, p.requires_grad) for p in g.parameters()]
    g.eval()
    for p, _ in weights:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for m, mode in modules:
            m.training = mode
        for p, wanted in weights:
            p.requires_grad_(wanted)


def home(g: nn.Module) -> torch.device:
    """Where the generator's weights are."""
    return next((p.device for p in g.parameters()), torch.device("cpu"))


def spread(g: Any, ws: Tensor) -> Tensor:
    """(B, W) or (B, L, W) -> (B, L, W): the same w for every layer, or what was given.

    Raises:
        RecipeError: the shape is another.
    """
    need_styles(g, "a code for each layer")
    shaped(ws, "styles", ("B", "W"), ("B", "L", "W"))
    if ws.ndim == 2:
        ws = ws[:, None].expand(-1, g.layers_used, -1)
    width = g.average.shape[-1]
    if ws.ndim != 3 or ws.shape[1] != g.layers_used or ws.shape[2] != width:
        raise RecipeError(
            f"styles are (B, {width}) or (B, {g.layers_used}, {width}), not {tuple(ws.shape)}"
        )
    return ws


def render(g: Any, codes: Tensor, noise: NoiseInput = "fixed", batch: int = BATCH) -> Tensor:
    """Pictures (B, C, n, n) of codes, on the generator's device, without a graph.

    Args:
        g: a generator, in whatever mode; pictures are those of eval mode.
        codes: styles (B, W) or (B, L, W) of a generator that has them; z (B, latent) of another.
        noise: for the noise inputs; one tensor a layer may hold one map, or one a picture.
        batch: pictures at a time.

    Raises:
        RecipeError: no generator, or codes of another width.
        DataError: codes that are no finite tensor.
    """
    length, batch, styled = need_latent(g), at_least("batch", batch), has_styles(g)
    if not styled:
        shaped(codes, "z", ("B", length))
    codes = codes.to(home(g)) if isinstance(codes, Tensor) else codes
    parts = []
    with torch.no_grad(), evaluating(g):
        codes = spread(g, codes) if styled else codes
        for start in range(0, len(codes), batch):
            part = codes[start : start + batch]
            if styled:
                own = noise
                if not isinstance(noise, str) and noise is not None:
                    own = [n if len(n) == 1 else n[start : start + batch] for n in noise]
                parts.append(g.synthesis(part, own))
            else:
                parts.append(g(part))
    return torch.cat(parts)


def mapped(g: Any, z: Tensor, psi: float = 1.0, batch: int = 4096) -> Tensor:
    """z (B, latent) -> w (B, W), drawn towards the mean by `psi`, without a graph.

    Raises:
        RecipeError: the generator has no w, or `psi` or `batch` is no number.
        DataError: z has another shape, or a value is not finite.
    """
    need_styles(g, "a mapping from z to w")
    psi, batch = number("psi", psi, -100, 100), at_least("batch", batch)
    shaped(z, "z", ("B", need_latent(g)))
    with torch.no_grad(), evaluating(g):
        w = torch.cat([g.mapping(part) for part in z.to(home(g)).split(batch)])
        return w if psi == 1 else torch.lerp(g.average, w, psi)


def draw(g: Any, n: int, seed: int = 0) -> Tensor:
    """(n, latent): the generator's own latent vectors of this seed, on its device.

    Raises:
        RecipeError: no generator, or `n` or `seed` is out of range.
    """
    need_latent(g)
    return g.sample_latent(at_least("n", n), seeded(seed)).to(home(g))


def chosen(layers: Layers, count: int) -> list[int]:
    """The numbers of some of `count` styles, 0 the coarsest.

    "coarse", "middle" and "fine" are those of Karras et al. 2019, Sec. 3.1: the first four
    (4x4 and 8x8), the next four, the rest. Where there are fewer than twelve styles each is
    about a third of them.

    >>> chosen("coarse", 18), chosen("fine", 10), chosen(slice(8, None), 10)
    ([0, 1, 2, 3], [7, 8, 9], [8, 9])

    Raises:
        RecipeError: a word is unknown, or a number is out of range.
    """
    count = at_least("count", count, 1, 1000)
    every = list(range(count))
    if layers is None:
        return every
    if isinstance(layers, str):
        if layers not in GROUPS:
            raise RecipeError(unknown("group of layers", layers, GROUPS))
        a, b = min(4, round(count / 3)), min(8, round(2 * count / 3))
        return {"coarse": every[:a], "middle": every[a:b], "fine": every[b:]}[layers]
    if isinstance(layers, slice):
        return every[layers]
    if isinstance(layers, Tensor):
        layers = layers.tolist()
    if not isinstance(layers, Iterable):
        raise RecipeError(f"layers are a word, a slice, a range or numbers, not {layers!r}")
    found = [at_least("a layer", i, -(2**31), 2**31) for i in layers]
    outside = [i for i in found if not -count <= i < count]
    if outside:
        raise RecipeError(f"layers {outside} do not exist: there are {count}, from 0")
    return sorted({i % count for i in found})


def at_layers(layers: Layers, count: int, device: torch.device | None = None) -> Tensor:
    """(count, 1) bool: whether each style is among `layers`; see `chosen`."""
    mask = torch.zeros(count, 1, dtype=torch.bool, device=device)
    mask[chosen(layers, count)] = True
    return mask
