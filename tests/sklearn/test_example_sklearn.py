"""The example of this suite's framework runs, and its mark verifies."""

from pathlib import Path

from support.examples import check_example


def test_the_example_marks_exports_and_verifies(tmp_path: Path) -> None:
    check_example("sklearn_digits.py", tmp_path, "--trees", "100")
