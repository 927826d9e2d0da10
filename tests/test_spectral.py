"""Spectral normalisation: the bound, the state, and the ways in which it is used."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils import parametrizations, parametrize

from ganlab.models import SpectralNorm, dcgan, mlp, spectral


def count(network):
    return sum(p.numel() for p in network.parameters())


def small():
    return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))


def largest(layer):
    """Largest singular value of a layer's weight in use, as (outputs, everything else)."""
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    return torch.linalg.matrix_norm(layer.weight.detach().movedim(dim, 0).flatten(1), 2).item()


def vectors(network):
    return [b.clone() for b in network.buffers()]


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (nn.Linear, (20, 12)),
        (nn.Conv2d, (3, 8, 4)),
        (nn.ConvTranspose2d, (6, 10, 4)),
        (nn.Conv1d, (4, 5, 3)),
    ],
)
def test_largest_singular_value_becomes_one(kind, sizes):
    layer = kind(*sizes)  # made here, after the seed: two values that are nearly equal need more
    with torch.no_grad():
        layer.weight *= 7
    before = layer.weight.detach().clone()
    spectral(layer)
    for _ in range(300):
        _ = layer.weight
    assert largest(layer) == pytest.approx(1, abs=1e-3)
    # The weight keeps its direction, and the parameter its value.
    assert torch.equal(layer.parametrizations.weight.original, before)
    ratio = before / layer.weight.detach()
    assert ratio.std() < 1e-4 * ratio.mean()


def test_every_weight_and_no_norm_or_bias_is_normalised():
    d = dcgan.Discriminator(32, 3, width=4, norm="spectral")
    normalised = [m for m in d.modules() if parametrize.is_parametrized(m)]
    assert len(normalised) == 4
    for m in normalised:
        assert set(m.parametrizations) == {"weight"}
        assert m.bias is not None
    g = spectral(dcgan.Generator(16, 1, latent=4, width=4))
    assert not any(parametrize.is_parametrized(m) for m in g.modules()
                   if isinstance(m, nn.BatchNorm2d))  # fmt: skip
    assert spectral(g) is g  # a second time changes nothing
    assert all(len(m.parametrizations.weight) == 1 for m in g.modules()
               if parametrize.is_parametrized(m))  # fmt: skip


def test_same_as_torchs_own():
    ours, theirs = spectral(nn.Conv2d(3, 8, 4)), nn.Conv2d(3, 8, 4)
    parametrizations.spectral_norm(theirs)
    theirs.load_state_dict(ours.state_dict())  # the same names too
    x = torch.randn(2, 3, 8, 8)
    for _ in range(3):
        a, b = ours(x), theirs(x)
        assert torch.allclose(a, b, atol=1e-6)
        a.square().sum().backward()
        b.square().sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-4)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours.buffers(), theirs.buffers()))


def test_lipschitz_bound_holds():
    network = small()
    with torch.no_grad():
        for p in network.parameters():
            p *= 5
    x, y = torch.randn(2000, 3), torch.randn(2000, 3)

    def steepest():
        rise = (network(x) - network(y)).norm(dim=1) / (x - y).norm(dim=1)
        return rise.max().item()

    assert steepest() > 2  # the bound below is not for free
    spectral(network, iterations=50)
    with torch.no_grad():
        network(x)
        assert steepest() <= 1.001


def test_the_gradient_goes_through_sigma():
    # d/dW of f(W / u'Wv) with u and v held, in closed form.
    layer = spectral(nn.Linear(4, 3, bias=False)).eval()
    x = torch.randn(5, 4)
    layer(x).sum().backward()
    w = layer.parametrizations.weight.original
    norm = layer.parametrizations.weight[0]
    sigma = norm._u @ w.detach() @ norm._v
    outer = torch.outer(norm._u, norm._v)
    g = torch.ones(5, 3).T @ x
    expected = (g - (g * w.detach()).sum() / sigma * outer) / sigma
    assert torch.allclose(w.grad, expected, atol=1e-5)


def test_evaluation_changes_nothing_and_training_iterates():
    network = spectral(small())
    x = torch.randn(4, 3)
    network.eval()
    before, first = vectors(network), network(x)
    assert torch.equal(network(x), first)
    assert all(map(torch.equal, before, vectors(network)))
    with torch.no_grad():
        network.train()(x)
    assert not all(map(torch.equal, before, vectors(network)))


def test_copy_and_state_dict():
    network = spectral(small())
    twin = copy.deepcopy(network).requires_grad_(False).eval()
    x, before = torch.randn(4, 3), vectors(twin)
    network(x)
    assert all(map(torch.equal, before, vectors(twin)))  # the copy has its own vectors
    fresh = spectral(small())
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(fresh.eval()(x), network.eval()(x))


def test_vectors_stay_the_same_tensors():
    # The running average of a player keeps references to a network's buffers.
    network = spectral(small())
    held = list(network.buffers())
    network(torch.randn(4, 3))
    network.load_state_dict(spectral(small()).state_dict())
    assert all(a is b for a, b in zip(held, network.buffers(), strict=True))


def test_two_forwards_one_backward():
    network = spectral(small())
    x, y = torch.randn(4, 3), torch.randn(4, 3, requires_grad=True)
    (network(x).mean() - network(y).mean()).backward()
    assert network[0].parametrizations.weight.original.grad.abs().sum() > 0
    (g,) = torch.autograd.grad(network(y).sum(), y, create_graph=True)  # as in a penalty
    g.square().sum().backward()


def test_cached_shares_one_iteration():
    network = spectral(small())
    twin = copy.deepcopy(network)
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    with parametrize.cached():
        (network(x).mean() + network(y).mean()).backward()
    both = twin(torch.cat([x, y])).mean() * 2  # one forward on everything: one iteration
    both.backward()
    assert all(map(torch.equal, vectors(network), vectors(twin)))
    for p, q in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-6)


def test_autocast_does_not_round_sigma():
    layer = spectral(nn.Linear(64, 64))
    twin = copy.deepcopy(layer)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer.weight
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, twin.weight)


def test_many_networks_at_once():
    networks = [spectral(small()) for _ in range(3)]
    base = copy.deepcopy(networks[0])
    params, buffers = stack_module_state(networks)
    x = torch.randn(3, 5, 3)

    def total(p, b, x):
        return functional_call(base, (p, b), (x,)).sum()

    gradients = vmap(grad(total), in_dims=(0, 0, 0))(params, buffers, x)
    for i, network in enumerate(networks):
        network(x[i]).sum().backward()
        for name, p in network.named_parameters():
            assert torch.allclose(p.grad, gradients[name][i], atol=1e-5)
        for name, b in network.named_buffers():  # the iteration reached the stacked vectors
            assert torch.allclose(b, buffers[name][i], atol=1e-6)


def test_a_zero_weight_stays_finite():
    norm = SpectralNorm(torch.zeros(3, 4))
    assert torch.equal(norm(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_spectral_starts_from_the_same_weights():
    torch.manual_seed(5)
    plain = mlp.Discriminator(2, width=8)
    torch.manual_seed(5)
    normed = mlp.Discriminator(2, width=8, norm="spectral")
    for a, b in zip(plain.layers, normed.layers, strict=True):
        if isinstance(a, nn.Linear):
            assert torch.equal(a.weight, b.parametrizations.weight.original)
    assert count(plain) == count(normed)
