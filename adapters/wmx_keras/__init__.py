"""wmx for Keras 3, on TensorFlow, JAX or PyTorch: mark a model with ``fit``, and export it.

>>> from wmx_keras import watermarked, harden_model, Monitor, export
"""

from wmx._internal.imports import needing_extra
from wmx.training.metrics import Marking

with needing_extra("keras", jax="jax", torch="torch"):
    from wmx_keras.export import export
    from wmx_keras.harden_model import harden_model
    from wmx_keras.monitor import Monitor
    from wmx_keras.watermarked import watermarked

__all__ = ["Marking", "Monitor", "export", "harden_model", "watermarked"]
