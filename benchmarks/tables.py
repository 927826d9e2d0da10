"""The settings that `publish.py table` compares: changes to one narrow DCGAN on MNIST."""

from __future__ import annotations

from typing import Any

#: A quarter of the work of the recipe: a table has dozens of runs.
NARROW: dict[str, Any] = {"generator": {"width": 16}, "discriminator": {"width": 16}}

#: Chapter 4: each rule of the DCGAN paper switched off alone, over seeds, on MNIST at 32 px.
_ABLATION: dict[str, dict[str, Any]] = {
    "all rules": {},
    "no BatchNorm in G": {"generator": {"batch_norm": False}},
    "no BatchNorm in D": {"discriminator": {"batch_norm": False}},
    "no BatchNorm at all": {
        "generator": {"batch_norm": False},
        "discriminator": {"batch_norm": False},
    },
    "ReLU in D": {"discriminator": {"activation": "relu"}},
    "pooling in D": {"discriminator": {"pool": True}},
    "resize + convolution in G": {"generator": {"upsample": "nearest"}},
    "Adam with β₁ = 0.9": {"betas": (0.9, 0.999)},
    "both rates 2·10⁻⁴, as published": {"g_lr": 2e-4, "d_lr": 2e-4},
    "both rates 2·10⁻³": {"g_lr": 2e-3, "d_lr": 2e-3},
}

_BARE = {"discriminator": {"norm": "none"}}

#: Chapter 7: objectives and what regularises them, each with the optimiser of its paper where
#: that one works at this size.
_OBJECTIVES: dict[str, dict[str, Any]] = {
    "non-saturating": {},
    "minimax": {"objective": "minimax"},
    "least squares, 0-1": {"objective": "least-squares"},
    "least squares, -1-1-0": {
        "objective": "least-squares",
        "objective_options": {"coding": "-1-1-0"},
    },
    "hinge": {"objective": "hinge"},
    "hinge, spectral norm": {"objective": "hinge", "discriminator": {"norm": "spectral"}},
    "relativistic average": {"objective": "relativistic-average"},
    "relativistic paired": {"objective": "relativistic"},
    "Wasserstein, clipping": {
        "objective": "wasserstein",
        "clip": 0.01,
        "d_steps": 5,
        "optimizer": "rmsprop",
        "betas": (0.0, 0.99),
        "g_lr": 5e-5,
        "d_lr": 5e-5,
    },
    "Wasserstein, gradient penalty": {
        "objective": "wasserstein",
        "penalties": {"gp": 10.0},
        "d_steps": 5,
        "betas": (0.0, 0.9),
        "g_lr": 2e-4,
        "d_lr": 2e-4,
        **_BARE,
    },
    "non-saturating, no norm in D": _BARE,
    "non-saturating, R1, no norm in D": {"penalties": {"r1": 1.0}, **_BARE},
    "relativistic paired, R1 and R2, no norm in D": {
        "objective": "relativistic",
        "penalties": {"r1": 1.0, "r2": 1.0},
        **_BARE,
    },
}

#: Chapter 8: one trick at a time. The rates of the base recipe are already two-time-scale (G five
#: times faster); "batch 256" sees as many pictures as the others, in a quarter of the steps.
_TRICKS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "one-sided smoothing, 0.9": {"objective_options": {"real_target": 0.9}},
    "instance noise": {"instance_noise": 0.3},
    "minibatch std": {"discriminator": {"minibatch": "stddev"}},
    "feature matching": {"penalties": {"feature-matching": 1.0}},
    "PacGAN2": {"pack": 2},
    "history pool": {"pool": 512},
    "top-k, to one half": {"top_k": 0.5},
    "no running average": {"half_life": 0.0},
    "cosine decay": {"schedule": "cosine"},
    "DiffAugment": {"augment": "color,translation,cutout"},
    "2 steps of D": {"d_steps": 2},
    "2 steps of G": {"g_steps": 2},
    "rates exchanged": {"g_lr": 2e-4, "d_lr": 1e-3},
    "batch 256": {"batch": 256, "steps": 300},
    "spectral norm in D": {"discriminator": {"norm": "spectral"}},
}

TABLES = {"dcgan-ablation": _ABLATION, "objectives": _OBJECTIVES, "tricks": _TRICKS}
