"""Weights of the FID network: found, checked, fetched only on demand, read without running code."""

import hashlib
import io
import os
import pickle
import re
import types

import pytest
import torch
from torch import nn

from ganlab.data import fetch
from ganlab.errors import CheckpointError, FileError
from ganlab.metrics import InceptionFeatures, backbones, weights

CONTENT = b"not a network, but bytes with a hash"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("GANLAB_INCEPTION", raising=False)
    monkeypatch.delenv("GANLAB_OFFLINE", raising=False)
    monkeypatch.setattr(fetch, "WAIT", 0.0)


@pytest.fixture
def published(monkeypatch):
    """As if `CONTENT` were the published file."""
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(CONTENT).hexdigest())


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_without_weights_one_line_says_what_to_fetch():
    with pytest.raises(CheckpointError) as caught:
        InceptionFeatures()
    line = str(caught.value)
    assert "\n" not in line
    assert weights.URLS[0] in line
    assert weights.SHA256 in line
    assert "GANLAB_INCEPTION" in line


def test_a_name_goes_before_the_environment_and_that_before_the_cache(
    published, monkeypatch, tmp_path
):
    cached = put(weights.cached(weights.URLS[1]))  # under pytorch-fid's name
    assert weights.inception() == cached
    cached = put(weights.cached(weights.URLS[0]))  # and under torch-fidelity's
    assert weights.inception() == cached
    monkeypatch.setenv("GANLAB_INCEPTION", str(put(tmp_path / "variable.pth")))
    assert weights.inception() == tmp_path / "variable.pth"
    assert weights.inception(put(tmp_path / "named.pth")) == tmp_path / "named.pth"


def test_another_file_is_refused_wherever_it_lies(monkeypatch, tmp_path):
    found = hashlib.sha256(CONTENT).hexdigest()
    put(weights.cached(weights.URLS[0]))
    for path in (None, put(tmp_path / "mine.pth")):
        with pytest.raises(CheckpointError, match=f"SHA-256 is {found}, not 6726825d"):
            weights.inception(path)
    with pytest.raises(CheckpointError, match=r"no weights at .*nowhere\.pth: download https"):
        weights.inception(tmp_path / "nowhere.pth")


def test_a_download_is_checked_and_kept_under_its_name(published, monkeypatch):
    asked = []

    def download(url, to):
        asked.append(url)
        if url == weights.URLS[0]:
            raise OSError("not found")
        to.write_bytes(CONTENT)

    monkeypatch.setattr(fetch, "download", download)
    path = weights.download()
    assert asked == list(weights.URLS)  # the second address where the first fails
    assert path == weights.cached(weights.URLS[0]) == weights.inception()
    assert weights.download() == path
    assert len(asked) == 2


def test_a_bad_download_leaves_nothing(monkeypatch):
    monkeypatch.setattr(fetch, "download", lambda url, to: to.write_bytes(b"an error page"))
    with pytest.raises(CheckpointError, match="is not the FID network"):
        weights.download()
    assert not list(weights.cached(weights.URLS[0]).parent.glob("*.pth"))


def test_offline_and_unreachable_are_one_line(monkeypatch):
    def fail(url, to):
        raise OSError("no route")

    monkeypatch.setattr(fetch, "download", fail)
    with pytest.raises(CheckpointError, match=r"cannot be downloaded .*no route"):
        weights.download()
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="GANLAB_OFFLINE forbids"):
        weights.download()


class Harm:
    """A pickle that would run code when it is read."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_reading_weights_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Harm()}, "bad.pth")
    put(tmp_path / "raw.pth", pickle.dumps(Harm()))
    for name in ("bad.pth", "raw.pth"):
        with pytest.raises(CheckpointError, match="cannot be read as weights"):
            weights.load(nn.Linear(2, 2), tmp_path / name)
    assert not (tmp_path / "harm").exists()


def test_weights_of_another_network_are_named(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"weights of another network: size mismatch"):
        weights.load(nn.Linear(2, 2), tmp_path / "w.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="holds no state dict, but a list"):
        weights.load(nn.Linear(2, 2), tmp_path / "list.pth")


def test_drawn_weights_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    prints = []
    for seed in (0, 0, 1):
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
        state = torch.get_rng_state()
        weights.randomize(network, seed)
        assert torch.equal(state, torch.get_rng_state())
        prints.append(weights.fingerprint(network))
    assert prints[0] == prints[1] != prints[2]
    torch.set_rng_state(before)


# ---- torchvision's own weights ----


@pytest.fixture
def squeezed(monkeypatch):
    """Weights of torchvision's smallest network in torch.hub's cache, under the name of theirs."""
    from torchvision import models

    network = models.get_model("squeezenet1_1", weights=None)
    torch.save(network.state_dict(), file := io.BytesIO())
    content = file.getvalue()
    name = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    kind = models.get_model_weights("squeezenet1_1")
    fake = types.SimpleNamespace(DEFAULT=types.SimpleNamespace(url=f"https://nowhere/{name}"))
    real = models.get_model_weights
    monkeypatch.setattr(
        models, "get_model_weights", lambda n: fake if n == "squeezenet1_1" else real(n)
    )
    assert weights.hash_in(weights.cached(kind.DEFAULT.url)) == "b8a52dc0"  # theirs has one too
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: 1 / 0)
    return weights.cached(fake.DEFAULT.url), content


def test_weights_in_the_cache_are_hashed_and_a_damaged_file_is_refused(squeezed):
    path, content = squeezed
    put(path, content)
    assert backbones._published("squeezenet1_1") == path
    put(path, content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError) as caught:
        backbones._published("squeezenet1_1")
    line = str(caught.value)
    assert line.startswith(f"{path} is damaged: its SHA-256 begins with ")
    assert line.endswith(": delete it, and it is downloaded again")
    assert "\n" not in line


def test_weights_that_are_not_there_are_fetched_and_hashed(squeezed, monkeypatch):
    path, content = squeezed
    asked = []

    def download(url, to, prefix, progress):
        asked.append((url.rsplit("/", 1)[1], prefix))
        put(path, content)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert backbones._published("squeezenet1_1") == path
    assert asked == [(path.name, weights.hash_in(path))]
    path.unlink()
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="GANLAB_OFFLINE forbids downloading https://nowhere"):
        backbones._published("squeezenet1_1")


def test_a_name_without_a_hash_cannot_be_checked(tmp_path):
    with pytest.raises(CheckpointError, match="there is no SHA-256 in its name"):
        weights.check_named(put(tmp_path / "resnet18.pth"))
    with pytest.raises(FileError, match="cannot be read"):
        weights.check_named(tmp_path / "resnet18-f37072fd.pth")


def test_a_cache_that_cannot_be_written_is_one_line(monkeypatch, tmp_path):
    put(tmp_path / "file")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match=r"cannot be written: not a directory") as caught:
        weights.download()
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: 1 / 0)
    with pytest.raises(CheckpointError, match="cannot be downloaded"):
        backbones._published("resnet18")


def test_the_old_names_in_files_of_densenets_are_understood(tmp_path):
    """torchvision renames them when it loads its own files; in its files they are as they were."""
    from torchvision import models

    torch.manual_seed(0)
    network = models.DenseNet(4, (2, 2), 8, num_classes=3)
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", key): value
        for key, value in network.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    other = models.DenseNet(4, (2, 2), 8, num_classes=3)
    weights.load(other, tmp_path / "old.pth")
    for key, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key
