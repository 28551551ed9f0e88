"""Backend-specific code: one module for each Keras backend, with the same functions.

* ``normals(values, seed, step)``: standard normal draws in the values' shapes and dtypes.
* ``gradients(loss, values)``: of a function of a list of tensors; zeros where independent.
* ``where_due(due, added, nothing)``: the result of ``added`` if ``due``, else ``nothing``.
* ``untraced(function)``: the function, callable from a compiled step.
* ``onnx_bytes(network, model, task)``: the ONNX file of a function that calls a model.
* ``has_gpu()``: whether the backend finds a GPU.
* ``streams_kept()``: a context manager that restores the backend's global random state.
"""

import importlib
from typing import Any

import keras


def current() -> Any:
    """Return the module for the backend that Keras runs on.

    Raises:
        ModuleNotFoundError: the backend's exporter is not installed.
    """
    return importlib.import_module(f"wmx_keras._backends.on_{keras.backend.backend()}")
