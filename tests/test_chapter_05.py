"""Chapter 5: the theorems on R1 in turns and on noise hold away from the chapter's own numbers."""

from __future__ import annotations

import math

import hygiene
import torch
from chapter_kit import notebook, words
from torch.nn.functional import softplus

NAME = "05_dynamics"


def _radius(eta: float, gamma: float, f: float) -> float:
    """Spectral radius of a round in turns of the linear game with R1."""
    d_moves = torch.tensor([[1, 0], [-eta * f, 1 - eta * gamma]], dtype=torch.float64)
    g_moves = torch.tensor([[1, eta * f], [0, 1]], dtype=torch.float64)
    return torch.linalg.eigvals(g_moves @ d_moves).abs().max().item()


def test_r1_in_turns_converges_exactly_below_its_limit() -> None:
    draw = torch.Generator().manual_seed(0)
    for eta, gamma, f in torch.rand(2000, 3, generator=draw, dtype=torch.float64).mul(6).tolist():
        bound = (eta * f) ** 2 + 2 * eta * gamma
        if abs(bound - 4) > 1e-6:
            assert (_radius(eta, gamma, f) < 1) == (bound < 4), (eta, gamma, f)


def test_no_other_weight_is_better_than_the_best() -> None:
    for eta, f in ((0.2, 0.5), (0.7, 1.0), (1.5, 0.5)):
        best = f * (2 - eta * f)
        assert math.isclose(_radius(eta, best, f), 1 - eta * f, abs_tol=1e-6)
        for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
            assert _radius(eta, factor * best, f) > 1 - eta * f


def test_noise_costs_what_the_weighted_penalty_says() -> None:
    """Near the best discriminator: the loss gains var/2 (E[(1-D)² a'²] + E[D² a'²])."""
    x = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    step, std = x[1] - x[0], 0.05

    def normal(mean: float, spread: float) -> torch.Tensor:
        return torch.exp(-((x - mean) ** 2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))

    p, q = normal(-0.5, 1.0), normal(0.5, 1.0)
    a, slope = -x, torch.full_like(x, -1.0)  # the best logit, log p/q, and its derivative
    D = a.sigmoid()

    def loss(p: torch.Tensor, q: torch.Tensor) -> float:
        return ((p * softplus(-a) + q * softplus(a)).sum() * step).item()

    wide = math.sqrt(1 + std**2)  # noise on samples of a normal widens it
    gained = loss(normal(-0.5, wide), normal(0.5, wide)) - loss(p, q)
    penalty = std**2 / 2 * (((1 - D) ** 2 * p + D**2 * q) * slope**2).sum() * step
    assert math.isclose(gained, penalty.item(), rel_tol=0.01)


def test_claims_stay_within_what_was_measured() -> None:
    text = words(NAME)
    assert "not a state but a motion" not in text
    assert "no digit" in text  # a nearest neighbour alone would name noise
    assert "roth2017stabilizing" in text


def test_the_remedy_is_shown_at_both_settings() -> None:
    outputs = hygiene.outputs(notebook(NAME))
    printed = "\n".join(out.text for _, _, out in outputs if out.output_type == "stream")
    for row in ("beta 0.5, R1", "beta 0.9, R1", "instance noise, 1", "both rates / 4"):
        assert row in printed
