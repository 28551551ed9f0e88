"""Recognizes files of other formats that are given by mistake in place of an ONNX file."""

from dataclasses import dataclass

ONNX_FIRST_FIELDS = (0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)  # tags of ModelProto
ORT_IDENTIFIER = b"ORTM"  # onnxruntime's own format
EXPORT_HINT = "export the model to ONNX first; for PyTorch: wmx_torch.export"


@dataclass(frozen=True)
class Damage:
    """Why a file cannot be an ONNX model: the predicate of the error message, and its hint."""

    what: str
    hint: str


OTHER_FORMATS = (
    (b"PK\x03\x04", "is a zip archive (a PyTorch or Keras file?), not an ONNX file"),
    (b"\x89HDF", "is an HDF5 file, not an ONNX file"),
    (b"\x80", "is a Python pickle, not an ONNX file, and is not opened"),
    (b"-----BEGIN", "is a PEM file, not an ONNX file"),
    (b"\x93NUMPY", "is a numpy array, not an ONNX file"),
)


def describe_damage(data: bytes) -> Damage | None:
    """Return why a file cannot be an ONNX model, ``None`` if its first bytes fit."""
    if not data:
        return Damage("is empty, expected an ONNX file", "copy or export it again")
    if data[4:8] == ORT_IDENTIFIER:
        return None
    for magic, what in OTHER_FORMATS:
        if data.startswith(magic):
            return Damage(what, EXPORT_HINT)
    if data[0] not in ONNX_FIRST_FIELDS:
        kind = "is a text file" if _is_text(data[:512]) else "holds something else"
        return Damage(f"{kind}, expected an ONNX file", EXPORT_HINT)
    return None


def _is_text(head: bytes) -> bool:
    try:
        head[:-4].decode("utf-8")  # a character may be cut in two at the end
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head
