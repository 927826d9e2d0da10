"""ADA: every transformation against its formula, how often each happens, and p's controller."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ganlab.augment import PRESETS, Ada, AdaptiveP
from ganlab.augment import ada_ops as ops
from ganlab.errors import RecipeError

NO = torch.zeros(1)
ONE = torch.ones(1)


def smooth(n=32, channels=3, batch=2):
    """Pictures without detail at the scale of pixels, so that resampling is nearly exact."""
    x = F.interpolate(torch.randn(batch, channels, 5, 5), (n, n), mode="bicubic")
    return F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)


def inside(x, by=4):
    return x[..., by:-by, by:-by]


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_symlets_are_orthogonal_and_kill_polynomials(n):
    h = np.array(ops.symlet(n))
    assert len(h) == 2 * n
    for k in range(n):
        assert (h[2 * k :] * h[: len(h) - 2 * k]).sum() == pytest.approx(float(k == 0), abs=1e-9)
    highpass = h * (-1.0) ** np.arange(len(h))
    for moment in range(n):
        assert (highpass * np.arange(len(h)) ** moment).sum() == pytest.approx(0, abs=1e-5)


def test_the_symlet_of_two_moments_is_daubechies():
    root = math.sqrt(3)
    known = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * math.sqrt(2))
    h = np.array(ops.symlet(2))
    assert min(np.abs(h - known).max(), np.abs(h[::-1] - known).max()) < 1e-12


def test_bands_add_up_to_identity_and_lie_in_their_octaves():
    bank = np.array(ops.bands())
    assert np.allclose(bank.sum(0), np.eye(43)[21])
    assert np.allclose(bank, bank[:, ::-1])
    response = np.abs(np.fft.rfft(bank, 512))
    middles = np.array([1 / 32, 3 / 32, 3 / 16, 3 / 8]) * 512  # of each octave
    assert [int(response[:, int(m)].argmax()) for m in middles] == [0, 1, 2, 3]


def test_p_0_is_the_identity_bit_for_bit():
    x = torch.randn(8, 3, 16, 16)
    for policy in PRESETS:
        assert torch.equal(Ada(policy, 0.0)(x), x)


def test_samples_not_chosen_stay_bit_for_bit():
    x = torch.randn(64, 3, 16, 16)
    for policy in PRESETS:
        y = Ada(policy, 0.1)(x)
        same = (y == x).flatten(1).all(1)
        assert 0 < same.sum() < 64


def test_blitting_copies_pixels():
    x = torch.randn(4, 3, 8, 8)
    none, zero = torch.zeros(4, dtype=torch.bool), torch.zeros(4, dtype=torch.long)
    assert torch.equal(ops.blit(x, ~none, zero, zero, zero), x.flip(3))
    for k in range(4):
        assert torch.equal(ops.blit(x, none, zero + k, zero, zero), torch.rot90(x, k, (2, 3)))
        assert torch.equal(
            ops.blit(x, ~none, zero + k, zero, zero), torch.rot90(x.flip(3), k, (2, 3))
        )
    moved = ops.blit(x, none, zero, zero + 1, zero - 2)
    assert torch.equal(moved[:, :, 1:, :-2], x[:, :, :-1, 2:])
    assert torch.equal(moved[:, :, 0, :-2], x[:, :, 1, 2:])  # mirrored at the border


def test_the_affine_map_is_the_product_of_its_parts():
    scale, before, stretch, after, right, down = torch.randn(6, 5).double() * 0.3
    scale, stretch = scale.exp(), stretch.exp()
    inverse = ops.affine(scale, before, stretch, after, right, down)

    def turn(a):
        return torch.tensor([[a.cos(), -a.sin()], [a.sin(), a.cos()]], dtype=torch.float64)

    for i in range(5):
        forward = turn(after[i]) @ torch.diag(torch.stack([stretch[i], 1 / stretch[i]]))
        forward = forward @ turn(before[i]) * scale[i]
        there = torch.randn(2, dtype=torch.float64)
        here = forward @ there + torch.stack([right[i], down[i]])
        back = inverse[i] @ torch.cat([here, torch.ones(1, dtype=torch.float64)])
        torch.testing.assert_close(back, there)


def test_resampling_without_a_map_is_the_identity():
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(ops.warp(x, torch.eye(2, 3).expand(2, 2, 3)), x, atol=5e-5, rtol=0)


def test_small_and_large_pictures_are_resampled_alike(monkeypatch):
    x, fine = torch.randn(1, 2, 20, 20), torch.randn(1, 2, 50, 50)
    by_products = ops.doubled(x, 8), ops.halved(fine)
    monkeypatch.setattr(ops, "LARGE", 0)
    torch.testing.assert_close(ops.doubled(x, 8), by_products[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(ops.halved(fine), by_products[1], atol=1e-5, rtol=0)


def test_warps_with_a_known_answer():
    x = smooth()
    two = torch.ones(2)

    def warped(scale=1.0, angle=0.0, stretch=1.0, right=0.0, down=0.0, y=x):
        numbers = (two * v for v in (scale, angle, stretch, 0.0, right, down))
        return ops.warp(y, ops.affine(*numbers))

    # A positive angle turns x towards y, which points down: clockwise.
    torch.testing.assert_close(
        inside(warped(angle=math.pi / 2)), inside(x.rot90(-1, (2, 3))), atol=0.02, rtol=0
    )
    moved = warped(right=3.0, down=-2.0)
    torch.testing.assert_close(inside(moved[:, :, :-2, 3:]), inside(x[:, :, 2:, :-3]),
                               atol=1e-3, rtol=0)  # fmt: skip
    # A ramp's slope shows scale, stretch and a move by half a pixel exactly.
    ramp = (torch.arange(32.0) - 15.5).expand(2, 1, 32, 32) / 16
    for options, slope, offset in (
        ({"scale": 2.0}, 0.5, 0.0),
        ({"stretch": 2.0}, 0.5, 0.0),
        ({"right": 0.5}, 1.0, -0.5 / 16),
    ):
        torch.testing.assert_close(
            inside(warped(y=ramp, **options), 10), inside(ramp * slope + offset, 10),
            atol=2e-3, rtol=0,
        )  # fmt: skip
    torch.testing.assert_close(
        inside(warped(y=ramp.mT, stretch=2.0), 12), inside(ramp.mT * 2, 12), atol=2e-3, rtol=0
    )


def test_detail_that_shrinking_cannot_keep_is_damped():
    finest = (1 - 2 * (torch.arange(64) % 2)).float().expand(1, 1, 64, 64)
    half = ops.warp(finest, ops.affine(ONE * 0.55, NO, ONE, NO, NO, NO))
    assert inside(half, 20).std() < 0.35  # dropping pixels would keep all of it as stripes


def test_color_matrices_are_their_formulas():
    grey = torch.full((3,), 1 / math.sqrt(3))
    perpendicular = torch.tensor([1.0, -1, 0]) / math.sqrt(2)
    flip = ops.color_matrix(ONE, NO, ONE, ONE)[0]
    torch.testing.assert_close(flip @ grey, -grey)
    torch.testing.assert_close(flip @ perpendicular, perpendicular)
    third = ops.color_matrix(NO, ONE * 2 * math.pi / 3, ONE, ONE)[0]
    torch.testing.assert_close(third @ torch.eye(3)[0], torch.eye(3)[1], atol=1e-6, rtol=0)
    plain = ops.color_matrix(NO, NO, ONE * 0, ONE)[0]
    torch.testing.assert_close(plain, torch.full((3, 3), 1 / 3))
    torch.testing.assert_close(ops.color_matrix(NO, NO, ONE, ONE * 2)[0], 2 * torch.eye(3))
    x = torch.randn(1, 3, 4, 4)
    expected = torch.einsum("ij,bjhw->bihw", third, x + 0.3)
    torch.testing.assert_close(ops.recolor(x, third[None], ONE * 0.3), expected)
    # A grey picture of one channel changes as one of three equal channels does.
    matrix = ops.color_matrix(ONE, ONE, ONE * 3, ONE * 2)
    one = torch.randn(1, 1, 4, 4)
    three = ops.recolor(one.expand(-1, 3, -1, -1), matrix, ONE * 0.2)
    torch.testing.assert_close(ops.recolor(one, matrix, ONE * 0.2), three[:, :1])


def test_band_gains_filter_noise_and_cutout():
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(ops.equalize(x, torch.ones(2, 4)), x, atol=1e-5, rtol=0)
    flat = torch.ones(2, 3, 16, 16)
    gains = torch.tensor([[2.0, 1, 1, 1], [1, 5, 5, 5]])
    torch.testing.assert_close(ops.equalize(flat, gains)[0], 4 * flat[0])  # along both axes
    torch.testing.assert_close(ops.equalize(flat, gains)[1], flat[1])
    hole = ops.cut(flat, torch.tensor([0.5, 0.0]), torch.tensor([0.5, 1.0]))
    assert hole[0, 0].sum() == 256 - 64
    assert not hole[0, :, 4:12, 4:12].any()
    assert hole[1, 0].sum() == 256 - 16  # a quarter of the hole lies inside
    assert not hole[1, :, 12:, :4].any()
    y = Ada("noise", 1.0)(torch.zeros(4000, 1, 4, 4))
    # σ is half-normal with 0.1: E σ² = 0.01.
    assert y.square().mean().item() == pytest.approx(0.01, rel=0.1)


def test_each_happens_with_its_probability_and_so_does_not_leak():
    """At p < 1 the picture as it was stays the likeliest of the turned ones (Sec. 2.2)."""
    torch.manual_seed(0)
    x = torch.zeros(8000, 1, 8, 8)
    x[:, :, :4, :4] = 1  # a corner, which moves by up to one pixel
    y = Ada("blit", 0.6)(x)
    corners = torch.stack([y[:, 0, i, j] for i, j in [(2, 2), (2, 5), (5, 5), (5, 2)]], 1)
    share = corners.mean(0)
    # A turn with 0.6 to one of four; then mirrored with 0.3, which swaps left and right.
    turned = torch.tensor([0.55, 0.15, 0.15, 0.15])
    expected = 0.7 * turned + 0.3 * turned[[1, 0, 3, 2]]
    torch.testing.assert_close(share, expected, atol=0.02, rtol=0)
    assert share.argmax() == 0
    for policy in ("noise", "cutout"):
        z = torch.ones(4000, 1, 8, 8)
        changed = (Ada(policy, 0.3)(z) != z).flatten(1).any(1).float().mean()
        assert changed.item() == pytest.approx(0.3, abs=0.03)


def test_either_turn_happens_with_p(monkeypatch):
    drawn = {}
    affine = ops.affine
    monkeypatch.setattr(
        ops, "affine", lambda *a: drawn.update(zip(("s", "before", "x", "after"), a)) or affine(*a)
    )
    torch.manual_seed(0)
    Ada("geom", 0.36)(torch.zeros(6000, 1, 8, 8))
    turned = (drawn["before"] != 0) | (drawn["after"] != 0)
    assert turned.float().mean().item() == pytest.approx(0.36, abs=0.02)
    assert (drawn["before"] != 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    logs = drawn["s"][drawn["s"] != 1].log2()
    assert (logs.mean().item(), logs.std().item()) == pytest.approx((0, 0.2), abs=0.02)


@pytest.mark.parametrize("policy", PRESETS)
def test_gradients_flow_in_either_precision(policy):
    for channels, dtype in ((3, torch.float32), (1, torch.bfloat16)):
        x = torch.randn(16, channels, 16, 16, dtype=dtype, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16):
            y = Ada(policy, 0.5)(x)
        assert y.dtype == dtype
        assert y.shape == x.shape
        y.float().square().sum().backward()
        assert x.grad.isfinite().all()
        assert x.grad.abs().sum() > 0


def play(controller, a_real, rounds):
    for _ in range(rounds):
        controller.update(a_real)
    return float(controller.ada.p)


def test_p_follows_the_sign_of_real_logits():
    sure, unsure = torch.full((50,), 3.0), torch.linspace(-1, 1, 50)
    c = AdaptiveP(Ada("blit"), target=0.6, length=1000, every=4)
    assert play(c, sure, 3) == 0
    assert play(c, sure, 1) == pytest.approx(0.2)  # 200 of 1000 images
    assert float(c.r) == 1
    assert play(c, unsure, 4) == pytest.approx(0.0)
    assert play(c, unsure, 8) == 0
    assert play(c, sure, 40) == 1
    mostly = torch.cat([torch.ones(45), -torch.ones(5)])  # a mean sign of 0.8
    c.ada.p.fill_(0.5)
    assert play(c, mostly, 4) == pytest.approx(0.7)
    assert float(c.r) == pytest.approx(0.8)


def test_the_controller_resumes_between_two_steps():
    one = AdaptiveP(Ada("bgc", 0.3), length=1000)
    play(one, torch.ones(50), 6)
    other = AdaptiveP(Ada("bgc"), length=1000)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other.ada.p, one.ada.p)
    for _ in range(2):
        assert play(one, -torch.ones(70), 1) == play(other, -torch.ones(70), 1)
    assert float(one.ada.p) != pytest.approx(0.3)


def test_refusals():
    with pytest.raises(RecipeError, match="did you mean 'color'"):
        Ada("colour")
    with pytest.raises(RecipeError, match=r"p of ADA must be in \[0, 1\]"):
        Ada("bgc", 1.5)
    with pytest.raises(RecipeError, match="ADA needs square pictures"):
        Ada("bgc", 0.5)(torch.zeros(2, 3, 8, 9))
    with pytest.raises(RecipeError, match="target must be between -1 and 1"):
        AdaptiveP(Ada(), target=1.0)
    with pytest.raises(RecipeError, match="must be positive"):
        AdaptiveP(Ada(), every=0)
