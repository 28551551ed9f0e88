"""wmx for JAX with Flax NNX or Linen: mark a model in your own training loop, and export it.

>>> from wmx_flax import watermarked, harden, export
"""

from wmx._internal.imports import needing_extra
from wmx.training.metrics import Marking

with needing_extra("jax"):
    from wmx_flax.export import export
    from wmx_flax.harden import harden, harden_transform
    from wmx_flax.monitor import Monitor
    from wmx_flax.watermarked import watermarked

__all__ = ["Marking", "Monitor", "export", "harden", "harden_transform", "watermarked"]
