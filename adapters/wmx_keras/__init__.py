"""wmx for Keras 3, on TensorFlow, JAX or PyTorch: mark a model with ``fit``, and export it.

>>> from wmx_keras import watermarked, protect, Monitor, export
"""

from wmx.training.metrics import Marking
from wmx_keras.export import export
from wmx_keras.monitor import Monitor
from wmx_keras.protect import protect
from wmx_keras.watermarked import watermarked

__all__ = ["Marking", "Monitor", "export", "protect", "watermarked"]
