"""Matching release records with the models that were shown.

One graph may be exported with different weights beside it, so that several versions, or a thief's
changed copy, share the SHA-256 of their ONNX files.  A model is identified by the digests of all
its files; which files those are is only known once it is loaded.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

from wmx._internal.budget import held_to
from wmx._internal.files import read_bytes
from wmx.errors import CannotRunError, IntegrityError, LimitError, SuspectDiedError, UsageError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Release
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.policy.external_files import beside
from wmx.suspect.policy.model_files import MAX_MODEL_BYTES
from wmx.suspect.sandbox.limits import Limits
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.types import Device

Opener: TypeAlias = Callable[[Path], AbstractContextManager[OnnxFile]]


@contextmanager
def opened(
    path: Path,
    device: Device,
    limits: Limits | None,
    weights: Sequence[Path] = (),
    apart_from: Sequence[Path] = (),
) -> Iterator[OnnxFile]:
    """Open a party's model in a process of its own, with a budget of its own.

    Args:
        path: the ONNX file.
        device: where it runs.
        limits: of time and memory; the defaults if ``None``.
        weights: files with weights of models, where the name is not derived from the model's.
        apart_from: files and folders that never hold weights.

    Raises:
        CannotRunError: it cannot be read or loaded.
        SuspectDiedError: its process crashed, or ran into a limit.
        LimitError: it takes more time or memory than its limits.
    """
    limits = limits or Limits()
    with held_to(limits.budget()), Sandbox.start(limits) as sandbox:
        yield OnnxFile.open(
            path, device, sandbox, weights=beside(path, weights), apart_from=apart_from
        )


def find_originals(
    paths: Sequence[Path], releases: Sequence[Release], open_model: Opener
) -> dict[str, Path]:
    """Return the models that records name, by the digests of the records.

    A record without an entry is one whose model was not shown.

    Args:
        paths: ONNX files, each of which a record has to name.
        releases: the records.
        open_model: opens a model; used where several models or records share the SHA-256 of an ONNX
            file, and differ in their weights.

    Raises:
        UsageError: no record names an ONNX file with this SHA-256.
        IntegrityError: a record names the ONNX file, but with other weights beside it.
        CannotRunError: a file cannot be read.
    """
    by_sha256: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        digest = hashlib.sha256(read_bytes(path, "model", MAX_MODEL_BYTES)).hexdigest()
        by_sha256[digest].append(path)
    found: dict[str, Path] = {}
    for sha256, same in by_sha256.items():
        named = [one for one in releases if one.model.sha256 == sha256]
        if not named:
            raise UsageError(
                f"--original {same[0]}: no release record names a file with its SHA-256, {sha256}",
                hint="give the record too, with --release: only models that a party has signed "
                "count as its own; wmx release makes a record",
            )
        found |= _among(same, named, open_model)
    return found


def _among(
    paths: Sequence[Path], releases: Sequence[Release], open_model: Opener
) -> dict[str, Path]:
    """Match models and records that share the SHA-256 of an ONNX file."""
    if len(paths) == len({one.model.identity for one in releases}) == 1:
        # its weights are compared when it is tested
        return {one.digest: paths[0] for one in releases}
    fitting: dict[str, Path] = {}
    unknown = None
    for path in paths:
        model = _reference(path, open_model)
        if model is None:
            unknown = path
            continue
        own = {one.digest: path for one in releases if one.model.has_same_files(model)}
        if not own:
            raise IntegrityError(
                f"--original {path} is not a model that a release record names: the files with "
                "its weights have other digests",
                hint="give each model unchanged, with all the files beside it",
            )
        fitting |= own
    if unknown is not None:  # a model that cannot be loaded may be that of any of these records
        fitting = {one.digest: unknown for one in releases} | fitting
    return fitting


def _reference(path: Path, open_model: Opener) -> ModelReference | None:
    """Return the digests of a model's files, or ``None`` if it cannot be loaded."""
    try:
        with open_model(path) as model:
            return model.reference
    except (CannotRunError, SuspectDiedError, LimitError):
        return None
