"""What a file is that was given in the place of another, for errors; believed by nobody."""

CLAIM = "a claim"
EVIDENCE = "an evidence file"
RELEASE = "a release record"
KEY = "a key"
LEDGER = "a ledger"

CLAIM_TYPE = "application/vnd.wmx.claim+json"
LEDGER_TYPE = "application/vnd.wmx.ledger+json"
STATEMENT_TYPE = "application/vnd.in-toto+json"
PREDICATES = {b"urn:wmx:evidence:": EVIDENCE, b"urn:wmx:release:": RELEASE}
ONNX_HEAD = 0x08  # field 1, the version of the format, which every exporter writes first


def kind_of_file(data: bytes) -> str | None:
    """Return what the content of a file seems to be; ``None`` if it is nothing that wmx knows."""
    if data.startswith(b"-----BEGIN"):
        return KEY
    if data.startswith(b"{"):
        if f'"payloadType":"{CLAIM_TYPE}"'.encode() in data:
            return CLAIM
        if f'"payloadType":"{LEDGER_TYPE}"'.encode() in data:
            return LEDGER
        if f'"payloadType":"{STATEMENT_TYPE}"'.encode() in data:
            return f"{EVIDENCE} or {RELEASE}"
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
    if payload_type == CLAIM_TYPE:
        return CLAIM
    if payload_type == LEDGER_TYPE:
        return LEDGER
    if payload_type == STATEMENT_TYPE:
        for name, kind in PREDICATES.items():
            if b'"predicateType":"' + name in payload:
                return kind
    return None
