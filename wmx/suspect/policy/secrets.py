"""Recognizing, by their content, files that a model names as weights but that may be secrets.

A stranger's model names the files in its folder that hold its weights, and gets their content.  It
may name a key, a token or a trigger file that happens to be there, or whose name the stranger
chose.  Weights are raw numbers; a file that looks like a secret of this or another program is
refused.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from unicodedata import category

from wmx.suspect.policy.magic import kind_by_magic

HEAD_BYTES = 2**16  # longer secrets are recognized by their first bytes
PEM_BEGIN = b"-----BEGIN "  # in every text encoding, and also in the middle of a file
WIDE_ENCODINGS = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
PEM_BEGINS = (PEM_BEGIN, *(PEM_BEGIN.decode("ascii").encode(one) for one in WIDE_ENCODINGS))
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
CONTROL_CHARACTER = re.compile(CONTROL.pattern.decode("ascii"))
BYTE_ORDER_MARKS = {  # the mark of UTF-32 begins with that of UTF-16
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
NO_TEXT = ("Cc", "Cn", "Co")  # control characters, unassigned ones, and those for private use
# Chinese, Japanese and Korean: a third of the ideographs or a fifth of the syllables, as are used
CHARSETS = ("gb2312", "big5", "shift_jis", "euc_kr")
BEHIND_ALPHABETS = "\u2100"  # letters of all alphabets, punctuation and currencies come before it
FEW_CHARACTERS = 3
BEHIND_LATIN = "\u0100"
FEW_TO_JUDGE = 16
USUAL_PART = 7 / 8  # of the characters; the rest may be rare ones and pictures
MAX_SAFETENSORS_HEADER = 100_000_000  # of the format itself


def kind_of_secret(head: bytes) -> str | None:
    """Return what a file is if it cannot be a file of weights; ``None`` if it may be one.

    Args:
        head: its first :data:`HEAD_BYTES`, or all of it.
    """
    found = next((what for what, is_one in KINDS.items() if is_one(head)), None)
    return found or kind_by_magic(head)


def _is_text(head: bytes) -> bool:
    """Say whether the bytes are text in an encoding that is used for keys, tokens and JSON.

    100 random bytes have no control character with probability 1 in 100,000; 400 practically never.
    """
    if not head:
        return False
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark) and _is_text_in(head[len(mark) :], encoding):
            return True
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return CONTROL.search(head) is None or any(
        _is_text_without_mark(head, encoding) for encoding in WIDE_ENCODINGS
    )


def _is_text_in(data: bytes, encoding: str) -> bool:
    text = _decoded(data, encoding)
    return text is not None and CONTROL_CHARACTER.search(text) is None


def _is_text_without_mark(data: bytes, encoding: str) -> bool:
    """Say whether bytes without a byte-order mark are text all the same.

    Nearly any two bytes are some character, and weights are characters of all scripts at once; so
    the characters have to be those of languages that are written together.
    """
    text = _decoded(data, encoding)
    if not text or CONTROL_CHARACTER.search(text) is not None:
        return False
    used = set(text)
    if any(category(one) in NO_TEXT and not one.isspace() for one in used):
        return False
    if len(used) < FEW_CHARACTERS < len(text):  # a number, such as 1, over and over
        return False
    if len(text) < FEW_TO_JUDGE:  # such as a single weight
        return max(used) < BEHIND_LATIN
    most = max(_part_in(text, charset) for charset in (None, *CHARSETS))
    return most >= USUAL_PART


def _part_in(text: str, charset: str | None) -> float:
    """Return the part of the characters that a charset has; without one, those of an alphabet."""
    if charset is None:
        return sum(one < BEHIND_ALPHABETS for one in text) / len(text)
    kept = text.encode(charset, errors="ignore").decode(charset, errors="ignore")
    return len(kept) / len(text)


def _decoded(data: bytes, encoding: str) -> str | None:
    """Return the text; ``None`` if it is none.  At the end a character may be cut in two."""
    try:
        return getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_SAFETENSORS_HEADER


KINDS: dict[str, Callable[[bytes], bool]] = {
    "a PEM file, which may hold a key": lambda head: any(begin in head for begin in PEM_BEGINS),
    "a JSON file, which may be a claim, an evidence file or a ledger": lambda head: (
        head.lstrip().startswith(b"{") and _is_text(head)
    ),
    "a text file, which may hold a password or a token": _is_text,
    "a safetensors file, which may hold triggers": _is_safetensors,
}
