"""Penalties against closed forms, hand-written autograd and their own functional form."""

import copy
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
    draw,
    functional_loss,
    gradient_norm,
    penalties,
    penalty,
    penalty_family,
)
from ganlab.penalties.averages import shift_and_flip

SHAPES = [(1,), (2,), (3, 4, 5)]
AT_A_SLOPE = {  # value of the penalty where every gradient has norm s, weight 3
    "gp": lambda s: 3 * (s - 1) ** 2,
    "lp": lambda s: 3 * max(0.0, s - 1) ** 2,
    "gp0": lambda s: 3 * s**2,
    "dragan": lambda s: 3 * (s - 1) ** 2,
    "r1": lambda s: 3 / 2 * s**2,
    "r2": lambda s: 3 / 2 * s**2,
}


class Linear(nn.Module):
    """D(x) = w·x, whose gradient is w everywhere."""

    def __init__(self, shape, slope):
        super().__init__()
        w = torch.randn(shape, dtype=torch.float64)
        self.w = nn.Parameter(w * slope / w.norm())

    def forward(self, x):
        return (x * self.w).flatten(1).sum(1)


class Small(nn.Module):
    """A convolutional critic without normalisation, smooth enough for finite differences."""

    def __init__(self, channels=2):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.deep = nn.Conv2d(4, 3, 3, stride=2)
        self.head = nn.Linear(3 * 2 * 2, 1)

    def features(self, x):
        return torch.tanh(self.deep(torch.tanh(self.conv(x)))).flatten(1)

    def forward(self, x):
        return self.head(self.features(x)).squeeze(1)


def judge(network, real, fake):
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    return Judged(network, real, fake, network(real), network(fake))


def pictures(n=6, dtype=torch.float64):
    return torch.randn(n, 2, 6, 6, dtype=dtype), torch.randn(n, 2, 6, 6, dtype=dtype)


def weight_gradients(loss, network):
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    pairs = zip(found, network.parameters(), strict=True)
    return [torch.zeros_like(p) if g is None else g for g, p in pairs]


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


def by_hand(network, x, of):
    """Mean of `of(norm)` at x, sample by sample."""
    total = 0.0
    for one in x:
        point = one[None].clone().requires_grad_()
        (g,) = torch.autograd.grad(network(point)[0], point, create_graph=True)
        total = total + of((g * g).sum().sqrt())
    return total / len(x)


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


@pytest.mark.parametrize("name", penalties())
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


# ---------------------------------------------------------------- consistency


def test_consistency_is_zero_for_a_network_that_cannot_see_the_difference():
    class Brightness(nn.Module):
        def forward(self, x):
            return x.square().sum((1, 2, 3))

    judged = judge(Brightness(), *pictures())
    assert penalty("consistency", shift=0)(judged).item() < 1e-20
    assert penalty("consistency", shift=2)(judged).item() > 1e-6
    flat = torch.randn(6, 2, 1, 1, dtype=torch.float64).expand(6, 2, 6, 6)
    assert penalty("consistency", shift=2)(judge(Brightness(), flat, flat)).item() < 1e-20


def test_consistency_is_the_formula_and_reuses_the_loss_pass():
    network = Small().double()
    real, fake = pictures()
    value = penalty("consistency", weight=3, transform=lambda x: x * 0.5)(
        judge(network, real, fake)
    )
    assert torch.allclose(value, 3 * ((network(real) - network(real / 2)) ** 2).mean())
    assert weight_gradients(value, network)[0].abs().sum() > 0


def test_consistency_on_points_adds_a_little_noise():
    x = torch.zeros(4000, 2)
    moved = penalty("consistency", noise=0.1).transformed(x)
    assert moved.std().item() == pytest.approx(0.1, rel=0.05)


def test_shift_and_flip_moves_whole_pictures_each_its_own_way():
    size, shift = 7, 2
    one = torch.arange(2 * size * size, dtype=torch.float32).view(1, 2, size, size)
    out = shift_and_flip(one.expand(300, -1, -1, -1), shift)
    wide = nn.functional.pad(one, [shift] * 4, mode="reflect")
    mirrored = nn.functional.pad(one, [shift] * 4, mode="reflect").flip(3)
    windows = [
        w[0, :, i : i + size, j : j + size]
        for w in (wide, mirrored)
        for i in range(2 * shift + 1)
        for j in range(2 * shift + 1)
    ]
    seen = {k for x in out for k, w in enumerate(windows) if torch.equal(x, w)}
    assert all(any(torch.equal(x, w) for w in windows) for x in out)
    assert len(seen) == len(windows)  # all moves, both ways round
    assert torch.equal(shift_and_flip(one, 0, flip=False), one)
    x = torch.randn(3, 1, 8, 8, requires_grad=True)
    shift_and_flip(x).sum().backward()
    assert x.grad.sum().item() == pytest.approx(3 * 64)


# ---------------------------------------------------------------- averages


def test_feature_matching_is_the_formula_and_teaches_the_generator_only():
    network = Small().double().requires_grad_(False)
    generator = nn.Linear(3, 72).double()
    fake = generator(torch.randn(5, 3, dtype=torch.float64)).view(5, 2, 6, 6)
    real = pictures(8)[0]
    chosen = penalty("feature-matching", weight=2)
    assert chosen.side == "g"
    value = chosen(Judged(network, real, fake, network(real), network(fake), generator))
    means = [torch.stack([network.features(x[None])[0] for x in batch]).mean(0)
             for batch in (real, fake)]  # fmt: skip
    assert torch.allclose(value, 2 * sum((means[0] - means[1]) ** 2))
    value.backward()
    assert generator.weight.grad.abs().sum() > 0
    judged = Judged(Linear((2,), 1.0), real, fake, real, fake)
    with pytest.raises(RecipeError, match=r"needs Linear to have features"):
        chosen(judged)


def descend(chosen, network, judged, steps):
    """Values of the penalty while the weights move by known amounts."""
    values = []
    for i in range(steps):
        values.append(chosen(judged))
        with torch.no_grad():
            for p in network.parameters():
                p.add_((i + 1) * 0.1)
    return values


def test_historical_averaging_is_the_formula():
    network = Small().double()
    size = sum(p.numel() for p in network.parameters())
    judged = judge(network, *pictures())
    got = [v.item() for v in descend(penalty("historical", weight=3), network, judged, 5)]
    path = [0.0]  # each weight's offset from its start
    for i in range(4):
        path.append(path[-1] + (i + 1) * 0.1)
    means = [0.0] + [sum(path[:t]) / t for t in range(1, 5)]
    expected = [3 * size * (x - m) ** 2 for x, m in zip(path, means, strict=True)]
    assert got == pytest.approx(expected)


def test_historical_averaging_pulls_towards_the_mean():
    network = Linear((2,), 1.0)
    judged = judge(network, *torch.randn(2, 4, 2).double())
    chosen, start = penalty("historical", weight=1), network.w.detach().clone()
    chosen(judged)
    with torch.no_grad():
        network.w.add_(1.0)
    (got,) = weight_gradients(chosen(judged), network)  # the mean has moved on meanwhile
    assert torch.allclose(got, 2 * (network.w - start))


def test_historical_averaging_survives_a_checkpoint(tmp_path):
    network = Small().double()
    judged = judge(network, *pictures())
    chosen = penalty("historical")
    descend(chosen, network, judged, 3)
    torch.save(chosen.state_dict(), tmp_path / "state.pt")
    twin, other = copy.deepcopy(network), penalty("historical")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    again = Judged(twin, judged.real, judged.fake, judged.a_real, judged.a_fake)
    first, second = descend(chosen, network, judged, 3), descend(other, twin, again, 3)
    assert [v.item() for v in first] == [v.item() for v in second]
    assert penalty("r1").state_dict() == {}


def test_historical_averaging_of_the_generator_reads_the_learner():
    generator, network = Linear((2,), 1.0), Linear((2,), 1.0).requires_grad_(False)
    x = torch.randn(4, 2).double()
    chosen = penalty("historical", side="g")
    assert chosen.side == "g"
    assert chosen(Judged(network, x, x, x, x, learner=generator)).item() == 0
    assert torch.equal(chosen.mean[0], generator.w)
    with pytest.raises(ValueError, match=r"Judged\.learner"):
        chosen(Judged(network, x, x, x, x))


# ---------------------------------------------------------------- functional form

COMBINATIONS = [[], ["r1"], ["r1", "r2"], ["gp"], ["gp0"], ["lp"], ["dragan"], ["gp", "r1"]]


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
@pytest.mark.parametrize("loss", ["wasserstein", "relativistic"])
def test_the_functional_form_equals_the_eager_one(names, loss):
    network, chosen = Small().double(), [penalty(name, every=2) for name in names]
    real, fake = pictures()
    pure = functional_loss(network, objective(loss), chosen)
    params, buffers = dict(network.named_parameters()), dict(network.named_buffers())
    torch.manual_seed(3)
    rand = draw(chosen, real)
    gradients, logits = torch.func.grad(pure, has_aux=True)(params, buffers, real, fake, rand)
    value, _ = pure(params, buffers, real, fake, rand)

    torch.manual_seed(3)
    judged = judge(network, real, fake)
    eager = objective(loss).d_loss(judged.a_real, judged.a_fake)
    eager = eager + sum(one(judged) for one in chosen)
    assert torch.allclose(value, eager, rtol=1e-10)
    assert torch.allclose(logits[0], judged.a_real)
    assert torch.allclose(logits[1], judged.a_fake)
    for a, b in zip(gradients.values(), weight_gradients(eager, network), strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-12)


def test_the_functional_form_takes_interpolation_coefficients():
    network = Small().double()
    real, fake = pictures()
    pure = functional_loss(network, objective("wasserstein"), [penalty("gp", weight=1)])
    params = dict(network.named_parameters())
    plain = network(fake).mean() - network(real).mean()
    for rand, x in ((torch.ones(6).double(), real), (torch.zeros(6).double(), fake)):
        value, _ = pure(params, {}, real, fake, rand)
        assert torch.allclose(value - plain, by_hand(network, x, lambda s: (s - 1) ** 2))


def test_the_functional_form_compiles_whole():
    network = Small()
    real, fake = pictures(dtype=torch.float32)
    chosen = [penalty("r1", weight=1), penalty("gp")]
    pure = functional_loss(network, objective("relativistic"), chosen)
    step = torch.func.grad(pure, has_aux=True)
    params, rand = dict(network.named_parameters()), torch.rand(6)
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    got, logits = compiled(params, {}, real, fake, rand)
    expected, eager_logits = step(params, {}, real, fake, rand)
    assert torch.allclose(logits[0], eager_logits[0], atol=1e-5)
    for name in params:
        assert torch.allclose(got[name], expected[name], rtol=1e-3, atol=1e-5), name


def test_many_discriminators_at_once():
    networks = [Small().double() for _ in range(3)]
    pure = functional_loss(networks[0], objective("wasserstein"), [penalty("gp"), penalty("r2")])
    params, buffers = torch.func.stack_module_state(networks)
    batches = [pictures() for _ in networks]
    real, fake = (torch.stack(x) for x in zip(*batches, strict=True))
    rand = torch.rand(3, 6, dtype=torch.float64)
    step = torch.func.grad(pure, has_aux=True)
    together, _ = torch.func.vmap(step)(params, buffers, real, fake, rand)
    for i, network in enumerate(networks):
        alone, _ = step(dict(network.named_parameters()), {}, real[i], fake[i], rand[i])
        for name, g in alone.items():
            assert torch.allclose(together[name][i], g, rtol=1e-8, atol=1e-12)


def test_the_functional_form_says_what_it_cannot_take():
    def build(network, *chosen):
        return functional_loss(network, objective("wasserstein"), chosen)

    with pytest.raises(RecipeError, match="not 'historical'"):
        build(Small(), penalty("historical"))
    normed = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))
    with pytest.raises(RecipeError, match="unlike '1'"):
        build(normed)
    build(normed.eval())
    with pytest.raises(RecipeError, match="unlike '0'"):
        build(nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(2, 1))))


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
