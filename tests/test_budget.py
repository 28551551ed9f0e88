"""One budget of time and memory for all that hangs on a stranger's files."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support import onnx_models

import wmx._internal.budget
import wmx.statistics.experts
import wmx.verification.verdict
from wmx import Claim, OwnerKey, Watermark, open_suspect, verify
from wmx._internal.budget import Budget, consult, consulted, held, held_to, paused, require_room
from wmx._internal.files import read_bytes
from wmx.errors import LimitError
from wmx.protocol import jcs
from wmx.protocol.dating import UNDATED
from wmx.protocol.task import Task
from wmx.statistics.experts import Experts
from wmx.statistics.predictions import Predictions
from wmx.statistics.similarity import Likeness
from wmx.suspect import Limits, Sandbox
from wmx.suspect.endpoint.client import Client
from wmx.suspect.inputs import feedings
from wmx.suspect.request_policy import RequestPolicy
from wmx.suspect.types import TensorSpec

GIB = 2**30
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is looked at on Linux only")


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.cpu = 10.0

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.cpu


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(wmx._internal.budget, "time", clock)
    return clock


def resident(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(wmx._internal.budget, "resident_bytes", lambda: count)


def test_without_a_budget_nothing_is_limited() -> None:
    assert held() is None
    consult()
    require_room(2**60, "this")
    with paused():
        assert list(consulted("abc")) == ["a", "b", "c"]


def test_time_counts_while_the_budget_is_held_and_never_while_it_is_paused(clock: Clock) -> None:
    budget = Budget(5.0, 100, GIB)
    with held_to(budget):
        clock.now += 3
        with held_to(budget):  # as a model's process does within a command
            clock.now += 1
        consult()
        assert budget.seconds_left == pytest.approx(1.0)
        with paused():
            clock.now += 3600
        consult()
    clock.now += 3600
    with held_to(budget):
        consult()
        clock.now += 1.1
        with pytest.raises(LimitError, match="longer than 5 s, its limit") as caught:
            consult()
    assert caught.value.exit_code == 4
    assert "--seconds" in str(caught.value.hint)
    assert budget.seconds_left == 0.0
    assert held() is None


def test_a_function_of_ones_own_and_an_address_take_what_they_like(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    resident(monkeypatch, GIB)

    def slow(inputs: np.ndarray) -> np.ndarray:
        clock.now += 3600
        resident(monkeypatch, 50 * GIB)
        return watermark.labels[: len(inputs)]

    with held_to(Budget(5.0, 100, GIB)):
        assert verify(slow, watermark).hits == 100
        consult()

    class Server(Client):
        def _send(self, *_: object) -> None:  # type: ignore[override]
            clock.now += 3600

    server = Server("https://localhost", None, RequestPolicy())
    with held_to(Budget(5.0, 100, GIB)):
        server.get("/v2")
        server.post("/v2", b"", {}, inputs=1)
        consult()


def test_processor_time_of_all_threads_counts(clock: Clock) -> None:
    with held_to(Budget(1000.0, 7, GIB)):
        clock.cpu += 6.5
        consult()
        clock.now += 1  # it is not looked at each time
        clock.cpu += 1
        with pytest.raises(LimitError, match="more than 7 s of processor time"):
            consult()


def test_memory_is_that_by_which_the_process_grows(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident(monkeypatch, 3 * GIB)
    budget = Budget(1000.0, 1000, GIB)
    with held_to(budget):
        resident(monkeypatch, 4 * GIB)
        consult()
        require_room(GIB // 8, "this")  # what Python and its libraries take does not count
        clock.now += 1
        resident(monkeypatch, 5 * GIB)
        with pytest.raises(LimitError, match="more than 1,073,741,824 bytes of memory"):
            consult()
        with pytest.raises(LimitError, match="this would take 1,000 bytes of memory"):
            require_room(1000, "this")


def test_memory_that_is_taken_between_two_questions_is_somebody_elses(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspect may stay open in a program that meanwhile loads its own data."""
    resident(monkeypatch, GIB)
    budget = Budget(1000.0, 1000, GIB)
    for _ in range(3):
        with held_to(budget):
            require_room(GIB, "this")
        resident(monkeypatch, 40 * GIB)
    with held_to(budget):
        resident(monkeypatch, 41 * GIB)
    resident(monkeypatch, 50 * GIB)
    with held_to(budget), pytest.raises(LimitError, match="this would take"):
        require_room(GIB, "this")  # of which three quarters were taken before


@linux
def test_real_memory_is_seen() -> None:
    budget = Budget(1000.0, 1000, 2**26)
    with held_to(budget):
        consult()
        held_back = np.ones(2**26)  # half a gibibyte, and touched
        budget._next_look = 0.0
        with pytest.raises(LimitError, match="bytes of memory, its limit"):
            consult()
    assert held_back.nbytes == 2**29


def test_a_loop_stops_where_its_budget_ends(clock: Clock) -> None:
    done = []

    def numbers() -> Iterator[int]:
        for number in range(10**9):
            clock.now += 0.01
            done.append(number)
            yield number

    with held_to(Budget(5.0, 1000, GIB)), pytest.raises(LimitError):
        sum(consulted(numbers()))
    assert 500 <= len(done) <= 501 + wmx._internal.budget.ITEMS_AT_ONCE


def test_a_process_started_within_a_budget_draws_on_it_and_else_has_its_own() -> None:
    limits = Limits(seconds=7.0)
    with Sandbox.start(limits) as alone, alone.another() as its_twin:
        assert its_twin.budget is alone.budget
    command = Limits(seconds=3.0).budget()
    with held_to(command), Sandbox.start(limits) as within:
        assert within.budget is command
    assert alone.budget.seconds == 7.0


# what is asked for room, or consults


@pytest.fixture
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Budget:
    """A budget of which all memory is spent."""
    return Budget(1000.0, 1000, 0)


def test_files_json_and_triggers_are_refused_before_memory_is_taken(
    nothing_left: Budget, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"[]")
    owner = OwnerKey.generate()
    claim = Watermark.new(owner, shape=(8, 8, 1), classes=10, n=5).claim
    with held_to(nothing_left):
        with pytest.raises(LimitError, match=r"the claim .* would take 2 bytes"):
            read_bytes(tmp_path / "f", "claim")
        with pytest.raises(LimitError, match="reading x would take"):
            jcs.loads(b"[]", "x")
    words = "the 5 triggers of the claim would take"
    with held_to(Budget(1000.0, 1000, 2**20)), pytest.raises(LimitError, match=words):
        Watermark.open(claim, owner)


@pytest.mark.parametrize("n", [10**6, 1])
@pytest.mark.parametrize(
    ("task", "family"),
    [
        (Task.of((1024, 1024, 4), 10), {"name": "cells", "grid": 4}),
        (Task.of((2**26,), 2, kind="tokens"), {"name": "tokens", "vocabulary": 2, "excluded": []}),
    ],
)
def test_a_small_claim_over_large_triggers(task: Task, family: dict[str, object], n: int) -> None:
    """Its 834 bytes or so would else be drawn to terabytes."""
    owner = OwnerKey.generate()
    claim = Claim.sign(owner, task=task, family=family, n=n, salt=bytes(32), root=bytes(32))
    assert len(claim.to_bytes()) < 2000
    with (
        held_to(Budget(1000.0, 1000, 2**26)),
        pytest.raises(LimitError, match=rf"the {n:,} triggers of the claim would take [0-9,]+"),
    ):
        Watermark.open(claim, owner)


def test_drawing_triggers_stops_with_the_budget(clock: Clock) -> None:
    owner = OwnerKey.generate()
    family = {"name": "cells", "grid": 4}
    task = Task.of((8, 8, 1), 10)
    claim = Claim.sign(owner, task=task, family=family, n=10**6, salt=bytes(32), root=bytes(32))
    with held_to(Budget(5.0, 1000, GIB)):
        clock.now += 6
        with pytest.raises(LimitError, match="longer than 5 s"):
            Watermark.open(claim, owner)


def test_json_that_takes_long_to_compare_stops_with_the_budget(clock: Clock) -> None:
    data = b"[" + b",".join([b"1"] * 100_000) + b"]"
    assert len(jcs.loads(data, "x")) == 100_000
    with held_to(Budget(5.0, 1000, GIB)):
        clock.now += 6
        with pytest.raises(LimitError, match="longer than 5 s"):
            jcs.loads(data, "x")


def test_pictures_are_resized_on_the_clock(clock: Clock) -> None:
    task = Task.of((8, 8, 1), 10)
    (bilinear, nearest) = feedings([TensorSpec("x", "tensor(float)", (None, 1, 64, 64))], task)
    pixels = np.zeros((1, 8, 8, 1), np.uint8)
    for feeding in (bilinear, nearest):
        with held_to(Budget(5.0, 1000, GIB)):
            assert feeding.fed(pixels, task)["x"].shape == (1, 1, 64, 64)
            clock.now += 6
            with pytest.raises(LimitError, match="longer than 5 s"):
                feeding.fed(pixels, task)


def test_a_model_has_no_time_left_for_inputs(tmp_path: Path) -> None:
    """Between two calls of the model too, where only this process works."""
    watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.knows_labels(watermark))
    suspect = open_suspect(path)
    feeding = suspect.feedings(watermark.task)[0]
    suspect.session.budget.seconds = 0.0  # type: ignore[attr-defined]
    with pytest.raises(LimitError, match="longer than 0 s"):
        suspect.predictions(feeding, watermark.triggers, watermark.task)
    suspect.close()


@linux
def test_answers_are_asked_for_only_where_there_is_room(tmp_path: Path) -> None:
    watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.knows_labels(watermark))
    suspect = open_suspect(path)
    feeding = suspect.feedings(watermark.task)[0]
    suspect.session.budget.memory_bytes = 2**20  # type: ignore[attr-defined]
    with pytest.raises(LimitError, match="the predictions of the model would take"):
        suspect.predictions(feeding, watermark.triggers, watermark.task)
    suspect.close()


@linux
def test_answers_of_many_classes_are_weighed_only_where_there_is_room() -> None:
    """One row of a class number is small, and what an expert makes of it is not."""
    predictions = Predictions.from_labels(np.array([3]), 2**20)
    with (
        held_to(Budget(60.0, 60, 64 * 2**20)),
        pytest.raises(LimitError, match="scoring the predictions would take 150,994,944 bytes"),
    ):
        Experts(2**20).update(predictions, np.array([5]))


@linux
def test_answers_are_compared_with_earlier_ones_only_where_there_is_room() -> None:
    likeness = Likeness()
    rows = np.zeros((200, 2**14))
    likeness.update(rows)
    with (
        held_to(Budget(60.0, 60, 2**20)),
        pytest.raises(LimitError, match="comparing the predictions would take 59,768,832 bytes"),
    ):
        likeness.update(rows[:1])


def test_time_is_looked_at_between_experts(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them may take seconds for one row."""
    asked: list[str] = []

    class Slow:
        def __init__(self, classes: int) -> None:
            pass

        def update(
            self, predictions: Predictions, labels: NDArray[np.int64]
        ) -> NDArray[np.float64]:
            asked.append("slow")
            clock.now += 6
            return np.zeros(len(predictions))

    monkeypatch.setattr(wmx.statistics.experts, "EXPERTS", {"one": Slow, "two": Slow})
    experts = Experts(10)
    with held_to(Budget(5.0, 1000, GIB)), pytest.raises(LimitError, match="longer than 5 s"):
        experts.update(Predictions.from_labels(np.array([3]), 10), np.array([3]))
    assert asked == ["slow"]


def test_the_library_holds_all_of_a_verdict_to_the_usual_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.knows_labels(watermark))
    seen = []
    monkeypatch.setattr(
        wmx.verification.verdict, "date_claim", lambda *_: seen.append(held()) or UNDATED
    )
    assert verify(path, watermark).verified
    verify(lambda inputs: watermark.labels, watermark)
    first, second = seen
    assert first is not None
    assert first.seconds == Limits().seconds
    assert second is None  # a function is one's own


def test_the_words_of_a_limit_are_in_the_answer_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wmx.cli import run

    monkeypatch.setenv("WMX_HOME", str(tmp_path))
    (tmp_path / "big.json").write_bytes(b"{" + b" " * 2**20 + b"}")
    assert run(["info", str(tmp_path / "big.json"), "--memory", "0.0001", "--json"]) == 4
    error = json.loads(capsys.readouterr().out)["error"]
    assert "and the limit for all is 107,374" in error["message"]
    assert "--memory" in error["hint"]
