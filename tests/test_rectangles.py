"""Networks for pictures higher or wider than a square: drawn, judged, played with, exported."""

from __future__ import annotations

import pytest
import torch

from ganlab import latent
from ganlab.data import ImageSet, Stream
from ganlab.deploy import to_onnx
from ganlab.errors import RecipeError
from ganlab.game import AdversarialGame, Player
from ganlab.latent import noise_penalty
from ganlab.losses import objective
from ganlab.metrics import Network
from ganlab.metrics.features import _examples
from ganlab.models import dcgan, mlp, modern, progan, resnet, stylegan, stylegan2
from ganlab.models.shapes import start

WRONG = "must be a whole number of pixels from 1 to 4096, or a height and a width"
FAMILIES = {
    "dcgan": (dcgan, {"width": 8}, {"width": 8}),
    "resnet": (resnet, {"width": 8}, {"width": 8}),
    "modern": (modern, {"width": 16, "blocks": 1}, {"width": 16, "blocks": 1}),
    "modern-patch": (modern, {"width": 16, "patch": 2}, {"width": 16, "patch": 2}),
    "stylegan2": (
        stylegan2,
        {"latent": 16, "style": 16, "layers": 2, "channel_max": 16},
        {"channel_max": 16},
    ),
}


def _pictures(high, wide):
    draw = torch.Generator().manual_seed(0)
    shape = (20, 3, high, wide)
    return ImageSet("noise", torch.randint(256, shape, generator=draw, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (32, (4, 4, 3)),
        ((32, 64), (4, 8, 3)),
        ((64, 32), (8, 4, 3)),
        ((64, 96), (4, 6, 4)),
        ((48, 40), (6, 5, 3)),
        ((32, 320), (4, 40, 3)),
    ],
)
def test_where_a_picture_starts(size, expected):
    assert start(size, (16, 32, 64, 128), "not ") == expected


MULTIPLES = r"both sides must be multiples of 16 \(4 doublings of a start of at least 4\): try "
SQUARES = "networks that grow make squares only; dcgan, resnet, modern, stylegan2 and mlp take"


@pytest.mark.parametrize(
    ("make", "size", "line"),
    [
        (dcgan.Generator, (64, 100), f"size 64x100: {MULTIPLES}64x96"),
        (dcgan.Discriminator, (100, 64), f"size 100x64: {MULTIPLES}96x64"),
        (resnet.Generator, (79, 70), f"size 79x70: {MULTIPLES}80x64"),
        (modern.Generator, (65, 66), f"size 65x66: {MULTIPLES}64x64"),
        (modern.Discriminator, (81, 82), f"size 81x82: {MULTIPLES}80x96"),
        (stylegan2.Generator, (64, 100), f"size 64x100: {MULTIPLES}64x96"),
        (dcgan.Generator, (8, 16), "size 8x16: the shorter side must be from 16 to 255 pixels"),
        (resnet.Discriminator, (128, 256), "the shorter side must be from 32 to 127 pixels"),
        (stylegan2.Discriminator, (4, 8), "the shorter side must be from 8 to 2047 pixels"),
        (dcgan.Generator, (48, 48), r"DCGAN is defined for sizes \(16, 32, 64, 128\), not 48"),
        (stylegan2.Generator, (48, 48), "a power of two from 8 to 1024, not 48"),
        (dcgan.Generator, (32, 0), rf"size=\(32, 0\) {WRONG}"),
        (progan.Generator, (32, 64), f"size 32x64: {SQUARES}"),
        (progan.Discriminator, (64, 32), f"size 64x32: {SQUARES}"),
        (stylegan.Generator, (32, 64), f"size 32x64: {SQUARES}"),
        (stylegan.Discriminator, "axb", f"size='axb' {WRONG}"),
    ],
)
def test_sizes_that_a_family_cannot_make_are_refused_in_one_line(make, size, line):
    with pytest.raises(RecipeError, match=line) as caught:
        make(size=size)
    assert "\n" not in str(caught.value)


def test_what_a_refusal_proposes_can_be_made():
    for high in range(16, 256, 5):
        for wide in range(16, 300, 7):
            try:
                start((high, wide), dcgan.SIZES, "")
            except RecipeError as error:
                if ": try " in str(error):
                    near = str(error).rpartition(" ")[2]
                    assert start(near, dcgan.SIZES, "").at(2)


def _pair(family, size):
    module, for_g, for_d = FAMILIES[family]
    torch.manual_seed(0)
    return module.Generator(size=size, **for_g), module.Discriminator(size=size, **for_d)


@pytest.mark.parametrize("size", [(32, 64), (64, 32), (40, 48)])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_draws_and_judges_rectangles_and_every_weight_learns(family, size):
    g, d = _pair(family, size)
    for player in (g, d):
        for weight in player.parameters():  # out of the zeros of Fixup and of the noise strengths
            if not weight.any():
                torch.nn.init.normal_(weight, 0.0, 0.1)
    z = g.sample_latent(4, torch.Generator().manual_seed(1))
    pictures = g(z)
    assert pictures.shape == (4, 3, *size)
    assert g.size == size
    logits = d(pictures)
    assert logits.shape == (4,)
    assert d.features(pictures).shape[0] == 4
    (logits.square().sum() + logits.sum()).backward()
    for player in (g, d):
        for name, weight in player.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.any(), name


def test_an_mlp_takes_any_shape():
    g, d = mlp.Generator(8, (3, 10, 23), width=8), mlp.Discriminator((3, 10, 23), width=8)
    assert d(g(torch.randn(4, 8))).shape == (4,)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_square_given_as_a_pair_is_the_same_network_to_the_bit(family):
    for one, pair in zip(_pair(family, 32), _pair(family, (32, 32))):
        assert repr(one) == repr(pair)
        state, other = one.state_dict(), pair.state_dict()
        assert list(state) == list(other)
        assert all(state[key].equal(other[key]) for key in state)
    g, same = _pair(family, 32)[0], _pair(family, "32x32")[0]
    assert g.size == same.size == 32
    z = torch.randn(4, g.latent, generator=torch.Generator().manual_seed(1))
    assert g.eval()(z).equal(same.eval()(z))


def test_growing_families_take_a_square_pair():
    assert progan.Generator(size=(16, 16), latent=8, channel_max=8).size == 16
    assert stylegan.Discriminator(size="16x16", channel_max=8).size == 16


def test_rectangles_have_the_channels_of_the_square_in_them():
    square, wide = _pair("stylegan2", 32)[0].state_dict(), _pair("stylegan2", (32, 64))[0]
    for name, value in wide.state_dict().items():
        if "fixed" in name:
            assert value.shape[3] == 2 * value.shape[2] == 2 * square[name].shape[2]
        elif name == "start":
            assert value.shape == (square[name].shape[0], 4, 8)
        else:
            assert value.shape == square[name].shape, name


def test_resampling_a_rectangle_keeps_mean_and_constant_along_both_axes():
    up, down = modern.Resample((4, 6), up=True), modern.Resample((4, 6), up=False)
    x = torch.randn(2, 3, 4, 6)
    assert up(x).shape == (2, 3, 8, 12)
    assert down(up(x)).shape == x.shape
    torch.testing.assert_close(up(x).mean((2, 3)), x.mean((2, 3)))
    torch.testing.assert_close(up(torch.ones(1, 1, 4, 6)), torch.ones(1, 1, 8, 12))
    torch.testing.assert_close(
        up(x), torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    )


def test_projection_finds_a_rectangle_again_with_noise_maps_of_its_shapes():
    g, _ = _pair("stylegan2", (16, 32))
    target = g.eval()(torch.randn(1, 16, generator=torch.Generator().manual_seed(3))).detach()
    found = latent.project(g, target, steps=30)
    assert found.images.shape == (1, 3, 16, 32)
    assert [m.shape[2:] for m in found.noise] == [(4, 8), *[(8, 16)] * 2, *[(16, 32)] * 2]
    assert found.distance[0] < 0.5 * found.history[0, 0]


def test_the_noise_penalty_halves_a_map_until_its_shorter_side_is_8():
    calm = torch.ones(1, 1, 16, 32)  # 1 in both directions at 16 x 32, 4 times 4 at 8 x 16
    assert noise_penalty(calm).item() == 2 * 1 + 2 * 16


def test_onnx_draws_the_same_rectangle(tmp_path):
    made = to_onnx(_pair("stylegan2", (8, 16))[0].eval(), tmp_path / "g.onnx")
    assert made.outputs == {"image": "(batch, 3, 8, 16)"}
    assert made.difference < 1e-4


def test_minibatch_discrimination_reads_the_whole_map():
    d = dcgan.Discriminator((16, 32), 1, width=4, norm="none", minibatch="discrimination")
    assert d(torch.randn(4, 1, 16, 32)).shape == (4,)


def test_the_classifier_turns_the_square_in_the_middle():
    data = _pictures(32, 64)
    x, turns = _examples(data, torch.arange(8), False, torch.Generator().manual_seed(0))
    assert x.shape == (8, 3, 32, 32)
    assert len(set(turns.tolist())) > 1
    upright = data.batch(torch.arange(8))[:, :, :, 16:48]
    for got, picture, k in zip(x, upright, turns):
        assert torch.rot90(got, -int(k), (1, 2)).equal(picture)
    assert Network(3, 4)(data.batch(torch.arange(8))).shape == (8, 4)


def test_a_game_on_rectangles_moves_both_players_and_is_the_same_again():
    data = _pictures(16, 32)

    def play():
        torch.manual_seed(0)
        players = [
            Player(name, network, torch.optim.Adam(network.parameters(), 1e-3))
            for name, network in (
                ("generator", dcgan.Generator(data.shape[1:], 3, latent=8, width=4)),
                ("discriminator", dcgan.Discriminator(data.shape[1:], 3, width=4)),
            )
        ]
        before = [p.clone() for player in players for p in player.network.parameters()]
        game = AdversarialGame(*players, objective("non-saturating"), precision="fp32", seed=1)
        stream = Stream(data, 8, seed=2, flip=True)
        for _ in range(2):
            game.round(stream)
        after = [p for player in players for p in player.network.parameters()]
        assert not any(a.equal(b) for a, b in zip(before, after))
        return [p.detach() for p in after]

    assert all(a.equal(b) for a, b in zip(play(), play()))
