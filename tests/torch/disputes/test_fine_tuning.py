"""A model that was really stolen and overwritten: fine-tuned in the locked process, and judged."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper

from wmx import OwnerKey, Watermark
from wmx.attacks.target import target_from_run
from wmx.attacks.training.overwriting import Overwriting, own_watermark
from wmx.cli import run
from wmx.disputes.fine_tuning import TUNING_LIMITS, FineTuned, default_training, fine_tune
from wmx.disputes.party import Party
from wmx.errors import IntegrityError, UsageError
from wmx.suspect.remote import confine
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.suspect import open_suspect
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData, load_data
from wmx.training.embed import embed
from wmx_torch._training.learner import TUNING_CHILD


@pytest.fixture(scope="module")
def digits() -> LabeledData:
    return load_data("digits")


@pytest.fixture(scope="module")
def stolen(
    digits: LabeledData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Watermark, Watermark]:
    """What the thief ships, and the watermarks of owner and thief; keys and claims beside it."""
    folder = tmp_path_factory.mktemp("stolen")
    key = OwnerKey.generate()
    training = Training(model="mlp", epochs=8, device="cpu")
    owner = embed(key, digits, folder / "run", training=training)
    target = target_from_run(folder / "run", owner.watermark, digits, device="cpu")
    attack = Overwriting(lr=0.01, epochs=20, batch_size=32, per_batch=10, clean_epochs=0)
    (outcome,) = attack.run(target, folder, lambda done, count: None)
    mark = own_watermark(target)
    thief = OwnerKey(Ed25519PrivateKey.from_private_bytes(sha256(b"0 overwriting key").digest()))
    for name, its_key, one in (("owner", key, owner.watermark), ("thief", thief, mark)):
        its_key.save(folder / f"{name}.pem")
        one.claim.save(folder / f"{name}.json")
    return Path(outcome.suspect.reference.name), owner.watermark, mark


def tuned(path: Path, watermarks: dict[str, Watermark], data: LabeledData) -> FineTuned:
    suspect = open_suspect(path, own=True)
    parties = [Party.from_watermark(name, one, ()) for name, one in watermarks.items()]
    return fine_tune(suspect, parties, data, default_training(2))


def test_the_bits_of_both_are_counted_before_and_after(
    stolen: tuple[Path, Watermark, Watermark], digits: LabeledData
) -> None:
    path, owner, thief = stolen
    done = []
    suspect = open_suspect(path, own=True)
    parties = [Party.from_watermark("o", owner, ()), Party.from_watermark("t", thief, ())]
    found = fine_tune(
        suspect,
        parties,
        digits,
        default_training(2, lr=0.05),
        report=lambda *step: done.append(step),
    )
    assert found.failure is None
    assert done == [(1, 2), (2, 2)]
    assert found.samples == len(digits.y_train)
    assert found.accuracy_after > 0.9
    assert found.kept["o"].before > 128
    assert found.kept["t"].before > 128
    for kept in found.kept.values():
        assert kept.n == 100
        assert kept.after != kept.before
    assert found.kept_most in ("o", "t")


def test_the_command_reports_it_and_names_nobody(
    stolen: tuple[Path, Watermark, Watermark],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = stolen[0]
    monkeypatch.setenv("WMX_HOME", str(path.parent / "store"))
    monkeypatch.chdir(path.parent)
    words = ["dispute", path.name, "--data", "digits", "--epochs", "1"]
    for name in ("owner", "thief"):
        words += ["--claim", f"{name}.json", "--key", f"{name}.pem"]
    assert run([*words, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"], found["named"]) == ("undecided", None)
    tuning = found["fine_tuning"]
    assert tuning["failure"] is None
    assert set(tuning["marks"]) == {"owner.json", "thief.json"}
    assert "the owner's mark kept more of its bits in 11" in tuning["reliability"]


def test_a_model_that_pytorch_cannot_take_is_a_reason_and_no_error(
    stolen: tuple[Path, Watermark, Watermark], digits: LabeledData, tmp_path: Path
) -> None:
    _, owner, thief = stolen
    path = tmp_path / "classes.onnx"
    path.write_bytes(class_numbers_only())
    found = tuned(path, {"o": owner, "t": thief}, digits)
    assert "without scores, which cannot be trained" in str(found.failure)
    assert found.kept == {}
    assert found.kept_most is None


def test_a_training_that_breaks_the_model_is_a_reason_and_no_figure(
    stolen: tuple[Path, Watermark, Watermark], digits: LabeledData
) -> None:
    path, owner, thief = stolen
    suspect = open_suspect(path, own=True)
    parties = [Party.from_watermark("o", owner, ()), Party.from_watermark("t", thief, ())]
    found = fine_tune(suspect, parties, digits, default_training(1, lr=2.0))
    assert "broke the model" in str(found.failure)
    assert "a lower --lr" in str(found.failure)
    assert found.kept == {}


def test_what_does_not_belong_together_is_refused(
    stolen: tuple[Path, Watermark, Watermark], digits: LabeledData, tmp_path: Path
) -> None:
    path, owner, thief = stolen
    two = LabeledData.of(
        digits.x_train, digits.y_train % 2, digits.x_test, digits.y_test % 2, "parity"
    )
    with pytest.raises(UsageError, match="of 2 classes"):
        tuned(path, {"o": owner, "t": thief}, two)
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(path.read_bytes())
    suspect = open_suspect(changed, own=True)
    changed.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(IntegrityError, match="was changed"):
        fine_tune(suspect, [], digits, default_training(1))


@pytest.mark.skipif(sys.platform != "linux", reason="the system-call filter is Linux's")
def test_the_process_is_locked_before_it_sees_the_file() -> None:
    with Sandbox.start(TUNING_LIMITS, TUNING_CHILD) as sandbox:
        held = confine(sandbox, 1000, "cpu")
    assert {"network", "other processes", "reading files", "changing files", "memory"} <= set(held)


def class_numbers_only() -> bytes:
    weights: Any = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["s"]),
            helper.make_node("ArgMax", ["s"], ["y"], axis=1, keepdims=0),
        ],
        "classes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["n"])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return model.SerializeToString()
