"""A dispute in small files: two owners, and models that carry the marks of one, or of both."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_models

from wmx import OwnerKey, Watermark


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


def side(folder: Path, name: str) -> Side:
    """Make an owner with the files ``name.json``, ``name.pem`` and ``name.onnx``."""
    key = OwnerKey.generate()
    watermark = Watermark.new(key, shape=(8, 8, 1), classes=10)
    made = Side(key, watermark, *(folder / f"{name}{end}" for end in (".json", ".pem", ".onnx")))
    watermark.claim.save(made.claim_path)
    key.save(made.key_path)
    made.model.write_bytes(onnx_models.knows_labels(watermark))
    return made


def carries_both(one: Watermark, other: Watermark) -> bytes:
    """A model that answers the triggers of both with their labels."""
    joined = replace(
        one,
        triggers=np.concatenate([one.triggers, other.triggers]),
        labels=np.concatenate([one.labels, other.labels]),
    )
    return onnx_models.knows_labels(joined)
