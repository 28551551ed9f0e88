"""References to models: which files are the same, and which names can be signed."""

import doctest

import pytest

from wmx.errors import UsageError
from wmx.protocol import model_reference
from wmx.protocol.model_reference import ModelReference

WEIGHTS = {"model.onnx.data": "cd" * 32}
MODEL = ModelReference("folder/model.onnx", "ab" * 32, WEIGHTS)


def test_its_example_runs() -> None:
    found = doctest.testmod(model_reference)
    assert found.attempted
    assert not found.failed


def test_the_same_files_are_the_same_model_under_any_name() -> None:
    renamed = ModelReference("other.onnx", MODEL.sha256, dict(WEIGHTS))
    assert MODEL.has_same_files(renamed)
    assert MODEL.identity == renamed.identity
    assert renamed != MODEL


@pytest.mark.parametrize(
    "other",
    [
        ModelReference(MODEL.name, "ac" * 32, WEIGHTS),
        ModelReference(MODEL.name, MODEL.sha256, {"model.onnx.data": "ce" * 32}),
        ModelReference(MODEL.name, MODEL.sha256, {"model.data": "cd" * 32}),
        ModelReference(MODEL.name, MODEL.sha256),
    ],
)
def test_every_file_counts(other: ModelReference) -> None:
    assert not MODEL.has_same_files(other)
    assert not other.has_same_files(MODEL)
    assert MODEL.identity != other.identity


def test_what_has_no_file_is_never_the_same() -> None:
    function = ModelReference("predict")
    assert not function.has_same_files(function)
    assert not function.has_same_files(MODEL)
    assert not MODEL.has_same_files(ModelReference(MODEL.name, None, WEIGHTS))


def test_a_statement_names_the_file_without_its_folder() -> None:
    assert MODEL.for_statement("an evidence file") == ModelReference(
        "model.onnx", "ab" * 32, WEIGHTS
    )
    address = ModelReference("https://example.org/v2/models/a")
    assert address.without_folder is address


@pytest.mark.parametrize("name", ["a\nb.onnx", "x" * 256, "..", ""])
def test_a_name_that_readers_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in an evidence file"):
        ModelReference(name, "ab" * 32).for_statement("an evidence file")
