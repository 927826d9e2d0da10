"""Paths, truncation and mixing, on generators whose pictures say what their styles were."""

import math

import pytest
import torch
from latent_kit import LinearGenerator, PlainGenerator, small

from ganlab import latent
from ganlab.errors import GanlabError, RecipeError
from ganlab.models import stylegan, stylegan2


def angles(points):
    unit = torch.nn.functional.normalize(points.double(), dim=-1)
    return (unit[1:] * unit[:-1]).sum(-1).clamp(-1, 1).arccos()


def test_slerp_keeps_the_length_and_turns_at_constant_speed():
    a, b = torch.randn(2, 5, 64).unbind()
    b = b / b.norm(dim=1, keepdim=True) * a.norm(dim=1, keepdim=True)
    points = latent.slerp(a, b, torch.linspace(0, 1, 11))
    assert points.shape == (11, 5, 64)
    torch.testing.assert_close(points.norm(dim=-1), a.norm(dim=1).expand(11, -1))
    turned = angles(points)
    torch.testing.assert_close(turned, turned[:1].expand_as(turned), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(turned.sum(0), angles(torch.stack([a, b]))[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(points[0], a)
    assert torch.equal(points[-1], b)


def test_the_quarter_circle_and_the_length_between_two_lengths():
    east, north = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])
    half = latent.slerp(east, north, 0.5)
    torch.testing.assert_close(half, torch.tensor([1.0, 1.0]) * 2 / math.sqrt(2))
    torch.testing.assert_close(latent.slerp(east, 5 * east, 0.25), 2 * east)


def test_the_straight_line_is_shorter_in_its_middle():
    a, b = torch.randn(2, 100, 512).unbind()
    middle = latent.lerp(a, b, 0.5)
    assert float(middle.norm(dim=1).mean()) == pytest.approx(16.0, rel=0.02)  # √(512 / 2)
    assert float(latent.slerp(a, b, 0.5).norm(dim=1).mean()) == pytest.approx(512**0.5, rel=0.02)
    assert torch.equal(latent.lerp(a, b, 0.0), a)
    assert torch.equal(latent.lerp(a, b, torch.tensor([0.0, 1.0]))[1], b)


def test_a_path_goes_through_every_anchor():
    anchors = torch.randn(3, 6)
    for curve in ("slerp", "lerp"):
        closed = latent.path(anchors, 4, curve)
        assert torch.equal(closed[::4], anchors)
        opened = latent.path(anchors, 4, curve, closed=False)
        assert len(opened) == 9
        assert torch.equal(opened[::4], anchors)
        assert torch.equal(opened, closed[:9])
    with pytest.raises(RecipeError, match=r"two anchors \(K, d\) at least"):
        latent.path(anchors[:1], 4)


def test_a_walk_in_w_is_straight_in_the_styles_and_one_in_z_is_not():
    g = LinearGenerator()
    anchors = latent.draw(g, 3)
    w = g.read(latent.walk(g, anchors, 4, "w"))
    ends = latent.mapped(g, anchors)
    torch.testing.assert_close(w[::4, 0], ends, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(w[2, 1], (ends[0] + ends[1]) / 2, rtol=1e-4, atol=1e-5)
    z = g.read(latent.walk(g, anchors, 4, "z"))[:, 0] - 0.5
    torch.testing.assert_close(z[2], latent.slerp(*anchors[:2], 0.5), rtol=1e-4, atol=1e-5)


def test_walks_of_a_generator_without_styles():
    g = PlainGenerator()
    anchors = latent.draw(g, 2)
    pictures = latent.walk(g, anchors, 5, "z", closed=False)
    torch.testing.assert_close(pictures[[0, -1]], g(anchors))
    for call in (
        lambda: latent.walk(g, anchors, 3, "w"),
        lambda: latent.walk(g, anchors, 3, "z", psi=0.5),
        lambda: latent.truncated(g, anchors, [0.5]),
        lambda: latent.mixing_grid(g, anchors, anchors),
        lambda: latent.project(g, pictures, "w"),
        lambda: latent.ganspace(g),
    ):
        with pytest.raises(RecipeError, match="needs a generator with a mapping from z to w") as e:
            call()
        assert "\n" not in str(e.value)


def test_a_conditional_generator_is_refused():
    g = stylegan2.Generator(8, 3, 6, 6, 1, channel_base=32, channel_max=4, classes=3)
    z = latent.draw(g, 2)
    for call in (lambda: latent.walk(g, z), lambda: latent.truncated(g, z, [0.5])):
        with pytest.raises(RecipeError, match="choose a class of this generator first"):
            call()
    with pytest.raises(RecipeError, match="choose a class of this generator first"):
        latent.walk(g, z, space="z")


@pytest.mark.parametrize("kind", [stylegan, stylegan2])
def test_one_class_of_a_conditional_generator_is_a_generator(kind):
    torch.manual_seed(0)
    rule = {"growing": False} if kind is stylegan else {}
    g = kind.Generator(8, 3, 6, 6, 2, channel_base=32, channel_max=4, classes=3, **rule).eval()
    with torch.no_grad():
        for p in g.parameters():
            p += 0.3 * torch.randn_like(p)
    before = {k: v.clone() for k, v in g.state_dict().items()}
    z = latent.draw(g, 4)
    for label in (0, 2):
        one, told = latent.of_class(g, label), torch.full((4,), label)
        torch.testing.assert_close(one(z), g(z, told))
        torch.testing.assert_close(latent.render(one, latent.mapped(one, z)), g(z, told))
        mean = g.mapping(latent.draw(g, 4096), torch.full((4096,), label)).mean(0)
        torch.testing.assert_close(one.average, mean)
        none = latent.truncated(one, z, [0.0])[0]
        torch.testing.assert_close(none[0], none[3])  # the typical picture of this class
        assert latent.ganspace(one, 200, 2).vectors.shape == (2, 6)
    other = latent.of_class(g, 1)
    assert (other.average - one.average).abs().max() > 0.01
    after = g.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert g.classes == 3
    with pytest.raises(RecipeError, match="classes 0 to 2, not 3"):
        latent.of_class(g, 3)
    with pytest.raises(RecipeError, match="needs a generator with classes"):
        latent.of_class(one, 0)


@pytest.mark.parametrize("kind", ["stylegan", "stylegan2"])
def test_truncation_runs_from_the_mean_picture_to_the_plain_one(kind):
    g = small(kind)
    z = latent.draw(g, 3)
    none, some, all_ = latent.truncated(g, z, [0.0, 0.5, 1.0])
    mean = g.synthesis(g.average.expand(3, g.layers_used, -1), "fixed")
    torch.testing.assert_close(none, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(all_, g(z), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(some, g(z, psi=0.5), rtol=1e-4, atol=1e-5)
    coarse = latent.truncated(g, z, [0.5], cutoff=2)[0]
    torch.testing.assert_close(coarse, g(z, psi=0.5, cutoff=2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", ["coarse", "middle", "fine", slice(1, 3), [0, 5]])
def test_each_picture_of_the_grid_has_the_styles_of_its_row_and_its_column(layers):
    g = LinearGenerator(layers=6)
    rows, columns = latent.draw(g, 2, seed=1), latent.draw(g, 3, seed=2)
    grid = latent.mixing_grid(g, rows, columns, layers)
    assert grid.shape[:2] == (2, 3)
    from_column = latent.chosen(layers, 6)
    for r in range(2):
        for c in range(3):
            styles = g.read(grid[r, c][None])[0]
            for layer in range(6):
                z = columns[c] if layer in from_column else rows[r]
                torch.testing.assert_close(styles[layer], z + 0.5, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["stylegan", "stylegan2"])
def test_mixing_a_picture_with_itself_changes_nothing(kind):
    g = small(kind)
    z = latent.draw(g, 3)
    grid = latent.mixing_grid(g, z, z, "middle")
    same = torch.stack([grid[i, i] for i in range(3)])
    torch.testing.assert_close(same, g(z), rtol=1e-4, atol=1e-5)
    assert (grid[0, 1] - grid[0, 0]).abs().max() > 1e-3
    ws = g.mixed(g.styles(z[:1]), g.styles(z[1:2]), latent.chosen("fine", g.layers_used)[0])
    torch.testing.assert_close(
        latent.mixing_grid(g, z[:1], z[1:2], "fine")[0, 0], g.synthesis(ws)[0], rtol=1e-4, atol=1e-5
    )


def test_groups_of_layers_are_the_papers_where_there_are_enough():
    assert latent.chosen("coarse", 18) == [0, 1, 2, 3]
    assert latent.chosen("middle", 18) == [4, 5, 6, 7]
    assert latent.chosen("fine", 18) == list(range(8, 18))
    for count in range(4, 19):
        parts = [latent.chosen(word, count) for word in ("coarse", "middle", "fine")]
        assert [i for part in parts for i in part] == list(range(count))
        assert all(parts)
    assert latent.chosen(None, 3) == [0, 1, 2]
    assert latent.chosen([-1, 0], 3) == [0, 2]
    with pytest.raises(RecipeError, match="did you mean 'coarse'"):
        latent.chosen("coarsest", 8)
    with pytest.raises(RecipeError, match="there are 8, from 0"):
        latent.chosen([8], 8)


def test_the_generator_is_left_as_it_was():
    g = small().train()
    before = {name: value.clone() for name, value in g.state_dict().items()}
    z = latent.draw(g, 2)
    first = latent.render(g, latent.mapped(g, z))
    latent.truncated(g, z, [0.3])
    latent.project(g, first, steps=3)
    assert g.training
    assert all(m.training for m in g.modules())
    assert all(p.requires_grad and p.grad is None for p in g.parameters())
    assert all(torch.equal(value, before[name]) for name, value in g.state_dict().items())
    assert torch.equal(latent.render(g, latent.mapped(g, z)), first)
    assert not first.requires_grad


def test_batches_do_not_show_and_wrong_widths_are_refused():
    g = small()
    w = latent.mapped(g, latent.draw(g, 5))
    noise = [torch.randn(n, 1, m.size, m.size) for n, m in zip((5, 1, 5, 1, 5), noise_of(g))]
    together = latent.render(g, w, noise)
    torch.testing.assert_close(latent.render(g, w, noise, batch=2), together)
    with pytest.raises(GanlabError, match=r"styles are \(B, 12\) or \(B, 6, 12\)"):
        latent.render(g, w[:, :4])


def noise_of(g):
    return [m for m in g.modules() if type(m).__name__ == "Noise"]
