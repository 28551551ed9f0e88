"""``embed`` and ``wmx embed``: claim first, then the mark, then the proof on the file."""

import doctest
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import documents
import numpy as np
import pytest
from PIL import Image
from support.tsa import Authority, serving

import wmx
from wmx import Claim, OwnerKey, Watermark, verify
from wmx.cli import run
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.protocol.release_record import Release
from wmx.training.config import EpochDone, Training
from wmx.training.data.dataset import LabeledData, load_data
from wmx.training.embed import embed
from wmx.triggers.cells import Cells
from wmx.verification.store import Store
from wmx_torch._training import learner

TRAINING = Training(model="cnn", epochs=12, device="cpu")
SHORT = Training(model="mlp", epochs=2, device="cpu", lr=0.05)


@pytest.fixture(scope="module")
def digits() -> LabeledData:
    return load_data("digits")


@pytest.fixture(scope="module")
def owner() -> OwnerKey:
    return OwnerKey.generate()


@pytest.fixture(scope="module")
def finished_run(
    digits: LabeledData, owner: OwnerKey, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of which :func:`finished` gives each test a copy."""
    folder = tmp_path_factory.mktemp("finished")
    embed(owner, digits, folder, training=SHORT)
    return folder


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path) -> Path:
    """A folder with the files of a finished run of ``owner``."""
    return shutil.copytree(finished_run, tmp_path / "run")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a key, and an empty current folder."""
    folder = tmp_path / "home"
    monkeypatch.setenv("WMX_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    folder.mkdir()
    OwnerKey.generate().save(folder / "owner.pem")
    return folder


def resumed_epochs(owner: OwnerKey, digits: LabeledData, out: Path) -> list[int]:
    """Resume the run in ``out`` and return the epochs that were still trained."""
    epochs: list[int] = []
    embed(
        owner,
        digits,
        out,
        training=SHORT,
        resume=True,
        report=lambda done: epochs.append(done.epoch),
    )
    return epochs


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# the library


def test_digits_from_claim_to_proof(digits: LabeledData, owner: OwnerKey, tmp_path: Path) -> None:
    out = tmp_path / "out"
    embedded = embed(owner, digits, out, training=TRAINING, note="mine")
    assert names(out) == {
        "claim.json",
        "checkpoint.safetensors",
        "weights.safetensors",
        "model.onnx",
    }
    assert embedded.verdict.verified
    assert embedded.verdict.bits > 280
    assert embedded.accuracy > 0.96
    claim = Claim.load(out / "claim.json")
    assert (claim.note, claim.n, claim.task) == ("mine", 100, digits.task)
    again = verify(out / "model.onnx", Watermark.open(claim, owner))
    assert again.bits == pytest.approx(embedded.verdict.bits)
    other = Watermark.for_task(OwnerKey.generate(), digits.task)
    assert not verify(out / "model.onnx", other).verified


def test_the_claim_lies_there_before_the_first_step(
    digits: LabeledData, owner: OwnerKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def fit(*_arguments: Any, **_more: Any) -> None:
        seen.append(Claim.load(tmp_path / "claim.json").owner)
        raise KeyboardInterrupt

    monkeypatch.setattr("wmx.training.embed.fit", fit)
    with pytest.raises(KeyboardInterrupt):
        embed(owner, digits, tmp_path, training=SHORT)
    assert seen == [owner.public]
    assert not list(tmp_path.iterdir())  # nothing was trained under that claim


def test_an_interrupted_run_is_resumed_with_its_claim_and_ends_the_same(
    digits: LabeledData, owner: OwnerKey, tmp_path: Path
) -> None:
    def stop(done: EpochDone) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(owner, digits, tmp_path, training=SHORT, report=stop)
    claim = (tmp_path / "claim.json").read_bytes()
    with pytest.raises(CannotRunError, match="unfinished run") as caught:
        embed(owner, digits, tmp_path, training=SHORT)
    assert "--resume" in str(caught.value.hint)
    assert resumed_epochs(owner, digits, tmp_path) == [2]
    assert (tmp_path / "claim.json").read_bytes() == claim
    assert (tmp_path / "model.onnx").exists()


def test_resume_asks_for_the_same_key_and_data(
    digits: LabeledData, owner: OwnerKey, finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(CannotRunError, match="no run to resume"):
        embed(owner, digits, tmp_path / "none", training=SHORT, resume=True)
    with pytest.raises(IntegrityError, match="was made with another owner key"):
        embed(OwnerKey.generate(), digits, finished, training=SHORT, resume=True)
    other = replace(digits, x_train=255 - digits.x_train)
    with pytest.raises(UsageError, match="other data"):
        embed(owner, other, finished, training=SHORT, resume=True)
    with pytest.raises(UsageError, match="seed 0, not 1"):
        embed(owner, digits, finished, training=replace(SHORT, seed=1), resume=True)


def test_a_finished_run_is_replaced_only_by_force(
    digits: LabeledData, owner: OwnerKey, finished: Path
) -> None:
    (finished / "notes.txt").write_text("mine")
    before = (finished / "claim.json").read_bytes()
    with pytest.raises(CannotRunError, match="a finished run"):
        embed(owner, digits, finished, training=SHORT)
    assert (finished / "claim.json").read_bytes() == before
    embed(owner, digits, finished, training=SHORT, force=True)
    assert (finished / "claim.json").read_bytes() != before
    assert (finished / "notes.txt").read_text() == "mine"


def test_the_old_run_stays_until_the_new_one_is_whole(
    digits: LabeledData, owner: OwnerKey, finished: Path
) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}

    def stop(done: EpochDone) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(owner, digits, finished, training=SHORT, force=True, report=stop)
    below = finished / "replacement"
    assert {path.name: path.read_bytes() for path in finished.iterdir() if path != below} == before
    assert names(below) == {"claim.json", "checkpoint.safetensors"}
    claim = (below / "claim.json").read_bytes()
    with pytest.raises(CannotRunError, match=r"an unfinished run: .*replacement/claim") as caught:
        embed(owner, digits, finished, training=SHORT)
    assert "--resume" in str(caught.value.hint)
    assert resumed_epochs(owner, digits, finished) == [2]
    assert names(finished) == set(before)
    assert (finished / "claim.json").read_bytes() == claim


def test_the_claims_of_a_run_and_of_its_unfinished_replacement_stay_in_the_store(
    digits: LabeledData, owner: OwnerKey, home: Path, finished: Path
) -> None:
    """Epochs were trained under both, and a model may have come of them."""
    owner.save(home / "owner.pem", force=True)

    def stop(done: EpochDone) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(owner, digits, "run", training=SHORT, force=True, report=stop)
    replaced = {
        Claim.load(f"run/{name}").digest for name in ("claim.json", "replacement/claim.json")
    }
    words = ["--data", "digits", "--model", "mlp", "--epochs", "1", "--device", "cpu", "--force"]
    assert run(["embed", *words, "--out", "run"]) in (0, 1)
    assert replaced < {claim.digest for claim in Store().claims()}


def test_a_run_that_cannot_replace_another_leaves_it_alone(
    digits: LabeledData, owner: OwnerKey, finished: Path
) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(CannotRunError, match="diverged"):
        embed(owner, digits, finished, training=replace(SHORT, lr=1e30), force=True)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_a_run_that_cannot_begin_leaves_nothing(
    digits: LabeledData, owner: OwnerKey, tmp_path: Path
) -> None:
    for training in (replace(SHORT, model="nothing"), replace(SHORT, lr=1e30)):
        with pytest.raises((UsageError, CannotRunError)):
            embed(owner, digits, tmp_path / "out", training=training)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"model": "nothing"}, {"recipe": "magic"}, {"pretrained": Path("no-such-file.pt")}]
)
def test_a_mistaken_option_does_not_cost_the_run_that_force_would_replace(
    digits: LabeledData, owner: OwnerKey, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    for name in ("claim.json", "model.onnx"):
        (tmp_path / name).write_text("an earlier run")
    with pytest.raises((UsageError, CannotRunError)):
        embed(owner, digits, tmp_path, training=replace(SHORT, **wrong), force=True)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"an earlier run"}
    assert names(tmp_path) == {"claim.json", "model.onnx"}


def test_an_export_that_fails_keeps_the_training(
    digits: LabeledData, owner: OwnerKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def export(*_arguments: Any, **_more: Any) -> None:
        raise CannotRunError("no export today")

    with monkeypatch.context() as patch:
        patch.setattr(learner, "export", export)
        with pytest.raises(CannotRunError, match="no export today"):
            embed(owner, digits, tmp_path, training=SHORT)
    assert (tmp_path / "checkpoint.safetensors").exists()
    assert not (tmp_path / "model.onnx").exists()
    assert resumed_epochs(owner, digits, tmp_path) == []
    assert (tmp_path / "model.onnx").exists()


def test_unknown_frameworks_are_named_before_anything_is_written(
    digits: LabeledData, owner: OwnerKey, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no adapter for the framework 'abacus'"):
        embed(owner, digits, tmp_path / "out", framework="abacus")
    assert not (tmp_path / "out").exists()


def test_features_go_the_whole_way(owner: OwnerKey, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 800)
    x = rng.normal(size=(800, 10)) * [1, 1e-3, 1, 1, 1e4, 1, 1, 1, 1, 1]
    x[:, :4] += 4 * np.eye(4)[y] * [1, 1e-3, 1, 1]  # far enough apart for any key's triggers
    data = LabeledData.of(x[:600], y[:600], x[600:], y[600:], "table")
    training = Training(model="mlp", epochs=100, optimizer="adamw", lr=0.005, device="cpu")
    embedded = embed(owner, data, tmp_path, training=training)
    assert embedded.verdict.verified
    assert embedded.accuracy > 0.8
    assert Claim.load(tmp_path / "claim.json").family(owner)["name"] == "features"


# the command line


def test_a_mark_that_is_not_learned_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["embed", "--data", "digits", "-o", "out", "--model", "mlp", "--epochs", "1"]
    assert run([*arguments, "--lr", "0.0001", "--device", "cpu"]) == 1
    assert "--epochs" in capsys.readouterr().out


def test_the_model_is_put_on_record_and_dated_at_the_end(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["embed", "--data", "digits", "-o", "out", "--model", "mlp", "--device", "cpu"]
    with serving(Authority(tmp_path / "tsa")) as url:
        assert run([*arguments, "--epochs", "12", "--tsa", url, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["release_path"] == "out/model.release.json"
        documented = documents.json_fields("What every answer holds", "wmx embed")
        assert documents.json_paths(answer) == documented - {"error.message", "error.hint"}
        record = Release.load("out/model.release.json")
        digest = hashlib.sha256(Path("out/model.onnx").read_bytes()).hexdigest()
        assert record.model.sha256 == digest
        assert record.claim.digest == Claim.load("out/claim.json").digest
        assert len(record.timestamps) == 1
        unlearned = ["--epochs", "1", "--lr", "0.0001", "--force"]
        assert run([*arguments, *unlearned, "--tsa", url]) == 1
    assert not Path("out/model.release.json").exists()


def test_what_is_still_to_be_done_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["embed", "--data", "digits", "-o", "out", "--model", "mlp", "--device", "cpu"]
    assert run([*arguments, "--epochs", "12"]) == 0
    advice = "wmx release out/model.onnx --claim out/claim.json --tsa URL"
    assert advice in capsys.readouterr().out


def test_ones_own_images_as_triggers(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(41):
        pixels = rng.integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    arguments = ["embed", "--data", "digits", "-o", "out", "--model", "mlp", "--epochs", "2"]
    run([*arguments, "--trigger-images", str(folder), "--device", "cpu"])
    claim = Claim.load("out/claim.json")
    assert (claim.family(OwnerKey.load(home / "owner.pem")), claim.n) == ({"name": "folder"}, 41)
    secret = Path("out/triggers.safetensors")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert run(["verify", "out/model.onnx", "--min-bits", "1"]) in (0, 1)  # the store has them too
    assert run([*arguments, "--resume", "--device", "cpu"]) in (0, 1)
    assert Claim.load("out/claim.json").digest == claim.digest


def test_no_key_is_made_in_silence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "owner.pem").unlink()
    assert run(["embed", "--data", "digits", "-o", "out"]) == 4
    assert "wmx keygen" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_ctrl_c_says_how_to_go_on(home: Path, tmp_path: Path) -> None:
    code = "import sys; from wmx.cli import run; sys.exit(run(sys.argv[1:]))"
    arguments = ["embed", "--data", "digits", "-o", "out", "--epochs", "500", "--device", "cpu"]
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        while b"epoch 2/" not in log.read_bytes() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert "--resume" in log.read_text()
    assert names(Path("out")) == {"claim.json", "checkpoint.safetensors"}


def test_the_modules_of_the_command_line_stay_light() -> None:
    """``wmx embed --help`` must not pay for numpy or a framework."""
    code = (
        "import sys; import wmx.cli.embed, wmx.cli.demo; "
        "print([m for m in ('torch', 'numpy', 'onnx', 'rich', 'sklearn') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


# the recipe extraction

SECOND_CHOICE = ("embed", "--data", "digits", "--model", "mlp", "--recipe", "extraction")


def test_a_marked_second_choice_is_found_in_a_copy_that_learnt_the_answers(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*SECOND_CHOICE, "--epochs", "40", "-o", "out", "--device", "cpu"]) == 0
    triggers = Path("out/triggers.safetensors")
    assert triggers.stat().st_mode & 0o077 == 0
    assert run(["verify", "out/model.onnx"]) == 0
    said = capsys.readouterr()
    assert "of 100" in said.out
    attack = ["attack", "out", "--data", "digits", "--attacks", "extract-soft", "--json"]
    assert run([*attack, "--set", "epochs=40"]) == 0
    found = json.loads(Path("out/attacks/attacks.json").read_text())
    (result,) = found["attacks"]
    assert result["outcomes"][0]["bits"] > 64


def test_an_interrupted_run_of_it_is_resumed_with_the_same_representatives(
    owner: OwnerKey, digits: LabeledData, tmp_path: Path
) -> None:
    training = replace(SHORT, recipe="extraction")

    def interrupt(done: EpochDone) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(owner, digits, tmp_path / "run", training=training, report=interrupt)
    resumed = embed(owner, digits, tmp_path / "run", training=training, resume=True)
    own = {image.tobytes() for image in digits.x_train}
    assert {image.tobytes() for image in resumed.watermark.triggers} <= own


def test_it_takes_no_images_of_ones_own_and_no_other_data(
    owner: OwnerKey, digits: LabeledData, tmp_path: Path
) -> None:
    training = replace(SHORT, recipe="extraction")
    with pytest.raises(UsageError, match="chooses its triggers from the training set"):
        embed(owner, digits, tmp_path / "run", training=training, generator=Cells())
    flat = LabeledData.of(
        digits.x_train.reshape(-1, 64).astype(np.float32),
        digits.y_train,
        digits.x_test.reshape(-1, 64).astype(np.float32),
        digits.y_test,
        "flat digits",
    )
    with pytest.raises(UsageError, match="for uint8 images"):
        embed(owner, flat, tmp_path / "run", training=training)
    assert not (tmp_path / "run").exists()


def test_the_example_of_embed_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (test,) = doctest.DocTestFinder(recurse=False).find(wmx.embed, "embed", globs={})
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test)
    assert test.examples
    assert runner.failures == 0
