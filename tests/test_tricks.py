"""What a round can do differently: each trick by its formula."""

import copy
import dataclasses
import math

import pytest
import torch

from ganlab.errors import RecipeError
from ganlab.game import Pool, flip_labels, top, unrolled
from ganlab.models import mlp
from ganlab.recipes import Recipe, build, source
from tests.test_game import Pictures, small

POINTS = dict(data="ring8", network="mlp", size=None, precision="fp32", half_life=0, batch=16,
              generator={"latent": 2, "width": 8}, discriminator={"width": 8})  # fmt: skip


def on_points(**fields):
    plan = Recipe("test", **(POINTS | fields))
    return build(plan, source(plan))


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


# ---- the pool ----


def test_pool_passes_through_until_it_is_full_then_mixes():
    pool = Pool(6, torch.Generator().manual_seed(0))
    first = torch.arange(4.0)[:, None]
    assert torch.equal(pool(first), first)
    second = torch.arange(4.0, 8.0)[:, None]
    out = pool(second)
    assert torch.equal(out[:2], second[:2])  # there was still room for two
    assert len(pool.kept) == 6
    for start in range(8, 400, 4):
        fresh = torch.arange(float(start), start + 4)[:, None]
        before = pool.kept.clone()
        out = pool(fresh)
        # nothing is lost or doubled: what goes in and what was kept come out or stay
        both = torch.cat([out, pool.kept]).flatten().sort().values
        assert torch.equal(both, torch.cat([fresh, before]).flatten().sort().values)


def test_pool_exchanges_half_and_sends_no_gradient():
    pool = Pool(50, torch.Generator().manual_seed(1))
    pool(torch.zeros(50, 1))
    old = total = 0
    for i in range(1, 201):
        out = pool(torch.full((10, 1), float(i), requires_grad=True))
        assert not out.requires_grad
        old, total = old + int((out < i).sum()), total + 10
    assert old / total == pytest.approx(0.5, abs=0.05)


def test_pool_refuses_no_room():
    with pytest.raises(RecipeError, match="at least one picture"):
        Pool(0, torch.Generator())


# ---- labels, top-k, clipping ----


def test_flipping_exchanges_pairs():
    torch.manual_seed(0)
    real, fake = torch.ones(20000), -torch.ones(20000)
    a, b = flip_labels(real, fake, 0.1)
    assert torch.equal(a, -b)
    assert float((a < 0).float().mean()) == pytest.approx(0.1, abs=0.01)


def test_top_keeps_what_d_finds_most_real():
    fake = torch.tensor([0.3, -2.0, 5.0, 1.0])
    kept, real = top(fake, torch.arange(4.0), 0.5)
    assert kept.tolist() == [5.0, 1.0]
    assert len(real) == 2
    assert len(top(fake, None, 0.01)[0]) == 1


def test_top_k_share_falls_over_the_steps():
    game, stream = on_points(top_k=0.5, steps=4)
    sizes = []
    inner = game.objective.g_loss
    game.objective = dataclasses.replace(
        game.objective, g_loss=lambda f, r=None: sizes.append(len(f)) or inner(f, r)
    )
    for _ in range(5):
        game.round(stream)
    assert sizes == [16, 14, 12, 10, 8]


def test_clipping_bounds_every_weight_of_d_alone():
    game, stream = on_points(clip=0.01, objective="wasserstein")
    game.round(stream)
    assert weights(game.discriminator.network).abs().max() <= 0.01
    assert weights(game.generator.network).abs().max() > 0.01


def test_instance_noise_reaches_both_batches_and_ends():
    game, stream = on_points(instance_noise=0.5, steps=4)
    torch.manual_seed(0)
    x = torch.zeros(5000, 2)
    spreads = []
    for _ in range(6):
        spreads.append(float(game.seen(x).std()))
        game.round(stream)
    assert spreads == pytest.approx([0.5, 0.375, 0.25, 0.125, 0, 0], abs=0.02)


def test_g_steps_train_the_generator_more():
    game, stream = on_points(g_steps=3, share_forward=True)
    game.round(stream)
    assert (game.discriminator.steps, game.generator.steps) == (1, 3)


# ---- unrolling ----


def test_unrolled_steps_are_the_optimisers_own():
    torch.manual_seed(0)
    network = mlp.Discriminator(2, width=8, depth=1)
    x = torch.randn(32, 2)
    for make in (
        lambda w: torch.optim.Adam(w, 1e-2, (0.5, 0.9)),
        lambda w: torch.optim.SGD(w, 1e-2),
    ):
        mine, theirs = copy.deepcopy(network), copy.deepcopy(network)
        optimizer, plain = make(mine.parameters()), make(theirs.parameters())
        for n, o in ((mine, optimizer), (theirs, plain)):  # some steps before, for the moments
            for _ in range(2):
                o.zero_grad()
                n(x).square().mean().backward()
                o.step()

        def loss_of(w, n=mine):
            return torch.func.functional_call(n, w, (x,)).square().mean()

        ahead = unrolled(mine, optimizer, 2, loss_of, 3)
        for _ in range(3):
            plain.zero_grad()
            theirs(x).square().mean().backward()
            plain.step()
        for key, value in theirs.named_parameters():
            assert torch.allclose(ahead[key], value, atol=1e-5), key


def test_unrolling_changes_the_generators_gradient_and_leaves_d_alone():
    after = {}
    for steps in (0, 2):
        game, stream = on_points(unroll=steps)
        real = next(stream)
        before = weights(game.discriminator.network).clone()
        game._g_step(real, None)
        assert torch.equal(before, weights(game.discriminator.network))
        assert all(p.grad is None for p in game.discriminator.network.parameters())
        after[steps] = weights(game.generator.network)
    assert not torch.equal(after[0], after[2])


def test_unrolling_refuses_what_it_cannot_follow():
    game, stream = on_points(unroll=1, optimizer="rmsprop")
    with pytest.raises(RecipeError, match="unroll: only with optimizer adam or sgd"):
        game.round(stream)
    with pytest.raises(RecipeError, match="unroll: not with penalties"):
        on_points(unroll=1, penalties={"r1": 1.0})


# ---- resuming, schedules, options ----


@pytest.mark.parametrize(
    "fields",
    [
        {"pool": 24},
        {"penalties": {"historical": {"weight": 1e-3}}},
        {"instance_noise": 0.3, "steps": 40, "label_flip": 0.1},
        {"penalties": {"gp": 10.0}, "objective": "wasserstein", "d_steps": 2},
        {"discriminator": {"width": 8, "norm": "spectral"}},
    ],
    ids=lambda f: next(iter(f)),
)
def test_a_resumed_game_goes_on_to_the_same_bits(fields):
    game, stream = on_points(**fields)
    for _ in range(3):
        game.round(stream)
    state = copy.deepcopy((game.state_dict(), stream.state_dict(), torch.get_rng_state()))
    for _ in range(3):
        game.round(stream)
    again, stream_again = on_points(**fields)
    again.load_state_dict(state[0])
    stream_again.load_state_dict(state[1])
    torch.set_rng_state(state[2])
    for _ in range(3):
        again.round(stream_again)
    for side in ("generator", "discriminator"):
        mine = weights(getattr(game, side).network)
        assert torch.equal(mine, weights(getattr(again, side).network)), side


def test_cosine_schedule():
    game, stream = on_points(schedule="cosine", steps=4, d_steps=2)
    rates = []
    for _ in range(4):
        game.round(stream)
        rates.append(game.generator.optimizer.param_groups[0]["lr"] / 2e-4)
    assert rates == pytest.approx([(1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)])


def test_packed_discriminators_judge_packs():
    game, stream = on_points(pack=4)
    game.round(stream)
    assert game.logits[0].shape == (4,)
    with pytest.raises(RecipeError, match="not a whole number of packs"):
        Recipe("test", **(POINTS | {"pack": 3}))


def test_augmentation_is_what_d_sees():
    game, _ = build(small(augment="translation,cutout"), Pictures())
    x = torch.ones(8, 1, 32, 32)
    assert float(game.seen(x).mean()) < 1
    with pytest.raises(RecipeError, match="did you mean"):
        build(small(augment="translatoin"), Pictures())
