"""Gaussian noise on the weights.  Threat: the file; no data, no queries, seconds.

Source: Lukas, Jiang, Li, Kerschbaum, *SoK: How Robust is Image Classification Deep Neural Network
Watermarking?*, S&P 2022, among the model modifications.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from wmx.attacks.attack import Target
from wmx.attacks.graph.rewriting import GraphAttack, kernels, replace_values, values_of


@dataclass(frozen=True)
class WeightNoise(GraphAttack):
    """Add Gaussian noise to every kernel, in units of the kernel's standard deviation.

    Attributes:
        scale: standard deviation of the noise, relative to that of the kernel.
    """

    scale: float = 0.2

    threat = "has the file; no data, no queries, seconds"
    source = "Lukas et al., S&P 2022"

    def changed(self, model: Any, target: Target) -> Any:
        """Add the noise in place."""
        rng = target.stream("weight noise")
        for tensor in kernels(model):
            values = values_of(tensor)
            noise = rng.standard_normal(values.shape, dtype=np.float32)
            replace_values(tensor, values + np.float32(self.scale) * values.std() * noise)
        return model
