"""The FID network against its definition, and against torch-fidelity where that is installed."""

import pytest
import torch

from ganlab.metrics import inception, weights

DRAW = torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def network():
    net = inception.InceptionV3()
    weights.randomize(net)
    for module in net.modules():  # running averages as a trained network has them, not 0 and 1
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=DRAW)
            module.running_var.uniform_(0.5, 1.5, generator=DRAW)
            module.weight.data.uniform_(0.8, 1.2, generator=DRAW)
            module.bias.data.normal_(0, 0.1, generator=DRAW)
    net.fc.bias.data.fill_(7.0)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def seen(network):
    """Two pictures, what the first convolution received, features and logits."""
    caught = []
    hook = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, x: caught.append(x[0]))
    x = torch.randint(0, 256, (2, 3, 299, 299), generator=DRAW).float()
    features, logits = network(x)
    hook.remove()
    return x, caught[0], features, logits


def test_names_and_numbers_are_those_of_the_published_state_dict(network):
    state = network.state_dict()
    assert len(state) == 566
    assert sum(tensor.numel() for tensor in state.values()) == 23_885_486
    assert state["fc.weight"].shape == (1008, 2048)
    assert "Mixed_7c.branch3x3dbl_3b.conv.weight" in state
    assert not any("AuxLogits" in name for name in state)


def test_bytes_enter_as_x_minus_128_over_128(seen):
    x, entered, _, _ = seen
    assert torch.equal(entered, (x - 128) / 128)


def test_logits_are_those_without_bias(network, seen):
    _, _, features, logits = seen
    assert features.shape == (2, 2048)
    assert features.std() > 0.1  # the pictures differ, the comparison below means something
    assert torch.allclose(logits, features @ network.fc.weight.T)
    assert torch.allclose(network.fc(features) - logits, torch.tensor(7.0), atol=1e-4)


def _pooled(block, channels, size=5):
    """What the pooling branch of a block makes of a random picture, and the picture."""
    caught = []
    hook = block.branch_pool.register_forward_pre_hook(lambda _, x: caught.append(x[0]))
    x = torch.randn(1, channels, size, size, generator=DRAW)
    block(x)
    hook.remove()
    return x, caught[0]


@pytest.mark.parametrize(
    ("name", "channels"), [("Mixed_5b", 192), ("Mixed_6b", 768), ("Mixed_7b", 1280)]
)
def test_averages_do_not_count_the_padding(network, name, channels):
    x, pooled = _pooled(network.get_submodule(name), channels)
    assert torch.allclose(pooled[..., 0, 0], x[..., :2, :2].mean((2, 3)), atol=1e-6)  # of 4
    assert torch.allclose(pooled[..., 0, 2], x[..., :2, 1:4].mean((2, 3)), atol=1e-6)  # of 6
    assert torch.allclose(pooled[..., 2, 2], x[..., 1:4, 1:4].mean((2, 3)), atol=1e-6)  # of 9


def test_the_last_block_takes_the_maximum(network):
    x, pooled = _pooled(network.Mixed_7c, 2048)
    assert torch.equal(pooled[..., 0, 0], x[..., :2, :2].amax((2, 3)))
    assert torch.equal(pooled[..., 3, 2], x[..., 2:5, 1:4].amax((2, 3)))


def test_torchvisions_own_pooling_gives_other_features(network, seen):
    from torchvision.models.inception import Inception3

    own = Inception3(1008, aux_logits=False, init_weights=False)
    own.load_state_dict(network.state_dict())
    own.fc = torch.nn.Identity()
    with torch.no_grad():
        other = own.eval()(seen[1])
    assert (other - seen[2]).abs().max() > 0.05 * seen[2].abs().max()


def test_features_are_torch_fidelitys_to_the_last_bit(network, seen, tmp_path):
    pytest.importorskip("torch_fidelity")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = str(tmp_path / "weights.pth")
    torch.save(network.state_dict(), path)
    reference = FeatureExtractorInceptionV3(
        "reference", ["2048", "logits_unbiased"], feature_extractor_weights_path=path
    )
    x, _, features, logits = seen
    with torch.no_grad():
        expected = reference(x.to(torch.uint8))
    for name, ours, theirs in zip(("features", "logits"), (features, logits), expected):
        print(f"{name}: largest difference {float((ours - theirs).abs().max())}")
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))
