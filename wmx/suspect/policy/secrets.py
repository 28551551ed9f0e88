"""Files that are no weights of a model, whatever a model says: told by what stands in them.

A stranger's model names the files beside it that hold its weights, and is given their content.  It
may name a key, a token or a trigger file that happens to lie there, or whose name the stranger
chose.  Weights are raw numbers; what a secret of this program, or of others, looks like is none.
"""

import re
from collections.abc import Callable

HEAD_BYTES = 2**16  # a secret that is longer shows what it is in its first bytes
PEM_BEGIN = b"-----BEGIN "
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
CONTROL_CHARACTER = re.compile(CONTROL.pattern.decode("ascii"))
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
MAX_SAFETENSORS_HEADER = 100_000_000  # of the format itself
# a SEQUENCE that begins with the version of PKCS #1, PKCS #8, SEC 1 or PKCS #12
DER_KEY = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...)\x02\x01[\x00\x01\x03]", re.DOTALL)


def kind_of_secret(head: bytes) -> str | None:
    """Say what a file is that is no file of weights, ``None`` if it may be one.

    Args:
        head: its first :data:`HEAD_BYTES`, or all of it.
    """
    return next((what for what, is_one in KINDS.items() if is_one(head)), None)


def _is_text(head: bytes) -> bool:
    """Say whether the bytes are text in any encoding that keys, tokens and JSON are written in.

    Of a hundred random bytes one in 100,000 is without a control character, of 400 none.
    """
    if not head:
        return False
    encoding = BYTE_ORDER_MARKS.get(head[:2])
    if encoding is not None:
        return _is_text_in(head[2 : len(head) // 2 * 2], encoding)
    if head[1::2].count(0) == len(head) // 2:  # UTF-16 without its mark
        head = head[::2]
    elif head[::2].count(0) == (len(head) + 1) // 2:
        head = head[1::2]
    return CONTROL.search(head) is None


def _is_text_in(data: bytes, encoding: str) -> bool:
    try:
        text = data[:-2].decode(encoding)  # a character may be cut in two at the end
    except UnicodeDecodeError:
        return False
    return CONTROL_CHARACTER.search(text) is None


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_SAFETENSORS_HEADER


def _begins(magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


KINDS: dict[str, Callable[[bytes], bool]] = {
    "a PEM file, which may hold a key": lambda head: PEM_BEGIN in head,
    "a key in DER": lambda head: DER_KEY.match(head) is not None,
    "a JSON file, which may be a claim, an evidence or a ledger": lambda head: (
        head.lstrip().startswith(b"{") and _is_text(head)
    ),
    "a text file, which may hold a password or a token": _is_text,
    "a safetensors file, which may hold triggers": _is_safetensors,
    "a database": _begins(b"SQLite format 3\0"),
    "an archive": _begins(b"PK\x03\x04"),
    "a numpy array": _begins(b"\x93NUMPY"),
    "an HDF5 file": _begins(b"\x89HDF"),
}
