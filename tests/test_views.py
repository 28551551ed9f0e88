"""What an ONNX file hides behind its declared outputs is found inside."""

from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import hiding_graphs
from support.fixed import OWNER
from support.hiding_graphs import GATES, OTHERS, Build, hidden
from support.onnx_models import knows_labels, written

from wmx import Watermark, check, prove, verify
from wmx.cli.verdict_words import verdict_fields, verdict_text
from wmx.errors import CannotRunError, SuspectDiedError
from wmx.protocol.task import Task
from wmx.suspect import Limits
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.suspect import open_suspect
from wmx.suspect.views.session import names_of
from wmx.suspect.views.skeleton import LARGE, THIS_FILE, skeleton_of
from wmx.verification.batch_query import BatchQuery

TASK = Task.of((12, 8, 1), 10, mean=0.4, std=0.3)
MARK = Watermark.for_task(OWNER, TASK, salt=bytes(32))
OTHER = Watermark.for_task(OWNER, TASK, salt=bytes(31) + b"\x01")
MOST_BITS_OF_CHANCE = 20  # chance exceeds them once in 2^20


def bits_without_views(path: Path) -> float:
    with closing(open_suspect(path)) as suspect:
        query = BatchQuery(suspect, MARK.trigger_slice())
        for ask in (query.plain, query.single_rows, query.other_scalings, query.shifted):
            ask()
        return query.mixture.bits


@pytest.mark.parametrize("build", [*GATES, *OTHERS], ids=lambda build: build.__name__)
def test_a_mark_that_a_graph_hides_is_found_inside(build: Build, tmp_path: Path) -> None:
    path = written(tmp_path, hidden(MARK, build))
    assert bits_without_views(path) < 128, "else nothing is hidden"
    verdict = verify(path, MARK)
    assert verdict.verified
    assert verdict.bits > 250
    assert verdict.score.best.probe.view


@pytest.mark.slow
@pytest.mark.parametrize("build", [*GATES, *OTHERS], ids=lambda build: build.__name__)
def test_nothing_is_found_inside_for_another_mark(build: Build, tmp_path: Path) -> None:
    assert verify(written(tmp_path, hidden(MARK, build)), OTHER).bits < MOST_BITS_OF_CHANCE


def test_an_intact_model_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looking(*_: object) -> None:
        raise AssertionError("the plain probes suffice")

    monkeypatch.setattr(OnnxFile, "views", looking)
    assert verify(written(tmp_path, knows_labels(MARK)), MARK).verified


@pytest.mark.parametrize(
    "builds",
    [
        (hiding_graphs.clipped, hiding_graphs.views_averaged, hiding_graphs.gate),
        (hiding_graphs.clipped, hiding_graphs.gate_in_a_function),
        (hiding_graphs.noisy, hiding_graphs.gate_on_the_input),
        (hiding_graphs.flipped, hiding_graphs.soft_gate),
        (hiding_graphs.gate_on_the_input, hiding_graphs.in_a_branch),
    ],
    ids=lambda builds: " ".join(build.__name__ for build in builds),
)
def test_what_is_hidden_in_several_ways_at_once_is_found(
    builds: tuple[Build, ...], tmp_path: Path
) -> None:
    verdict = verify(written(tmp_path, hidden(MARK, *builds)), MARK)
    assert verdict.bits > 250
    assert verdict.hidden_in is not None


def test_evidence_of_a_hidden_mark_is_repeated_by_the_same_view(tmp_path: Path) -> None:
    path = written(tmp_path, hidden(MARK, hiding_graphs.clipped, hiding_graphs.gate_in_a_function))
    key = tmp_path / "owner.pem"
    OWNER.save(key)
    made = prove(path, MARK, OWNER, tmp_path / "evidence.json", key)
    assert made.probe.view
    assert len(made.trigger_slice) < 60
    checked = check(tmp_path / "evidence.json", model=path)
    assert checked.verified
    assert checked.repeated is not None
    assert checked.repeated.hidden_in == made.probe.view
    assert checked.repeated.bits == pytest.approx(made.score.bits)


def test_views_of_a_file_are_the_same_in_every_process(tmp_path: Path) -> None:
    path = written(tmp_path, hidden(MARK, hiding_graphs.clipped, hiding_graphs.gate))
    with closing(open_suspect(path)) as one, closing(open_suspect(path, own=True)) as other:
        names = list(one.views())
        assert names == list(other.views())
    assert names[0] == "inner outputs"
    assert len(names) == len(set(names)) > 5


def test_shares_of_views_hang_on_their_number_alone(tmp_path: Path) -> None:
    """Else who stops at the view that verifies would have chosen the weights by the labels."""
    path = written(tmp_path, hidden(MARK, hiding_graphs.clipped, hiding_graphs.gate))
    with closing(open_suspect(path)) as suspect:
        views = len(suspect.views())
        query = BatchQuery(suspect, MARK.trigger_slice())
        first = next(query.views())
        first()
        score = query.mixture.score(0.0)
    shares = {2**result.log2_share for result in score.results}
    assert sum(2**result.log2_share for result in score.results) == pytest.approx(1 / 8 / views)
    assert len(shares) == 1


# hostile graphs


def test_a_view_that_never_ends_costs_a_part_of_the_time(tmp_path: Path) -> None:
    """The file itself ends at once; without its condition its loop goes on for ever."""
    hiding = hiding_graphs.Hiding(OTHER)
    hiding_graphs.endless_where_a_condition_is_met(hiding)
    path = written(tmp_path, hiding.bytes())
    limits = Limits(seconds=20)
    with Sandbox.start(limits) as sandbox, closing(open_suspect(path, sandbox=sandbox)) as suspect:
        verdict = verify(suspect, MARK)
    assert not verdict.verified
    assert verdict.is_answer


def test_that_a_file_cannot_be_looked_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: bytes) -> None:
        raise ValueError("strange")

    path = written(tmp_path, hidden(MARK, hiding_graphs.gate))
    monkeypatch.setattr("wmx.suspect.views.looking.skeleton_of", refused)
    with closing(open_suspect(path, own=True)) as suspect:
        verdict = verify(suspect, MARK)
    assert (verdict.verified, verdict.unseen_views) == (False, 1)
    assert "not seen" in verdict_text(verdict)
    assert verdict_fields(verdict)["unseen_views"] == 1


def test_views_that_end_their_process_are_told(tmp_path: Path) -> None:
    """And they take no other verification along."""
    hiding = hiding_graphs.Hiding(OTHER)
    hiding_graphs.endless_where_a_condition_is_met(hiding)
    path = written(tmp_path, hiding.bytes())
    with (
        Sandbox.start(Limits(seconds=20)) as sandbox,
        closing(open_suspect(path, sandbox=sandbox)) as suspect,
    ):
        assert verify(suspect, MARK).unseen_views > 0
        assert verify(suspect, OTHER).verified


def test_a_name_in_the_file_that_an_added_tensor_would_have_hides_nothing(tmp_path: Path) -> None:
    hiding = hiding_graphs.Hiding(MARK)
    hiding_graphs.gate_on_the_input(hiding)
    taken = numpy_helper.from_array(np.zeros(1, np.float32), "wmx condition 0")
    hiding.proto.graph.initializer.append(taken)
    hiding.proto.graph.node.append(helper.make_node("Identity", ["wmx condition 0"], ["wmx"]))
    assert verify(written(tmp_path, hiding.bytes()), MARK).hidden_in is not None


def test_nodes_that_nothing_needs_take_no_place(tmp_path: Path) -> None:
    hiding = hiding_graphs.Hiding(MARK)
    hiding_graphs.flipped(hiding)
    for number in range(100):
        dead = helper.make_node("Mul", [hiding_graphs.INPUT, hiding.keep(0)], [f"dead {number}"])
        hiding.proto.graph.node.append(dead)
    assert verify(written(tmp_path, hiding.bytes()), MARK).hidden_in is not None


def test_false_shapes_in_a_file_hide_nothing(tmp_path: Path) -> None:
    hiding = hiding_graphs.Hiding(MARK)
    hiding_graphs.gate(hiding)
    lie = helper.make_tensor_value_info(hiding_graphs.SCORES, TensorProto.FLOAT, ["n", 10, 10])
    hiding.proto.graph.value_info.append(lie)
    assert verify(written(tmp_path, hiding.bytes()), MARK).hidden_in is not None


@pytest.mark.parametrize(
    "names",
    [None, "inner", ["a", "a"], ["a", 1], [""], ["a\n"], ["a" * 257], [str(n) for n in range(65)]],
)
def test_a_process_that_tells_of_impossible_views_is_disowned(names: object) -> None:
    with Sandbox.start() as sandbox, pytest.raises(SuspectDiedError, match="views that cannot be"):
        names_of(sandbox, names)


@pytest.mark.parametrize("size", [100, 3000])
def test_large_weights_stay_where_they_are(size: int) -> None:
    model = onnx.load_from_string(knows_labels(MARK))
    values = np.arange(size, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "more"))
    data = model.SerializeToString()
    skeleton = onnx.load_from_string(skeleton_of(data))
    (kept,) = (one for one in skeleton.graph.initializer if one.name == "more")
    if values.nbytes < LARGE:
        assert np.array_equal(numpy_helper.to_array(kept), values)
        return
    assert len(skeleton.SerializeToString()) < len(data) - values.nbytes
    place = {entry.key: entry.value for entry in kept.external_data}
    assert place["location"] == THIS_FILE
    start, length = int(place["offset"]), int(place["length"])
    assert data[start : start + length] == values.tobytes()


def test_a_file_that_is_another_one_when_it_is_looked_into_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, hidden(OTHER, hiding_graphs.gate))
    with closing(open_suspect(path)) as suspect:
        path.write_bytes(hidden(MARK, hiding_graphs.gate))
        with pytest.raises(CannotRunError, match="was changed while it was verified"):
            verify(suspect, MARK)
