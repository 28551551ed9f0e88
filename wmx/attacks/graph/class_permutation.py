"""Permuting the classes.  Threat: the file; no data, no queries, seconds.

The model is as accurate as before under the new numbering, but none of the owner's trigger labels
is at its place.  Source: the output permutations among the attacks of Lukas et al., S&P 2022; the
``mapping`` expert of docs/statistics.md counters it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.graph.rewriting import GraphAttack
from wmx.errors import CannotRunError


@dataclass(frozen=True)
class ClassPermutation(GraphAttack):
    """Permute the class scores so that no class keeps its index."""

    threat = "has the file; no data, no queries, seconds"
    source = "Lukas et al., S&P 2022"

    def run(self, target: Target, folder: Path, progress: Progress) -> list[Outcome]:
        """Permute the scores, and the labels of the test set accordingly."""
        (outcome,) = super().run(target, folder, progress)
        new_place = np.argsort(derangement(target))
        return [replace(outcome, y_test=new_place[outcome.y_test])]

    def changed(self, model: Any, target: Target) -> Any:
        """Append a ``Gather`` node that permutes the scores."""
        from onnx import TensorProto, helper, numpy_helper

        graph, classes = model.graph, target.task.classes
        output = graph.output[0]
        kind = output.type.tensor_type
        last = kind.shape.dim[-1].dim_value if len(kind.shape.dim) == 2 else None
        if kind.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16) or last != classes:
            raise CannotRunError(
                f"the first output, {output.name}, is not scores [N, {classes}], "
                "so the classes cannot be renumbered",
                hint="export the model with its logits or probabilities as the first output",
            )
        inner = f"{output.name}/before renumbering"
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [inner if name == output.name else name for name in names]
        order = numpy_helper.from_array(derangement(target), "wmx/order of classes")
        graph.initializer.append(order)
        graph.node.append(helper.make_node("Gather", [inner, order.name], [output.name], axis=1))
        return model


def derangement(target: Target) -> NDArray[np.int64]:
    """Return the old class at each new index, int64 [K]; no class keeps its index."""
    classes = target.task.classes
    order = target.stream("class permutation").permutation(classes)
    moved = np.empty(classes, dtype=np.int64)
    moved[order] = np.roll(order, 1)  # one cycle through all classes
    return moved
