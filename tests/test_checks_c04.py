"""Chapter 4: its checks tell wrong answers apart, and its live generator is torch's."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from ganlab.data import load
from ganlab.lab import run
from ganlab.lab.checks import c04
from ganlab.models import dcgan

ROOT = Path(__file__).resolve().parents[1]
LIVE = ROOT / "book" / "static" / "live"


def verdict(exercise, answer):
    return run(exercise, answer)


def conv(i, k, s, p):
    return (i + 2 * p - k) // s + 1


def back(i, k, s, p):
    return (i - 1) * s - 2 * p + k


def count(size, channels, latent, width):
    g, d = dcgan.Generator(size, channels, latent, width), dcgan.Discriminator(
        size, channels, width)  # fmt: skip
    return tuple(sum(p.numel() for p in n.parameters()) for n in (g, d))


def slerp(z0, z1, t):
    a, b = nn.functional.normalize(z0, dim=1), nn.functional.normalize(z1, dim=1)
    omega = (a * b).sum(1, keepdim=True).clamp(-1, 1).acos()
    small = omega < 1e-3
    sine = torch.where(small, torch.ones_like(omega), omega.sin())
    arc = ((1 - t) * omega).sin() / sine * z0 + (t * omega).sin() / sine * z1
    return torch.where(small, (1 - t) * z0 + t * z1, arc)


def naive_slerp(z0, z1, t):
    a, b = nn.functional.normalize(z0, dim=1), nn.functional.normalize(z1, dim=1)
    omega = (a * b).sum(1, keepdim=True).acos()
    return (((1 - t) * omega).sin() * z0 + (t * omega).sin() * z1) / omega.sin()


def plan(size, channels=3, latent=100, width=64):
    stages = int(math.log2(size)) - 2
    c = [width * 2**i for i in reversed(range(stages))] + [channels]
    return [(latent, c[0], 4, 1, 0)] + [(a, b, 4, 2, 1) for a, b in pairwise(c)]


def fold(layer, bn, eps=True, axis=1, with_bias=True, root=True):
    new = nn.ConvTranspose2d(layer.in_channels, layer.out_channels, layer.kernel_size,
                             layer.stride, layer.padding).to(layer.weight.dtype)  # fmt: skip
    spread = bn.running_var + (bn.eps if eps else 0)
    gain = bn.weight / (spread.sqrt() if root else spread)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    with torch.no_grad():
        scale = gain if axis == 1 else gain.repeat(2)[: layer.in_channels]
        new.weight.copy_(layer.weight * scale.reshape(shape))
        old = layer.bias if layer.bias is not None and with_bias else 0
        new.bias.copy_(bn.bias - gain * bn.running_mean + gain * old)
    return new


def fold_in_place(layer, bn):
    new = fold(layer, bn)
    layer.weight.data.copy_(new.weight)
    return new


class Painter(nn.Module):
    """A "generator" that knows the glyphs: latents choose one, after `change`."""

    def __init__(self, change=lambda x: x, kinds=1000):
        super().__init__()
        glyphs = load("glyphs", size=16, channels=1, limit=1000)
        self.pictures = change(glyphs.batch(torch.arange(len(glyphs))))[:kinds]

    def sample_latent(self, n, generator=None):
        return torch.rand(n, 1, generator=generator)

    def forward(self, z):
        return self.pictures[(z[:, 0] * len(self.pictures)).long()]


def pair(channels, latent, width, end=nn.Tanh, gain=1.0, std=0.02, first=(), last=(), bn=True):
    """G and D of exercise 4.7 with one rule broken, or none."""

    def norm(n):
        return [nn.BatchNorm2d(n)] if bn else []

    g = nn.Sequential(
        nn.ConvTranspose2d(latent, 2 * width, 4, bias=False), *norm(2 * width), nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), *norm(width), nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1), *[one(channels) for one in last], end(),
    )  # fmt: skip
    d = nn.Sequential(
        *[one(channels) for one in first], nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), *norm(2 * width), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 4), nn.Flatten(0),
    )  # fmt: skip
    for layer in [*g, *d]:
        dcgan.initialise(layer, std)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, gain, 0.02)
    return g, d


def pair_with(**options):
    return lambda *sizes: pair(*sizes, **options)


RIGHT = {
    "4.6": (Painter(), c04.TRAIN_BUDGET),
    "4.7": pair,
    "4.1": lambda i, k, s, p: (conv(i, k, s, p), back(i, k, s, p)),
    "4.2": count,
    "4.3": slerp,
    "4.4": plan,
    "4.5": fold,
}

WRONG = {
    "exchanged sizes": ("4.1", lambda i, k, s, p: (back(i, k, s, p), conv(i, k, s, p)), "exchang"),
    "no + 1": ("4.1", lambda i, k, s, p: (conv(i, k, s, p) - 1, back(i, k, s, p)), "+ 1"),
    "no floor": (
        "4.1",
        lambda i, k, s, p: ((i + 2 * p - k) / s + 1, back(i, k, s, p)),
        "whole number",
    ),
    "always half": ("4.1", lambda i, k, s, p: (i // s, i * s), "kernel 4"),
    "added padding": (
        "4.1",
        lambda i, k, s, p: (conv(i, k, s, p), back(i, k, s, p) + 4 * p),
        "takes away",
    ),
    "one number": ("4.1", lambda i, k, s, p: conv(i, k, s, p), "two things"),
    "no BatchNorm counted": (
        "4.2",
        lambda n, c, z, w: (
            16 * (z * w * n // 8 + c * w)
            + sum(16 * w * 2**i * w * 2 ** (i + 1) for i in range(n.bit_length() - 4)),
            0,
        ),
        "gain and shift",
    ),
    "BatchNorm in D's first layer": (
        "4.2",
        lambda n, c, z, w: (count(n, c, z, w)[0], count(n, c, z, w)[1] + 2 * w),
        "first layer",
    ),
    "exchanged players": ("4.2", lambda *a: count(*a)[::-1], "generator first"),
    "straight line": ("4.3", lambda a, b, t: (1 - t) * a + t * b, "straight line"),
    "turned round": ("4.3", lambda a, b, t: slerp(b, a, t), "exchanged"),
    "right angles": (
        "4.3",
        lambda a, b, t: math.cos(t * math.pi / 2) * a + math.sin(t * math.pi / 2) * b,
        "own angle",
    ),
    "NaN for parallel": ("4.3", naive_slerp, "not finite"),
    "stage too few": ("4.4", lambda n, c=3, z=100, w=64: plan(n // 2, c, z, w), "layers"),
    "backwards": ("4.4", lambda *a: plan(*a)[::-1], "first layer first"),
    "width counted from the front": (
        "4.4",
        lambda n, c=3, z=100, w=64: plan(n, c, z, 2 * w),
        "from the end",
    ),
    "no eps": ("4.5", lambda c, b: fold(c, b, eps=False), "ε"),
    "variance": ("4.5", lambda c, b: fold(c, b, root=False), "root"),
    "wrong axis": ("4.5", lambda c, b: fold(c, b, axis=0), "output"),
    "bias dropped": ("4.5", lambda c, b: fold(c, b, with_bias=False), "dropped"),
    "in place": ("4.5", fold_in_place, "changed"),
    "samples": ("4.6", (torch.zeros(1000, 1, 16, 16), 64), "the generator itself"),
    "nothing shown": ("4.6", (Painter(), 0), "must be positive"),
    "over the budget": ("4.6", (Painter(), c04.TRAIN_BUDGET + 1), "the budget is"),
    "colour": ("4.6", (Painter(lambda x: x.expand(-1, 3, -1, -1)), 64), "shape (1000, 3, 16, 16)"),
    "blown up": ("4.6", (Painter(lambda x: x * float("nan")), 64), "not finite"),
    "no tanh": ("4.6", (Painter(lambda x: (x + 1) / 2), 64), "tanh"),
    "grey": ("4.6", (Painter(lambda x: 0.1 * x - 0.5), 64), "flat"),
    "one picture": ("4.6", (Painter(kinds=1), 64), "collapsed"),
    "weak": ("4.6", (Painter(lambda x: 0.6 * x - 0.1), 64), "Hint 2"),
    "sigmoid": ("4.7", pair_with(end=nn.Sigmoid), "Hint 1"),
    "no end": ("4.7", pair_with(end=nn.Identity), "not bounded"),
    "gains near zero": ("4.7", pair_with(gain=0.0), "Hint 2"),
    "no BatchNorm": ("4.7", pair_with(bn=False), "BatchNorm is gone"),
    "other weights": ("4.7", pair_with(std=0.1), "N(0, 0.02²)"),
    "blind": ("4.7", pair_with(first=[nn.BatchNorm2d]), "Hint 3"),
    "BatchNorm at the end": ("4.7", pair_with(last=[nn.BatchNorm2d]), "at its output"),
    "one network": ("4.7", lambda *a: pair(*a)[0], "things"),
    "not a layer": ("4.5", lambda c, b: nn.Sequential(c, b), "ConvTranspose2d"),
}


@pytest.mark.parametrize("exercise", RIGHT)
def test_right_answers_pass(exercise):
    found = run(exercise, RIGHT[exercise])
    assert found.passed, found


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_get_their_diagnosis(name):
    exercise, answer, part = WRONG[name]
    found = run(exercise, answer)
    assert found.status == "failed"
    assert part in found.message, found


@pytest.mark.parametrize("exercise", RIGHT)
def test_untouched_starters_are_not_started(exercise):
    starters = (lambda *a: ..., lambda *a: (..., ...)) if exercise < "4.3" else (lambda *a: ...,)
    starters = {"4.6": [(..., ...)], "4.7": [...]}.get(exercise, starters)
    for starter in starters:
        assert run(exercise, starter).status == "not started"


def generator():
    """The stored generator that the live figure was exported from."""
    import export_dcgan

    return export_dcgan.stored_generator()


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_the_live_generator_draws_what_torch_draws(tmp_path):
    network = generator()
    z = network.sample_latent(4, torch.Generator().manual_seed(11))
    z[3] = 0
    program = f"""
const live = require({json.dumps(str(LIVE / "dcgan.js"))});
require({json.dumps(str(LIVE / "dcgan-weights.js"))});
const net = live.decode(globalThis.ganlabDcgan);
const zs = {json.dumps(z.tolist())};
console.log(JSON.stringify(zs.map((z) => Array.from(live.generate(net, z)))));
"""
    script = tmp_path / "compare.js"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        ["node", script], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = network(z)
    found = torch.tensor(json.loads(done.stdout)).reshape(expected.shape)
    assert (found - expected).abs().max() < 1e-2


def test_the_live_figure_is_small_and_asks_nobody():
    files = sorted(LIVE.glob("dcgan*"))
    assert {f.name for f in files} >= {"dcgan.js", "dcgan-weights.js", "dcgan.png"}
    assert sum(f.stat().st_size for f in files) < 1_200_000
    text = (LIVE / "dcgan.js").read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "fetch(" not in text


def test_other_sound_pairs_are_mended_too():
    for found in (
        lambda c, z, w: pair(c, z, w, std=0.022),
        lambda c, z, w: (Unflat(dcgan.Generator(16, c, z, w)), dcgan.Discriminator(16, c, w)),
    ):
        assert run("4.7", found).passed, run("4.7", found)


class Unflat(nn.Module):
    """The package's generator, for latents of shape (n, latent, 1, 1)."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z):
        return self.network(z.flatten(1))


def test_the_notebook_states_the_bars_of_the_check():
    text = (ROOT / "book" / "04_dcgan.ipynb").read_text(encoding="utf-8")
    assert f"below {c04.TRAIN_BAR:g}." in text
    assert f"budget of {c04.TRAIN_BUDGET:,}" in text
