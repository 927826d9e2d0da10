"""The two resizers against their formulas, and against the libraries that they stand for."""

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.metrics import resize

DRAW = torch.Generator().manual_seed(0)


def pictures(size, n=2):
    return torch.randint(0, 256, (n, 3, size, size), generator=DRAW, dtype=torch.uint8)


@pytest.mark.parametrize(("before", "after"), [(5, 12), (12, 5), (7, 7)])
def test_tf_is_bilinear_without_a_shift_of_half_a_pixel(before, after):
    x = pictures(before, 1)
    y = resize.tf(x, after)
    source = x[0].double().numpy()
    for i in range(after):
        for j in range(after):
            v, u = i * before / after, j * before / after
            a, b = int(v), int(u)
            below, right = min(a + 1, before - 1), min(b + 1, before - 1)
            top = source[:, a, b] * (1 - (u - b)) + source[:, a, right] * (u - b)
            low = source[:, below, b] * (1 - (u - b)) + source[:, below, right] * (u - b)
            expected = top * (1 - (v - a)) + low * (v - a)
            assert np.allclose(y[0, :, i, j].numpy(), expected, atol=1e-3)


def test_tf_is_not_what_torch_calls_bilinear():
    x = pictures(32)
    own = torch.nn.functional.interpolate(x.float(), (299, 299), mode="bilinear")
    assert (resize.tf(x, 299) - own).abs().mean() > 5  # grey levels


@pytest.mark.parametrize("before", [32, 400])
def test_clean_is_pillows_bicubic_without_rounding(before):
    x = pictures(before, 1)
    planes = [
        np.asarray(
            Image.fromarray(plane.astype(np.float32)).resize((299, 299), Image.Resampling.BICUBIC)
        )
        for plane in x[0].numpy()
    ]
    expected = torch.from_numpy(np.stack(planes)).clamp(0, 255)
    assert (resize.clean(x, 299)[0] - expected).abs().max() < 5e-3


def test_clean_never_leaves_the_range_of_bytes():
    edge = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    edge[..., 4:] = 255
    y = resize.clean(edge, 64)
    assert float(y.min()) == 0
    assert float(y.max()) == 255


def test_reducing_without_antialiasing_invents_patterns():
    # Columns 0, 255, 0, 255, ...: half grey for an eye and for "clean", all black for "tf".
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[..., 1::2] = 255
    assert torch.equal(resize.tf(stripes, 32), torch.zeros(1, 1, 32, 32))
    assert (resize.clean(stripes, 32) - 127.5).abs().max() < 40


@pytest.mark.parametrize("name", resize.RESIZERS)
def test_pictures_of_that_size_stay_as_they_are(name):
    x = pictures(16)
    assert torch.equal(resize.resizer(name)(x, 16), x.float())


def test_an_unknown_resizer_is_named():
    with pytest.raises(GanlabError, match="unknown resizer 'cleen': did you mean 'clean'"):
        resize.resizer("cleen")


@pytest.mark.parametrize("before", [32, 300, 512])
def test_tf_is_torch_fidelitys(before):
    reference = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    x = pictures(before)
    expected = reference.interpolate_bilinear_2d_like_tensorflow1x(
        x.float(), size=(299, 299), align_corners=False
    )
    assert (resize.tf(x, 299) - expected).abs().max() < 1e-4
