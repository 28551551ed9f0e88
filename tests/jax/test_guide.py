"""The guide for JAX with Flax is true: its program runs as it stands."""

from pathlib import Path

import documents


def test_its_program_marks_a_model(tmp_path: Path) -> None:
    (program,) = documents.blocks(documents.page("how-to/jax.md"), "python")
    documents.check_marks(program, tmp_path)
