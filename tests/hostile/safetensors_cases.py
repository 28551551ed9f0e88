"""Safetensors files: the secret images of a claim, weights and checkpoints."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from cases import Attack, Scene, collector
from safetensors.numpy import save

from wmx.training.checkpoint import Identity, load_checkpoint
from wmx.training.weights import read_weights

CASES, case = collector()


def container(header: Any, data: bytes = b"") -> bytes:
    """A file with any header."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"triggers": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


def triggers(scene: Scene, data: bytes) -> list[str]:
    """Verify with a file of secret images."""
    scene.put("model.onnx", scene.model)
    scene.put("bad.safetensors", data)
    return [
        *("verify", "model.onnx", "--claim", "claim.json", "--key", "owner.pem"),
        *("--triggers", "bad.safetensors"),
    ]


NOT_TRIGGERS = "is not a trigger file"


@case(3, NOT_TRIGGERS)
def no_triggers_at_all(scene: Scene) -> Attack:
    return triggers(scene, b"")


@case(3, NOT_TRIGGERS)
def a_header_longer_than_the_file(scene: Scene) -> Attack:
    return triggers(scene, struct.pack("<Q", 2**62) + b"{}")


@case(3, NOT_TRIGGERS)
def a_header_that_is_no_json(scene: Scene) -> Attack:
    return triggers(scene, container(b"{" * 1000))


@case(3, NOT_TRIGGERS)
def a_header_a_million_deep(scene: Scene) -> Attack:
    return triggers(scene, container(b'{"a":' * 100_000))


@case(3, NOT_TRIGGERS)
def offsets_beyond_the_end(scene: Scene) -> Attack:
    return triggers(scene, container(tensor("U8", [1, 8, 8, 1], 0, 64), bytes(32)))


@case(3, NOT_TRIGGERS)
def offsets_that_run_backwards(scene: Scene) -> Attack:
    return triggers(scene, container(tensor("U8", [1, 8, 8, 1], 64, 0), bytes(64)))


@case(3, NOT_TRIGGERS)
def a_shape_that_overflows(scene: Scene) -> Attack:
    return triggers(scene, container(tensor("U8", [2**32, 2**32, 4, 1], 0, 64), bytes(64)))


@case(3, NOT_TRIGGERS)
def a_dtype_that_does_not_exist(scene: Scene) -> Attack:
    return triggers(scene, container(tensor("O8", [1, 8, 8, 1], 0, 64), bytes(64)))


@case(3, NOT_TRIGGERS)
def a_dtype_that_numpy_has_not(scene: Scene) -> Attack:
    return triggers(scene, container(tensor("F8_E4M3", [1, 8, 8, 1], 0, 64), bytes(64)))


@case(3, "expected uint8 [n, H, W, C]")
def images_of_floats(scene: Scene) -> Attack:
    return triggers(scene, save({"triggers": np.zeros((1, 8, 8, 1), np.float32)}))


@case(4, "not a regular file")
def triggers_from_a_pipe(scene: Scene) -> Attack:
    attack = triggers(scene, b"")
    os.unlink("bad.safetensors")
    os.mkfifo("bad.safetensors")
    return attack


def weights(scene: Scene, data: bytes) -> Attack:
    path = Path(scene.put("weights.safetensors", data))
    return lambda: read_weights(path, {"w": np.zeros(4, np.float32)})


@case(4, "cannot read weights.safetensors as safetensors")
def weights_of_noise(scene: Scene) -> Attack:
    return weights(scene, bytes(range(256)))


@case(4, "cannot read weights.safetensors as safetensors")
def weights_that_are_a_pickle(scene: Scene) -> Attack:
    return weights(scene, b"\x80\x04cposix\nsystem\n(S'touch pwned'\ntR.")


@case(4, "cannot read weights.safetensors as safetensors")
def weights_of_a_dtype_that_numpy_has_not(scene: Scene) -> Attack:
    header = {"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}
    return weights(scene, container(header, bytes(4)))


@case(2, "does not fit the model")
def weights_of_another_model(scene: Scene) -> Attack:
    return weights(scene, save({"v": np.zeros(4, np.float32)}))


def checkpoint(scene: Scene, data: bytes) -> Attack:
    path = Path(scene.put("checkpoint.safetensors", data))
    identity = Identity("torch", {"epochs": 3}, None, "data")
    return lambda: load_checkpoint(path, identity)


NOT_A_CHECKPOINT = "is not a checkpoint of this run"


def about(text: str) -> bytes:
    """A checkpoint that says this of itself."""
    return save({"w": np.zeros(4, np.float32)}, {"wmx": text})


@case(3, NOT_A_CHECKPOINT)
def a_checkpoint_of_noise(scene: Scene) -> Attack:
    return checkpoint(scene, bytes(range(256)))


@case(3, NOT_A_CHECKPOINT)
def a_checkpoint_that_says_nothing(scene: Scene) -> Attack:
    return checkpoint(scene, save({"w": np.zeros(4, np.float32)}))


@case(3, NOT_A_CHECKPOINT)
def a_checkpoint_that_says_a_list(scene: Scene) -> Attack:
    return checkpoint(scene, about("[]"))


@case(3, NOT_A_CHECKPOINT)
def a_checkpoint_with_brackets_a_million_deep(scene: Scene) -> Attack:
    return checkpoint(scene, about("[" * 1_000_000))


@case(3, NOT_A_CHECKPOINT)
def a_checkpoint_whose_settings_are_a_number(scene: Scene) -> Attack:
    return checkpoint(
        scene, about('{"framework":"torch","claim":null,"data":"data","settings":7,"epoch":1}')
    )


@case(3, NOT_A_CHECKPOINT)
def a_checkpoint_after_minus_one_epochs(scene: Scene) -> Attack:
    return checkpoint(
        scene,
        about(
            '{"framework":"torch","claim":null,"data":"data","settings":{"epochs":3},"epoch":-1}'
        ),
    )
