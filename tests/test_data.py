"""Labelled data: every form that is read, and every way in which it can be wrong."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wmx._internal.imports import callable_from
from wmx.errors import CannotRunError, MissingExtraError, UsageError, WmxError
from wmx.training.data.dataset import LabeledData, load_data, quantiles

Image = pytest.importorskip("PIL.Image")


def images(count: int, *shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def labels(count: int, classes: int = 2) -> Any:
    return np.arange(count) % classes


def save_npz(path: Path, **changes: Any) -> str:
    content: dict[str, Any] = {
        "x_train": images(8, 9, 10),
        "y_train": labels(8),
        "x_test": images(4, 9, 10),
        "y_test": labels(4),
    }
    content |= changes
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return str(path)


# digits


def test_digits_are_real_whole_and_always_split_the_same() -> None:
    data, again = load_data("digits"), load_data("digits")
    assert data.x_train.shape == (1438, 8, 8, 1)
    assert data.x_test.shape == (359, 8, 8, 1)
    assert data.x_train.dtype == np.uint8
    assert data.x_train.max() == 255
    assert data.y_train.dtype == np.int64
    assert (data.kind, data.classes) == ("image", 10)
    np.testing.assert_array_equal(data.x_train, again.x_train)
    np.testing.assert_array_equal(data.y_test, again.y_test)
    together = np.concatenate([data.y_train, data.y_test])
    assert np.bincount(together).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_another_seed_splits_differently() -> None:
    assert not np.array_equal(load_data("digits").y_test, load_data("digits", seed=1).y_test)


def test_digits_without_scikit_learn_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match="scikit-learn"):
        load_data("digits")


# the task


def test_the_task_normalises_the_training_set() -> None:
    data = load_data("digits")
    seen = data.task.model_input(data.x_train)
    assert abs(seen.mean()) < 1e-3
    assert abs(seen.std() - 1) < 1e-3
    assert all(len(text.partition(".")[2]) <= 4 for text in (*data.task.mean, *data.task.std))


def test_colours_are_normalised_one_by_one() -> None:
    x = images(20, 9, 9, 3)
    x[..., 1] //= 4
    task = LabeledData.of(x, labels(20), x, labels(20), "colours").task
    np.testing.assert_allclose(
        [float(mean) for mean in task.mean], (x / 255).mean(axis=(0, 1, 2)), atol=1e-4
    )
    np.testing.assert_allclose(
        [float(std) for std in task.std], (x / 255).std(axis=(0, 1, 2)), atol=1e-4
    )


def test_a_constant_feature_is_centred_and_not_divided_by_zero() -> None:
    x = np.stack([np.arange(10.0), np.full(10, 3.5), np.arange(10) * 1e-7], axis=1)
    task = LabeledData.of(x, labels(10), x, labels(10), "table").task
    seen = task.model_input(x.astype(np.float32))
    assert task.std[1] == "1"
    assert np.isfinite(seen).all()
    assert abs(float(seen[:, 2].std()) - 1) < 1e-3


# forms of arrays


def test_npz_with_both_sets(tmp_path: Path) -> None:
    data = load_data(save_npz(tmp_path / "d.npz"))
    assert data.x_train.shape == (8, 9, 10, 1)
    assert len(data.x_test) == 4


def test_npz_with_one_set_is_split(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    x = images(50, 9, 9, 3)
    np.savez(path, x=x, y=labels(50))
    data = load_data(str(path))
    assert (len(data.x_train), len(data.x_test)) == (40, 10)
    both = np.concatenate([data.x_train, data.x_test])
    assert {row.tobytes() for row in both} == {row.tobytes() for row in x}


@pytest.mark.parametrize("shape", [(9, 12, 3), (3, 9, 12)])
def test_the_axis_of_the_channels_is_found(shape: tuple[int, ...]) -> None:
    x = images(6, *shape)
    data = LabeledData.of(x, labels(6), x, labels(6), "d")
    assert data.x_train.shape == (6, 9, 12, 3)
    expected = x if shape[2] == 3 else x.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(data.x_train, expected)


def test_features_and_tokens_are_told_by_their_dtype() -> None:
    features = np.random.default_rng(0).normal(size=(6, 5))
    tokens = np.random.default_rng(0).integers(0, 70, (6, 5))
    assert LabeledData.of(features, labels(6), features, labels(6), "d").kind == "features"
    data = LabeledData.of(tokens, labels(6), tokens, labels(6), "d")
    assert (data.kind, data.x_train.dtype) == ("tokens", np.int32)
    assert data.vocabulary == tokens.max() + 1


def test_the_trigger_families_fit_the_data() -> None:
    from wmx import OwnerKey, Watermark

    features = np.random.default_rng(0).normal(size=(40, 5))
    tokens = np.random.default_rng(0).integers(0, 70, (40, 6))
    for x in (features, tokens, images(40, 8, 8)):
        data = LabeledData.of(x, labels(40), x, labels(40), "d")
        watermark = Watermark.for_task(
            OwnerKey.generate(), data.task, generator=data.trigger_generator()
        )
        assert watermark.triggers.shape[1:] == data.x_train.shape[1:]
        assert watermark.triggers.dtype == data.x_train.dtype
        assert watermark.triggers.min() >= data.x_train.min()
        assert watermark.triggers.max() <= data.x_train.max()


@given(
    arrays(np.float32, (12, 3), elements=st.floats(-1e6, 1e6, width=32)),
    st.integers(2, 16),
)
def test_quantiles_are_values_of_their_feature_in_order(x: Any, count: int) -> None:
    table = quantiles(x, count)
    assert table.shape == (3, count)
    for feature, row in zip(x.T, table, strict=True):
        assert set(row) <= set(feature)
        assert (np.diff(row) >= 0).all()
        assert (row[0], row[-1]) == (feature.min(), feature.max())


# what is wrong with the arrays


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "holds x_train, y_train, x_test; expected"),
        ({"y_train": labels(7)}, r"shape \(7,\), expected \[8\]"),
        ({"y_train": labels(8).astype(float)}, "expected integer classes"),
        ({"y_train": labels(8) - 1}, "holds -1"),
        ({"y_train": labels(8) * 2, "y_test": labels(4)}, "class 1 has no training sample"),
        ({"y_train": labels(8) + 1}, "class 0 has no training sample"),
        ({"y_train": labels(8) * 0}, "all training labels are 0"),
        ({"y_test": labels(4) + 1}, "y_test holds class 2"),
        ({"x_test": images(4, 9, 11)}, "expected the same"),
        ({"x_train": images(8, 3, 9, 3)}, "which axis holds the channels is unclear"),
        ({"x_train": images(8, 9, 9, 9)}, "which axis holds the channels is unclear"),
        ({"x_train": images(8, 9)}, "expected uint8 images"),
        ({"x_train": images(8, 9, 10) / 255}, "expected uint8 images"),
        ({"x_train": images(8, 9, 10).astype(int) * 2}, "expected pixels 0 to 255"),
        ({"x_train": images(0, 9, 10), "y_train": labels(0)}, "is empty"),
        ({"x_train": np.full((8, 3), np.nan)}, "NaN"),
        ({"x_train": np.full((8, 3), 1e300)}, "infinite"),
        ({"x_train": np.full((8, 3), -1)}, "expected ids"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_data(save_npz(tmp_path / "d.npz", **changes))


def test_a_pickle_in_the_npz_is_never_loaded(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harm",))

    path = save_npz(tmp_path / "d.npz", x_train=np.array([Harm()], dtype=object))
    with pytest.raises(UsageError, match="never loads"):
        load_data(path)
    assert not (tmp_path / "harm").exists()


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    cut = tmp_path / "cut.npz"
    save_npz(tmp_path / "d.npz")
    cut.write_bytes((tmp_path / "d.npz").read_bytes()[:700])
    (tmp_path / "text.npz").write_text("not an archive")
    for name in ("cut.npz", "text.npz", "missing.npz"):
        with pytest.raises(CannotRunError):
            load_data(str(tmp_path / name))


def test_names_that_are_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither") as caught:
        load_data(str(tmp_path / "nothing"))
    assert "digits" in str(caught.value.hint)


# folders


def write_pictures(folder: Path, *, mode: str = "L", size: tuple[int, int] = (10, 9)) -> None:
    for number, name in enumerate(["ant", "bee"]):
        (folder / name).mkdir(parents=True)
        for index in range(5):
            picture = Image.new(mode, size, 40 * index if mode == "L" else (number, index, 9))
            picture.save(folder / name / f"{index}.png")


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    data = load_data(str(tmp_path))
    assert data.x_train.shape == (8, 9, 10, 1)
    assert (data.kind, data.classes) == ("image", 2)


def test_train_and_test_folders_keep_their_samples(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", mode="RGB")
    write_pictures(tmp_path / "test", mode="RGB")
    data = load_data(str(tmp_path), image_size=12)
    assert data.x_train.shape == (10, 12, 12, 3)
    assert data.y_train.tolist() == [0] * 5 + [1] * 5
    np.testing.assert_array_equal(data.x_train[:, 0, 0, 0], data.y_train)  # red is the class


def test_one_coloured_picture_makes_all_of_them_rgb(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    Image.new("RGB", (10, 9), (1, 2, 3)).save(tmp_path / "ant" / "colour.png")
    assert load_data(str(tmp_path)).x_train.shape[-1] == 3


def test_what_is_wrong_with_folders(tmp_path: Path) -> None:
    write_pictures(tmp_path / "sizes")
    Image.new("L", (11, 9)).save(tmp_path / "sizes" / "ant" / "other.png")
    write_pictures(tmp_path / "damaged")
    (tmp_path / "damaged" / "ant" / "0.png").write_bytes(b"no picture")
    write_pictures(tmp_path / "empty")
    (tmp_path / "empty" / "cat").mkdir()
    (tmp_path / "one" / "ant").mkdir(parents=True)
    write_pictures(tmp_path / "differ" / "train")
    write_pictures(tmp_path / "differ" / "test")
    (tmp_path / "differ" / "test" / "bee").rename(tmp_path / "differ" / "test" / "wasp")
    expected = {
        "sizes": "different sizes",
        "damaged": "cannot read the image",
        "empty": "holds no images",
        "one": "two or more",
        "differ": "wasp",
    }
    for name, message in expected.items():
        with pytest.raises(WmxError, match=message):
            load_data(str(tmp_path / name))


# callables


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module into the current directory and import it from there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


def test_a_callable_in_the_current_directory(module: Any) -> None:
    module(
        "my_data",
        "import numpy as np\n"
        "def load():\n"
        "    x, y = np.zeros((6, 9, 9), np.uint8), np.arange(6) % 3\n"
        "    return x, y, x, y\n",
    )
    assert load_data("my_data:load").classes == 3


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("no_such_module:load", "no module"),
        ("my_broken:load", "importing my_broken failed: ValueError: oh"),
        ("my_needy:load", "needs a_package_nobody_has"),
        ("my_wrong:nothing", "has no 'nothing'"),
        ("my_wrong:number", "expected a callable"),
        ("my_wrong:fails", "failed: KeyError"),
        ("my_wrong:three", "expected the four arrays"),
        ("my wrong:three", "expected package.module:callable"),
    ],
)
def test_what_is_wrong_with_a_callable(module: Any, spec: str, message: str) -> None:
    module("my_broken", "raise ValueError('oh')")
    module("my_needy", "import a_package_nobody_has")
    module(
        "my_wrong",
        "number = 3\ndef fails():\n    return {}['x']\ndef three():\n    return 1, 2, 3\n",
    )
    with pytest.raises(WmxError, match=message):
        load_data(spec)


def test_a_callable_inside_a_class_and_a_package() -> None:
    assert callable_from("pathlib:Path.cwd", "--data")() == Path.cwd()


def test_an_image_size_is_for_folders_alone() -> None:
    with pytest.raises(UsageError, match="to folders"):
        load_data("digits", image_size=16)
