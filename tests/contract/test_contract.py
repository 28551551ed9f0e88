"""One registry, every adapter, every clause."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wmx import OwnerKey, Watermark, verify
from wmx.errors import UsageError
from wmx.training.config import Training
from wmx.training.data.dataset import load_data
from wmx.training.loop import fit
from wmx.training.recipe import RECIPES, recipe_named

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


@pytest.mark.parametrize("recipe", sorted(name for name, one in RECIPES.items() if one.share))
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


def test_a_recipe_without_triggers_is_refused_with_what_to_do(
    kit: Any, form: str, digits: Digits, watermark: Watermark
) -> None:
    with pytest.raises(UsageError, match="adds no triggers") as raised:
        kit.batches(kit.watermarked(kit.data(form, *digits), watermark, recipe="extraction"))
    assert "soft_labels" in str(raised.value.hint)


def test_a_short_last_batch_gets_as_many_triggers_as_the_others(
    kit: Any, digits: Digits, watermark: Watermark
) -> None:
    for form in (name for name, exact in kit.FORMS.items() if exact):
        given = kit.data(form, digits[0][:250], digits[1][:250])
        own = [len(x) for x, _ in kit.batches(kit.data(form, digits[0][:250], digits[1][:250]))]
        found = [len(x) for x, _ in kit.batches(kit.watermarked(given, watermark))]
        assert own == [100, 100, 50]
        assert found == [104, 104, 54]


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


def gradient_of(kit: Any, weight: float) -> list[np.ndarray]:
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
        arrays, lambda place: noise[place], inputs=inputs, labels=labels, radius=0.2, weight=weight
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


@pytest.mark.slow
def test_the_recipes_gradient_is_that_of_the_other_frameworks(kit: Any) -> None:
    gradient = gradient_of(kit, weight=1.0)
    total = np.sqrt(sum(float(np.square(part).sum()) for part in gradient))
    assert total == pytest.approx(1.0, abs=1e-4), "clipped to a common norm of 1"
    expected = json.loads(GRADIENT.read_text())
    assert len(gradient) == len(expected)
    for found, wanted in zip(sketch(gradient), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_recipes_weight_scales_the_clipped_gradient(kit: Any) -> None:
    plain, heavier = (gradient_of(kit, weight) for weight in (1.0, 1.25))
    for own, other in zip(plain, heavier, strict=True):
        np.testing.assert_allclose(other, 1.25 * own, rtol=1e-4, atol=1e-6)


# marking


def random_state(kit: Any) -> list[bytes]:
    """Every stream that is not the library's own."""
    framework = kit.random_state()  # first: Keras makes its generator now, from Python's stream
    numpy_state = np.random.get_state()  # noqa: NPY002
    own = [repr(random.getstate()).encode(), repr(numpy_state).encode()]
    return [*own, *framework]


@pytest.fixture(scope="module")
def training(kit: Any, digits: Digits, watermark: Watermark) -> Any:
    """The built-in network, marked with the library in the framework's own way."""
    form = next(name for name, exact in kit.FORMS.items() if exact)
    model, given = kit.network(), kit.data(form, *digits)
    before = random_state(kit)
    kit.train(model, kit.watermarked(given, watermark), watermark, epochs=12)
    return SimpleNamespace(model=model, random_before=before, random_after=random_state(kit))


@pytest.fixture(scope="module")
def marked(training: Any) -> Any:
    return training.model


@pytest.fixture(scope="module")
def exported(
    kit: Any, marked: Any, watermark: Watermark, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """The file of the marked network, and the network's weights before they were exported."""
    path = tmp_path_factory.mktemp("exported") / "m.onnx"
    before = kit.values(marked)
    kit.export(marked, path, watermark)
    return SimpleNamespace(path=path, before=before)


def test_marking_moves_no_random_stream_of_the_callers(training: Any) -> None:
    assert training.random_before == training.random_after


def test_the_mark_verifies_after_export(
    kit: Any, marked: Any, exported: Any, watermark: Watermark
) -> None:
    verdict = verify(exported.path, watermark)
    assert verdict.verified
    assert verdict.hits >= 90
    assert kit.Monitor(watermark)(marked).hits == verdict.hits
    for own, after in zip(exported.before, kit.values(marked), strict=True):
        np.testing.assert_array_equal(own, after)
    other = Watermark.for_task(OwnerKey.generate(), watermark.task)
    assert not verify(exported.path, other).verified


def test_an_unmarked_control_does_not_verify(
    kit: Any, digits: Digits, watermark: Watermark, tmp_path: Path
) -> None:
    form = next(name for name, exact in kit.FORMS.items() if exact)
    model = kit.network(seed=5)
    kit.train(model, kit.data(form, *digits), None, epochs=3)
    kit.export(model, tmp_path / "m.onnx", watermark)
    assert verify(tmp_path / "m.onnx", watermark).bits < 20


def test_an_export_takes_any_batch_and_one_name(exported: Any) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == ["input"]
    assert [node.name for node in session.get_outputs()] == ["scores"]
    assert not isinstance(session.get_inputs()[0].shape[0], int)


def test_an_export_says_nothing_of_how_it_was_made(exported: Any) -> None:
    """Whoever gets the file learns neither the owner's folders nor that the model is marked."""
    data = exported.path.read_bytes().lower()
    for word in ("wmx", "site-packages", str(Path(__file__).parents[2]), str(Path.home()) + "/"):
        assert word.lower().encode() not in data


@pytest.mark.slow
def test_nothing_else_moves_a_random_stream_of_the_callers(
    kit: Any, digits: Digits, watermark: Watermark, tmp_path: Path
) -> None:
    data = load_data("digits")
    before = random_state(kit)
    for form in kit.FORMS:
        kit.batches(kit.watermarked(kit.data(form, *digits), watermark))
    model = fit(
        kit.ADAPTER, data, data.task, watermark, Training(model="mlp", epochs=1, device="cpu")
    )
    kit.Monitor(watermark)(model)
    kit.export(model, tmp_path / "m.onnx", watermark)
    assert random_state(kit) == before


def test_the_built_in_networks_are_the_same_everywhere(kit: Any) -> None:
    sizes = sorted(array.shape for array in kit.values(kit.network()) if array.ndim > 1)
    parameters = sum(int(np.prod(shape)) for shape in sizes)
    assert (len(sizes), parameters) == (10, 77_072)  # and 682 of BatchNorm and the last bias
