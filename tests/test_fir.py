"""Filtered resampling: the definition written out, what it keeps and what it removes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from ganlab.models import doubled, fir


def by_definition(x, k, up, down, pad):
    """Zeros in between, zeros around, a sum over taps at every place, every `down`-th kept."""
    b, c, h, w = x.shape
    wide = x.new_zeros(b, c, h * up, w * up)
    wide[:, :, ::up, ::up] = x
    wide = F.pad(wide, (*pad, *pad))
    a = len(k)
    out = x.new_zeros(b, c, wide.shape[2] - a + 1, wide.shape[3] - a + 1)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = wide[:, :, i : i + a, j : j + a]
            out[:, :, i, j] = (window * k.flip(0, 1)).sum((2, 3))
    return out[:, :, ::down, ::down]


@pytest.mark.parametrize(
    ("up", "down", "pad"),
    [
        *((1, 1, p) for p in [(0, 0), (1, 1), (2, 1), (1, 3), (-1, 2)]),
        *((2, 1, p) for p in [(2, 1), (0, 0), (3, 0), (1, 4), (-2, 1)]),
        *((1, 2, p) for p in [(1, 1), (2, 1), (0, 0)]),
        *((3, 2, p) for p in [(2, 2), (5, 1)]),
    ],
)
@pytest.mark.parametrize("asymmetric", [False, True])
def test_it_is_the_definition(up, down, pad, asymmetric):
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    k = torch.randn(4, 4, dtype=torch.float64) if asymmetric else fir.kernel(fir.SMOOTH).double()
    expected = by_definition(x, k, up, down, pad)
    assert torch.allclose(fir.upfirdn(x, k, up, down, pad), expected, atol=1e-12)


def test_the_filter_is_binomial_and_its_sum_the_gain():
    k = fir.kernel(fir.SMOOTH, gain=4)
    row = torch.tensor([1.0, 3, 3, 1])
    torch.testing.assert_close(k, 4 * row[:, None] * row / 64)


def inside(x, by=2):
    return x[:, :, by:-by, by:-by]


def test_constants_stay_and_ramps_keep_their_place():
    ones = torch.ones(1, 2, 8, 8)
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    for resize in (fir.doubling(), fir.halving(), fir.blurring()):
        torch.testing.assert_close(
            inside(resize(ones), 1), inside(torch.ones_like(resize(ones)), 1)
        )
    # Pixel u of the doubled picture is centred at (u - 1/2) / 2 of the old one: no shift.
    fine = (torch.arange(16.0) - 0.5) / 2
    torch.testing.assert_close(inside(fir.doubling()(ramp))[0, 0, 0], fine[2:-2])
    coarse = torch.arange(4.0) * 2 + 0.5
    torch.testing.assert_close(inside(fir.halving()(ramp), 1)[0, 0, 0], coarse[1:-1])


@pytest.mark.parametrize("frequency", [1 / 32, 0.125, 0.375, 0.5])
def test_a_wave_is_damped_as_the_filters_response_says(frequency):
    # cos³(ω/2): nothing is left of the finest wave, and little of one at 3/8, which the small
    # grid would show as a coarse one.
    omega = 2 * math.pi * frequency
    wave = torch.cos(omega * torch.arange(32.0)).expand(1, 1, 32, 32)
    expected = math.cos(omega / 2) ** 3 * torch.cos(omega * (2 * torch.arange(16.0) + 0.5))
    found = inside(fir.halving()(wave), 1)[0, 0]
    torch.testing.assert_close(found, expected[1:-1].expand(14, 14), atol=1e-5, rtol=0)


def test_doubling_leaves_no_copy_of_the_spectrum():
    x = torch.randn(64, 1, 16, 16)
    zeros_between = fir.upfirdn(x, torch.ones(1, 1), up=2) * 4
    spectra = [
        torch.fft.fft2(y).abs().square().mean(0)[0] for y in (zeros_between, fir.doubling()(x))
    ]
    copy = [s[12:21, 12:21].sum() for s in spectra]  # around the highest frequency
    assert copy[1] < 1e-3 * copy[0]


def test_repeating_pixels_and_blurring_is_doubling():
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(
        inside(fir.blurring()(doubled(x))), inside(fir.doubling()(x)), atol=1e-6, rtol=0
    )


def test_a_transposed_convolution_then_the_filter_is_doubling_then_a_convolution():
    x, w = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3)
    fast = fir.after_transposed()(F.conv_transpose2d(x, w.transpose(0, 1), stride=2))
    plain = F.conv2d(fir.doubling()(x), w.flip(2, 3), padding=1)
    assert fast.shape == plain.shape
    torch.testing.assert_close(inside(fast), inside(plain), atol=1e-5, rtol=0)


def test_the_filter_then_a_strided_convolution_keeps_the_place_of_halving():
    x = torch.randn(2, 1, 8, 8)
    centre = torch.zeros(1, 1, 3, 3)
    centre[0, 0, 1, 1] = 1
    strided = F.conv2d(fir.before_strided()(x), centre, stride=2)
    torch.testing.assert_close(strided, fir.halving()(x))


def test_two_derivatives_and_memory_format():
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    for resize in (fir.doubling(), fir.halving(), fir.after_transposed()):
        f = lambda x, r=resize: r(x) ** 2  # noqa: E731
        assert gradcheck(f, x)
        assert gradgradcheck(f, x)
    last = torch.randn(2, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    for resize in (fir.doubling(), fir.halving()):
        assert resize(last).is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(resize(last), resize(last.contiguous()))
        assert resize(last.bfloat16()).dtype == torch.bfloat16
