"""Augmentation that gradients flow through, and noise that fades."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from ganlab.augment import diff as a
from ganlab.errors import RecipeError


def seeded(transform):
    def run(x):
        torch.manual_seed(7)
        return transform(x)

    return run


def test_a_pixel_moves_by_the_amount():
    x = torch.zeros(3, 2, 8, 10)
    x[:, :, 4, 5] = torch.tensor([[1.0, 2.0]])
    y = a.shift(x, torch.tensor([0, 2, -3]), torch.tensor([0, -1, 4]))
    expected = torch.zeros_like(x)
    for i, (row, column) in enumerate([(4, 5), (6, 4), (1, 9)]):
        expected[i, :, row, column] = torch.tensor([1.0, 2.0])
    assert torch.equal(y, expected)


def test_translation_pads_with_zeros():
    y = a.shift(torch.ones(1, 1, 8, 8), torch.tensor([3]), torch.tensor([-2]))
    assert y[0, 0, :3].abs().sum() == 0
    assert y[0, 0, :, 6:].abs().sum() == 0
    assert (y[0, 0, 3:, :6] == 1).all()
    assert a.shift(torch.ones(1, 1, 8, 8), torch.tensor([8]), torch.tensor([0])).sum() == 0


def test_translation_takes_every_amount_up_to_an_eighth():
    x = torch.zeros(2000, 1, 16, 32)
    x[:, :, 8, 16] = 1
    places = a.translation(x).flatten(1).argmax(1)
    rows, columns = places // 32 - 8, places % 32 - 16
    assert sorted(set(rows.tolist())) == list(range(-2, 3))
    assert sorted(set(columns.tolist())) == list(range(-4, 5))
    assert abs(torch.corrcoef(torch.stack([rows, columns]).float())[0, 1]) < 0.1


def test_cutout_erases_a_square_of_half_the_side():
    n, side = 4000, 16
    kept = a.cutout(torch.ones(n, 3, side, side))
    assert torch.equal(kept[:, 0], kept[:, 2])  # all channels alike
    hidden = kept[:, 0] == 0
    rows, columns = hidden.any(2), hidden.any(1)
    assert torch.equal(hidden, rows[:, :, None] & columns[:, None])  # a rectangle
    assert rows.sum(1).max() == side // 2
    whole = (rows.sum(1) == side // 2) & (columns.sum(1) == side // 2)
    assert (hidden[whole].float().mean((1, 2)) == 0.25).all()
    # Centre c hides [c-4, c+4): of 16 centres 8 reach row 8, 5 reach row 0, 4 reach row 15.
    often = hidden.float().mean(0)
    for place, centres in ((8, 8), (0, 5), (15, 4)):
        assert often[place, place].item() == pytest.approx((centres / 16) ** 2, abs=0.03)
    assert often.max() < 0.3


def test_colour_has_the_published_ranges():
    x = torch.rand(1, 3, 4, 4).repeat(4000, 1, 1, 1) - 0.5
    moved = (a.brightness(x) - x).flatten(1)
    assert moved.std(1).max() < 1e-6  # one number per sample
    amount = moved[:, 0]
    assert -0.5 <= amount.min() < -0.48
    assert 0.48 < amount.max() <= 0.5

    grey = x.mean(1, keepdim=True)
    factor = ((a.saturation(x) - grey) / (x - grey)).flatten(1).median(1).values
    assert 0 <= factor.min() < 0.02
    assert 1.98 < factor.max() <= 2

    mean = x.mean((1, 2, 3), keepdim=True)
    factor = ((a.contrast(x) - mean) / (x - mean)).flatten(1).median(1).values
    assert 0.5 <= factor.min() < 0.51
    assert 1.49 < factor.max() <= 1.5


def test_colour_keeps_the_mean_over_many_draws():
    x = (torch.rand(1, 3, 4, 4) - 0.5).repeat(20000, 1, 1, 1)
    assert torch.allclose(a.color(x).mean(0), x[0], atol=0.02)


def test_saturation_leaves_one_channel_alone():
    x = torch.randn(4, 1, 8, 8)
    assert torch.allclose(a.saturation(x), x, atol=1e-6)


def test_flip_mirrors_half_of_the_samples():
    x = torch.arange(6.0).view(1, 1, 2, 3).repeat(1000, 1, 1, 1)
    y = a.flip(x)
    mirrored = (y == x.flip(3)).flatten(1).all(1)
    assert ((y == x).flatten(1).all(1) ^ mirrored).all()
    assert 400 < mirrored.sum() < 600


@pytest.mark.parametrize("policy", [*a.TRANSFORMS, "color,translation,cutout"])
def test_gradient_equals_finite_differences(policy):
    transform = seeded(a.DiffAugment(policy))
    x = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    assert gradcheck(transform, x)
    assert transform(x).dtype == torch.float64


def test_second_derivatives_for_penalties():
    transform = seeded(a.DiffAugment())
    x = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    assert gradgradcheck(lambda x: transform(x) ** 2, x)


@pytest.mark.parametrize("policy", [*a.TRANSFORMS, "color,translation,cutout"])
def test_samples_differ_and_a_seed_repeats_them(policy):
    x = torch.randn(1, 3, 16, 16).repeat(16, 1, 1, 1)
    transform = a.DiffAugment(policy)
    y = seeded(transform)(x)
    assert y.shape == x.shape
    assert not torch.equal(y, y[:1].expand_as(y))
    assert torch.equal(seeded(transform)(x), y)
    assert not torch.equal(transform(x), y)  # the random state has moved on


def test_a_sample_does_not_see_the_others():
    transform = seeded(a.DiffAugment())
    x = torch.randn(4, 3, 16, 16)
    other = x.clone()
    other[1:] = torch.randn(3, 3, 16, 16)
    assert torch.equal(transform(x)[0], transform(other)[0])


def test_the_policy_is_applied_in_order():
    def double(x):
        return 2 * x

    def add(x):
        return x + 1

    x = torch.ones(1, 1, 4, 4)
    assert a.DiffAugment([double, add])(x).unique().item() == 3
    assert a.DiffAugment([add, double])(x).unique().item() == 4
    erased = a.DiffAugment("brightness, cutout")(torch.zeros(64, 1, 8, 8))
    assert (erased == 0).any()  # cutout last: its zeros stay
    filled = a.DiffAugment("cutout, brightness")(torch.zeros(64, 1, 8, 8))
    assert not (filled == 0).any()


def test_formats_and_precision():
    x = torch.randn(4, 3, 16, 16)
    last = x.to(memory_format=torch.channels_last)
    run = seeded(a.DiffAugment())
    assert torch.allclose(run(last), run(x), atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(run(x), run(x.float()))
        assert run(x).dtype == torch.float32
    low = run(x.bfloat16())
    assert low.dtype == torch.bfloat16
    assert torch.allclose(low.float(), run(x), atol=0.1)
    assert a.DiffAugment()(torch.randn(2, 1, 28, 28)).shape == (2, 1, 28, 28)


def test_policies_are_parsed():
    assert repr(a.augment("color, cutout")) == "DiffAugment('color,cutout')"
    assert a.augment("") is None
    with pytest.raises(RecipeError, match="unknown augmentation 'colour': did you mean 'color'"):
        a.augment("colour,cutout")
    with pytest.raises(RecipeError, match="needs pictures") as error:
        a.DiffAugment()(torch.zeros(4, 2))
    assert "\n" not in str(error.value)


def test_instance_noise_fades_linearly():
    noise = a.InstanceNoise(0.4)
    assert [noise.at(s) for s in (0, 0.5, 1, 2, -1)] == pytest.approx([0.4, 0.2, 0, 0, 0.4])
    x = torch.randn(2, 20000)
    added = noise(x, 0.5) - x
    assert added.std().item() == pytest.approx(0.2, rel=0.02)
    assert added.mean().abs() < 0.01
    assert noise(x, 1.0) is x
    with pytest.raises(RecipeError, match="not be negative"):
        a.InstanceNoise(-0.1)
