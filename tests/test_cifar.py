"""CIFAR-10 and CIFAR-100 as their authors ship them: every pixel, class, and way to be damaged."""

import io
import shlex
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wmx.errors import CannotRunError, IntegrityError
from wmx.training.data import cifar
from wmx.training.data.cifar import CIFAR, read_cifar
from wmx.training.data.dataset import load_data

SMALL = {name: replace(one, train_records=3, test_records=2) for name, one in CIFAR.items()}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take files of a few records for the real ones, and a store of the test's own."""
    for name, one in SMALL.items():
        monkeypatch.setitem(cifar.CIFAR, name, one)
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "home"))


def files_of(name: str) -> dict[str, bytes]:
    """Return files whose every byte is drawn, but the classes: 0, 1, 2, 0 ... over all."""
    rng, one = np.random.default_rng(0), SMALL[name]
    files, number = {}, 0
    for file in (*one.train, one.test):
        count = one.test_records if file == one.test else one.train_records
        records = rng.integers(0, 256, (count, one.labels + 3072), dtype=np.uint8)
        records[:, one.labels - 1] = np.arange(number, number + count) % 3
        files[file] = records.tobytes()
        number += count
    return files


def in_folder(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def archive(files: dict[str, bytes], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {"readme.html": b"hello", **files}.items():
            entry = tarfile.TarInfo(f"cifar-batches-bin/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", SMALL)
def test_images_and_classes_stand_where_the_format_says(name: str, tmp_path: Path) -> None:
    files = files_of(name)
    data = read_cifar(name, in_folder(files, tmp_path / "folder"))
    count = 3 * len(SMALL[name].train)
    assert data["y_train"].tolist() == [0, 1, 2] * (count // 3)
    assert data["y_test"].tolist() == [0, 1]
    assert data["x_train"].shape == (count, 32, 32, 3)
    assert data["x_train"].dtype == np.uint8
    labels = SMALL[name].labels
    record = files[SMALL[name].train[0]][labels + 3072 :][labels : labels + 3072]
    second = data["x_train"][1]
    assert second[0, 0].tolist() == [record[0], record[1024], record[2048]]
    assert second[5, 7, 1] == record[1024 + 5 * 32 + 7]


@pytest.mark.parametrize("name", SMALL)
def test_the_archive_gives_what_its_folder_gives(name: str, tmp_path: Path) -> None:
    files = files_of(name)
    spec = f"{name}:{archive(files, tmp_path / 'any name.tar.gz')}"
    packed = load_data(spec)
    unpacked = load_data(f"{name}:{in_folder(files, tmp_path / 'folder')}")
    np.testing.assert_array_equal(packed.x_train, unpacked.x_train)
    np.testing.assert_array_equal(packed.y_test, unpacked.y_test)
    assert packed.kind == "image"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    files = files_of("cifar10")
    del files["data_batch_4.bin"]
    for path in (in_folder(files, tmp_path / "folder"), archive(files, tmp_path / "some.tar.gz")):
        with pytest.raises(CannotRunError, match=r"lacks data_batch_4\.bin"):
            read_cifar("cifar10", path)


@pytest.mark.parametrize("change", [-1, 1, 3073])
def test_a_file_of_another_length_is_refused(change: int, tmp_path: Path) -> None:
    files = files_of("cifar10")
    data = files["test_batch.bin"]
    files["test_batch.bin"] = data[:change] if change < 0 else data + bytes(change)
    for path in (in_folder(files, tmp_path / "folder"), archive(files, tmp_path / "some.tar.gz")):
        with pytest.raises(IntegrityError, match=r"test_batch\.bin .*expected 6,146"):
            read_cifar("cifar10", path)


def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = archive(files_of("cifar10"), tmp_path / "some.tar.gz")
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(CannotRunError, match=r"cannot read .* as a \.tar\.gz archive"):
        read_cifar("cifar10", path)
    path.write_bytes(b"no archive")
    with pytest.raises(CannotRunError, match=r"cannot read .* as a \.tar\.gz archive"):
        read_cifar("cifar10", path)


@pytest.mark.parametrize("name", SMALL)
def test_an_archive_in_the_store_is_read(name: str, tmp_path: Path) -> None:
    archive(files_of(name), tmp_path / "home" / "data" / CIFAR[name].archive)
    assert load_data(name).x_test.shape == (2, 32, 32, 3)


def test_who_has_no_archive_is_told_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="wmx downloads no data") as raised:
        load_data("cifar10")
    hint = str(raised.value.hint)
    place = tmp_path / "home" / "data" / "cifar-10-binary.tar.gz"
    assert f"-o {shlex.quote(str(place))} {cifar.SITE}cifar-10-binary.tar.gz" in hint
    assert "cifar10:FILE" in hint
    assert not place.parent.exists()
