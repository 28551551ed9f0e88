"""Rules for trusting timestamps: key lengths, digests, and accuracy (docs/protocol.md, section 7).

A timestamp is as trustworthy as its weakest link: a key that can be computed, a digest with known
collisions, or a clock that may be wrong by years.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from wmx._internal.der import (
    PATH_TO_CERTIFICATES,
    SEQUENCE,
    SET,
    Element,
    MalformedError,
    elements,
    encoded,
    walk_inward,
)
from wmx._internal.text import printable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MIN_RSA_BITS = 2048
MIN_EC_BITS = 256
STRONG_DIGESTS = ("SHA-256", "SHA-384", "SHA-512")
# ETSI EN 319 421 requires one second; an authority that allows more than this is no clock
MAX_ACCURACY = timedelta(hours=1)
MAX_AHEAD = timedelta(minutes=5)  # by which the verifier's clock may be slow

# object identifiers, in DER
DIGESTS = {
    "608648016503040201": "SHA-256",
    "608648016503040202": "SHA-384",
    "608648016503040203": "SHA-512",
    "608648016503040204": "SHA-224",
    "2b0e03021a": "SHA-1",
    "2a864886f70d0205": "MD5",
}
RSA = "2a864886f70d010101"  # which leaves the digest to the other identifier
SIGNATURES = {
    "2a864886f70d010104": ("RSA", "MD5"),
    "2a864886f70d010105": ("RSA", "SHA-1"),
    "2a864886f70d01010b": ("RSA", "SHA-256"),
    "2a864886f70d01010c": ("RSA", "SHA-384"),
    "2a864886f70d01010d": ("RSA", "SHA-512"),
    "2a864886f70d01010e": ("RSA", "SHA-224"),
    "2a8648ce3d0401": ("ECDSA", "SHA-1"),
    "2a8648ce3d040301": ("ECDSA", "SHA-224"),
    "2a8648ce3d040302": ("ECDSA", "SHA-256"),
    "2a8648ce3d040303": ("ECDSA", "SHA-384"),
    "2a8648ce3d040304": ("ECDSA", "SHA-512"),
    "2a8648ce380403": ("DSA", "SHA-1"),
    "608648016503040302": ("DSA", "SHA-256"),
}
STRONG_SIGNATURES = {
    RSA,
    *(
        identifier
        for identifier, (scheme, digest) in SIGNATURES.items()
        if scheme != "DSA" and digest in STRONG_DIGESTS
    ),
}
SIGNER_PARTS = 5
OPTIONAL = 0xA0  # and up: what a SignerInfo may hold between its algorithms, and behind them
GRANTED = bytes.fromhex("3003020100")  # PKIStatusInfo, DER


class WeakError(ValueError):
    """A timestamp is too weak; the message completes "a timestamp is rejected: "."""


def require_known_time(time: datetime, accuracy: timedelta) -> None:
    """Refuse a timestamp that is too inaccurate or in the future.

    Args:
        time: of the timestamp, UTC.
        accuracy: by how much it may be wrong.

    Raises:
        WeakError: the accuracy is above :data:`MAX_ACCURACY`, or the time lies in the future.
    """
    if accuracy > MAX_ACCURACY:
        raise WeakError(f"its time may be off by {accuracy}, expected at most {MAX_ACCURACY}")
    now = datetime.now(UTC)
    if time - accuracy > now + MAX_AHEAD:
        raise WeakError(
            f"its time, {time:%Y-%m-%dT%H:%M:%SZ}, lies in the future: "
            f"it is {now:%Y-%m-%dT%H:%M:%SZ} here"
        )


def require_strong_signature(response: bytes) -> None:
    """Refuse a timestamp whose signature uses a weak digest.

    Args:
        response: that was parsed as an RFC 3161 response in DER.

    Raises:
        WeakError: the digest of the signed attributes, or that of the signature, is not one of
            :data:`STRONG_DIGESTS`; or there is not exactly one signature.
        MalformedError: it has another structure.
    """
    *_, signed = walk_inward(response, PATH_TO_CERTIFICATES[:-1])
    *_, signers = elements(response, signed.content, signed.end)
    infos = list(elements(response, signers.content, signers.end))
    if signers.tag != SET or len(infos) != 1:
        raise WeakError(f"it has {len(infos)} signatures, expected one")
    (info,) = infos
    parts = [
        part for part in elements(response, info.content, info.end) if part.tag < OPTIONAL
    ]  # version, signer, digest algorithm, signature algorithm, signature
    if len(parts) != SIGNER_PARTS:
        raise MalformedError("a part of its signature is missing")
    digest, signature = (_algorithm(response, part) for part in parts[2:4])
    if DIGESTS.get(digest) not in STRONG_DIGESTS:
        raise WeakError(f"it {_over(DIGESTS.get(digest, f'the digest {digest}'))}")
    if signature not in STRONG_SIGNATURES:
        scheme, hashed = SIGNATURES.get(signature, ("the algorithm", signature))
        raise WeakError(f"it is signed by {scheme} {hashed}, expected RSA or ECDSA over SHA-2")


def weakness(certificate: "Certificate", *, is_root: bool = False) -> str | None:
    """Return why a certificate is too weak for a chain, ``None`` if it is not.

    Args:
        certificate: of a chain.
        is_root: the verifier trusts it directly, so that its signature is not checked.
    """
    name = printable(certificate.subject.rfc4514_string(), 100)
    try:
        found = _weak_key(certificate) or (None if is_root else _weak_signature(certificate))
    except Exception:  # the library's errors about keys and algorithms are of many kinds
        found = "holds a key or a signature of an unknown kind"
    return f"the certificate {name} {found}" if found else None


def granted_with(response: bytes, is_wanted: Callable[[bytes], bool]) -> bytes:
    """Return a response with status "granted" and with some of the certificates of its token.

    Neither the status nor the certificates are covered by the signature of the token.

    Args:
        response: that was parsed as an RFC 3161 response in DER.
        is_wanted: returns whether to keep a certificate, DER.

    Raises:
        MalformedError: it holds no certificates where they should be.
    """
    path = walk_inward(response, PATH_TO_CERTIFICATES)
    *_, bag = path
    certificates = [
        response[one.begin : one.end] for one in elements(response, bag.content, bag.end)
    ]
    inner = encoded(bag.tag, *sorted(filter(is_wanted, certificates)))
    for inside, around in zip(path[:1:-1], path[-2:0:-1], strict=True):  # up to the token
        before = response[around.content : inside.begin]
        behind = response[inside.end : around.end]
        inner = encoded(around.tag, before, inner, behind)
    return encoded(SEQUENCE, GRANTED, inner)


def _over(digest: str) -> str:
    return f"is signed over {digest}, expected {', '.join(STRONG_DIGESTS)}"


def _algorithm(response: bytes, part: Element) -> str:
    """Return the identifier of an AlgorithmIdentifier, in hexadecimal and no longer than any."""
    identifier = next(elements(response, part.content, part.end), None)
    if identifier is None:
        raise MalformedError("an algorithm without an identifier")
    return response[identifier.content : identifier.end][:32].hex()


def _weak_key(certificate: "Certificate") -> str | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits) if bits < MIN_RSA_BITS:
            return f"has an RSA key of {bits:,} bits, expected at least {MIN_RSA_BITS:,}"
        case ec.EllipticCurvePublicKey(key_size=bits) if bits < MIN_EC_BITS:
            return f"has an EC key of {bits:,} bits, expected at least {MIN_EC_BITS:,}"
        case (
            rsa.RSAPublicKey()
            | ec.EllipticCurvePublicKey()
            | ed25519.Ed25519PublicKey()
            | ed448.Ed448PublicKey()
        ):
            return None
        case other:
            kind = type(other).__name__.removesuffix("PublicKey")
            return f"has a key of the kind {kind}, expected RSA or an elliptic curve"


def _weak_signature(certificate: "Certificate") -> str | None:
    from cryptography.x509 import SignatureAlgorithmOID

    if certificate.signature_algorithm_oid in (
        SignatureAlgorithmOID.ED25519,
        SignatureAlgorithmOID.ED448,
    ):
        return None
    digest = certificate.signature_hash_algorithm
    name = "no digest" if digest is None else digest.name.upper().replace("SHA", "SHA-")
    if name in STRONG_DIGESTS:
        return None
    return _over(name)
