"""wmx for scikit-learn and what fits like it: mark pipelines and gradient boosting, and export.

>>> from wmx_sklearn import watermarked, export
"""

from wmx_sklearn.export import export
from wmx_sklearn.watermarked import watermarked

__all__ = ["export", "watermarked"]
