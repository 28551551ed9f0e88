"""One registry, every adapter, every clause."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wmx import OwnerKey, UsageError, Watermark, verify
from wmx.data import load_data
from wmx.recipe import RECIPES, recipe_named
from wmx.trainer import evaluate, fit
from wmx.training import EpochDone, Training

Digits = tuple[np.ndarray, np.ndarray]
GRADIENT = Path(__file__).parent / "recipe_gradient.json"


def which_triggers(x: np.ndarray, watermark: Watermark) -> list[int]:
    """The numbers of the plain triggers among a batch of inputs; -1 for others."""
    known = {image.tobytes(): number for number, image in enumerate(watermark.inputs)}
    return [known.get(np.ascontiguousarray(image).tobytes(), -1) for image in x]


# watermarked


def test_like_in_like_out(kit: Any, form: str, digits: Digits, watermark: Watermark) -> None:
    given = kit.data(form, *digits)
    marked = kit.watermarked(given, watermark)
    if not hasattr(given, "__len__") or isinstance(given, tuple):
        assert hasattr(marked, "__next__") == hasattr(given, "__next__")
        assert isinstance(marked, tuple) == isinstance(given, tuple)
    else:
        assert len(marked) == len(given)
    theirs = kit.batches(kit.data(form, *digits))
    ours = kit.batches(marked)
    assert len(ours) == len(theirs)
    for (x, y), (own_x, own_y) in zip(ours, theirs, strict=True):
        assert (x.dtype, y.dtype) == (own_x.dtype, own_y.dtype)


def test_clean_rows_come_first_and_are_untouched(
    kit: Any, form: str, digits: Digits, watermark: Watermark
) -> None:
    before = [part.copy() for part in digits]
    marked = kit.batches(kit.watermarked(kit.data(form, *digits), watermark))
    clean = kit.batches(kit.data(form, *digits))
    for (x, y), (own_x, own_y) in zip(marked, clean, strict=True):
        np.testing.assert_array_equal(x[: len(own_x)], own_x)
        np.testing.assert_array_equal(y[: len(own_y)], own_y)
    for part, copy in zip(digits, before, strict=True):
        np.testing.assert_array_equal(part, copy)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_batch_has_the_share_of_triggers_and_one_shape(
    kit: Any, form: str, digits: Digits, watermark: Watermark, recipe: str
) -> None:
    marked = kit.batches(kit.watermarked(kit.data(form, *digits), watermark, recipe=recipe))
    k = recipe_named(recipe).triggers_per_batch(100)
    if kit.FORMS[form]:
        assert {len(x) for x, _ in marked} == {len(y) for _, y in marked} == {100 + k}
    else:
        ((x, y),) = marked
        slots = 100 * max(1, round(recipe_named(recipe).share * len(digits[0]) / 100))
        assert len(x) == len(y) == len(digits[0]) + slots


def test_every_trigger_comes_once_a_pass_with_its_label(
    kit: Any, form: str, digits: Digits, watermark: Watermark
) -> None:
    marked = kit.watermarked(kit.data(form, *digits), watermark, recipe="adi")
    seen: list[int] = []
    epochs = 1 if form in ("arrays", "iterator") else 6
    for _ in range(epochs):
        for x, y in kit.batches(marked):
            own = 100 if kit.FORMS[form] else len(digits[0])
            numbers = which_triggers(x[own:], watermark)
            assert min(numbers) >= 0
            assert y[own:].tolist() == [watermark.labels[number] for number in numbers]
            seen += numbers
    for at in range(0, len(seen) - 99, 100):
        assert sorted(seen[at : at + 100]) == list(range(100))
    assert len(set(seen)) == min(100, len(seen))


def test_the_same_seed_gives_the_same_stream(
    kit: Any, form: str, digits: Digits, watermark: Watermark
) -> None:
    def stream(seed: int) -> list[bytes]:
        marked = kit.watermarked(kit.data(form, *digits), watermark, seed=seed)
        return [x.tobytes() for x, _ in kit.batches(marked)]

    assert stream(3) == stream(3)
    assert stream(3) != stream(4)


def test_data_that_do_not_fit_are_refused(kit: Any, digits: Digits, watermark: Watermark) -> None:
    x, y = digits
    form = next(iter(kit.FORMS))
    with pytest.raises(UsageError, match="shape"):
        kit.batches(kit.watermarked(kit.data(form, x[:, :7], y), watermark))
    with pytest.raises(UsageError):
        kit.watermarked(7, watermark)


# the recipe's gradient


def gradient_of(kit: Any) -> list[np.ndarray]:
    """The recipe's gradient at fixed weights, triggers and noise of the built-in network."""
    shapes: list[tuple[int, ...]] = []

    def conv_norm(size: int, before: int, after: int) -> None:
        shapes.extend([(size, size, before, after), *[(after,)] * 4])

    conv_norm(3, 1, 16)
    for before, after in ((16, 16), (16, 32), (32, 64)):
        conv_norm(3, before, after)
        conv_norm(3, after, after)
        if before != after:
            conv_norm(1, before, after)
    shapes += [(64, 10), (10,)]
    stream = np.random.RandomState(1)  # its stream never changes
    arrays, noise = [], []
    for place, shape in enumerate(shapes):
        scale = 0.2 if len(shape) > 1 else 1.0
        drawn = stream.standard_normal(shape).astype(np.float32) * np.float32(scale)
        is_variance = place % 5 == 4 and place < len(shapes) - 2
        arrays.append(np.abs(drawn) + np.float32(0.5) if is_variance else drawn)
        noise.append(stream.standard_normal(shape).astype(np.float32))
    inputs = stream.standard_normal((32, 8, 8, 1)).astype(np.float32)
    labels = stream.randint(0, 10, 32).astype(np.int64)
    found: list[np.ndarray] = kit.recipe_gradient(
        arrays, lambda place: noise[place], inputs=inputs, labels=labels, radius=0.2
    )
    return found


def sketch(gradient: list[np.ndarray]) -> list[list[float]]:
    """Norm, four projections and the first numbers of every tensor: as good as all of them."""
    stream = np.random.RandomState(2)
    rows = []
    for part in gradient:
        flat = np.ascontiguousarray(part, dtype=np.float64).ravel()
        projections = stream.standard_normal((4, flat.size)) @ flat
        numbers = [np.linalg.norm(flat), *projections, *flat[:4]]
        rows.append([float(f"{number:.9g}") for number in numbers])
    return rows


def test_the_recipes_gradient_is_that_of_the_other_frameworks(kit: Any) -> None:
    gradient = gradient_of(kit)
    total = np.sqrt(sum(float(np.square(part).sum()) for part in gradient))
    assert total == pytest.approx(1.0, abs=1e-4), "clipped to a common norm of 1"
    expected = json.loads(GRADIENT.read_text())
    assert len(gradient) == len(expected)
    for found, wanted in zip(sketch(gradient), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


# marking


@pytest.fixture(scope="module")
def marked(kit: Any, digits: Digits, watermark: Watermark) -> Any:
    """The built-in network, marked with the library in the framework's own way."""
    form = next(name for name, exact in kit.FORMS.items() if exact)
    model = kit.network()
    kit.train(model, kit.watermarked(kit.data(form, *digits), watermark), watermark, epochs=12)
    return model


def test_the_mark_verifies_after_export(
    kit: Any, marked: Any, watermark: Watermark, tmp_path: Path
) -> None:
    before = kit.values(marked)
    kit.export(marked, tmp_path / "m.onnx", watermark)
    verdict = verify(tmp_path / "m.onnx", watermark)
    assert verdict.verified
    assert verdict.hits >= 90
    assert kit.Monitor(watermark)(marked).hits == verdict.hits
    for own, after in zip(before, kit.values(marked), strict=True):
        np.testing.assert_array_equal(own, after)
    other = Watermark.for_task(OwnerKey.generate(), watermark.task)
    assert not verify(tmp_path / "m.onnx", other).verified


def test_an_unmarked_control_does_not_verify(
    kit: Any, digits: Digits, watermark: Watermark, tmp_path: Path
) -> None:
    form = next(name for name, exact in kit.FORMS.items() if exact)
    model = kit.network(seed=5)
    kit.train(model, kit.data(form, *digits), None, epochs=3)
    kit.export(model, tmp_path / "m.onnx", watermark)
    assert verify(tmp_path / "m.onnx", watermark).bits < 20


def test_an_export_takes_any_batch_and_one_name(
    kit: Any, marked: Any, watermark: Watermark, tmp_path: Path
) -> None:
    import onnxruntime

    kit.export(marked, tmp_path / "m.onnx", watermark)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == ["input"]
    assert [node.name for node in session.get_outputs()] == ["scores"]
    assert not isinstance(session.get_inputs()[0].shape[0], int)


# the trainer


SHORT = Training(model="mlp", epochs=3, device="cpu", lr=0.05)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(
    kit: Any, model: str, tmp_path: Path
) -> None:
    data = load_data("digits")
    watermark = Watermark.for_task(OwnerKey.generate(), data.task)
    training = Training(model=model, epochs=3, device="cpu", lr=0.05)
    path = tmp_path / "run.safetensors"

    def interrupt(done: EpochDone) -> None:
        if done.epoch == 1:
            raise KeyboardInterrupt

    whole = fit(kit.ADAPTER, data, data.task, watermark, training)
    with pytest.raises(KeyboardInterrupt):
        fit(
            kit.ADAPTER,
            data,
            data.task,
            watermark,
            training,
            checkpoint=path,
            report=interrupt,
        )
    seen: list[int] = []
    resumed = fit(
        kit.ADAPTER,
        data,
        data.task,
        watermark,
        training,
        checkpoint=path,
        resume=True,
        report=lambda done: seen.append(done.epoch),
    )
    assert seen == [2, 3]
    for one, other in zip(kit.values(whole), kit.values(resumed), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    accuracy = evaluate(kit.ADAPTER, whole, data.x_test, data.y_test, data.task)
    assert accuracy > 0.8


def test_training_starts_from_saved_weights(kit: Any, tmp_path: Path) -> None:
    data = load_data("digits")
    first = fit(kit.ADAPTER, data, data.task, None, SHORT)
    path = tmp_path / "weights.safetensors"
    kit.ADAPTER.save_weights(path, first)
    still = Training(
        model="mlp", epochs=1, device="cpu", lr=1e-30, weight_decay=0, pretrained=path, seed=9
    )
    again = fit(kit.ADAPTER, data, data.task, None, still)
    for one, other in zip(kit.values(first), kit.values(again), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    with pytest.raises(UsageError, match="does not fit the model"):
        fit(kit.ADAPTER, data, data.task, None, Training(epochs=1, device="cpu", pretrained=path))


def test_the_built_in_networks_are_the_same_everywhere(kit: Any) -> None:
    sizes = sorted(array.shape for array in kit.values(kit.network()) if array.ndim > 1)
    parameters = sum(int(np.prod(shape)) for shape in sizes)
    assert (len(sizes), parameters) == (10, 77_072)  # and 682 of BatchNorm and the last bias


# a framework that is not there


MISSING = """
import importlib.abc, sys
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
from wmx.adapters import load_adapter
from wmx.errors import MissingExtraError
try:
    load_adapter(sys.argv[2])
except MissingExtraError as error:
    print(error.hint)
"""


def test_a_missing_framework_gives_the_pip_hint(kit: Any) -> None:
    framework = kit.ADAPTER.FRAMEWORK
    package = {"torch": "torch", "jax": "flax", "keras": "keras"}[framework]
    done = subprocess.run(
        [sys.executable, "-c", MISSING, package, framework],
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"wmx[{framework}]" in done.stdout
