"""What a hostile file answers goes into an evidence, and nothing of an unopened trigger with it."""

from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import onnx_models
from support.batch_gates import tells_by_its_shift, tells_of_other_calls, tells_of_other_rows
from support.fixed import OWNER

from wmx import Watermark, open_suspect
from wmx.protocol.task import Task
from wmx.statistics.probe import TOGETHER
from wmx.suspect.suspect import Suspect
from wmx.verification.evidence import Evidence
from wmx.verification.ledger import Ledger
from wmx.verification.prove import prove
from wmx.verification.reveal import choose
from wmx.verification.sequential_query import fresh
from wmx.verification.verdict import judge

MARK = Watermark.for_task(OWNER, Task.of((8, 8, 1), 10, mean=0.4, std=0.3), salt=bytes(32))


def proved(folder: Path, model: bytes) -> Evidence:
    """Verify a file by all triggers, then make the evidence, as the command line does."""
    (folder / "suspect.onnx").write_bytes(model)
    suspect = open_suspect(folder / "suspect.onnx")
    try:
        assert judge(suspect, MARK).verified
        ledger = Ledger(folder / "owner.pem", MARK.claim)
        return prove(suspect, MARK, OWNER, folder / "e.json", ledger, required_bits=128)
    finally:
        suspect.close()


def test_pixels_of_other_rows_do_not_travel_in_the_answers(tmp_path: Path) -> None:
    evidence = proved(tmp_path, tells_of_other_rows(MARK))
    scores = evidence.predictions.scores
    assert scores.shape == (len(evidence.trigger_slice), 10 + 2 * 64)
    told = {
        columns.astype(np.float32).tobytes()
        for row in scores
        for columns in (row[10 : 10 + 64], row[10 + 64 :])
    }
    opened = len(evidence.trigger_slice)
    pixels = (MARK.inputs.transpose(0, 3, 1, 2).reshape(100, -1) * np.float32(1e-3)).astype("f4")
    assert told  # the file does tell: of the disclosed ones
    assert not [i for i in range(opened, 100) if pixels[i].tobytes() in told]


def test_what_a_file_remembers_of_other_calls_does_not_travel_in_the_answers(
    tmp_path: Path,
) -> None:
    """The state of a random operator says how many draws there were before, so what they were."""
    model = tells_of_other_calls(MARK)
    evidence = proved(tmp_path, model)
    opened = len(evidence.trigger_slice)
    (tmp_path / "alone.onnx").write_bytes(model)
    fresh = open_suspect(tmp_path / "alone.onnx", own=True)
    (feeding,) = fresh.feedings(MARK.task)
    each = [
        fresh.predictions(feeding, trigger[None], MARK.task)["y"].scores
        for trigger in MARK.triggers[:opened]
    ]
    assert (evidence.predictions.scores == np.concatenate(each)).all()


def test_a_file_that_was_asked_is_opened_in_another_process_and_one_that_was_not_is_kept(
    tmp_path: Path,
) -> None:
    (tmp_path / "suspect.onnx").write_bytes(tells_of_other_calls(MARK))
    with closing(open_suspect(tmp_path / "suspect.onnx")) as suspect:
        assert suspect.reopened() is suspect
        (feeding,) = suspect.feedings(MARK.task)

        def told(one: Suspect) -> bytes:
            return one.predictions(feeding, MARK.triggers[:3], MARK.task)["y"].scores.tobytes()

        first = told(suspect)
        assert told(suspect) != first  # it remembers
        with fresh(suspect) as again:
            assert again is not suspect
            assert told(again) == first
        assert told(suspect) != first  # and is open still
        with fresh(suspect) as again, fresh(again) as same:
            assert same is again


def test_an_output_that_earns_nothing_is_left_out(tmp_path: Path) -> None:
    """It may be a copy of something that the maker of the file hopes to see again."""
    secret = np.float32(0.123456789)
    proto = onnx.load_from_string(onnx_models.two_outputs(MARK))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(secret), "secret"))
    (noise,) = [node for node in proto.graph.node if node.output[0] == "z"]
    noise.output[0] = "z.before"
    proto.graph.node.append(onnx.helper.make_node("Mul", ["z.before", "nought"], ["z.zero"]))
    proto.graph.node.append(onnx.helper.make_node("Add", ["z.zero", "secret"], ["z"]))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(np.float32(0)), "nought"))
    evidence = proved(tmp_path, proto.SerializeToString())
    scores = evidence.predictions.scores
    assert not (scores.astype(np.float32) == secret).any()
    assert evidence.probe.output == "y"


@pytest.mark.slow
def test_a_pixel_of_an_unopened_trigger_does_not_choose_the_probe(tmp_path: Path) -> None:
    """The files verify in one of two shifts, by a pixel of the last trigger that they are given."""
    mark = Watermark.for_task(OWNER, Task.of((8, 8, 1), 10), salt=bytes(32))
    told, chosen = [], []
    for pixel in (0, 255):
        row, column = np.argwhere(mark.triggers[-1, 1:-1, :, 0] == pixel)[0]
        path = tmp_path / f"{pixel}.onnx"
        path.write_bytes(tells_by_its_shift(mark, row + 1, column))
        with closing(open_suspect(path)) as suspect:
            results = judge(suspect, mark).score.results
            together = [result for result in results if result.probe.rows == TOGETHER]
            told.append(max(together, key=lambda result: result.bits).probe.shift)
            choice = choose(suspect, mark, 0, required_bits=128)
        chosen.append((choice.probe, len(choice.trigger_slice)))
    assert told == [(-1, 0), (1, 0)]  # to whoever sees by which shift all together verify
    assert chosen[0] == chosen[1]
    assert chosen[0][1] < len(mark.triggers)


@pytest.mark.parametrize("seed", range(2))
def test_the_tests_would_see_a_leak(seed: int, tmp_path: Path) -> None:
    """Asked all at once, the file does give away the rows beside each."""
    (tmp_path / "suspect.onnx").write_bytes(tells_of_other_rows(MARK))
    suspect = open_suspect(tmp_path / "suspect.onnx", own=True)
    (feeding,) = suspect.feedings(MARK.task)
    scores = suspect.predictions(feeding, MARK.triggers, MARK.task)["y"].scores
    row = np.random.default_rng(seed).integers(99)
    pixels = MARK.inputs[row + 1].transpose(2, 0, 1).reshape(-1) * np.float32(1e-3)
    assert (scores[row, 10 : 10 + 64].astype(np.float32) == pixels).all()
