"""Penalties against closed forms, hand-written autograd and their own functional form."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ganlab.errors import RecipeError
from ganlab.losses import objective
from ganlab.models import dcgan
from ganlab.penalties import (
    GradientPenalty,
    Judged,
    functional_loss,
    gradient_norm,
    penalties,
    penalty,
    penalty_family,
)
from tests.penalty_kit import Linear, Small, by_hand, judge, pictures, weight_gradients

SHAPES = [(1,), (2,), (3, 4, 5)]
AT_A_SLOPE = {  # value of the penalty where every gradient has norm s, weight 3
    "gp": lambda s: 3 * (s - 1) ** 2,
    "lp": lambda s: 3 * max(0.0, s - 1) ** 2,
    "gp0": lambda s: 3 * s**2,
    "dragan": lambda s: 3 * (s - 1) ** 2,
    "r1": lambda s: 3 / 2 * s**2,
    "r2": lambda s: 3 / 2 * s**2,
}


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slope", [0.25, 3.0])
@pytest.mark.parametrize("name", AT_A_SLOPE)
def test_a_linear_critic_has_the_norm_of_its_weight(name, slope, shape):
    network = Linear(shape, slope)
    judged = judge(network, *torch.randn(2, 7, *shape, dtype=torch.float64))
    value = penalty(name, weight=3)(judged)
    assert value.item() == pytest.approx(AT_A_SLOPE[name](slope), rel=1e-12, abs=1e-12)
    # d/dw of f(|w|) is f'(|w|) w/|w|: the second derivative arrives at the weights.
    (got,) = weight_gradients(value, network)
    h = 1e-6
    f = AT_A_SLOPE[name]
    derivative = (f(slope + h) - f(slope - h)) / (2 * h)
    assert torch.allclose(got, derivative * network.w / slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_norm_is_per_sample_and_over_all_of_its_dimensions(shape):
    # D(x) = s_i |x_i| has slopes that differ from sample to sample.
    slopes = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)

    class Cones(nn.Module):
        def forward(self, x):
            return slopes * x.flatten(1).norm(dim=1)

    judged = judge(Cones(), *torch.randn(2, 3, *shape, dtype=torch.float64))
    right = ((slopes - 1) ** 2).mean().item()
    g = judged.gradient("real")
    assert torch.allclose(gradient_norm(g), slopes)
    assert penalty("gp", weight=1)(judged).item() == pytest.approx(right, rel=1e-9)
    # The two usual mistakes give something else here: over the whole batch, over channels.
    assert (g.norm() - 1).square().item() != pytest.approx(right, rel=0.05)
    if len(shape) > 1:
        assert (g.norm(dim=1) - 1).square().mean().item() != pytest.approx(right, rel=0.05)


def test_zero_gradient_gives_no_nan():
    for name in AT_A_SLOPE:
        network = Linear((2,), 1.0)
        with torch.no_grad():
            network.w.zero_()
        value = penalty(name, weight=1)(judge(network, *torch.randn(2, 4, 2).double()))
        assert value.item() == (1.0 if name in ("gp", "dragan") else 0.0)
        (got,) = weight_gradients(value, network)
        assert torch.equal(got, torch.zeros_like(got))


# ---------------------------------------------------------------- hand-written autograd


@pytest.mark.parametrize("name", AT_A_SLOPE)
def test_equal_to_autograd_written_out_on_a_small_network(name):
    network = Small().double()
    real, fake = pictures()
    torch.manual_seed(1)
    value = penalty(name, weight=3)(judge(network, real, fake))
    torch.manual_seed(1)
    if name in ("gp", "lp", "gp0"):
        e = torch.rand(6, dtype=torch.float64).view(6, 1, 1, 1)
        x = e * real + (1 - e) * fake
    elif name == "dragan":
        x = real + 0.5 * real.std() * torch.randn_like(real)
    else:
        x = real if name == "r1" else fake

    def of(s):
        if name in ("gp", "dragan"):
            return 3 * (s - 1) ** 2
        if name == "lp":
            return 3 * torch.relu(s - 1) ** 2
        return (3 if name == "gp0" else 1.5) * s**2

    expected = by_hand(network, x, of)
    assert torch.allclose(value, expected, rtol=1e-10)
    pairs = zip(weight_gradients(value, network), weight_gradients(expected, network), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-12) for a, b in pairs)


@pytest.mark.parametrize("name", ["gp", "r1"])
def test_weight_gradient_agrees_with_finite_differences(name):
    network = Small().double()
    real, fake = pictures(3)

    def value(w):
        pure = functional_loss(network, objective("wasserstein"), [penalty(name)])
        params = dict(network.named_parameters()) | {"conv.weight": w}
        return pure(params, {}, real, fake, torch.tensor([0.1, 0.5, 0.8]))[0]

    w = network.conv.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(value, (w,), fast_mode=True)


def test_interpolates_lie_between_with_one_coefficient_per_sample():
    real, fake = torch.zeros(200, 2, 3, 3), torch.ones(200, 2, 3, 3)
    x = penalty("gp").points(real, fake)
    per_sample = x.flatten(1)
    assert torch.equal(per_sample.min(1).values, per_sample.max(1).values)
    e = per_sample[:, 0]
    assert 0 <= e.min() < 0.05
    assert 0.95 < e.max() <= 1
    assert e.mean().item() == pytest.approx(0.5, abs=0.1)
    assert torch.equal(penalty("gp").points(real, fake, torch.ones(200)), real)


def test_dragan_looks_around_the_data():
    real = 3 + 2 * torch.randn(5000, 2)
    offset = penalty("dragan", spread=0.25).points(real, torch.zeros_like(real)) - real
    assert offset.mean().abs() < 0.02  # centred, so that nothing is moved as a whole
    assert offset.std().item() == pytest.approx(0.25 * real.std().item(), rel=0.03)
    assert offset[:, 0].dot(offset[:, 1]).abs() / len(real) < 0.02  # each dimension its own


# ---------------------------------------------------------------- laziness, passes, cost


@pytest.mark.parametrize("name", ["gp", "r1", "consistency"])
def test_a_lazy_penalty_is_as_much_stronger_as_it_is_rarer(name):
    judged = judge(Small().double(), *pictures())
    torch.manual_seed(2)
    always = penalty(name, weight=0.5)(judged)
    lazy = penalty(name, weight=0.5, every=16)
    torch.manual_seed(2)
    assert torch.allclose(lazy(judged), 16 * always)
    assert [step for step in range(40) if lazy.due(step)] == [0, 16, 32]


@pytest.mark.parametrize(
    ("name", "extra"), [("r1", 0), ("r2", 0), ("gp", 1), ("dragan", 1), ("consistency", 1)]
)
def test_passes_beyond_those_of_the_loss(name, extra):
    # What a pass changes (BatchNorm's averages, power iterations) changes so often only.
    network = Small().double()
    judged = judge(network, *pictures())
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    penalty(name)(judged)
    assert len(calls) == extra


def test_the_gradient_is_computed_once():
    judged = judge(Small().double(), *pictures())
    assert judged.gradient("real") is judged.gradient("real")
    assert not torch.equal(judged.gradient("real"), judged.gradient("generated"))
    frozen = Judged(judged.network, judged.real.detach(), judged.fake, judged.a_real, judged.a_fake)
    with pytest.raises(ValueError, match="the real batch must require grad"):
        frozen.gradient("real")


def test_merged_r1_costs_three_passes():
    network = dcgan.Discriminator(size=32, channels=3, width=64, batch_norm=False)
    x = torch.randn(2, 3, 32, 32)

    def flops(run):
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops()

    def step(*chosen):
        # A leaf that requires grad is more than the counter's module tracker can take.
        real = x.clone().requires_grad_().clone() if chosen else x
        a = network(real)
        loss = objective("non-saturating").d_loss(a, torch.zeros_like(a))
        judged = Judged(network, real, real, a, a)
        loss = loss + sum(one(judged) for one in chosen)
        loss.backward(inputs=list(network.parameters()))

    with torch.no_grad():
        unit = flops(lambda: network(x))
    plain, merged = flops(step), flops(lambda: step(penalty("r1")))
    assert (merged - plain) / unit <= 3.01
    # On a pass of its own the same penalty is dearer: forward, gradient, and both again.
    own = flops(lambda: by_hand_r1(network, x))
    assert own / unit > 5.5


def by_hand_r1(network, x):
    x = x.clone().requires_grad_().clone()
    (g,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    g.square().sum().backward()


def test_spectral_normalisation_and_penalties_work_together():
    network = Small().double()
    for layer in (network.conv, network.deep, network.head):
        nn.utils.parametrizations.spectral_norm(layer)
    judged = judge(network, *pictures())
    before = network.conv.parametrizations.weight[0]._u.clone()
    loss = judged.a_fake.mean() - judged.a_real.mean() + penalty("r1")(judged)
    assert torch.equal(network.conv.parametrizations.weight[0]._u, before)  # no pass of its own
    (loss + penalty("gp")(judged)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


# Path length needs a generator with styles: tests/test_path_length.py.
@pytest.mark.parametrize("name", [n for n in penalties() if n != "path-length"])
def test_under_autocast_with_generated_pictures_in_bf16(name):
    network, (real, fake) = Small(), pictures(dtype=torch.float32)
    values = []
    for low in (False, True):
        torch.manual_seed(4)
        batch = fake.bfloat16() if low else fake
        x, y = real.clone().requires_grad_(), batch.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            value = penalty(name)(Judged(network, x, y, network(x).float(), network(y).float()))
        assert value.dtype == torch.float32
        value.backward()
        values.append(value.item())
    assert values[1] == pytest.approx(values[0], rel=0.05, abs=1e-4)


@pytest.mark.parametrize("name", AT_A_SLOPE)
def test_as_a_function_with_generated_pictures_in_bf16(name):
    """What a compiled step differentiates: there nothing has brought the two to one precision."""
    network, (real, fake) = Small(), pictures(dtype=torch.float32)
    one = penalty(name)
    loss = functional_loss(network, objective("non-saturating"), [one])
    weights = {k: w.detach() for k, w in network.named_parameters()}
    torch.manual_seed(4)
    rand = {k: v for k, v in {name: one.draw(real)}.items() if v is not None}
    values = []
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            step = torch.func.grad_and_value(loss, has_aux=True)
            batch = fake.bfloat16() if low else fake
            slopes, (value, _) = step(weights, {}, real, batch, rand)
        assert all(g.isfinite().all() for g in slopes.values())
        values.append(value.item())
    assert values[1] == pytest.approx(values[0], rel=0.05, abs=1e-3)


# ---------------------------------------------------------------- names


def test_every_penalty_names_its_paper(root):
    entries = (root / "book" / "references.bib").read_text(encoding="utf-8")
    for name in penalties():
        chosen = penalty(name)
        assert chosen.name == name
        assert chosen.weight == type(chosen).default
        assert f"{{{chosen.paper}," in entries


def test_a_new_penalty_is_one_class():
    @penalty_family("test-at-noise", weight=2.0)
    class AtNoise(GradientPenalty):
        def points(self, real, fake, rand=None):
            return torch.randn_like(real)

        def of(self, gradient):
            return gradient_norm(gradient)

    value = penalty("test-at-noise")(judge(Linear((2,), 3.0), *torch.randn(2, 4, 2).double()))
    assert value.item() == pytest.approx(6)
    from ganlab.penalties import base

    del base._FAMILIES["test-at-noise"]


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("gpp", {}, "unknown penalty 'gpp'"),
        ("r1", {"gamma": 1}, "does not take"),
        ("r1", {"weight": -1.0}, "must not be negative"),
        ("r1", {"weight": math.nan}, "must not be negative"),
        ("gp", {"every": 0}, "at least 1"),
        ("dragan", {"spread": 0}, "spread"),
        ("consistency", {"shift": -1}, "shift"),
        ("historical", {"side": "both"}, "'d' or 'g'"),
    ],
)
def test_mistakes_are_named_in_one_line(name, options, text):
    with pytest.raises(RecipeError, match=text) as caught:
        penalty(name, **options)
    assert "\n" not in str(caught.value)
