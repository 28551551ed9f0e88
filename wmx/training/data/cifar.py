"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the authors' pickle-free binary archives.

A record is one label byte (CIFAR-100: the coarse class, then the fine one) and 3,072 pixels: 1,024
red, 1,024 green, 1,024 blue, row by row.  Format and checksums: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import hashlib
import os
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.files import open_regular, publish, read_head
from wmx._internal.http import FAILURES, failure, fetched
from wmx.errors import CannotRunError, IntegrityError
from wmx.verification.store import default_folder

SIDE = 32
PIXELS = 3 * SIDE * SIDE
SITE = "https://www.cs.toronto.edu/~kriz/"
OK = 200
CHUNK_BYTES = 2**20
SILENCE_SECONDS = 60.0
MOST_SECONDS = 4 * 3600.0  # for all of it: 12 kB a second
MAX_ARCHIVE_BYTES = 2**28


@dataclass(frozen=True)
class Cifar:
    """File names, sizes and checksum of one of the two data sets.

    Attributes:
        archive: its file name at :data:`SITE`.
        md5: of the archive, as its authors publish it; detects a damaged download, no more.
        train, test: names of the files inside.
        labels: label bytes per record; the last one is the class.
        train_records, test_records: records per training file, and in the test file.
    """

    archive: str
    md5: str
    train: tuple[str, ...]
    test: str
    labels: int
    train_records: int
    test_records: int = 10_000


CIFAR = {
    "cifar10": Cifar(
        archive="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test="test_batch.bin",
        labels=1,
        train_records=10_000,
    ),
    "cifar100": Cifar(
        archive="cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
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
            store, which is downloaded if missing.

    Returns:
        images uint8 [N, 32, 32, 3] and classes int64 [N].

    Raises:
        CannotRunError: a file is missing or cannot be read, or the download failed.
        IntegrityError: the size of a file does not match its number of records.
    """
    cifar = CIFAR[name]
    if path is None:
        path = default_folder() / "data" / cifar.archive
        if not path.exists():
            download(cifar, path)
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


def download(cifar: Cifar, path: Path, site: str = SITE) -> None:
    """Download the authors' archive to ``path``, which is created only when complete.

    Args:
        cifar: which of the two.
        path: of the archive.
        site: URL of the folder it is in.

    Raises:
        CannotRunError: the site cannot be reached, or the transfer failed.
        IntegrityError: the checksum is not the one that the authors published.
    """
    url = site + cifar.archive
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    digest, size = hashlib.md5(usedforsecurity=False), 0
    end = time.monotonic() + MOST_SECONDS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fetched(url, seconds=SILENCE_SECONDS) as answer, partial.open("wb") as file:
            if answer.status != OK:
                raise _no_download(url, f"it answered with HTTP {answer.status}")
            while chunk := answer.read1(CHUNK_BYTES):
                size += len(chunk)
                if size > MAX_ARCHIVE_BYTES:
                    break
                if time.monotonic() > end:
                    raise _no_download(url, f"it took more than {MOST_SECONDS:g} seconds")
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != cifar.md5:
            raise IntegrityError(
                f"{url} has the MD5 sum {digest.hexdigest()}, expected {cifar.md5}",
                hint="the download is damaged or another version; try again",
            )
        publish(partial, path, force=True)
    except FAILURES as error:
        raise _no_download(url, failure(error)) from None
    finally:
        partial.unlink(missing_ok=True)


def _no_download(url: str, reason: str) -> CannotRunError:
    return CannotRunError(
        f"cannot download {url}: {reason}",
        hint="download it by other means, and name the file: cifar10:FILE or cifar100:FILE",
    )


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
