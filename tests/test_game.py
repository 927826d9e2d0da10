"""One round: what it computes, what it costs, and what it must not touch."""

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ganlab.game import Average, needed_passes
from ganlab.losses import Objective, minimax, non_saturating
from ganlab.models import mlp
from ganlab.recipes import Recipe, build
from ganlab.training.ideal import ideal_seconds


class Pictures:
    """A minimal picture set."""

    def __init__(self, shape=(1, 32, 32), n=64):
        draw = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=draw)
        self.shape = shape

    def __len__(self):
        return len(self.images)


def small(**fields):
    base = dict(network="dcgan", batch=16, precision="fp32", half_life=0,
                generator={"width": 8, "latent": 16}, discriminator={"width": 8})  # fmt: skip
    return Recipe("test", **(base | fields))


def mlp_recipe(**fields):
    base = dict(network="mlp", size=8, batch=16, precision="fp32", half_life=0, channels=1,
                generator={"width": 8, "latent": 4, "batch_norm": False},
                discriminator={"width": 8})  # fmt: skip
    return Recipe("test", **(base | fields))


def flops(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_a_round_costs_what_it_needs():
    # The audit of the design: D's step <= F_G + 6.2 F_D, G's step <= 3 F_G + 2.1 F_D.
    game, stream = build(small(generator={"width": 16}, discriminator={"width": 16}), Pictures())
    real = next(stream)
    with torch.no_grad():
        f_g = flops(lambda: game.generator.network(game.latent(16)))
        f_d = flops(lambda: game.discriminator.network(real))
    fakes = []
    d_step = flops(lambda: (fakes.extend(game._fakes(16, False)), game._d_step(real, fakes)))
    g_step = flops(lambda: game._g_step(real, None))
    assert d_step <= f_g + 6.2 * f_d
    assert g_step <= 3 * f_g + 2.1 * f_d
    # and no less than the passes there are, or the counter was not looking
    assert d_step >= f_g + 5 * f_d
    assert g_step >= 2.5 * f_g + 1.5 * f_d


def test_sharing_the_forward_saves_one_generator_pass():
    costs = {}
    for shared in (False, True):
        game, stream = build(small(share_forward=shared), Pictures())
        costs[shared] = flops(lambda game=game, stream=stream: game.round(stream))
        with torch.no_grad():
            f_g = flops(lambda game=game: game.generator.network(game.latent(16)))
    assert costs[False] - costs[True] == f_g


def test_no_gradient_reaches_the_other_player():
    game, stream = build(small(), Pictures())
    g, d = game.generator, game.discriminator
    for player in (g, d):
        player.clear = lambda: None  # keep the gradients to look at
    real = next(stream)
    before = copy.deepcopy(g.network.state_dict())
    game._d_step(real, game._fakes(16, False))
    assert all(p.grad is None for p in g.network.parameters())
    assert all(p.grad is not None for p in d.network.parameters())
    weights = [p for p in before if "running" not in p and "num_batches" not in p]
    assert all(torch.equal(before[k], g.network.state_dict()[k]) for k in weights)
    mine = [p.grad.clone() for p in d.network.parameters()]
    game._g_step(real, None)
    assert all(torch.equal(p.grad, m) for p, m in zip(d.network.parameters(), mine))
    assert all(p.grad is not None for p in g.network.parameters())
    assert all(p.requires_grad for p in d.network.parameters())


def test_shared_forward_keeps_the_generator_out_of_the_first_step():
    game, stream = build(small(share_forward=True), Pictures())
    game.generator.clear = lambda: None
    real = next(stream)
    game._d_step(real, game._fakes(16, True))
    assert all(p.grad is None for p in game.generator.network.parameters())


def textbook_round(game, real, z1, z2, objective):
    """The loop of the tutorials, on copies, with plain Adam."""
    g, d = (copy.deepcopy(p.network) for p in (game.generator, game.discriminator))
    adams = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (g, d)]
    g.train(), d.train()
    loss = objective.d_loss(d(real), d(g(z1).detach()))
    adams[1].zero_grad()
    loss.backward()
    adams[1].step()
    loss = objective.g_loss(d(g(z2)), None)
    adams[0].zero_grad()
    loss.backward()
    adams[0].step()
    return g, d


@pytest.mark.parametrize("make", [minimax, non_saturating])
def test_a_round_is_the_textbook_round(make):
    recipe = small(objective=make().name)
    game, stream = build(recipe, Pictures())
    real = next(copy.deepcopy(stream))
    noise = game.noise.get_state()
    z1, z2 = game.latent(16), game.latent(16)
    game.noise.set_state(noise)
    g, d = textbook_round(game, real, z1, z2, make())
    game.round(stream)
    for mine, theirs in ((game.generator.network, g), (game.discriminator.network, d)):
        for a, b in zip(mine.parameters(), theirs.parameters()):
            assert torch.allclose(a, b, atol=2e-6)


def test_accumulation_is_the_whole_batch():
    results = []
    for parts in (1, 4):
        game, stream = build(mlp_recipe(accumulate=parts), Pictures((1, 8, 8)))
        for _ in range(3):
            report = game.round(stream)
        results.append((game.generator.network.state_dict(), report["d_loss"]))
    for key, value in results[0][0].items():
        assert torch.allclose(value, results[1][0][key], atol=1e-6), key
    assert torch.allclose(results[0][1], results[1][1], atol=1e-6)


def test_d_steps_train_the_discriminator_more():
    game, stream = build(mlp_recipe(d_steps=3), Pictures((1, 8, 8)))
    game.round(stream)
    assert (game.discriminator.steps, game.generator.steps) == (3, 1)


def test_an_objective_that_compares_gets_the_real_logits():
    game, stream = build(mlp_recipe(), Pictures((1, 8, 8)))
    seen = []
    game.objective = Objective(
        lambda r, f: (f - r).mean(),
        lambda f, r: seen.append(r.requires_grad) or (r - f).mean(),
        needs_real=True,
    )
    game.round(stream)
    assert seen == [False]


def test_running_average_follows_its_half_life():
    network = mlp.Generator(2, 2, width=4, depth=1)
    average = Average(network, half_life=100, ramp=0)
    start = average.network.layers[0].weight.clone()
    with torch.no_grad():
        network.layers[0].weight += 1
    for _ in range(10):
        average.update(10)  # 100 images: half the way
    assert torch.allclose(average.network.layers[0].weight, start + 0.5, atol=1e-6)


def test_running_average_ramps_up():
    network = mlp.Generator(2, 2, width=4, depth=1)
    average = Average(network, half_life=1e6, ramp=0.1)
    with torch.no_grad():
        network.layers[0].weight.zero_()
    average.update(10)  # half-life 1 image by the ramp: forgets the start at once
    assert average.network.layers[0].weight.abs().max() < 1e-3


def test_schedule_decays_the_rate():
    game, stream = build(mlp_recipe(schedule="linear", steps=4), Pictures((1, 8, 8)))
    rates = []
    for _ in range(4):
        game.round(stream)
        rates.append(game.generator.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([2e-4, 1.5e-4, 1e-4, 0.5e-4])


def test_timing_the_passes_leaves_the_game_as_it_was():
    game, stream = build(small(), Pictures())
    before = copy.deepcopy(game.state_dict())
    rng = torch.get_rng_state()
    real = next(stream)
    assert 0 < ideal_seconds(game, real, repeats=1) < 10
    assert set(needed_passes(game, real)) >= {"d real", "d generated", "g forward"}
    assert torch.equal(rng, torch.get_rng_state())
    after = game.state_dict()
    for side in ("generator", "discriminator"):
        for key, value in before[side]["network"].items():
            assert torch.equal(value, after[side]["network"][key])
    assert torch.equal(before["noise"], after["noise"])


def test_bf16_rounds_stay_close_to_fp32():
    reports = []
    for precision in ("fp32", "bf16"):
        game, stream = build(small(precision=precision), Pictures())
        reports.append(game.round(stream))
        assert all(p.dtype == torch.float32 for p in game.generator.network.parameters())
    assert torch.allclose(reports[0]["d_loss"], reports[1]["d_loss"], atol=0.05)


def test_confidence_is_a_histogram_of_d():
    game, stream = build(small(), Pictures())
    assert game.confidence() == {}
    game.round(stream)
    shares = game.confidence(bins=10)
    assert set(shares) == {"real", "fake"}
    assert sum(shares["real"]) == pytest.approx(1, abs=1e-3)
    expected = torch.histc(game.logits[1].sigmoid(), 10, 0, 1) / 16
    assert shares["fake"] == pytest.approx(expected.tolist(), abs=1e-3)
