"""A suspect that fails now and then in the way its users feed it has not said no."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import onnx_models
from support.batch_gates import fails_for_good, fails_singly
from support.fixed import OWNER, fixed_watermark

from wmx import Watermark, open_suspect, verify
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.suspect import RequestPolicy
from wmx.suspect.function import FunctionSuspect
from wmx.verification.scan import verify_any
from wmx.verification.selection import Selection
from wmx.verification.verdict import Verdict, measure

TASK = Task.of((8, 8, 1), 10)
MARK = fixed_watermark(TASK)
PLACES = {row.tobytes(): place for place, row in enumerate(TASK.model_input(MARK.triggers))}


def knows(inputs: np.ndarray) -> np.ndarray:
    places = [PLACES.get(row.tobytes(), 0) for row in inputs]
    return np.eye(10)[MARK.labels[places]]


def junk(inputs: np.ndarray) -> np.ndarray:
    weights = np.random.default_rng(0).normal(size=(64, 10))
    return inputs.reshape(len(inputs), -1) @ weights


def is_one_of(many: int, inputs: np.ndarray) -> bool:
    return zlib.crc32(inputs.tobytes()) % many == 0


def failing(many: int, wants: Callable[[np.ndarray], bool]) -> FunctionSuspect:
    """A thief's model: it knows the labels in some calls and fails in one of ``many`` of these."""

    def answer(inputs: np.ndarray) -> np.ndarray:
        if not wants(inputs):
            return junk(inputs)
        if is_one_of(many, inputs):
            raise CannotRunError("an index is out of range")
        return knows(inputs)

    return FunctionSuspect(answer)


def judged(suspect: FunctionSuspect, starts: int) -> Verdict:
    trigger_slice = MARK.trigger_slice()
    return measure(suspect, trigger_slice, required=128.0, selection=Selection(starts=starts))


@pytest.mark.parametrize("many", [2, 8, 32])
def test_failures_in_single_rows_are_no_no(many: int) -> None:
    verdict = judged(failing(many, lambda inputs: len(inputs) == 1), 1)
    assert not verdict.verified
    assert not verdict.is_answer
    assert verdict.failed == "an index is out of range"


@pytest.mark.parametrize("starts", [1, 5])
def test_failures_in_several_rows_are_no_no(starts: int) -> None:
    verdict = judged(failing(2, lambda inputs: len(inputs) == 4), starts)
    assert (verdict.verified, verdict.is_answer) == (False, False)
    assert verdict.failed is not None


def test_single_rows_of_which_the_first_fails_are_no_no() -> None:
    """In turn, other batches are tried where no single row is taken."""
    first = TASK.model_input(MARK.triggers[:1])

    def answer(inputs: np.ndarray) -> np.ndarray:
        if len(inputs) > 1:
            return junk(inputs)
        if np.array_equal(inputs, first):
            raise CannotRunError("an index is out of range")
        return knows(inputs)

    verdict = judged(FunctionSuspect(answer), 5)
    assert (verdict.verified, verdict.is_answer) == (False, False)


@pytest.mark.parametrize("starts", [1, 5])
def test_failures_in_moved_inputs_are_no_no(starts: int) -> None:
    seen = set(PLACES)

    def answer(inputs: np.ndarray) -> np.ndarray:
        if any(row.tobytes() not in seen and is_one_of(200, row) for row in inputs):
            raise CannotRunError("an index is out of range")
        return junk(inputs)

    verdict = judged(FunctionSuspect(answer), starts)
    assert (verdict.verified, verdict.is_answer) == (False, False)


def test_queries_of_an_api_are_not_spent_on_calls_that_it_refuses() -> None:
    """They may be needed for a yes."""
    refused = []

    def answer(inputs: np.ndarray) -> np.ndarray:
        if len(inputs) > 1:
            refused.append(len(inputs))
            raise CannotRunError("no answer")
        return junk(inputs)

    verdict = verify(open_suspect(answer, request_policy=RequestPolicy(max_queries=9999)), MARK)
    assert (verdict.verified, verdict.is_answer) == (False, True)
    assert sorted(refused) == [2, 4, 8, 16, 32]


REFUSALS: dict[str, Callable[[int], bool]] = {
    "several rows": lambda rows: rows > 1,
    "single rows": lambda rows: rows == 1,
    "more than sixteen": lambda rows: rows > 16,
    "eight": lambda rows: rows == 8,
}


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        *((name, 1) for name in REFUSALS),
        ("several rows", 5),
        *(pytest.param(name, 5, marks=pytest.mark.slow) for name in [*REFUSALS][1:]),
    ],
)
def test_a_number_of_rows_that_is_never_answered_leaves_a_no(name: str, starts: int) -> None:
    def answer(inputs: np.ndarray) -> np.ndarray:
        if REFUSALS[name](len(inputs)):
            raise CannotRunError("another shape was expected")
        return junk(inputs)

    verdict = judged(FunctionSuspect(answer), starts)
    assert (verdict.verified, verdict.is_answer, verdict.failed) == (False, True, None)


def test_who_verifies_otherwise_stays_a_yes() -> None:
    def answer(inputs: np.ndarray) -> np.ndarray:
        if len(inputs) > 1 and is_one_of(2, inputs):
            raise CannotRunError("an index is out of range")
        return knows(inputs) if len(inputs) == 1 else junk(inputs)

    verdict = judged(FunctionSuspect(answer), 1)
    assert (verdict.verified, verdict.is_answer) == (True, True)


def test_the_failure_on_another_claim_is_named() -> None:
    other = Watermark.for_task(OWNER, TASK, salt=bytes(31) + b"\x01")

    def answer(inputs: np.ndarray) -> np.ndarray:
        of_mark = all(row.tobytes() in PLACES for row in inputs)
        if len(inputs) == 1 and of_mark and is_one_of(4, inputs):
            raise CannotRunError("an index is out of range")
        return knows(inputs) if len(inputs) == 1 and of_mark else junk(inputs)

    verdict = verify_any(FunctionSuspect(answer), [MARK, other])
    assert (verdict.verified, verdict.is_answer) == (False, False)
    failures = {verdict.claim: verdict.failed, **verdict.passed_over}
    assert failures[MARK.claim.digest] == "an index is out of range"


@pytest.mark.usefixtures("opaque")
@pytest.mark.parametrize("failing", [fails_singly, fails_for_good])
def test_a_file_that_fails_in_some_single_rows_has_not_said_no(
    failing: Callable[[Watermark], bytes], tmp_path: Path
) -> None:
    """Be it that it remembers, and fails in all others then."""
    verdict = verify(onnx_models.written(tmp_path, failing(MARK)), MARK)
    assert (verdict.verified, verdict.is_answer) == (False, False)
    assert verdict.failed == "the model failed on an input of float32 (1, 1, 8, 8)"


def test_a_file_whose_batch_is_only_declared_free_may_have_no_mark(tmp_path: Path) -> None:
    """Single rows are then given, in every scaling and shift."""
    proto = onnx.load_from_string(onnx_models.linear(MARK, seed=3))
    single = onnx.helper.make_node("Reshape", ["x", "one image"], ["image"])
    for node in proto.graph.node:
        node.input[:] = ["image" if name == "x" else name for name in node.input]
    proto.graph.node.insert(0, single)
    shape = np.array([1, 1, 8, 8], np.int64)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(shape, "one image"))
    verdict = verify(onnx_models.written(tmp_path, proto.SerializeToString()), MARK)
    assert (verdict.verified, verdict.is_answer, verdict.failed) == (False, True, None)
