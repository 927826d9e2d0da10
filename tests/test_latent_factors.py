"""The reader reads unseen characters; Z and W are told apart where they are known to differ."""

import pytest
import torch
from latent_kit import LinearGenerator, PlainGenerator
from torch import nn

from ganlab import latent
from ganlab.data.glyphs import draw, factors_at
from ganlab.errors import DataError
from ganlab.latent import table
from ganlab.latent.factors import score
from ganlab.latent.reader import Network
from ganlab.metrics import FeatureDistance, ppl

NAMES = ("character", "x", "y", "ink", "paper")
OPTIONS = {"size": 16, "images": 128 * 60, "factors": NAMES, "width": 12}


@pytest.fixture(scope="module")
def reader():
    return latent.FactorReader.fit(**OPTIONS, cache=False)


def test_it_reads_characters_it_has_not_seen(reader):
    truth = factors_at(range(1000), seed=99, color=True)
    read = reader(draw(truth, 16, 3))
    got = score(read, truth)
    assert min(got[name] for name in ("x", "y", "ink", "paper")) > 0.3  # 0 is the mean's
    assert got["character"] > 3 / 36
    assert read["ink"].shape == (1000, 3)
    assert read["character"].dtype == torch.int64
    # What it says of itself, on other unseen ones, is what was found here.
    for name in NAMES:
        assert reader.accuracy[name] == pytest.approx(got[name], abs=0.08)
    assert "unseen: character" in repr(reader)


def test_moving_a_character_moves_its_reading(reader):
    truth = factors_at(range(300), seed=5, color=True)
    means = []
    for x in (-0.07, 0.0, 0.07):
        truth["x"] = torch.full((300,), x)
        means.append(float(reader(draw(truth, 16, 3))["x"].mean()))
    assert means[0] < -0.015 < 0.015 < means[2]
    assert means[0] < means[1] < means[2]


def test_larger_pictures_and_floats_are_read_alike(reader):
    truth = factors_at(range(200), seed=5, color=True)
    plain = draw(truth, 16, 3)
    floats = plain.float() / 127.5 - 1
    a, b, c = (
        reader(p) for p in (plain, floats, floats.repeat_interleave(2, 2).repeat_interleave(2, 3))
    )
    torch.testing.assert_close(a["x"], b["x"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(a["x"], c["x"], rtol=1e-3, atol=1e-4)
    assert score(reader(draw(truth, 32, 3)), truth)["ink"] > 0.3
    p = reader.probabilities(plain, "character")
    assert torch.equal(p.argmax(1), a["character"])
    torch.testing.assert_close(p.sum(1), torch.ones(200))


def test_its_features_make_a_distance(reader):
    truth = factors_at(range(20), seed=5, color=True)
    pictures = draw(truth, 16, 3).float() / 127.5 - 1
    near = (pictures + 0.02 * torch.randn_like(pictures)).requires_grad_()
    distance = FeatureDistance(reader.network)
    d = distance(pictures, near)
    assert bool((d < distance(pictures, pictures.roll(1, 0))).all())
    d.sum().backward()
    assert float(near.grad.abs().sum()) > 0


def test_the_same_reader_again_and_from_the_cache():
    small = {"size": 16, "channels": 1, "images": 256, "factors": ("y", "ink"), "width": 4}
    before = torch.random.get_rng_state()
    first = latent.FactorReader.fit(**small)
    assert torch.equal(torch.random.get_rng_state(), before)
    stored = latent.FactorReader.fit(**small)
    anew = latent.FactorReader.fit(**small, cache=False)
    for other in (stored, anew):
        assert other.accuracy == first.accuracy
        for a, b in zip(first.network.parameters(), other.network.parameters()):
            assert torch.equal(a, b)
    other = latent.FactorReader.fit(**small, seed=1)
    assert other.accuracy != first.accuracy
    grey = draw(factors_at(range(3)), 16, 1)
    assert first(grey)["ink"].shape == (3,)


def test_what_cannot_be_read_is_refused(reader):
    for options, line in (
        ({"size": 24}, "takes 16 or 32 px"),
        ({"factors": ("inc",)}, "unknown factor 'inc': did you mean 'ink'"),
        ({"images": 5}, "128 pictures at least"),
    ):
        with pytest.raises(DataError, match=line):
            latent.FactorReader.fit(**options)
    with pytest.raises(DataError, match="takes 3 channels and a multiple of 16 px"):
        reader(torch.zeros(2, 3, 24, 24))
    with pytest.raises(DataError, match="unknown class"):
        reader.probabilities(torch.zeros(2, 3, 16, 16), "x")
    assert Network(32, 3, 5, 4)(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_a_colour_becomes_lightness_and_warmth():
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = latent.scalars({"ink": colours, "x": torch.zeros(3)})
    assert list(found) == ["ink lightness", "ink warmth", "x"]
    torch.testing.assert_close(found["ink lightness"], torch.tensor([1.0, 0.2126, 0.0722]))
    torch.testing.assert_close(found["ink warmth"], torch.tensor([0.0, 1.0, -1.0]))


class Product(nn.Module):
    """w: the product of two coordinates of z, two others turned by 45°, and the rest."""

    def forward(self, z, labels=None):
        a, b = (z[:, 2] + z[:, 3]) / 2**0.5, (z[:, 2] - z[:, 3]) / 2**0.5
        return torch.stack([z[:, 0] * z[:, 1], z[:, 4], a, b, z[:, 5], 0 * a], 1)


def eyes(g, columns):
    """A reader without errors, of a linear generator's first styles."""

    def read(pictures):
        styles = g.read(pictures)[:, 0].detach()
        return {name: styles[:, column] for name, column in columns.items()}

    return read


def test_the_table_tells_an_entangled_space_from_a_straight_one():
    g = LinearGenerator()
    g.mapping = Product()
    found = latent.disentanglement(g, eyes(g, {"x": 0, "y": 2}), n=4000, paths=200)
    assert found["separability"]["z"] == pytest.approx(2, rel=0.1)  # x is an exclusive or of z
    assert found["separability"]["w"] == pytest.approx(1, abs=0.02)
    assert found["mig"]["w"] == pytest.approx(1, abs=0.02)  # both on w's axes
    assert found["mig"]["z"] < 0.1
    assert found.factors["linear R²"]["z"]["x"] == pytest.approx(0, abs=0.05)
    assert found.factors["linear R²"]["z"]["y"] == pytest.approx(1, abs=0.01)
    assert found["linear R²"]["w"] == pytest.approx(1, abs=0.01)
    by_hand = ppl(g, latent.pyramid_distance, 200)
    assert found["path length"]["z"] == pytest.approx(float(by_hand))
    assert found.paths["w"].space == "w"
    told = str(found)
    assert "separability" in told
    assert "4,000 pictures" in told


def test_a_generator_without_styles_has_one_column():
    g = PlainGenerator()
    plane = torch.linalg.pinv(g.first.weight.detach())

    def read(pictures):
        return {"x": pictures.flatten(1) @ plane.T[:, 0]}

    found = latent.disentanglement(g, read, n=1000, paths=50)
    assert set(found["mig"]) == {"z"}
    assert found["linear R²"]["z"] == pytest.approx(1, abs=0.01)


def test_factors_are_read_off_pictures_and_chosen_by_name():
    g = LinearGenerator()
    codes = latent.mapped(g, latent.draw(g, 300))
    read = table.read_factors(g, eyes(g, {"x": 0, "y": 2}), codes, ["y"])
    assert list(read) == ["y"]
    torch.testing.assert_close(read["y"], codes[:, 2], rtol=1e-4, atol=1e-4)
    with pytest.raises(DataError, match="no factor slant: there are x, y"):
        table.read_factors(g, eyes(g, {"x": 0, "y": 2}), codes, ["slant"])
