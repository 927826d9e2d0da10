"""The live figure of chapter 5 computes what the package computes."""

from __future__ import annotations

import pytest
import torch
from live_kit import LIVE, needs_node, played

from ganlab.losses import objective
from ganlab.penalties import Judged, penalty

SCRIPT = LIVE / "dirac.js"
NAMES = {  # in the figure: (objective, its options, logit at x = 0)
    "minimax": ("minimax", {}, 0.0),
    "non-saturating": ("non-saturating", {}, 0.0),
    "least squares, labels 0, 1, 1": ("least-squares", {"coding": "0-1"}, 0.5),
    "least squares, labels −1, 1, 0": ("least-squares", {"coding": "-1-1-0"}, 0.0),
    "Wasserstein": ("wasserstein", {}, 0.0),
    "hinge": ("hinge", {}, 0.0),
    "relativistic": ("relativistic", {}, 0.0),
    "relativistic average": ("relativistic-average", {}, 0.0),
}
PLACES = [(0.7, -1.3), (-1.1, 0.4), (2.0, 1.5)]
STRENGTH = 0.7
PROGRAM = """
eval(require("fs").readFileSync(process.argv[1], "utf8"));
const live = globalThis.diracLive, [places, strength] = JSON.parse(process.argv[2]), found = {};
for (const objective of Object.keys(live.OBJECTIVES)) {
  found[objective] = {};
  for (const remedy of [null, "r1", "gp", "lp"]) {
    const game = { objective, remedy, strength, eta: 0.2, momentum: 0, rule: 0 };
    found[objective][remedy] = {
      fields: places.map(([theta, psi]) => live.field(game, theta, psi)),
      radius: live.radius(game), wild: live.radius({ ...game, rule: 1 }) };
  }
}
console.log(JSON.stringify(found));
"""

pytestmark = needs_node


@pytest.fixture(scope="module")
def live() -> dict:
    return played(PROGRAM, SCRIPT, [PLACES, STRENGTH])


class Line(torch.nn.Module):
    def __init__(self, slope: torch.Tensor, offset: float) -> None:
        super().__init__()
        self.slope, self.offset = slope, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.slope * x + self.offset).squeeze(1)


def field(name: str, remedy: str | None, place: tuple[float, float]) -> list[float]:
    """Minus each player's gradient, from the package's losses and penalties."""
    family, options, offset = NAMES[name]
    goal = objective(family, **options)
    w = torch.tensor(place, dtype=torch.float64, requires_grad=True)
    real = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)
    network, fake = Line(w[1], offset), w[0].expand(2, 1)
    a_real, a_fake = network(real), network(fake)
    d_loss = goal.d_loss(a_real, a_fake)
    if remedy:
        judged = Judged(network, real, fake, a_real, a_fake)
        d_loss = d_loss + penalty(remedy, STRENGTH)(judged)
    (g,) = torch.autograd.grad(goal.g_loss(a_fake, a_real), w, retain_graph=True)
    (d,) = torch.autograd.grad(d_loss, w)
    return [-g[0].item(), -d[1].item()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("remedy", [None, "r1", "gp", "lp"])
def test_the_figure_follows_the_package(live: dict, name: str, remedy: str | None) -> None:
    found = live[name][str(remedy).replace("None", "null")]["fields"]
    expected = [field(name, remedy, place) for place in PLACES]
    assert torch.allclose(torch.tensor(found), torch.tensor(expected), atol=1e-6)


def test_the_figure_offers_every_objective(live: dict) -> None:
    assert set(live) == set(NAMES)


def test_radii_are_those_of_the_theory(live: dict) -> None:
    plain, damped = live["Wasserstein"]["null"], live["Wasserstein"]["r1"]
    assert plain["radius"] == pytest.approx(1, abs=1e-6)
    assert plain["wild"] == pytest.approx(1.04**0.5, abs=1e-6)
    assert damped["wild"] == pytest.approx((1 - 0.2 * STRENGTH + 0.04) ** 0.5, abs=1e-6)
    assert damped["radius"] < 1
