"""Objectives against their formulas, their gradients and extreme logits."""

import math

import pytest
import torch

from ganlab.errors import RecipeError
from ganlab.losses import (
    Objective,
    minimax,
    non_saturating,
    objective,
    objective_family,
    objectives,
)

REAL = torch.linspace(-4, 4, 9, dtype=torch.float64)
FAKE = torch.linspace(-3, 5, 9, dtype=torch.float64)


def test_discriminator_loss_is_the_formula():
    p, q = REAL.sigmoid(), FAKE.sigmoid()
    expected = -(p.log().mean() + (1 - q).log().mean())
    for name in ("minimax", "non-saturating"):
        assert torch.allclose(objective(name).d_loss(REAL, FAKE), expected, rtol=1e-12)


def test_generator_losses_are_the_formulas():
    q = FAKE.sigmoid()
    assert torch.allclose(minimax().g_loss(FAKE), (1 - q).log().mean(), rtol=1e-12)
    assert torch.allclose(non_saturating().g_loss(FAKE), -q.log().mean(), rtol=1e-12)


def test_one_sided_smoothing_is_cross_entropy_with_the_target():
    target = 0.9
    p, q = REAL.sigmoid(), FAKE.sigmoid()
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).mean() - (1 - q).log().mean()
    loss = non_saturating(real_target=target).d_loss(REAL, FAKE)
    assert torch.allclose(loss, expected, rtol=1e-12)


def test_smoothing_moves_the_optimum_where_the_formula_says():
    # On equal densities the optimum of D is t/2, not 1/2: minimise numerically.
    a = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([a], max_iter=100, tolerance_grad=1e-12)
    loss_of = non_saturating(real_target=0.8).d_loss

    def closure():
        optimizer.zero_grad()
        loss = loss_of(a, a)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert a.sigmoid().item() == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize("name", objectives())
def test_gradients_agree_with_finite_differences(name):
    chosen = objective(name)
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    assert torch.autograd.gradcheck(chosen.d_loss, (real, fake))
    assert torch.autograd.gradcheck(lambda f: chosen.g_loss(f, REAL), (fake,))


@pytest.mark.parametrize("name", objectives())
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_extreme_logits_stay_finite(name, size):
    chosen = objective(name)
    for sign in (-1, 1):
        real = torch.full((3,), sign * size, requires_grad=True)
        fake = torch.full((3,), -sign * size, requires_grad=True)
        d, g = chosen.d_loss(real, fake), chosen.g_loss(fake, real.detach())
        assert bool(d.isfinite() & g.isfinite())
        (d + g).backward()
        assert bool(real.grad.isfinite().all() and fake.grad.isfinite().all())


def test_saturating_gradient_vanishes_where_the_fake_is_rejected():
    a = torch.tensor([-20.0], requires_grad=True)
    (saturating,) = torch.autograd.grad(minimax().g_loss(a), a)
    (not_saturating,) = torch.autograd.grad(non_saturating().g_loss(a), a)
    assert abs(saturating.item()) == pytest.approx(math.exp(-20), rel=1e-3)
    assert not_saturating.item() == pytest.approx(-1.0, abs=1e-6)


def test_a_new_objective_is_one_definition():
    @objective_family("test-least-squares")
    def least_squares() -> Objective:
        return Objective(lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(),
                         lambda f, r=None: ((f - 1) ** 2).mean())  # fmt: skip

    assert objective("test-least-squares").d_loss(torch.ones(2), torch.zeros(2)).item() == 0
    from ganlab import losses

    del losses._FAMILIES["test-least-squares"]


def test_mistakes_are_named():
    with pytest.raises(RecipeError, match="did you mean 'minimax'"):
        objective("minmax")
    with pytest.raises(RecipeError, match="does not take"):
        objective("minimax", smooth=0.9)
    with pytest.raises(RecipeError, match="real_target"):
        objective("minimax", real_target=1.5)
