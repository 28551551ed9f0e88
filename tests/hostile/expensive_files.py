"""Files that are cheap to send and dear to read: what one command line is given in each case.

Each is made in an empty folder, beside an honest owner's ``owner.pem``, ``claim.json``,
``evidence.json`` and ``model.onnx``, all of them small, and costs seconds, hours or gigabytes where
nothing holds the reader to a budget.  ``benchmarks/hostile_budget.py`` runs them all.
"""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support import flatbuffers_by_hand as ort
from support.evidence_files import signed, small_evidence, statement_of
from support.protobuf_by_hand import field, functions, model, node, varint

from wmx import Claim, OwnerKey, Watermark
from wmx.protocol.claim import PAYLOAD_TYPE as CLAIM_TYPE
from wmx.protocol.dsse import Envelope
from wmx.protocol.encoding import encode_base64
from wmx.protocol.statement import PAYLOAD_TYPE as EVIDENCE_TYPE
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.triggers.cells import Cells
from wmx.verification.codec import opening_to_json
from wmx.verification.evidence import Evidence

MIB = 2**20
HELD = ("--claim", "claim.json", "--key", "owner.pem")
CASES: dict[str, Callable[[Path], Sequence[str]]] = {}


def case(make: Callable[[Path], Sequence[str]]) -> Callable[[Path], Sequence[str]]:
    CASES[make.__name__] = make
    return make


# a word in a model's description that made readers look for weights in other files
LOCATION = field(6, b"location")


def verify(folder: Path, data: bytes, name: str = "suspect.onnx") -> list[str]:
    (folder / name).write_bytes(data if name.endswith(".ort") else data + LOCATION)
    return ["verify", name, *HELD]


def info(folder: Path, data: bytes, name: str = "suspect") -> list[str]:
    (folder / name).write_bytes(data)
    return ["info", name]


@case
def functions_in_a_chain(folder: Path) -> Sequence[str]:
    """About 488 kB: each function calls the one before it."""
    return verify(folder, functions(16_000, 1))


@case
def functions_of_16_mb(folder: Path) -> Sequence[str]:
    return verify(folder, functions(400_000, 1))


@case
def functions_that_call_many(folder: Path) -> Sequence[str]:
    return verify(folder, functions(12_000, 60, steps=3))


@case
def functions_that_double(folder: Path) -> Sequence[str]:
    return info(folder, functions(60, 2))


@case
def nodes_without_number(folder: Path) -> Sequence[str]:
    return verify(folder, model(node(b"Relu") * 199_999))


@case
def nodes_with_long_names(folder: Path) -> Sequence[str]:
    return verify(folder, model(node(b"N" * 20_000) * 8_000))


@case
def tensors_without_number(folder: Path) -> Sequence[str]:
    tensor = field(5, field(8, b"t") + b"\x08\x01\x10\x01" + field(9, bytes(4)))
    return info(folder, model(tensor * 199_999))


@case
def axes_without_number(folder: Path) -> Sequence[str]:
    tensor = field(5, field(8, b"t") + field(1, b"\x01" * 9_900_000))
    return verify(folder, model(tensor))


@case
def fields_without_number(folder: Path) -> Sequence[str]:
    return info(folder, model(b"\x08\x01" * 20_000_000))


@case
def graphs_in_graphs(folder: Path) -> Sequence[str]:
    graph = node(b"Relu") * 4_000
    for _ in range(15):
        graph = node(b"If", b"", field(1, b"then_branch") + field(6, graph)) + node(b"Relu") * 4_000
    return verify(folder, model(graph))


@case
def opsets_without_number(folder: Path) -> Sequence[str]:
    small = onnx.load(folder / "model.onnx").SerializeToString()
    return info(folder, small + field(8, field(1, b"x") + b"\x10\x01") * 2_000_000)


@case
def one_name_for_all_nodes(folder: Path) -> Sequence[str]:
    """About 5 MB of onnxruntime's own format."""
    return verify(folder, ort.nodes_of_one_name(40_000, b"N" * 4_000_000), "suspect.ort")


@case
def one_node_a_million_times(folder: Path) -> Sequence[str]:
    return info(folder, ort.one_node_many_times(1_900_000))


@case
def graphs_shared_by_graphs(folder: Path) -> Sequence[str]:
    return verify(folder, ort.graphs_in_graphs(16, 4), "suspect.ort")


@case
def zeros_of_two_gigabytes(folder: Path) -> Sequence[str]:
    """A valid beginning, then a tensor of zeros without an end; the file takes no room."""
    size = 2**31 - 4096
    with (folder / "suspect.onnx").open("wb") as file:
        tensor = b"\x08" + varint(size // 4) + b"\x10\x01" + field(8, b"t")
        head = varint(9 << 3 | 2) + varint(size)
        inner = varint(5 << 3 | 2) + varint(len(tensor) + len(head) + size) + tensor + head
        file.write(b"\x08\x08" + varint(7 << 3 | 2) + varint(len(inner) + size) + inner)
        file.truncate(file.tell() + size)
    return ["verify", "suspect.onnx", *HELD]


def weights_at(folder: Path, location: str, **entries: str) -> bytes:
    proto = onnx.load(folder / "model.onnx")
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": location} | entries).items():
        tensor.external_data.add(key=key, value=value)
    return bytes(proto.SerializeToString())


@case
def weights_of_four_gigabytes(folder: Path) -> Sequence[str]:
    with (folder / "suspect.onnx.data").open("wb") as file:
        file.truncate(2**32)
    return verify(folder, weights_at(folder, "suspect.onnx.data"))


@case
def weights_in_a_thousand_files(folder: Path) -> Sequence[str]:
    proto = onnx.load(folder / "model.onnx")
    for number in range(999):
        name = f"suspect.onnx_data_{number}"
        with (folder / name).open("wb") as file:
            file.truncate(4 * MIB)
        tensor = helper.make_tensor(f"t{number}", TensorProto.FLOAT, [4], [0.0] * 4)
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=name)
        proto.graph.initializer.append(tensor)
    return info(folder, proto.SerializeToString(), "suspect.onnx")


# models that take much


def takes(
    folder: Path,
    dims: Sequence[Any],
    element: int = TensorProto.FLOAT,
    more: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    nodes: Sequence[Any] = (),
    **constants: Any,
) -> bytes:
    """A model of one input that answers ten ones to each of its rows."""
    value = helper.make_tensor_value_info
    steps = [
        helper.make_node("Shape", ["x"], ["all"], start=0, end=1),
        helper.make_node("Concat", ["all", "ten"], ["shape"], axis=0),
        helper.make_node("Expand", ["one", "shape"], ["y"]),
        *nodes,
    ]
    constants = {"ten": np.array([10]), "one": np.ones(1, np.float32)} | constants
    graph = helper.make_graph(
        steps,
        "g",
        [value("x", element, dims), *more],
        [value("y", TensorProto.FLOAT, [None, 10]), *outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())


@case
def pictures_of_4096_pixels(folder: Path) -> Sequence[str]:
    return verify(folder, takes(folder, ["n", 3, 4096, 4096]))


@case
def pictures_of_4096_pixels_in_double(folder: Path) -> Sequence[str]:
    return verify(folder, takes(folder, ["n", 1, 4096, 4096], TensorProto.DOUBLE))


@case
def pictures_of_4096_pixels_in_bytes(folder: Path) -> Sequence[str]:
    return verify(folder, takes(folder, ["n", 4096, 4096, 3], TensorProto.UINT8))


@case
def pictures_of_any_size(folder: Path) -> Sequence[str]:
    """All axes free but for one: many layouts, each with two ways of resizing."""
    return verify(folder, takes(folder, ["n", 3, 4096, None]))


@case
def a_million_pictures_at_a_time(folder: Path) -> Sequence[str]:
    return verify(folder, takes(folder, [10**6, 1, 8, 8]))


@case
def as_many_pictures_as_a_number_can_be(folder: Path) -> Sequence[str]:
    return verify(folder, takes(folder, [2**62, 1, 8, 8]))


@case
def large_pictures_in_large_batches(folder: Path) -> Sequence[str]:
    return verify(folder, takes(folder, [400, 3, 224, 224]))


@case
def an_endless_input_beside_the_pictures(folder: Path) -> Sequence[str]:
    more = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2**40])]
    words = verify(folder, takes(folder, ["n", 1, 8, 8], more=more))
    return [*words, "--input", "z=1"]


# models that answer much


def answering(folder: Path, columns: int, outputs: int = 1, **options: Any) -> bytes:
    """A model that answers ``columns`` zeros to each row, in so many outputs more."""
    nodes = [
        helper.make_node("Concat", ["all", "wide"], ["wide shape"], axis=0),
        helper.make_node("Expand", ["one", "wide shape"], ["wide answer"]),
    ]
    names = [f"z{number}" for number in range(outputs)]
    nodes += [helper.make_node("Mul", ["wide answer", "one"], [name]) for name in names]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    dims = options.pop("dims", ["n", 1, 8, 8])
    wide = np.array([columns])
    return takes(folder, dims, outputs=ports, nodes=nodes, wide=wide, **options)


@case
def predictions_of_a_gigabyte(folder: Path) -> Sequence[str]:
    return verify(folder, answering(folder, 3 * 10**6))


@case
def predictions_as_long_as_allowed(folder: Path) -> Sequence[str]:
    return verify(folder, answering(folder, 160_000))


@case
def predictions_in_many_outputs(folder: Path) -> Sequence[str]:
    return verify(folder, answering(folder, 40_000, 7))


@case
def predictions_in_many_layouts(folder: Path) -> Sequence[str]:
    return verify(folder, answering(folder, 150_000, dims=[None, None, None, None]))


@case
def predictions_of_long_texts(folder: Path) -> Sequence[str]:
    text = np.array(["T" * 10**6] * 10, object)
    nodes = [
        helper.make_node("Concat", ["all", "ten"], ["s2"], axis=0),
        helper.make_node("Expand", ["texts", "s2"], ["t"]),
    ]
    ports = [helper.make_tensor_value_info("t", TensorProto.STRING, None)]
    return verify(folder, takes(folder, ["n", 1, 8, 8], outputs=ports, nodes=nodes, texts=text))


# models that never end


def loop(folder: Path, body: Sequence[Any], start: Any) -> bytes:
    value = helper.make_tensor_value_info
    inner = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), *body],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("c", TensorProto.BOOL, []),
            value("v", TensorProto.FLOAT, None),
        ],
        [value("c2", TensorProto.BOOL, []), value("w", TensorProto.FLOAT, None)],
    )
    nodes = [helper.make_node("Loop", ["many", "yes", "start"], ["z"], body=inner)]
    ports = [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
    return takes(
        folder,
        ["n", 1, 8, 8],
        outputs=ports,
        nodes=nodes,
        many=np.array(2**60),
        yes=np.array(True),
        start=start,
    )


@case
def a_loop_without_end(folder: Path) -> Sequence[str]:
    body = [helper.make_node("Cos", ["v"], ["w"])]
    return verify(folder, loop(folder, body, np.ones(4, np.float32)))


@case
def a_tensor_that_grows(folder: Path) -> Sequence[str]:
    body = [helper.make_node("Concat", ["v", "v"], ["w"], axis=0)]
    return verify(folder, loop(folder, body, np.ones(4, np.float32)))


# claims


def claim(
    folder: Path,
    task: Task,
    n: int,
    family: dict[str, Any],
    note: str = "",
    name: str = "stranger.json",
) -> Claim:
    """A stranger's claim over triggers that nobody has drawn yet, and his key."""
    key = OwnerKey.generate()
    key.save(folder / "stranger.pem")
    made = Claim.sign(key, task=task, family=family, n=n, salt=bytes(32), root=bytes(32), note=note)
    made.save(folder / name)
    return made


STRANGERS = ("--claim", "stranger.json", "--key", "stranger.pem")
OWNERS = ("--claim", "claim.json", "--key", "owner.pem")
TOKENS = {"name": "tokens", "vocabulary": 2, "excluded": []}


@case
def triggers_of_ten_gigabytes(folder: Path) -> Sequence[str]:
    """834 bytes or so."""
    claim(folder, Task.of((1024, 1024, 4), 10), 10**6, {"name": "cells", "grid": 4})
    return ["dispute", "model.onnx", *OWNERS, *STRANGERS]


@case
def triggers_of_ten_gigabytes_to_verify(folder: Path) -> Sequence[str]:
    claim(folder, Task.of((1024, 1024, 4), 10), 10**6, {"name": "cells", "grid": 4})
    return ["verify", "model.onnx", *STRANGERS]


@case
def triggers_of_one_gigabyte(folder: Path) -> Sequence[str]:
    claim(folder, Task.of((512, 512, 4), 10), 1000, {"name": "cells", "grid": 64})
    return ["dispute", "model.onnx", *OWNERS, *STRANGERS]


@case
def a_million_small_triggers(folder: Path) -> Sequence[str]:
    claim(folder, Task.of((8, 8, 1), 10), 10**6, {"name": "cells", "grid": 4})
    return ["dispute", "model.onnx", *OWNERS, *STRANGERS]


@case
def a_text_of_67_million_words(folder: Path) -> Sequence[str]:
    claim(folder, Task.of((2**26,), 2, kind="tokens"), 1, TOKENS)
    return ["verify", "model.onnx", *STRANGERS]


@case
def classes_without_number(folder: Path) -> Sequence[str]:
    claim(folder, Task.of((8, 8, 1), 2**24), 1000, {"name": "cells", "grid": 4})
    return ["dispute", "model.onnx", *OWNERS, *STRANGERS]


def of_classes(folder: Path, classes: int, n: int = 1) -> None:
    """A stranger's claim of so many classes over triggers that were drawn, and his key.

    The model beside it gives one class number for each input.
    """
    key = OwnerKey.generate()
    key.save(folder / "stranger.pem")
    mark = Watermark.for_task(key, Task.of((8, 8, 1), classes), n=n, generator=Cells(4))
    mark.claim.save(folder / "stranger.json")
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("ArgMax", ["flat"], ["y"], axis=1, keepdims=0),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["n"])],
    )
    opsets = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(made, folder / "numbers.onnx")


@case
def one_trigger_of_classes_without_number(folder: Path) -> Sequence[str]:
    of_classes(folder, 2**24)
    return ["verify", "numbers.onnx", *STRANGERS]


@case
def one_trigger_of_classes_without_number_in_a_dispute(folder: Path) -> Sequence[str]:
    of_classes(folder, 2**24)
    return ["dispute", "numbers.onnx", *OWNERS, *STRANGERS]


@case
def as_many_classes_as_there_is_room_for(folder: Path) -> Sequence[str]:
    of_classes(folder, 7 * 10**6, n=4)
    return ["verify", "numbers.onnx", *STRANGERS]


@case
def quantiles_of_fifty_megabytes(folder: Path) -> Sequence[str]:
    rows = [["0." + f"{number:020d}" for number in range(256)]] * 5_000
    task = Task.of((5_000,), 2, kind="features")
    claim(folder, task, 1000, {"name": "features", "quantiles": rows})
    return ["verify", "model.onnx", *STRANGERS]


@case
def a_note_of_sixty_megabytes(folder: Path) -> Sequence[str]:
    claim(folder, Task.of((8, 8, 1), 10), 100, {"name": "cells", "grid": 4}, "n" * (44 * MIB))
    return ["info", "stranger.json"]


@case
def a_note_of_pictographs(folder: Path) -> Sequence[str]:
    claim(
        folder, Task.of((8, 8, 1), 10), 100, {"name": "cells", "grid": 4}, "\U0001f600" * (11 * MIB)
    )
    return ["claim", "show", "stranger.json"]


@case
def values_without_number_in_a_claim(folder: Path) -> Sequence[str]:
    payload = b"[" + b",".join([b"[]"] * 3_900_000) + b"]"
    envelope = Envelope.seal(CLAIM_TYPE, payload, OwnerKey.generate())
    (folder / "stranger.json").write_bytes(envelope.to_bytes())
    return ["info", "stranger.json"]


@case
def values_without_number_around_a_claim(folder: Path) -> Sequence[str]:
    (folder / "stranger.json").write_bytes(b"[" + b",".join([b"{}"] * 3_900_000) + b"]")
    return ["claim", "show", "stranger.json"]


@case
def lists_in_lists(folder: Path) -> Sequence[str]:
    (folder / "stranger.json").write_bytes(b'{"a":' + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}")
    return ["info", "stranger.json"]


@case
def timestamps_of_megabytes(folder: Path) -> Sequence[str]:
    made = Claim.load(folder / "claim.json")
    stamps = [b"\x30\x84" + struct.pack(">I", 2 * MIB) + bytes([n]) * 2 * MIB for n in range(16)]
    replace(made, timestamps=tuple(stamps)).save(folder / "stranger.json")
    return ["claim", "show", "stranger.json"]


@case
def secret_images_of_four_gigabytes(folder: Path) -> Sequence[str]:
    """The file of a stranger's own images takes no room on his disk."""
    shape = [1000, 1024, 1024, 4]
    size = int(np.prod(shape))
    tensor = {"dtype": "U8", "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"triggers": tensor}).encode()
    with (folder / "stranger.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(file.tell() + size)
    return ["info", "stranger.safetensors"]


# evidences


def statement(folder: Path) -> dict[str, Any]:
    return statement_of(Evidence.load(folder / "evidence.json"))


def check(folder: Path, document: Any) -> Sequence[str]:
    (folder / "bad.json").write_bytes(signed(document, OwnerKey.load(folder / "owner.pem")))
    return ["check", "bad.json", "--model", "model.onnx"]


@case
def an_evidence_of_200_megabytes(folder: Path) -> Sequence[str]:
    document = statement(folder)
    document["predicate"]["run"]["engine"] = "e" * (140 * MIB)
    return check(folder, document)


@case
def an_opening_of_100_megabytes(folder: Path) -> Sequence[str]:
    document = statement(folder)
    for opening in document["predicate"]["openings"][:2]:
        opening["trigger"] = encode_base64(bytes(50 * MIB))
    return check(folder, document)


@case
def predictions_of_100_megabytes(folder: Path) -> Sequence[str]:
    document = statement(folder)
    count = document["predicate"]["window"]["count"]
    document["predicate"]["answers"] = zeros(count, 25 * MIB // count)
    return check(folder, document)


@case
def two_predictions_of_classes_without_number(folder: Path) -> Sequence[str]:
    """4,100 bytes: two class numbers."""
    return of_a_stranger(folder, classes=2**24, count=2)


@case
def predictions_of_classes_that_there_is_room_for(folder: Path) -> Sequence[str]:
    return of_a_stranger(folder, classes=7 * 10**6, count=4)


@case
def a_trigger_slice_of_many_classes(folder: Path) -> Sequence[str]:
    return of_a_stranger(folder, classes=2**17, count=256)


def of_a_stranger(folder: Path, classes: int, count: int) -> Sequence[str]:
    """Evidence of a stranger's own claim, in order but for what it costs to weigh."""
    key = OwnerKey.generate()
    mark = Watermark.for_task(key, Task.of((8, 8, 1), classes), n=count, generator=Cells(4))
    few = Predictions.from_scores(np.ones((1, 2)))  # quickly weighed, for a start
    document = statement_of(small_evidence(key, mark, count=1, predictions=few))
    openings = map(opening_to_json, mark.openings(range(count)))
    numbers = encode_base64(bytes(8 * count))
    document["predicate"] |= {"openings": [*openings], "window": {"count": count, "start": 0}}
    document["predicate"]["answers"] = {"data": numbers, "dtype": "int64", "shape": [count]}
    (folder / "bad.json").write_bytes(signed(document, key))
    return ["check", "bad.json"]


@case
def as_many_scores_as_allowed(folder: Path) -> Sequence[str]:
    """Of a stranger's claim with 8,192 classes: 4,096 triggers, all of them to be weighed."""
    key = OwnerKey.generate()
    mark = Watermark.for_task(key, Task.of((8, 8, 1), 8192), n=4096, generator=Cells(4))
    document = statement_of(small_evidence(key, mark, count=4))
    openings = map(opening_to_json, mark.openings(range(4096)))
    document["predicate"] |= {"openings": [*openings], "window": {"count": 4096, "start": 0}}
    scores = np.random.default_rng(0).random((4096, 8192), np.float32).astype(">f4")
    document["predicate"]["answers"] = zeros(4096, 8192) | {"data": encode_base64(scores.tobytes())}
    (folder / "bad.json").write_bytes(signed(document, key))
    return ["check", "bad.json"]


def zeros(rows: int, columns: int) -> dict[str, Any]:
    """Answers as an evidence holds them."""
    content = encode_base64(bytes(4 * rows * columns))
    return {"data": content, "dtype": "float32", "shape": [rows, columns]}


@case
def values_without_number_in_an_evidence(folder: Path) -> Sequence[str]:
    payload = b"[" + b",".join([b"{}"] * 3_900_000) + b"]"
    envelope = Envelope.seal(EVIDENCE_TYPE, payload, OwnerKey.load(folder / "owner.pem"))
    (folder / "bad.json").write_bytes(envelope.to_bytes())
    return ["check", "bad.json"]


@case
def an_evidence_of_junk(folder: Path) -> Sequence[str]:
    (folder / "bad.json").write_bytes(b'{"payload":"' + b"A" * (250 * MIB) + b'"}')
    return ["info", "bad.json"]
