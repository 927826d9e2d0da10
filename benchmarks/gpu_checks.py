"""The checks of `gpu.py`: what must hold on a GPU, each a small function without pytest.

A check is a function of a `Setup` that returns a `Verdict`: the largest difference that it
measured and what it may be. Differences are relative to the largest value of what is compared.
`CHECKS` names them, in order of worth.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_kit import CPU, SGD, Setup, Verdict, apart, exact, game_of, moved, pictures, two_rounds
from torch import nn

from ganlab import runs
from ganlab.data import Stream, load, toy
from ganlab.game import WholeStep
from ganlab.models import Fir, drawn
from ganlab.models.modulation import modulated
from ganlab.recipes import RECIPES, build
from ganlab.training import Trainer


def cpu_and_device(s: Setup) -> Verdict:
    """A round of DCGAN on the device moves the weights as on the CPU."""
    plan = s.plan(**SGD)
    return two_rounds(game_of(plan, CPU), game_of(plan, s.device), 2e-3, "weight steps and losses")


def penalised_cpu_and_device(s: Setup) -> Verdict:
    """The same of a game with R1 and R2."""
    plan = s.plan("modern-glyphs", **SGD)
    return two_rounds(game_of(plan, CPU), game_of(plan, s.device), 5e-3, "weight steps and losses")


def bf16(s: Setup) -> Verdict:
    """A bf16 round is finite, and its losses are near those of fp32."""
    plain = moved(*game_of(s.plan(**SGD), s.device))[1]
    half = moved(*game_of(s.plan(precision="bf16", **SGD), s.device))[1]
    return Verdict(apart(plain, half), 0.05, "losses")


def channels_last(s: Setup) -> Verdict:
    """The memory format changes no result."""
    one = game_of(s.plan(**SGD), s.device)
    other = game_of(s.plan(channels_last=True, **SGD), s.device)
    return two_rounds(one, other, 2e-3, "weight steps and losses")


def compiled(s: Setup) -> Verdict:
    """DCGAN's networks compiled are the same functions."""
    plan = s.plan(**SGD)
    one, other = game_of(plan, s.device), game_of(plan, s.device)
    for player in other[0].players:
        player.network.compile(backend=s.backend)
    return two_rounds(one, other, 2e-3, f"weight steps and losses, {s.backend}")


def compiled_whole(s: Setup) -> Verdict:
    """A penalised D step compiled as one graph is the eager one."""
    plan = s.plan("modern-glyphs", **SGD)
    one, other = game_of(plan, s.device), game_of(plan, s.device)
    game = other[0]
    game.whole = WholeStep(game.discriminator.network, game.objective, game.penalties, s.backend)
    return two_rounds(one, other, 2e-3, f"weight steps and losses, {s.backend}")


def resume(s: Setup) -> Verdict:
    """A run that is broken off and resumed has the same bits in the end."""
    plan = s.plan("stylegan2-glyphs", size=16, half_life=500.0, batch=8)
    states = []
    for stops in ((4,), (2, 4)):
        with tempfile.TemporaryDirectory() as folder:
            for i, steps in enumerate(stops):
                torch.manual_seed(3)  # a new process starts with another state than the old had
                game, stream = build(plan, pictures(plan), s.device)
                trainer = Trainer(Path(folder), 2, 0, 0, ideal=False)
                trainer.fit(game, stream, steps, resume=i > 0)
            states.append([x for p in game.players for x in p.network.state_dict().values()])
            states[-1] += list(game.generator.best.state_dict().values())
    return Verdict(apart(*states), 0.0, "all weights of StyleGAN2 and its average, bit by bit")


def fused_adam(s: Setup) -> Verdict:
    """Fused Adam takes Adam's steps."""
    found = []
    for fused in (False, True):
        torch.manual_seed(0)
        w = nn.Parameter(torch.randn(64, 64).to(s.device))
        adam = torch.optim.Adam([w], 1e-2, (0.5, 0.999), fused=fused)
        for i in range(20):
            w.grad = torch.randn(64, 64, generator=torch.Generator().manual_seed(i)).to(s.device)
            adam.step()
        found.append(w)
    return Verdict(apart(*found), 1e-5, "weights after 20 steps")


def modulation(s: Setup) -> Verdict:
    """The two forms of StyleGAN2's modulated convolution, and their gradients, are one."""
    draw = torch.Generator().manual_seed(0)
    x, w = torch.randn(4, 16, 8, 8, generator=draw), torch.randn(8, 16, 3, 3, generator=draw)
    style = torch.randn(4, 16, generator=draw)
    results = []
    for form in ("scale", "grouped"):
        parts = [t.to(s.device).requires_grad_() for t in (x, w, style)]
        y = modulated(parts[0], parts[1], parts[2], form=form)
        results.append([y, *torch.autograd.grad(y.square().mean(), parts)])
    return Verdict(apart(*results), 1e-3, "result and three gradients")


def upfirdn(s: Setup) -> Verdict:
    """Filtered resampling, its gradient and the gradient's own are those of the CPU in fp64."""
    worst = 0.0
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    for options in ({"up": 2, "pad": (2, 1)}, {"down": 2, "pad": (1, 1)}, {"pad": (2, 2)}):
        results = []
        for like in (x.double(), x.to(s.device)):
            fir = Fir(**options).to(like.device)
            like = like.clone().requires_grad_()
            y = fir(like)
            first = torch.autograd.grad(y.pow(3).sum(), like, create_graph=True)[0]
            results.append([y, first, torch.autograd.grad(first.square().sum(), like)[0]])
        worst = max(worst, *(apart(a, b) for a, b in zip(*results, strict=True)))
    return Verdict(worst, 1e-4, "three filters, derivatives 0 to 2")


def r1(s: Setup) -> Verdict:
    """R1 merged into D's pass has the gradient of R1 written out by hand on the CPU."""
    plan = s.plan("modern-glyphs", penalties={"r1": 1.0, "r2": None})
    results = []
    for device in (CPU, s.device):
        game, stream = game_of(plan, device)
        real, network = next(stream), game.discriminator.network.train()
        real = getattr(real, "images", real)
        if device is CPU:
            x = real.clone().requires_grad_()
            slope = torch.autograd.grad(network(x).sum(), x, create_graph=True)[0]
            term = 0.5 * slope.flatten(1).square().sum(1).mean()
        else:
            due = list(game.penalties)
            judged = game.judge(real, real.flip(0), due)
            term = due[0](judged)
        grads = torch.autograd.grad(term, list(network.parameters()), allow_unused=True)
        results.append([g if g is not None else torch.zeros(1) for g in grads])
    ratio = float(results[1][0].norm() / results[0][0].norm())
    gap = apart([g / g.norm().clamp_min(1e-12) for g in results[0]],
                [g / g.norm().clamp_min(1e-12) for g in results[1]])  # fmt: skip
    return Verdict(gap, 5e-3, f"directions of D's gradients; factor of weight {ratio:.4f}")


def published(s: Setup) -> Verdict:
    """A stored generator draws on the device what it draws on the CPU."""
    names = ("dcgan-glyphs-color", "stylegan2-glyphs-64")
    worst = 0.0
    for name in names[: 1 if s.tiny else 2]:
        g: Any = runs.load(name)
        fixed = {"noise": "fixed"} if "stylegan" in name else {}
        z = g.sample_latent(8, torch.Generator().manual_seed(0))
        with torch.no_grad():
            worst = max(worst, apart(g(z, **fixed), g.to(s.device)(z.to(s.device), **fixed)))
    seen = torch.cat(list(drawn(runs.load(names[0]), 4, 1)))
    again = torch.cat(list(drawn(runs.load(names[0]), 4, 1)))
    return Verdict(max(worst, apart(seen, again)), 2e-3, "pictures of " + ", ".join(names))


def labelled_stream(s: Setup) -> Verdict:
    """Pictures and classes that lie on the device come in the order of the CPU's."""
    data = load("glyphs", size=16, limit=100)
    streams = [Stream(data, 16, d, 5, flip=True, labelled=True) for d in (CPU, s.device)]
    gaps = []
    for _ in range(8):
        (x, y), (u, v) = (tuple(next(one))[:2] for one in streams)
        gaps += [apart(x, u), apart(y, v)]
    on = {str(tuple(next(one))[1].device.type) for one in streams[1:]}
    return Verdict(max(gaps), 1e-6, f"8 batches over an epoch's end; labels on {', '.join(on)}")


def streams_resume(s: Setup) -> Verdict:
    """Two streams that are saved in the middle of an epoch go on with the same batches."""
    data = load("glyphs", size=16, limit=100)
    worst = 0.0
    for seed in (0, 1):
        one, other = (Stream(data, 16, s.device, seed, flip=True) for _ in range(2))
        for _ in range(3):
            next(one)
        other.load_state_dict(one.state_dict())
        for _ in range(8):
            a, b = next(one), next(other)
            worst = max(worst, apart(getattr(a, "images", a), getattr(b, "images", b)))
    return Verdict(worst, 0.0, "8 batches each")


def families(s: Setup) -> Verdict:
    """A round of every family of networks, of ADA, of classes and of one player is finite."""
    names = ["mlp-ring", "sngan-resnet-cifar10", "progan-glyphs", "stylegan-glyphs",
             "stylegan2-glyphs", "stylegan2-mnist-classes", "wgan-gp-glyphs", "wgan-glyphs",
             "stylegan2-emoji-ada", "vae-glyphs", "classifier-glyphs"]  # fmt: skip
    bad = []
    for name in names[:: 4 if s.tiny else 1]:
        plan = RECIPES[name].with_(batch=8)
        if not plan.points and not plan.data.startswith("glyphs"):
            digits = {"characters": "0123456789"} if plan.classes else {}
            data = "glyphs" if plan.channels == 1 else "glyphs-color"
            plan = plan.with_(data=data, size=32).with_(data_options=digits)
        bad += [name for value in _played(plan, s) if not value]
    return Verdict(float(len(bad)), 0.0, "not finite: " + ", ".join(bad) if bad else "all finite")


def _played(plan: Any, s: Setup) -> list[bool]:
    if plan.points:
        data: Any = toy.make(plan.data)
    else:
        data = load(plan.data, size=plan.size, channels=plan.channels, limit=64,
                    **plan.data_options)  # fmt: skip
    game, stream = build(plan, data, s.device)
    report = [game.round(stream) for _ in range(2)][-1]
    return [bool(torch.isfinite(torch.as_tensor(v)).all()) for v in report.values()]


CHECKS: dict[str, Callable[[Setup], Verdict]] = {
    f.__name__.replace("_", "-"): f
    for f in (
        cpu_and_device, penalised_cpu_and_device, resume, families, bf16, channels_last,
        fused_adam, modulation, upfirdn, r1, published, labelled_stream, streams_resume,
        compiled, compiled_whole,
    )
}  # fmt: skip
#: Seconds on a GPU, to plan with; others take `USUAL`.
COST = {"families": 25.0, "compiled": 60.0, "compiled-whole": 60.0, "resume": 10.0}
USUAL = 5.0


def run(name: str, setup: Setup) -> dict[str, Any]:
    """One check without TF32 and with reproducible kernels, as plain data."""
    with exact(setup.device):
        return CHECKS[name](setup).record() | {"about": CHECKS[name].__doc__}
