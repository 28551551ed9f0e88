"""Trigger families: what they draw, that they draw it for ever, and what they refuse."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wmx import OwnerKey, Task, Watermark
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.triggers import default_generator, draw_triggers, generator_from
from wmx.triggers.cells import Cells
from wmx.triggers.features import Features
from wmx.triggers.folder import Folder, read_folder
from wmx.triggers.tokens import Tokens
from wmx.triggers.trigger_file import load_images, save_images

SECRET = bytes(range(32))


def image_task(*shape: int) -> Task:
    return Task.of(shape, 10)


@settings(max_examples=40)
@given(
    height=st.integers(8, 200),
    width=st.integers(8, 200),
    channels=st.integers(1, 4),
    grid=st.integers(4, 8),
)
def test_cells_fill_images_of_any_size(height: int, width: int, channels: int, grid: int) -> None:
    task = image_task(height, width, channels)
    triggers = draw_triggers(Cells(grid), SECRET, 3, task)
    assert triggers.shape == (3, height, width, channels)
    assert triggers.dtype == np.uint8
    assert set(np.unique(triggers)) <= {0, 255}
    rows, columns = np.arange(height) * grid // height, np.arange(width) * grid // width
    for r in range(grid):
        for c in range(grid):
            cell = triggers[:, rows == r][:, :, columns == c]
            assert (cell == cell[:, :1, :1]).all()  # one value per cell and channel


@pytest.mark.parametrize("shape", [(8, 8, 1), (1024, 1024, 4), (8, 1024, 3)])
def test_the_smallest_and_the_largest_images(shape: tuple[int, ...]) -> None:
    assert draw_triggers(Cells(), SECRET, 2, image_task(*shape)).shape == (2, *shape)


@pytest.mark.parametrize("shape", [(7, 8, 1), (8, 1025, 3)])
def test_sizes_beyond_that_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"8|1024"):
        draw_triggers(Cells(), SECRET, 1, image_task(*shape))


def test_cells_are_black_and_white_evenly_and_independently() -> None:
    triggers = draw_triggers(Cells(), SECRET, 400, image_task(14, 14, 3))[:, ::2, ::2] // 255
    count = int(triggers.sum())
    assert stats.binomtest(count, triggers.size, 0.5).pvalue > 1e-4
    channels = triggers.reshape(-1, 3).astype(float)
    assert np.abs(np.corrcoef(channels.T) - np.eye(3)).max() < 0.05
    assert len({trigger.tobytes() for trigger in triggers}) == 400


def test_100_triggers_of_224_pixels(record_property: Callable[[str, object], None]) -> None:
    start = time.perf_counter()
    triggers = draw_triggers(Cells(), SECRET, 100, image_task(224, 224, 3))
    record_property("seconds", time.perf_counter() - start)
    assert triggers.shape == (100, 224, 224, 3)


def test_a_trigger_hangs_on_secret_and_index_alone() -> None:
    task = image_task(28, 28, 1)
    many = draw_triggers(Cells(), SECRET, 50, task)
    assert (draw_triggers(Cells(), SECRET, 10, task) == many[:10]).all()
    assert (draw_triggers(Cells(), bytes(32), 10, task) != many[:10]).any()


@given(
    vocabulary=st.integers(4, 3000),
    special=st.sets(st.integers(0, 3), max_size=2),
    length=st.integers(1, 300),
)
def test_tokens_never_draw_a_special_id(vocabulary: int, special: set[int], length: int) -> None:
    family = Tokens(vocabulary, tuple(sorted(special)))
    task = Task.of((length,), 2, kind="tokens")
    triggers = draw_triggers(family, SECRET, 3, task)
    assert triggers.dtype == np.int32
    assert triggers.shape == (3, length)
    assert triggers.min() >= 0
    assert triggers.max() < vocabulary
    assert not np.isin(triggers, list(special)).any()


def test_tokens_are_uniform_over_what_is_allowed() -> None:
    family = Tokens(12, (0, 5, 11))
    drawn = draw_triggers(family, SECRET, 200, Task.of((100,), 2, kind="tokens"))
    counts = np.bincount(drawn.ravel(), minlength=12)
    assert counts[[0, 5, 11]].tolist() == [0, 0, 0]
    assert stats.chisquare(np.delete(counts, [0, 5, 11])).pvalue > 1e-4


def test_features_take_values_that_each_feature_really_has() -> None:
    quantiles = np.sort(np.random.default_rng(0).normal(size=(6, 16)), axis=1).astype(np.float32)
    task = Task.of((6,), 3, kind="features")
    triggers = draw_triggers(Features.of(quantiles), SECRET, 500, task)
    assert triggers.dtype == np.float32
    for feature in range(6):
        assert set(triggers[:, feature]) == set(quantiles[feature])
    assert np.abs(np.corrcoef(triggers.T) - np.eye(6)).max() < 0.2


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tokens(1),
        lambda: Tokens(10, (3, 1)),
        lambda: Tokens(10, (1, 1)),
        lambda: Tokens(10, (10,)),
        lambda: Tokens(3, (0, 1)),
        lambda: Cells(3),
        lambda: Cells(65),
        lambda: Features.of([[1.0]]),
        lambda: Features.of([[1.0, 2.0], [1.0]]),
        lambda: Features.of([["1e5", "2"]]),
        lambda: Features.of([["5.0.0", "2"]]),
        lambda: Folder(np.zeros((2, 8, 8, 1), np.uint8)),
        lambda: Folder(np.zeros((2, 8, 8, 1), np.float32)),  # type: ignore[arg-type]
        lambda: draw_triggers(Cells(), SECRET, 1, Task.of((3,), 2, kind="tokens")),
        lambda: draw_triggers(Tokens(9), SECRET, 1, image_task(8, 8, 1)),
        lambda: Features.of([[1.0, 2.0]]).check(Task.of((2,), 2, kind="features"), 1),
    ],
)
def test_families_refuse_what_they_cannot_serve(make: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_a_kind_without_a_default_family_says_what_it_needs(kind: Any) -> None:
    with pytest.raises(UsageError, match=f"triggers for kind '{kind}' need") as error:
        default_generator(Task.of((3,), 2, kind=kind))
    assert "generator=wmx.triggers." in " ".join(error.value.__notes__)


@pytest.mark.parametrize(
    "family", [Cells(5), Tokens(99, (0, 3)), Features.of([[0.25, 1.5], [3.0, -7.125]])]
)
def test_a_family_survives_its_description(family: object) -> None:
    assert generator_from(family.describe()) == family  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"name": "cells"},
        {"name": "cells", "grid": "7"},
        {"name": "cells", "grid": True},
        {"name": "stars"},
        {"name": "tokens", "vocabulary": 10},
        {"name": "tokens", "vocabulary": 10, "excluded": [True]},
        {"name": "features", "quantiles": [[1, 2]]},
        {"name": "features", "quantiles": [["5.0.0", "6"]]},
        {"name": "features", "quantiles": [["5", "6"]], "grid": 7},
        {"name": "cells", "grid": 7, "seed": 1},
        {"name": "tokens", "vocabulary": 10, "excluded": [], "more": None},
        {"name": ["cells"]},
        None,
    ],
)
def test_a_malformed_description_is_an_integrity_error(description: object) -> None:
    with pytest.raises(IntegrityError):
        generator_from(description)


# the owner's own images


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, suffix in enumerate(["png", "jpg", "bmp", "png"]):
        pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.{suffix}")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_folder_of_pictures(pictures: Path, tmp_path: Path, channels: int) -> None:
    shape = (16, 12, channels)
    family = read_folder(pictures, shape)
    assert family.images.shape == (4, *shape)
    owner = OwnerKey.generate()
    made = Watermark.new(owner, shape=shape, classes=10, n=4, generator=family)
    save_images(tmp_path / "kept.safetensors", family.images)
    kept = load_images(tmp_path / "kept.safetensors")
    opened = Watermark.open(made.claim, owner, images=kept)
    assert (opened.triggers == made.triggers).all()
    assert (opened.labels == made.labels).all()
    with pytest.raises(UsageError, match="own images"):
        Watermark.open(made.claim, owner)
    kept[0, 0, 0, 0] ^= 1
    with pytest.raises(IntegrityError, match="not those the claim commits to"):
        Watermark.open(made.claim, owner, images=kept)


def test_folders_that_cannot_be_used(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="holds 4 pictures, expected 9"):
        read_folder(pictures, (8, 8, 1), 9)
    with pytest.raises(CannotRunError, match="no such folder"):
        read_folder(tmp_path / "gone", (8, 8, 1))
    (pictures / "5.png").write_bytes(b"broken")
    with pytest.raises(CannotRunError, match="cannot read the picture"):
        read_folder(pictures, (8, 8, 1))


def test_a_trigger_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "file"
    for content in (b"", b"text", b"\x80\x04."):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match="not a trigger file"):
            load_images(path)
    save_file({"triggers": np.zeros((2, 3), np.float32)}, path)
    with pytest.raises(IntegrityError, match="expected uint8"):
        load_images(path)
