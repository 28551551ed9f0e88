"""What a timestamp's token says of its signature, and taking certificates away from it.

Whether weak stamps count is in test_timestamp.py, with stamps of a real authority.
"""

import pytest
from support.der import OCTETS, SEQUENCE, der, integer, oid

from wmx._internal.der import MalformedError
from wmx.protocol.timestamp_policy import WeakError, granted_with, require_strong_signature

SET, TAGGED_0, TAGGED_1 = 0x31, 0xA0, 0xA1
SIGNED_DATA, DATA = oid("2a864886f70d010702"), oid("2a864886f70d010701")
SHA_256, SHA_1 = oid("608648016503040201"), oid("2b0e03021a")
RSA, RSA_SHA_1 = oid("2a864886f70d010101"), oid("2a864886f70d010105")
PSS = oid("2a864886f70d01010a")
CERTIFICATES = (der(SEQUENCE, b"\0"), der(SEQUENCE, b"\1"), der(SEQUENCE, bytes(300)))


def signer(digest: bytes = SHA_256, signature: bytes = RSA, *, attributes: bool = True) -> bytes:
    """Return a SignerInfo; what hides among its attributes looks like an algorithm."""
    hidden = (der(TAGGED_0, der(SEQUENCE, SHA_1)),) if attributes else ()
    algorithms = (der(SEQUENCE, digest), *hidden, der(SEQUENCE, signature))
    return der(
        SEQUENCE, integer(1), der(SEQUENCE, integer(7)), *algorithms, der(OCTETS), der(TAGGED_1)
    )


def response(
    *signers: bytes, status: int = 0, bag: tuple[bytes, ...] | None = CERTIFICATES
) -> bytes:
    """Return what is built like a response; with ``None`` there is no place for certificates."""
    before = (integer(3), der(SET), der(SEQUENCE, DATA))
    certificates = () if bag is None else (der(TAGGED_0, *bag),)
    signed = der(SEQUENCE, *before, *certificates, der(SET, *signers))
    return der(
        SEQUENCE,
        der(SEQUENCE, integer(status)),
        der(SEQUENCE, SIGNED_DATA, der(TAGGED_0, signed)),
    )


@pytest.mark.parametrize("attributes", [True, False])
@pytest.mark.parametrize("bag", [CERTIFICATES, None])
def test_the_algorithms_are_those_of_the_signer(
    attributes: bool, bag: tuple[bytes, ...] | None
) -> None:
    require_strong_signature(response(signer(attributes=attributes), bag=bag))
    for weak in (signer(digest=SHA_1, attributes=attributes), signer(signature=RSA_SHA_1)):
        with pytest.raises(WeakError, match="SHA-1"):
            require_strong_signature(response(weak, bag=bag))


def test_an_algorithm_that_nobody_knows_is_refused_by_its_number() -> None:
    with pytest.raises(WeakError, match="2a864886f70d01010a"):
        require_strong_signature(response(signer(signature=PSS)))
    with pytest.raises(WeakError, match="the digest 00"):
        require_strong_signature(response(signer(digest=oid("00" * 60_000))))


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_signature(count: int) -> None:
    with pytest.raises(WeakError, match=f"it has {count} signatures"):
        require_strong_signature(response(*[signer()] * count))


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\x30\x80",
        response(der(SEQUENCE, integer(1))),
        response(b"\x30\x05\0"),
        response(signer(digest=b"")),
    ],
)
def test_what_is_built_otherwise_is_refused(malformed: bytes) -> None:
    with pytest.raises(MalformedError):
        require_strong_signature(malformed)


def test_certificates_are_taken_away_and_nothing_else() -> None:
    """Their lengths change, and so do those of all that is around them."""
    small, _, large = CERTIFICATES
    modified = response(signer(), status=1)
    for kept in ((), (small,), (large,), CERTIFICATES):
        assert granted_with(modified, kept.__contains__) == response(signer(), bag=kept)
