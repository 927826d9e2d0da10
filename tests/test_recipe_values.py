"""Every value of a recipe is checked once, where it is made: a line names field, value, bounds."""

from __future__ import annotations

import json

import pytest
import torch

from ganlab import cli
from ganlab.errors import RecipeError
from ganlab.recipes import RECIPES, BaseRecipe, Recipe, build, recipe, settings
from ganlab.schedules import schedule

#: setting -> a part of the line.
REFUSED = {
    "betas=(0.5,)": "betas: (0.5,) is not (a number from 0 below 1",
    "betas=(2,3)": "betas: (2, 3) is not",
    "betas=0.5": "betas: 0.5 is not",
    "generator=5": "generator: 5 is not a table of options",
    "generator.width=0": "generator.width: 0 is not a whole number from 1",
    "generator.width=-4": "generator.width: -4 is not",
    "generator.width=1.5": "generator.width: 1.5 is not",
    "generator.width=1000000": "generator.width: 1000000 is not a whole number from 1 to 4,096",
    "generator.width=true": "generator.width: True is not",
    "generator.width=[]": "generator.width: [] is not",
    "generator.latent=abc": "generator.latent: 'abc' is not a whole number",
    "generator.widht=4": "did you mean 'width'",
    "generator.batch_norm=3": "generator.batch_norm: 3 is not true or false",
    "discriminator.group=0": "option of dcgan's discriminator 'group'",
    "penalties=gp": "penalties: 'gp' is not a table of options",
    "penalties.gpp=3": "did you mean 'gp'",
    "penalties.gp=-1": "penalties.gp: -1 is not a number from 0",
    "penalties.gp=abc": "penalties.gp: 'abc' is not a number from 0",
    "penalties.gp.every=0": "penalties.gp.every: 0 is not a whole number from 1",
    "penalties.gp.weight=nan": "penalties.gp.weight: 'nan' is not",
    "g_lr.x=1": "g_lr: {'x': 1} is not a number above 0",
    "g_lr=0": "g_lr: 0 is not a number above 0",
    "g_lr=1e400": "g_lr: inf is not a number above 0",
    "g_lr=cosine:1": "g_lr: 'cosine:1' is not",
    "g_lr=cosin:1:2": "g_lr: 'cosin:1:2' is not",
    "g_lr=linear:1e-3:0": "g_lr: 'linear:1e-3:0' is not",
    "g_lr=linear:1e-3:1e-4:2": "g_lr: 'linear:1e-3:1e-4:2' is not",
    "name=a/b": "name: 'a/b' is not text",
    "seed=18446744073709551616": "seed: 18446744073709551616 is not a whole number from 0",
    "seed=-1": "seed: -1 is not",
    "data_options.count=abc": "data_options.count: 'abc' is not a whole number",
    "data_options.size=5": "data_options.size: is a field of its own: size=5",
    "data_options.charcters=AB": "did you mean 'characters'",
    "data_options=5": "data_options: 5 is not a table of options",
    "d_steps=1000000000000": "d_steps: 1000000000000 is not a whole number from 1 to 1,000",
    "samples=1000000000000": "samples: 1000000000000 is not a whole number from 1 to 10,000",
    "batch=10000000": "batch: 10000000 is not a whole number from 1 to 65,536",
    "batch=true": "batch: True is not",
    "batch=8.0": "batch: 8.0 is not",
    "steps=0": "steps: 0 is not",
    "size=0": "size: 0 is not a whole number from 1 to 4,096",
    "size=64x": "size",
    "size=0x64": "size",
    "size=64x64x3": "size",
    "channels=9": "channels: 9 is not one of 1, 2, 3, 4, 5, 6, 7, 8",
    "channels=true": "channels: True is not",
    "flip=1": "flip: 1 is not true or false",
    "flip=yes": "flip: 'yes' is not true or false",
    "half_life=-1": "half_life: -1 is not a number from 0",
    "ramp=0": "ramp: 0 is not a number above 0 to 1",
    "network=dcgn": "did you mean 'dcgan'",
    "network=5": "network: 5 is not text",
    "objective=hing": "did you mean 'hinge'",
    "objective_options.real_target=2": "objective_options.real_target: 2 is not a number above 0",
    "objective_options.x=2": "objective",
    "optimizer=adm": "optimizer: 'adm' is not one of adam, rmsprop, sgd",
    "schedule=step": "schedule: 'step' is not one of constant, linear, cosine",
    "precision=fp16": "precision: 'fp16' is not one of auto, fp32, bf16",
    "augment=colr": "colr",
    "augment_p=0.5": "augment_p: there is no augmentation",
    "augment_p=2": "augment_p: 2 is not a number from 0 to 1",
    "ada_target=-1": "ada_target: -1 is not a number from 0 to 1",
    "ada_length=0": "ada_length: 0 is not",
    "top_k=0": "top_k: 0 is not a number above 0 to 1",
    "label_flip=0.5": "label_flip: 0.5 is not a number from 0 below 0.5",
    "instance_noise=nan": "instance_noise: 'nan' is not",
    "pack=3": "is not a whole number of packs of 3",
    "accumulate=7": "batch 64 does not split into 7 parts",
    "classes=-1": "classes: -1 is not",
    "unroll=0.5": "unroll: 0.5 is not a whole number",
    "stepz=3": "did you mean 'steps'",
    "game=solo": "unknown field 'game'",
    "=3": "field=value",
    "steps": "field=value",
    "generator.=3": "field.option=value",
    "compile=none": "compile: None is not true or false",
    "data=": "data: '' is not text",
}
STYLE = {
    "generator.channel_base=-5": "generator.channel_base: -5 is not a whole number from 1",
    "discriminator.group=0": "discriminator.group: 0 is not a whole number from 1",
    "discriminator.residual=abc": "discriminator.residual: 'abc' is not true or false",
    "generator.mixing=2": "generator.mixing: 2 is not a number from 0 to 1",
    "generator.layers=0": "generator.layers: 0 is not",
}


@pytest.mark.parametrize("word", REFUSED)
def test_a_bad_setting_is_one_line(word):
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan-mnist", **settings([word]))
    assert REFUSED[word] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("word", STYLE)
def test_options_of_other_families_are_checked_as_well(word):
    with pytest.raises(RecipeError) as caught:
        recipe("stylegan2-glyphs", **settings([word]))
    assert STYLE[word] in str(caught.value)


def test_a_depth_below_zero_and_an_unknown_family_member():
    with pytest.raises(RecipeError, match=r"generator\.depth: -1 is not a whole number from 0"):
        recipe("mlp-ring", **settings(["generator.depth=-1"]))


@pytest.mark.parametrize("word", ["generator.width=4096", "discriminator.width=4096"])
def test_what_no_machine_holds_is_refused_before_a_byte_of_it_is_made(word):
    plan = recipe("dcgan-celeba", **settings([word]))
    with pytest.raises(RecipeError, match="billion weights, and the most is 2: make it narrower"):
        plan.networks((3, 64, 64))


def test_a_command_line_says_the_line_and_exits_with_2(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word, line in REFUSED.items():
        assert cli.main(["train", "dcgan-glyphs", "--set", word]) == 2, word
        err = capsys.readouterr().err
        assert err.startswith("ganlab: ")
        assert err.count("\n") == 1
        if word != "pack=3":
            assert line in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_its_json_and_its_settings(name):
    plan = recipe(name)
    values = json.loads(plan.to_json())
    assert BaseRecipe.from_json(json.dumps(values)) == plan
    again = plan.with_(
        **settings([f"{k}={v}" for k, v in values.items() if k in ("steps", "batch")])
    )
    assert again == plan


def test_a_recipe_of_the_time_of_one_game_still_loads():
    old = json.loads(recipe("wgan-gp-mnist").to_json())
    for newer in ("game", "augment_p"):
        del old[newer]
    assert BaseRecipe.from_json(json.dumps(old)) == recipe("wgan-gp-mnist")
    assert "game" not in recipe("wgan-gp-mnist").identity()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"game": "chess"}', '{"later": 1}'])
def test_what_is_no_recipe_is_refused_in_one_line(text):
    with pytest.raises(RecipeError) as caught:
        BaseRecipe.from_json(text)
    assert "\n" not in str(caught.value)


def test_other_data_leave_the_old_sets_options_behind():
    plan = recipe("stylegan2-glyphs")
    assert plan.data_options
    assert plan.with_(data="mnist").data_options == {}
    assert plan.with_(data="mnist", data_options={"limit": 9}).data_options == {"limit": 9}


# ---- schedules ----


@pytest.mark.parametrize(
    ("text", "share", "value"),
    [
        ("linear:1:0.1", 0.5, 0.55),
        ("linear:1:0.1:0.25", 0.125, 0.55),
        ("linear:1:0.1:0.25", 0.9, 0.1),
        ("cosine:1:0", 0.5, 0.5),
        ("cosine:2:1", 0.25, 2 - (1 - 2**-0.5) / 2),
        ("cosine:2:1", 1.0, 1.0),
        (0.3, 0.7, 0.3),
        ("0.3", 0.7, 0.3),
    ],
)
def test_a_schedule_is_its_formula(text, share, value):
    assert schedule(text)(share) == pytest.approx(value)


class Noise:
    """Pictures without meaning."""

    shape, classes, name = (1, 16, 16), (), "noise"

    def __init__(self):
        self.images = torch.randint(0, 256, (64, 1, 16, 16), dtype=torch.uint8)

    def __len__(self):
        return 64


SMALL = {
    "size": 16, "batch": 8, "steps": 8, "precision": "fp32", "half_life": 0,
    "generator": {"width": 4, "latent": 4}, "discriminator": {"width": 4, "norm": "none"},
}  # fmt: skip


def test_rates_weights_decays_and_chances_follow_their_schedules():
    plan = Recipe("t", **SMALL, g_lr="cosine:1e-3:1e-4", d_lr="linear:1e-3:2e-3",
                  betas=(0.0, "linear:0.9:0.98"), penalties={"r1": "cosine:1:0.1"},
                  augment="translation", augment_p="linear:0:0.8")  # fmt: skip
    assert plan.timed
    game, stream = build(plan, Noise())
    for i in range(8):
        game.round(stream)
        share = i / 8
        assert game.penalties[0].weight == pytest.approx(schedule("cosine:1:0.1")(share))
        assert game.augment.p == pytest.approx(0.8 * share)
        for player, rate in ((game.generator, plan.g_lr), (game.discriminator, plan.d_lr)):
            group = player.optimizer.param_groups[0]
            assert group["lr"] == pytest.approx(schedule(rate)(share))
            assert group["betas"] == pytest.approx((0.0, 0.9 + 0.08 * share))


def test_the_schedule_of_all_rates_multiplies_a_rates_own():
    plan = Recipe("t", **SMALL, g_lr="linear:1e-3:5e-4", schedule="linear")
    game, stream = build(plan, Noise())
    for _ in range(5):
        game.round(stream)
    rate = game.generator.optimizer.param_groups[0]["lr"]
    assert rate == pytest.approx((1 - 0.5 * 0.5) * 1e-3 * 0.5)


def test_a_chance_of_one_is_the_augmentation_and_of_zero_is_none():
    from ganlab.augment import Sometimes

    x = torch.rand(500, 1, 4, 4)
    assert torch.equal(Sometimes(lambda t: t + 1, 0.0)(x), x)
    assert torch.equal(Sometimes(lambda t: t + 1, 1.0)(x), x + 1)
    moved = (Sometimes(lambda t: t + 1, 0.3)(x) != x).flatten(1).any(1).float().mean()
    assert 0.2 < moved < 0.4


def test_ada_can_have_a_chance_of_its_own():
    plan = Recipe("t", **SMALL, augment="ada", augment_p="linear:0.2:0.6")
    game, stream = build(plan, Noise())
    for _ in range(5):
        game.round(stream)
    assert game.adaptive is None
    assert float(game.augment.p) == pytest.approx(0.4)


def test_a_schedule_is_part_of_what_a_run_is():
    plan = recipe("dcgan-mnist", g_lr="cosine:1e-3:1e-4")
    assert plan.identity() != plan.with_(steps=9).identity()
    with pytest.raises(RecipeError, match="does not go with compile"):
        plan.with_(compile=True, penalties={"r1": "cosine:1:0.1"})
