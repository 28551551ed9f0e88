"""The only module that uses onnxruntime: loads a model from bytes and runs it on arrays.

All other modules use the interface of :class:`Session`: an untrusted model runs behind it in
another process (:mod:`wmx.suspect.remote`), the user's own export in this one.
"""

import contextlib
import ctypes
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from wmx._internal.text import printable
from wmx.errors import CannotRunError, install_hint
from wmx.suspect.policy.external_data import ONE_FILE_HINT
from wmx.suspect.policy.onnx_rules import Outline
from wmx.suspect.types import Device, TensorSpec, shown_names
from wmx.suspect.values import (
    BFLOAT16,
    NOTHING,
    UNKNOWN_TO_NUMPY,
    Texts,
    Value,
    from_ort_value,
    from_sequence,
    numbers_in_front,
    to_bfloat16,
)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
PROVIDER_OF = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
PROVIDER_OPTIONS: dict[str, dict[str, str]] = {CUDA: {"use_tf32": "0"}, TENSORRT: {}}

BFLOAT16_IN_ONNX = 16  # onnx.TensorProto.BFLOAT16

FATAL_ONLY = 4
Buffer: TypeAlias = "bytes | memoryview"
NOWHERE = "wmx-reads-no-external-data"  # relative, never made: the runtime reads no file itself

ROOM_HINT = "run it on a machine with more, or see wmx verify --help on its limit"

RUNTIME_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)


class Session:
    """A loaded model.

    Attributes:
        inputs, outputs: in the file's order.
        provider: the execution provider in use.
        version: of the runtime.
    """

    version = str(onnxruntime.__version__)

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._names: dict[str, str] = {}  # in the file, of each input as it is shown
        self.inputs = _ports(session.get_inputs(), "input", self._names)
        outputs: dict[str, str] = {}
        self.outputs = _ports(session.get_outputs(), "output", outputs)
        self.provider: str = session.get_providers()[0]
        self._texts = [Texts() for _ in self.outputs]
        self._halves = {port.name for port in self.inputs if port.type == BFLOAT16}
        self._output_names = list(outputs.values())
        self._unknown = [outputs[port.name] for port in self.outputs if _is_unknown(port)]

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[Value]:
        """Return the value of every output, in the order of :attr:`outputs`.

        Maps from classes to scores and sequences of arrays become one array, where they can, and
        texts numbers (:mod:`wmx.suspect.values`); ``None`` stands for what cannot.  An optional
        or a sequence without a value is an empty array.

        Args:
            inputs: arrays by the names of the inputs.

        Raises:
            CannotRunError: the model failed on these inputs.
        """
        try:
            fed = {
                self._names[name]: self._as_declared(name, array) for name, array in inputs.items()
            }
            return list(map(_as_array, self._values(fed), self._texts))
        except MemoryError:
            raise CannotRunError("the model needs more memory than there is", ROOM_HINT) from None
        except RUNTIME_ERRORS as error:
            shapes = ", ".join(f"{array.dtype} {array.shape}" for array in inputs.values())
            raise CannotRunError(
                f"the model failed on an input of {shapes}: {_first_line(error)}"
            ) from None

    def _as_declared(self, name: str, array: NDArray[Any]) -> Any:
        if name not in self._halves:
            return array
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            to_bfloat16(array), BFLOAT16_IN_ONNX
        )

    def _values(self, fed: dict[str, Any]) -> list[Any]:
        """Return all outputs; those that the runtime cannot convert to numpy are run separately."""
        if not self._unknown:
            return list(self._session.run(None, fed))
        given = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(value)
            if isinstance(value, np.ndarray)
            else value
            for name, value in fed.items()
        }
        unknown = self._session.run_with_ort_values(self._unknown, given)
        values = dict(zip(self._unknown, map(from_ort_value, unknown), strict=True))
        known = [name for name in self._output_names if name not in values]
        if known:
            values |= zip(known, self._session.run(known, fed), strict=True)
        return [values[name] for name in self._output_names]


def _as_array(value: Any, texts: Texts) -> Value:
    if value is None or (isinstance(value, list) and not value):
        return NOTHING
    if isinstance(value, list):
        value = from_sequence(value)
    if isinstance(value, list):
        return [_of_numbers(part, texts) for part in value]
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype.kind in "OUST" and (front := numbers_in_front(value)) is not None:
        return [_of_numbers(value, texts), front]
    return _of_numbers(value, texts)


def _of_numbers(array: NDArray[Any], texts: Texts) -> NDArray[Any] | None:
    return texts.numbered(array) if array.dtype.kind in "OUST" else array


def _is_unknown(port: TensorSpec) -> bool:
    """Return whether an output is, or may be, of a type that numpy does not know."""
    return port.type.removeprefix("optional(").rstrip(")") + ")" in UNKNOWN_TO_NUMPY


def load(
    data: bytes,
    outline: Outline,
    device: Device = "auto",
    provider: str | None = None,
    external: Mapping[str, Buffer] | None = None,
) -> Session:
    """Load a model from the bytes of its files; the runtime reads none itself.

    Args:
        data: the ONNX file.
        outline: of the file, from :func:`wmx.suspect.policy.rules.looked_through`.
        device: ``"auto"`` takes CUDA where it can run, else the CPU; any other device is used or
            refused, never silently replaced.
        provider: result of :func:`provider_for` for the device, if it is known already.
        external: the files beside it that hold its weights, by name.

    Raises:
        CannotRunError: the weights are not those of the model, it needs an operator set that the
            runtime does not know, or the device cannot be used.
    """
    onnxruntime.set_default_logger_severity(FATAL_ONLY)
    external = external or {}
    sizes = {file: memoryview(content).nbytes for file, content in external.items()}
    outline.require_weights(sizes)
    options = _options()
    if external:
        options.add_external_initializers_from_files_in_memory(
            list(external), list(external.values()), list(sizes.values())
        )
    wanted = provider or provider_for(device)
    try:
        session = onnxruntime.InferenceSession(
            data,
            sess_options=options,
            providers=[CPU] if wanted == CPU else [(wanted, PROVIDER_OPTIONS[wanted]), CPU],
        )
    except MemoryError:
        raise CannotRunError(f"{outline.name} needs more memory than there is", ROOM_HINT) from None
    except RUNTIME_ERRORS as error:
        raise _load_error(outline.name, error) from None
    loaded = Session(session)
    if device in ("cuda", "tensorrt") and loaded.provider != wanted:
        raise CannotRunError(
            f"{wanted} could not be started on this machine",
            hint=f"use --device cpu; or {install_hint('cuda')}, which brings the libraries",
        )
    return loaded


def usable_providers() -> list[str]:
    """Return the execution providers that can run on this machine."""
    built = onnxruntime.get_available_providers()
    return [name for name in built if name not in (CUDA, TENSORRT) or _has_nvidia_driver()]


def provider_for(device: Device) -> str:
    """Return the execution provider for a device, and load its libraries.

    Raises:
        CannotRunError: it cannot run on this machine.
    """
    if device == "cpu" or (device == "auto" and CUDA not in usable_providers()):
        return CPU
    wanted = CUDA if device == "auto" else PROVIDER_OF[device]
    if wanted not in usable_providers():
        raise CannotRunError(
            f"{wanted} cannot run on this machine: usable here are {', '.join(usable_providers())}",
            hint="use --device auto or --device cpu",
        )
    _preload_cuda_libraries()
    return wanted


def _has_nvidia_driver() -> bool:
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
        count = ctypes.c_int(0)
        return bool(
            driver.cuInit(0) == 0
            and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
            and count.value > 0
        )
    except (OSError, AttributeError):
        return False


def _preload_cuda_libraries() -> None:
    """Load CUDA and cuDNN from where pip installs them; the provider check reports missing ones."""
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            preload()


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", NOWHERE
    )
    return options


def _ports(nodes: Sequence[Any], role: str, names: dict[str, str]) -> tuple[TensorSpec, ...]:
    """Read declared inputs or outputs; ``names`` gets what each is called in the file."""
    given = [node.name for node in nodes]
    shown = shown_names(given, role)
    names |= zip(shown, given, strict=True)
    return tuple(_port(name, node, role) for name, node in zip(shown, nodes, strict=True))


def _port(name: str, node: Any, role: str) -> TensorSpec:
    """Read a declared input or output; names of free axes are dropped.

    An optional input takes what the tensor within takes.
    """
    kind: str = node.type
    if role == "input" and kind.startswith("optional(tensor"):
        kind = kind.removeprefix("optional(")[:-1]
    shape: Sequence[Any] = node.shape if kind.startswith("tensor") else ()
    dims = tuple(dim if isinstance(dim, int) and dim > 0 else None for dim in shape)
    return TensorSpec(name, kind, dims)


def _load_error(name: str, error: Exception) -> CannotRunError:
    """Turn an error of onnxruntime into one with a hint."""
    text = str(error)
    if "xternal data" in text or "external_data" in text or NOWHERE in text:
        return CannotRunError(
            f"onnxruntime cannot take the weights that {name} keeps in another file: "
            f"{_first_line(error)}",
            hint=ONE_FILE_HINT,
        )
    if "ValidateOpsetForDomain" in text or "is under development" in text or "IR version" in text:
        return CannotRunError(
            f"{name} is of a newer ONNX version than onnxruntime {Session.version} knows: "
            f"{_first_line(error)}",
            hint="update onnxruntime, or export the model with a lower opset",
        )
    if isinstance(error, ort_errors.InvalidProtobuf) or "No graph was found" in text:
        return CannotRunError(
            f"{name} is a damaged ONNX file: cut off or changed on its way",
            hint="copy or export it again, and compare its SHA-256",
        )
    return CannotRunError(
        f"onnxruntime cannot load {name}: {_first_line(error)}",
        hint="check the file with onnx.checker.check_model, or export it again",
    )


def _first_line(error: Exception) -> str:
    """Return the message without the runtime's source paths, at most 300 characters."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if line.startswith("[ONNXRuntimeError]"):
        line = line.split(" : ", 3)[-1]
    return printable(line, 300)
