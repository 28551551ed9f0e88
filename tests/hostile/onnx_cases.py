"""ONNX files that must not reach the runtime: other formats, damage, and what the rules refuse."""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from cases import Attack, Scene, collector
from onnx import TensorProto, helper

CASES, case = collector()


def verify(scene: Scene, data: bytes, *options: str) -> list[str]:
    """Put a suspect into the scene and return the command that verifies it."""
    suspect = scene.put("suspect.onnx", data)
    return ["verify", suspect, "--claim", "claim.json", "--key", "owner.pem", *options]


def changed(scene: Scene, change: Callable[[Any], None]) -> list[str]:
    """Verify the honest model with a change to its protobuf."""
    proto = onnx.load_from_string(scene.model)
    change(proto)
    return verify(scene, proto.SerializeToString())


# not ONNX


@case(4, "is empty")
def no_bytes(scene: Scene) -> Attack:
    return verify(scene, b"")


@case(4, "is a text file")
def text(scene: Scene) -> Attack:
    return verify(scene, b"VERIFIED\n" * 100)


@case(4, "is a zip archive")
def a_zip(scene: Scene) -> Attack:
    return verify(scene, b"PK\x03\x04" + scene.model)


@case(4, "is a Python pickle")
def a_pickle(scene: Scene) -> Attack:
    return verify(scene, b"\x80\x04cposix\nsystem\n(S'touch pwned'\ntR.")


@case(4, "is an HDF5 file")
def an_hdf5_file(scene: Scene) -> Attack:
    return verify(scene, b"\x89HDF\r\n\x1a\n" + bytes(64))


@case(4, "onnxruntime's own format")
def a_flatbuffer_of_the_runtime(scene: Scene) -> Attack:
    return verify(scene, b"\x08\x00\x00\x00ORTM" + bytes(64))


@case(4, "is a PEM file")
def the_owner_key(scene: Scene) -> Attack:
    return verify(scene, (scene.folder / "owner.pem").read_bytes())


@case(4, "is a numpy array")
def a_numpy_array(scene: Scene) -> Attack:
    return verify(scene, b"\x93NUMPY" + bytes(64))


@case(4, "holds something else")
def noise(scene: Scene) -> Attack:
    return verify(scene, b"\xff" + np.random.default_rng(0).bytes(4096))


# not a file


@case(4, "not a regular file")
def a_pipe_that_nobody_writes(scene: Scene) -> Attack:
    os.mkfifo(scene.folder / "pipe")
    return ["verify", "pipe", "--claim", "claim.json", "--key", "owner.pem"]


@case(4, "not a regular file")
def a_link_to_endless_zeros(scene: Scene) -> Attack:
    (scene.folder / "zeros").symlink_to("/dev/zero")
    return ["verify", "zeros", "--claim", "claim.json", "--key", "owner.pem"]


@case(4, "cannot read model")
def a_link_to_itself(scene: Scene) -> Attack:
    (scene.folder / "loop").symlink_to("loop")
    return ["verify", "loop", "--claim", "claim.json", "--key", "owner.pem"]


@case(4, "is a folder")
def a_folder(scene: Scene) -> Attack:
    return ["verify", ".", "--claim", "claim.json", "--key", "owner.pem"]


@case(4, "no such file")
def a_link_to_nothing(scene: Scene) -> Attack:
    (scene.folder / "nothing").symlink_to("gone")
    return ["verify", "nothing", "--claim", "claim.json", "--key", "owner.pem"]


# damaged protobuf


@case(4, "is a damaged ONNX file")
def cut_in_half(scene: Scene) -> Attack:
    return verify(scene, scene.model[: len(scene.model) // 2])


@case(4, "is a damaged ONNX file")
def a_number_without_end(scene: Scene) -> Attack:
    return verify(scene, b"\x08" + b"\xff" * 20)


@case(4, "is a damaged ONNX file")
def a_length_beyond_the_end(scene: Scene) -> Attack:
    return verify(scene, b"\x3a\xff\xff\xff\xff\x0f" + bytes(16))


@case(4, "wire type 3 is unknown")
def a_protobuf_group(scene: Scene) -> Attack:
    return verify(scene, b"\x08\x08" + b"\x1b" * 50_000)


@case(4, "it holds no graph")
def a_model_without_a_graph(scene: Scene) -> Attack:
    return verify(scene, b"\x08\x08")


@case(4, "field 7 occurs twice")
def two_graphs(scene: Scene) -> Attack:
    honest = onnx.load_from_string(scene.model).graph.SerializeToString()
    size = helper.make_tensor("s", TensorProto.INT64, [1], [len(honest)]).int64_data[0]
    length = bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return verify(scene, scene.model + b"\x3a" + bytes(length) + bytes([size]) + honest)


@case(4, "field 7 is of another type")
def a_graph_that_is_a_number(scene: Scene) -> Attack:
    return verify(scene, b"\x08\x08\x38\x01" + scene.model)


def _hidden(proto: Any, tag: bytes) -> bytes:
    """Return a model whose first weight stands under another spelling of its field's tag."""
    tensor = proto.graph.initializer[0].SerializeToString()
    del proto.graph.initializer[0]
    graph = proto.graph.SerializeToString() + tag + varint(len(tensor)) + tensor
    proto.ClearField("graph")
    return bytes(proto.SerializeToString()) + b"\x3a" + varint(len(graph)) + graph


@case(4, "is longer than 32 bits")
def weights_in_a_field_that_only_the_runtime_sees(scene: Scene) -> Attack:
    """C++ keeps the lower 32 bits of a tag: to it, field 5 of a graph."""
    return verify(scene, _hidden(onnx.load_from_string(scene.model), b"\xaa\x80\x80\x80\x10"))


@case(4, "is longer than 32 bits")
def a_tag_of_ten_bytes(scene: Scene) -> Attack:
    proto = onnx.load_from_string(scene.model)
    return verify(scene, _hidden(proto, b"\xaa" + b"\x80" * 8 + b"\x01"))


# operators of strangers


def node(operator: str, domain: str = "", **attributes: Any) -> Callable[[Any], None]:
    """Append a node to the graph."""
    return lambda proto: proto.graph.node.append(
        helper.make_node(operator, ["x"], ["z"], domain=domain, **attributes)
    )


@case(4, "only a library of custom operators has")
def a_custom_operator(scene: Scene) -> Attack:
    return changed(scene, node("Exec", "evil.corp"))


@case(4, "only a library of custom operators has")
def a_custom_operator_in_a_branch(scene: Scene) -> Attack:
    branch = helper.make_graph([helper.make_node("Exec", [], ["b"], domain="evil")], "b", [], [])
    return changed(scene, node("If", then_branch=branch, else_branch=branch))


@case(4, "only a library of custom operators has")
def a_custom_operator_in_a_function(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        inner = helper.make_node("Exec", ["a"], ["b"], domain="evil")
        proto.functions.append(
            helper.make_function("own", "F", ["a"], ["b"], [inner], [helper.make_opsetid("e", 1)])
        )

    return changed(scene, change)


@case(4, "only a library of custom operators has")
def a_domain_that_clears_the_screen(scene: Scene) -> Attack:
    return changed(scene, node("Exec", "\x1b[2J\x1b[HVERIFIED"))


@case(4, "uses the operator EPContext, which loads or calls")
def a_compiled_context_in_another_file(scene: Scene) -> Attack:
    return changed(
        scene, node("EPContext", "com.microsoft", embed_mode=0, ep_cache_context="/tmp/evil.so")
    )


@case(4, "uses the operator EPContext, which loads or calls")
def a_function_that_is_called_like_a_compiled_context(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        inner = helper.make_node("Relu", ["a"], ["b"])
        opset = helper.make_opsetid("", 17)
        proto.functions.append(
            helper.make_function("com.microsoft", "EPContext", ["a"], ["b"], [inner], [opset])
        )
        node("EPContext", "com.microsoft", ep_cache_context="/tmp/evil.so")(proto)

    return changed(scene, change)


@case(4, "uses the operator PythonOp, which loads or calls")
def a_call_of_python(scene: Scene) -> Attack:
    return changed(scene, node("PythonOp", "com.microsoft", func_name="os.system"))


# sizes that no file can mean


def tensor_of(dims: list[int]) -> Callable[[Any], None]:
    return lambda proto: proto.graph.initializer.add(name="big", data_type=1, dims=dims)


@case(4, "absurd axes")
def an_axis_of_2_to_40(scene: Scene) -> Attack:
    return changed(scene, tensor_of([2**40]))


@case(4, "absurd axes")
def a_negative_axis(scene: Scene) -> Attack:
    return changed(scene, tensor_of([-1, 4]))


@case(4, "absurd axes")
def a_thousand_axes(scene: Scene) -> Attack:
    return changed(scene, tensor_of([1] * 1000))


@case(4, "elements in")
def axes_whose_product_overflows(scene: Scene) -> Attack:
    return changed(scene, tensor_of([2**31, 2**31, 4]))


@case(4, "elements in")
def a_large_tensor_without_data(scene: Scene) -> Attack:
    return changed(scene, tensor_of([2**30]))


@case(4, "a sparse tensor of more than")
def a_sparse_tensor_of_2_to_60(scene: Scene) -> Attack:
    return changed(scene, lambda proto: proto.graph.sparse_initializer.add(dims=[2**30, 2**30]))


@case(4, "has more than 200,000 nodes")
def too_many_nodes(scene: Scene) -> Attack:
    one = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    repeated = one.SerializeToString()[: -len("\x12\x01g")] * 200_001
    return verify(scene, b"\x08\x08\x3a" + varint(len(repeated)) + repeated)


@case(4, "nests graphs deeper than 16")
def a_graph_in_a_graph_in_a_graph(scene: Scene) -> Attack:
    graph = helper.make_graph([], "innermost", [], [])
    for _ in range(20):
        graph = helper.make_graph(
            [helper.make_node("If", ["c"], ["d"], then_branch=graph)], "", [], []
        )
    return changed(scene, lambda proto: proto.graph.CopyFrom(graph))


@case(4, "has functions that call themselves")
def functions_in_a_circle(scene: Scene) -> Attack:
    return changed(scene, lambda proto: proto.functions.extend(_chain(["A", "B", "A"], 1)))


@case(4, "with its functions written out")
def functions_that_double_sixty_times(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        names = [f"F{number}" for number in range(60)]
        proto.functions.extend(_chain([*names, "Relu"], 2))
        proto.graph.node.append(helper.make_node("F0", ["x"], ["z"], domain="own"))
        proto.opset_import.append(helper.make_opsetid("own", 1))

    return changed(scene, change)


@case(4, "the function A occurs twice")
def a_function_with_two_bodies(scene: Scene) -> Attack:
    return changed(
        scene, lambda proto: proto.functions.extend(_chain(["A", "Relu"], 1) + _chain(["A", ""], 1))
    )


@case(4, "has 65 inputs")
def too_many_inputs(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        for number in range(64):
            proto.graph.input.add(name=f"more{number}")

    return changed(scene, change)


@case(4, "onnxruntime cannot load")
def an_input_that_clears_the_screen(scene: Scene) -> Attack:
    return changed(scene, lambda proto: proto.graph.input.add(name="\x1b[2J\x1b[HVERIFIED"))


@case(4, "onnxruntime cannot load")
def an_output_that_turns_the_line_around(scene: Scene) -> Attack:
    return changed(scene, lambda proto: proto.graph.output.add(name="\u202eDEIFIREV"))


@case(4, "onnxruntime cannot load")
def an_input_with_an_endless_name(scene: Scene) -> Attack:
    return changed(scene, lambda proto: proto.graph.input.add(name="x" * 2**20))


def _chain(names: list[str], calls: int) -> list[Any]:
    """Return functions of which each calls the next so many times."""
    found = []
    for name, called in pairwise(names):
        domain = "" if called in ("Relu", "") else "own"
        nodes = [
            helper.make_node(called, [f"t{number}"], [f"t{number + 1}"], domain=domain)
            for number in range(calls)
        ]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        found.append(helper.make_function("own", name, ["t0"], [f"t{calls}"], nodes, opsets))
    return found


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
