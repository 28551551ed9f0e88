"""Recognizes files of other formats that are given by mistake in place of an ONNX file."""

from dataclasses import dataclass

ONNX_FIRST_FIELDS = (0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)  # tags of ModelProto
ORT_IDENTIFIER = b"ORTM"  # onnxruntime's own format
ENVELOPE = b'{"payload":"'  # of every file that wmx signs
STATEMENT = b"eyJfdHlwZSI6Imh0"  # {"_type":"ht, as in-toto statements begin
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
    if data.startswith(ENVELOPE):
        return _signed_file(data[len(ENVELOPE) : len(ENVELOPE) + 16])
    if data[0] not in ONNX_FIRST_FIELDS:
        kind = "is a text file" if _is_text(data[:512]) else "holds something else"
        return Damage(f"{kind}, expected an ONNX file", EXPORT_HINT)
    return None


def _signed_file(payload: bytes) -> Damage:
    """Return what a file is that wmx has signed, by the beginning of its payload in base64."""
    if payload == STATEMENT:
        return Damage(
            "is an evidence file or a release record, expected an ONNX file",
            "wmx check tests an evidence file, wmx release show a record",
        )
    return Damage(
        "is a claim or another signed file, expected an ONNX file",
        "name the model, and the claim with --claim",
    )


def _is_text(head: bytes) -> bool:
    try:
        head[:-4].decode("utf-8")  # a character may be cut in two at the end
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head
