"""Directions that are known beforehand are found: in weights, in W, in labels."""

import math

import pytest
import torch
from latent_kit import LinearGenerator, PlainGenerator, small
from torch import nn

from ganlab import latent
from ganlab.errors import DataError, RecipeError
from ganlab.latent import explained, logistic, ridge
from ganlab.models import dcgan, progan


def cosine(a, b):
    return abs(float(nn.functional.cosine_similarity(a.double(), b.double(), dim=0)))


def planted(affine, directions, strengths):
    """Give an affine map these right singular vectors and singular values, as used."""
    out = affine.weight.shape[0]
    left = torch.linalg.qr(torch.randn(out, len(strengths))).Q
    with torch.no_grad():
        affine.weight.copy_(left @ torch.diag(strengths) @ directions / affine.scale)


@pytest.mark.parametrize("kind", ["stylegan", "stylegan2"])
def test_sefa_finds_the_directions_that_the_affines_amplify(kind):
    g = small(kind)
    basis = torch.linalg.qr(torch.randn(12, 12)).Q.T[:4]
    strengths = torch.tensor([4.0, 3.0, 2.0, 1.0])
    first = g.layers[1].conv.affine if kind == "stylegan2" else g.epilogues[1].adain.affine
    planted(first, basis, strengths)
    found = latent.sefa(g, layers=[1], k=4)
    for i in range(4):
        assert cosine(found.vectors[i], basis[i]) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(found.values, strengths.square(), rtol=1e-4, atol=1e-4)
    assert found.layers == [1]


def test_sefa_of_several_layers_adds_their_gram_matrices():
    g = small()
    e = torch.eye(12)
    for layer in g.layers:
        planted(layer.conv.affine, e[:1], torch.tensor([1.0]))
    planted(g.to_pixels[-1].conv.affine, e[1:2], torch.tensor([2.5]))
    found = latent.sefa(g, k=2)  # 5 layers of strength 1 are √5, less than 2.5
    torch.testing.assert_close(found.values, torch.tensor([6.25, 5.0]), rtol=1e-4, atol=1e-4)
    assert cosine(found.vectors[0], e[1]) == pytest.approx(1, abs=1e-4)
    assert cosine(latent.sefa(g, slice(0, 5), 1).vectors[0], e[0]) == pytest.approx(1, abs=1e-4)


def test_sefa_without_styles_takes_the_first_layer():
    for g in (
        PlainGenerator(12),
        dcgan.Generator(16, 3, 12, 8),
        progan.Generator(8, 3, 12, channel_base=64, channel_max=8),
    ):
        found = latent.sefa(g, k=3)
        z = torch.eye(12).requires_grad_(False)
        if isinstance(g, PlainGenerator):
            first = g.first(z)
        elif isinstance(g, dcgan.Generator):
            first = g.layers[0](z[:, :, None, None]).flatten(1)
        else:
            first = g.project(z)
        values = torch.linalg.svdvals(first)[:3].square()
        torch.testing.assert_close(found.values, values, rtol=1e-4, atol=1e-6)
        moved = (found.vectors @ first).norm(dim=1).square()
        torch.testing.assert_close(moved, values, rtol=1e-4, atol=1e-6)
    with pytest.raises(RecipeError, match="there are 12 directions"):
        latent.sefa(g, k=13)
    with pytest.raises(RecipeError, match="no linear layer that takes z"):
        latent.sefa(nn.Conv2d(3, 3, 3))


def test_ganspace_finds_the_axes_of_a_linear_mapping():
    basis = torch.linalg.qr(torch.randn(6, 6)).Q
    scales = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    g = LinearGenerator(matrix=torch.diag(scales) @ basis)  # w = z diag(scales) basis + 1/2
    found = latent.ganspace(g, 20_000, 4, seed=1)
    for i in range(4):
        assert cosine(found.vectors[i], basis[i]) > 0.995
    torch.testing.assert_close(found.values, scales[:4].square(), rtol=0.05, atol=0)
    again = latent.ganspace(g, 20_000, 4, seed=1)
    assert torch.equal(found.vectors, again.vectors)


def test_labels_show_the_planted_direction():
    torch.manual_seed(0)
    n = 4000
    codes = torch.randn(n, 20) @ torch.diag(torch.linspace(0.5, 2, 20))
    normal = nn.functional.normalize(torch.randn(20), dim=0)
    height = codes @ normal
    labels = {"side": height > 0.3, "height": height + 0.1 * torch.randn(n)}
    labels["nothing"] = torch.rand(n) > 0.5
    found = latent.supervised(codes, labels)
    assert found.names == ("side", "height", "nothing")
    assert cosine(found["side"].vectors[0], normal) > 0.98
    assert cosine(found["height"].vectors[0], normal) > 0.999
    assert (found.vectors[:2] @ normal > 0).all()  # towards the label, not away from it
    assert found["side"].values > 0.95
    assert found["height"].values > 0.98
    assert abs(float(found["nothing"].values) - 0.5) < 0.05
    same = latent.supervised(codes[:, None].expand(-1, 3, -1), labels["side"])
    torch.testing.assert_close(same.vectors, found["side"].vectors)


def test_logistic_regression_meets_its_equation():
    x = torch.randn(500, 3) * torch.tensor([1.0, 10.0, 0.1]) + 2
    p = torch.sigmoid((x - 2) @ torch.tensor([1.0, -0.2, 5.0]))
    y = torch.rand(500) < p
    fit = logistic(x, y, penalty=0.0)
    # Without a penalty the residuals are orthogonal to every input and sum to 0.
    left = y.double() - torch.sigmoid(fit(x))
    assert float(left.sum().abs()) < 1e-4
    assert float((left @ x.double()).abs().max()) < 1e-3
    far = logistic(torch.tensor([[-1.0], [1.0]]).repeat(50, 1), torch.tensor([0, 1]).repeat(50))
    assert math.isfinite(float(far.weight))
    assert float(far.weight) > 1
    with pytest.raises(DataError, match="both must occur"):
        logistic(x, torch.ones(500))


def test_ridge_and_the_share_explained():
    x = torch.randn(400, 5)
    y = x @ torch.arange(5.0) + 7
    fit = ridge(x, y, penalty=1e-9)
    torch.testing.assert_close(fit.weight, torch.arange(5.0).double(), rtol=1e-4, atol=1e-5)
    assert fit.bias == pytest.approx(7, abs=1e-4)
    assert explained(y, fit(x)) == pytest.approx(1)
    assert explained(y, y.mean().expand(400)) == pytest.approx(0)
    assert explained(y, 2 * y.mean() - y) == pytest.approx(-3)  # mirrored: twice as far off


def test_an_edit_moves_the_styles_it_names_and_no_other():
    g = LinearGenerator()
    w = latent.mapped(g, latent.draw(g, 2))
    v = nn.functional.normalize(torch.randn(6), dim=0)
    pictures = latent.edit(g, w, v, [-2.0, 0.0, 3.0], layers=[1, 2])
    assert pictures.shape == (3, 2, 3, 8, 8)
    torch.testing.assert_close(pictures[1], latent.render(g, w))
    for strength, moved in zip([-2.0, 0.0, 3.0], pictures):
        styles = g.read(moved)
        step = (styles - w[:, None]).detach()
        torch.testing.assert_close(step[:, 1:3], (strength * v).expand(2, 2, -1), rtol=0, atol=1e-5)
        assert float(step[:, [0, 3]].abs().max()) < 1e-5
    directions = latent.Directions(v[None], torch.ones(1), [1, 2], "by hand")
    torch.testing.assert_close(latent.edit(g, w, directions, [3.0])[0], pictures[2])
    torch.testing.assert_close(
        latent.edit(g, w, directions.at(None), [1.0])[0], latent.render(g, w + v)
    )
    with pytest.raises(RecipeError, match="one direction of width 6"):
        latent.edit(g, w, torch.randn(2, 6), [1.0])


def test_an_edit_in_z():
    g = PlainGenerator()
    z, v = latent.draw(g, 2), torch.randn(6)
    torch.testing.assert_close(latent.edit(g, z, v, [2.0])[0], g(z + 2 * v).detach())


def test_a_direction_without_another():
    v = nn.functional.normalize(torch.randn(3, 10), dim=1)
    directions = latent.Directions(v, torch.ones(3), None, "", ("a", "b", "c"))
    left = directions["a"].without(torch.stack([v[1], v[2]]))
    assert float((left.vectors @ v[1:].T).abs().max()) < 1e-6
    assert float(left.vectors.norm()) == pytest.approx(1)
    assert [d.names[0] for d in directions] == ["a", "b", "c"]
    with pytest.raises(RecipeError, match="lies wholly"):
        directions["a"].without(directions)
    with pytest.raises(RecipeError, match="did you mean 'a'"):
        directions["a "]
