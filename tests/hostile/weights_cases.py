"""ONNX files that say that their weights lie elsewhere: where they must not, or where none are."""

import os
from collections.abc import Callable
from typing import Any

import onnx
from cases import Attack, Scene, collector
from onnx import TensorProto, helper
from onnx_cases import changed, varint, verify

CASES, case = collector()
BESIDE = "suspect.onnx.data"  # as exporters call it


@case(4, "lies at a place of unknown kind")
def weights_at_a_place_that_only_the_runtime_takes_for_another_file(scene: Scene) -> Attack:
    """C++ keeps the lower 32 bits of 2^32 + 1: EXTERNAL."""
    tensor = onnx.load_from_string(scene.model).graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor = tensor.SerializeToString() + b"\x70" + varint(2**32 + 1)
    graph = b"\x2a" + varint(len(tensor)) + tensor
    return verify(scene, b"\x08\x08\x3a" + varint(len(graph)) + graph)


def outside(tensor: Any, **entries: str) -> None:
    """Make a tensor say that its data lie elsewhere."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def first_tensor_at(location: str) -> Callable[[Any], None]:
    return lambda proto: outside(proto.graph.initializer[0], location=location)


@case(4, "no such file: ")
def weights_that_are_not_there(scene: Scene) -> Attack:
    return changed(scene, first_tensor_at(BESIDE))


@case(4, "beyond the end of suspect.onnx.data, which has 3 bytes")
def weights_in_a_file_that_is_too_short(scene: Scene) -> Attack:
    scene.put(BESIDE, b"\0" * 3)
    return changed(
        scene, lambda proto: outside(proto.graph.initializer[0], location=BESIDE, length="4")
    )


@case(4, "beyond the end of suspect.onnx.data, which has 65,536 bytes")
def weights_that_begin_behind_the_end(scene: Scene) -> Attack:
    scene.put(BESIDE, bytes(2**16))
    return changed(
        scene,
        lambda proto: outside(
            proto.graph.initializer[0], location=BESIDE, offset="900000000000000000"
        ),
    )


@case(4, "elements in 3 bytes")
def weights_of_more_than_their_file(scene: Scene) -> Attack:
    scene.put(BESIDE, b"\0" * 3)

    def change(proto: Any) -> None:
        proto.graph.initializer[0].dims[:] = [2**20]
        outside(proto.graph.initializer[0], location=BESIDE)

    return changed(scene, change)


@case(4, "at a place that is no number: '-1'")
def weights_before_the_beginning(scene: Scene) -> Attack:
    scene.put(BESIDE, bytes(2**16))
    return changed(
        scene,
        lambda proto: outside(proto.graph.initializer[0], location=BESIDE, offset="-1"),
    )


@case(4, "with two places of its data")
def weights_in_two_places(scene: Scene) -> Attack:
    scene.put(BESIDE, bytes(2**16))

    def change(proto: Any) -> None:
        outside(proto.graph.initializer[0], location=BESIDE)
        proto.graph.initializer[0].external_data.add(key="location", value="owner.pem")

    return changed(scene, change)


@case(4, "says that its weights lie in itself")
def weights_in_the_model_itself(scene: Scene) -> Attack:
    return changed(scene, first_tensor_at("suspect.onnx"))


@case(4, "is a folder, expected a file")
def weights_in_a_folder(scene: Scene) -> Attack:
    (scene.folder / BESIDE).mkdir()
    return changed(scene, first_tensor_at(BESIDE))


@case(4, "is not a regular file")
def weights_in_a_pipe(scene: Scene) -> Attack:
    os.mkfifo(scene.folder / BESIDE)
    return changed(scene, first_tensor_at(BESIDE))


@case(4, "keeps its weights in more than 1,000 files")
def weights_in_files_without_number(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        for number in range(1001):
            tensor = helper.make_tensor(f"t{number}", TensorProto.FLOAT, [4], [0.0] * 4)
            outside(tensor, location=f"w{number}")
            proto.graph.initializer.append(tensor)

    return changed(scene, change)


@case(4, "in a place that is no file beside it ('w/eights.bin')")
def weights_in_a_folder_below(scene: Scene) -> Attack:
    return changed(scene, first_tensor_at("w/eights.bin"))


@case(4, "suspect.onnx.data is a link, expected a regular file with a single name")
def weights_behind_a_symbolic_link(scene: Scene) -> Attack:
    (scene.folder / BESIDE).symlink_to(scene.folder / "owner.pem")
    return changed(scene, first_tensor_at(BESIDE))


@case(4, "suspect.onnx.data is a link, expected a regular file with a single name")
def weights_behind_a_hard_link(scene: Scene) -> Attack:
    os.link(scene.folder / "owner.pem", scene.folder / BESIDE)
    return changed(scene, first_tensor_at(BESIDE))


@case(4, "in a file outside its folder ('/etc/passwd')")
def weights_at_an_absolute_path(scene: Scene) -> Attack:
    return changed(scene, first_tensor_at("/etc/passwd"))


@case(4, "in a file outside its folder ('../store/owner.pem')")
def weights_in_a_folder_above(scene: Scene) -> Attack:
    return changed(scene, first_tensor_at("../store/owner.pem"))


@case(4, "in a file outside its folder")
def weights_above_in_windows_spelling(scene: Scene) -> Attack:
    return changed(scene, first_tensor_at("a\\..\\..\\owner.pem"))


@case(4, "in a file outside its folder ('C:/key.pem')")
def weights_on_a_drive(scene: Scene) -> Attack:
    return changed(scene, first_tensor_at("C:/key.pem"))


@case(4, "at an address in memory")
def weights_in_the_memory_of_the_process(scene: Scene) -> Attack:
    return changed(
        scene,
        lambda proto: outside(
            proto.graph.initializer[0],
            location="*/_ORT_MEM_ADDR_/*",
            offset="140000000000000",
            length="4096",
        ),
    )


@case(4, "in a place that is no file beside it ('')")
def weights_said_to_be_nowhere(scene: Scene) -> Attack:
    return changed(scene, lambda proto: outside(proto.graph.initializer[0]))


@case(4, "no such file: ")
def entries_without_the_mark_that_they_count(scene: Scene) -> Attack:
    return changed(
        scene,
        lambda proto: proto.graph.initializer[0].external_data.add(key="location", value=BESIDE),
    )


@case(4, "in a file outside its folder")
def weights_elsewhere_in_a_constant(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        tensor = helper.make_tensor("t", TensorProto.FLOAT, [4], [0.0] * 4)
        outside(tensor, location="/etc/passwd")
        proto.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))

    return changed(scene, change)


@case(4, "in a file outside its folder")
def weights_elsewhere_in_a_branch(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        tensor = helper.make_tensor("t", TensorProto.FLOAT, [4], [0.0] * 4)
        outside(tensor, location="/etc/passwd")
        branch = helper.make_graph([], "b", [], [], [tensor])
        proto.graph.node.append(
            helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch)
        )

    return changed(scene, change)


@case(4, "in a file outside its folder")
def weights_elsewhere_in_a_function(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        tensor = helper.make_tensor("t", TensorProto.FLOAT, [4], [0.0] * 4)
        outside(tensor, location="/etc/passwd")
        node = helper.make_node("Constant", [], ["c"], value=tensor)
        proto.functions.append(
            helper.make_function("own", "F", [], ["c"], [node], [helper.make_opsetid("", 17)])
        )

    return changed(scene, change)


@case(4, "in a file outside its folder")
def weights_elsewhere_in_a_sparse_tensor(scene: Scene) -> Attack:
    def change(proto: Any) -> None:
        sparse = proto.graph.sparse_initializer.add(dims=[4])
        sparse.values.CopyFrom(helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0]))
        sparse.indices.CopyFrom(helper.make_tensor("i", TensorProto.INT64, [1], [0]))
        outside(sparse.values, location="/etc/passwd")

    return changed(scene, change)
