"""Networks, and nothing else: no loss, no optimiser, no file."""

from ganlab.models import (
    dcgan,
    equalized,
    families,
    fir,
    growing,
    latent,
    layers,
    mlp,
    modern,
    modulation,
    progan,
    resnet,
    shapes,
    style_layers,
    stylegan,
    stylegan2,
)
from ganlab.models.encoder import Encoder
from ganlab.models.equalized import HE, EqualConv2d, EqualLinear, channels_at, pixel_norm
from ganlab.models.families import FAMILIES, network_family
from ganlab.models.fir import Fir, upfirdn
from ganlab.models.growing import doubled, enlarged, halved
from ganlab.models.latent import NormalLatent, drawn
from ganlab.models.layers import (
    MinibatchDiscrimination,
    MinibatchStd,
    Packed,
    SpectralNorm,
    spectral,
)
from ganlab.models.style_layers import Mapping, Noise, StyleGenerator

__all__ = [
    "FAMILIES",
    "HE",
    "Encoder",
    "EqualConv2d",
    "EqualLinear",
    "Fir",
    "Mapping",
    "MinibatchDiscrimination",
    "MinibatchStd",
    "Noise",
    "NormalLatent",
    "Packed",
    "SpectralNorm",
    "StyleGenerator",
    "channels_at",
    "dcgan",
    "doubled",
    "drawn",
    "enlarged",
    "equalized",
    "families",
    "fir",
    "growing",
    "halved",
    "latent",
    "layers",
    "mlp",
    "modern",
    "modulation",
    "network_family",
    "pixel_norm",
    "progan",
    "resnet",
    "shapes",
    "spectral",
    "style_layers",
    "stylegan",
    "stylegan2",
    "upfirdn",
]
