"""Penalties inside a round: by hand, lazily, compiled, and what they cost."""

import contextlib
import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ganlab.errors import RecipeError
from ganlab.game import WholeStep, needed_passes
from ganlab.recipes import build, penalties, recipe
from ganlab.training.ideal import ideal_seconds
from tests.test_game import Pictures, mlp_recipe, small
from tests.test_tricks import on_points, weights


def test_a_penalised_step_is_the_loss_plus_the_penalty_by_hand():
    game, stream = on_points(objective="wasserstein", penalties={"r1": 3.0, "r2": 2.0},
                             optimizer="sgd", betas=(0.0, 0.9), d_lr=0.1)  # fmt: skip
    real = next(stream)
    fake = game._fakes(16, False)
    d = copy.deepcopy(game.discriminator.network)
    game._d_step(real.clone(), fake)
    x, y = real.clone().requires_grad_(), fake[0].clone().requires_grad_()
    slopes = [torch.autograd.grad(d(v).sum(), v, create_graph=True)[0] for v in (x, y)]
    loss = d(y).mean() - d(x).mean()
    for gamma, slope in zip((3.0, 2.0), slopes):
        loss = loss + gamma / 2 * slope.square().sum(1).mean()
    for p, g in zip(d.parameters(), torch.autograd.grad(loss, list(d.parameters()))):
        p.data -= 0.1 * g
    assert torch.allclose(weights(d), weights(game.discriminator.network), atol=1e-6)


def test_lazy_penalties_come_every_k_steps_with_corrected_adam():
    game, stream = on_points(penalties={"r1": {"weight": 1.0, "every": 4}}, betas=(0.5, 0.9))
    seen = []
    inner = game.penalties[0].term
    game.penalties[0].term = lambda judged: seen.append(game.discriminator.steps) or inner(judged)
    for _ in range(9):
        game.round(stream)
    assert seen == [0, 4, 8]
    group = game.discriminator.optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(2e-4 * 4 / 5)
    assert group["betas"] == pytest.approx((0.5 ** (4 / 5), 0.9 ** (4 / 5)))
    assert game.generator.optimizer.param_groups[0]["betas"] == (0.5, 0.9)


def test_penalties_of_the_generator_join_its_loss():
    reports = []
    for chosen in ({}, {"feature-matching": 5.0}):
        game, stream = on_points(penalties=chosen)
        reports.append(float(game.round(stream)["g_loss"]))
    assert reports[1] > reports[0]


def count(run):
    """FLOPs without the module tracker, which does not take inputs that require a gradient."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoTracker()
    with counter:
        run()
    return counter.get_total_flops()


class _NoTracker(contextlib.AbstractContextManager):
    parents = {"Global"}  # noqa: RUF012

    def __exit__(self, *_):
        return None


def test_penalties_cost_three_passes_not_six():
    bare = dict(discriminator={"width": 16, "norm": "none"}, generator={"width": 16})
    costs = {}
    for label, chosen in (("plain", {}), ("r1", {"r1": 1.0}), ("both", {"r1": 1.0, "r2": 1.0}),
                          ("gp", {"gp": 10.0})):  # fmt: skip
        game, stream = build(small(penalties=chosen, **bare), Pictures())
        real = next(stream)
        fake = game._fakes(16, False)
        costs[label] = count(lambda g=game, r=real, f=fake: g._d_step(r, f))
        with torch.no_grad():
            unit = count(lambda g=game, r=real: g.discriminator.network(r))
    extra = {key: (value - costs["plain"]) / unit for key, value in costs.items()}
    assert extra["r1"] <= 3.1
    assert extra["both"] <= 6.2
    assert extra["gp"] <= 6.1  # a point of its own: a pass of its own
    assert costs["plain"] <= 6.2 * unit


def test_a_compiled_penalised_step_is_the_eager_one():
    bare = dict(discriminator={"width": 8, "norm": "none"}, objective="relativistic",
                penalties={"r1": {"weight": 2.0, "every": 2}, "r2": 1.0}, accumulate=2,
                optimizer="sgd", d_lr=0.01)  # fmt: skip
    states = []
    for compiled in (False, True):
        game, stream = build(small(**bare), Pictures())
        if compiled:
            game.whole = WholeStep(game.discriminator.network, game.objective, game.penalties,
                                   backend="aot_eager")  # fmt: skip
        for _ in range(3):
            report = game.round(stream)
        states.append((weights(game.discriminator.network), report["d_loss"]))
    assert torch.allclose(states[0][0], states[1][0], atol=1e-5)
    assert torch.allclose(states[0][1], states[1][1], atol=1e-4)


def test_a_compiled_penalised_step_takes_generated_pictures_in_bf16():
    bare = dict(discriminator={"width": 8, "norm": "none"}, optimizer="sgd", d_lr=0.01,
                penalties={"gp": 1.0, "r2": 1.0})  # fmt: skip
    reports = []
    for precision in ("fp32", "bf16"):
        game, stream = build(small(precision=precision, **bare), Pictures())
        game.whole = WholeStep(game.discriminator.network, game.objective, game.penalties,
                               backend="aot_eager")  # fmt: skip
        reports.append(game.round(stream)["d_loss"])
    assert reports[1] == pytest.approx(float(reports[0]), rel=0.05)


def test_compiling_refuses_what_does_not_compile():
    with pytest.raises(RecipeError, match="layers without buffers"):
        build(small(compile=True, penalties={"r1": 1.0}), Pictures())
    with pytest.raises(RecipeError, match="takes gradient penalties"):
        build(small(compile=True, penalties={"consistency": 1.0}), Pictures())


def test_one_pass_of_d_is_two_where_samples_do_not_meet():
    for plan, joint in ((mlp_recipe(), True), (small(), False),
                        (small(discriminator={"width": 8, "norm": "none"}), True)):  # fmt: skip
        shape = (1, 8, 8) if plan.network == "mlp" else (1, 32, 32)
        game, stream = build(plan, Pictures(shape))
        assert game._joint is joint
        real, fake = next(stream), game._fakes(16, False)[0]
        calls: list[int] = []
        hook = game.discriminator.network.register_forward_hook(
            lambda *_, calls=calls: calls.append(1)
        )
        judged = game.judge(real, fake)
        assert len(calls) == (1 if joint else 2)
        hook.remove()
        if joint:
            expected = game.discriminator.network(real)
            assert torch.allclose(judged.a_real, expected, atol=1e-5)


def test_ideal_knows_the_penalties():
    game, stream = build(small(penalties={"r1": 1.0}, discriminator={"width": 8, "norm": "none"}),
                         Pictures())  # fmt: skip
    real = next(stream)
    assert "d penalised" in needed_passes(game, real)
    assert ideal_seconds(game, real, repeats=1) > 0


def test_ideal_counts_a_lazy_penalty_by_its_share():
    lazy = {"r1": {"weight": 1.0, "every": 4}}
    game, stream = build(small(penalties=lazy, discriminator={"width": 8, "norm": "none"},
                               d_steps=2), Pictures())  # fmt: skip
    passes = needed_passes(game, next(stream))
    times = {name: one.times for name, one in passes.items()}
    assert times["d penalised every 4"] == 2 / 4
    assert times["d real and generated"] == 2 - 2 / 4
    assert times["g forward"] == times["d update"] == 2
    assert times["g forward and backward"] == times["d towards its input"] == 1


def test_penalties_are_named_and_optional_entries_can_be_taken_out():
    plan = recipe("wgan-gp-ring", penalties={"gp": None, "r1": {"weight": 2.0, "every": 8}})
    assert [repr(p) for p in penalties(plan)] == ["R1(weight=2, every=8)"]
    with pytest.raises(RecipeError, match="did you mean 'r1'"):
        penalties(plan.with_(penalties={"r11": 1.0}))


def test_a_penalty_of_the_generator_does_not_stand_in_the_way_of_compiling():
    rules = {"penalties": {"r1": {"every": 2}, "path-length": {"every": 2}}, "compile": True}
    plan = recipe("stylegan2-glyphs", size=16, batch=4, precision="fp32", **rules).with_(
        generator={"channel_base": 128, "latent": 8, "style": 8, "layers": 1},
        discriminator={"channel_base": 128},
    )
    made = plan.networks((3, 16, 16))
    game = plan.play(made, "fp32", torch.device("cpu"))
    assert game.whole is not None
    assert made["generator"]._compiled_call_impl is None  # differentiated twice: not compiled
