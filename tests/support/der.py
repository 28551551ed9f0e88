"""Writing DER by hand, for what no library would write."""

SEQUENCE, INTEGER, BITS, OCTETS, NULL, OBJECT, TEXT = 0x30, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C


def der(tag: int, *contents: bytes) -> bytes:
    """Return an element with these contents."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER."""
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(hexadecimal: str) -> bytes:
    """Return an OBJECT IDENTIFIER from its encoding."""
    return der(OBJECT, bytes.fromhex(hexadecimal))
