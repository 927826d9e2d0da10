"""Recipes: plain data that saves, compares and names its mistakes."""

import pytest
import torch

from ganlab.errors import RecipeError
from ganlab.recipes import (
    RECIPES,
    Recipe,
    SoloRecipe,
    build,
    networks,
    precision,
    recipe,
    settings,
    source,
)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_saves_and_builds(name):
    plan = recipe(name)
    assert Recipe.from_json(plan.to_json()) == plan
    assert plan.name == name
    assert plan.about
    if isinstance(plan, SoloRecipe):
        made = plan.networks((plan.channels, plan.size, plan.size))
        assert sum(p.numel() for p in made[plan.method].parameters()) > 1e5
        return
    shape = (2,) if plan.points else (plan.channels, plan.size, plan.size)
    if plan.network == "stylegan2" and "for a GPU" in plan.about:
        # Gigabytes: their shapes are made, without numbers.
        with torch.device("meta"):
            sides = networks(plan, shape)
        assert all(sum(p.numel() for p in side.parameters()) > 15e6 for side in sides)
        return
    g, d = networks(plan, shape)
    told = {"labels": torch.tensor([0, plan.classes - 1])} if plan.classes else {}
    x = g.eval()(g.sample_latent(2), **told)
    assert x.shape == (2, *shape)
    assert d.eval()(x, **told).shape == (2,)


def test_changes_are_merged_field_by_field():
    plan = recipe("dcgan-mnist", generator={"latent": 50}, steps=7)
    assert plan.generator == {"width": 32, "latent": 50}
    assert plan.steps == 7
    assert recipe("dcgan-mnist").steps != 7


def test_options_of_the_data_reach_the_data():
    plan = recipe("stylegan2-glyphs", data_options={"characters": "AB", "limit": 30})
    data = source(plan)
    assert len(data) == 30
    assert data.classes == ("A", "B")
    assert set(data.factors["texture"].tolist()) == {0, 1}  # merged: the recipe's papers stay
    assert plan.identity()["data_options.characters"] == "AB"


def test_settings_are_parsed_to_the_type_of_the_field():
    changes = settings(
        ["g_lr=1e-4", "generator.width=64", "flip=true", "half_life=0", "data=a b", "size=none"]
    )
    assert changes == {"g_lr": 1e-4, "generator": {"width": 64}, "flip": True, "half_life": 0,
                       "data": "a b", "size": None}  # fmt: skip
    assert isinstance(recipe("dcgan-mnist", **changes).half_life, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz=3", "did you mean 'steps'"),
        ("steps", "field=value"),
        ("steps=many", "steps: 'many' is not a whole number from 1 to 1,000,000,000"),
        ("betas=0.5", r"betas: 0.5 is not \(a number"),
    ],
)
def test_bad_settings_are_named(text, message):
    with pytest.raises(RecipeError, match=message):
        recipe("dcgan-mnist", **settings([text]))


def test_bad_values_and_names_are_named():
    with pytest.raises(RecipeError, match="did you mean 'dcgan-mnist'"):
        recipe("dcgan-mnits")
    with pytest.raises(RecipeError, match="batch: 0 is not a whole number from 1"):
        recipe("dcgan-mnist", batch=0)
    with pytest.raises(RecipeError, match="'ring8' takes none"):
        recipe("mlp-ring", data_options={"limit": 5})
    with pytest.raises(RecipeError, match="does not split"):
        recipe("dcgan-mnist", accumulate=7)
    with pytest.raises(RecipeError, match="did you mean 'dcgan'"):
        recipe("dcgan-mnist", network="dcgn")
    with pytest.raises(RecipeError, match=r"generator\.widht: .*did you mean 'width'"):
        recipe("dcgan-mnist", generator={"widht": 3})


def test_identity_leaves_out_how_long_and_how_loud():
    base = recipe("dcgan-mnist")
    assert base.identity() == base.with_(steps=9, log_every=3).identity()
    assert base.identity() != base.with_(seed=1).identity()
    linear = base.with_(schedule="linear")
    assert linear.identity() != linear.with_(steps=9).identity()


def test_precision_is_decided_for_the_device(monkeypatch):
    cpu = torch.device("cpu")
    for native, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr("ganlab.recipes.building.native_bf16", lambda device, n=native: n)
        assert precision(recipe("dcgan-mnist"), cpu) == expected
        assert precision(recipe("mlp-mnist"), cpu) == "fp32"
        assert precision(recipe("dcgan-mnist", precision="fp32"), cpu) == "fp32"


def test_seed_decides_the_weights_and_nothing_outside():
    from ganlab.data import toy

    torch.manual_seed(123)
    plan, data = recipe("mlp-ring"), toy.make("ring8")
    a, _ = build(plan, data)
    torch.manual_seed(321)
    b, _ = build(plan, data)
    c, _ = build(plan.with_(seed=1), data)
    weights = [x.generator.network.layers[0].weight for x in (a, b, c)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
