"""Of nodes more at the end of a marked model many hide nothing; others are a limit of the page.

``pytest -rP tests/test_one_node.py`` shows what is left of 325 bits.
"""

from contextlib import closing
from pathlib import Path

import pytest
from support.fixed import OWNER
from support.one_node import CLASSES, NOT_READ, READ, SHAPE, Ending, ended

from wmx import Watermark, open_suspect, verify
from wmx.protocol.task import Task
from wmx.suspect.overrides import Overrides

FEWEST_BITS = 150


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    task = Task.of(SHAPE, CLASSES, mean=0.4, std=0.3)
    return Watermark.for_task(OWNER, task, salt=bytes(32))


def written(folder: Path, watermark: Watermark, ending: Ending) -> Path:
    path = folder / "suspect.onnx"
    path.write_bytes(ended(watermark, ending))
    return path


@pytest.mark.parametrize("name", READ)
def test_the_mark_is_read(watermark: Watermark, tmp_path: Path, name: str) -> None:
    verdict = verify(written(tmp_path, watermark, READ[name]), watermark)
    print(
        f"{verdict.bits:.0f} bits: {name}, by {verdict.best_probe} of {verdict.probes_tried} ways"
    )
    assert verdict.verified
    assert verdict.bits > FEWEST_BITS


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read_is_found_inside_alone(
    watermark: Watermark, tmp_path: Path, name: str
) -> None:
    verdict = verify(written(tmp_path, watermark, NOT_READ[name]), watermark)
    assert verdict.verified
    assert verdict.score.best.probe.view


def test_what_can_only_be_class_numbers_gives_the_hits_that_are_reported(
    watermark: Watermark, tmp_path: Path
) -> None:
    verdict = verify(written(tmp_path, watermark, READ["the top 3"]), watermark)
    assert verdict.hits >= 98  # triggers of 120 pixels may be much alike


@pytest.mark.parametrize("ending", [NOT_READ["the ninth output"], READ["transposed"]])
def test_an_output_that_is_named_is_read_in_every_way(
    watermark: Watermark, tmp_path: Path, ending: Ending
) -> None:
    path = written(tmp_path, watermark, ending)
    with closing(open_suspect(path, overrides=Overrides(output="y"))) as suspect:
        assert verify(suspect, watermark).verified
