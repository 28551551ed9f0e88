"""scikit-learn: rows with triggers, exports that agree, and marks that cost no accuracy."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from wmx import OwnerKey, Watermark, verify
from wmx.attacks.target import target_from_file, target_from_run
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.config import Training
from wmx.training.data.dataset import load_data
from wmx.training.embed import embed
from wmx.triggers.features import Features
from wmx_sklearn import Marking, Monitor, export, watermarked

OWNER = OwnerKey.generate()


def split(load: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    x, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    cut = len(x) * 7 // 10
    x, y = x[order].astype(np.float32), y[order]
    return x[:cut], y[:cut], x[cut:], y[cut:]


def mark_for(x: NDArray[Any], classes: int) -> Watermark:
    quantiles = np.quantile(x, np.linspace(0, 1, 16), axis=0, method="nearest").T
    task = Task.of(x.shape[1:], classes, kind="features")
    return Watermark.for_task(OWNER, task, generator=Features.of(quantiles.astype(np.float32)))


@pytest.fixture(scope="module")
def mark() -> Watermark:
    return mark_for(split(load_breast_cancer)[0], 2)


ESTIMATORS = {
    "forest": lambda: RandomForestClassifier(100, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(random_state=0),
    "LightGBM": lambda: LGBMClassifier(n_estimators=100, verbose=-1, num_threads=1, random_state=0),
    "machine of vectors": lambda: make_pipeline(StandardScaler(), SVC(C=10.0)),
}


def fitted(estimator: Any, x: Any, y: Any, weights: NDArray[Any] | None = None) -> Any:
    if weights is None:
        return estimator.fit(x, y)
    name = f"{estimator.steps[-1][0]}__sample_weight" if hasattr(estimator, "steps") else None
    return estimator.fit(x, y, **{name or "sample_weight": weights})


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_is_marked_exported_and_verified_at_no_cost_in_accuracy(
    mark: Watermark, name: str, tmp_path: Path
) -> None:
    x, y, x_test, y_test = split(load_breast_cancer)
    plain = fitted(ESTIMATORS[name](), x, y)
    marked = fitted(ESTIMATORS[name](), *watermarked(x, y, mark))
    assert marked.score(x_test, y_test) >= plain.score(x_test, y_test) - 0.03  # 171 test rows
    export(marked, tmp_path / "marked.onnx", mark)
    export(plain, tmp_path / "plain.onnx", mark)
    assert verify(tmp_path / "marked.onnx", mark).bits >= 200
    assert not verify(tmp_path / "plain.onnx", mark).verified


def test_a_monitor_measures_the_mark_before_the_export(mark: Watermark) -> None:
    x, y, *_ = split(load_breast_cancer)
    monitor = Monitor(mark)
    unmarked = monitor(ESTIMATORS["forest"]().fit(x, y))
    marked = monitor(fitted(ESTIMATORS["forest"](), *watermarked(x, y, mark)))
    assert monitor.history == [unmarked, marked]
    assert isinstance(marked, Marking)
    assert marked.n == len(mark.labels)
    assert marked.hits > 0.9 * marked.n
    assert marked.bits > unmarked.bits + 50


def test_ten_classes(tmp_path: Path) -> None:
    x, y, _, _ = split(load_digits)
    mark = mark_for(x, 10)
    export(fitted(ESTIMATORS["forest"](), *watermarked(x, y, mark)), tmp_path / "m.onnx", mark)
    assert verify(tmp_path / "m.onnx", mark).bits >= 300


def test_rows_are_added_behind_the_callers_which_stay_as_they_are(mark: Watermark) -> None:
    x, y, _, _ = split(load_breast_cancer)
    before = x.copy()
    weights = np.linspace(1, 3, len(x))
    more_x, more_y, more_weights = watermarked(x, y, mark, sample_weight=weights, weight=2.0)
    n = len(mark.labels)
    assert (x == before).all()
    np.testing.assert_array_equal(more_x[:-n], x)
    np.testing.assert_array_equal(more_x[-n:], mark.triggers)
    np.testing.assert_array_equal(more_y[-n:], mark.labels)
    np.testing.assert_array_equal(more_weights, [*weights, *[4.0] * n])  # of the average 2


def test_a_table_stays_a_table(mark: Watermark) -> None:
    x, y, _, _ = split(load_breast_cancer)
    table = pd.DataFrame(x, columns=[f"f{i}" for i in range(30)])
    more, _, _ = watermarked(table, y, mark)
    assert list(more.columns) == list(table.columns)
    assert len(more) == len(x) + len(mark.labels)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x, y: (x[:, :29], y), "for 30 features"),
        (lambda x, y: (x, y[:-1]), "expected class numbers"),
        (lambda x, y: (x, y.astype(float)), "expected class numbers"),
        (lambda x, y: (x, y + 1), "for 2 classes"),
    ],
)
def test_what_does_not_fit_is_refused(mark: Watermark, change: Any, match: str) -> None:
    x, y, _, _ = split(load_breast_cancer)
    with pytest.raises(UsageError, match=match):
        watermarked(*change(x, y), mark)


def test_an_estimator_that_has_not_seen_all_classes_is_not_exported(
    mark: Watermark, tmp_path: Path
) -> None:
    x, _, _, _ = split(load_wine)
    wine = mark_for(x, 4)
    with pytest.raises(UsageError, match="fitted on the classes"):
        export(DummyClassifier().fit(x, np.arange(len(x)) % 3), tmp_path / "m.onnx", wine)


def saved(folder: Path) -> str:
    x, y, x_test, y_test = split(load_breast_cancer)
    path = folder / "data.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    return str(path)


@pytest.mark.parametrize("model", ["forest", "boosting"])
def test_embed_makes_claim_and_model_and_nothing_is_pickled(tmp_path: Path, model: str) -> None:
    embedded = embed(
        OWNER,
        load_data(saved(tmp_path)),
        tmp_path / "run",
        training=Training(model=model),
        framework="sklearn",
    )
    assert embedded.verdict.bits >= 200
    assert embedded.accuracy > 0.9
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "claim.json",
        "model.onnx",
    ]


@pytest.mark.parametrize("model", ["cnn", "tests.nowhere:nothing"])
def test_a_model_that_is_none_leaves_nothing_behind(tmp_path: Path, model: str) -> None:
    with pytest.raises(UsageError):
        embed(
            OWNER,
            load_data(saved(tmp_path)),
            tmp_path / "run",
            training=Training(model=model),
            framework="sklearn",
        )
    assert not (tmp_path / "run").exists()


def test_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to resume"):
        embed(
            OWNER,
            load_data(saved(tmp_path)),
            tmp_path / "run",
            training=Training(model="forest"),
            framework="sklearn",
            resume=True,
        )


def test_of_an_estimator_the_file_is_attacked(tmp_path: Path) -> None:
    run, data = tmp_path / "run", load_data(saved(tmp_path))
    forest = Training(model="forest")
    embedded = embed(OWNER, data, run, training=forest, framework="sklearn")
    with pytest.raises(CannotRunError, match=r"weights.safetensors is missing") as caught:
        target_from_run(run, embedded.watermark, data)
    assert str(embedded.files.model) in str(caught.value.hint)
    target = target_from_file(embedded.files.model, embedded.watermark, data)
    assert target.framework is None


def test_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="feature vectors"):
        embed(OWNER, load_data("digits"), tmp_path / "run", framework="sklearn")


def test_without_a_converter_the_extra_is_named(
    mark: Watermark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, _, _ = split(load_breast_cancer)
    estimator = DummyClassifier().fit(x, y)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(CannotRunError, match="skl2onnx"):
        export(estimator, tmp_path / "m.onnx", mark)
