"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the authors' pickle-free binary archives.

A record is one label byte (CIFAR-100: the coarse class, then the fine one) and 3,072 pixels: 1,024
red, 1,024 green, 1,024 blue, row by row.  Format and checksums: https://www.cs.toronto.edu/~kriz/cifar.html
Nothing is downloaded: docs/embed.md says how to fetch an archive.
"""

import shlex
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.files import open_regular, read_head
from wmx.errors import CannotRunError, IntegrityError
from wmx.verification.store import default_folder

SIDE = 32
PIXELS = 3 * SIDE * SIDE
SITE = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class Cifar:
    """File names, sizes and checksum of one of the two data sets.

    Attributes:
        archive: its file name at :data:`SITE`.
        train, test: names of the files inside.
        labels: label bytes per record; the last one is the class.
        train_records, test_records: records per training file, and in the test file.
    """

    archive: str
    train: tuple[str, ...]
    test: str
    labels: int
    train_records: int
    test_records: int = 10_000


CIFAR = {
    "cifar10": Cifar(
        archive="cifar-10-binary.tar.gz",
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test="test_batch.bin",
        labels=1,
        train_records=10_000,
    ),
    "cifar100": Cifar(
        archive="cifar-100-binary.tar.gz",
        train=("train.bin",),
        test="test.bin",
        labels=2,
        train_records=50_000,
    ),
}


def read_cifar(name: str, path: Path | None = None) -> dict[str, Any]:
    """Read a CIFAR data set: ``x_train``, ``y_train``, ``x_test`` and ``y_test`` by name.

    Args:
        name: ``"cifar10"`` or ``"cifar100"``.
        path: the authors' archive, or a folder with its files; if ``None``, the archive in the
            store's folder ``data``.

    Returns:
        images uint8 [N, 32, 32, 3] and classes int64 [N].

    Raises:
        CannotRunError: a file is missing or cannot be read.
        IntegrityError: the size of a file does not match its number of records.
    """
    cifar = CIFAR[name]
    if path is None:
        path = default_folder() / "data" / cifar.archive
        if not path.exists():
            raise CannotRunError(
                f"{path} is not there, and wmx downloads no data",
                hint=f"curl --create-dirs -o {shlex.quote(str(path))} {SITE}{cifar.archive}, or "
                f"name a copy: {name}:FILE",
            )
    files = _from_folder(cifar, path) if path.is_dir() else _from_archive(cifar, path)
    parts = {name: _records(cifar, name, data, path) for name, data in files}
    missing = sorted({*cifar.train, cifar.test} - set(parts))
    if missing:
        raise CannotRunError(
            f"{path} lacks {', '.join(missing)}",
            hint=f"expected the binary version, {SITE}{cifar.archive}, or its files in a folder",
        )
    train = [parts[name] for name in cifar.train]
    return {
        "x_train": np.concatenate([x for x, _ in train]),
        "y_train": np.concatenate([y for _, y in train]),
        "x_test": parts[cifar.test][0],
        "y_test": parts[cifar.test][1],
    }


def _size(cifar: Cifar, name: str) -> int:
    records = cifar.test_records if name == cifar.test else cifar.train_records
    return records * (cifar.labels + PIXELS)


def _from_folder(cifar: Cifar, folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in (*cifar.train, cifar.test):
        if (folder / name).exists():
            yield name, read_head(folder / name, "data", _size(cifar, name) + 1)


def _from_archive(cifar: Cifar, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive by their base names; nothing is unpacked to disk."""
    wanted = {*cifar.train, cifar.test}
    try:
        with (
            open_regular(path, "data") as opened,
            tarfile.open(fileobj=opened, mode="r|gz") as archive,
        ):
            for member in archive:
                name = Path(member.name).name
                if name in wanted and member.isreg():
                    wanted.remove(name)
                    contents = archive.extractfile(member)
                    assert contents is not None
                    yield name, contents.read(_size(cifar, name) + 1)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CannotRunError(f"cannot read {path} as a .tar.gz archive: {error}") from None


def _records(
    cifar: Cifar, name: str, data: bytes, path: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images [n, 32, 32, 3] and classes [n] of a file."""
    if len(data) != _size(cifar, name):
        raise IntegrityError(
            f"{name} in {path} has {len(data):,} bytes or more, expected {_size(cifar, name):,}"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, cifar.labels + PIXELS)
    images = records[:, cifar.labels :].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, cifar.labels - 1].astype(np.int64)
