"""The operations of ADA's pipeline: pure functions of pictures and of the numbers drawn.

Pictures are (B, C, H, W), numbers one per sample. Everything is differentiable in the pictures
and waits for no device. Past the border a picture is its own mirror image, about the centres of
the border pixels.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Up to this side lines are resampled by products with small matrices, which take half the time
#: of the convolutions on a CPU; the convolutions' cost grows more slowly.
LARGE = 128


@cache
def symlet(n: int) -> tuple[float, ...]:
    """The 2n taps of the orthogonal low-pass filter with n vanishing moments nearest symmetry.

    Daubechies' construction (1988; "Ten Lectures on Wavelets", Sec. 6.1 and 8.1): the filter's
    power is

        2 cos²ⁿ(ω/2) P(sin²(ω/2))

    with $P$ the truncated binomial series. Each root of $P$ gives a pair of roots $z$ and $1/z$ of
    the filter, one of which is taken. All choices give the same power; symlets are those with the
    most linear phase, taken here as least asymmetric.

    Returns:
        Taps with the sum √2.
    """
    series = [math.comb(n - 1 + k, k) for k in range(n)]
    groups: list[list[complex]] = []  # roots that must be chosen together for real taps
    for y in np.roots(series[::-1]) if n > 1 else []:
        if y.imag < -1e-9:
            continue
        z = complex(1 - 2 * y + 2 * np.sqrt(y * y - y + 0j))
        groups.append([z, z.conjugate()] if abs(y.imag) > 1e-9 else [z])
    best = np.zeros(0)
    least = math.inf
    for inverted in itertools.product([False, True], repeat=len(groups)):
        taps = np.poly([-1.0] * n).astype(complex)
        for roots, flip in zip(groups, inverted):
            taps = np.convolve(taps, np.poly([1 / z if flip else z for z in roots]))
        real = taps.real * math.sqrt(2) / taps.real.sum()
        asymmetry = float(np.square(real - real[::-1]).sum())
        if asymmetry < least - 1e-12:
            best, least = real, asymmetry
    return tuple(float(t) for t in best)


@cache
def bands() -> tuple[tuple[float, ...], ...]:
    """Four filters that share the spectrum out by octaves, low first; they add up to identity.

    $P(z) = H(z) H(1/z)/2$ passes the lower half-band of the symlet $H$ with two moments, and
    $1 - P$ the upper. The bands are (Karras et al. 2020, ADA, App. B)

        P(z) P(z²) P(z⁴)
        P(z) P(z²) (1 - P(z⁴))
        P(z) (1 - P(z²))
        1 - P(z)

    Returns:
        Four tuples of 43 taps, symmetric about the middle.
    """
    h = np.array(symlet(2))
    low = np.convolve(h, h[::-1]) / 2

    def stretched(taps: np.ndarray, factor: int) -> np.ndarray:
        out = np.zeros((len(taps) - 1) * factor + 1)
        out[::factor] = taps
        return out

    found = []
    passed = np.ones(1)
    for factor in (1, 2, 4):
        p = stretched(low, factor)
        rest = -p
        rest[len(p) // 2] += 1
        found.append(np.convolve(passed, rest))
        passed = np.convolve(passed, p)
    found.append(passed)
    length = max(len(f) for f in found)
    return tuple(
        tuple(float(t) for t in np.pad(f, (length - len(f)) // 2)) for f in reversed(found)
    )


def mirror(place: Tensor, n: int) -> Tensor:
    """Coordinates or indices of any size -> $[0, n - 1]$, mirrored about both ends."""
    place = torch.remainder(place, 2 * (n - 1))
    return torch.minimum(place, 2 * (n - 1) - place)


def mirror_pad(x: Tensor, by: int) -> Tensor:
    """(B, C, H, W) -> (B, C, H + 2 by, W + 2 by), however small the picture is."""
    rows, columns = (mirror(torch.arange(-by, n + by, device=x.device), n) for n in x.shape[2:])
    return x[:, :, rows][:, :, :, columns]


def blit(x: Tensor, flip: Tensor, turns: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Mirror, turn by quarters, move by whole pixels: pixels are copied, never blended.

    Args:
        x: (B, C, n, n).
        flip: (B,) bool, left to right, first.
        turns: (B,) in 0 to 3, anticlockwise, second.
        down, right: (B,) whole pixels, last.
    """
    b, c, n, _ = x.shape
    index = torch.arange(n, device=x.device)
    i = mirror(index - down[:, None], n)[:, :, None].expand(b, n, n)
    j = mirror(index - right[:, None], n)[:, None, :].expand(b, n, n)
    turned = turns[:, None, None]
    # Where the pixel at (i, j) of the turned picture was before.
    rows = torch.where(turned % 2 == 0, i, j)
    columns = torch.where(turned % 2 == 0, j, n - 1 - i)
    half = turned >= 2
    rows, columns = (
        torch.where(half, n - 1 - rows, rows),
        torch.where(half, n - 1 - columns, columns),
    )
    columns = torch.where(flip[:, None, None], n - 1 - columns, columns)
    where = (rows * n + columns).view(b, 1, n * n).expand(b, c, n * n)
    return x.flatten(2).gather(2, where).view(b, c, n, n)


def affine(
    scale: Tensor, before: Tensor, stretch: Tensor, after: Tensor, right: Tensor, down: Tensor
) -> Tensor:
    """(B, 2, 3): the inverse of move · turn(after) · stretch · turn(before) · scale.

    Coordinates are (x, y), right and down from the centre. All arguments are (B,).

    Args:
        scale: above 1 enlarges.
        before, after: angles.
        stretch: $s$ scales x by $s$ and y by $1/s$.
        right, down: in the coordinates' unit.
    """

    def turn(angle: Tensor) -> Tensor:
        c, s = angle.cos(), angle.sin()
        return torch.stack([c, -s, s, c], -1).unflatten(-1, (2, 2))

    shrink = torch.stack([1 / stretch, stretch], -1)[:, :, None]
    inverse = turn(-before) @ (shrink * turn(-after)) / scale[:, None, None]
    move = torch.stack([right, down], -1)[:, :, None]
    return torch.cat([inverse, -inverse @ move], 2)


@cache
def constant(values: tuple, device: torch.device) -> Tensor:
    """`values` as an fp32 tensor that is sent to the device once."""
    return torch.tensor(values, dtype=torch.float32, device=device)


@cache
def _resamplers(n: int, margin: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Matrices that double a mirrored line of n pixels, and that halve one to n pixels."""
    h = torch.tensor(symlet(6)) * math.sqrt(0.5)
    places = n + 2 * margin
    up, down = torch.zeros(2 * places + len(h) - 2, n), torch.zeros(n, 2 * n + len(h) - 2)
    for i in range(places):
        up[2 * i : 2 * i + len(h), int(mirror(torch.tensor(i - margin), n))] += 2 * h
    for i in range(n):
        down[i, 2 * i : 2 * i + len(h)] = h
    return up.to(device), down.to(device)


def doubled(x: Tensor, margin: int) -> Tensor:
    """(B, C, n, n) -> (B, C, m, m), m = 2n + 4 margin + 10, by the orthogonal filter."""
    b, c, n, _ = x.shape
    if n <= LARGE:
        up, _ = _resamplers(n, margin, x.device)
        return up @ x @ up.T
    h = constant(symlet(6), x.device) * math.sqrt(2)
    x = mirror_pad(x, margin).reshape(b * c, 1, n + 2 * margin, n + 2 * margin)
    x = F.conv_transpose2d(x, h.view(1, 1, -1, 1), stride=(2, 1))
    x = F.conv_transpose2d(x, h.view(1, 1, 1, -1), stride=(1, 2))
    return x.view(b, c, *x.shape[2:])


def halved(x: Tensor) -> Tensor:
    """(B, C, 2n + 10, 2n + 10) -> (B, C, n, n), by its adjoint."""
    b, c, m, _ = x.shape
    n = m // 2 - 5
    if n <= LARGE:
        _, down = _resamplers(n, 0, x.device)
        return down @ x @ down.T
    h = constant(symlet(6), x.device) * math.sqrt(0.5)
    x = x.reshape(b * c, 1, m, m)
    x = F.conv2d(x, h.view(1, 1, -1, 1), stride=(2, 1))
    x = F.conv2d(x, h.view(1, 1, 1, -1), stride=(1, 2))
    return x.view(b, c, n, n)


def warp(x: Tensor, inverse: Tensor, margin: int = 8) -> Tensor:
    """Resample each picture under an affine map, without aliasing.

    Doubled with an orthogonal filter (the symlet of six moments), read at the mapped places by
    bilinear interpolation, halved with the same filter. Doubling and halving alone are the
    identity: the map of 1 gives the picture back.

    Args:
        x: (B, C, n, n).
        inverse: (B, 2, 3), from places in the result to places in `x`; pixels from the centre.
        margin: pixels of mirror image around `x`.
    """
    n = x.shape[-1]
    fine = doubled(x.float(), margin)
    size, count = fine.shape[-1], 2 * n + 10
    h = symlet(6)  # not quite symmetric: smooth signals come out delayed by the mean tap
    centre, middle = (n - 1) / 2, sum(i * t for i, t in enumerate(h)) / sum(h)
    # The fine grid that the halving filter reads, as places in the result.
    place = (torch.arange(count, device=x.device) - middle) / 2 - centre
    down, right = torch.meshgrid(place, place, indexing="ij")
    points = torch.stack([right, down, torch.ones_like(right)], -1).flatten(0, 1)  # (P, 3)
    source = points @ inverse.float().mT + centre  # (B, P, 2) in pixels of x
    # Only what lies past the mirrored margin is mirrored once more.
    reach = margin - 4  # within it all taps of the doubling lie on pixels
    far = (source < -reach) | (source > n - 1 + reach)
    source = torch.where(far, mirror(source, n), source)
    grid = ((source + margin) * 2 + middle) * (2 / (size - 1)) - 1
    grid = grid.unflatten(1, (count, count))
    read = F.grid_sample(fine, grid, mode="bilinear", align_corners=True)
    return halved(read).to(x.dtype)


def color_matrix(flip: Tensor, hue: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """(B, 3, 3): contrast, then luma flip, hue, saturation about the grey axis $v$.

    The flip is the reflection $1 - 2 v vᵀ$, hue a rotation about $v$, saturation scales what is
    perpendicular to $v$. All arguments are (B,); `flip` is 0 or 1, `hue` an angle.
    """
    eye = torch.eye(3, device=hue.device)
    grey = torch.full((3, 3), 1 / 3, device=hue.device)  # vv'
    root = 1 / math.sqrt(3)
    cross = constant(((0, -1, 1), (1, 0, -1), (-1, 1, 0)), hue.device) * root
    flip, hue, saturation, contrast = (t[:, None, None] for t in (flip, hue, saturation, contrast))
    reflect = eye - 2 * grey * flip
    turn = hue.cos() * eye + hue.sin() * cross + (1 - hue.cos()) * grey
    scale = grey + (eye - grey) * saturation
    return scale @ turn @ reflect * contrast


def recolor(x: Tensor, matrix: Tensor, brightness: Tensor) -> Tensor:
    """$M(x + b)$: (B, 1 or 3, H, W), (B, 3, 3), (B,); a grey picture sees what $M$ does to grey."""
    y = x.float() + brightness[:, None, None, None]
    if x.shape[1] == 1:
        return (y * matrix.sum(2).mean(1)[:, None, None, None]).to(x.dtype)
    return torch.einsum("bij,bjhw->bihw", matrix, y).to(x.dtype)


def equalize(x: Tensor, gains: Tensor) -> Tensor:
    """Amplify the four `bands` along both axes by (B, 4) gains."""
    b, c, h, w = x.shape
    bank = constant(bands(), x.device)
    taps = (gains.float() @ bank).repeat_interleave(c, 0)  # (B C, 43)
    pad = taps.shape[1] // 2
    y = mirror_pad(x.float(), pad).reshape(1, b * c, h + 2 * pad, w + 2 * pad)
    y = F.conv2d(y, taps[:, None, :, None], groups=b * c)
    y = F.conv2d(y, taps[:, None, None, :], groups=b * c)
    return y.view(b, c, h, w).to(x.dtype)


def cut(x: Tensor, across: Tensor, along: Tensor, side: float = 0.5) -> Tensor:
    """Zeros in a rectangle of `side` times height and width, centred at (B,) shares of both."""
    keep = []
    for n, centre in ((x.shape[2], along), (x.shape[3], across)):
        place = (torch.arange(n, device=x.device) + 0.5) / n
        keep.append((place - centre[:, None]).abs() >= side / 2)
    return x * (keep[0][:, None, :, None] | keep[1][:, None, None, :])
