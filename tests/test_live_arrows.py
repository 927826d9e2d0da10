"""The live figure of chapter 3 plays the game that the chapter plays, and its arrows are slopes."""

from __future__ import annotations

import pytest
import torch
from live_kit import LIVE, needs_node, played
from torch import Tensor, nn
from torch.nn.functional import softplus

ROUNDS = 3
PROGRAM = """
const live = require(process.argv[1]), kit = require(process.argv[2]);
const game = live.start(5), list = (a) => Array.from(a), rng = kit.random(6);
const weights = (net) => net.map((l) => [list(l.weight), list(l.bias)]);
const found = { before: [weights(game.G), weights(game.D)], batches: [] };
for (let k = 0; k < Number(process.argv[3]); k++) {
  const x = live.real(rng, 16), z = live.noise(rng, 16), w = live.noise(rng, 16);
  found.batches.push([x, z, w].map(list));
  live.dStep(game, x, z);
  live.gStep(game, w);
}
found.after = [weights(game.G), weights(game.D)];
const points = live.real(rng, 20);
found.points = list(points);
for (const kind of ["D", "loss"]) {
  const { d, arrows } = live.slopes(game, points, kind);
  found[kind] = [list(d), list(arrows)];
}
found.score = live.score(live.real(kit.random(1), 4000));
found.nothing = live.score(new Float64Array(20));
console.log(JSON.stringify(found));
"""

pytestmark = needs_node


@pytest.fixture(scope="module")
def live() -> dict:
    return played(PROGRAM, LIVE / "arrows.js", LIVE / "kit.js", ROUNDS)


def network(layers: list) -> nn.Sequential:
    """Linear layers with LeakyReLU between them, from the page's weights."""
    made: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(len(weight) // len(bias), len(bias)).double()
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight).view_as(linear.weight))
            linear.bias.copy_(torch.tensor(bias))
        made += [linear, nn.LeakyReLU(0.2)]
    return nn.Sequential(*made[:-1])


def flat(layers: list) -> Tensor:
    return torch.cat([torch.tensor(part, dtype=torch.float64) for row in layers for part in row])


def pairs(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 2)


def test_rounds_are_those_of_torch(live: dict) -> None:
    G, D = map(network, live["before"])
    adam_g = torch.optim.Adam(G.parameters(), 2e-3, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(D.parameters(), 2e-3, betas=(0.5, 0.999))
    for x, z, w in (map(pairs, batch) for batch in live["batches"]):
        d_loss = softplus(-D(x)).mean() + softplus(D(G(z).detach())).mean()
        adam_d.zero_grad()
        d_loss.backward()
        adam_d.step()
        g_loss = softplus(-D(G(w))).mean()
        adam_g.zero_grad()
        g_loss.backward()
        adam_g.step()
    for net, found, before in zip((G, D), live["after"], live["before"]):
        expected = torch.cat([p.detach().flatten() for p in net.parameters()])
        assert torch.allclose(flat(found), expected, atol=1e-6)
        assert (flat(found) - flat(before)).abs().max() > 1e-3  # it did move


@pytest.mark.parametrize("kind", ["D", "loss"])
def test_arrows_are_the_slopes(live: dict, kind: str) -> None:
    D, x = network(live["after"][1]), pairs(live["points"]).requires_grad_()
    a = D(x)
    goal = torch.sigmoid(a) if kind == "D" else -softplus(-a)
    (slope,) = torch.autograd.grad(goal.sum(), x)
    d, arrows = live[kind]
    assert torch.allclose(torch.tensor(d, dtype=torch.float64), torch.sigmoid(a)[:, 0])
    assert torch.allclose(pairs(arrows), slope)


def test_the_score_counts_modes(live: dict) -> None:
    assert live["score"]["found"] == 8
    assert live["score"]["good"] == pytest.approx(1 - 2.718281828**-4.5, abs=0.01)
    assert live["nothing"] == {"found": 0, "good": 0}


def test_the_figure_asks_nobody_and_stands_in_the_chapter() -> None:
    script = (LIVE / "arrows.js").read_text(encoding="utf-8")
    assert "http" not in script
    assert "fetch(" not in script
    chapter = (LIVE.parents[1] / "03_first_gan.ipynb").read_text(encoding="utf-8")
    for name in ("arrows-live", "arrows.js", "arrows.png", "noscript"):
        assert name in chapter
    assert (LIVE / "arrows.png").stat().st_size < 100_000
