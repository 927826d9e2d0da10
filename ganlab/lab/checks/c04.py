"""Checks of chapter 4, DCGAN: each knows the usual wrong answers and names them."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.data import load
from ganlab.lab.checks import Answer, Fail, check
from ganlab.lab.checks.read import (
    F64,
    cases,
    draw,
    number,
    numbers,
    parts,
    pick,
    rng,
    seeded,
    tensor,
)
from ganlab.lab.checks.words import Slips, close, equal, need, refuse, when
from ganlab.metrics import fid
from ganlab.models import dcgan

#: Exercise 4.6: the Fréchet distance to stay below, and the real pictures that may be shown.
TRAIN_BAR, TRAIN_BUDGET = 0.8, 25_600
#: Exercise 4.7: by how much of their spread logits must move with brightness and contrast.
TOLD = 0.02


def _pair(value: Any, *names: str) -> tuple[int, ...]:
    """Two whole numbers, or a diagnosis."""
    for v in (pair := numbers(value, *names)):
        need(v == int(v), f"{v} is not a whole number: divide with // where the floor is meant")
    return tuple(map(int, pair))


@check("4.1", "right, also where the floor bites")
def sizes(answer: Answer) -> None:
    """`answer(size, kernel, stride, padding)` is (convolution, transposed convolution)."""
    names = "the size after a convolution", "the size after a transposed one"
    # In the first case no two of the usual mistakes give the same number.
    tried = [(30, 5, 2, 5), (32, 4, 2, 1), (4, 4, 1, 0), (31, 4, 2, 1), (9, 3, 3, 0), (7, 3, 1, 1)]
    if cases():
        tried += [(pick(41, 20, 90), pick(42, 2, 7), pick(43, 1, 4), pick(44, 0, 3))]
    for i, k, s, p in tried:
        found, back = _pair(answer(i, k, s, p), *names), (i - 1) * s
        right = (i + 2 * p - k) // s + 1, back - 2 * p + k
        case = f"for size {i}, kernel {k}, stride {s}, padding {p}"
        exchanged = found[::-1] == right != found
        need(not exchanged, f"the two are exchanged: convolution first ({case})")
        one_case = "this holds for kernel 4, stride 2, padding 1 only"
        down = {
            (i + 2 * p - k) // s: "the + 1 is missing: the kernel's first position counts too",
            (i + 2 * p - k + 1) // s: "the 1 is added after the division, not before",
            (i + p - k) // s + 1: "padding is added at both ends: 2p",
            (i - k) // s + 1: "the padding does not enter",
            -((k - i - 2 * p) // s) + 1: "round down: a kernel that hangs over does not count",
            i // s: one_case,
        }
        up = {
            i * s - 2 * p + k: "the last of i pixels stands at (i - 1)·s",
            back + k: "the padding does not enter",
            back + 2 * p + k: "in a transposed convolution padding takes away",
            back - p + k: "padding is removed at both ends: 2p",
            back - 2 * p + k - 1: "one too few: positions 0 to k - 1 are k positions",
            i * s: one_case,
        }
        for name, mine, wanted, wrong in zip(names, found, right, (down, up)):
            what = f"{name} {case}: yours is {mine}, right is {wanted}"
            equal(mine, wanted, what, {**wrong, ...: "see Hint 1"}, named=True)


@check("4.2", "right, for three sizes")
def parameters(answer: Answer) -> None:
    """`answer(size, channels, latent, width)` is (generator's, discriminator's) parameters."""
    some = pick(45, 32, 99), pick(46, 8, 40)
    for size, channels, latent, width in ((64, 3, 100, 64), (16, 1, *some), (128, 3, 64, 16)):
        names = "the generator's number", "the discriminator's number"
        found = _pair(answer(size, channels, latent, width), *names)
        c = [width * 2**i for i in range(size.bit_length() - 3)]
        inner, pixels = sum(16 * a * b for a, b in pairwise(c)), 16 * channels * c[0]
        plain = inner + pixels + 16 * latent * c[-1], inner + pixels + 16 * c[-1]
        norms, biases = (2 * sum(c), 2 * sum(c[1:])), (sum(c) + channels, sum(c) + 1)
        right_g, right_d = (p + n for p, n in zip(plain, norms))
        exchanged = found[::-1] == (right_g, right_d) != found
        need(not exchanged, "the two are exchanged: generator first")
        more: tuple[Slips, ...] = {
            right_g - 16 * latent * c[-1]: "the first layer is missing",
            right_g + 2 * channels: "there is no BatchNorm behind the last layer",
        }, {
            right_d - 16 * c[-1]: "the last layer, to one logit, is missing",
            right_d + 2 * c[0]: "there is no BatchNorm behind the first layer",
            right_d + 2 * c[0] + 2: "no BatchNorm behind the first and last layer",
        }  # fmt: skip
        case = f"(size {size}, channels {channels}, latent {latent}, width {width})"
        for name, mine, bare, norm, bias, own in zip(names, found, plain, norms, biases, more):
            right = bare + norm
            wrong = {
                bare: "BatchNorm's gain and shift are missing",
                bare + norm // 2: "a BatchNorm has two trainable numbers a channel",
                bare + 2 * norm: "running mean and variance are buffers, not parameters",
                right + bias: "these convolutions have no bias",
                bare + bias: "there are no biases, but BatchNorm counts",
                right - pixels: "the layer at the pixels is missing",
                **own,
                ...: "write down its layers first, see Hint 1",
            }
            what = f"{name} {case}: yours is {mine:,}, right is {right:,}"
            equal(mine, right, what, wrong, within=1e-9, named=True)


@check("4.3", "right, parallel vectors included")
def slerp(answer: Answer) -> None:
    """`answer(z0, z1, t)` divides the angle of each row."""
    source = rng(43)
    z0, z1 = (2 * z / z.norm(dim=1, keepdim=True) for z in draw(source, 2, 6, 3))
    omega, t = ((z0 * z1).sum(1, keepdim=True) / 4).acos(), 0.3

    def exact(t: float, angle: Tensor) -> Tensor:
        return (((1 - t) * angle).sin() * z0 + (t * angle).sin() * z1) / angle.sin()

    right, half, what = exact(t, omega), t * math.pi / 2, "the batch, one row per pair,"
    found = tensor(answer(z0.clone(), z1.clone(), t), z0.shape, what)
    whole = ((z0 * z1).sum() / (z0.norm() * z1.norm())).acos()
    slips: Slips = {
        (1 - t) * z0 + t * z1: "this is the straight line, not the arc",
        exact(1 - t, omega): "z0 and z1 are exchanged: t = 0 must give z0",
        math.cos(half) * z0 + math.sin(half) * z1: "this is the text's arc, right only at right"
        " angles: use each pair's own angle",
        exact(t, whole): "one angle for the whole batch: sum over dim=1, not over everything",
        right / 2: "the arc of the normalised vectors: divide the given ones",
        when(not found.isfinite().all()): "not finite: normalise before acos. See Hint 1",
        ...: "between vectors of length 2 your result has mean length"
        f" {found.norm(dim=1).mean().item():.3f}; the arc keeps the length: see Hint 1",
    }
    equal(found, right, what, slips)
    slips = {...: "right for vectors of length 2 only: the angle must not depend on the lengths"}
    equal(answer(3 * z0, 3 * z1, t), 3 * right, what, slips)
    single = torch.randn(64, 100, generator=source)
    for other, name in ((single.clone(), "equal"), (single * (1 + 1e-6), "nearly parallel")):
        value = tensor(answer(single.clone(), other, 0.5), single.shape, what)
        slips = {
            when(not value.isfinite().all()): f"not finite for {name} vectors: see Hint 2",
            ...: f"half-way between {name} vectors it must stay with them: see Hint 2",
        }
        equal(value, single, what, slips, within=1e-3)
    value = tensor(answer(z0[:2], torch.stack([z0[0], z1[1]]), t), (2, 3), what)
    slips = {...: "one parallel pair turns all into straight lines: choose by row, see Hint 3"}
    equal(value[1], right[1], what, slips)


@check("4.4", "right: 128 px at width 64 starts with 1024 channels")
def layer_plan(answer: Answer) -> None:
    """`answer(size, channels, latent, width)` lists (in, out, kernel, stride, padding)."""
    some = pick(47, 32, 99), pick(48, 8, 40)
    for size, channels, latent, width in ((32, 1, 100, 64), (128, 3, 100, 64), (256, 3, *some)):
        c = [width * 2**i for i in reversed(range(size.bit_length() - 3))] + [channels]
        right = [(latent, c[0], 4, 1, 0), *((a, b, 4, 2, 1) for a, b in pairwise(c))]
        try:
            rows = [tuple(int(v) for v in row) for row in answer(size, channels, latent, width)]
        except TypeError:
            raise Fail("return a list of tuples of five whole numbers") from None
        if rows == right:
            continue
        five = rows and all(len(row) == 5 for row in rows)
        need(five, "each tuple has five numbers: in, out, kernel, stride, padding")
        pixels, case, first, last = 1, f"for {size} px", rows[0], rows[-1]
        for _, _, k, s, p in rows:
            pixels = (pixels - 1) * s - 2 * p + k
        torn = [(i, a[1], b[0]) for i, (a, b) in enumerate(pairwise(rows), 1) if a[1] != b[0]]
        i, gives, takes = torn[0] if torn else (0, 0, 0)
        slips = {
            when(rows == right[::-1]): "this is the order from the picture to z: first layer first",
            when(len(rows) != len(right)): f"{case}: {len(rows)} layers, right are {len(right)};"
            f" yours end at {pixels} px",
            when(first[2:] != (4, 1, 0)): "the first layer turns one pixel into 4x4: kernel 4,"
            " stride 1, padding 0",
            when(any(row[2:] != (4, 2, 1) for row in rows[1:])): "every layer after the first"
            " doubles: kernel 4, stride 2, padding 1",
            when(i > 0): f"{case}: layer {i} gives {gives} channels, the next takes {takes}",
            when(first[0] != latent): f"the first layer takes the latent vector: {latent} channels",
            when(last[1] != channels): f"the last layer gives the picture's {channels} channels",
            when(last[0] != width): f"{case}: the last layer takes {last[0]} channels, `width` is"
            f" {width}: count from the end, see Hint 2",
            ...: f"{case}: channels {[r[1] for r in rows]}, right are {[r[1] for r in right]}",
        }
        refuse(slips)


@check("4.5", "right, with and without a bias, originals untouched")
def fold(answer: Answer) -> None:
    """`answer(conv, bn)` is one transposed convolution, equal to both in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(45))
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
        equal(answer(first, norm).float()(x), norm(first(x)), "its output", slips)


def _fold_one(answer: Answer, conv: nn.ConvTranspose2d, bn: nn.BatchNorm2d, bias: bool) -> None:
    """Fold one pair and diagnose."""
    x = torch.randn(2, 6, 5, 5).double()
    target = bn(conv(x)).detach()
    spare = copy.deepcopy(conv), copy.deepcopy(bn)
    result = answer(conv, bn)
    before, after = ([*a.state_dict().values(), *b.state_dict().values()]
                     for a, b in (spare, (conv, bn)))  # fmt: skip
    kept = result is not conv and all(map(torch.equal, before, after))
    need(kept, "`conv` or `bn` was changed: build a new layer and copy into it")
    right_kind = isinstance(result, nn.ConvTranspose2d)
    need(right_kind, f"return an nn.ConvTranspose2d, not a {type(result).__name__}")
    shifts = result.bias is not None
    need(shifts, "the new layer needs a bias: the shift of the BatchNorm has to go somewhere")
    merged = copy.deepcopy(result).double()
    found = merged(x)
    need(found.shape == target.shape, f"output of shape {tuple(found.shape)} instead of"
         f" {tuple(target.shape)}: copy kernel size, stride and padding from `conv`")  # fmt: skip
    conv, bn = spare
    rho, v = bn.running_mean, bn.running_var
    assert rho is not None
    assert v is not None
    b = conv.bias if conv.bias is not None else torch.zeros(4, dtype=F64)

    def is_(gain: Tensor, shift: Tensor) -> when:
        weight = conv.weight * gain[None, :, None, None]
        return when(close(merged.weight, weight) and close(merged.bias, shift))

    gain, no_eps, no_root = (
        bn.weight / size for size in ((v + bn.eps).sqrt(), v.sqrt(), v + bn.eps)
    )
    shift, no_gamma = bn.bias - gain * rho, gain / bn.weight
    slips = {
        is_(no_eps, bn.bias + no_eps * (b - rho)): "ε is missing under the root",
        is_(no_root, bn.bias + no_root * (b - rho)): "divide by the *root* of the variance",
        is_(gain, bn.bias + gain * b): "the running mean is not subtracted",
        is_(gain, bn.bias - rho + gain * b): "multiply the running mean by the gain, then subtract",
        is_(gain, gain * b - gain * rho): "β of the BatchNorm is missing",
        is_(no_gamma, bn.bias + no_gamma * (b - rho)): "γ of the BatchNorm is missing",
        is_(torch.ones_like(gain), shift + gain * b): "the weight is not multiplied by the gain",
        when(bias and bool(is_(gain, shift))): "right without a bias in `conv`, but its bias is"
        " dropped here: it becomes g·b",
        when(bias and bool(is_(gain, shift + b))): "the bias of `conv` is multiplied by the gain",
        ...: "outputs differ by up to {off:.3f}: the gain belongs to the *output* channel, axis 1"
        " of a transposed convolution's weight (Hint 2), and the bias is β - gρ (Hint 1)",
    }
    equal(found, target, "the output", slips)


def _coarse(x: Tensor) -> Tensor:
    """Pictures in blocks of 2x2 pixels, one row each."""
    return nn.functional.avg_pool2d(x.double(), 2).flatten(1)


@check("4.6")
def train_on_budget(answer: Answer) -> str:
    """`answer` is (generator, pictures shown): Fréchet distance in coarse pixels to glyphs."""
    G, shown = parts(answer, "the generator", "the number of real pictures shown")
    shown = number(shown, "the number of pictures shown")
    network = isinstance(G, nn.Module) and hasattr(G, "sample_latent")
    slips: Slips = {
        when(not network): "the first thing must be the generator itself, not its samples: it"
        " needs sample_latent, as ganlab.models.dcgan.Generator has",
        when(not shown > 0): "the number of pictures shown must be positive: rounds times batch",
        when(shown > TRAIN_BUDGET): f"{shown:,.0f} pictures shown: the budget is {TRAIN_BUDGET:,}",
    }
    refuse(slips)
    training, real = G.training, load("glyphs", size=16, channels=1, limit=1000)
    G.eval()
    with torch.no_grad():
        samples = G(G.sample_latent(1000, torch.Generator().manual_seed(46))).cpu()
    G.train(training)
    shape = tuple(samples.shape)
    need(shape == (1000, 1, 16, 16), f"1,000 latent vectors gave pictures of shape {shape}")
    need(samples.isfinite().all(), "some pixels are not finite: the training has blown up")
    x = real.batch(torch.arange(len(real)))
    off = fid(_coarse(x), _coarse(samples)).value
    found = f"Fréchet distance {off:.2f}, below {TRAIN_BAR:g} is asked for"
    kinds, contrast = samples.std(0).mean() / x.std(0).mean(), samples.std() / x.std()
    slips = {
        when(samples.min() >= 0): f"{found}: no pixel is below 0, and the data lie in [-1, 1]:"
        " does G end in tanh?",
        when(contrast < 0.3): f"{found}: the pictures are flat ({contrast:.0%} of the real"
        " contrast): were the generator's steps taken?",
        when(kinds < 0.3): f"{found}: all samples look alike ({kinds:.0%} of the real variety):"
        " the generator has collapsed",
        when(off >= TRAIN_BAR): f"{found}: learning too slowly, or not stably; see Hint 2",
    }
    refuse(slips)
    return f"right: Fréchet distance {off:.2f} with {shown:,.0f} real pictures shown"


@check("4.7", "right: range, gains and the place of BatchNorm are mended")
def mended(answer: Answer) -> None:
    """`answer(channels, latent, width)` is (G, D) for 16 px with the paper's rules."""
    with torch.random.fork_rng(devices=[]):
        for channels, latent, width in ((1, 32, 16), (3, 16, 8)):
            torch.manual_seed(seeded(47))
            G, D = parts(answer(channels, latent, width), "the generator", "the discriminator")
            _repaired(G.train(), D.train(), channels, latent)


@torch.no_grad()
def _repaired(G: nn.Module, D: nn.Module, channels: int, latent: int) -> None:
    """Say which rule this pair, fresh and in train mode, breaks."""
    z = torch.randn(128, latent, 1, 1)
    fresh, size = G(z), (128, channels, 16, 16)
    need(fresh.shape == size, f"G's pictures have shape {tuple(fresh.shape)}, not {size}")
    loud = copy.deepcopy(G)  # BatchNorm undoes this, but for the last layer
    for layer in loud.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.mul_(1e5)
    low, high = (v.item() for v in loud(z).aminmax())
    norms = [[m for m in net.modules() if isinstance(m, nn.BatchNorm2d)] for net in (G, D)]
    gains = [m.weight.mean().item() for m in norms[0] + norms[1] if m.weight is not None]
    gain = max(gains, key=lambda g: abs(g - 1), default=1.0)
    kernels = [m.weight.std().item() for net in (G, D) for m in net.modules()
               if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]  # fmt: skip
    kernel = max(kernels, key=lambda s: abs(math.log(s / 0.02)))
    before = fresh.double().clamp(-1 + 1e-9, 1 - 1e-9).atanh()
    mean, spread = before.mean((0, 2, 3)).abs().max(), before.std()
    slips: Slips = {
        when(low > -0.9 or high < 0.9): f"G cannot draw all values from -1 to 1: at its"
        f" loudest it gives {low:.2f} to {high:.2f}, see Hint 1",
        when(high > 1.01): "G's output is not bounded: tanh stands at the end",
        when(len(norms[0]) < 2 or not norms[1]): "BatchNorm is gone from a place where it belongs:"
        " after G's first two layers and D's second",
        when(abs(gain - 1) > 0.2): f"the gains of a BatchNorm start at {gain:.2f} on average, so"
        " its output is nearly 0: they come from N(1, 0.02²), see Hint 2",
        when(not 0.015 < kernel < 0.03): f"a layer's weights start with s.d. {kernel:.3f}: the rule"
        " says N(0, 0.02²)",
        when(mean < 1e-3 * spread): "G's pictures have mean 0 over the batch before tanh, whatever"
        " it learns: there is a BatchNorm at its output",
    }
    refuse(slips)
    x = torch.rand(128, channels, 16, 16) * 2 - 1
    logits, changed = D(x), D(0.5 * x + 0.3)
    need(logits.numel() == 128, f"D must give one logit a picture, not {tuple(logits.shape)}")
    told = (logits - changed).abs().mean() / logits.std()
    blind = "D does not notice half the contrast and another brightness"
    need(told > TOLD, f"{blind} ({told:.4f} of its spread): BatchNorm at its input, see Hint 3")
