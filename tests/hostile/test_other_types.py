"""Well-signed documents with values of other types, given to every command that reads them.

Whatever stands where something else was expected, a command says what is wrong and ends with 2, 3
or 4; never with a traceback, nor with the verdict of a fault.  A value of the type that was there
may be a good one: then any answer will do that is no fault.
"""

import base64
import contextlib
import importlib
import json
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from altered_evidence import honest
from cases import Scene
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from other_types import FEW, GONE, VALUES, Place, at, changed, places, spelled
from safetensors import safe_open
from safetensors.numpy import load, save
from support.evidence_files import scored_evidence, statement_of

from wmx import OwnerKey, Watermark
from wmx.cli import run
from wmx.errors import IntegrityError
from wmx.protocol import jcs
from wmx.protocol.claim import PAYLOAD_TYPE
from wmx.protocol.dsse import Envelope
from wmx.training.checkpoint import METADATA_KEY, load_identity
from wmx.verification.evidence import PAYLOAD_TYPE as EVIDENCE_TYPE
from wmx.verification.ledger import Ledger
from wmx.verification.ledger_file import PAYLOAD_TYPE as LEDGER_TYPE

pytestmark = pytest.mark.slow

EVERY = (*VALUES, GONE)
CONTROLS = ("a string of controls",)
FAULTS = (2, 3, 4)
VERDICTS = (0, 1)
LINEAR = Path(__file__).parents[1] / "support" / "linear_framework"
KEY = ("--key", "owner.pem")
ATTACK = ("attack", "run", "--data", "data.npz", *KEY, "-o", "attacked", "--attacks", "blur")


def function(inputs: np.ndarray) -> np.ndarray:
    """A suspect without a process of its own."""
    return np.zeros((len(inputs), 10), np.float32)


CLAIM_READERS = (
    ("claim", "show", "bad.json"),
    ("info", "bad.json"),
    ("verify", "--callable", "test_other_types:function", "--claim", "bad.json", *KEY),
    ("check", "evidence.json", "--claim", "bad.json"),
    ("dispute", "model.onnx", "--claim", "bad.json", *KEY),
    ("attack", "model.onnx", "--data", "data.npz", "--claim", "bad.json", *KEY, "-o", "attacked"),
)
EVIDENCE_READERS = (
    ("check", "bad.json"),
    ("info", "bad.json"),
    ("dispute", "model.onnx", "--evidence", "bad.json"),
)


@pytest.fixture(autouse=True)
def bench(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the honest owner's files: a model, data of its shape, and an evidence."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    scene.put("model.onnx", scene.model)
    scene.put("evidence.json", honest(scene).to_bytes())
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8), np.uint8), np.arange(60) % 10
    np.savez(scene.folder / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)


def may_be_good(value: Any, original: Any) -> bool:
    """Say whether a value is of the type that was there: JSON has one of numbers.

    Where null was, a value may be too.
    """
    kinds = [float if type(one) is int else type(one) for one in (value, original)]
    return original is None or kinds[0] is kinds[1]


def complaints(
    document: Any,
    place: Place,
    names: Iterable[str],
    write: Callable[[Any], object],
    commands: Iterable[tuple[str, ...]],
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    """Give changed documents to commands; return what was not answered as it has to be."""
    found = []
    for name in names:
        write(changed(document, place, name))
        allowed = FAULTS
        if name == GONE or may_be_good(VALUES[name], at(document, place)):
            allowed = (*VERDICTS, *FAULTS)
        for command in commands:
            code = run(command)
            out, error = capsys.readouterr()
            said = (out + error).replace("\n", "")
            if code not in allowed or "a bug in wmx" in said or not said.isprintable():
                last = error.strip().splitlines()[-3:]
                found.append(
                    f"{' '.join(command[:2])} of {name} at {spelled(place)}: {code} {last}"
                )
    return found


def listed(found: list[str]) -> str:
    return "\n".join(["", *found])


def sign_claim(scene: Scene) -> Callable[[Any], object]:
    key = OwnerKey.load(scene.folder / "owner.pem")

    def write(document: Any) -> None:
        signed = Envelope.seal(PAYLOAD_TYPE, jcs.dumps(document), key)
        scene.put("bad.json", signed.to_bytes())

    return write


PATTERN = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10).claim
CLAIM_PLACES = list(places(json.loads(PATTERN.envelope.payload)))


@pytest.mark.parametrize("place", CLAIM_PLACES, ids=spelled)
def test_a_signed_claim(place: Place, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(scene.watermark.claim.envelope.payload)
    write = sign_claim(scene)
    quick, slow = CLAIM_READERS[:2], CLAIM_READERS[2:]
    found = complaints(document, place, EVERY, write, quick, capsys)
    found += complaints(document, place, FEW, write, slow, capsys)
    assert not found, listed(found)


@pytest.mark.parametrize("place", list(places(PATTERN.to_json())), ids=spelled)
def test_the_envelope_of_a_claim(
    place: Place, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    document = scene.watermark.claim.to_json()

    def write(changed: Any) -> None:
        scene.put("bad.json", jcs.dumps(changed))

    found = complaints(document, place, EVERY, write, CLAIM_READERS[:2], capsys)
    assert not found, listed(found)


FAMILIES = {
    "cells": {"name": "cells", "grid": 7},
    "folder": {"name": "folder"},
    "features": {"name": "features", "quantiles": [["0", "1"]] * 64},
    "tokens": {"name": "tokens", "vocabulary": 100, "excluded": [0]},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_claim_holds_sealed(
    family: str, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its owner sealed it: whoever is given his key, in a dispute, rebuilds what it says."""
    key = OwnerKey.load(scene.folder / "owner.pem")
    claim = json.loads(scene.watermark.claim.envelope.payload)
    write, salt = sign_claim(scene), scene.watermark.claim.salt

    def write_family(description: Any) -> None:
        sealed = sealed_value(description, key.family_key(salt))
        write(claim | {"family": base64.b64encode(sealed).decode()})

    found = []
    for place in places(FAMILIES[family]):
        readers, slow = CLAIM_READERS[2:3], CLAIM_READERS[4:5]
        whole = (FAMILIES[family], place)
        found += complaints(*whole, FEW, write_family, readers, capsys)
        found += complaints(*whole, FEW[-1:], write_family, slow, capsys)
    assert not found, listed(found)


def sealed_value(value: Any, key: bytes) -> bytes:
    """Seal any JSON value as wmx seals the description of a family."""
    text = jcs.dumps(value)
    padded = struct.pack(">I", len(text)) + text
    padded = padded.ljust(max(256, 1 << (len(padded) - 1).bit_length()), b"\0")
    nonce = bytes(12)
    return nonce + ChaCha20Poly1305(key[:32]).encrypt(nonce, padded, None)


def statement() -> dict[str, Any]:
    """An evidence with all that can stand in one."""
    return statement_of(scored_evidence(OwnerKey.generate()))


@pytest.mark.parametrize("place", list(places(statement())), ids=spelled)
def test_a_signed_evidence(place: Place, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    key = OwnerKey.load(scene.folder / "owner.pem")
    document = statement_of(scored_evidence(key))

    def write(changed: Any) -> None:
        signed = Envelope.seal(EVIDENCE_TYPE, jcs.dumps(changed), key)
        scene.put("bad.json", signed.to_bytes())

    quick, slow = EVIDENCE_READERS[:2], EVIDENCE_READERS[2:]
    found = complaints(document, place, EVERY, write, quick, capsys)
    found += complaints(document, place, FEW[-1:], write, slow, capsys)
    assert not found, listed(found)


def test_a_ledger(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    claim, key = scene.watermark.claim, OwnerKey.load(scene.folder / "owner.pem")
    assert Ledger("owner.pem", claim).spend(key, 0, 2, suspect="aa" * 32, evidence="bb" * 32)
    path = scene.folder / "owner.pem.spent" / f"{claim.digest}.json"
    document = json.loads(Envelope.from_bytes(path.read_bytes(), "ledger").payload)
    command = ("verify", "model.onnx", "--claim", "claim.json", *KEY, "--evidence", "new.json")

    def write(changed: Any) -> None:
        path.write_bytes(Envelope.seal(LEDGER_TYPE, jcs.dumps(changed), key).to_bytes())

    found = []
    for place in places(document):
        for name in EVERY:
            write(changed(document, place, name))
            with contextlib.suppress(IntegrityError):
                Ledger("owner.pem", claim).next_start()
        found += complaints(document, place, FEW[-1:], write, (command,), capsys)
    assert not found, listed(found)


# what lies on the owner's disk, without a signature


@pytest.fixture
def finished_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run in the framework of the tests, and a store that knows its claim."""
    monkeypatch.syspath_prepend(str(LINEAR))
    importlib.invalidate_caches()
    words = ("embed", "--framework", "linear", "--data", "data.npz", *KEY, "-o", "run")
    assert run((*words, "--epochs", "1", "--batch-size", "20", "--json")) in VERDICTS
    (scene.folder / "run" / "model.onnx").write_bytes(scene.model)
    (scene.folder / "run" / "claim.json").write_bytes(scene.watermark.claim.to_bytes())
    return scene.folder / "run"


def test_a_checkpoint(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = finished_run / "checkpoint.safetensors"
    tensors = load(path.read_bytes())
    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()[METADATA_KEY])
    resume = ("embed", "--resume", "--framework", "linear", "--data", "data.npz", *KEY, "-o", "run")

    def write(changed: Any) -> None:
        path.write_bytes(save(tensors, {METADATA_KEY: json.dumps(changed)}))

    found = []
    for place in places(document):
        whole = (document, place)
        for name in EVERY:
            write(changed(document, place, name))
            with contextlib.suppress(IntegrityError):
                load_identity(path)
        found += complaints(*whole, FEW, write, (ATTACK,), capsys)
        found += complaints(*whole, FEW[-1:], write, (resume,), capsys)
    assert not found, listed(found)


def test_results_of_attacks(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run((*ATTACK, "--json")) == 0, capsys.readouterr().err
    capsys.readouterr()
    path = finished_run.parent / "attacked" / "attacks.json"
    document = json.loads(path.read_bytes())

    def write(changed: Any) -> None:
        path.write_text(json.dumps(changed))

    found = []
    for place in places(document):
        there = at(document, place)
        names = [GONE, *(name for name in FEW if not may_be_good(VALUES[name], there))]
        names += CONTROLS if isinstance(there, str) else FEW[1:2]
        command = (*ATTACK, "--resume")
        found += complaints(document, place, names, write, (command,), capsys)
    assert not found, listed(found)
