"""What can be done with a trained generator: walk, mix, project, edit, and measure its space.

A generator with styles (StyleGAN, StyleGAN2) has z, its normal latent vector, and w, what the
mapping network makes of it; of other generators there is z alone. What needs w refuses those in
one line; of a conditional one, `of_class` makes a generator of a single class. Codes are
z (B, latent), w (B, W), or styles (B, L, W), one w for each layer. Pictures come back on the
generator's device, without a graph, with the noise inputs fixed; the generator's mode, weights
and gradients stay as they were.
"""

from ganlab.latent import factors, reader
from ganlab.latent.classes import of_class
from ganlab.latent.directions import Directions, affines, ganspace, sefa, supervised
from ganlab.latent.disentanglement import (
    Separability,
    conditional_entropy,
    entropy,
    gaps,
    linear_fit,
    mig,
    mutual_information,
    separability,
)
from ganlab.latent.distance import pyramid_distance
from ganlab.latent.editing import edit
from ganlab.latent.factors import scalars
from ganlab.latent.linear import explained, logistic, ridge
from ganlab.latent.mixing import mix, mixing_grid
from ganlab.latent.network import chosen, draw, mapped, render
from ganlab.latent.projection import Projection, noise_penalty, project, ramp
from ganlab.latent.reader import FactorReader
from ganlab.latent.table import Disentanglement, disentanglement, read_factors
from ganlab.latent.walk import centre, lerp, path, slerp, truncated, walk

__all__ = [
    "Directions",
    "Disentanglement",
    "FactorReader",
    "Projection",
    "Separability",
    "affines",
    "centre",
    "chosen",
    "conditional_entropy",
    "disentanglement",
    "draw",
    "edit",
    "entropy",
    "explained",
    "factors",
    "ganspace",
    "gaps",
    "lerp",
    "linear_fit",
    "logistic",
    "mapped",
    "mig",
    "mix",
    "mixing_grid",
    "mutual_information",
    "noise_penalty",
    "of_class",
    "path",
    "project",
    "pyramid_distance",
    "ramp",
    "read_factors",
    "reader",
    "render",
    "ridge",
    "scalars",
    "sefa",
    "separability",
    "slerp",
    "supervised",
    "truncated",
    "walk",
]
