"""Half precision.  Threat: the file; no data, no queries, seconds.

The mildest of the attacks, since many deployment tools do it anyway.  Source: onnxruntime's
converter, ``onnxruntime.transformers.float16``.
"""

from dataclasses import dataclass
from typing import Any

from wmx.attacks.attack import Target
from wmx.attacks.graph.rewriting import GraphAttack
from wmx.training.export import exporting


@dataclass(frozen=True)
class HalfPrecision(GraphAttack):
    """Convert weights and arithmetic to float16; input and output stay float32."""

    threat = "has the file; no data, no queries, seconds"
    source = "onnxruntime.transformers.float16"

    def changed(self, model: Any, target: Target) -> Any:
        """Convert to float16."""
        from onnxruntime.quantization.onnx_model import ONNXModel
        from onnxruntime.transformers.float16 import convert_float_to_float16

        with exporting("the float16 converter", "some operators have no float16 form"):
            converted = ONNXModel(convert_float_to_float16(model, keep_io_types=True))
            converted.topological_sort()  # the converter puts its casts at the end
            return converted.model
