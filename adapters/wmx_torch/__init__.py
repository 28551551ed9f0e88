"""wmx for PyTorch: mark a model in your own training loop, and export it.

>>> from wmx_torch import watermarked, harden, export
"""

from wmx._internal.imports import needing_extra
from wmx.training.metrics import Marking

with needing_extra("torch"):
    from wmx_torch.export import export
    from wmx_torch.harden import harden
    from wmx_torch.monitor import Monitor
    from wmx_torch.watermarked import watermarked

__all__ = ["Marking", "Monitor", "export", "harden", "watermarked"]
