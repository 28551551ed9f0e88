"""What the backends of Keras do differently: one module each, with the same functions.

* ``normals(values, seed, step)``: standard normal draws of the values' shapes and dtypes.
* ``gradients(loss, values)``: of a function of a list of tensors; zeros where there is none.
* ``where_due(due, added, nothing)``: what ``added`` gives at steps that are due, else ``nothing``.
* ``untraced(function)``: the function as it may be called from a step that is compiled.
* ``onnx_bytes(network, model, task)``: the ONNX file of a function that calls a model.
* ``has_gpu()``: whether the backend finds one.
* ``streams_kept()``: a context in which training leaves the backend's random stream as found.
"""

import importlib
from typing import Any

import keras


def current() -> Any:
    """Return the module of the backend that Keras runs on.

    Raises:
        ModuleNotFoundError: the backend's exporter is not installed.
    """
    return importlib.import_module(f"wmx_keras.backends.on_{keras.backend.backend()}")
