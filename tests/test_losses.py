"""Objectives against their formulas, their gradients, their optimum and extreme logits."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from ganlab.errors import RecipeError
from ganlab.losses import (
    Objective,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    objective,
    objective_family,
    objectives,
    relativistic,
    relativistic_average,
    wasserstein,
)

# Off the corners of the hinge, where finite differences would straddle them.
REAL = torch.linspace(-4, 4, 9, dtype=torch.float64) + 0.1
FAKE = torch.linspace(-3, 5, 9, dtype=torch.float64) + 0.1

# A pair of densities on five points, both positive everywhere.
P = torch.tensor([0.05, 0.10, 0.15, 0.30, 0.40], dtype=torch.float64)
Q = torch.tensor([0.30, 0.25, 0.20, 0.15, 0.10], dtype=torch.float64)


def close(a, b):
    return torch.allclose(a, b, rtol=1e-12, atol=1e-12)


def test_discriminator_loss_is_the_formula():
    p, q = REAL.sigmoid(), FAKE.sigmoid()
    expected = -(p.log().mean() + (1 - q).log().mean())
    for name in ("minimax", "non-saturating"):
        assert close(objective(name).d_loss(REAL, FAKE), expected)


def test_generator_losses_are_the_formulas():
    q = FAKE.sigmoid()
    assert close(minimax().g_loss(FAKE), (1 - q).log().mean())
    assert close(non_saturating().g_loss(FAKE), -q.log().mean())


@pytest.mark.parametrize(("coding", "labels"), [("0-1", (0, 1, 1)), ("-1-1-0", (-1, 1, 0))])
def test_least_squares_is_the_formula(coding, labels):
    a, b, c = labels
    chosen, n = least_squares(coding), len(REAL)
    d = sum((x - b) ** 2 for x in REAL.tolist()) + sum((x - a) ** 2 for x in FAKE.tolist())
    assert chosen.d_loss(REAL, FAKE).item() == pytest.approx(d / (2 * n), rel=1e-12)
    g = sum((x - c) ** 2 for x in FAKE.tolist())
    assert chosen.g_loss(FAKE).item() == pytest.approx(g / (2 * n), rel=1e-12)


def test_least_squares_with_symmetric_labels_measures_pearson_chi_squared():
    # With the optimal D, G's loss over data and generated samples alike is half of it.
    best = least_squares("-1-1-0").optimum(P, Q)
    value = (P * best**2 + Q * best**2).sum()
    chi_squared = ((2 * Q - (P + Q)) ** 2 / (P + Q)).sum()
    assert value.item() == pytest.approx(chi_squared.item(), rel=1e-12)


def test_wasserstein_is_the_formula_and_its_gradient_constant():
    chosen = wasserstein()
    gaps = [f - r for r, f in zip(REAL.tolist(), FAKE.tolist(), strict=True)]
    assert chosen.d_loss(REAL, FAKE).item() == pytest.approx(sum(gaps) / len(gaps), rel=1e-12)
    fake = FAKE.clone().requires_grad_()
    chosen.g_loss(fake).backward()
    assert close(fake.grad, torch.full_like(fake, -1 / len(fake)))


def test_hinge_is_the_formula_and_leaves_the_right_ones_alone():
    chosen, n = hinge(), len(REAL)
    d = sum(max(0, 1 - r) for r in REAL.tolist()) + sum(max(0, 1 + f) for f in FAKE.tolist())
    assert chosen.d_loss(REAL, FAKE).item() == pytest.approx(d / n, rel=1e-12)
    assert close(chosen.g_loss(FAKE), -FAKE.mean())
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    chosen.d_loss(real, fake).backward()
    assert torch.equal(real.grad == 0, REAL > 1)
    assert torch.equal(fake.grad == 0, FAKE < -1)


def test_relativistic_is_the_formula_over_pairs():
    chosen = relativistic()
    assert close(chosen.d_loss(REAL, FAKE), -logsigmoid(REAL - FAKE).mean())
    assert close(chosen.g_loss(FAKE, REAL), -logsigmoid(FAKE - REAL).mean())
    # Pairs, not all combinations: the order of one side matters.
    assert not close(chosen.d_loss(REAL, FAKE.flip(0)), chosen.d_loss(REAL, FAKE))


def test_relativistic_average_is_the_formula():
    chosen = relativistic_average()
    one, nil = torch.ones_like(REAL), torch.zeros_like(REAL)
    cross_entropy = binary_cross_entropy_with_logits
    r, f = REAL - FAKE.mean(), FAKE - REAL.mean()
    assert close(chosen.d_loss(REAL, FAKE), cross_entropy(r, one) + cross_entropy(f, nil))
    assert close(chosen.g_loss(FAKE, REAL), cross_entropy(r, nil) + cross_entropy(f, one))


@pytest.mark.parametrize("name", ["relativistic", "relativistic-average"])
def test_relativistic_losses_mirror_each_other_and_ignore_a_shift(name):
    chosen = objective(name)
    assert chosen.needs_real
    assert close(chosen.g_loss(FAKE, REAL), chosen.d_loss(FAKE, REAL))
    assert close(chosen.d_loss(REAL + 7, FAKE + 7), chosen.d_loss(REAL, FAKE))


def test_one_sided_smoothing_is_cross_entropy_with_the_target():
    target = 0.9
    p, q = REAL.sigmoid(), FAKE.sigmoid()
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).mean() - (1 - q).log().mean()
    loss = non_saturating(real_target=target).d_loss(REAL, FAKE)
    assert close(loss, expected)


def expand(p, q, scale=20):
    """Indices of samples whose shares are exactly the densities, in all combinations."""
    i = torch.arange(len(p)).repeat_interleave((p * scale).round().long())
    j = torch.arange(len(q)).repeat_interleave((q * scale).round().long())
    return i.repeat_interleave(len(j)), j.repeat(len(i))


def minimise(d_loss):
    """The logits on five points that minimise the loss, found numerically."""
    i, j = expand(P, Q)
    a = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    # The hinge has corners: plain descent with shrinking steps ends on them as well.
    optimizer = torch.optim.SGD([a], lr=1.0)
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 3.0 * (1 - step / 1500) ** 2
        optimizer.zero_grad()
        d_loss(a[i], a[j]).backward()
        optimizer.step()
    return a.detach()


OPTIMA = [
    (minimax, {}),
    (non_saturating, {}),
    (non_saturating, {"real_target": 0.8}),
    (least_squares, {"coding": "0-1"}),
    (least_squares, {"coding": "-1-1-0"}),
    (hinge, {}),
    (relativistic, {}),
]


@pytest.mark.parametrize(("build", "options"), OPTIMA)
def test_the_optimum_minimises_the_discriminators_loss(build, options):
    chosen = build(**options)
    found, stated = minimise(chosen.d_loss), chosen.optimum(P, Q)
    if chosen.needs_real:  # up to a constant
        found, stated = found - found.mean(), stated - stated.mean()
    assert torch.allclose(found, stated, atol=2e-3), (found, stated)


def test_the_average_form_has_no_pointwise_optimum():
    found = minimise(relativistic_average().d_loss)
    ratio = P.log() - Q.log()
    assert (found - found.mean() - ratio + ratio.mean()).abs().max() > 0.05
    assert relativistic_average().optimum is None
    assert wasserstein().optimum is None  # unbounded without a constraint


def test_smoothing_moves_the_optimum_where_the_formula_says():
    # On equal densities the optimum of D is t/2, not 1/2.
    half = torch.tensor(0.5)
    best = non_saturating(real_target=0.8).optimum(half, half)
    assert best.sigmoid().item() == pytest.approx(0.4, abs=1e-6)


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


@pytest.mark.parametrize("name", objectives())
def test_many_games_at_once_under_vmap(name):
    chosen = objective(name)
    real, fake = torch.randn(4, 6), torch.randn(4, 6)
    for loss, pair in ((chosen.d_loss, (real, fake)), (chosen.g_loss, (fake, real))):
        together = torch.func.vmap(torch.func.grad(loss))(*pair)
        alone = torch.stack([torch.func.grad(loss)(*row) for row in zip(*pair, strict=True)])
        assert torch.allclose(together, alone, atol=1e-6)


def test_saturating_gradient_vanishes_where_the_fake_is_rejected():
    def slope(chosen):
        a, real = torch.tensor([-20.0], requires_grad=True), torch.zeros(1)
        return torch.autograd.grad(chosen.g_loss(a, real), a)[0].item()

    assert abs(slope(minimax())) == pytest.approx(math.exp(-20), rel=1e-3)
    for strong in (non_saturating(), wasserstein(), hinge(), relativistic()):
        assert slope(strong) == pytest.approx(-1.0, abs=1e-6)
    assert slope(least_squares()) == pytest.approx(-21.0)


def test_every_objective_names_its_paper(root):
    entries = (root / "book" / "references.bib").read_text(encoding="utf-8")
    for name in objectives():
        chosen = objective(name)
        assert chosen.name == name
        assert f"{{{chosen.paper}," in entries


def test_a_new_objective_is_one_definition():
    @objective_family("test-quadratic")
    def quadratic() -> Objective:
        return Objective(lambda r, f: (r**2 / 2 - r).mean() + (f**2 / 2 + f).mean(),
                         lambda f, r=None: -f.mean(),
                         optimum=lambda p, q: (p - q) / (p + q))  # fmt: skip

    built = objective("test-quadratic")
    assert built.d_loss(torch.ones(2), -torch.ones(2)).item() == -1
    assert torch.allclose(minimise(built.d_loss), built.optimum(P, Q), atol=2e-3)
    from ganlab import losses

    del losses._FAMILIES["test-quadratic"]


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("minmax", {}, "did you mean 'minimax'"),
        ("minimax", {"smooth": 0.9}, "does not take"),
        ("minimax", {"real_target": 1.5}, "real_target"),
        ("least-squares", {"coding": "0-2"}, "unknown coding '0-2'"),
        ("hinge", {"margin": 2}, "does not take"),
    ],
)
def test_mistakes_are_named_in_one_line(name, options, text):
    with pytest.raises(RecipeError, match=text) as caught:
        objective(name, **options)
    assert "\n" not in str(caught.value)
