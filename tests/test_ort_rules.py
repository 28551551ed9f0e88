"""The walk over onnxruntime's own format: what it writes passes, and sharing costs nothing."""

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from support import flatbuffers_by_hand as made

import wmx.suspect.policy.ort_rules
from wmx._internal.flatbuffer import Table
from wmx._internal.work import MalformedError, Work
from wmx.errors import CannotRunError
from wmx.suspect.policy.onnx_rules import MAX_NODES, MAX_STEPS
from wmx.suspect.policy.ort_rules import require_harmless_ort
from wmx.suspect.types import MAX_PORTS

SAMPLES = sorted(Path(onnx.__file__).parent.glob("backend/test/data/**/*.onnx"))


def in_the_runtimes_format(model: bytes, folder: Path) -> bytes | None:
    """Return what onnxruntime makes of a model; nothing where it cannot run it."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "m.ort")
    options.log_severity_level = 4
    options.add_session_config_entry("session.save_model_format", "ORT")
    try:
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception:  # of operators that are not built in
        return None
    return (folder / "m.ort").read_bytes()


@pytest.mark.slow
def test_what_the_runtime_writes_passes_and_is_read_as_its_own_reader_reads_it(
    tmp_path: Path,
) -> None:
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import (
        InferenceSession,
    )

    written = [in_the_runtimes_format(path.read_bytes(), tmp_path) for path in SAMPLES[::5]]
    files = [data for data in written if data is not None]
    assert len(files) > 10
    for data in files:
        theirs = InferenceSession.GetRootAs(data, 0).Model().Graph()
        if theirs.InputsLength() <= MAX_PORTS:  # the first models listed their weights as inputs
            require_harmless_ort(data, "x")
        ours = graph_of(data)
        assert [node.text(node.text_at(5) or 0) for node in ours.tables(2)] == [
            theirs.Nodes(i).OpType().decode() for i in range(theirs.NodesLength())
        ]
        assert [tensor.numbers(2) for tensor in ours.tables(0)] == [
            [theirs.Initializers(i).Dims(j) for j in range(theirs.Initializers(i).DimsLength())]
            for i in range(theirs.InitializersLength())
        ]
        assert ours.count(5, 4) == theirs.InputsLength()


def graph_of(data: bytes) -> Table:
    session = Table.root(data, Work(10**9)).table(1)
    assert session is not None
    graph = session.table(7)
    assert graph is not None
    return graph


def test_a_byte_changed_anywhere_is_no_crash(tmp_path: Path) -> None:
    data = made.graphs_in_graphs(3, 2) + made.one_tensor([2, 2], 16)
    rng = np.random.default_rng(0)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= int(rng.integers(1, 256))
        with suppress(CannotRunError):
            require_harmless_ort(bytes(changed), "x")
    for length in range(len(data)):
        with suppress(CannotRunError):
            require_harmless_ort(data[:length], "x")


def steps_of(data: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how much work a walk takes; it may end in a refusal."""
    spent: list[Work] = []

    def counting(steps: int) -> Work:
        spent.append(Work(steps))
        return spent[0]

    monkeypatch.setattr(wmx.suspect.policy.ort_rules, "Work", counting)
    with suppress(CannotRunError):
        require_harmless_ort(data, "x")
    return MAX_STEPS - spent[0].left


@pytest.mark.parametrize(
    "make",
    [
        lambda size: made.nodes_of_one_name(100, b"N" * size),
        made.one_node_many_times,
        lambda size: made.graphs_in_graphs(16, size // 1000),
    ],
    ids=["one name for all nodes", "one node many times", "graphs shared by graphs"],
)
def test_what_is_shared_is_walked_once(
    make: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes that shared a name of 5 MB once took 24 s, and graphs of 2 kB 7 s."""
    for size in (4_000, 64_000):
        data = make(size)
        assert steps_of(data, monkeypatch) < len(data) + 1000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (made.graphs_in_graphs(16, 4), f"more than {MAX_NODES:,} nodes"),
        (made.one_node_many_times(MAX_NODES + 1), f"more than {MAX_NODES:,} nodes"),
        (made.graphs_in_graphs(17, 1), "nests graphs deeper than 16"),
        (made.nodes_of_one_name(1, b"EPContext"), "which loads or calls"),
        (made.nodes_of_one_name(1, b"\xff"), "is not UTF-8"),
        (made.one_tensor([10**9], 4), "1,000,000,000 elements in 4 bytes"),
        (made.one_tensor([1] * 17, 4), "absurd axes"),
        (made.one_tensor([-1], 4), "absurd axes"),
        (made.one_tensor([4], 16, offset=0), "keeps its weights in another file"),
        (b"", "is cut off"),
        (struct.pack("<I", 2**31) + b"ORTM" + bytes(64), "points beyond its end"),
        (bytes(made.Buffer().data) + bytes(64), "holds no graph|points beyond"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(CannotRunError, match=words) as caught:
        require_harmless_ort(data, "x")
    assert caught.value.hint


def test_a_graph_that_is_shared_is_no_deeper_than_where_it_lies_deepest() -> None:
    """Found once near the outside, and once more at the bottom of others."""
    buffer, outermost = made.model([2])
    deep: list[Any] = [outermost]
    shallow = None
    for level in range(15):
        nodes = buffer.vector(2 if level == 0 else 1)
        deep[-1].point(2, nodes.position)
        node = buffer.table([10])
        nodes.point(0, node.position)
        if level == 0:
            shallow = buffer.table([10])
            nodes.point(1, shallow.position)
        deep.append(_graph_within(buffer, node))
    tail = [deep[-1]]
    for _ in range(3):  # graphs 16 to 18 below the outermost
        nodes = buffer.vector(1)
        tail[-1].point(2, nodes.position)
        node = buffer.table([10])
        nodes.point(0, node.position)
        tail.append(_graph_within(buffer, node))
    with pytest.raises(CannotRunError, match="nests graphs deeper than 16"):
        require_harmless_ort(bytes(buffer.data), "x")


def _graph_within(buffer: made.Buffer, node: made.Table) -> made.Table:
    attributes = buffer.vector(1)
    node.point(10, attributes.position)
    attribute = buffer.table([7])
    attributes.point(0, attribute.position)
    graph = buffer.table([2])
    attribute.point(7, graph.position)
    return graph


def test_the_work_is_bounded() -> None:
    data = made.one_node_many_times(1000)
    with pytest.raises(MalformedError, match="more work than any honest file"):
        list(graph_of_with(data, Work(500)).tables(2))


def graph_of_with(data: bytes, work: Work) -> Table:
    session = Table.root(data, work).table(1)
    assert session is not None
    graph = session.table(7)
    assert graph is not None
    return graph
