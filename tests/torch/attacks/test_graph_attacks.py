"""Attacks on the ONNX file: each does what its name says, and nothing but the seed decides how."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from wmx import Watermark, verify
from wmx.attacks.attack import Target
from wmx.attacks.campaign import accuracy
from wmx.attacks.catalogue import ATTACKS, CATALOGUE
from wmx.attacks.graph.class_permutation import derangement
from wmx.attacks.graph.rewriting import kernels, load_graph, values_of
from wmx.attacks.graph.weight_pruning import WeightPruning
from wmx.errors import CannotRunError, UsageError
from wmx.suspect.onnx_file import OnnxFile


def attacked_file(name: str, target: Target, folder: Path) -> Path:
    """Carry out an attack of one outcome and return the file it leaves."""
    folder.mkdir()
    (outcome,) = ATTACKS[name].run(target, folder, lambda *_: None)
    return Path(outcome.suspect.reference.name)


def weights(path: Path) -> np.ndarray:
    return np.concatenate([values_of(tensor).ravel() for tensor in kernels(load_graph(path))])


@pytest.mark.parametrize("name", CATALOGUE["graph"])
def test_the_file_stays_valid_and_the_original_untouched(
    name: str, target: Target, tmp_path: Path
) -> None:
    before = target.model.read_bytes()
    path = attacked_file(name, target, tmp_path / "a")
    onnx.checker.check_model(onnx.load(path))
    assert path.read_bytes() != before
    assert target.model.read_bytes() == before


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_the_smallest_weights_of_all_go_and_exactly_so_many(
    share: float, target: Target, tmp_path: Path
) -> None:
    before = weights(target.model)
    after = weights(attacked_file(f"prune-{share * 100:.0f}", target, tmp_path / "a"))
    gone = after == 0
    assert gone.sum() == round(share * len(before))
    np.testing.assert_array_equal(after[~gone], before[~gone])
    assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()


def test_a_share_that_is_none_is_refused(target: Target, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        list(WeightPruning(1.5).run(target, tmp_path, lambda *_: None))


def test_noise_has_its_scale_and_hangs_on_the_seed(target: Target, tmp_path: Path) -> None:
    files = [
        attacked_file("weight-noise-0.2", replace(target, seed=seed), tmp_path / place)
        for seed, place in ((1, "a"), (1, "b"), (2, "c"))
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()
    pairs = zip(kernels(load_graph(target.model)), kernels(load_graph(files[0])), strict=True)
    for own, noisy in pairs:
        moved = values_of(noisy) - values_of(own)
        if moved.size > 1000:
            assert moved.std() == pytest.approx(0.2 * values_of(own).std(), rel=0.1)


@pytest.mark.parametrize(
    ("name", "most"), [("int8-dynamic", 0.5), ("int8-static", 0.5), ("fp16", 0.7)]
)
def test_fewer_bits_make_a_smaller_file_that_answers_alike(
    name: str, most: float, target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    path = attacked_file(name, target, tmp_path / "a")
    assert path.stat().st_size < most * target.model.stat().st_size
    x, y = target.data.x_test, target.data.y_test
    own = accuracy(OnnxFile.open_own(target.model, "cpu"), x, y, target.task)
    assert accuracy(OnnxFile.open_own(path, "cpu"), x, y, target.task) >= own - 0.02
    assert verify(path, watermark).bits > 250


def test_static_quantisation_is_calibrated_on_the_attackers_inputs(
    target: Target, tmp_path: Path
) -> None:
    dark = replace(target.data, x_train=target.data.x_train // 8)
    files = [
        attacked_file("int8-static", replace(target, data=data), tmp_path / place)
        for data, place in ((target.data, "a"), (target.data, "b"), (dark, "c"))
    ]
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_renumbered_classes_hide_every_hit_but_not_the_mark(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    (outcome,) = ATTACKS["permute-classes"].run(target, tmp_path, lambda *_: None)
    x = target.data.x_test
    own = accuracy(OnnxFile.open_own(target.model, "cpu"), x, target.data.y_test, target.task)
    assert accuracy(outcome.suspect, x, outcome.y_test, target.task) == own
    verdict = verify(outcome.suspect.reference.name, watermark)
    assert verdict.hits < 10
    assert verdict.verified
    assert verdict.experts["agreement"] < 20
    assert verdict.experts["mapping"] > 200


def test_no_class_keeps_its_place(target: Target) -> None:
    order = derangement(target)
    assert sorted(order) == list(range(10))
    assert (order != np.arange(10)).all()
    assert (derangement(replace(target, seed=3)) != order).any()


def test_a_file_without_float_weights_or_scores_is_refused(target: Target, tmp_path: Path) -> None:
    quantised = replace(target, model=attacked_file("int8-static", target, tmp_path / "a"))
    with pytest.raises(CannotRunError, match="no float32 weights"):
        attacked_file("prune-50", quantised, tmp_path / "b")
    model = load_graph(target.model)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    path = tmp_path / "seven.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CannotRunError, match=r"not scores \[N, 10\]"):
        attacked_file("permute-classes", replace(target, model=path), tmp_path / "c")
