"""The guide for scikit-learn is true: its program runs as it stands, and again."""

from pathlib import Path

import documents


def test_its_program_marks_a_model(tmp_path: Path) -> None:
    ((program, proof),) = documents.programs(documents.page("how-to/scikit-learn.md"))
    documents.check_marks(program, proof, tmp_path, runs=2)
