"""ADA's p finds out how few the pictures are: the discriminator learns, the rest is arranged."""

import torch
from torch import nn
from torch.nn.functional import softplus

from ganlab.augment import Ada, AdaptiveP
from ganlab.data import load


def play(count: int, steps: int = 400, batch: int = 32) -> tuple[float, list[float]]:
    """p and the r's after D has told `count` glyphs from endless others of the same kind.

    The generator is perfect: it draws glyphs that nobody has seen. So all that D can know of a
    real picture is that it has met it before.
    """
    few = load("glyphs", size=16, count=count)
    others = load("glyphs", size=16, count=steps * batch, seed=1)
    torch.manual_seed(0)
    wide = nn.Linear(256, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 1)
    d = nn.Sequential(nn.Flatten(), *wide)
    ada = AdaptiveP(Ada("bg"), length=8000)
    adam = torch.optim.Adam(d.parameters(), 1e-3)
    draw, rs = torch.Generator().manual_seed(0), []
    for step in range(steps):
        real = few.batch(torch.randint(0, count, (batch,), generator=draw))
        fake = others.batch(torch.arange(step * batch, (step + 1) * batch))
        a_real, a_fake = d(torch.cat([ada(real), ada(fake)])).flatten().chunk(2)
        loss = softplus(-a_real).mean() + softplus(a_fake).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        ada.update(a_real)
        rs.append(float(ada.r))
    return float(ada.ada.p), rs


def test_p_rises_on_a_hundred_pictures():
    p, rs = play(100)
    assert sum(rs[-100:]) / 100 > 0.4  # D knows them by heart, and p holds it back
    assert p > 0.04


def test_p_stays_near_nought_on_plenty():
    p, rs = play(12_800)
    assert p < 0.01
    assert abs(sum(rs[-100:])) / 100 < 0.35
