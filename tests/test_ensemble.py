"""Many seeds at once: the same as one after another, apart from each other, and of use."""

import copy
import math

import pytest
import torch

from ganlab.ensemble import Draws, Together, train_many
from ganlab.errors import RecipeError
from ganlab.penalties.gradient import _AtInterpolates
from ganlab.recipes import Recipe, build, recipe, source

SEEDS = (3, 0, 7)
SMALL = dict(batch=16, steps=40, generator={"width": 16}, discriminator={"width": 16, "depth": 2})


def small(**fields):
    return recipe("mlp-ring", **SMALL).with_(**fields)


def batches(draw, count, batch, seeds=SEEDS):
    """`count` batches (S, B, d), each seed's own."""
    generators = [torch.Generator().manual_seed(100 + s) for s in seeds]
    return [torch.stack([draw(batch, g) for g in generators]) for _ in range(count)]


def both_ways(plan, rounds):
    """Weights (S, n) of G, its average and D: trained together, and one after another."""
    data = source(plan)
    together = Together(plan, SEEDS, data)
    reals = batches(data.sample, rounds * plan.d_steps, plan.batch)
    draw = together.templates[0].sample_latent
    noise = batches(draw, rounds * (plan.d_steps + plan.g_steps), plan.batch)
    stream, latents = iter(reals), iter(noise)
    for _ in range(rounds):
        together.round(stream, latents)
    found, expected = [], []
    z = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    x = data.sample(48, torch.Generator().manual_seed(0))
    points = together.sample(z.expand(3, -1, -1))
    d = together.discriminator.network.eval()
    for i, seed in enumerate(SEEDS):
        game, _ = build(plan.with_(seed=seed), data)
        own = iter([z[i] for z in noise])
        game.latent = lambda n, own=own: next(own)
        stream = iter([x[i] for x in reals])
        for _ in range(rounds):
            game.round(stream)
        with torch.no_grad():
            logits = game.discriminator.network.eval()(x)
            found.append((points[i], d(x.expand(3, -1, -1))[i]))
        expected.append((game.sample(z), logits))
    return found, expected, together


EQUAL = {
    "plain": {},
    "minimax": {"objective": "minimax"},
    "least squares": {"objective": "least-squares", "objective_options": {"coding": "-1-1-0"}},
    "smoothed": {"objective_options": {"real_target": 0.9}},
    "wasserstein clipped": {"objective": "wasserstein", "clip": 0.05, "optimizer": "rmsprop"},
    "hinge spectral": {"objective": "hinge", "discriminator": {"norm": "spectral"}},
    "relativistic average": {"objective": "relativistic-average"},
    "gp": {"objective": "wasserstein", "penalties": {"gp": 1.0}, "d_steps": 2},
    "gp0": {"penalties": {"gp0": 1.0}},
    "lp": {"objective": "wasserstein", "penalties": {"lp": 1.0}},
    "modern": {"objective": "relativistic", "penalties": {"r1": 0.5, "r2": 0.5}},
    "lazy": {"penalties": {"r1": {"weight": 0.5, "every": 4}}},
    "r1 spectral": {"penalties": {"r1": 1.0}, "discriminator": {"norm": "spectral"}},
    "historical": {"penalties": {"historical": 1.0}},
    "feature matching": {"penalties": {"feature-matching": 1.0}},
    "packed": {"pack": 2},
    "minibatch stddev": {"discriminator": {"minibatch": "stddev"}},
    "minibatch discrimination": {"discriminator": {"minibatch": "discrimination"}},
    "layer norm": {"discriminator": {"norm": "layer"}},
    "batch norm": {"generator": {"batch_norm": True}},
    "top-k": {"top_k": 0.5},
    "top-k relativistic": {"top_k": 0.5, "objective": "relativistic"},
    "unrolled": {"unroll": 2},
    "steps": {"g_steps": 2, "d_steps": 3},
    "shared": {"share_forward": True},
    "sgd": {"optimizer": "sgd", "d_lr": 0.05, "g_lr": 0.05},
    "cosine": {"schedule": "cosine"},
    "no average": {"half_life": 0.0},
}


@pytest.fixture
def double():
    """Double precision: Adam turns the sign of a gradient that is all rounding into a step."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", EQUAL)
def test_together_is_one_after_another(name, double, monkeypatch):
    monkeypatch.setattr(_AtInterpolates, "draw", lambda self, real: torch.full((len(real),), 0.3))
    plan = small(**EQUAL[name])
    found, expected, game = both_ways(plan, rounds=8 if name != "plain" else 25)
    for (x, a), (y, b) in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-7)
        if plan.objective.startswith("relativistic"):  # sees differences: the level is rounding
            a, b = a - a.mean(), b - b.mean()
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-5)
    # The seeds differ from each other, and from where they started, by far more than that.
    assert (found[0][0] - found[1][0]).abs().max() > 0.01
    start = Together(plan, SEEDS, source(plan))
    assert any(
        (a - b).abs().max() > 1e-3
        for a, b in zip(start.generator.network.parameters(), game.generator.network.parameters())
    )


def play(plan, rounds=6, seeds=SEEDS, spoil=None):
    """A game together after some rounds; `spoil` may break something before them."""
    data = source(plan)
    game = Together(plan, seeds, data)
    stream = Draws(data.sample, seeds, plan.batch)
    latents = Draws(game.templates[0].sample_latent, seeds, plan.batch)
    if spoil:
        spoil(game)
    torch.manual_seed(0)
    for _ in range(rounds):
        game.round(stream, latents)
    return game


RANDOM = {
    "instance noise": {"instance_noise": 0.5},
    "label flip": {"label_flip": 0.3},
    "pool": {"pool": 32},
    "dragan": {"penalties": {"dragan": 1.0}},
    "consistency": {"penalties": {"consistency": 10.0}},
}


@pytest.mark.parametrize("name", [*EQUAL, *RANDOM])
def test_every_field_has_an_effect(name):
    if name == "plain":
        return
    base, changed = play(small()), play(small(**(EQUAL | RANDOM)[name]))
    z = torch.randn(3, 32, 2, generator=torch.Generator().manual_seed(0))
    assert (base.sample(z) - changed.sample(z)).abs().max() > 1e-5
    assert changed.sample(z).isfinite().all()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"objective": "relativistic-average", "penalties": {"r1": 1.0, "gp": 1.0}},
        {"clip": 0.1, "discriminator": {"norm": "spectral"}},
        {"discriminator": {"minibatch": "stddev"}, "pack": 2},
        {"penalties": {"historical": 1.0, "feature-matching": 1.0}, "unroll": 0},
        {"unroll": 2, "top_k": 0.5, "instance_noise": 0.1, "label_flip": 0.1},
    ],
)
def test_a_seed_that_diverges_stays_alone(fields):
    def spoil(game):
        with torch.no_grad():
            next(game.generator.network.parameters())[1] = math.nan

    healthy, sick = play(small(**fields)), play(small(**fields), spoil=spoil)
    for player in ("generator", "discriminator"):
        pairs = zip(
            getattr(healthy, player).network.parameters(),
            getattr(sick, player).network.parameters(),
            strict=True,
        )
        for a, b in pairs:
            torch.testing.assert_close(a[[0, 2]], b[[0, 2]], rtol=1e-4, atol=1e-5)
    assert not next(sick.discriminator.network.parameters())[1].isfinite().all()


def test_a_diverged_seed_counts_as_no_modes():
    plan = small(optimizer="sgd", g_lr=1e20, d_lr=1e20, steps=20)
    many = train_many(plan, seeds=2)
    assert many.diverged == 2
    assert many.modes.tolist() == [0, 0]
    assert many.good.tolist() == [0, 0]
    assert many.summary()["rkl"] is None
    assert "2 seeds diverged" in str(many)


def test_a_seed_does_not_depend_on_its_company():
    plan = small(steps=15)
    alone, among = train_many(plan, seeds=[5]), train_many(plan, seeds=[2, 5, 9])
    torch.testing.assert_close(alone.samples[0], among.samples[1], rtol=1e-3, atol=1e-4)


def test_the_same_call_gives_the_same_result_and_leaves_the_random_state():
    plan = small(instance_noise=0.2, penalties={"gp": 1.0}, steps=10)
    before = torch.random.get_rng_state()
    a, b = train_many(plan, seeds=2), train_many(plan, seeds=2)
    assert torch.equal(a.samples, b.samples)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_report():
    many = train_many(small(steps=12), seeds=4, every=5)
    assert many.samples.shape == (4, 2500, 2)
    assert [row["step"] for row in many.history] == [5, 10, 12]
    for key in ("modes", "good", "rkl", "d_loss", "g_loss"):
        assert many.history[0][key].shape == (4,)
    assert torch.equal(many.modes, many.history[-1]["modes"])
    assert many.summary()["modes"] == pytest.approx(float(many.modes.mean()))
    assert "4 seeds, 12 steps" in str(many)
    assert "of 8" in str(many)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"g_lr": "cosine:1e-3:1e-4"}, "schedule"),
        ({"data": "glyphs"}, "points"),
        ({"augment": "translation"}, "augment"),
        ({"accumulate": 2}, "accumulate"),
        ({"precision": "bf16"}, "precision"),
        ({"unroll": 2, "penalties": {"r1": 1.0}}, "unroll"),
    ],
)
def test_what_cannot_be_stacked_is_refused_by_name(fields, named):
    with pytest.raises(RecipeError, match=named):
        train_many(small(**fields), seeds=2)


def test_a_game_of_one_player_is_refused_by_name():
    with pytest.raises(RecipeError, match="game: solo is not one that many seeds play together"):
        train_many(recipe("vae-glyphs"), seeds=2)


def test_every_field_of_a_recipe_is_obeyed_or_refused():
    # A field that is added later must be listed as supported or be refused when it is set.
    from ganlab.ensemble import SUPPORTED
    from ganlab.recipes import FREE

    known = set(Recipe.model_fields)
    assert known >= SUPPORTED
    assert {"accumulate", "compile", "augment"}.isdisjoint(SUPPORTED | set(FREE))


def test_data_without_modes_are_trained_and_not_counted():
    many = train_many(small(data="moons", steps=5), seeds=2)
    assert many.samples.isfinite().all()
    assert many.total == 0
    assert "modes" not in str(many)


def test_a_modern_gan_finds_every_mode_with_every_seed():
    plan = recipe("mlp-ring", batch=64, half_life=2000.0, objective="relativistic").with_(
        penalties={"r1": 0.2, "r2": 0.2},
        schedule="cosine",
        g_lr=2e-3,
        d_lr=4e-3,
        generator={"width": 64},
        discriminator={"width": 64},
    )
    many = train_many(plan, seeds=4, steps=1000)
    assert many.modes.tolist() == [8, 8, 8, 8]
    assert many.good.min() > 0.15  # a thin circle through all centres has 0.08
    assert many.rkl.max() < 0.4


def test_building_leaves_the_templates_alone():
    plan = small()
    game = Together(plan, SEEDS, source(plan))
    weights = copy.deepcopy(game.templates[0].state_dict())
    stream = iter(batches(source(plan).sample, 1, plan.batch))
    game.round(stream, iter(batches(game.templates[0].sample_latent, 2, plan.batch)))
    for key, value in game.templates[0].state_dict().items():
        assert torch.equal(value, weights[key])
