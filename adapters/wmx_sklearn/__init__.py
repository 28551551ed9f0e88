"""wmx for scikit-learn, LightGBM and XGBoost: mark estimators and pipelines, and export them.

>>> from wmx_sklearn import watermarked, Monitor, export
"""

from wmx._internal.imports import needing_extra
from wmx.training.metrics import Marking

with needing_extra("sklearn"):
    from wmx_sklearn.export import export
    from wmx_sklearn.monitor import Monitor
    from wmx_sklearn.watermarked import watermarked

__all__ = ["Marking", "Monitor", "export", "watermarked"]
