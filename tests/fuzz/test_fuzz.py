"""A bounded run of the coverage-guided fuzzer over every parser, from the corpus in this folder.

The long run is ``python benchmarks/fuzz.py``.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUNS = 3000
TARGETS = sorted(folder.name for folder in (HERE / "corpus").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris is for Linux, Python 3.11 to 3.13"
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_parser_raises_nothing_but_its_own_errors(target: str, tmp_path: Path) -> None:
    words = (f"-runs={RUNS}", "-seed=1", "-max_len=4096", "-timeout=20", "-rss_limit_mb=4096")
    (tmp_path / "found").mkdir()
    done = subprocess.run(
        [sys.executable, HERE / "drive.py", target, *words, "found", HERE / "corpus" / target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_every_parser_has_a_corpus_and_every_seed_gives_no_finding() -> None:
    from targets import TARGETS as parsers

    assert set(TARGETS) == set(parsers)
    for name, parser in parsers.items():
        seeds = list((HERE / "corpus" / name).iterdir())
        assert seeds, name
        for seed in seeds:
            parser(seed.read_bytes())
