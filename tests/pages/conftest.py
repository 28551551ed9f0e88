"""A marked model, a claim with a hostile note, an evidence, and what was found about them."""

from pathlib import Path

import pytest
from findings import NOTE, Case
from support import onnx_models

from wmx import OwnerKey, Watermark
from wmx.suspect.onnx_file import OnnxFile
from wmx.verification.check import check
from wmx.verification.ledger import Ledger
from wmx.verification.prove import prove
from wmx.verification.verdict import judge


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    owner = OwnerKey.generate()
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=10, note=NOTE)
    labels = watermark.labels.copy()
    labels[::10] = (labels[::10] + 1) % 10  # ten misses
    model = folder / "model.onnx"
    model.write_bytes(onnx_models.knows_labels(watermark, labels=labels))
    suspect = OnnxFile.open_own(model, "cpu")
    verdict = judge(suspect, watermark)
    proof = prove(
        suspect,
        watermark,
        owner,
        folder / "evidence.json",
        Ledger(folder / "owner.pem", watermark.claim),
        required_bits=verdict.required_bits,
    )
    return Case(watermark, verdict, proof, check(proof, model=model), check(proof))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.html"
