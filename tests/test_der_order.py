"""Certificates in DER's order: what is moved, and that nothing else ever is."""

from itertools import permutations

import pytest
from support.der import OCTETS, SEQUENCE, der, integer, oid

from wmx._internal.der import with_certificates_in_order

SET, TAGGED_0, TAGGED_1 = 0x31, 0xA0, 0xA1
SIGNED_DATA, DATA = oid("2a864886f70d010702"), oid("2a864886f70d010701")
IN_ORDER = (
    der(SEQUENCE),
    der(SEQUENCE, b"\0"),
    der(SEQUENCE, b"\1"),
    der(SEQUENCE, bytes(200)),
    der(SEQUENCE, bytes(300)),
    der(TAGGED_1, b"\0"),
)
BACKWARDS = b"".join(reversed(IN_ORDER))


def response(
    certificates: bytes, *, status: int = SEQUENCE, content: int = TAGGED_0, bag: int = TAGGED_0
) -> bytes:
    """Return what is built like a response and holds nothing else; the tags may be others."""
    before, behind = (integer(3), der(SET), der(SEQUENCE, DATA)), der(SET, b"\2\1\0\1\1\0")
    signed = der(SEQUENCE, *before, der(bag, certificates), behind)
    return der(SEQUENCE, der(status, integer(0)), der(SEQUENCE, SIGNED_DATA, der(content, signed)))


def test_every_order_becomes_that_of_der() -> None:
    expected = response(b"".join(IN_ORDER))
    for order in permutations(IN_ORDER):
        assert with_certificates_in_order(response(b"".join(order))) == expected


def test_a_certificate_that_stands_twice_stays_twice() -> None:
    small, large = IN_ORDER[0], IN_ORDER[-1]
    twice = response(large + small + large)
    assert with_certificates_in_order(twice) == response(small + large + large)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"\x30", id="a tag alone"),
        pytest.param(b"\x30\x01", id="cut off"),
        pytest.param(b"\x30\x82\x01", id="cut off within the length"),
        pytest.param(b"\x30\xff" + b"\xff" * 127, id="a length of 127 bytes"),
        pytest.param(b"\x30\x80\0\0", id="no length"),
        pytest.param(b"\xbf\x21\0", id="a long tag"),
    ],
)
def test_what_does_not_divide_into_elements_stays_as_it_is(end: bytes) -> None:
    malformed = response(BACKWARDS + end)
    assert with_certificates_in_order(malformed) == malformed


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"<!doctype html>",
        BACKWARDS,
        response(BACKWARDS)[:-1],
        b"\x30\x80" + response(BACKWARDS)[4:] + b"\0\0",
        b"\x30\x80" * 30_000,
        response(BACKWARDS, status=SET),
        response(BACKWARDS, content=OCTETS),
        response(BACKWARDS, bag=TAGGED_1),
        der(SEQUENCE, der(SEQUENCE, integer(2))),
    ],
)
def test_what_is_no_response_stays_as_it_is(other: bytes) -> None:
    assert with_certificates_in_order(other) == other
