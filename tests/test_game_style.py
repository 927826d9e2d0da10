"""Rounds of the style-based family: growth, lazy penalties, ADA, and resuming all of it."""

import pytest
import torch
from game_kit import resumed

from ganlab.errors import RecipeError
from ganlab.game import needed_passes
from ganlab.recipes import Recipe, build
from ganlab.training.ideal import ideal_seconds

NARROW = {"latent": 16, "channel_base": 64, "channel_max": 8}
D = {"channel_base": 64, "channel_max": 8}
STYLE = NARROW | {"style": 16, "layers": 2}
GROW = {"hold": 16, "fade": 16, "first": 4}
RULES = dict(size=16, channels=3, batch=8, precision="fp32", channels_last=False, betas=(0.0, 0.99),
             penalties={"r1": {"weight": 1.0, "every": 2}})  # fmt: skip
FAMILIES = {
    "progan": dict(network="progan", generator=NARROW | GROW, discriminator=D | GROW),
    "stylegan": dict(
        network="stylegan",
        generator=STYLE | GROW | {"growing": True},
        discriminator=D | GROW | {"growing": True},
    ),
    "stylegan2": dict(
        network="stylegan2",
        generator=STYLE,
        discriminator=D,
        penalties={"r1": {"weight": 1.0, "every": 2}, "path-length": {"every": 2}},
        augment="ada",
        ada_length=64.0,
    ),
}


class Colours:
    """Plain pictures, as an `ImageSet` gives them."""

    shape, name, note, labels = (3, 16, 16), "colours", "", None

    def __init__(self, n=48):
        draw = torch.Generator().manual_seed(0)
        self.images = (torch.rand(n, 3, 1, 1, generator=draw) * 255).expand(-1, 3, 16, 16)
        self.images = self.images.to(torch.uint8).contiguous()

    def __len__(self):
        return len(self.images)


def play(family, **changes):
    return build(Recipe("test", **(RULES | FAMILIES[family] | changes)), Colours())


def test_networks_grow_together_by_the_images_shown():
    game, stream = play("progan")
    g, d, best = game.generator.network, game.discriminator.network, game.generator.best
    sizes = []
    for _ in range(11):
        game.round(stream)
        assert g.resolution == d.resolution == best.resolution
        assert float(g.alpha) == float(d.alpha) == float(best.alpha)
        sizes.append((g.resolution, round(float(g.alpha), 2)))
    # 16 images at 4 px, then 16 to fade in 8 px and 16 at it, and so on: 8 images a round.
    assert sizes == [(4, 1), (4, 1), (8, 0), (8, 0.5), (8, 1), (8, 1),
                     (16, 0), (16, 0.5), (16, 1), (16, 1), (16, 1)]  # fmt: skip
    assert game.images == 88
    assert game.sample(game.latent(2)).shape == (2, 3, 16, 16)


def test_d_meets_real_and_generated_pictures_of_one_size():
    game, stream = play("progan")
    seen = []
    game.discriminator.network.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[-1]))
    for _ in range(4):
        game.round(stream)
    assert set(seen[: len(seen) // 2]) == {4}
    assert set(seen[len(seen) // 2 :]) == {8}
    assert ideal_seconds(game, next(stream), repeats=1) > 0


def test_path_length_counts_among_the_needed_passes():
    game, stream = play("stylegan2")
    every = next(p.every for p in game.penalties if p.side == "g")
    passes = needed_passes(game, next(stream))
    assert passes["g path length"].times == 1 / every
    assert passes["g path length"].run()


def test_ada_moves_p_and_counts_every_round():
    game, stream = play("stylegan2")
    with torch.no_grad():
        game.discriminator.network.head.bias.fill_(100)  # sure of every picture: r is 1
    for _ in range(8):
        report = game.round(stream)
    assert report["ada_p"] == game.augment.ada.p
    # 8 rounds of 8 images at length 64: one step of 4 · 8 / 64 each 4 rounds.
    assert float(game.augment.ada.p) == pytest.approx(1.0)
    assert float(game.augment.r) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_resumed_game_goes_on_to_the_same_bits(family):
    # After 4 rounds, growing: in the middle of a fade; lazy penalties: between two.
    game, again, _ = resumed(lambda: play(family), lambda: play(family), before=4)
    for mine, its in zip(game.players, again.players, strict=True):
        for name, value in mine.network.state_dict().items():
            assert torch.equal(value, its.network.state_dict()[name]), name
        for name, value in mine.best.state_dict().items():
            assert torch.equal(value, its.best.state_dict()[name]), name
    if family == "stylegan2":
        assert torch.equal(game.augment.ada.p, again.augment.ada.p)
        assert torch.equal(game.penalties[1].mean, again.penalties[1].mean)
        assert float(game.penalties[1].mean) > 0


def test_path_length_needs_styles():
    game, stream = play("progan", penalties={"path-length": {}})
    with pytest.raises(RecipeError, match="needs a generator with styles"):
        game.round(stream)
