"""What the discriminator is shown in place of a picture: DiffAugment, instance noise, ADA."""

from ganlab.augment import ada_ops, diff
from ganlab.augment.ada import PRESETS, Ada, AdaptiveP
from ganlab.augment.diff import DiffAugment, InstanceNoise, Sometimes, Transform, augment

__all__ = [
    "PRESETS",
    "Ada",
    "AdaptiveP",
    "DiffAugment",
    "InstanceNoise",
    "Sometimes",
    "Transform",
    "ada_ops",
    "augment",
    "diff",
]
