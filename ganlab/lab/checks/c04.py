"""Checks of chapter 4, DCGAN: each knows the usual wrong answers and names them."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import started
from ganlab.models import dcgan


def _pair(value: Any, what: str) -> tuple[int, int]:
    """Two whole numbers, or a diagnosis."""
    started(value)
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Fail(f"return a pair: {what}")
    if any(v is ... or v is None for v in value):
        raise NotImplementedError
    for v in value:
        if isinstance(v, bool) or float(v) != int(v):
            raise Fail(f"{v} is not a whole number: divide with // where the floor is meant")
    return int(value[0]), int(value[1])


@check("4.1")
def sizes(answer: Answer) -> str:
    """`answer(size, kernel, stride, padding)` is (convolution, transposed convolution)."""
    # In the first case no two of the usual mistakes give the same number.
    cases = [(30, 5, 2, 5), (32, 4, 2, 1), (4, 4, 1, 0), (31, 4, 2, 1), (9, 3, 3, 0), (7, 3, 1, 1)]
    for i, k, s, p in cases:
        down, up = _pair(answer(i, k, s, p), "(convolution, transposed convolution)")
        right = (i + 2 * p - k) // s + 1, (i - 1) * s - 2 * p + k
        if (down, up) == right:
            continue
        case = f"for size {i}, kernel {k}, stride {s}, padding {p}"
        if (up, down) == right:
            raise Fail(f"the two are exchanged: convolution first ({case})")
        if down != right[0]:
            wrong = {
                (i + 2 * p - k) // s: "the + 1 is missing: the kernel's first position counts too",
                (i + 2 * p - k + 1) // s: "the 1 is added after the division, not before",
                (i + p - k) // s + 1: "padding is added at both ends: 2p",
                (i - k) // s + 1: "the padding does not enter",
                -((k - i - 2 * p) // s) + 1: "round down, not up: a kernel that hangs over the"
                " edge does not count",
                i // s: "this holds for kernel 4, stride 2, padding 1 only",
            }
            hint = wrong.get(down, "see Hint 1")
            raise Fail(f"convolution {case}: yours is {down}, right is {right[0]}: {hint}")
        wrong = {
            i * s - 2 * p + k: "the last of i pixels stands at (i - 1)·s",
            (i - 1) * s + k: "the padding does not enter",
            (i - 1) * s + 2 * p + k: "in a transposed convolution padding takes away",
            (i - 1) * s - p + k: "padding is removed at both ends: 2p",
            (i - 1) * s - 2 * p + k - 1: "one too few: positions 0 to k - 1 are k positions",
            i * s: "this holds for kernel 4, stride 2, padding 1 only",
        }
        hint = wrong.get(up, "see Hint 1")
        raise Fail(f"transposed {case}: yours is {up}, right is {right[1]}: {hint}")
    return "right, also where the floor bites"


@check("4.2")
def parameters(answer: Answer) -> str:
    """`answer(size, channels, latent, width)` is (generator's, discriminator's) parameters."""
    for size, channels, latent, width in ((64, 3, 100, 64), (16, 1, 32, 8), (128, 3, 64, 16)):
        found = _pair(answer(size, channels, latent, width), "(generator, discriminator)")
        stages = size.bit_length() - 3
        c = [width * 2**i for i in range(stages)]
        inner = sum(16 * a * b for a, b in pairwise(c))
        weights_g = 16 * (latent * c[-1] + channels * c[0]) + inner
        weights_d = 16 * (channels * c[0] + c[-1]) + inner
        right = weights_g + 2 * sum(c), weights_d + 2 * sum(c[1:])
        if found == right:
            continue
        case = f"size {size}, channels {channels}, latent {latent}, width {width}"
        if found == right[::-1]:
            raise Fail("the two are exchanged: generator first")
        biases = sum(c) + channels, sum(c) + 1
        for side in (0, 1):
            plain = (weights_g, weights_d)[side]
            norm = right[side] - plain
            wrong = {
                plain: "BatchNorm's gain and shift are missing",
                plain + norm // 2: "a BatchNorm has two trainable numbers a channel",
                plain + 2 * norm: "running mean and variance are buffers, not parameters",
                right[side] + biases[side]: "these convolutions have no bias",
                plain + biases[side]: "there are no biases, but BatchNorm counts",
                right[side] - 16 * channels * c[0]: "the layer at the pixels is missing",
            }
            if side == 0:
                wrong[right[0] - 16 * latent * c[-1]] = "the first layer is missing"
                wrong[right[0] + 2 * channels] = "there is no BatchNorm behind the last layer"
            else:
                wrong[right[1] - 16 * c[-1]] = "the last layer, to one logit, is missing"
                wrong[right[1] + 2 * c[0]] = "there is no BatchNorm behind the first layer"
                wrong[right[1] + 2 * c[0] + 2] = "no BatchNorm behind the first and last layer"
            if found[side] != right[side]:
                name = ("generator", "discriminator")[side]
                hint = wrong.get(found[side], "write down its layers first, see Hint 1")
                raise Fail(
                    f"{name} ({case}): yours has {found[side]:,}, right is {right[side]:,}: {hint}"
                )
    return "right, for three sizes"


@check("4.3")
def slerp(answer: Answer) -> str:
    """`answer(z0, z1, t)` divides the angle of each row."""
    rng = torch.Generator().manual_seed(43)
    z0, z1 = torch.randn(2, 6, 3, generator=rng, dtype=torch.float64)
    z0, z1 = 2.0 * z0 / z0.norm(dim=1, keepdim=True), 2.0 * z1 / z1.norm(dim=1, keepdim=True)
    omega = ((z0 * z1).sum(1, keepdim=True) / 4).acos()

    def exact(t: float, angle: Tensor) -> Tensor:
        return (((1 - t) * angle).sin() * z0 + (t * angle).sin() * z1) / angle.sin()

    t = 0.3
    found = answer(z0.clone(), z1.clone(), t)
    if found is ... or found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != z0.shape:
        raise Fail(f"return a tensor of shape {tuple(z0.shape)}, one row per pair")
    if not torch.allclose(found, exact(t, omega)):
        half = t * math.pi / 2
        wrong = {
            "this is the straight line, not the arc": (1 - t) * z0 + t * z1,
            "z0 and z1 are exchanged: t = 0 must give z0": exact(1 - t, omega),
            "this is the text's arc, right only at right angles: use each pair's own angle": (
                math.cos(half) * z0 + math.sin(half) * z1
            ),
        }
        for diagnosis, value in wrong.items():
            if torch.allclose(found, value):
                raise Fail(diagnosis)
        whole = ((z0 * z1).sum() / (z0.norm() * z1.norm())).acos()
        if torch.allclose(found, exact(t, whole)):
            raise Fail("one angle is used for the whole batch: sum over dim=1, not over everything")
        if not torch.isfinite(found).all():
            raise Fail("not finite: are the vectors normalised before acos? See Hint 1")
        length = found.norm(dim=1).mean().item()
        raise Fail(
            f"between vectors of length 2 your result has mean length {length:.3f}; the arc keeps"
            " the length: see Hint 1"
        )
    scaled = answer(3 * z0, 3 * z1, t)
    if not torch.allclose(scaled, 3 * exact(t, omega)):
        raise Fail("right for vectors of length 2 only: the angle must not depend on the lengths")
    single = torch.randn(64, 100, generator=rng)
    for other, name in ((single.clone(), "equal"), (single * (1 + 1e-6), "nearly parallel")):
        value = answer(single.clone(), other, 0.5)
        if not torch.isfinite(value).all():
            raise Fail(f"not finite for {name} vectors: see Hint 2")
        if not torch.allclose(value, single, atol=1e-3):
            raise Fail(f"half-way between {name} vectors it must stay with them: see Hint 2")
    mixed = torch.stack([z0[0], z0[1]]), torch.stack([z0[0], z1[1]])
    value = answer(*mixed, t)
    if not torch.allclose(value[1], exact(t, omega)[1]):
        raise Fail("one parallel pair turns the whole batch into a straight line: choose by row,"
                   " see Hint 3")  # fmt: skip
    return "right, parallel vectors included"


@check("4.4")
def layer_plan(answer: Answer) -> str:
    """`answer(size, channels, latent, width)` lists (in, out, kernel, stride, padding)."""
    for size, channels, latent, width in ((32, 1, 100, 64), (128, 3, 100, 64), (256, 3, 32, 8)):
        found = answer(size, channels, latent, width)
        if found is ... or found is None or (isinstance(found, list) and ... in found):
            raise NotImplementedError
        stages = size.bit_length() - 3
        c = [width * 2**i for i in reversed(range(stages))] + [channels]
        right = [(latent, c[0], 4, 1, 0)]
        right += [(a, b, 4, 2, 1) for a, b in pairwise(c)]
        try:
            rows = [tuple(int(v) for v in row) for row in found]
        except TypeError:
            raise Fail("return a list of tuples of five whole numbers") from None
        if rows == right:
            continue
        case = f"for {size} px"
        if any(len(row) != 5 for row in rows):
            raise Fail("each tuple has five numbers: in, out, kernel, stride, padding")
        if rows == right[::-1]:
            raise Fail("this is the order from the picture to z: first layer first")
        if len(rows) != len(right):
            pixels = 1
            for _, _, k, s, p in rows:
                pixels = (pixels - 1) * s - 2 * p + k
            raise Fail(
                f"{case}: {len(rows)} layers, right are {len(right)}; yours end at {pixels} px"
            )
        if rows[0][2:] != (4, 1, 0):
            raise Fail("the first layer turns one pixel into 4x4: kernel 4, stride 1, padding 0")
        if any(row[2:] != (4, 2, 1) for row in rows[1:]):
            raise Fail("every layer after the first doubles: kernel 4, stride 2, padding 1")
        for i, (one, two) in enumerate(pairwise(rows)):
            if one[1] != two[0]:
                raise Fail(f"{case}: layer {i + 1} gives {one[1]} channels, the next takes"
                           f" {two[0]}")  # fmt: skip
        if rows[0][0] != latent:
            raise Fail(f"the first layer takes the latent vector: {latent} channels")
        if rows[-1][1] != channels:
            raise Fail(f"the last layer must give {channels} channels, the picture's")
        if rows[-1][0] != width:
            raise Fail(f"{case}: the last layer takes {rows[-1][0]} channels, `width` is {width}:"
                       " count from the end, see Hint 2")  # fmt: skip
        raise Fail(f"{case}: channels {[r[1] for r in rows]}, right are {[r[1] for r in right]}")
    return "right: 128 px at width 64 starts with 1024 channels"


@check("4.5")
def fold(answer: Answer) -> str:
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
            bn.eval()
            _fold_one(answer, conv, bn, bias)
        g = dcgan.Generator(16, 1, 8, width=4).eval()
        first, norm = g.layers[0], g.layers[1]
        x = torch.randn(3, 8, 1, 1)
        merged = answer(first, norm)
        if not torch.allclose(merged(x), norm(first(x)), atol=1e-5):
            raise Fail("right for stride 2, wrong for the generator's first layer: copy kernel"
                       " size, stride and padding from `conv`")  # fmt: skip
    return "right, with and without a bias, originals untouched"


def _fold_one(answer: Answer, conv: nn.ConvTranspose2d, bn: nn.BatchNorm2d, bias: bool) -> None:
    """Fold one pair and diagnose."""
    x = torch.randn(2, 6, 5, 5).double()
    target = bn(conv(x)).detach()
    before = [t.clone() for t in (*conv.state_dict().values(), *bn.state_dict().values())]
    spare = copy.deepcopy(conv), copy.deepcopy(bn)
    result = answer(conv, bn)
    if result is ... or result is None:
        raise NotImplementedError
    after = [*conv.state_dict().values(), *bn.state_dict().values()]
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    if result is conv or not all(same):
        raise Fail("`conv` or `bn` was changed: build a new layer and copy into it")
    if not isinstance(result, nn.ConvTranspose2d):
        raise Fail(f"return an nn.ConvTranspose2d, not a {type(result).__name__}")
    if result.bias is None:
        raise Fail("the new layer needs a bias: the shift of the BatchNorm has to go somewhere")
    merged = copy.deepcopy(result).double()
    new_shift = result.bias.detach().double()
    found = merged(x)
    if found.shape != target.shape:
        raise Fail(f"output of shape {tuple(found.shape)} instead of {tuple(target.shape)}: copy"
                   " kernel size, stride and padding from `conv`")  # fmt: skip
    if torch.allclose(found, target, atol=1e-5):
        return
    conv, bn = spare
    v, rho = bn.running_var, bn.running_mean
    assert v is not None
    assert rho is not None
    gain = bn.weight / (v + bn.eps).sqrt()
    shift = bn.bias - gain * rho
    b = conv.bias if conv.bias is not None else torch.zeros(4).double()

    def close(weight_gain: Tensor, new_bias: Tensor) -> bool:
        weight = conv.weight * weight_gain[None, :, None, None]
        return torch.allclose(merged.weight, weight, atol=1e-5) and torch.allclose(
            new_shift, new_bias, atol=1e-5
        )

    no_eps, no_root = bn.weight / v.sqrt(), bn.weight / (v + bn.eps)
    ones = torch.ones_like(gain)
    cases = {
        "ε is missing under the root": (no_eps, bn.bias - no_eps * rho + no_eps * b),
        "divide by the root of the variance, not by the variance": (
            no_root, bn.bias - no_root * rho + no_root * b),
        "the running mean is not subtracted": (gain, bn.bias + gain * b),
        "the running mean must be multiplied by the gain before it is subtracted": (
            gain, bn.bias - rho + gain * b),
        "β of the BatchNorm is missing": (gain, gain * b - gain * rho),
        "γ of the BatchNorm is missing": (
            gain / bn.weight, bn.bias + (gain / bn.weight) * (b - rho)),
        "the weight is not multiplied by the gain": (ones, shift + gain * b),
    }  # fmt: skip
    if bias:
        cases |= {
            "right without a bias in `conv`, but its bias is dropped here: it becomes g·b": (
                gain, shift),
            "the bias of `conv` must be multiplied by the gain": (gain, shift + b),
        }  # fmt: skip
    for diagnosis, (weight_gain, new_bias) in cases.items():
        if close(weight_gain, new_bias):
            raise Fail(diagnosis)
    off = (found - target).abs().max().item()
    raise Fail(
        f"outputs differ by up to {off:.3f}: the gain belongs to the *output* channel, axis 1 of a"
        " transposed convolution's weight (Hint 2), and the bias is β - gρ (Hint 1)"
    )
