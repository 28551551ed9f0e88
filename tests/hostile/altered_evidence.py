"""An honest evidence with a change: unsigned, signed, or signed and counted anew."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from cases import Scene
from support.evidence_files import restated, signed, small_evidence, statement_of

from wmx import OwnerKey
from wmx.protocol import jcs
from wmx.protocol.model_reference import ModelReference
from wmx.verification.evidence import Evidence

ENOUGH = 43  # triggers for 128 bits with 10 classes
Change = Callable[[dict[str, Any]], object]


def owner(scene: Scene) -> OwnerKey:
    return OwnerKey.load(scene.folder / "owner.pem")


def honest(scene: Scene, *, count: int = ENOUGH, model: bytes | None = None) -> Evidence:
    """An evidence that ``wmx check`` would take, if its answers are the model's."""
    digest = hashlib.sha256(model or scene.model).hexdigest()
    suspect = ModelReference("model.onnx", digest)
    return small_evidence(owner(scene), scene.watermark, count=count, suspect=suspect)


def check(scene: Scene, evidence: bytes | str, model: bytes | None = None) -> list[str]:
    """Put an evidence into the scene, and return the command that a third party gives."""
    words = ["check", scene.put("bad.json", evidence)]
    return words if model is None else [*words, "--model", scene.put("model.onnx", model)]


def file(scene: Scene, change: Change) -> list[str]:
    """Check an honest evidence's file with a change that nobody signed."""
    document = json.loads(honest(scene).to_bytes())
    change(document)
    return check(scene, jcs.dumps(document))


def statement(scene: Scene, change: Change) -> list[str]:
    """Check a statement with a change that its owner has signed."""
    document = statement_of(honest(scene))
    change(document)
    return check(scene, signed(document, owner(scene)))


def predicate(scene: Scene, change: Change) -> list[str]:
    """As :func:`statement`, with a change of the predicate."""
    return statement(scene, lambda document: change(document["predicate"]))


def opening(scene: Scene, **fields: Any) -> list[str]:
    """Check a signed statement whose first opening has other fields."""
    return predicate(scene, lambda p: p["openings"][0].update(fields))


def predictions(scene: Scene, **fields: Any) -> list[str]:
    """Check a signed statement whose answers have other fields."""
    return predicate(scene, lambda p: p["answers"].update(fields))


def recounted(scene: Scene, change: Change, model: bytes | None = None) -> list[str]:
    """Check a changed predicate whose numbers its owner has made to fit again, and signed."""
    document = statement_of(honest(scene, model=model))
    change(document["predicate"])
    return check(scene, restated(document, owner(scene)), model)
