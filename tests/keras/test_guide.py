"""The guide for Keras, on the backend of this process is true: its program runs as it stands."""

from pathlib import Path

import documents


def test_its_program_marks_a_model(tmp_path: Path) -> None:
    (program,) = documents.blocks(documents.page("how-to/keras.md"), "python")
    documents.check_marks(program, tmp_path)
