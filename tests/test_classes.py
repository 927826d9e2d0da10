"""Classes through a whole run: stream, both networks, penalties, samples, scores, resume."""

import pytest
import torch
from game_kit import resumed
from torch import nn

from ganlab import cli, runs
from ganlab.data import ImageSet, Stream
from ganlab.errors import DataError, RecipeError
from ganlab.game import AdversarialGame, Player
from ganlab.losses import objective
from ganlab.metrics import obeyed, verdict
from ganlab.models import drawn
from ganlab.penalties import penalty
from ganlab.recipes import Recipe, build, recipe
from ganlab.training.ideal import ideal_seconds

SMALL = {"channel_base": 64, "channel_max": 8}
STYLE = SMALL | {"latent": 8, "style": 16, "layers": 2}
RULES = dict(size=8, channels=1, batch=8, precision="fp32", channels_last=False, classes=2,
             network="stylegan2", generator=STYLE, discriminator=SMALL, betas=(0.0, 0.99),
             penalties={"r1": {"weight": 0.1, "every": 4},
                        "path-length": {"every": 4}})  # fmt: skip


def shades(n=96, light=0.5, shuffled=False):
    """Flat pictures, dark in class 0 and light in class 1; labels say nothing when shuffled."""
    draw = torch.Generator().manual_seed(0)
    y = (torch.rand(n, generator=draw) < light).long()
    grey = 60 + 130 * y + torch.randint(-20, 21, (n,), generator=draw)
    images = grey.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous()
    y = y[torch.randperm(n, generator=draw)] if shuffled else y
    return ImageSet("shades", images, y, ("dark", "light"))


def shade_of(batch):
    """The class that a picture shows."""
    return (batch.mean((1, 2, 3)) > 0).long()


@pytest.mark.parametrize("resident", [True, False])
def test_each_picture_comes_with_its_own_class(resident):
    data = shades()
    options = dict(resident=resident, labelled=True, seed=3, flip=True)
    whole = Stream(data, 16, **options)
    halves = [Stream(data, 8, rank=r, world=2, **options) for r in (0, 1)]
    for _ in range(14):  # more than two passes
        x, y, _ = next(whole)
        assert torch.equal(shade_of(x), y)
        parts = [next(h) for h in halves]
        assert torch.equal(torch.cat([p[1] for p in parts]), y)
    state = whole.state_dict()
    rest = [next(whole)[1] for _ in range(5)]
    again = Stream(data, 16, **options | {"seed": 9})
    again.load_state_dict(state)
    assert all(torch.equal(next(again)[1], y) for y in rest)


class ToldG(nn.Module):
    """Draws its class, and remembers what it was told."""

    classes, latent = 2, 3

    def __init__(self):
        super().__init__()
        self.weight, self.told = nn.Parameter(torch.ones(2)), []

    def sample_latent(self, n, generator=None):
        return torch.randn(n, 3, generator=generator)

    def forward(self, z, labels=None):
        self.told.append(labels)
        return (self.weight[labels] * z[:, 0])[:, None]


class ToldD(nn.Module):
    """Linear in points, a slope for each class."""

    classes = 2

    def __init__(self):
        super().__init__()
        self.slopes, self.told = nn.Parameter(torch.tensor([1.0, -2.0])), []

    def forward(self, x, labels=None):
        self.told.append(labels)
        return self.slopes[labels] * x[:, 0]


def two(**rules):
    g, d = ToldG(), ToldD()
    sides = [Player(n, m, torch.optim.SGD(m.parameters(), 0.1)) for n, m in (("g", g), ("d", d))]
    return AdversarialGame(*sides, objective("non-saturating"), **rules), g, d


def test_both_networks_are_told_the_classes_of_the_real_batch():
    game, g, d = two()
    y = torch.tensor([0, 1, 1, 0])
    game.round(iter([(torch.randn(4, 1), y)]))
    assert [t.tolist() for t in g.told] == [y.tolist()] * 2
    assert [t.tolist() for t in d.told] == [y.tolist() * 2, y.tolist()]  # one pass, then G's turn


def test_parts_of_a_batch_keep_their_classes():
    """Two halves add up to the whole batch's gradients."""
    x, y = torch.randn(8, 1), torch.tensor([0, 0, 0, 1, 1, 1, 0, 1])
    slopes = []
    for parts in (1, 2):
        game, g, d = two(accumulate=parts)
        game.round(iter([(x, y)]))
        slopes.append((d.slopes.detach(), g.weight.detach()))
    torch.testing.assert_close(slopes[0], slopes[1])


def test_gradient_penalty_at_interpolates_is_that_of_their_class():
    """|∇D| is |slope of the class| everywhere: (1-1)² for class 0 and (2-1)² for class 1."""
    game, _, d = two(penalties=[penalty("gp", 10.0)])
    x, y = torch.randn(4, 1), torch.tensor([0, 1, 1, 1])
    judged = game.judge(x, torch.randn(4, 1), game.penalties, y)
    assert game.penalties[0](judged).item() == pytest.approx(10 * 3 / 4)
    other = torch.zeros(4, 1).requires_grad_()
    (slope,) = torch.autograd.grad(judged.judge(other).sum(), other)
    assert torch.equal(slope[:, 0], d.slopes.detach()[y])


@pytest.mark.parametrize("network", ["stylegan", "stylegan2"])
def test_a_conditional_game_learns_to_obey(network):
    """Shades of the class asked for; with shuffled labels the same game cannot know them."""
    rules = RULES | dict(network=network, batch=16, g_lr=1e-2, d_lr=1e-2, half_life=200.0)
    rules |= dict(penalties={"r1": 0.1})
    if network == "stylegan":
        rules |= dict(generator=STYLE | {"growing": False}, discriminator=SMALL
                      | {"growing": False})  # fmt: skip
    right = {}
    for shuffled in (False, True):
        game, stream = build(Recipe("test", **rules), shades(shuffled=shuffled))
        for _ in range(300):
            game.round(stream)
        z = game.generator.network.sample_latent(200, torch.Generator().manual_seed(1))
        y = torch.arange(200) % 2
        assert torch.equal(game.sample(z), game.sample(z, y))  # all classes in turn
        right[shuffled] = float((shade_of(game.sample(z, y)) == y).float().mean())
    assert right[False] > 0.97
    assert right[True] < 0.8


def test_a_killed_conditional_run_goes_on_to_the_same_bits():
    plan = Recipe("test", **RULES, augment="ada", ada_length=64.0)
    game, other, stream = resumed(
        lambda: build(plan, shades()), lambda: build(plan.with_(seed=7), shades()), before=5
    )
    for a, b in zip(game.players, other.players, strict=True):
        for p, q in zip(a.network.parameters(), b.network.parameters(), strict=True):
            assert torch.equal(p, q)
    assert ideal_seconds(game, next(stream), repeats=1) > 0


def test_labels_are_drawn_as_often_as_they_occur():
    game, _ = build(Recipe("test", **RULES), shades(1000, light=0.2))
    g = game.generator.best.eval()
    torch.testing.assert_close(g.kinds.shares.sum(), torch.tensor(1.0))
    y = g.kinds.draw(5000, torch.Generator().manual_seed(0))
    assert float(y.float().mean()) == pytest.approx(float(g.kinds.shares[1]), abs=0.02)
    assert float(g.kinds.shares[1]) == pytest.approx(0.2, abs=0.04)
    first, again = (torch.cat(list(drawn(g, 300, seed=4))) for _ in range(2))
    assert torch.equal(first, again)
    # One class for all is the same as that class n times, and not the other.
    one = torch.cat(list(drawn(g, 5, labels=1)))
    assert torch.equal(one, torch.cat(list(drawn(g, 5, labels=torch.ones(5, dtype=torch.long)))))
    assert not torch.equal(one, torch.cat(list(drawn(g, 5, labels=0))))


class Asked:
    """A run whose pictures show the class that was asked for in a share of the cases."""

    def __init__(self, data, share):
        self.data, self.share = data, share

    def __call__(self, n, seed, labels):
        labels = torch.where(torch.arange(n) < self.share * n, labels, 9 - labels)
        of = [torch.nonzero(self.data.labels == y).flatten() for y in range(10)]
        return self.data.batch(torch.stack([of[y][i % len(of[y])] for i, y in enumerate(labels)]))


def test_obedience_is_measured_by_the_classifier(monkeypatch):
    """Real pictures of the classes asked for are obedient; half exchanged are half so."""
    from ganlab.data import load
    from ganlab.metrics import features

    monkeypatch.setattr(features, "STEPS", 150)

    data = load("glyphs", size=32, channels=1, characters="0123456789", limit=2000)
    whole, half = (obeyed(Asked(data, share), data, n=400) for share in (1, 0.5))
    assert whole > 0.9
    assert half == pytest.approx(whole / 2, abs=0.06)
    scores = {"kind": "frechet", "frechet": 1.0, "floor": 0.5, "n": 9, "dims": 64, "features": "c",
              "accuracy": 1.0, "obeyed": half}  # fmt: skip
    assert f"{half:.1%} of the asked class" in verdict(scores)


def test_a_run_from_the_command_line(tmp_path, monkeypatch, capsys):
    """Trained, scored, sampled by class and all classes, refused without a traceback."""
    import ganlab.recipes.building
    from ganlab.data import load
    from ganlab.metrics import features

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(features, "STEPS", 20)
    monkeypatch.setattr(
        ganlab.recipes.building, "load", lambda *a, **k: load(*a, **(k | {"limit": 200}))
    )
    words = [f"generator.{k}={v}" for k, v in STYLE.items()]
    words += [f"discriminator.{k}={v}" for k, v in SMALL.items()]
    words += ["classes=10", "batch=8", "samples=20", "precision=fp32", "data_options.characters="
              "0123456789"]  # fmt: skip
    fields = [word for field in words for word in ("--set", field)]
    assert cli.main(["train", "stylegan2-glyphs", "--steps", "3", "--out", "run", *fields]) == 0
    assert "of the asked class" in capsys.readouterr().out
    run = runs.Run("run")
    assert 0 <= run.scores["obeyed"] <= 1
    assert not torch.equal(run.sample(4, labels=3), run.sample(4, labels=4))
    assert cli.main(["sample", "run", "-n", "4", "--label", "3", "--out", "threes"]) == 0
    assert len(list((tmp_path / "threes").glob("*.png"))) == 4
    assert cli.main(["sample", "run", "-n", "4", "--label", "10"]) == 2
    assert capsys.readouterr().err == "ganlab: labels are class numbers from 0 to 9\n"
    wrong = [*fields, "--set", "classes=36"]
    assert cli.main(["train", "stylegan2-glyphs", "--out", "b", *wrong]) == 2
    assert capsys.readouterr().err == "ganlab: classes: glyphs-color has 10, not 36\n"


def test_what_does_not_go_with_classes():
    data = shades()
    plain = ImageSet("plain", data.images)
    with pytest.raises(RecipeError, match="classes: plain has none, not 2"):
        build(Recipe("test", **RULES), plain)
    with pytest.raises(DataError, match="plain has no labels to give"):
        Stream(plain, 8, labelled=True)
    for name in ("dcgan", "progan", "resnet"):
        with pytest.raises(RecipeError, match=f"classes: {name} takes none; stylegan and styleg"):
            build(Recipe("t", network=name, size=32, classes=2), data)
    with pytest.raises(RecipeError, match=r"judged one by one \(pack=1\)"):
        Recipe("test", **RULES, pack=2)
    for rule in ({"unroll": 2}, {"pool": 8}):
        with pytest.raises(RecipeError, match=r"not with classes"):
            two(**rule)
    game, stream = build(Recipe("test", **RULES), data)
    with pytest.raises(RecipeError, match=r"the stream must give \(pictures, labels\)"):
        game.round(Stream(data, 8))
    bare, _ = build(Recipe("test", **RULES | {"classes": 0}), data)
    with pytest.raises(RecipeError, match="but the networks have no classes"):
        bare.round(stream)
    with pytest.raises(RecipeError, match="this generator has no classes"):
        next(drawn(bare.generator.best, 2, labels=1))
    assert recipe("stylegan2-mnist-classes").classes == 10
