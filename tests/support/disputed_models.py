"""A dispute in small files: owners, and models that carry the marks of some of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from support import onnx_models
from wmx import OwnerKey, Watermark
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Relation, Release
from wmx.protocol.task import Task

PIXELS = 64
CLASSES = 10


@dataclass(frozen=True)
class Side:
    """One owner.

    Attributes:
        key, watermark: the owner's.
        claim_path, key_path: their files.
        model: an ONNX file that carries this mark alone.
    """

    key: OwnerKey
    watermark: Watermark
    claim_path: Path
    key_path: Path
    model: Path

    def record(
        self,
        model: Path,
        relation: Relation = Relation.own,
        previous: str | None = None,
        created: str | None = None,
    ) -> Release:
        """Sign that a model is one's own, or was found, whatever marks it carries."""
        data = model.with_name(f"{model.name}.data")
        return Release.sign(
            self.key,
            self.watermark.claim,
            relation=relation,
            model=ModelReference(
                model.name,
                onnx_models.sha256_of(model),
                {one.name: onnx_models.sha256_of(one) for one in [data] if one.exists()},
            ),
            previous=previous,
            created=created,
            software="a test",
        )


def side(folder: Path, name: str, base: int = 0, created: str | None = None) -> Side:
    """Make an owner with the files ``name.json``, ``name.pem`` and ``name.onnx``.

    Args:
        folder: of the files.
        name: of the owner.
        base: which network the model is, beside its mark.
        created: when the claim was made, as it states; as in every test if ``None``.
    """
    key = OwnerKey.generate()
    watermark = Watermark.for_task(key, Task.of((8, 8, 1), CLASSES), created=created)
    made = Side(key, watermark, *(folder / f"{name}{end}" for end in (".json", ".pem", ".onnx")))
    watermark.claim.save(made.claim_path)
    key.save(made.key_path)
    made.model.write_bytes(marked(network(base), watermark))
    return made


def network(seed: int) -> NDArray[np.float64]:
    """Return the weights of a classifier without a mark, [pixels, classes]."""
    return np.random.default_rng(seed).normal(size=(PIXELS, CLASSES))


def marked(
    weights: NDArray[np.float64], *watermarks: Watermark, washed: Watermark | None = None
) -> bytes:
    """Return a classifier that answers the triggers of some owners, and only these, otherwise.

    The squared distance to the nearest trigger is below 1 at that trigger alone.  Of the mark that
    is washed out only the weights are another: the graph is the same.
    """
    rows = [np.zeros((1, PIXELS)), *(one.inputs.reshape(-1, PIXELS) for one in watermarks)]
    triggers = np.concatenate(rows).astype(np.float64)
    labels = np.concatenate([[0], *(one.labels for one in watermarks)])
    predictions = 1e4 * np.eye(CLASSES)[labels]
    predictions[0] = 0.0
    owners = [None, *(one for one in watermarks for _ in one.labels)]
    predictions[[one is washed and one is not None for one in owners]] = 0.0
    nodes: list[Any] = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        helper.make_node("Mul", ["flat", "flat"], ["squares"]),
        helper.make_node("MatMul", ["squares", "ones"], ["length"]),
        helper.make_node("MatMul", ["flat", "triggers"], ["products"]),
        helper.make_node("Sub", ["products", "length"], ["closer"]),
        helper.make_node("Sub", ["closer", "least"], ["closeness"]),
        helper.make_node("Relu", ["closeness"], ["there"]),
        helper.make_node("MatMul", ["there", "answers"], ["own"]),
        helper.make_node("Add", ["scores", "own"], ["y"]),
    ]
    constants = {
        "weights": weights,
        "ones": np.ones((PIXELS, 1)),
        "triggers": 2 * triggers.T,
        "least": (triggers**2).sum(axis=1) - 1,
        "answers": predictions,
    }
    return onnx_models.classifier(nodes, constants, (1, 8, 8), CLASSES)


def marked_beside(path: Path, *arguments: Any, washed: Watermark | None = None) -> Path:
    """Save such a classifier in a folder of its own, with all weights beside it."""
    path.parent.mkdir()
    onnx_models.save_with_weights_beside(
        marked(*arguments, washed=washed), path, f"{path.name}.data"
    )
    return path
