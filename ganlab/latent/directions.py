"""Directions in the latent space along which pictures change in one respect.

Three ways to find them: from the weights alone (SeFa, Shen and Zhou 2021), from where w lies
(GANSpace, Härkönen et al. 2020), from labels (the normal of a plane between two classes, as in
InterFaceGAN, Shen et al. 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import RecipeError, at_least, unknown
from ganlab.latent.linear import columns_of, explained, halves, logistic, ridge
from ganlab.latent.network import Layers, chosen, draw, has_styles, mapped, need_styles
from ganlab.metrics.arrays import shaped
from ganlab.models.equalized import EqualLinear


@dataclass(frozen=True)
class Directions:
    """Unit vectors in w (or z), the strongest first.

    Attributes:
        vectors: (k, W) float32, each of length 1.
        values: (k,): SeFa's eigenvalues; GANSpace's variances; of labels, how well the direction
            tells pictures it has not seen, accuracy for two classes and R² for numbers.
        layers: whose styles an edit moves; None for all. See `ganlab.latent.network.chosen`.
        name: of the method.
        names: of each vector; empty where they have none.
    """

    vectors: Tensor
    values: Tensor
    layers: Layers = None
    name: str = ""
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, i: int | str) -> Directions:
        """One direction, by number or by name, as a `Directions` of length 1.

        Raises:
            RecipeError: there is none of that name.
            IndexError: there are not so many.
        """
        if isinstance(i, str):
            if i not in self.names:
                raise RecipeError(unknown("direction", i, self.names or ["none has a name"]))
            i = self.names.index(i)
        if not -len(self) <= i < len(self):
            raise IndexError(f"direction {i} of {len(self)}")
        one = slice(i % len(self), i % len(self) + 1)
        return replace(
            self, vectors=self.vectors[one], values=self.values[one], names=self.names[one]
        )

    def at(self, layers: Layers) -> Directions:
        """The same directions for some layers' styles only."""
        return replace(self, layers=layers)

    def without(self, other: Directions | Tensor) -> Directions:
        """What is left of each after taking out all components along `other`'s.

        An edit then leaves fixed what those measure (Shen et al. 2020, conditional manipulation).

        Raises:
            RecipeError: nothing is left of one.
            DataError: the others have another width, or a value is not finite.
        """
        basis = other.vectors if isinstance(other, Directions) else other
        width = self.vectors.shape[1]
        basis = torch.atleast_2d(shaped(basis, "other", (width,), ("k", width)))
        q = torch.linalg.qr(basis.double().T).Q
        left = self.vectors.double()
        left = left - left @ q @ q.T
        length = left.norm(dim=1, keepdim=True)
        if bool((length < 1e-6).any()):
            raise RecipeError("a direction lies wholly in those that are to be taken out")
        return replace(self, vectors=(left / length).float())


def sefa(g: Any, layers: Layers = None, k: int = 8) -> Directions:
    """Closed-form factorisation: the directions that the first maps of the styles amplify most.

    With $A$ the weights of the chosen styles' affine maps, one below the other, these are the
    eigenvectors $v$ with the largest eigenvalues in

        Aᵀ A v = λ v

    (Shen and Zhou 2021); no picture is drawn. A generator without styles gives $A$ by its first
    layer, and directions in z.

    Args:
        g: StyleGAN, StyleGAN2, or a generator whose first linear layer takes z.
        layers: styles, whose maps are taken and which an edit will move.
        k: how many.

    Raises:
        RecipeError: a layer does not exist, k is too large, or no first linear layer is found.
    """
    if not hasattr(g, "modules"):
        raise RecipeError(f"a generator is needed, not a {type(g).__name__}")
    k = at_least("k", k)
    if has_styles(g):
        maps = affines(g)
        a = torch.cat([maps[i] for i in chosen(layers, g.layers_used)])
    else:
        a = _first_map(g)
        layers = None
    if k > a.shape[1]:
        raise RecipeError(f"k={k}: there are {a.shape[1]} directions")
    values, vectors = torch.linalg.eigh(a.T @ a)
    picked = vectors.T.flip(0)[:k]
    return Directions(_signed(picked), values.flip(0)[:k].float(), layers, "SeFa")


def affines(g: Any) -> list[Tensor]:
    """The matrix that each of the L styles goes through, (channels, W) float64 on the CPU.

    The convolution's, or AdaIN's for both scale and mean; the last style of StyleGAN2 has only
    the map of the last picture.
    """
    need_styles(g, "SeFa in w")
    if hasattr(g, "epilogues"):
        found = [epilogue.adain.affine for epilogue in g.epilogues[: g.layers_used]]
    else:
        found = [layer.conv.affine for layer in g.layers] + [g.to_pixels[-1].conv.affine]
    return [_weight(affine) for affine in found]


def ganspace(g: Any, n: int = 10_000, k: int = 8, seed: int = 0) -> Directions:
    """Principal components of w (Härkönen et al. 2020): where most of W lies.

    Args:
        g: a generator with styles.
        n: latent vectors to map.
        k: how many components; `values` are the variances along them.
        seed: of the latent vectors.

    Raises:
        RecipeError: the generator has no w, or k or n does not fit.
    """
    need_styles(g, "GANSpace")
    n, k = at_least("n", n, 2), at_least("k", k)
    w = mapped(g, draw(g, n, seed)).cpu().double()
    if k > w.shape[1]:
        raise RecipeError(
            f"n={n}, k={k}: two vectors at least, and at most {w.shape[1]} directions"
        )
    values, vectors = torch.linalg.eigh(torch.cov(w.T))
    return Directions(_signed(vectors.T.flip(0)[:k]), values.flip(0)[:k].float(), None, "GANSpace")


def supervised(
    ws: Tensor,
    labels: Tensor | Mapping[str, Tensor],
    layers: Layers = None,
    penalty: float = 1e-3,
    seed: int = 0,
) -> Directions:
    """Directions towards what labels say: logistic regression for two classes, else linear.

    Half of the codes are held out, and tell how good each direction is (`values`); the direction
    itself then comes from all.

    Args:
        ws: codes, (N, W), or styles (N, L, W), of which the mean over the layers counts.
        labels: (N,) or (N, F), or a dict of (N,): bool, whole numbers 0 and 1, or numbers.
        layers: that an edit will move.
        penalty: on the weights, see `ganlab.latent.linear`.
        seed: of the halves.

    Raises:
        RecipeError: codes and labels differ in number.
        DataError: a label never varies, or a value is not finite.
    """
    shaped(ws, "codes", ("N", "W"), ("N", "L", "W"))
    codes = (ws.mean(1) if ws.ndim == 3 else ws).detach().cpu().double()
    named = isinstance(labels, Mapping)
    columns = columns_of(labels)
    learn, judge = halves(len(codes), seed)
    vectors, values = [], []
    for name, y in columns.items():
        if y.shape != codes.shape[:1]:
            raise RecipeError(f"label {name}: {tuple(y.shape)} for {len(codes)} codes")
        classes = not y.is_floating_point() or set(y.unique().tolist()) <= {0.0, 1.0}
        fit = logistic if classes else ridge
        guess = fit(codes[learn], y[learn], penalty)(codes[judge])
        if classes:
            values.append(float(((guess > 0) == (y[judge] > 0)).double().mean()))
        else:
            values.append(explained(y[judge], guess))
        weight = fit(codes, y, penalty).weight
        vectors.append(weight / weight.norm().clamp(min=1e-30))
    return Directions(
        torch.stack(vectors).float(),
        torch.tensor(values),
        layers,
        "supervised",
        tuple(columns) if named else (),
    )


def _weight(linear: Any) -> Tensor:
    """(outputs, inputs) as used: an equalised layer's constant included."""
    weight = linear.weight.detach().cpu().double()
    return weight * linear.scale if isinstance(linear, EqualLinear) else weight


def _first_map(g: nn.Module) -> Tensor:
    """(outputs, latent) of the first layer that takes z."""
    size = getattr(g, "latent", None)
    for module in g.modules():
        if isinstance(module, nn.Linear | EqualLinear) and module.weight.shape[1] == size:
            return _weight(module)
        if isinstance(module, nn.ConvTranspose2d) and module.in_channels == size:
            return module.weight.detach().cpu().double().flatten(1).T
    raise RecipeError(f"{type(g).__name__}: no linear layer that takes z of length {size}")


def _signed(vectors: Tensor) -> Tensor:
    """Float32, each with its largest entry positive: eigenvectors have no sign of their own."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return (vectors * largest.sign()).float()
