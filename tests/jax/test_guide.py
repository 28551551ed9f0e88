"""The guides for JAX with Flax are true: their programs run as they stand, and again."""

from pathlib import Path

import documents
import pytest

PROGRAMS = documents.programs_of("jax")


@pytest.mark.parametrize("runs", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_its_program_marks_a_model(name: str, runs: int, tmp_path: Path) -> None:
    documents.check_marks(*PROGRAMS[name], tmp_path, runs=runs)
