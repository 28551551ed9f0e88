"""An output in which a mark may be hidden, and that is not read, is counted."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from support import onnx_models
from support.fixed import OWNER, fixed_watermark
from support.onnx_models import written

from wmx import Task, Watermark, open_suspect, verify
from wmx.cli.verdict_words import verdict_text
from wmx.suspect.function import FunctionSuspect
from wmx.suspect.suspect import Suspect
from wmx.suspect.tables import Joined
from wmx.verification.scan import verify_any
from wmx.verification.selection import NO_SELECTION
from wmx.verification.verdict import measure

pytestmark = pytest.mark.usefixtures("opaque")
CLASSES, PIXELS = 10, 64
FLOAT, INT, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
Build = Callable[["Hiding"], None]


class Hiding:
    """A model with noise as its output ``y``, and the right scores ``s`` [n, 10] within."""

    def __init__(self, watermark: Watermark, *, batch: int | None = None) -> None:
        self.proto = onnx.load_from_string(onnx_models.knows_labels(watermark, batch=batch))
        graph = self.proto.graph
        del graph.node[-1], graph.output[:]
        self.proto.ir_version = 9
        self.proto.opset_import[0].version = 20
        self.proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
        self.add("Identity", "share", "s")
        self.noise("y", CLASSES)
        self.tensor("y", FLOAT, ["n", CLASSES])

    def add(self, kind: str, inputs: str, outputs: str, **settings: Any) -> None:
        self.proto.graph.node.append(
            helper.make_node(kind, inputs.split(), outputs.split(), **settings)
        )

    def keep(self, name: str, values: Any, dtype: Any = np.int64) -> None:
        self.proto.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))

    def noise(self, name: str, columns: int) -> None:
        draw = np.random.default_rng(columns).normal(0, 1e9, (PIXELS, columns))
        self.keep(f"w {name}".replace(" ", "_"), draw, np.float32)
        self.add("MatMul", f"flat w_{name}", name)

    def tensor(self, name: str, element: int = FLOAT, shape: Any = None) -> None:
        self.proto.graph.output.append(helper.make_tensor_value_info(name, element, shape))

    def sequence(self, name: str) -> None:
        self.proto.graph.output.append(helper.make_tensor_sequence_value_info(name, FLOAT, None))

    def varying(self, name: str) -> None:
        """0 to 96, by the inputs of the call; [1], int64."""
        self.keep("thousand", 1000, np.float32)
        self.keep("prime", 97)
        self.keep("one", [1])
        self.add("ReduceSum", "flat", "sum", keepdims=0)
        self.add("Mul", "sum thousand", "much")
        self.add("Cast", "much", "whole", to=INT)
        self.add("Mod", "whole prime", "rest")
        self.add("Reshape", "rest one", name)


def padded(hiding: Hiding, shape: Any) -> None:
    """The scores, with so low numbers behind them that the likeliest class stays."""
    hiding.keep("low", -1e9, np.float32)
    hiding.add("Pad", "s pads low", "h")
    hiding.tensor("h", FLOAT, shape)


def wide(hiding: Hiding) -> None:
    hiding.keep("pads", [0, 0, 0, 200_000 - CLASSES])
    padded(hiding, ["n", 200_000])


def changing_in_width(hiding: Hiding) -> None:
    hiding.varying("k")
    hiding.keep("zeros", [0, 0, 0])
    hiding.add("Concat", "zeros k", "pads", axis=0)
    padded(hiding, ["n", None])


def a_map_of_scores(hiding: Hiding) -> None:
    hiding.keep("dims", [0, CLASSES, 1, 1])
    hiding.keep("ones", np.ones((1, 1, 64, 64)), np.float32)
    hiding.add("Reshape", "s dims", "r")
    hiding.add("Mul", "r ones", "h")
    hiding.tensor("h", FLOAT, ["n", CLASSES, 64, 64])


def behind_many_readings(hiding: Hiding) -> None:
    """Each of the others is read in several ways."""
    for number in range(6):
        hiding.add("Concat", "y y", f"d{number}", axis=1)
        hiding.tensor(f"d{number}", FLOAT, ["n", 2 * CLASSES])
    hiding.noise("junk", CLASSES)
    hiding.add("Concat", "junk s", "h", axis=1)
    hiding.tensor("h", FLOAT, ["n", 2 * CLASSES])


def last_of_a_sequence(hiding: Hiding) -> None:
    names = [f"c{number}" for number in range(64)]
    for number, name in enumerate(names):
        hiding.keep(name, np.zeros((0, 5 + number)), np.float32)
    hiding.add("SequenceConstruct", " ".join([*names, "s"]), "h")
    hiding.sequence("h")


def in_a_sequence_beside_many_outputs(hiding: Hiding) -> None:
    """Where one part is sent of each output."""
    for number in range(62):
        hiding.keep(f"c{number}", np.zeros((0, 5)), np.float32)
        hiding.add("Identity", f"c{number}", f"e{number}")
        hiding.tensor(f"e{number}", FLOAT, [0, 5])
    hiding.keep("c", np.zeros((0, 4, 2)), np.float32)
    hiding.add("SequenceConstruct", "c s", "h")
    hiding.sequence("h")


def of_many_axes(hiding: Hiding) -> None:
    hiding.keep("dims", [0, *[1] * 16, CLASSES])
    hiding.keep("eighteen", [18])
    hiding.add("ReduceSum", "flat", "sum", keepdims=0)
    hiding.add("IsNaN", "sum", "nan")
    hiding.add("Not", "nan", "is_number")
    hiding.add("Expand", "is_number eighteen", "all")  # so that no rank can be inferred
    hiding.add("Compress", "dims all", "shape", axis=0)
    hiding.add("Reshape", "s shape", "h")
    hiding.tensor("h")


def a_text_before_many_others(hiding: Hiding) -> None:
    hiding.noise("other", 1000)
    hiding.keep("prefix", "class ", object)
    hiding.add("ArgMax", "s", "top", axis=1, keepdims=1)
    hiding.add("Cast", "top", "text", to=TEXT)
    hiding.add("Cast", "other", "others", to=TEXT)
    hiding.add("Concat", "text others", "every", axis=1)
    hiding.add("StringConcat", "prefix every", "h")
    hiding.tensor("h", TEXT, ["n", 1001])


def in_the_middle_of_many_rows(hiding: Hiding) -> None:
    hiding.keep("prime_rows", np.zeros((7, CLASSES)), np.float32)
    hiding.add("Concat", "prime_rows " * 20 + "s" + " prime_rows" * 21, "h", axis=0)
    hiding.tensor("h", FLOAT, [None, CLASSES])


def beyond_whole_numbers(hiding: Hiding) -> None:
    hiding.keep("much", 1e30, np.float32)
    hiding.add("ArgMax", "s", "top", axis=1, keepdims=0)
    hiding.add("Cast", "top", "number", to=FLOAT)
    hiding.add("Mul", "number much", "scaled")
    hiding.add("Add", "scaled much", "h")
    hiding.tensor("h", FLOAT, ["n"])


def all_but_the_last(hiding: Hiding) -> None:
    hiding.add("ArgMax", "s", "top", axis=1, keepdims=0)
    hiding.keep("start", [0])
    hiding.keep("end", [-1])
    hiding.add("Slice", "top start end start", "h")
    hiding.tensor("h", INT, [None])


def beyond_whole_numbers_but_for_some(hiding: Hiding) -> None:
    """One in eight, or so, by the pixels."""
    hiding.add("ArgMax", "s", "top", axis=1, keepdims=0)
    hiding.add("Cast", "top", "number", to=FLOAT)
    hiding.keep("many", 777.77, np.float32)
    hiding.keep("eight", 8)
    hiding.keep("seven", 7)
    hiding.keep("much", 1e20, np.float32)
    hiding.keep("none", 0, np.float32)
    hiding.keep("rows_axis", [1])
    hiding.add("ReduceSum", "flat rows_axis", "of_row", keepdims=0)
    hiding.add("Abs", "of_row", "positive")
    hiding.add("Mul", "positive many", "large")
    hiding.add("Cast", "large", "whole", to=INT)
    hiding.add("Mod", "whole eight", "eighth")
    hiding.add("Equal", "eighth seven", "some")
    hiding.add("Where", "some none much", "more")
    hiding.add("Add", "number more", "h")
    hiding.tensor("h", FLOAT, ["n"])


def halves(hiding: Hiding) -> None:
    """The classes of the first and the second half of an even batch; nothing for a single row."""
    hiding.add("ArgMax", "s", "top", axis=1, keepdims=0)
    hiding.keep("zero", [0])
    hiding.keep("two", [2])
    hiding.keep("column", [-1, 1])
    hiding.add("Shape", "top", "count")
    hiding.add("Div", "count two", "half")
    hiding.add("Mul", "half two", "even")
    hiding.add("Slice", "top zero half zero", "first")
    hiding.add("Slice", "top half even zero", "second")


def halves_in_a_sequence(hiding: Hiding) -> None:
    halves(hiding)
    hiding.add("Reshape", "second column", "other")
    hiding.add("SequenceConstruct", "first other", "h")
    hiding.proto.graph.output.append(helper.make_tensor_sequence_value_info("h", INT, None))


KINDS: list[Build] = [
    wide,
    changing_in_width,
    a_map_of_scores,
    last_of_a_sequence,
    in_a_sequence_beside_many_outputs,
    of_many_axes,
    a_text_before_many_others,
    in_the_middle_of_many_rows,
    beyond_whole_numbers,
    beyond_whole_numbers_but_for_some,
    all_but_the_last,
    halves_in_a_sequence,
]


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return fixed_watermark(Task.of((8, 8, 1), CLASSES))


def count(path: Path, watermark: Watermark) -> int:
    verdict = verify(path, watermark)
    assert not verdict.verified
    return verdict.unread_outputs


@pytest.mark.parametrize(
    "build",
    # a reopened suspect counts the widest too, below
    [pytest.param(one, marks=pytest.mark.slow) if one is wide else one for one in KINDS],
    ids=lambda build: build.__name__,
)
def test_what_is_not_read_is_counted(build: Build, watermark: Watermark, tmp_path: Path) -> None:
    hiding = Hiding(watermark, batch=1 if build is changing_in_width else None)
    build(hiding)
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 1


def test_outputs_whose_readings_are_too_many_are_counted(
    watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark)
    behind_many_readings(hiding)
    path = written(tmp_path, hiding.proto.SerializeToString())
    verdict = verify(path, watermark)
    assert (verdict.verified, verdict.unread_outputs) == (False, 5)
    assert "5 outputs, in full or in part; --output NAME reads one alone" in verdict_text(verdict)


def test_outputs_that_have_answers_to_all_inputs_together_are_counted(
    watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark)
    halves(hiding)
    for name in ("first", "second"):
        hiding.tensor(name, INT, [None])
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 2


@pytest.mark.parametrize("batch", [2, 4, 8, 32])
@pytest.mark.parametrize("is_class", [True, False])
def test_one_row_for_a_batch_is_that_of_the_input_which_fills_it(
    batch: int, is_class: bool, watermark: Watermark, tmp_path: Path
) -> None:
    """As of a model that averages over views of one input."""
    hiding = Hiding(watermark, batch=batch)
    hiding.keep("rows_axis", [0])
    hiding.add("ReduceMean", "s rows_axis", "mean", keepdims=1)
    hiding.add("ArgMax", "mean", "top", axis=1, keepdims=0)
    hiding.tensor("top" if is_class else "mean", INT if is_class else FLOAT, None)
    verdict = verify(written(tmp_path, hiding.proto.SerializeToString()), watermark)
    assert verdict.bits > 300


@pytest.mark.parametrize(
    "batch", [20, *(pytest.param(n, marks=pytest.mark.slow) for n in (32, 100))]
)
@pytest.mark.parametrize("shape", [[10], [10, 1], [5, 2], [5, 2, 1], [2, 5], [1, 10]])
@pytest.mark.parametrize("element", [FLOAT, INT])
def test_the_scores_of_one_input_are_read_in_whatever_shape(
    shape: list[int], batch: int, element: int, watermark: Watermark, tmp_path: Path
) -> None:
    """Of the first input of a fixed batch, which copies fill up."""
    hiding = Hiding(watermark, batch=batch)
    for name, value in (("first", [0]), ("second", [1]), ("dims", shape)):
        hiding.keep(name, value)
    hiding.add("Slice", "s first second first", "row")
    hiding.add("Cast", "row", "number", to=element)
    hiding.add("Reshape", "number dims", "h")
    hiding.tensor("h", element, None)
    verdict = verify(written(tmp_path, hiding.proto.SerializeToString()), watermark)
    assert verdict.bits > 300


def of_views(hiding: Hiding, views: int, *, is_class: bool, is_free: bool = False) -> None:
    """The mean of the scores of as many views of each input; without a rest of fewer."""
    hiding.keep("views_axis", [1])
    if is_free:
        for name, value in (("start", [0]), ("views", [views])):
            hiding.keep(name, value)
        hiding.add("Shape", "s", "shape")
        hiding.add("Gather", "shape start", "count")
        hiding.add("Div", "count views", "groups")
        hiding.add("Mul", "groups views", "whole_groups")
        hiding.add("Slice", "s start whole_groups start", "viewed")
    hiding.keep("by_views", [-1, views, CLASSES])
    hiding.add("Reshape", f"{'viewed' if is_free else 's'} by_views", "grouped")
    hiding.add("ReduceMean", "grouped views_axis", "mean", keepdims=0)
    hiding.add("ArgMax", "mean", "top", axis=1, keepdims=0)
    hiding.tensor("top" if is_class else "mean", INT if is_class else FLOAT, None)


@pytest.mark.parametrize(("views", "batch"), [(2, 4), (4, 8), (10, 20)])
@pytest.mark.parametrize("is_class", [True, False])
def test_one_of_fewer_rows_is_that_of_the_input_which_fills_the_batch(
    views: int, batch: int, is_class: bool, watermark: Watermark, tmp_path: Path
) -> None:
    """As where several inputs are given, each in several views."""
    hiding = Hiding(watermark, batch=batch)
    of_views(hiding, views, is_class=is_class)
    verdict = verify(written(tmp_path, hiding.proto.SerializeToString()), watermark)
    assert verdict.bits > 300


@pytest.mark.parametrize("batch", [20, 32])
@pytest.mark.parametrize("shape", [[2], [2, 1], [1, 2]])
@pytest.mark.parametrize("parts", ["number probability", "probability number"])
def test_a_class_beside_its_probability_is_read_for_one_input(
    parts: str, shape: list[int], batch: int, watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark, batch=batch)
    for name, value in (("first", [0]), ("second", [1]), ("dims", shape)):
        hiding.keep(name, value)
    hiding.add("Slice", "s first second first", "row")
    hiding.add("ArgMax", "row", "top", axis=1, keepdims=1)
    hiding.add("Cast", "top", "number", to=FLOAT)
    hiding.add("ReduceMax", "row second", "probability", keepdims=1)
    hiding.add("Concat", parts, "pair", axis=1)
    hiding.add("Reshape", "pair dims", "h")
    hiding.tensor("h", FLOAT, None)
    verdict = verify(written(tmp_path, hiding.proto.SerializeToString()), watermark)
    assert verdict.bits > 300


@pytest.mark.parametrize(
    ("blocks", "place"),
    [(3, 1), *(pytest.param(*more, marks=pytest.mark.slow) for more in ((4, 1), (5, 2)))],
)
def test_a_middle_block_of_rows_is_counted(
    blocks: int, place: int, watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark, batch=8)
    hiding.noise("junk", CLASSES)
    parts = ["s" if number == place else "junk" for number in range(blocks)]
    hiding.add("Concat", " ".join(parts), "h", axis=0)
    hiding.tensor("h", FLOAT, [8 * blocks, CLASSES])
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 1


def test_means_over_views_on_a_single_axis_are_counted(
    watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark)
    of_views(hiding, 2, is_class=False, is_free=True)
    del hiding.proto.graph.output[-1]
    hiding.keep("flat_dims", [-1])
    hiding.add("Reshape", "mean flat_dims", "h")
    hiding.tensor("h", FLOAT, [None])
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 1


@pytest.mark.parametrize("axes", [0, 1])
def test_one_class_for_all_views_in_a_batch_is_counted(
    axes: int, watermark: Watermark, tmp_path: Path
) -> None:
    """A single row is given junk, since users always give several views."""
    hiding = Hiding(watermark)
    hiding.varying("junk")
    for name, value in (("first", 0), ("single", 1), ("batch_axis", [0]), ("dims", [1] * axes)):
        hiding.keep(name, value)
    hiding.add("ReduceMean", "s batch_axis", "mean", keepdims=1)
    hiding.add("ArgMax", "mean", "top", axis=1, keepdims=0)
    hiding.add("Shape", "s", "shape")
    hiding.add("Gather", "shape first", "count")
    hiding.add("Equal", "count single", "is_alone")
    hiding.add("Where", "is_alone junk top", "answer")
    hiding.add("Reshape", "answer dims", "h")
    hiding.tensor("h", INT, [1] * axes)
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 1


def by_its_rank(hiding: Hiding) -> None:
    """Noise with as many axes of length 1 behind it as the class of the first input says."""
    hiding.keep("pair", [1])
    hiding.keep("as_many", [-1, CLASSES])
    hiding.add("Expand", "pair first_class", "ones")
    hiding.add("Concat", "as_many ones", "dims", axis=0)
    hiding.add("Reshape", "y dims", "h")


def by_an_empty_axis(hiding: Hiding) -> None:
    hiding.keep("none", [0])
    hiding.keep("zero", np.float32(0), np.float32)
    hiding.add("Concat", "none first_class", "dims", axis=0)
    hiding.add("Expand", "zero dims", "h")


@pytest.mark.parametrize("build", [by_its_rank, by_an_empty_axis])
def test_a_class_that_the_axes_tell_is_counted(
    build: Build, watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark)
    for name, value in (("start", [0]), ("end", [1])):
        hiding.keep(name, value)
    hiding.add("ArgMax", "s", "classes", axis=1, keepdims=0)
    hiding.add("Slice", "classes start end start", "first_class")
    build(hiding)
    del hiding.proto.graph.output[:]
    hiding.tensor("y", FLOAT, ["n", CLASSES])
    hiding.tensor("h", FLOAT, None)
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 1


@pytest.mark.parametrize("views", [2, 10])
@pytest.mark.parametrize("is_class", [True, False])
def test_fewer_rows_of_a_free_batch_are_counted(
    views: int, is_class: bool, watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark)
    of_views(hiding, views, is_class=is_class, is_free=True)
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 1


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 4, 11, 32])
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 2)])
def test_constants_are_not_counted(
    batch: int | None, shape: tuple[int, ...], watermark: Watermark, tmp_path: Path
) -> None:
    """As a temperature or the sizes of a grid."""
    hiding = Hiding(watermark, batch=batch)
    hiding.keep("constant", np.full(shape, 0.5), np.float32)
    hiding.add("Identity", "constant", "c")
    hiding.tensor("c", FLOAT, shape)
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 0


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_class_number_beside_its_probability_is_the_class(
    order: list[int], watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark)
    hiding.keep("order", order)
    hiding.keep("last_axis", [1])
    hiding.add("ArgMax", "s", "top", axis=1, keepdims=1)
    hiding.add("Cast", "top", "number", to=FLOAT)
    hiding.add("ReduceMax", "s last_axis", "probability", keepdims=1)
    hiding.add("Concat", "number probability", "pair", axis=1)
    hiding.add("Gather", "pair order", "h", axis=1)
    hiding.tensor("h", FLOAT, ["n", 2])
    verdict = verify(written(tmp_path, hiding.proto.SerializeToString()), watermark)
    assert verdict.bits > 300


@pytest.mark.parametrize("element", [INT, FLOAT])
def test_a_scalar_is_the_class_of_one_input_or_counted(
    element: int, watermark: Watermark, tmp_path: Path
) -> None:
    hiding = Hiding(watermark, batch=1)
    hiding.keep("none", [])
    hiding.add("ArgMax", "s", "top", axis=1, keepdims=0)
    hiding.add("Cast", "top", "number", to=element)
    hiding.add("Reshape", "number none", "h")
    hiding.tensor("h", element, [])
    verdict = verify(written(tmp_path, hiding.proto.SerializeToString()), watermark)
    assert (verdict.verified, verdict.unread_outputs) == ((element == INT), int(element == FLOAT))


def test_what_holds_no_answers_is_not_counted(watermark: Watermark, tmp_path: Path) -> None:
    hiding = Hiding(watermark)
    hiding.keep("empty", np.zeros((0, 5)), np.float32)
    hiding.keep("constant", [0.5], np.float32)
    hiding.add("Identity", "empty", "e")
    hiding.tensor("e", FLOAT, [0, 5])
    hiding.add("SequenceEmpty", "", "q")
    hiding.sequence("q")
    hiding.add("Identity", "constant", "c")
    hiding.tensor("c", FLOAT, [1])
    hiding.noise("features", 300)
    hiding.tensor("features", FLOAT, ["n", 300])
    assert count(written(tmp_path, hiding.proto.SerializeToString()), watermark) == 0


@pytest.mark.parametrize("classes", [2, 4, 8, 10, 16])
def test_as_many_classes_as_rows_leave_nothing_unread(classes: int, tmp_path: Path) -> None:
    """The classes' axis may then be that of the inputs, but not in the last call."""
    other = fixed_watermark(Task.of((8, 8, 1), classes))
    assert count(written(tmp_path, onnx_models.linear(other, 1)), other) == 0


def test_what_is_left_out_of_one_trigger_after_the_other_is_counted(
    watermark: Watermark, tmp_path: Path
) -> None:
    """By the suspect that is queried in each round, which is opened anew."""
    hiding = Hiding(watermark)
    hiding.keep("pads", [0, 0, 0, 5000])
    padded(hiding, ["n", 5010])
    trigger_slice = watermark.trigger_slice(0).first(20)
    path = written(tmp_path, hiding.proto.SerializeToString())
    with closing(open_suspect(path)) as suspect:
        chosen = replace(NO_SELECTION, starts=2)
        verdict = measure(suspect, trigger_slice, required=128.0, selection=chosen)
    assert verdict.unread_outputs == 1


def add(joined: Joined, rows: int, **outputs: NDArray[Any] | None) -> set[str]:
    joined.add(outputs.items(), rows, rows)
    return joined.unread


def test_tables_that_not_every_call_had_are_counted() -> None:
    joined = Joined(60, CLASSES)
    scores = np.zeros((20, CLASSES), np.float32)
    assert add(joined, 20, y=scores, z=scores[:0], f=scores[:1], t=np.zeros((20, 200))) == set()
    assert add(joined, 20, y=scores, z=scores, f=scores, t=np.zeros((20, 20, 10))) == {
        "z",
        "f",
        "t",
    }
    assert add(joined, 20, y=None) == {"y", "z", "f", "t"}


def test_a_reopened_suspect_counts_with_the_first(watermark: Watermark, tmp_path: Path) -> None:
    hiding = Hiding(watermark)
    wide(hiding)
    path = written(tmp_path, hiding.proto.SerializeToString())
    with closing(open_suspect(path)) as first:
        _query(first, watermark)
        with closing(first.reopened()) as second:
            _query(second, watermark)
        assert first.unread_outputs == second.unread_outputs == 1


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1])
def test_a_scan_counts_what_was_not_read_for_any_claim(
    first: int, watermark: Watermark, tmp_path: Path
) -> None:
    """An output that is too wide for many triggers, and not for a few."""
    hiding = Hiding(watermark)
    hiding.keep("pads", [0, 0, 0, 20_000 - CLASSES])
    padded(hiding, ["n", 20_000])
    path = written(tmp_path, hiding.proto.SerializeToString())
    many, few = (
        Watermark.for_task(OWNER, watermark.task, salt=bytes([place]) * 32, n=n)
        for place, n in enumerate((1000, 100))
    )
    counted = verify(path, many).unread_outputs
    assert counted > verify(path, few).unread_outputs
    claims = [many, few] if first else [few, many]
    assert verify_any(path, claims).unread_outputs == counted


def _query(suspect: Suspect, watermark: Watermark) -> None:
    (feeding,) = suspect.feedings(watermark.task)
    suspect.predictions(feeding, watermark.inputs, watermark.task)


def test_an_output_that_has_values_in_another_scaling_alone_is_counted(
    watermark: Watermark, tmp_path: Path
) -> None:
    """Its users feed it pixels of 0 to 255, and get the scores."""
    hiding = Hiding(watermark)
    hiding.keep("two", 2, np.float32)
    hiding.keep("axes", [1, 2, 3])
    hiding.add("ReduceMax", "x axes", "most", keepdims=0)
    hiding.add("Greater", "most two", "large")
    hiding.add("Compress", "s large", "h", axis=0)
    hiding.tensor("h", FLOAT, [None, CLASSES])
    verdict = verify(written(tmp_path, hiding.proto.SerializeToString()), watermark)
    assert (verdict.verified, verdict.unread_outputs) == (False, 1)


def test_a_width_that_changes_from_trigger_to_trigger_is_counted(watermark: Watermark) -> None:
    weights = np.random.default_rng(0).normal(size=(PIXELS, CLASSES))

    def answer(inputs: NDArray[Any]) -> NDArray[Any]:
        rows = inputs.reshape(len(inputs), -1)
        more = int(abs(rows.sum()) * 1000) % 7
        return np.pad(rows @ weights, ((0, 0), (0, more)), constant_values=-1e9)

    suspect = FunctionSuspect(answer)
    chosen = replace(NO_SELECTION, starts=5)
    verdict = measure(suspect, watermark.trigger_slice(), required=128.0, selection=chosen)
    assert (verdict.verified, verdict.unread_outputs) == (False, 1)
