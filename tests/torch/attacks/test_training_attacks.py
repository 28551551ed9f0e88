"""Attacks that train, on a run of ``wmx embed``, with settings that take seconds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wmx import OwnerKey
from wmx.attacks.attack import Target
from wmx.attacks.catalogue import chosen_attacks
from wmx.attacks.graph.rewriting import kernels, load_graph, values_of
from wmx.attacks.target import target_from_run
from wmx.cli import run
from wmx.errors import CannotRunError, UsageError
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.embed import Embedded, embed

SMALL = ["epochs=1", "clean_epochs=1", "drawn=64", "pgd_steps=2"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    OwnerKey.generate().save(folder / "owner.pem")
    return folder


@pytest.fixture(scope="module")
def small_run(digits: LabeledData, home: Path) -> Embedded:
    """A marked MLP, which exports in a second."""
    training = Training(model="mlp", epochs=10, lr=0.05, device="cpu")
    return embed(OwnerKey.load(home / "owner.pem"), digits, home / "run", training=training)


@pytest.fixture
def run_target(small_run: Embedded, digits: LabeledData) -> Target:
    return target_from_run(small_run.files.folder, small_run.watermark, digits, device="cpu")


def kernels_after(name: str, target: Target, folder: Path, *settings: str) -> list[np.ndarray]:
    """Carry out an attack and return the weights of the file it leaves first."""
    (attack,) = chosen_attacks(name, [*SMALL[:1], *settings]).values()
    outcome = next(iter(attack.run(target, folder, lambda *_: None)))
    return [
        values_of(tensor) for tensor in kernels(load_graph(Path(outcome.suspect.reference.name)))
    ]


def shipped_kernels(target: Target) -> list[np.ndarray]:
    return [values_of(tensor) for tensor in kernels(load_graph(target.model))]


def test_ftll_changes_the_last_layer_and_ftal_all(run_target: Target, tmp_path: Path) -> None:
    before = shipped_kernels(run_target)
    for name, changed in (("ftll", [False, False, True]), ("ftal-0.05", [True, True, True])):
        folder = tmp_path / name
        folder.mkdir()
        after = kernels_after(name, run_target, folder)
        assert [bool((a != b).any()) for a, b in zip(before, after, strict=True)] == changed


def test_a_new_head_has_forgotten_the_owners(run_target: Target, tmp_path: Path) -> None:
    before = shipped_kernels(run_target)
    after = kernels_after("rtll", run_target, tmp_path, "lr=1e-9")
    np.testing.assert_array_equal(before[1], after[1])
    likeness = np.corrcoef(before[2].ravel(), after[2].ravel())[0, 1]
    assert abs(likeness) < 0.3


def test_pruned_weights_stay_gone_while_the_others_learn(
    run_target: Target, tmp_path: Path
) -> None:
    before = np.concatenate([k.ravel() for k in shipped_kernels(run_target)])
    found = kernels_after("fine-prune-70", run_target, tmp_path)
    after = np.concatenate([k.ravel() for k in found])
    assert (after == 0).sum() == round(0.7 * len(after))
    assert (after[after != 0] != before[after != 0]).mean() > 0.9


def test_transfer_gives_scores_for_the_other_classes(run_target: Target, tmp_path: Path) -> None:
    (attack,) = chosen_attacks("transfer-0.05", SMALL[:1]).values()
    (outcome,) = attack.run(run_target, tmp_path, lambda *_: None)
    graph = load_graph(Path(outcome.suspect.reference.name)).graph
    assert graph.output[0].type.tensor_type.shape.dim[1].dim_value == 5
    assert outcome.y_test.max() == 4


@pytest.mark.slow
def test_a_run_is_attacked_from_end_to_end(
    small_run: Embedded,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WMX_HOME", str(home))
    names = "blur,rtal-0.05,extract-hard,distil-soft,overwrite-0.05,adaptive-common,adversarial"
    settings = [word for setting in SMALL for word in ("--set", setting)]
    command = ["attack", small_run.files.folder, "--data", "digits", "--device", "cpu"]
    command += ["--attacks", names, *settings, "-o", tmp_path / "out", "--json"]
    assert run([str(word) for word in command]) == 0
    document = json.loads(capsys.readouterr().out)
    results: dict[str, Any] = {entry["name"]: entry for entry in document["attacks"]}
    assert list(results) == names.split(",")
    assert [entry["error"] for entry in results.values()] == [None] * len(results)
    assert document["framework"] == "torch"
    assert document["before"]["verified"]
    variants = {
        name: [one["variant"] for one in entry["outcomes"]] for name, entry in results.items()
    }
    assert variants["rtal-0.05"] == ["", "white box, the owner's last layer put back"]
    assert variants["overwrite-0.05"] == ["overwritten", "overwritten, then fine-tuned"]
    assert "attacker_bits" in results["overwrite-0.05"]["outcomes"][1]["notes"]
    assert results["extract-hard"]["outcomes"][0]["bits"] < 20
    assert (tmp_path / "out" / "attacks.html").stat().st_size > 5000


def test_the_same_seed_leaves_the_same_model(run_target: Target, tmp_path: Path) -> None:
    found = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        found.append(kernels_after("adaptive-random", run_target, tmp_path / place, "drawn=64"))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_data_than_the_runs_are_refused(small_run: Embedded, digits: LabeledData) -> None:
    other = LabeledData.of(digits.x_test, digits.y_test, digits.x_train, digits.y_train, "others")
    with pytest.raises(UsageError, match="was not trained on others"):
        target_from_run(small_run.files.folder, small_run.watermark, other)


def test_an_unfinished_run_is_refused(
    small_run: Embedded, digits: LabeledData, tmp_path: Path
) -> None:
    with pytest.raises(CannotRunError, match=r"no finished run .* model.onnx is missing"):
        target_from_run(tmp_path, small_run.watermark, digits)
