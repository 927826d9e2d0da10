"""What the discriminator is shown in place of a picture: DiffAugment, instance noise, ADA."""

from ganlab.augment import ada_ops, diff
from ganlab.augment.ada import PRESETS, Ada, AdaptiveP
from ganlab.augment.diff import DiffAugment, InstanceNoise, Transform, augment

__all__ = [
    "PRESETS",
    "Ada",
    "AdaptiveP",
    "DiffAugment",
    "InstanceNoise",
    "Transform",
    "ada_ops",
    "augment",
    "diff",
]
