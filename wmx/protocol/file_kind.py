"""What a file is that was given in the place of another, for errors; believed by nobody."""

CLAIM = "application/vnd.wmx.claim+json"
STATEMENT = "application/vnd.in-toto+json"
PREDICATES = {b"urn:wmx:evidence:": "an evidence", b"urn:wmx:release:": "a release record"}
ONNX_HEAD = 0x08  # field 1, the version of the format, which every exporter writes first


def kind_of_file(data: bytes) -> str | None:
    """Return what the content of a file seems to be; ``None`` if it is nothing that wmx knows."""
    if data.startswith(b"-----BEGIN"):
        return "a key"
    if data.startswith(b"{"):
        if f'"payloadType":"{CLAIM}"'.encode() in data:
            return "a claim"
        if f'"payloadType":"{STATEMENT}"'.encode() in data:
            return "an evidence or a release record"
    elif data[8:9] == b"{":
        return "a file of secret trigger images or of weights"
    elif data[4:8] == b"ORTM" or data[:1] == bytes([ONNX_HEAD]):
        return "a model"
    return None


def kind_of_payload(payload_type: str, payload: bytes) -> str | None:
    """Return what an envelope seems to hold; ``None`` if it is nothing that wmx knows.

    Args:
        payload_type: of the envelope.
        payload: its content; need not be valid.
    """
    if payload_type == CLAIM:
        return "a claim"
    if payload_type == STATEMENT:
        for name, kind in PREDICATES.items():
            if b'"predicateType":"' + name in payload:
                return kind
    return None
