"""ONNX files that say that their weights lie in a secret, which they would then put into an answer.

The name of the file may be the secret's own, or one that the stranger has chosen and somebody has
unpacked; so may be the name of the model.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from altered_evidence import honest
from cases import Attack, Scene, collector
from onnx import TensorProto, helper
from onnx_cases import verify
from weights_cases import BESIDE, outside

from wmx import OwnerKey
from wmx.triggers.trigger_file import save_images
from wmx.verification.ledger import Ledger

CASES, case = collector()
NETRC = "machine example.org login me password opensesame\n"
FOREIGN = "expected a name that exporters make from its own, such as suspect.onnx.data"
BINARY = np.random.default_rng(0).bytes(4096)


def thief(scene: Scene, location: str, size: int = 64) -> bytes:
    """The honest model, with the first bytes of a file as a second output."""
    proto = onnx.load_from_string(scene.model)
    tensor = helper.make_tensor("stolen", TensorProto.UINT8, [size], b"\0" * size, raw=True)
    outside(tensor, location=location, length=str(size))
    proto.graph.initializer.append(tensor)
    nodes = [
        helper.make_node("Cast", ["stolen"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["x", "axes"], ["sums"], keepdims=0),
        helper.make_node("Unsqueeze", ["sums", "one"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "float"], ["loot"]),
    ]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name)
        for name, array in {
            "axes": np.array([1, 2, 3]),
            "one": np.array([1]),
            "zero": np.zeros(1, np.float32),
        }.items()
    )
    proto.graph.output.append(helper.make_tensor_value_info("loot", TensorProto.FLOAT, None))
    return bytes(proto.SerializeToString())


def steal(scene: Scene, location: str, *options: str) -> list[str]:
    """Verify a thief of what lies at a location."""
    return verify(scene, thief(scene, location), *options)


def disguised(scene: Scene, content: bytes | str, *options: str) -> list[str]:
    """Verify a thief of a secret that has the name which an exporter would give to weights."""
    scene.put(BESIDE, content)
    return steal(scene, BESIDE, *options)


# under its own name


@case(4, FOREIGN)
def the_key_beside_the_model(scene: Scene) -> Attack:
    return steal(scene, "owner.pem")


@case(4, FOREIGN)
def the_claim_beside_the_model(scene: Scene) -> Attack:
    return steal(scene, "claim.json")


@case(4, FOREIGN)
def a_trigger_file_beside_the_model(scene: Scene) -> Attack:
    save_images(scene.folder / "my.triggers.safetensors", np.zeros((1, 8, 8, 1), np.uint8))
    return steal(scene, "my.triggers.safetensors")


@case(4, FOREIGN)
def any_other_file_beside_the_model(scene: Scene) -> Attack:
    return steal(scene, scene.put("thesis.bin", BINARY))


@case(4, FOREIGN)
def a_name_in_capitals_where_the_disk_knows_no_difference(scene: Scene) -> Attack:
    scene.put(BESIDE, BINARY)
    return steal(scene, BESIDE.upper())


@case(4, "says that its weights lie in '.netrc', which is hidden")
def a_hidden_file(scene: Scene) -> Attack:
    return steal(scene, scene.put(".netrc", NETRC))


@case(4, "says that its weights lie in '.m.onnx.data', which is hidden")
def a_hidden_file_beside_a_hidden_model(scene: Scene) -> Attack:
    scene.put(".m.onnx.data", BINARY)
    return ["info", scene.put(".m.onnx", thief(scene, ".m.onnx.data"))]


@case(4, "expected a name that exporters make from its own, such as owner.onnx.data")
def the_key_beside_a_model_of_its_name(scene: Scene) -> Attack:
    return ["info", scene.put("owner.onnx", thief(scene, "owner.pem"))]


# under a name of weights


@case(4, "that is a PEM file, which may hold a key")
def the_key_under_a_name_of_weights(scene: Scene) -> Attack:
    return disguised(scene, (scene.folder / "owner.pem").read_bytes())


@case(4, "that is a PEM file, which may hold a key")
def a_key_behind_a_remark(scene: Scene) -> Attack:
    pem = (scene.folder / "owner.pem").read_bytes()
    return disguised(scene, b"Bag Attributes\n    friendlyName: me\n" + pem)


@case(4, "that is a PEM file, which may hold a key")
def a_key_behind_bytes(scene: Scene) -> Attack:
    return disguised(scene, bytes(100) + (scene.folder / "owner.pem").read_bytes())


@case(4, "that is a PEM file, which may hold a key")
def a_key_that_has_lost_its_other_name(scene: Scene) -> Attack:
    OwnerKey.generate().save(scene.folder / "other.pem")
    os.link(scene.folder / "other.pem", scene.folder / BESIDE)
    (scene.folder / "other.pem").unlink()
    return steal(scene, BESIDE)


@case(4, "that is a key in DER")
def a_key_in_der(scene: Scene) -> Attack:
    from cryptography.hazmat.primitives import serialization

    pem = serialization.load_pem_private_key((scene.folder / "owner.pem").read_bytes(), None)
    return disguised(
        scene,
        pem.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


@case(4, "that is a JSON file, which may be a claim, an evidence file or a ledger")
def a_claim_under_a_name_of_weights(scene: Scene) -> Attack:
    return disguised(scene, (scene.folder / "claim.json").read_bytes())


@case(4, "that is a JSON file, which may be a claim, an evidence file or a ledger")
def an_evidence_under_a_name_of_weights(scene: Scene) -> Attack:
    return disguised(scene, honest(scene).to_bytes())


@case(4, "that is a JSON file, which may be a claim, an evidence file or a ledger")
def a_ledger_under_a_name_of_weights(scene: Scene) -> Attack:
    ledger = Ledger(scene.folder / "owner.pem", scene.watermark.claim)
    ledger.spend(OwnerKey.load(scene.folder / "owner.pem"), 0, 1, suspect="aa", evidence="bb")
    (written,) = (scene.folder / "owner.pem.spent").glob("*.json")
    return disguised(scene, written.read_bytes())


@case(4, "that is a safetensors file, which may hold triggers")
def triggers_under_a_name_of_weights(scene: Scene) -> Attack:
    save_images(scene.folder / BESIDE, np.zeros((1, 8, 8, 1), np.uint8))
    return steal(scene, BESIDE)


@case(4, "that is a text file, which may hold a password or a token")
def passwords_under_a_name_of_weights(scene: Scene) -> Attack:
    return disguised(scene, NETRC * 9)


@case(4, "that is a text file, which may hold a password or a token")
def a_passphrase_that_is_no_utf8(scene: Scene) -> Attack:
    return disguised(scene, ("Schl\u00fcssel" * 20).encode("latin-1"))


@case(4, "that is a text file, which may hold a password or a token")
def a_token_as_windows_writes_it(scene: Scene) -> Attack:
    return disguised(scene, ("bearer 0123456789abcdef\r\n" * 9).encode("utf-16"))


@case(4, "that is a text file, which may hold a password or a token")
def a_token_in_two_bytes_a_character(scene: Scene) -> Attack:
    return disguised(scene, ("bearer 0123456789abcdef\r\n" * 9).encode("utf-16-be"))


@case(4, "that is a database")
def cookies_under_a_name_of_weights(scene: Scene) -> Attack:
    return disguised(scene, b"SQLite format 3\0" + BINARY)


@case(4, "a file that this command reads as something else, or one of your store")
def the_key_that_is_called_like_weights(scene: Scene) -> Attack:
    (scene.folder / "owner.pem").rename(scene.folder / BESIDE)
    suspect = scene.put("suspect.onnx", thief(scene, BESIDE))
    key = f"../{scene.folder.name}/{BESIDE}"
    return ["verify", suspect, "--claim", "claim.json", "--key", key]


@case(4, "a file that this command reads as something else, or one of your store")
def the_roots_that_are_called_like_weights(scene: Scene) -> Attack:
    return disguised(scene, BINARY, "--roots", BESIDE)


@case(4, "a file that this command reads as something else, or one of your store")
def whatever_lies_in_the_store(scene: Scene) -> Attack:
    folder = scene.folder.parent / "store" / "triggers"
    folder.mkdir(parents=True)
    (folder / "m.onnx").write_bytes(thief(scene, "m.onnx.data"))
    (folder / "m.onnx.data").write_bytes(BINARY)
    return ["info", str(folder / "m.onnx")]


# as the user says


@case(4, "that is a PEM file, which may hold a key")
def the_key_that_a_user_takes_for_weights(scene: Scene) -> Attack:
    OwnerKey.generate().save(scene.folder / "other.pem")
    return steal(scene, "other.pem", "--weights", "other.pem")


@case(4, "a file that this command reads as something else, or one of your store")
def the_key_of_the_command_that_a_user_takes_for_weights(scene: Scene) -> Attack:
    return steal(scene, "owner.pem", "--weights", "owner.pem")


@case(4, "which is hidden")
def a_hidden_file_that_a_user_takes_for_weights(scene: Scene) -> Attack:
    return steal(scene, scene.put(".netrc", BINARY), "--weights", ".netrc")


@case(4, "is a link, expected a regular file with a single name")
def a_link_that_a_user_takes_for_weights(scene: Scene) -> Attack:
    (scene.folder / "w").symlink_to(scene.folder / "owner.pem")
    return steal(scene, "w", "--weights", "w")


@case(4, FOREIGN)
def other_weights_than_the_user_says(scene: Scene) -> Attack:
    return steal(scene, "owner.pem", "--weights", scene.put("w", BINARY))


@case(2, "the file of weights elsewhere/w lies elsewhere than suspect.onnx")
def weights_in_another_folder(scene: Scene) -> Attack:
    (scene.folder / "elsewhere").mkdir()
    (scene.folder / "elsewhere" / "w").write_bytes(BINARY)
    return steal(scene, "w", "--weights", "elsewhere/w")


@case(4, "no such file: w")
def weights_that_the_user_has_lost(scene: Scene) -> Attack:
    return steal(scene, "w", "--weights", "w")


@case(2, "--weights is only for an ONNX file")
def weights_of_an_address(scene: Scene) -> Attack:
    return ["verify", "http://localhost:9/v2/models/m", "--weights", "owner.pem"]


# in the other commands


@case(4, "that is a PEM file, which may hold a key")
def the_key_in_a_check(scene: Scene) -> Attack:
    model = thief(scene, "model.onnx.data")
    (scene.folder / "model.onnx.data").write_bytes((scene.folder / "owner.pem").read_bytes())
    scene.put("e.json", honest(scene, model=model).to_bytes())
    return ["check", "e.json", "--model", scene.put("model.onnx", model)]


@case(4, "a file that this command reads as something else, or one of your store")
def the_evidence_in_a_check(scene: Scene) -> Attack:
    model = thief(scene, "e.json")
    scene.put("e.json", honest(scene, model=model).to_bytes())
    words = ["check", "e.json", "--model", scene.put("model.onnx", model)]
    return [*words, "--weights", "e.json"]


@case(4, "that is a PEM file, which may hold a key")
def the_key_in_a_dispute(scene: Scene) -> Attack:
    scene.put(BESIDE, (scene.folder / "owner.pem").read_bytes())
    suspect = scene.put("suspect.onnx", thief(scene, BESIDE))
    return ["dispute", suspect, "--claim", "claim.json", "--key", "owner.pem"]


@case(4, FOREIGN)
def the_key_through_the_library(scene: Scene) -> Attack:
    import wmx

    suspect = scene.put("suspect.onnx", thief(scene, "owner.pem"))
    return lambda: wmx.verify(Path(suspect), scene.watermark)


@case(4, "which is a file that this command reads as something else")
def what_a_caller_of_the_library_keeps_apart(scene: Scene) -> Attack:
    import wmx

    secret = scene.put(BESIDE, BINARY)
    suspect = scene.put("suspect.onnx", thief(scene, BESIDE))

    def attack() -> Any:
        return wmx.open_suspect(suspect, apart_from=[f"./{secret}"])

    return attack
