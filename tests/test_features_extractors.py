"""Extractors by name: what enters the network, what comes out, what is refused."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ganlab.data import ImageSet, load, to_float
from ganlab.errors import CheckpointError, DataError, GanlabError
from ganlab.metrics import (
    IMAGENET,
    InceptionFeatures,
    ModuleFeatures,
    backbone,
    clean,
    extractor,
    features,
    weights,
)

DRAW = torch.Generator().manual_seed(0)


def pictures(n=4, size=8, channels=3):
    shape = (n, channels, size, size)
    return torch.randint(0, 256, shape, generator=DRAW, dtype=torch.uint8)


@pytest.fixture(scope="module")
def inception():
    return InceptionFeatures("random", "tf")


def test_inception_takes_bytes_floats_and_grey_alike(inception):
    x = pictures(1, 32, 1)
    found = inception.features(x)
    assert (found.shape, found.dtype) == ((1, 2048), torch.float64)
    assert torch.equal(found, inception.features(to_float(x)))
    assert torch.equal(found, inception.features(x.expand(-1, 3, -1, -1)))
    assert inception.name == "inception-random"  # never to be taken for the real one
    assert inception.resizer == "tf"


def test_inception_probabilities_are_a_softmax_over_1008_classes(inception):
    x = pictures(1, 64)
    found, classes = inception.both(x)
    assert classes.shape == (1, 1008)
    assert float(classes.sum()) == pytest.approx(1, abs=1e-12)
    logits = (found.float() @ inception.network.fc.weight.T).double()
    assert torch.allclose(classes, logits.softmax(1), atol=1e-5)


class Caught(nn.Module):
    """Returns its input as features, and keeps it."""

    def forward(self, x):
        self.x = x
        return x.flatten(1)


def test_a_module_sees_pictures_from_minus_one_to_one_or_normalised():
    x = pictures()
    plain = ModuleFeatures(Caught())
    assert torch.allclose(plain.features(x), to_float(x).flatten(1).double(), atol=1e-6)
    assert plain.predict(x) is None
    assert plain.resizer == "none"
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    scaled = ModuleFeatures(Caught(), size=16, mean=mean, std=std)
    scaled.features(x)
    level = clean(x, 16) / 255
    for c in range(3):
        assert torch.allclose(scaled.module.x[:, c], (level[:, c] - mean[c]) / std[c], atol=1e-6)
    assert scaled.resizer == "clean to 16 px"
    assert ModuleFeatures(Caught(), mean=mean, std=std).features(x[:, :1]).shape == (4, 192)


def test_maps_are_averaged_and_batches_change_nothing():
    conv = nn.Conv2d(3, 5, 3)
    x = pictures(7)
    whole = ModuleFeatures(conv).features(x)
    assert torch.allclose(whole, conv(to_float(x)).mean((2, 3)).double(), atol=1e-6)
    assert torch.allclose(ModuleFeatures(conv, batch=2).features(x), whole, atol=1e-6)


def test_a_module_that_does_not_fit_is_one_line():
    with pytest.raises(DataError, match=r"Linear refuses pictures of \(3, 8, 8\)"):
        ModuleFeatures(nn.Linear(5, 2)).features(pictures())
    with pytest.raises(DataError, match=r"no \(N, D\) or"):
        ModuleFeatures(nn.Flatten(0)).features(pictures())
    with pytest.raises(ValueError, match="mean and std belong together"):
        ModuleFeatures(nn.Identity(), mean=(0.5,))


def test_a_backbone_is_the_network_without_its_last_layer(tmp_path):
    from torchvision import models

    network = models.resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    made = backbone("resnet18", tmp_path / "resnet18.pth", size=64)
    assert made.fingerprint == weights.fingerprint(network)  # of the file, the last layer included
    x = pictures(2, 32)
    found = made.features(x).float()
    mean, std = (torch.tensor(v)[:, None, None] for v in IMAGENET)
    with torch.no_grad():
        expected = network((clean(x, 64) / 255 - mean) / std)
    assert found.shape == (2, 512)
    assert torch.allclose(network.fc(found), expected, atol=1e-4)


def test_random_features_are_asked_for_by_name_and_say_so():
    made = extractor("torchvision:resnet18", weights="random")
    assert made.name == "torchvision:resnet18-random"
    assert made.features(pictures(3, 32)).shape == (3, 512)
    assert made.fingerprint == extractor("torchvision:resnet18", weights="random").fingerprint
    with pytest.raises(CheckpointError, match="needs weights: a file, 'download'"):
        extractor("torchvision:resnet18")


def test_torchvisions_weights_are_not_fetched_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match="GANLAB_OFFLINE forbids downloading https"):
        extractor("torchvision:resnet18", weights="download")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"name": "inceptoin"}, "unknown features 'inceptoin': did you mean 'inception'"),
        ({"name": "torchvision:resnet81", "weights": "random"}, "did you mean 'resnet18'"),
        ({"name": "torchvision:squeezenet1_0", "weights": "random"}, "not end in a linear layer"),
        ({"name": "torchvision:"}, "unknown features"),
        ({"name": "classifier", "resizer": "tf"}, "the classifier takes no resizer"),
        ({"name": "classifier"}, "needs the data that it learns from"),
        ({"name": "inception", "weights": "random", "resizer": "no"}, "unknown resizer 'no'"),
    ],
)
def test_mistakes_are_one_line(arguments, line):
    with pytest.raises(GanlabError, match=line) as caught:
        extractor(**arguments)
    assert "\n" not in str(caught.value)


def test_few_pictures_are_shared_between_learning_and_scoring(monkeypatch):
    x = torch.arange(30, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 16, 16)
    data = ImageSet("few", x)
    learn, score = features.apart(data)
    numbers = [set(part.images[:, 0, 0, 0].tolist()) for part in (learn, score)]
    assert numbers[0] | numbers[1] == set(range(30))
    assert not numbers[0] & numbers[1]
    monkeypatch.setattr(features, "FEW", 30)
    assert features.apart(data) == (data, data)


def test_other_class_folders_of_the_same_pictures_are_another_task(monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    data = load("glyphs", size=16, limit=100)
    first = features.classifier(data, steps=3)
    assert features.classifier(data, steps=3).fingerprint == first.fingerprint
    other = replace(data, labels=data.labels.flip(0))
    assert features.classifier(other, steps=3).fingerprint != first.fingerprint


def test_a_handful_of_pictures_is_refused():
    with pytest.raises(DataError, match="9 pictures are too few to learn from"):
        features.classifier(load("glyphs", size=16, limit=9))
