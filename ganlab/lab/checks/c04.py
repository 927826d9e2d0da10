"""Checks of chapter 4, DCGAN: each knows the usual wrong answers and names them."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import draw, parts, started
from ganlab.lab.checks.words import F64, Slips, close, equal, need, refuse, when
from ganlab.models import dcgan


def _pair(value: Any, what: str) -> tuple[int, int]:
    """Two whole numbers, or a diagnosis."""
    pair = [started(v) for v in parts(started(value), 2, f"return a pair: {what}")]
    for v in pair:
        whole = not isinstance(v, bool) and float(v) == int(v)
        need(whole, f"{v} is not a whole number: divide with // where the floor is meant")
    return int(pair[0]), int(pair[1])


@check("4.1", "right, also where the floor bites")
def sizes(answer: Answer) -> None:
    """`answer(size, kernel, stride, padding)` is (convolution, transposed convolution)."""
    # In the first case no two of the usual mistakes give the same number.
    cases = [(30, 5, 2, 5), (32, 4, 2, 1), (4, 4, 1, 0), (31, 4, 2, 1), (9, 3, 3, 0), (7, 3, 1, 1)]
    for i, k, s, p in cases:
        down, up = _pair(answer(i, k, s, p), "(convolution, transposed convolution)")
        right = (i + 2 * p - k) // s + 1, (i - 1) * s - 2 * p + k
        case = f"for size {i}, kernel {k}, stride {s}, padding {p}"
        exchanged = (up, down) == right != (down, up)
        need(not exchanged, f"the two are exchanged: convolution first ({case})")
        wrong = {
            (i + 2 * p - k) // s: "the + 1 is missing: the kernel's first position counts too",
            (i + 2 * p - k + 1) // s: "the 1 is added after the division, not before",
            (i + p - k) // s + 1: "padding is added at both ends: 2p",
            (i - k) // s + 1: "the padding does not enter",
            -((k - i - 2 * p) // s) + 1: "round down, not up: a kernel that hangs over the edge"
            " does not count",
            i // s: "this holds for kernel 4, stride 2, padding 1 only",
        }
        yours = f"yours is {down}, right is {right[0]}: {wrong.get(down, 'see Hint 1')}"
        need(down == right[0], f"convolution {case}: {yours}")
        wrong = {
            i * s - 2 * p + k: "the last of i pixels stands at (i - 1)·s",
            (i - 1) * s + k: "the padding does not enter",
            (i - 1) * s + 2 * p + k: "in a transposed convolution padding takes away",
            (i - 1) * s - p + k: "padding is removed at both ends: 2p",
            (i - 1) * s - 2 * p + k - 1: "one too few: positions 0 to k - 1 are k positions",
            i * s: "this holds for kernel 4, stride 2, padding 1 only",
        }
        yours = f"yours is {up}, right is {right[1]}: {wrong.get(up, 'see Hint 1')}"
        need(up == right[1], f"transposed {case}: {yours}")


@check("4.2", "right, for three sizes")
def parameters(answer: Answer) -> None:
    """`answer(size, channels, latent, width)` is (generator's, discriminator's) parameters."""
    for size, channels, latent, width in ((64, 3, 100, 64), (16, 1, 32, 8), (128, 3, 64, 16)):
        found = _pair(answer(size, channels, latent, width), "(generator, discriminator)")
        c = [width * 2**i for i in range(size.bit_length() - 3)]
        inner = sum(16 * a * b for a, b in pairwise(c))
        plain_g = 16 * (latent * c[-1] + channels * c[0]) + inner
        plain_d = 16 * (channels * c[0] + c[-1]) + inner
        right_g, right_d = plain_g + 2 * sum(c), plain_d + 2 * sum(c[1:])
        exchanged = found == (right_d, right_g) != found[::-1]
        need(not exchanged, "the two are exchanged: generator first")
        more_g = {
            right_g - 16 * latent * c[-1]: "the first layer is missing",
            right_g + 2 * channels: "there is no BatchNorm behind the last layer",
        }
        more_d = {
            right_d - 16 * c[-1]: "the last layer, to one logit, is missing",
            right_d + 2 * c[0]: "there is no BatchNorm behind the first layer",
            right_d + 2 * c[0] + 2: "no BatchNorm behind the first and last layer",
        }
        for name, mine, plain, right, biases, more in (
            ("generator", found[0], plain_g, right_g, sum(c) + channels, more_g),
            ("discriminator", found[1], plain_d, right_d, sum(c) + 1, more_d),
        ):
            norm = right - plain
            wrong = {
                plain: "BatchNorm's gain and shift are missing",
                plain + norm // 2: "a BatchNorm has two trainable numbers a channel",
                plain + 2 * norm: "running mean and variance are buffers, not parameters",
                right + biases: "these convolutions have no bias",
                plain + biases: "there are no biases, but BatchNorm counts",
                right - 16 * channels * c[0]: "the layer at the pixels is missing",
            }
            hint = (wrong | more).get(mine, "write down its layers first, see Hint 1")
            case = f"size {size}, channels {channels}, latent {latent}, width {width}"
            yours = f"yours has {mine:,}, right is {right:,}: {hint}"
            need(mine == right, f"{name} ({case}): {yours}")


@check("4.3", "right, parallel vectors included")
def slerp(answer: Answer) -> None:
    """`answer(z0, z1, t)` divides the angle of each row."""
    rng = torch.Generator().manual_seed(43)
    z0, z1 = (2 * z / z.norm(dim=1, keepdim=True) for z in draw(rng, 2, 6, 3))
    omega, t = ((z0 * z1).sum(1, keepdim=True) / 4).acos(), 0.3

    def exact(t: float, angle: Tensor) -> Tensor:
        return (((1 - t) * angle).sin() * z0 + (t * angle).sin() * z1) / angle.sin()

    right, half = exact(t, omega), t * math.pi / 2
    found = started(answer(z0.clone(), z1.clone(), t))
    fits = isinstance(found, Tensor) and found.shape == z0.shape
    need(fits, f"return a tensor of shape {tuple(z0.shape)}, one row per pair")
    whole = ((z0 * z1).sum() / (z0.norm() * z1.norm())).acos()
    slips: Slips = {
        (1 - t) * z0 + t * z1: "this is the straight line, not the arc",
        exact(1 - t, omega): "z0 and z1 are exchanged: t = 0 must give z0",
        math.cos(half) * z0 + math.sin(half) * z1: "this is the text's arc, right only at right"
        " angles: use each pair's own angle",
        exact(t, whole): "one angle is used for the whole batch: sum over dim=1, not over"
        " everything",
        when(not found.isfinite().all()): "not finite: are the vectors normalised before acos? See"
        " Hint 1",
        ...: f"between vectors of length 2 your result has mean length"
        f" {found.norm(dim=1).mean().item():.3f}; the arc keeps the length: see Hint 1",
    }
    equal(found, right, slips)
    slips = {...: "right for vectors of length 2 only: the angle must not depend on the lengths"}
    equal(answer(3 * z0, 3 * z1, t), 3 * right, slips)
    single = torch.randn(64, 100, generator=rng)
    for other, name in ((single.clone(), "equal"), (single * (1 + 1e-6), "nearly parallel")):
        value = answer(single.clone(), other, 0.5)
        slips = {
            when(not value.isfinite().all()): f"not finite for {name} vectors: see Hint 2",
            ...: f"half-way between {name} vectors it must stay with them: see Hint 2",
        }
        equal(value, single, slips, 1e-3)
    value = answer(z0[:2], torch.stack([z0[0], z1[1]]), t)
    slips = {
        ...: "one parallel pair turns the whole batch into a straight line: choose by row, see"
        " Hint 3",
    }
    equal(value[1], right[1], slips)


@check("4.4", "right: 128 px at width 64 starts with 1024 channels")
def layer_plan(answer: Answer) -> None:
    """`answer(size, channels, latent, width)` lists (in, out, kernel, stride, padding)."""
    for size, channels, latent, width in ((32, 1, 100, 64), (128, 3, 100, 64), (256, 3, 32, 8)):
        found = started(answer(size, channels, latent, width))
        if isinstance(found, list) and ... in found:
            raise NotImplementedError
        c = [width * 2**i for i in reversed(range(size.bit_length() - 3))] + [channels]
        right = [(latent, c[0], 4, 1, 0), *((a, b, 4, 2, 1) for a, b in pairwise(c))]
        try:
            rows = [tuple(int(v) for v in row) for row in found]
        except TypeError:
            raise Fail("return a list of tuples of five whole numbers") from None
        if rows == right:
            continue
        five = all(len(row) == 5 for row in rows)
        need(five, "each tuple has five numbers: in, out, kernel, stride, padding")
        pixels, case = 1, f"for {size} px"
        for _, _, k, s, p in rows:
            pixels = (pixels - 1) * s - 2 * p + k
        torn = [(i, a, b) for i, (a, b) in enumerate(pairwise(rows), 1) if a[1] != b[0]]
        i, one, two = torn[0] if torn else (0, rows[0], rows[0])
        first, last = rows[0], rows[-1]
        slips = {
            when(rows == right[::-1]): "this is the order from the picture to z: first layer first",
            when(len(rows) != len(right)): f"{case}: {len(rows)} layers, right are {len(right)};"
            f" yours end at {pixels} px",
            when(first[2:] != (4, 1, 0)): "the first layer turns one pixel into 4x4: kernel 4,"
            " stride 1, padding 0",
            when(any(row[2:] != (4, 2, 1) for row in rows[1:])): "every layer after the first"
            " doubles: kernel 4, stride 2, padding 1",
            when(i > 0): f"{case}: layer {i} gives {one[1]} channels, the next takes {two[0]}",
            when(first[0] != latent): f"the first layer takes the latent vector: {latent} channels",
            when(last[1] != channels): f"the last layer must give {channels} channels, the"
            " picture's",
            when(last[0] != width): f"{case}: the last layer takes {last[0]} channels, `width` is"
            f" {width}: count from the end, see Hint 2",
            ...: f"{case}: channels {[r[1] for r in rows]}, right are {[r[1] for r in right]}",
        }
        refuse(slips)


@check("4.5", "right, with and without a bias, originals untouched")
def fold(answer: Answer) -> None:
    """`answer(conv, bn)` is one transposed convolution, equal to both in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(45)
        for bias in (False, True):
            conv = nn.ConvTranspose2d(6, 4, 4, 2, 1, bias=bias).double()
            bn = nn.BatchNorm2d(4, eps=0.05).double()
            nn.init.uniform_(bn.weight, 0.5, 2.0)
            nn.init.normal_(bn.bias)
            bn.running_mean = torch.randn(4).double()
            bn.running_var = torch.rand(4).double() + 0.2
            _fold_one(answer, conv, bn.eval(), bias)
        g = dcgan.Generator(16, 1, 8, width=4).eval()
        first, norm = g.layers[0], g.layers[1]
        x = torch.randn(3, 8, 1, 1)
        slips = {
            ...: "right for stride 2, wrong for the generator's first layer: copy kernel size,"
            " stride and padding from `conv`",
        }
        equal(answer(first, norm)(x), norm(first(x)), slips)


def _fold_one(answer: Answer, conv: nn.ConvTranspose2d, bn: nn.BatchNorm2d, bias: bool) -> None:
    """Fold one pair and diagnose."""
    x = torch.randn(2, 6, 5, 5).double()
    target = bn(conv(x)).detach()
    spare = copy.deepcopy(conv), copy.deepcopy(bn)
    result = started(answer(conv, bn))
    before, after = ([*a.state_dict().values(), *b.state_dict().values()]
                     for a, b in (spare, (conv, bn)))  # fmt: skip
    kept = result is not conv and all(map(torch.equal, before, after))
    need(kept, "`conv` or `bn` was changed: build a new layer and copy into it")
    kind = type(result).__name__
    right_kind = isinstance(result, nn.ConvTranspose2d)
    need(right_kind, f"return an nn.ConvTranspose2d, not a {kind}")
    shifts = result.bias is not None
    need(shifts, "the new layer needs a bias: the shift of the BatchNorm has to go somewhere")
    merged = copy.deepcopy(result).double()
    found = merged(x)
    if found.shape != target.shape:
        raise Fail(f"output of shape {tuple(found.shape)} instead of {tuple(target.shape)}: copy"
                   " kernel size, stride and padding from `conv`")  # fmt: skip
    conv, bn = spare
    rho, v = bn.running_mean, bn.running_var
    assert rho is not None
    assert v is not None
    b = conv.bias if conv.bias is not None else torch.zeros(4, dtype=F64)

    def is_(gain: Tensor, shift: Tensor) -> when:
        weight = conv.weight * gain[None, :, None, None]
        return when(close(merged.weight, weight) and close(merged.bias, shift))

    gain = bn.weight / (v + bn.eps).sqrt()
    shift = bn.bias - gain * rho
    no_eps, no_root, no_gamma = bn.weight / v.sqrt(), bn.weight / (v + bn.eps), gain / bn.weight
    no_bias, plain_bias = is_(gain, shift), is_(gain, shift + b)
    slips = {
        is_(no_eps, bn.bias - no_eps * rho + no_eps * b): "ε is missing under the root",
        is_(no_root, bn.bias - no_root * rho + no_root * b): "divide by the root of the variance,"
        " not by the variance",
        is_(gain, bn.bias + gain * b): "the running mean is not subtracted",
        is_(gain, bn.bias - rho + gain * b): "the running mean must be multiplied by the gain"
        " before it is subtracted",
        is_(gain, gain * b - gain * rho): "β of the BatchNorm is missing",
        is_(no_gamma, bn.bias + no_gamma * (b - rho)): "γ of the BatchNorm is missing",
        is_(torch.ones_like(gain), shift + gain * b): "the weight is not multiplied by the gain",
        when(bias and bool(no_bias)): "right without a bias in `conv`, but its bias is dropped"
        " here: it becomes g·b",
        when(bias and bool(plain_bias)): "the bias of `conv` must be multiplied by the gain",
        ...: "outputs differ by up to {off:.3f}: the gain belongs to the *output* channel, axis 1"
        " of a transposed convolution's weight (Hint 2), and the bias is β - gρ (Hint 1)",
    }
    equal(found, target, slips)
