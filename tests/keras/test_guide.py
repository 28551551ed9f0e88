"""The guides for Keras, on the backend of this process: their programs run as they stand, twice."""

from pathlib import Path

import documents
import pytest

PROGRAMS = documents.programs_of("keras")


@pytest.mark.parametrize("name", PROGRAMS)
def test_its_program_marks_a_model(name: str, tmp_path: Path) -> None:
    documents.check_marks(*PROGRAMS[name], tmp_path, runs=2)
