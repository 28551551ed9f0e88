"""Embedding a mark: recipes, batches with triggers, the built-in training loop, ONNX export.

:func:`wmx.embed` does all of it; here is what it can be told, and what loops of one's own use.
"""

from wmx._internal.lazy import names_from

TYPE_CHECKING = False  # as typing's

if TYPE_CHECKING:
    from wmx.training.config import Training
    from wmx.training.data.dataset import LabeledData, load_data
    from wmx.training.embed import Embedded
    from wmx.training.recipe import RECIPES, Recipe
    from wmx.training.second_choice import representatives, soft_labels

_HOMES = {
    "Embedded": "wmx.training.embed",
    "LabeledData": "wmx.training.data.dataset",
    "RECIPES": "wmx.training.recipe",
    "Recipe": "wmx.training.recipe",
    "Training": "wmx.training.config",
    "load_data": "wmx.training.data.dataset",
    "representatives": "wmx.training.second_choice",
    "soft_labels": "wmx.training.second_choice",
}

__all__ = [
    "RECIPES",
    "Embedded",
    "LabeledData",
    "Recipe",
    "Training",
    "load_data",
    "representatives",
    "soft_labels",
]

__getattr__ = names_from(__name__, _HOMES)
