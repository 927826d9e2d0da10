"""Consistency, averages, and penalties as pure functions."""

import copy

import pytest
import torch
from torch import nn

from ganlab.errors import RecipeError
from ganlab.losses import objective
from ganlab.penalties import (
    Judged,
    draw,
    functional_loss,
    penalty,
    shift_and_flip,
)
from tests.penalty_kit import Linear, Small, by_hand, judge, pictures, weight_gradients

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
