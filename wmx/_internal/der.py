"""Reading and writing DER (X.690), and the certificates of a timestamp in the order it asks for.

Whatever of wmx looks into DER by itself, timestamps and protected keys, reads it here; elements of
a form that DER does not have, such as one without a length, are refused.

DER sorts a SET OF by the encodings of its elements (X.690, section 11.6), and a strict parser
refuses any other order.  ``openssl ts -reply -chain`` writes the signer first and then the others
as they stand in their file.  They are outside of all that is signed (RFC 5652, section 5.4), so
that sorting them changes nothing that a timestamp says.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

INTEGER, OBJECT, SEQUENCE, SET, TAGGED_0 = 0x02, 0x06, 0x30, 0x31, 0xA0
LONG_TAG = 0x1F  # these bits all set: the tag goes on in further bytes
LONG_LENGTH = 0x80  # and the lower bits count the bytes of the length; none: it has no length

# the tags of each level, from the response inward; the last element of each holds the next level
PATH_TO_CERTIFICATES = (
    (SEQUENCE,),  # TimeStampResp
    (SEQUENCE, SEQUENCE),  # status, timeStampToken
    (OBJECT, TAGGED_0),  # contentType, content
    (SEQUENCE,),  # SignedData
    (INTEGER, SET, SEQUENCE, TAGGED_0),  # version, digestAlgorithms, encapContentInfo, certificates
)


def with_certificates_in_order(response: bytes) -> bytes:
    """Return an RFC 3161 response with the certificates of its token in DER's order.

    Nothing else is changed or checked.  A response in which they are not found is returned as it
    is, for the parser to refuse.

    Args:
        response: DER bytes, untrusted.
    """
    try:
        *_, bag = walk_inward(response, PATH_TO_CERTIFICATES)
        certificates = _contents(response, bag)
    except MalformedError:
        return response
    return response[: bag.content] + b"".join(sorted(certificates)) + response[bag.end :]


def certificates_in(response: bytes) -> list[bytes]:
    """Return the certificates that the token of an RFC 3161 response carries, DER, as they stand.

    None where they are not found: a token may carry none, and to refuse a response that is built
    otherwise is the parser's part.

    Args:
        response: a stranger's, of any content.
    """
    try:
        return _contents(response, walk_inward(response, PATH_TO_CERTIFICATES)[-1])
    except MalformedError:
        return []


class MalformedError(ValueError):
    """The bytes are not DER, or not of the form that was expected of them."""


class Element(NamedTuple):
    """Offsets of a DER element: its header begins at ``begin``, its content at ``content``."""

    tag: int
    begin: int
    content: int
    end: int


def walk_inward(response: bytes, path: Sequence[tuple[int, ...]]) -> list[Element]:
    """Return the elements of a response that hold one another, the outermost first.

    Args:
        response: DER bytes, untrusted.
        path: the tags that each level begins with; the last one is that of the next element.

    Raises:
        MalformedError: an element is not where it should be.
    """
    found: list[Element] = []
    begin, end = 0, len(response)
    for tags in path:
        level = list(islice(elements(response, begin, end), len(tags)))
        if tuple(element.tag for element in level) != tags:
            raise MalformedError("an element is missing or of another kind")
        found.append(level[-1])
        begin, end = level[-1].content, level[-1].end
    return found


def elements(data: bytes, begin: int, end: int) -> Iterator[Element]:
    """Yield the elements between two offsets, one after the other, without parsing their content.

    Args:
        data: DER bytes, untrusted.
        begin: offset of the first element.
        end: offset behind the last.

    Raises:
        MalformedError: one reaches beyond the end, or has a long tag or no length.
    """
    while begin < end:
        found = _element(data, begin, end)
        yield found
        begin = found.end


def _contents(data: bytes, outer: Element) -> list[bytes]:
    return [data[one.begin : one.end] for one in elements(data, outer.content, outer.end)]


def _element(data: bytes, begin: int, end: int) -> Element:
    """Read the tag and the length of one element; raises as :func:`elements`."""
    content = begin + 2
    if content > end or data[begin] & LONG_TAG == LONG_TAG or data[begin + 1] == LONG_LENGTH:
        raise MalformedError("cut off, or in a form that does not stand here in DER")
    length = data[begin + 1]
    if length > LONG_LENGTH:
        content += length - LONG_LENGTH
        length = int.from_bytes(data[begin + 2 : content], "big")
    if content + length > end:
        raise MalformedError("it is cut off")
    return Element(data[begin], begin, content, content + length)


def encoded(tag: int, *contents: bytes) -> bytes:
    """Return an element with these contents, one after the other.

    Args:
        tag: identifier octet, 0 to 255.
        contents: encoded parts.
    """
    content = b"".join(contents)
    if len(content) < LONG_LENGTH:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, LONG_LENGTH | len(length)]) + length + content
