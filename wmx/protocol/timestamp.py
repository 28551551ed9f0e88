"""Trusted timestamps (RFC 3161): by when a claim or a release record existed.

See docs/protocol.md.  The bytes of the file's signature are stamped.  A timestamp counts only if it
verifies against root certificates that the *verifier* gives; others change nothing, but are
reported.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from wmx._internal.budget import consulted
from wmx._internal.der import MalformedError, certificates_in, with_certificates_in_order
from wmx._internal.files import read_bytes
from wmx.errors import IntegrityError, MissingExtraError
from wmx.protocol.dating import UNDATED, UNSTATED_ACCURACY, Dating
from wmx.protocol.stamped import Stamped
from wmx.protocol.timestamp_policy import (
    WeakError,
    granted_with,
    require_known_time,
    require_strong_signature,
    weakness,
)

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name
    from rfc3161_client import TimeStampResponse

Roots: TypeAlias = "Sequence[Certificate]"

MAX_ROOTS_BYTES = 16 * 1024**2
MAX_CERTIFICATES = 32  # of a timestamp; a chain has a few, and each costs time to search
HASHES = {  # object identifiers of the digests that are accepted
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}


def load_roots(path: str | Path) -> Roots:
    """Read trusted root certificates from a PEM file.

    >>> from wmx import load_roots
    >>> roots = load_roots("roots.pem")

    Args:
        path: a file with one or more certificates in PEM form.

    Raises:
        CannotRunError: the file cannot be read.
        IntegrityError: it holds no certificates.
    """
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(read_bytes(path, "root certificates", MAX_ROOTS_BYTES))
    except ValueError:
        raise IntegrityError(f"{path} does not hold certificates in PEM form") from None


def date_claim(file: Stamped, roots: Roots) -> Dating:
    """Return the trusted date of a claim or a release record that proves existence the earliest.

    A timestamp proves that the file existed at its time plus its accuracy, and no more: an earlier
    but inexact time can prove less than a later, exact one.

    Args:
        file: with its timestamps.
        roots: root certificates that the verifier trusts.

    Raises:
        MissingExtraError: there are timestamps and roots, and rfc3161-client is not installed.
        LimitError: the current budget is spent.
    """
    if not file.timestamps:
        return UNDATED
    if not roots:
        return Dating(refused=("not checked: no root certificates were given (--roots)",))
    found, refused = [], []
    for response in consulted(file.timestamps, every=1):
        try:
            found.append(_trusted(response, file, roots))
        except IntegrityError as error:
            refused.append(str(error))
    if not found:
        return Dating(refused=tuple(refused))
    best = min(found, key=lambda stamp: stamp.time + stamp.accuracy)
    return Dating(best.time, best.authority, tuple(refused), best.accuracy)


@dataclass(frozen=True)
class Query:
    """A request for a timestamp of a file's signature, with SHA-256 and a nonce.

    Attributes:
        request: RFC 3161, DER.
        nonce: which the answer has to repeat.
    """

    request: bytes
    nonce: int

    @classmethod
    def of(cls, file: Stamped) -> Self:
        """Make a new request for ``file``."""
        client = _client()
        builder = client.TimestampRequestBuilder().data(file.envelope.signature)
        request = builder.hash_algorithm(client.HashAlgorithm.SHA256).build()
        return cls(request.as_bytes(), request.nonce)

    def check_answer(self, response: bytes) -> None:
        """Refuse a response that is not the answer to this request.

        Raises:
            IntegrityError: damaged, not granted, or with another nonce.
        """
        if _parsed(response).nonce != self.nonce:
            raise IntegrityError("the timestamp answers another request: its nonce differs")


def asserted_stamps(file: Stamped) -> list[str]:
    """Return what each timestamp of a file asserts, whether it is trusted or not."""
    found = []
    for response in consulted(file.timestamps, every=1):
        try:
            time, authority = asserted_stamp(response, file)
            found.append(f"{time:%Y-%m-%dT%H:%M:%SZ} by an authority under {authority}")
        except (IntegrityError, MissingExtraError) as error:
            found.append(str(error))
    return found


def is_timestamp_of(response: bytes, file: Stamped) -> bool:
    """Say whether a response is a granted timestamp of a file, by whatever authority.

    Without the package that reads timestamps all of them are taken for that.

    Args:
        response: RFC 3161, DER.
        file: which it has to be for.
    """
    try:
        asserted_stamp(response, file)
    except IntegrityError:
        return False
    except MissingExtraError:
        return True
    return True


def asserted_stamp(response: bytes, file: Stamped) -> tuple[datetime, str]:
    """Return the time and authority that a response asserts; its certificates are not checked.

    Args:
        response: RFC 3161, DER.
        file: which it has to be for.

    Raises:
        IntegrityError: it is no granted response, is for something else, or could not be trusted
            with any roots.
    """
    stamp = _parsed(response)
    _check(stamp, file)
    return stamp.time, stamp.authority


def trusted_stamp(response: bytes, file: Stamped, roots: Roots) -> tuple[datetime, str]:
    """Verify a response against root certificates, and return its time and authority.

    The signer's certificate has to chain to one of ``roots``, to have been valid at the time of the
    stamp, and to be for time stamping alone; and all has to be as strong as
    :mod:`wmx.protocol.timestamp_policy` requires.

    Args:
        response: RFC 3161, DER.
        file: which it has to be for.
        roots: root certificates that the verifier trusts.

    Raises:
        IntegrityError: it does not verify; the message says why.
    """
    stamp = _trusted(response, file, roots)
    return stamp.time, stamp.authority


@dataclass(frozen=True)
class _Stamp:
    """All that is looked at in a granted response.

    Attributes:
        data: the response, its certificates in DER's order.
        certificates: that the token carries, DER.
        signers: issuer and serial number of the certificate of each signer.
        time: of the stamp, UTC.
        accuracy: by how much it may be off, by the authority's word.
        algorithm: object identifier of the digest.
        imprint: the digest of what was stamped.
        nonce: of the request.
        authority: issuer of the signer's certificate, which is how the signer is found.
    """

    data: bytes
    certificates: frozenset[bytes]
    signers: tuple[tuple["Name", int], ...]
    time: datetime
    accuracy: timedelta
    algorithm: str
    imprint: bytes
    nonce: int | None
    authority: str

    @classmethod
    def of(cls, data: bytes, response: "TimeStampResponse") -> Self:
        """Read every part, as each is parsed, and may be damaged, by itself."""
        info = response.tst_info
        time, accuracy = info.gen_time, _accuracy(response)
        if accuracy < timedelta() or time - accuracy > time + accuracy:  # or out of all calendars
            raise ValueError("the accuracy is negative")
        signers = [(one.issuer, one.serial_number) for one in response.signed_data.signer_infos]
        return cls(
            data,
            frozenset(response.signed_data.certificates),
            tuple(signers),
            time,
            accuracy,
            info.message_imprint.hash_algorithm.dotted_string,
            info.message_imprint.message,
            info.nonce,
            signers[0][0].rfc4514_string() if signers else "nobody",
        )


def _trusted(response: bytes, file: Stamped, roots: Roots) -> _Stamp:
    """Verify a response; raises as :func:`trusted_stamp`.

    Certificates that are too weak are removed before a chain is searched, so that no chain uses
    them.
    """
    stamp = _parsed(response)
    _check(stamp, file)
    weak = _weak_certificates(stamp, roots)
    strong_roots = [root for root in roots if _der(root) not in weak]
    try:
        left = granted_with(stamp.data, lambda certificate: certificate not in weak)
        client = _client()
        verifier = client.VerifierBuilder(roots=strong_roots).build()
        verifier.verify_message(client.decode_timestamp_response(left), file.envelope.signature)
    # a response is a stranger's, and whatever goes wrong with it means that it is not trusted
    except Exception as error:
        reasons = [_reason(error), *weak.values()]
        raise IntegrityError(f"a timestamp is not trusted: {'; '.join(reasons)}") from None
    return stamp


def _weak_certificates(stamp: _Stamp, roots: Roots) -> dict[bytes, str]:
    """Return the certificates, DER, that may not be part of a chain, each with the reason."""
    from cryptography.x509 import load_der_x509_certificate

    given = {_der(root): root for root in roots}
    found = {data: weakness(root, is_root=True) for data, root in given.items()}
    for data in stamp.certificates - given.keys():
        try:
            found[data] = weakness(load_der_x509_certificate(data))
        except Exception:  # the library's errors are of many kinds
            found[data] = "one of its certificates cannot be read"
    return {data: reason for data, reason in found.items() if reason is not None}


def _der(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _parsed(response: bytes) -> _Stamp:
    client = _client()
    count = len(certificates_in(response))
    if count > MAX_CERTIFICATES:
        raise IntegrityError(
            f"a timestamp carries {count:,} certificates, expected at most {MAX_CERTIFICATES}",
            hint="ask the authority again, for only the chain of its signer",
        )
    try:
        in_order = with_certificates_in_order(response)
        parsed: TimeStampResponse = client.decode_timestamp_response(in_order)
        granted = parsed.status in (client.PKIStatus.GRANTED, client.PKIStatus.GRANTED_WITH_MODS)
        stamp = _Stamp.of(in_order, parsed) if granted else None
    except Exception:  # the parser's errors are of many kinds
        raise IntegrityError(
            "a timestamp is damaged: expected an RFC 3161 response in DER",
            hint="ask the authority again, or copy its answer again",
        ) from None
    if stamp is None:
        words = "; ".join(parsed.status_string) or f"status {parsed.status}"
        raise IntegrityError(f"the authority did not grant the timestamp: {words}")
    return stamp


def _check(stamp: _Stamp, file: Stamped) -> None:
    """Refuse a timestamp of anything but the file's signature, or one that nobody could trust."""
    algorithm = HASHES.get(stamp.algorithm)
    if algorithm is None:
        raise IntegrityError(
            f"a timestamp uses the digest {stamp.algorithm}, expected SHA-256, SHA-384 or SHA-512"
        )
    if algorithm(file.envelope.signature).digest() != stamp.imprint:
        raise IntegrityError(
            f"a timestamp is for something else than this {file.KIND}'s signature",
            hint=f"was it made for another {file.KIND}?",
        )
    try:
        require_known_time(stamp.time, stamp.accuracy)
        require_strong_signature(stamp.data)
    except (WeakError, MalformedError) as error:
        raise IntegrityError(f"a timestamp is not trusted: {error}") from None


def _accuracy(response: "TimeStampResponse") -> timedelta:
    """Return by how much the time of a timestamp may be off, as the authority states."""
    accuracy = response.tst_info.accuracy
    if accuracy is None:
        return UNSTATED_ACCURACY
    return timedelta(
        seconds=accuracy.seconds or 0,
        milliseconds=accuracy.millis or 0,
        microseconds=accuracy.micros or 0,
    )


def _reason(error: Exception) -> str:
    """Return the first line of a library's error, without internals."""
    text = str(error)
    if "Verify error: " in text:  # OpenSSL's own words, inside a list of where they were said
        return text.split("Verify error: ")[1].split('"')[0]
    return text.split("\n")[0].split(": ErrorStack")[0][:200]


def _client() -> Any:
    try:
        import rfc3161_client
    except ModuleNotFoundError:
        raise MissingExtraError("rfc3161-client", "tsa") from None
    return rfc3161_client
